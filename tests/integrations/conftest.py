"""What tests of `integrations` share: a vendor in memory instead of Passport, and fresh limits."""

from collections.abc import Iterator

import pytest

from integrations import limit
from tests.fakes import FakeVendor, fake_vendor


@pytest.fixture(autouse=True)
def no_counts() -> Iterator[None]:
    """Let no limit count what another test did: the ids of people begin anew with each."""
    counters = (limit._shared, limit._alone)
    for one in counters:
        one.cache_clear()
    yield
    for one in counters:
        one.cache_clear()


@pytest.fixture
def vendor() -> Iterator[FakeVendor]:
    """A vendor in memory, in the place of Passport."""
    with fake_vendor() as fake:
        yield fake
