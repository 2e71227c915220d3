"""What was Passport's alone comes from the vendor: the form of an operator ID, its slug, who its account manager is.

The check on operator IDs is widened, so rows that workers of before write still pass. A contact that one of them adds while
a deploy lasts keeps the kind of before; running the statement again (it changes nothing else) gives it the new one.
"""

from django.db import migrations, models
from django.db.models import Q

import integrations.models.connections


def rename_kind(apps, schema_editor):
    contacts = apps.get_model("integrations", "Contact").objects
    contacts.filter(kind="passport").update(kind="manager")


def name_back(apps, schema_editor):
    contacts = apps.get_model("integrations", "Contact").objects
    contacts.filter(kind="manager").update(kind="passport")


class Migration(migrations.Migration):
    dependencies = [("integrations", "0021_breaker_columns_filled")]

    operations = [
        migrations.RemoveConstraint("connection", "operator_id_is_a_lower_case_uuid"),
        migrations.AddConstraint(
            "connection",
            models.CheckConstraint(
                condition=Q(operator_id__regex=r"^[!-~]*$"), name="operator_id_is_printable"
            ),
        ),
        *(
            migrations.AlterField(
                model,
                "vendor",
                models.CharField(default=integrations.models.connections.default_vendor, max_length=20),
            )
            for model in ("connection", "historicalconnection")
        ),
        migrations.AlterField(
            "contact",
            "kind",
            models.CharField(
                choices=[
                    ("enforcement", "Enforcement team"),
                    ("manager", "Account manager"),
                    ("offstreet", "Offstreet contact"),
                ],
                max_length=12,
            ),
        ),
        migrations.RunPython(rename_kind, name_back),
    ]
