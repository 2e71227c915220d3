"""Moves the end of every permit and notes all of them as due, as a mass edit does (its own process)."""

import os

import django


def main() -> None:
    """Extend all permits by an hour."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "offstreet.settings")
    django.setup()
    from datetime import timedelta

    from django.db import transaction
    from django.db.models import F

    from integrations.delivery import outbox
    from integrations.delivery.wakeup import flush
    from integrations.models import Connection
    from locations.models import Permit

    # Held still while it marks, so that each round begins with all rows waiting.
    Connection.objects.update(status=Connection.Status.PAUSED)
    with transaction.atomic():
        Permit.objects.update(end=F("end") + timedelta(hours=1))
        for pk in Connection.objects.values_list("pk", flat=True):
            outbox.mark_connection(connection_id=pk)
    flush(5.0)


if __name__ == "__main__":
    main()
