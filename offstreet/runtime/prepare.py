"""Brings the demo's database up to date and fills it: migrations and seed in one process, which loads Django once."""

import os
import sys

import django
from django.core.management import CommandError, call_command


def main() -> int:
    """Migrate and seed; both may be run again. Return the exit status."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "offstreet.settings")
    # As `manage.py` does: a migration takes as long as it takes.
    os.environ["DATABASE_STATEMENT_TIMEOUT_S"] = "0"
    # The accounts of the seed are made, not attacked: their lines of the security log stay off the screen.
    os.environ.setdefault("LOG_LEVEL", "WARNING")
    django.setup()
    try:
        call_command("migrate", interactive=False, verbosity=0)
        call_command("seed")
    except CommandError as error:
        print(error, file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
