"""What tests of the zones' pages share: a company with a live connection, and its clients."""

import pytest

from tests.pages import World


@pytest.fixture
def world() -> World:
    """A company with a live connection, and its clients."""
    return World.build(name="University", slug="university")
