"""The test plate in one of the pictures: its steps, each inside the product (`Stack.run`)."""

from integrations.models import Connection, TestPlate
from integrations.notifications import signed_links
from integrations.onboarding import test_plates
from locations.regions import Region


def start() -> int:
    """Send a test plate of the company that is being tested; return its id."""
    connection = Connection.objects.get(company__slug="lakeshore-city")
    location = connection.company.locations.get(name="Front Street Lot")
    return test_plates.start_test(connection=connection, location=location, region=Region("US", "US-MI")).pk


def is_seen(*, test: int) -> bool:
    """Whether enforcement's list has shown it."""
    return TestPlate.objects.get(pk=test).seen_at is not None


def ask_by_mail(*, test: int) -> str:
    """Ask enforcement whether it is seen; return the token of the link that is mailed."""
    asked = test_plates.ask_by_mail(
        test=TestPlate.objects.get(pk=test), addresses=["enforcement@lakeshore-city.example"]
    )
    assert asked.link_expires_at is not None
    issue = signed_links.issue_of(asked.link_expires_at)
    return signed_links.test_token(signed_links.TestLink(asked.pk, issue, 0))
