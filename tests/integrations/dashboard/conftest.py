"""The company of the overview's tests is one for which everything is in order."""

import pytest

from tests.integrations.dashboard.samples import in_order
from tests.pages import World


@pytest.fixture
def world(world: World) -> World:
    """A company with a live connection that was just compared, and a worker that runs."""
    in_order()
    return world
