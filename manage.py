#!/usr/bin/env python
"""Django's command-line entry; finds the database and broker of a running demo without any setting."""

import os
import sys


def main() -> None:
    """Run one management command."""
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "offstreet.settings")
    # A migration takes as long as it takes, and so does any other command: whoever runs it can end it.
    os.environ["DATABASE_STATEMENT_TIMEOUT_S"] = "0"
    from django.core.management import execute_from_command_line

    execute_from_command_line(sys.argv)


if __name__ == "__main__":
    main()
