"""Two imports with the same references, each in its own order, wait for each other and never deadlock."""

from datetime import timedelta

import pytest
from django.utils import timezone

from locations.models import Permit
from locations.services import PermitDraft, register_permits
from tests.factories import LocationFactory

pytestmark = pytest.mark.django_db


def test_rows_are_saved_in_the_order_of_their_references_and_given_back_in_that_of_the_drafts() -> None:
    location, now = LocationFactory(), timezone.now()
    references = ["R3", "", "R1", "R2", ""]
    drafts = [
        PermitDraft(location, f"P{number}", "US-NC", now, now + timedelta(hours=1), external_id=reference)
        for number, reference in enumerate(references)
    ]
    saved = register_permits(drafts=drafts)
    assert [permit.plate for permit in saved] == ["P0", "P1", "P2", "P3", "P4"]
    assert [permit.external_id for permit in saved] == references
    in_order = Permit.objects.order_by("pk").values_list("external_id", flat=True)
    assert list(in_order) == ["", "", "R1", "R2", "R3"]
    assert {permit.pk for permit in saved} == set(Permit.objects.values_list("pk", flat=True))
