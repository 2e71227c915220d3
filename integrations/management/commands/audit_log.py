"""`manage.py audit_log`: export the audit log as CSV, and delete old rows. See `docs/audit-log.md`."""

import csv
from datetime import UTC, datetime, timedelta
from typing import Any

from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import DatabaseError
from django.utils import timezone

from integrations.audit_log import security_queries
from locations import append_only
from locations.models import Company


def _day(text: str) -> datetime:
    return datetime.strptime(text, "%Y-%m-%d").replace(tzinfo=UTC)


class Command(BaseCommand):
    """The command; the module says what it does."""

    help = (
        "Write the security log as CSV (export), or delete rows that are older than a year or more (prune)."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the two subcommands."""
        commands = parser.add_subparsers(dest="command", required=True)
        export = commands.add_parser("export", help="write the events to standard output, oldest first")
        export.add_argument("--company", default="", help="the company's slug; otherwise all companies")
        export.add_argument("--since", type=_day, help="the first day, such as 2026-01-31 (UTC)")
        export.add_argument("--until", type=_day, help="the day after the last one")
        prune = commands.add_parser("prune", help="delete old rows; needs the role that owns the table")
        prune.add_argument(
            "--older-than-days", type=int, required=True, help=f"at least {append_only.YOUNGEST.days}"
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Do what was asked for."""
        if options["command"] == "prune":
            self._prune(options["older_than_days"])
        else:
            self._export(options)

    def _export(self, options: dict[str, Any]) -> None:
        company = None
        if options["company"]:
            company = Company.objects.filter(slug=options["company"]).first()
            if company is None:
                raise CommandError(f"There is no company {options['company']!r}.")
        writer = csv.writer(self.stdout)
        writer.writerows(security_queries.csv_rows(company, since=options["since"], until=options["until"]))

    def _prune(self, days: int) -> None:
        try:
            gone = append_only.prune(before=timezone.now() - timedelta(days=days))
        except ValueError as error:
            raise CommandError(str(error)) from None
        except DatabaseError as error:
            raise CommandError(f"The database does not allow this role to do that: {error}") from None
        self.stdout.write(f"Deleted {gone} rows older than {days} days.")
