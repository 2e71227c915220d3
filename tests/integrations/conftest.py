"""What tests of `integrations` share: a vendor in memory instead of Passport, or the way to a sandbox."""

from collections.abc import Iterator

import pytest

from tests.fakes import FakeVendor, fake_vendor
from tests.passport.sandbox_transport import SandboxTransport


@pytest.fixture
def vendor() -> Iterator[FakeVendor]:
    """A vendor in memory, in the place of Passport."""
    with fake_vendor() as fake:
        yield fake


@pytest.fixture
def transport() -> SandboxTransport:
    """The way to a sandbox of its own."""
    return SandboxTransport()
