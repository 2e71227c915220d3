"""`passport doctor`: run all checks of a company's connection; exits with 1 if something is wrong."""

from argparse import ArgumentParser
from dataclasses import asdict
from typing import Any

import orjson
from django.core.management.base import CommandError
from django.utils.translation import ngettext

from integrations import diagnostics
from integrations.management.scripting import Say, find_company, find_connection
from integrations.onboarding import connections

HELP = "run all diagnostic checks; exits with 1 if something is wrong"


def add_arguments(parser: ArgumentParser) -> None:
    """Declare the arguments."""
    parser.add_argument(
        "--symptom",
        choices=list(diagnostics.SYMPTOMS),
        default="",
        help="list the most likely causes of this symptom first",
    )
    parser.add_argument("--json", action="store_true")


def run(options: dict[str, Any], say: Say) -> None:
    """Print the findings; raise `CommandError` if something is wrong (warnings don't count)."""
    company = find_company(options["company"])
    has_any = connections.current_connections(company).exists()
    connection = find_connection(company, options["site"]) if has_any else None
    findings = diagnostics.examine(company=company, connection=connection, symptom=options["symptom"])
    if options["json"]:
        document = {
            "company": company.slug,
            "connection": connection.name if connection else None,
            "worst": diagnostics.worst(findings),
            "checks": [asdict(check) for check in findings],
        }
        say(orjson.dumps(document, option=orjson.OPT_INDENT_2).decode())
    else:
        say(diagnostics.as_text(company, connection, findings).rstrip("\n"))
    wrong = [check for check in findings if check.tone == "danger"]
    if wrong:
        words = ngettext("%(n)d thing is wrong: %(what)s.", "%(n)d things are wrong: %(what)s.", len(wrong))
        raise CommandError(words % {"n": len(wrong), "what": ", ".join(check.title for check in wrong)})
