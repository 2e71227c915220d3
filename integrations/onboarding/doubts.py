"""Locations at which a test plate was not seen: a connection doesn't go live automatically as long as there are any.

One officer sees the plate in one zone, another sees nothing in the next; the first answer says nothing of the second zone.
A person then sets the connection live all the same, or tests the location again.
"""

from collections.abc import Sequence

from integrations.models import Connection, TestPlate


def not_seen(connection: Connection) -> list[TestPlate]:
    """Return the last answered tests of locations that still send to this connection, where the answer was no; by name."""
    answered = TestPlate.objects.filter(connection=connection).exclude(answer="")
    mapped = answered.filter(location__zone_mapping__zone__connection=connection)
    latest: dict[int, TestPlate] = {}
    for test in mapped.select_related("location", "zone").order_by("answered_at", "pk"):
        latest[test.location_id] = test
    found = [test for test in latest.values() if test.answer == TestPlate.Answer.NO]
    return sorted(found, key=lambda test: test.location.name)


def named(tests: Sequence[TestPlate]) -> str:
    """Return the locations of tests in one line, with their zones."""
    return ", ".join(f"{test.location} ({test.zone.number})" for test in tests)
