"""What tests of `passport` share: for commands, a company and a vendor in memory; else the vendor on a sandbox."""

from collections.abc import Iterator

import pytest

from locations.models import Company
from passport.vendor import Passport
from tests.factories import CompanyFactory, LocationFactory
from tests.fakes import FakeVendor, fake_vendor, zone_seen
from tests.passport.clients import client_on
from tests.passport.sandbox_partner import Partner
from tests.passport.sandbox_transport import SandboxTransport


@pytest.fixture
def vendor() -> Iterator[FakeVendor]:
    """A vendor in memory that lists three zones, two of which differ only in case."""
    with fake_vendor() as fake:
        fake.zones = [
            zone_seen("a", "LotB", "Lot B"),
            zone_seen("b", "LOTB", "Loading"),
            zone_seen("c", "Z123"),
        ]
        yield fake


@pytest.fixture
def company(vendor: FakeVendor) -> Company:
    """A company with two locations, at a vendor in memory."""
    company: Company = CompanyFactory(name="University", slug="university")
    LocationFactory(company=company, name="Lot B")
    LocationFactory(company=company, name="Visitor lane")
    return company


@pytest.fixture
def transport() -> SandboxTransport:
    """A transport to a separate sandbox."""
    return SandboxTransport()


@pytest.fixture
def passport(transport: SandboxTransport) -> Iterator[Passport]:
    """The vendor over that transport."""
    client = client_on(transport)
    yield Passport(client)
    client.close()


@pytest.fixture
def partner() -> Partner:
    """A partner that has logged in to a separate sandbox."""
    return Partner().log_in()
