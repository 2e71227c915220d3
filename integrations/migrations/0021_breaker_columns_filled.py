"""Fill the columns of `0020_breaker_columns` from the keys ("c:7", "h:vendor"); a key of no connection that exists is left."""

from typing import Any

from django.db import migrations


def fill(apps: Any, _schema_editor: Any) -> None:
    """Read each key once. There are about as many rows as connections."""
    breaker, connection = apps.get_model("integrations", "Breaker"), apps.get_model("integrations", "Connection")
    known = set(connection.objects.values_list("pk", flat=True))
    unfilled = breaker.objects.filter(connection=None, vendor=None)
    for key in list(unfilled.values_list("key", flat=True)):
        kind, _colon, name = key.partition(":")
        if kind == "h" and name:
            unfilled.filter(key=key).update(vendor=name)
        elif kind == "c" and name.isdecimal() and int(name) in known:
            unfilled.filter(key=key).update(connection=int(name))


class Migration(migrations.Migration):

    dependencies = [("integrations", "0020_breaker_columns")]

    operations = [migrations.RunPython(fill, migrations.RunPython.noop)]
