"""Marks all permits of one location again and again until it is ended: nothing is to be sent for any of them.

`python -m benchmarks.mass_change`: its own process, with the product's settings; prints `ready` and waits for a line.
"""

import os
import sys
import time

import django

# For as long as a change of all these permits holds them besides, and between two of them.
HELD_S = 1.0
PAUSE_S = 0.3


def main() -> None:
    """Mark."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "offstreet.settings")
    django.setup()
    from django.db import transaction

    from integrations.zones.mapping import mark_locations
    from locations.models import Location

    location = Location.objects.order_by("pk")[0]
    print("ready", flush=True)
    if not sys.stdin.readline():
        return
    while True:
        with transaction.atomic():
            mark_locations([location.pk])
            time.sleep(HELD_S)
        time.sleep(PAUSE_S)


if __name__ == "__main__":
    main()
