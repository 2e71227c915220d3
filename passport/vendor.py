"""Passport as `integrations` sees it: the vendor protocol, built from plan, client and problems."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
from django.conf import settings
from django.db.utils import Error as DatabaseError
from django.utils import timezone
from django.utils.translation import gettext as _

from integrations.delivery.rate_limit import waited_s, waiter
from integrations.vendors.errors import DeliveryError, FixRecord, TooLarge, TryLater, Unexpected
from integrations.vendors.protocol import (
    NO_END,
    Account,
    Desired,
    RemoteState,
    RightSeen,
    Sent,
    Step,
    ZoneSeen,
)
from integrations.vendors.right_keys import region_key
from locations.regions import COUNTRIES
from passport import onboarding, reading
from passport import plan as planning
from passport.answers import read_answer
from passport.batch_size import BatchSize
from passport.client import Config, PassportClient, new_trace_id
from passport.tokens import DatabaseTokenStore

_LONG_AGO = datetime(1970, 1, 1, tzinfo=UTC)

log = structlog.get_logger(__name__)


def config_from_settings() -> Config:
    """Return the client's configuration from the environment's settings."""
    return Config(
        base_url=settings.PASSPORT_BASE_URL,
        client_id=settings.PASSPORT_CLIENT_ID,
        client_secret=settings.PASSPORT_CLIENT_SECRET,
        audience=settings.PASSPORT_AUDIENCE,
        connect_timeout_s=settings.PASSPORT_CONNECT_TIMEOUT_S,
        read_timeout_s=settings.PASSPORT_READ_TIMEOUT_S,
        total_timeout_s=settings.PASSPORT_TOTAL_TIMEOUT_S,
    )


def default_client() -> PassportClient:
    """Return a client on the environment's settings, with a token shared by the whole fleet."""
    config = config_from_settings()
    tokens = DatabaseTokenStore(
        base_url=config.base_url, client_id=config.client_id, client_secret=config.client_secret
    )
    wait = waiter("passport", settings.PASSPORT_REQUESTS_PER_SECOND)
    return PassportClient(config, tokens=tokens, before_request=wait)


