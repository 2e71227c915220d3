"""What page tests share: a company with one person of each role, and clients signed in as these.

`World` is what tests call their company, and `world` the fixture (`tests/conftest.py`). `tests.world.World` is the same on
the sandbox's Passport, for tests that deliver.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

from django.db import connection
from django.test import Client
from django.test.utils import CaptureQueriesContext
from django.urls import reverse
from django.utils.functional import cached_property

from integrations.models import Connection, Zone
from integrations.worker import tasks
from integrations.zones import refresh as zone_refresh
from locations.models import Company, Location, Role, User
from tests.factories import (
    PASSWORD,
    CompanyFactory,
    ConnectionFactory,
    LocationFactory,
    MembershipFactory,
    UserFactory,
    ZoneFactory,
    ZoneMappingFactory,
)

if TYPE_CHECKING:
    import pytest  # functions that run inside the product use this module too, and must start quickly

HTMX = {"HX-Request": "true"}
# No page may make more queries than this, no matter how much it shows.
QUERY_BUDGET = 15


def signed_in(user: User) -> Client:
    """Return a client that is signed in as `user`."""
    client = Client()
    client.force_login(user, backend="django.contrib.auth.backends.ModelBackend")
    return client


def reauthenticate(client: Client, password: str = PASSWORD) -> None:
    """Give the password once more, as pages require that change permissions."""
    client.post(reverse("account_reauthenticate"), {"password": password})


@dataclass
class World:
    """One company with a live connection; people and clients are made when a test asks for them."""

    company: Company
    connection: Connection

    @classmethod
    def build(cls, **company: Any) -> "World":
        """Make a company with a live connection."""
        made = CompanyFactory(**company)
        return cls(made, ConnectionFactory(company=made, live=True))

    @cached_property
    def viewer(self) -> Client:
        """A client signed in as a viewer."""
        return self._member(Role.VIEWER)

    @cached_property
    def operator(self) -> Client:
        """A client signed in as an operator."""
        return self._member(Role.OPERATOR)

    @cached_property
    def manager(self) -> Client:
        """A client signed in as a manager."""
        return self._member(Role.MANAGER)

    @cached_property
    def support(self) -> Client:
        """A client signed in as support."""
        return signed_in(UserFactory(support=True))

    def _member(self, role: str) -> Client:
        return signed_in(MembershipFactory(company=self.company, role=role).user)

    def zone(self, number: str, **values: Any) -> Zone:
        """Make a zone of the company's connection."""
        zone: Zone = ZoneFactory(connection=self.connection, number=number, **values)
        return zone

    def location(self, name: str, zone: Zone | str | None = None, **values: Any) -> Location:
        """Make a location, mapped to `zone` (a zone, or the number of one of the connection's) if given."""
        location: Location = LocationFactory(company=self.company, name=name, **values)
        if zone is not None:
            found = self.connection.zones.get(number=zone) if isinstance(zone, str) else zone
            ZoneMappingFactory(location=location, zone=found)
        return location

    def url(self, name: str, *args: Any) -> str:
        """Return the address of one of the company's pages."""
        return reverse(name, args=[self.company.slug, *args])


def text_of(response: Any) -> str:
    """Return a response's text with runs of white space collapsed, so that a sentence can be searched for."""
    return " ".join(response.content.decode().split())


@contextmanager
def counted() -> Iterator[CaptureQueriesContext]:
    """Count the queries that a test's block makes: `len(queries)`."""
    with CaptureQueriesContext(connection) as queries:
        yield queries


def count_queries(client: Client, url: str) -> int:
    """Return how many queries a page takes, and check the budget."""
    client.get(url)  # the session and what is cached once in a process
    with counted() as queries:
        response = client.get(url)
    assert response.status_code == 200
    said = "\n".join(query["sql"][:200] for query in queries.captured_queries)
    assert len(queries) <= QUERY_BUDGET, f"{url} takes {len(queries)} queries:\n{said}"
    return len(queries)


def take_refreshes(monkeypatch: "pytest.MonkeyPatch", take: Callable[[int], object]) -> None:
    """Pass the refreshes that a page starts to `take`, in place of a broker; the task must be registered with workers."""

    def send_task(name: str, *, args: Sequence[int], **_rest: object) -> None:
        assert name == tasks.refresh_zones.name
        take(*args)

    monkeypatch.setattr(zone_refresh, "current_app", SimpleNamespace(send_task=send_task))
