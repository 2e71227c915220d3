"""Diagnostics: what is wrong, what it means, and what to do next; for one connection or for a company without one.

Each check is a small function that looks at one aspect of the `DiagnosticContext` and returns what it found. `examine`
runs them in the order that fits the symptom, the most likely causes first. A check that itself fails is a finding, too,
and never hides the others.

The checks ask the vendor (token, zones), the broker and the database; none of them changes anything. Since a vendor may
be slow, a worker runs them for a page (`run_checks`, see `integrations.reconciliation.check_runs`). If no worker picks
them up, the page itself runs those that don't need the vendor, and one of them reports that no worker is running.
"""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

import structlog
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from integrations.diagnostics import comparison_checks, test_plate_checks, zone_name_checks
from integrations.diagnostics import delivery_checks as delivery
from integrations.diagnostics import setup_checks as setup
from integrations.diagnostics.context import DANGER, NEUTRAL, SUCCESS, WARNING, Check, DiagnosticContext
from integrations.models import CheckRun, Connection, TestPlate
from locations.models import Company

log = structlog.get_logger(__name__)

CHECKS: dict[str, Callable[[DiagnosticContext], Check]] = {
    "operator_id": setup.operator_id,
    "token": setup.token,
    "authorised": setup.authorised,
    "zones": setup.zones,
    "mapped": setup.mapped,
    "names": zone_name_checks.names,
    "status": setup.status,
    "test": test_plate_checks.last_test,
    "state_form": test_plate_checks.state_form,
    "refused": delivery.refused,
    "held": delivery.held_back,
    "backlog": delivery.backlog,
    "accepted": delivery.last_accepted,
    "compared": comparison_checks.compared,
    "worker": delivery.worker,
    "sweeper": delivery.sweeper,
    "broker": delivery.broker,
    "clock": delivery.clock,
}


@dataclass(frozen=True, slots=True)
class Question:
    """A symptom that someone reports, and the checks that explain it most often, the most likely first."""

    key: str
    title: object
    first: tuple[str, ...]


SYMPTOMS = {
    symptom.key: symptom
    for symptom in (
        Question(
            "zones",
            gettext_lazy("Zones not appearing"),
            ("operator_id", "authorised", "zones", "token", "worker", "broker", "sweeper"),
        ),
        Question(
            "plate",
            gettext_lazy("Test plate doesn't appear"),
            (
                "test",
                "mapped",
                "names",
                "held",
                "refused",
                "backlog",
                "worker",
                "authorised",
                "status",
                "clock",
            ),
        ),
    )
}


def order_of(symptom: str) -> list[str]:
    """Return the keys of all checks in the order for a symptom; an unknown or empty one gives the usual order."""
    first = SYMPTOMS[symptom].first if symptom in SYMPTOMS else ()
    return [*first, *(key for key in CHECKS if key not in first)]


def examine(
    *,
    company: Company,
    connection: Connection | None,
    symptom: str = "",
    test: TestPlate | None = None,
    asks_vendor: bool = True,
) -> list[Check]:
    """Run all checks and return their findings in the order for the symptom. Call it outside of a transaction.

    Takes up to the client's time-outs, or none where the vendor is not to be asked.
    """
    context = DiagnosticContext(
        company=company, connection=connection, now=timezone.now(), test=test, asks_vendor=asks_vendor
    )
    return [_run(key, context) for key in order_of(symptom)]


def worst(checks: Sequence[Check]) -> str:
    """Return the worst tone among the findings: danger, warning or success."""
    tones = {check.tone for check in checks}
    return next((tone for tone in (DANGER, WARNING) if tone in tones), SUCCESS)


def run_checks(run: CheckRun) -> dict[str, Any]:
    """Make the checks that a `CheckRun` asks for; return them as a document that `from_document` reads."""
    test = run.test
    findings = examine(company=run.company, connection=run.connection, symptom=run.symptom, test=test)
    return {"checks": [{name: str(text) for name, text in asdict(check).items()} for check in findings]}


def from_document(document: dict[str, Any]) -> list[Check]:
    """Return the findings that a finished `CheckRun` keeps."""
    if "failed" in document:
        finding, next_step = document["failed"], _("Run the checks again.")
        return [Check("run", _("The checks"), WARNING, finding, next_step=next_step)]
    return [Check(**check) for check in document["checks"]]


def as_text(
    company: Company, connection: Connection | None, checks: Sequence[Check], at: datetime | None = None
) -> str:
    """Return the findings as plain text for a ticket; `at` is when they were made, by default now."""
    marks = {SUCCESS: "OK  ", NEUTRAL: "--  ", WARNING: "WARN", DANGER: "BAD "}
    now = at or timezone.now()
    name = str(connection) if connection else _("no integration")
    lines = [
        _("Diagnostics: %(company)s, %(name)s, %(at)s UTC")
        % {
            "company": company,
            "name": name,
            "at": f"{now:%Y-%m-%d %H:%M:%S}",
        }
    ]
    for check in checks:
        lines.append(f"[{marks[check.tone]}] {check.title}: {check.finding}")
        if check.tone in (WARNING, DANGER):
            lines += [f"       {text}" for text in (check.meaning, check.next_step) if text]
    return "\n".join(lines) + "\n"


def _run(key: str, context: DiagnosticContext) -> Check:
    try:
        return CHECKS[key](context)
    except Exception as error:
        log.exception("a diagnostic check failed", check=key)
        return Check(
            key,
            key,
            WARNING,
            _("This check could not be run: %(name)s.") % {"name": type(error).__name__},
            _("The other checks are not affected."),
            _("Tell support. The log has the details."),
        )