class Passport:
    """The vendor; implements `integrations.vendors.protocol.Vendor`."""

    slug = "passport"
    names = onboarding.NAMES
    texts = onboarding.TEXTS
    # Zone IDs are compared character by character (Offstreet's integration guide).
    zones_have_case = True
    # Nothing says how far ahead an end may lie (assumed: P16).
    latest_end = datetime(2099, 12, 31, 23, 59, 59, tzinfo=UTC)

    def __init__(self, client: PassportClient | None = None) -> None:
        self._client = client or default_client()
        self.total_timeout_s: float = settings.PASSPORT_TOTAL_TIMEOUT_S
        self._batch = BatchSize(settings.PASSPORT_EVENT_BATCH_SIZE)
        self.state_form: str = settings.PASSPORT_STATE_FORMAT
        self._wire: dict[str, Any] = {
            "state_format": settings.PASSPORT_STATE_FORMAT,
            "currency": settings.PASSPORT_CURRENCY,
        }

    @property
    def batch_size(self) -> int:
        """How many events one request may carry now: the configured number, or fewer after a request was too large."""
        return self._batch.now()

    @batch_size.setter
    def batch_size(self, size: int) -> None:
        self._batch = BatchSize(size)

    # -- decisions (pure) ------------------------------------------------------------------------------------

    def clean_operator_id(self, text: str) -> str:
        """See `passport.onboarding.clean_operator_id`."""
        return onboarding.clean_operator_id(text)

    def plan(
        self,
        account: Account,
        remote_state: RemoteState | None,
        desired: Desired | None,
        *,
        now: datetime,
        session_id: str,
    ) -> list[Step]:
        """See `passport.plan.plan`."""
        return planning.plan(account, remote_state, desired, now=now, session_id=session_id, **self._wire)

    def apply(self, remote_state: RemoteState | None, step: Step) -> RemoteState | None:
        """See `passport.plan.apply`."""
        return planning.apply(remote_state, step)

    def until(self, remote_state: RemoteState | None) -> datetime | None:
        """Return the end of what Passport has."""
        return None if remote_state is None else planning.parse_timestamp(remote_state["end"])

    def observe(self, right: RightSeen) -> RemoteState | None:
        """Return the session of a parking right; None without a reference or a start, or where a time can't be read."""
        if not right.reference or right.start is None or right.unreadable:
            return None
        subdivision = region_key(right.subdivision, right.country)
        return {
            "session_id": right.reference,
            "zone_id": right.zone_id,
            "plate": right.plate,
            "country": subdivision[:2] or (right.country if right.country in COUNTRIES else ""),
            "subdivision": subdivision,
            "start": planning.timestamp(right.start),
            "end": planning.timestamp(right.end or NO_END),
            "space": right.space_number,
            "rate": "",
            # The list doesn't say when the session's last event occurred. Its start won't do: that may be in the future, and
            # so would be the event that ends it.
            "occurred_at": planning.timestamp(_LONG_AGO),
        }

    def undo(self, account: Account, step: Step, *, now: datetime) -> Step | None:
        """See `passport.plan.undo`."""
        return planning.undo(account, step, now=now, **self._wire)

    def preflight_error(self, desired: Desired) -> DeliveryError | None:
        """A space zone needs a space number (documented: Z4); asking Passport would delay the whole batch."""
        if desired.needs_space and not desired.space_number:
            return FixRecord(
                _("This zone requires a space number, and the permit has none."),
                remedy=_("Enter the space number."),
                code="space_number_required",
                for_good=True,
            )
        return None

    # -- calls -----------------------------------------------------------------------------------------------

    def send(self, account: Account, steps: Sequence[Step]) -> Sent:
        """Send steps of one kind in one request; the answer holds a result for each, in order."""
        trace_id, began, waited_before_s = new_trace_id(), timezone.now(), waited_s()
        status: int | None = None
        error: DeliveryError | None
        results: list[DeliveryError | None]
        named, named_surely = (), False  # type: tuple[int, ...], bool
        try:
            answer = self._client.post_events(
                planning.EVENT_TYPE[steps[0]["kind"]], [step["event"] for step in steps], trace_id=trace_id
            )
            trace_id, status = answer.trace_id, answer.status
            reading = read_answer(answer, [step["session"] for step in steps], now=timezone.now())
            results, error = reading.results, reading.error
            named, named_surely = reading.named, reading.named_surely
            if isinstance(error, TooLarge):
                self._batch.was_too_large(len(steps))
        except DeliveryError as raised:
            error, results = raised, [raised] * len(steps)
            trace_id, status = raised.trace_id or trace_id, raised.status
        except DatabaseError as raised:
            # The token and the request limit are in our own database: not the fault of these permits.
            log.warning("our database went away while sending", error=type(raised).__name__)
            error = TryLater(_("Offstreet's own database did not answer."), code="database")
            results = [error] * len(steps)
        except Exception as raised:
            log.exception("sending failed unexpectedly", trace_id=trace_id)
            error = Unexpected(
                _("Sending failed: %(name)s.") % {"name": type(raised).__name__}, code=type(raised).__name__
            )
            results = [error] * len(steps)
        waited = waited_s() - waited_before_s
        return Sent(
            results,
            trace_id=trace_id,
            sent_at=began + timedelta(seconds=waited),
            answered_at=timezone.now(),
            status=status,
            error=error,
            waited_s=waited,
            named=named,
            named_surely=named_surely,
        )

    def fetch_zones(self, operator_id: str) -> list[ZoneSeen]:
        """Return all zones of an operator; raise `DeliveryError`."""
        return reading.zones(self._client.list_zones(operator_id), operator_id=operator_id)

    def fetch_rights(
        self, operator_id: str, *, zone_id: str = "", plate: str = "", subdivision: str = ""
    ) -> list[RightSeen]:
        """Return the parking rights of an operator that have not ended; raise `DeliveryError`."""
        state = subdivision.partition("-")[2] if self._wire["state_format"] == "short" else subdivision
        filters = {
            "operator_id": operator_id,
            "zone_id": zone_id,
            "vehicle_plate": plate,
            "vehicle_state": state,
        }
        return reading.rights(
            self._client.list_rights({name: value for name, value in filters.items() if value})
        )

    def read_rights(self, operator_id: str, take: Callable[[RightSeen], None]) -> None:
        """Hand the parking rights of an operator to `take` one by one; raise `DeliveryError`."""
        self._client.read_rights(
            {"operator_id": operator_id}, lambda entry: take(reading.right(entry, keep_raw=False))
        )

    def check_token(self) -> None:
        """Make sure that the partner application's credentials work; raise `DeliveryError`."""
        self._client.check_token()
