"""What tests of `integrations` share: a vendor in memory instead of Passport, or a company on the sandbox's Passport."""

from collections.abc import Iterator

import pytest

from tests.fakes import FakeVendor, fake_vendor
from tests.passport.sandbox_transport import SandboxTransport
from tests.world import World, world_in_memory


@pytest.fixture
def vendor() -> Iterator[FakeVendor]:
    """A vendor in memory, in the place of Passport."""
    with fake_vendor() as fake:
        yield fake


@pytest.fixture
def transport() -> SandboxTransport:
    """The way to a sandbox of its own."""
    return SandboxTransport()


@pytest.fixture
def world(db: None, transport: SandboxTransport) -> Iterator[World]:
    """A company that is live on the sandbox's Passport; tests of pages have a `world` of their own."""
    with world_in_memory(transport) as world:
        yield world
