"""What tests of `integrations` share: a vendor in memory instead of Passport, or a transport to a sandbox."""

from collections.abc import Iterator

import pytest

from tests.fakes import FakeVendor, fake_vendor
from tests.passport.sandbox_transport import SandboxTransport


@pytest.fixture
def vendor() -> Iterator[FakeVendor]:
    """A vendor in memory, in place of Passport."""
    with fake_vendor() as fake:
        yield fake


@pytest.fixture
def transport() -> SandboxTransport:
    """A transport to a separate sandbox."""
    return SandboxTransport()
