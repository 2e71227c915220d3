"""What tests of the admin share: support's browser, and a permit that Passport is to have."""

import pytest
from django.test import Client

from locations.models import Permit, User
from tests.factories import PermitFactory, UserFactory, ZoneMappingFactory


@pytest.fixture
def support(client: Client) -> User:
    """The support user who is signed in in `client`."""
    user = UserFactory(support=True)
    client.force_login(user)
    return user


@pytest.fixture
def permit() -> Permit:
    """A permit at a mapped location."""
    mapping = ZoneMappingFactory()
    return PermitFactory(location=mapping.location, plate="abc 123")
