"""What the checks look at: everything is asked for once, and only when a check wants it."""

from dataclasses import dataclass
from datetime import datetime

from django.urls import reverse
from django.utils.functional import cached_property

from integrations.delivery.circuit_breaker import breakers_of
from integrations.models import Breaker, Connection, TestPlate, ZoneMapping, ZoneRefresh
from integrations.permits.counts import DeliveryCounts, delivery_counts, together
from integrations.permits.queries import pick_breaker
from integrations.vendors.errors import DeliveryError, TryLater
from integrations.vendors.naming import default_vendor
from integrations.vendors.protocol import Vendor, VendorNames, ZoneSeen, get_vendor
from locations.models import Company, Location

SUCCESS, NEUTRAL, WARNING, DANGER = "success", "neutral", "warning", "danger"


@dataclass(frozen=True, slots=True)
class Check:
    """One finding: how bad, what was found, what that means, what to do next, and where."""

    key: str
    title: str
    tone: str
    finding: str
    meaning: str = ""
    next_step: str = ""
    path: str = ""


class DiagnosticContext:
    """One connection (or a company without one) at one moment."""

    def __init__(
        self,
        *,
        company: Company,
        connection: Connection | None,
        now: datetime,
        test: TestPlate | None = None,
        asks_vendor: bool = True,
    ) -> None:
        self.asks_vendor = asks_vendor
        self.company = company
        self.connection = connection
        self.now = now
        self._test = test

    def page(self, view: str, *args: object) -> str:
        """Return the path of one of the company's pages."""
        return reverse(view, args=[self.company.slug, *args])

    @property
    def setup_path(self) -> str:
        """The connection's set-up page."""
        return self.page("setup_connection", self.connection.pk) if self.connection else self.page("setup")

    @cached_property
    def vendor(self) -> Vendor:
        """The connection's vendor; without a connection the one that a company is led to."""
        return get_vendor(self.connection.vendor if self.connection else default_vendor())

    @property
    def names(self) -> VendorNames:
        """The vendor's names."""
        return self.vendor.names

    @cached_property
    def token_error(self) -> DeliveryError | None:
        """What the vendor says to our credentials; None where they work, or where it is not asked."""
        if not self.asks_vendor:
            return None
        try:
            self.vendor.check_token()
        except DeliveryError as error:
            return error
        return None

    @cached_property
    def listing(self) -> list[ZoneSeen] | DeliveryError | None:
        """The zones that the vendor lists now, or why it does not; None where there is nobody to ask, or none to ask for.

        Nothing is asked about an operator ID that is not confirmed: how many zones it has is not for whoever enters it.
        A vendor that could not even be reached for a token is not waited for a second time.
        """
        if not self.asks_vendor or self.connection is None or not self.connection.is_confirmed:
            return None
        if isinstance(self.token_error, TryLater):
            return self.token_error
        try:
            return self.vendor.fetch_zones(self.connection.operator_id)
        except DeliveryError as error:
            return error

    @cached_property
    def last_refresh(self) -> ZoneRefresh | None:
        """The latest pull of the zones."""
        if self.connection is None:
            return None
        return ZoneRefresh.objects.filter(connection=self.connection).order_by("-pk").first()

    @cached_property
    def locations(self) -> list[Location]:
        """The company's active locations."""
        return list(Location.objects.filter(company=self.company, active=True).order_by("name"))

    @cached_property
    def mappings(self) -> list[ZoneMapping]:
        """The mappings of the company's active locations, with their zones."""
        found = ZoneMapping.objects.filter(location__company=self.company, location__active=True)
        return list(found.select_related("zone__connection", "location").order_by("location__name"))

    @cached_property
    def breaker(self) -> Breaker | None:
        """What holds the connection's sends back now, or None."""
        if self.connection is None:
            return None
        return pick_breaker(breakers_of([self.connection]), self.connection, self.now)

    @cached_property
    def connections(self) -> list[Connection]:
        """The connection, or all of the company's where there is none in particular."""
        if self.connection is not None:
            return [self.connection]
        return list(self.company.connections.exclude(status=Connection.Status.ENDED))

    @cached_property
    def counts(self) -> DeliveryCounts:
        """How many of the connection's permits wait, were refused and so on, as every page counts them."""
        found = delivery_counts(
            Connection.objects.filter(pk__in=[one.pk for one in self.connections]), self.now
        )
        return together(found.values())

    @cached_property
    def test(self) -> TestPlate | None:
        """The test plate that is asked about: the given one, or the connection's latest."""
        if self._test is not None or self.connection is None:
            return self._test
        tests = TestPlate.objects.filter(connection=self.connection).select_related(
            "permit", "zone", "location"
        )
        return tests.order_by("-pk").first()
