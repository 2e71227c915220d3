"""What tests of `locations` share: a company with its clients, and a person about whom the security log has nothing yet."""

import pytest

from locations.models import AuditEvent, User
from tests.factories import UserFactory


@pytest.fixture
def person() -> User:
    """A person whose new account is no longer in the log."""
    made: User = UserFactory(email="olivia@university.example")
    AuditEvent.objects.all()._raw_delete("default")
    return made
