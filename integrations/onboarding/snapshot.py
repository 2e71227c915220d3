"""What the set-up steps are derived from: a snapshot of one connection, and labels for its states."""

from dataclasses import dataclass
from datetime import datetime

from django.db import models
from django.utils.translation import gettext_lazy

from integrations.vendors.protocol import VendorNames
from integrations.zones import operator_claims


class Who(models.TextChoices):
    """Who a step is waiting on."""

    COMPANY = "company", gettext_lazy("the company")
    VENDOR = "vendor", gettext_lazy("the account manager at the vendor")
    SUPPORT = "support", gettext_lazy("Offstreet support")
    ENFORCEMENT = "enforcement", gettext_lazy("the enforcement team")
    PRODUCT = "product", gettext_lazy("no one: it continues automatically")
    NOBODY = "", gettext_lazy("no one")


class Finding(models.TextChoices):
    """What the vendor said when the operator ID was tried."""

    UNTRIED = "", gettext_lazy("not checked yet")
    OK = "ok", gettext_lazy("works")
    UNKNOWN = "unknown", gettext_lazy("unknown operator ID")
    NOT_AUTHORISED = "not_authorised", gettext_lazy("known, but Offstreet is not authorised")
    CREDENTIALS = "credentials", gettext_lazy("Offstreet's own credentials are refused")
    UNREACHABLE = "unreachable", gettext_lazy("the vendor could not be reached")
    HELD = "held", gettext_lazy("in use by another company; support will decide")
    TURNED_DOWN = operator_claims.TURNED_DOWN, gettext_lazy("declined by support")


@dataclass(frozen=True, slots=True)
class TestFacts:
    """The latest test plate. Times are aware; `over` says that it was withdrawn or its window ended."""

    __test__ = False

    saved_at: datetime
    accepted_at: datetime | None = None
    seen_at: datetime | None = None
    answer: str = ""
    answered_at: datetime | None = None
    over: bool = False
    over_at: datetime | None = None
    refused_since: datetime | None = None
    asked_by_mail: bool = False


@dataclass(frozen=True, slots=True)
class Facts:
    """What is known of one connection. `zones` counts those listed now, `locations` the company's active ones."""

    created_at: datetime
    names: VendorNames
    contact_unknown_since: datetime | None = None
    requested_at: datetime | None = None
    operator_id: str = ""
    operator_id_at: datetime | None = None
    finding: str = ""
    checked_at: datetime | None = None
    confirmed_at: datetime | None = None
    held_since: datetime | None = None
    set_up_at: datetime | None = None
    zones: int = 0
    zones_pulled_at: datetime | None = None
    pull: str = ""
    pull_since: datetime | None = None
    pull_error: str = ""
    locations: int = 0
    mapped: int = 0
    first_mapped_at: datetime | None = None
    ready_at: datetime | None = None
    test: TestFacts | None = None
    verified_at: datetime | None = None
    status: str = "setup"
    status_since: datetime | None = None
    status_reason: str = ""
    live_since: datetime | None = None
