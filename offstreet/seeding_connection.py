"""How the demo's companies come to their integrations: with the operators of the sandbox, where Passport knows them.

A Passport that doesn't know them, or doesn't answer, is no reason not to start: the company comes without an integration,
and a notice on its pages says why.
"""

from django.urls import reverse
from django.utils.translation import gettext as _

from integrations.models import Connection, Notice, ZoneRefresh
from integrations.notifications import notices
from integrations.onboarding import connections
from integrations.vendors.errors import DeliveryError, TryLater
from integrations.vendors.naming import default_vendor, names_of
from integrations.vendors.protocol import ZoneSeen, get_vendor
from integrations.zones import operator_claims
from integrations.zones import refresh as zone_refresh
from integrations.zones.diff import clean_listing
from locations.models import Company, User


class Passport:
    """Lists zones, or says why not. One that doesn't answer is not asked again: each try may take seconds."""

    def __init__(self) -> None:
        self._unreachable = ""

    def zones(self, operator_id: str) -> tuple[list[ZoneSeen], str]:
        """Return an operator's zones, or none and a sentence that says why."""
        if self._unreachable:
            return [], self._unreachable
        try:
            return get_vendor(default_vendor()).fetch_zones(operator_id), ""
        except TryLater as error:
            self._unreachable = error.sentence
            return [], error.sentence
        except DeliveryError as error:
            return [], error.sentence


def connected(
    company: Company, operator_id: str, passport: Passport, support: User
) -> tuple[Connection | None, str]:
    """Return the company's connection with the demo's operator, its zones read; or none, and a sentence that says why.

    Whatever people have made of it stays: a connection with another operator ID is theirs, and nothing is done to it.
    """
    # The oldest one is the demo's, whatever has become of it since.
    connection = company.connections.order_by("id").first()
    if connection is not None and connection.operator_id != operator_id:
        return None, "its integration is not the demo's any more."
    if connection is not None and connection.refreshes.filter(outcome=ZoneRefresh.Outcome.DONE).exists():
        return connection, ""
    listed, why_none = passport.zones(operator_id)
    if why_none:
        _say_on_its_pages(company, why_none)
        return None, why_none
    notices.resolve(_notice_key(company))
    if connection is None:
        connection = connections.connect(company=company, operator_id=operator_id, actor=support)
    _confirm(connection, support)
    refresh, _is_new = zone_refresh.begin_refresh(connection=connection, trigger="seed")
    zone_refresh.apply_listing(refresh=refresh, listing=clean_listing(listed, operator_id))
    return connection, ""


def _say_on_its_pages(company: Company, why_none: str) -> None:
    names = names_of(default_vendor())
    notices.tell(
        company,
        "demo_without_integration",
        Notice.Level.WARNING,
        _("The demo could not connect this company to %(vendor)s. %(reason)s")
        % {**names.words, "reason": why_none},
        reverse("setup", args=[company.slug]),
        _notice_key(company),
    )


def _notice_key(company: Company) -> str:
    return f"demo-without-integration:{company.pk}"


def _confirm(connection: Connection, support: User) -> None:
    """Let support confirm the operator ID that the demo itself has entered."""
    if connection.is_claimed and connection.operator_id:
        operator_claims.confirm(
            connection=connection,
            operator_id=connection.operator_id,
            how="The demo's own operator.",
            actor=support,
        )
