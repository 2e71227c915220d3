"""The company that goes live step by step in the browser, before its first step; created inside the product (`Stack.run`)."""

from integrations.models import Contact
from locations.models import Company, Location, Membership
from tests.factories import PermitFactory, UserFactory


def build() -> None:
    """Make a company with a manager (Kim), a contact, two locations and three permits; and a person of support."""
    company = Company.objects.create(name="University", slug="university", offstreet_id="OS-1")
    kim = UserFactory(email="kim@u.example", first_name="Kim", last_name="Manager")
    Membership.objects.create(company=company, user=kim, role="manager")
    UserFactory(email="support@offstreet.example", support=True)
    Contact.objects.create(company=company, kind="enforcement", name="Robin", email="robin@u.example")
    garage = Location.objects.create(company=company, name="North Campus Garage")
    Location.objects.create(company=company, name="Visitor lane")
    for plate in ("AAA111", "BBB222", "CCC333"):
        PermitFactory(location=garage, plate=plate)
