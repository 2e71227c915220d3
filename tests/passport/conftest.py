"""What tests of commands share: a company, and what Passport lists for it in memory."""

from collections.abc import Iterator

import pytest

from locations.models import Company
from tests.factories import CompanyFactory, LocationFactory
from tests.fakes import FakeVendor, fake_vendor, zone_seen


@pytest.fixture
def vendor() -> Iterator[FakeVendor]:
    """A vendor in memory that lists three zones, two of which differ in case alone."""
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
