"""What a vendor must offer, and how it is found.

`integrations` knows vendors only through this protocol and through the dotted path in `settings.INTEGRATION_VENDORS`: a
second vendor is a new folder at the top of the project and one line there (`docs/add-a-vendor.md`).

A `Step` is one event of a plan, as it is stored in `PermitSync.pending_steps` before it is sent. The engine reads its `kind`
(steps of one kind travel together) and `session`; the rest is the vendor's own. `remote_state` documents are the vendor's
too; the engine only keeps them, and asks `apply` what they become when a step was accepted. Six of their keys are read
elsewhere (evidence, proof, comparing with enforcement) and are texts in each of them: `session_id` (that of the step which
began it), `zone_id`, `plate`, `subdivision` (empty where the vendor knows no states), `start` and `end` (ISO 8601 with an
offset). A seventh, `space`, is the space number, for a vendor whose zones have any.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cache
from typing import Any, NamedTuple, NotRequired, Protocol, TypedDict

from django.conf import settings
from django.utils.functional import Promise
from django.utils.module_loading import import_string

from integrations.vendors.errors import DeliveryError

RemoteState = dict[str, Any]

# What stands in a `RemoteState` for the end of a right that has none. A year before the last one of the calendar.
NO_END = datetime(9998, 12, 31, tzinfo=UTC)
# The `ZoneSeen.session_type` of a zone whose registrations must carry a space number.
NEEDS_SPACE = "space"


class Step(TypedDict):
    """One event of a plan; `event` is what is sent, letter for letter.

    `ends` says that the step takes a session away, which would end automatically at `until` (RFC 3339). `refused` marks
    such a step that the vendor refused: it stays with the row and goes out again, slowly, until then.
    """

    kind: str
    session: str
    event: dict[str, Any]
    ends: NotRequired[bool]
    until: NotRequired[str]
    refused: NotRequired[bool]


class Desired(NamedTuple):
    """What the vendor should have for one registration. Times are aware.

    A tuple, since one is made for each row that is claimed, and a frozen dataclass takes five times as long.
    """

    zone_id: str
    plate: str
    country: str
    subdivision: str
    start: datetime
    end: datetime
    space_number: str = ""
    rate_name: str = ""
    needs_space: bool = False


@dataclass(frozen=True, slots=True)
class Account:
    """What a vendor's client must know of a connection."""

    connection_id: int
    operator_id: str
    key: str


@dataclass(frozen=True, slots=True)
class ZoneSeen:
    """One zone as the vendor lists it; `raw` is the whole document.

    `session_type` is `NEEDS_SPACE` for a zone whose registrations must carry a space number, whatever the vendor calls
    that; any other word is the vendor's own.
    """

    remote_id: str
    number: str
    name: str
    session_type: str
    raw: dict[str, Any]


@dataclass(frozen=True, slots=True)
class RightSeen:
    """One parking right as enforcement sees it; `reference` is our session id where the vendor gives it.

    `subdivision` is empty for a vendor whose vehicles have no state. `kind` is what the vendor calls this sort of right, and
    `country` where the vehicle is registered; both are empty where it does not say. `end` is None for a right without an
    end. `unreadable` names those of `start` and `end` that the vendor gives in a form that can't be read; they are None, too.
    """

    remote_id: str
    zone_id: str
    plate: str
    subdivision: str
    start: datetime | None
    end: datetime | None
    space_number: str
    reference: str
    raw: dict[str, Any]
    kind: str = ""
    country: str = ""
    unreadable: tuple[str, ...] = ()


@dataclass(slots=True)
class Sent:
    """What became of one request: a result for each step, in order (None = accepted), and the evidence.

    `sent_at` is when it left, by this process's clock (settling turns it into the database's); `waited_s` is how long it had
    waited for its turn before (`integrations.delivery.rate_limit`). `error` is set where the request failed as a whole.
    `named` are the places of the events that a refusal of the whole names; `named_surely` says that it does so by
    something that can't be misread (a session's id, a JSON pointer; not a number).
    """

    results: Sequence[DeliveryError | None]
    trace_id: str
    sent_at: datetime
    answered_at: datetime
    status: int | None = None
    error: DeliveryError | None = None
    waited_s: float = 0.0
    named: Sequence[int] = ()
    named_surely: bool = False
    notes: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class VendorNames:
    """A vendor's names, as they stand in a sentence."""

    # The company itself.
    label: str
    # What enforcement works in, where it does not matter which program.
    enforcement: str
    # The program on an officer's phone.
    officer_app: str
    # Where the operator's staff look after zones.
    back_office: str

    @property
    def words(self) -> dict[str, str]:
        """The names for a translated sentence: `_("… %(vendor)s …") % names.words`."""
        return {
            "vendor": self.label,
            "enforcement": self.enforcement,
            "officer_app": self.officer_app,
            "back_office": self.back_office,
        }


