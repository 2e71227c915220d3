"""The `world` of the tests that deliver: a company on the sandbox's Passport, in memory, in place of the plain one."""

from collections.abc import Iterator

import pytest

from tests.passport.sandbox_transport import SandboxTransport
from tests.world import World, world_in_memory


@pytest.fixture
def world(db: None, transport: SandboxTransport) -> Iterator[World]:
    """A company that is live on the sandbox's Passport."""
    with world_in_memory(transport) as world:
        yield world


@pytest.fixture
def world_before_live(db: None, transport: SandboxTransport) -> Iterator[World]:
    """A company on the sandbox's Passport whose connection is not live yet."""
    with world_in_memory(transport, live=False) as world:
        yield world
