"""What the demo begins with: three companies, their people, locations and permits in every state a page can show.

Everything is made up, from one seeded generator, and saved through the same services as everywhere. What is there
already (told apart by slugs, addresses, names and external ids) stays as it is, so seeding may be run again.

*University* is live, *Lakeshore City* is being tested, *Harbor Properties* was just set up: their operators are the
sandbox's. A Passport that doesn't list these operators' zones, or doesn't answer, leaves the companies without
integrations, and a notice on their pages says so; seeding again connects them once it does.
"""

import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

import orjson
from django.db import transaction
from django.db.models import Max
from django.utils import timezone

from integrations.models import Connection, Contact, Mail, Zone
from integrations.onboarding import automation, connections
from integrations.onboarding.services import set_up
from integrations.zones import mapping
from locations.addresses import verify_address
from locations.models import Company, Location, Membership, Permit, Role, User
from locations.services import PermitDraft, cancel_permits, register_permits, save_company, save_location
from offstreet import seeding_connection
from offstreet.seeding_history import make_history
from passport.sandbox.zones import DEFAULT_ZONES_FILE

PASSWORD = "demo-passport"
SUPPORT_EMAIL = "support@offstreet.example"
SEED = 2026
QUARTER_S = 900


@dataclass(frozen=True, slots=True)
class Place:
    """A location; `zone` is the number of the zone it is mapped to, or empty; `share` is its part of the permits."""

    name: str
    zone: str = ""
    share: int = 1
    external_id: str = ""


@dataclass(frozen=True, slots=True)
class Story:
    """One company of the demo."""

    name: str
    slug: str
    offstreet_id: str
    timezone: str
    status: Connection.Status
    people: Sequence[tuple[str, str, Role]]
    places: Sequence[Place]
    permits: int
    subdivisions: Sequence[str]
    contacts: Sequence[tuple[str, str, str]] = field(default=())


STORIES = (
    Story(
        name="University",
        slug="university",
        offstreet_id="OS-2041",
        timezone="America/New_York",
        status=Connection.Status.LIVE,
        people=(
            ("operator@university.example", "Robin Meyer", Role.OPERATOR),
            ("manager@university.example", "Sam Okafor", Role.MANAGER),
            ("viewer@university.example", "Alex Lindqvist", Role.VIEWER),
        ),
        places=(
            Place("North Campus Garage", "Z123", 6, "NCG"),
            Place("Lot B", "LotB", 4),
            Place("Student Center", "Lot 22", 4),
            Place("Rec Garage", "RG", 3),
            Place("Julka Dr.", "Lot 66", 3),
            Place("Short stay", "SP-01", 2),
            Place("E. 24th Street", "", 1),
            Place("LOT 70", "", 0),
            Place("Visitor lane", "", 2),
        ),
        permits=320,
        subdivisions=("US-NC", "US-NC", "US-NC", "US-NC", "US-SC", "US-VA", "US-TN", "US-OH", "CA-ON"),
        contacts=(
            (Contact.Kind.ENFORCEMENT, "Campus enforcement", "enforcement@university.example"),
            (Contact.Kind.ACCOUNT_MANAGER, "Dana Whitfield", "dana.whitfield@passport.example"),
            (Contact.Kind.OFFSTREET, "Offstreet support", SUPPORT_EMAIL),
        ),
    ),
    Story(
        name="Lakeshore City",
        slug="lakeshore-city",
        offstreet_id="OS-2077",
        timezone="America/Detroit",
        status=Connection.Status.TESTING,
        people=(("operator@lakeshore-city.example", "Jo Hakala", Role.OPERATOR),),
        places=(
            Place("Front Street Lot", "0303", 3),
            Place("Bluff St. Ramp", "2424", 2),
            Place("Main Street", "", 1, "1010"),
            Place("Harbor overflow", "", 1),
        ),
        permits=90,
        subdivisions=("US-MI", "US-MI", "US-MI", "US-WI", "CA-ON"),
        contacts=(
            (Contact.Kind.ENFORCEMENT, "City enforcement", "enforcement@lakeshore-city.example"),
            (Contact.Kind.ACCOUNT_MANAGER, "Dana Whitfield", "dana.whitfield@passport.example"),
        ),
    ),
    Story(
        name="Harbor Properties",
        slug="harbor-properties",
        offstreet_id="OS-2090",
        timezone="America/Los_Angeles",
        status=Connection.Status.SETUP,
        people=(("operator@harbor-properties.example", "Kit Alvarez", Role.OPERATOR),),
        places=(
            Place("Harbor Row B1", "", 2),
            Place("Harbor Row C1", "", 2),
            Place("HARBOR ROW D1", "", 1),
            Place("Pier garage", "", 1, "5"),
        ),
        permits=60,
        subdivisions=("US-CA", "US-CA", "US-OR", "US-WA"),
    ),
)