@dataclass(frozen=True, slots=True)
class VendorTexts:
    """What a vendor says in its own words on the way to live. Sentences may be lazy translations."""

    # What the company needs from its account manager, as points of the email that asks for the operator ID.
    request_points: Sequence[str | Promise]
    # Beneath the field for the operator ID: what one looks like.
    operator_id_hint: str | Promise
    # Where the operator's staff create zones, as it stands in a sentence.
    zone_settings: str
    # What to bear in mind when an officer does not see a vehicle that the vendor lists; may be empty.
    officer_hint: str | Promise = ""


class Vendor(Protocol):
    """One vendor. All methods may be called from several threads."""

    slug: str
    names: VendorNames
    texts: VendorTexts
    # Whether `a1` and `A1` may be two zones. Where they can't, they are taken for the same.
    zones_have_case: bool
    # How states are sent, `iso` (`US-NC`) or `short` (`NC`); empty where the vendor knows none, or takes either.
    state_form: str
    # The furthest end that a registration may have: what a permit without an end gets.
    latest_end: datetime
    batch_size: int
    # The longest that one request may take, in seconds: a worker that ends waits for its last requests that long.
    total_timeout_s: float

    def clean_operator_id(self, text: str) -> str:
        """Return an operator ID as it is kept (printable ASCII without blanks, at most 36 characters); pure.

        `text` is what somebody typed or copied. Raises `ValidationError` with one sentence where it can't be one.
        """
        ...

    def plan(
        self,
        account: Account,
        remote_state: RemoteState | None,
        desired: Desired | None,
        *,
        now: datetime,
        session_id: str,
    ) -> list[Step]:
        """Return the steps from what the vendor has to what it should have; pure. Empty: nothing to do.

        `session_id` is a fresh id for a session that may have to be started.
        """
        ...

    def apply(self, remote_state: RemoteState | None, step: Step) -> RemoteState | None:
        """Return what the vendor has after it accepted `step`; pure."""
        ...

    def until(self, remote_state: RemoteState | None) -> datetime | None:
        """Return the end of what the vendor has; pure."""
        ...

    def observe(self, right: RightSeen) -> RemoteState | None:
        """Return what the vendor has, as far as a right shows it; None where it can't be read; pure.

        A region that is not known is left empty, and so out of the steps that are planned from it.
        """
        ...

    def undo(self, account: Account, step: Step, *, now: datetime) -> Step | None:
        """Return the step that ends what `step` may have begun, or None where it begins nothing; pure."""
        ...

    def preflight_error(self, desired: Desired) -> DeliveryError | None:
        """Return why the vendor would refuse `desired` where that is known without asking; pure."""
        ...

    def send(self, account: Account, steps: Sequence[Step]) -> Sent:
        """Send steps of one kind in one request. Never raises a `DeliveryError`: each step's result is in the answer."""
        ...

    def fetch_zones(self, operator_id: str) -> list[ZoneSeen]:
        """Return all zones of the account; raise `DeliveryError`."""
        ...

    def fetch_rights(
        self, operator_id: str, *, zone_id: str = "", plate: str = "", subdivision: str = ""
    ) -> list[RightSeen]:
        """Return the parking rights that have not ended; raise `DeliveryError`."""
        ...

    def read_rights(self, operator_id: str, take: Callable[[RightSeen], None]) -> None:
        """Hand each parking right that has not ended to `take` as it arrives, without its whole document (`raw`).

        For accounts with very many rights. Raises `DeliveryError`; what was handed over until then is no whole list.
        """
        ...

    def check_token(self) -> None:
        """Make sure that the account's credentials work; raise `DeliveryError`."""
        ...


@cache
def get_vendor(slug: str) -> Vendor:
    """Return the one instance of a vendor; raise `KeyError` for an unknown slug."""
    vendor: Vendor = import_string(settings.INTEGRATION_VENDORS[slug])()
    return vendor
