"""Companies with their people and locations, as stories need them at the beginning."""

from collections.abc import Sequence

from integrations.models import Contact
from locations.invitations import token_of
from locations.models import Company, Invitation, Location, Membership
from tests.factories import UserFactory


def make_company(
    *,
    name: str = "University",
    slug: str = "university",
    locations: Sequence[str] = (),
    people: Sequence[str] = (),
    role: str = "manager",
    enforcement: str = "",
) -> None:
    """Make a company with locations of these names, and people with these addresses and `tests.factories.PASSWORD`.

    `enforcement` is the address of the company's contact for enforcement.
    """
    company = Company.objects.create(name=name, slug=slug, offstreet_id=f"OS-{slug}")
    for location in locations:
        Location.objects.create(company=company, name=location)
    for email in people:
        Membership.objects.create(company=company, user=UserFactory(email=email), role=role)
    if enforcement:
        Contact.objects.create(company=company, kind=Contact.Kind.ENFORCEMENT, email=enforcement)


def make_kims_company(*, name: str, slug: str) -> None:
    """Make a company that is about to connect: Kim manages it, Robin works in its enforcement, and it has a garage."""
    make_company(
        name=name,
        slug=slug,
        locations=["North Campus Garage"],
        people=[f"kim@{slug}.example"],
        enforcement="robin@u.example",
    )


def invitation_token(*, email: str) -> str:
    """Return the token of the link that was mailed to the person invited at this address."""
    return token_of(Invitation.objects.get(email=email).pk)