def seed(say: Callable[[str], object]) -> None:
    """Bring the three companies into the database; `say` is told what was done, a line each."""
    support = _person(SUPPORT_EMAIL, "Charlie Novak", support=True)
    shipped = {entry["name"]: entry for entry in orjson.loads(DEFAULT_ZONES_FILE.read_bytes())["operators"]}
    passport = seeding_connection.Passport()
    for story in STORIES:
        company, operator = _company(story)
        mails_before = Mail.objects.aggregate(last=Max("pk"))["last"] or 0
        has_none = not company.connections.exists()
        connection, why_none = seeding_connection.connected(
            company, shipped[story.name]["operator_id"], passport, support
        )
        places = _places(story, company)
        if connection is not None:
            _map(connection, story, places, operator)
        made = _permits(story, places, operator)
        if connection is not None:
            _advance(connection, story, support)
            _past(connection, story)
        if connection is not None and has_none:
            # What a worker would do next, with its emails; no one needs to hear of a made-up past.
            automation.follow(connection, timezone.now())
            Mail.objects.filter(company=company, pk__gt=mails_before).delete()
        stands = f"no integration: {why_none}" if connection is None else connection.get_status_display()
        say(f"{company}: {len(places)} locations, {made} new permits, {stands}")


# --- People and places --------------------------------------------------------------------------------------------


def _person(email: str, name: str, *, support: bool = False) -> User:
    first, _, last = name.partition(" ")
    person, is_new = User.objects.get_or_create(
        email=email,
        defaults={"first_name": first, "last_name": last, "is_staff": support, "is_superuser": support},
    )
    if is_new:
        person.set_password(PASSWORD)
        person.save()
    # No mail reaches the demo's made-up people, and its log-ins work at once.
    verify_address(person)
    return person


def _company(story: Story) -> tuple[Company, User]:
    """Return the company and its operator."""
    company = Company.objects.filter(offstreet_id=story.offstreet_id).first()
    if company is None:
        company = save_company(
            company=Company(name=story.name, slug=story.slug, offstreet_id=story.offstreet_id)
        )
    people = {}
    for email, name, role in story.people:
        people[role] = _person(email, name)
        Membership.objects.get_or_create(user=people[role], company=company, defaults={"role": role})
    for kind, name, email in story.contacts:
        Contact.objects.get_or_create(company=company, kind=kind, email=email, defaults={"name": name})
    return company, people[Role.OPERATOR]


def _places(story: Story, company: Company) -> dict[str, Location]:
    places = {location.name: location for location in company.locations.all()}
    for place in story.places:
        if place.name not in places:
            places[place.name] = save_location(
                location=Location(
                    company=company, name=place.name, external_id=place.external_id, timezone=story.timezone
                )
            )
    return places


# --- The connection -----------------------------------------------------------------------------------------------


def _map(connection: Connection, story: Story, places: dict[str, Location], operator: User) -> None:
    """Map the locations that have no zone yet; what has been mapped since stays."""
    if connection.status == Connection.Status.ENDED:
        return
    by_number = {zone.number: zone for zone in Zone.objects.listed().filter(connection=connection)}
    unmapped = set(connection.company.locations.filter(zone_mapping=None).values_list("name", flat=True))
    choices = [
        (places[place.name], by_number[place.zone])
        for place in story.places
        if place.zone in by_number and place.name in unmapped
    ]
    mapping.map_locations(choices=choices, actor=operator)


