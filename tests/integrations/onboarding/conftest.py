"""What tests of the way to live share: a company on the sandbox's Passport whose connection is not live yet."""

from collections.abc import Iterator

import pytest

from tests.passport.sandbox_transport import SandboxTransport
from tests.world import World, world_in_memory


@pytest.fixture
def world(db: None, transport: SandboxTransport) -> Iterator[World]:
    """A company on the sandbox's Passport whose connection is not live yet."""
    with world_in_memory(transport, live=False) as world:
        yield world
