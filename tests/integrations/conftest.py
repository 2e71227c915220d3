"""What tests of `integrations` share: a vendor in memory instead of Passport."""

from collections.abc import Iterator

import pytest

from tests.fakes import FakeVendor, fake_vendor


@pytest.fixture
def vendor() -> Iterator[FakeVendor]:
    """A vendor in memory, in the place of Passport."""
    with fake_vendor() as fake:
        yield fake