def _advance(connection: Connection, story: Story, support: User) -> None:
    """Take a connection that is being set up to where its company's story begins."""
    connection.refresh_from_db()
    if connection.status != Connection.Status.SETUP:
        return
    set_up(connection=connection, actor=support)
    if story.status != Connection.Status.SETUP:
        connections.begin_testing(connection=connection, actor=support)
    if story.status == Connection.Status.LIVE:
        connections.go_live(
            connection=connection, actor=support, reason="The demo begins with a live company."
        )


def _past(connection: Connection, story: Story) -> None:
    """Give a live company the deliveries of the past thirty days."""
    if story.status == Connection.Status.LIVE:
        make_history(
            connection=connection,
            now=timezone.now(),
            draw=random.Random(f"{SEED} history"),
            clock=story.timezone,
        )
    connection.refresh_from_db()


# --- Permits ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Kind:
    """What a share of the permits is like: when they begin and end, in hours from now."""

    share: int
    start_h: tuple[int, int]
    lasts_h: tuple[int, int]
    cancelled: bool = False


_KINDS = (
    _Kind(52, (-900, -1), (1_200, 4_400)),  # current, for months
    _Kind(14, (-10, -1), (14, 60)),  # current, visitors
    _Kind(16, (6, 700), (12, 2_200)),  # coming
    _Kind(10, (-900, -60), (4, 48)),  # ended
    _Kind(8, (-500, -1), (600, 2_000), cancelled=True),
)
_TYPES = ("Resident", "Visitor", "Staff", "Contractor", "")
_LETTERS = "ABCDEFGHJKLMNPRSTVWXYZ"


def _permits(story: Story, places: dict[str, Location], operator: User) -> int:
    """Register those of the company's permits that are not there yet; return how many that were."""
    draw = random.Random(f"{SEED} {story.slug}")
    company = places[story.places[0].name].company_id
    known = set(Permit.objects.filter(company=company).values_list("external_id", flat=True))
    now = timezone.now()
    drafts = list(_drafts(story, places, draw, now))
    fresh = [(draft, cancelled) for draft, cancelled in drafts if draft.external_id not in known]
    with transaction.atomic():
        permits = register_permits(
            drafts=[draft for draft, _ in fresh], actor=operator, source=Permit.Source.IMPORT
        )
        cancelled = [permit for permit, (_, cancel) in zip(permits, fresh, strict=True) if cancel]
        cancel_permits(permits=cancelled, actor=operator)
    return len(permits)


def _drafts(
    story: Story, places: dict[str, Location], draw: random.Random, now: datetime
) -> Iterator[tuple[PermitDraft, bool]]:
    """Yield the company's permits and whether each is cancelled afterwards."""
    shares = [place.share for place in story.places]
    kind_shares = [kind.share for kind in _KINDS]
    for number in range(1, story.permits + 1):
        place = draw.choices(story.places, shares)[0]
        kind = draw.choices(_KINDS, kind_shares)[0]
        start = _quarter(now + timedelta(hours=draw.uniform(*kind.start_h)))
        end = _quarter(start + timedelta(hours=draw.uniform(*kind.lasts_h)))
        by_space = place.zone.startswith("SP-")
        yield (
            PermitDraft(
                location=places[place.name],
                plate=_plate(draw),
                subdivision=draw.choice(story.subdivisions),
                start=start,
                end=end,
                # The zone has forty spaces, so Passport refuses those that are said to be in another one.
                space_number=str(draw.randint(1, 50)) if by_space else "",
                type=draw.choice(_TYPES),
                unit=draw.choice(
                    ("", "", f"{draw.choice('ABC')}-{draw.randint(1, 40)}", str(draw.randint(101, 480)))
                ),
                external_id=f"D-{number:05d}",
            ),
            kind.cancelled,
        )


def _quarter(moment: datetime) -> datetime:
    """Round down to a quarter of an hour, as people enter times."""
    return datetime.fromtimestamp(moment.timestamp() // QUARTER_S * QUARTER_S, tz=moment.tzinfo)


def _plate(draw: random.Random) -> str:
    """Return a made-up plate in one of the ways in which people write them."""
    letters = "".join(draw.choices(_LETTERS, k=3))
    digits = f"{draw.randint(0, 9999):04d}"
    return draw.choice(
        (f"{letters}{digits}", f"{letters}-{digits}", f"{letters.lower()} {digits}", f"{letters}{digits[:3]}")
    )
