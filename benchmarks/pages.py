"""`make bench-pages`: how long every page takes on a million permits, and how many queries it makes.

PostgreSQL is started here. The database is made once (`benchmarks.pages_seed`) and kept in `build/bench-pages`; `--fresh`
makes it anew. Each page is asked for through Django's own test client (middleware, views, templates, queries; no
network), as the person who uses it, at the large company and at one of the others. The first two answers warm up.
"""

import argparse
import gzip
import json
import os
import shutil
import statistics
import subprocess
import sys
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
KEPT = ROOT / "build" / "bench-pages"
RESULTS = ROOT / "build" / "bench-pages.json"
WARM_UP = 2
# What a page may take: issue figures, checked here and never in a timed test.
MOST_MS, MOST_QUERIES = 150.0, 15


@dataclass(frozen=True)
class Figure:
    """What one page took. Times in milliseconds, the size in kilobytes compressed.

    `cpu_ms` is this process's own share (without PostgreSQL); far below the median, it says that the machine was busy.
    """

    page: str
    who: str
    at: str
    p50_ms: float
    p95_ms: float
    cpu_ms: float
    queries: int
    slowest_query_ms: float
    kb: float
    status: int

    @property
    def is_good(self) -> bool:
        """Whether the page holds to its bounds."""
        return self.p95_ms <= MOST_MS and self.queries <= MOST_QUERIES and self.status in (200, 302)


def pages_of(company: Any) -> list[tuple[str, str]]:
    """Return (page, address) of a company's pages."""
    from django.urls import reverse

    from integrations.models import Push, Zone, ZoneRefresh
    from locations.models import Location, Permit

    def at(name: str, *args: Any, query: str = "") -> tuple[str, str]:
        return f"{name}{query}", reverse(name, args=[company.slug, *args]) + query

    permit = Permit.objects.filter(company=company).latest("pk")
    zone = Zone.objects.filter(connection__company=company).latest("pk")
    location = Location.objects.filter(company=company).latest("pk")
    push = Push.objects.filter(connection__company=company).latest("pk")
    refresh = ZoneRefresh.objects.filter(connection__company=company).latest("pk")
    return [
        at("overview"),
        at("overview", query="?span=30d"),
        at("setup"),
        at("doctor"),
        at("locations"),
        at("locations", query="?show=unmapped"),
        at("locations", query="?q=lot"),
        at("location_change", location.pk),
        at("location_map", location.pk),
        at("zone_options", query="?q=00"),
        at("zones"),
        at("zones", query="?q=place"),
        at("zones", query="?show=missing"),
        at("zone", zone.pk),
        at("zone_refreshes"),
        at("zone_refresh", refresh.pk),
        at("permits"),
        at("permits", query=f"?q={permit.plate[:4].lower()}"),
        at("permits", query="?q=A-17"),
        at("permits", query="?when=current"),
        at("permits", query="?push=unprotected"),
        at("permits", query="?push=refused"),
        at("permits", query="?push=waiting"),
        at("permit", permit.pk),
        at("permit_add"),
        at("validity"),
        at("activity"),
        at("activity", query="?outcome=trouble&span=30d"),
        at("push", push.pk),
        at("refused"),
        at("activity_people"),
        at("activity_people", query="?kind=permit"),
        at("settings"),
        at("contacts"),
        at("settings_company"),
    ]


def measure(client: Any, page: str, url: str, *, who: str, at: str, rounds: int) -> Figure:
    """Ask for one page `rounds` times and return what it took."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    for _round in range(WARM_UP):
        response = client.get(url)
    took, worked = [], []
    for _round in range(rounds):
        begun, begun_work = time.perf_counter(), time.process_time()
        response = client.get(url)
        took.append((time.perf_counter() - begun) * 1000)
        worked.append((time.process_time() - begun_work) * 1000)
    with CaptureQueriesContext(connection) as queries:
        client.get(url)
    return Figure(
        page=page,
        who=who,
        at=at,
        p50_ms=statistics.median(took),
        p95_ms=statistics.quantiles(took, n=20, method="inclusive")[-1],
        cpu_ms=statistics.median(worked),
        queries=len(queries),
        slowest_query_ms=max((float(query["time"]) * 1000 for query in queries.captured_queries), default=0),
        kb=len(gzip.compress(response.content)) / 1000,
        status=response.status_code,
    )


def run(rounds: int, only: str) -> list[Figure]:
    """Measure every page as the person who uses it."""
    from django.test import Client
    from django.urls import reverse

    from locations.models import Company, User

    def signed_in(email: str) -> Any:
        client = Client(headers={"host": "localhost"}, raise_request_exception=False)
        client.force_login(User.objects.get(email=email), backend="django.contrib.auth.backends.ModelBackend")
        return client

    figures = []
    for slug, at in (("company-1", "large"), ("company-500", "other")):
        company, client = Company.objects.get(slug=slug), signed_in(f"manager@{slug}.example")
        for page, url in pages_of(company):
            if only in page:
                figures.append(show(measure(client, page, url, who="manager", at=at, rounds=rounds)))
    support = signed_in("support@bench.example")
    for page, url in (
        ("companies", reverse("companies")),
        ("companies?q=77", reverse("companies") + "?q=77"),
        ("companies?span=30d", reverse("companies") + "?span=30d"),
        ("setups", reverse("setups")),
        ("home", reverse("home")),
    ):
        if only in page:
            figures.append(show(measure(support, page, url, who="support", at="all", rounds=rounds)))
    return figures


def show(figure: Figure) -> Figure:
    """Print one line and return the figure."""
    mark = "" if figure.is_good else "  <-- over"
    print(
        f"{figure.page:<42} {figure.at:<6} {figure.p50_ms:8.1f} {figure.p95_ms:8.1f} {figure.cpu_ms:8.1f} {figure.queries:8d}"
        f" {figure.slowest_query_ms:8.1f} {figure.kb:7.1f}{mark}",
        flush=True,
    )
    return figure


def people(companies: tuple[str, ...]) -> None:
    """Make support and a manager for each of these companies."""
    from locations.models import Company, Membership, Role, User

    User.objects.create(email="support@bench.example", is_staff=True, is_superuser=True)
    for slug in companies:
        user, _made = User.objects.get_or_create(email=f"manager@{slug}.example")
        company = Company.objects.filter(slug=slug).first()
        if company is not None:
            Membership.objects.create(user=user, company=company, role=Role.MANAGER)


def prepare(options: argparse.Namespace) -> None:
    """Migrate and fill the database."""
    from django.core.management import call_command

    from benchmarks import pages_seed
    from locations.models import User

    call_command("migrate", verbosity=0)
    User.objects.create(email="importer@bench.example")
    pages_seed.fill(permits=options.permits, companies=options.companies, zones=options.zones)
    people(("company-1", "company-500"))


def main() -> int:
    """Start PostgreSQL, fill it or take the kept one, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--permits", type=int, default=1_000_000)
    parser.add_argument("--companies", type=int, default=1_000)
    parser.add_argument("--zones", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--only", default="", help="measure only pages whose name holds this")
    parser.add_argument("--fresh", action="store_true", help="make the database anew")
    options = parser.parse_args()

    import django

    from tests import servers

    if options.fresh and KEPT.exists():
        shutil.rmtree(KEPT)
    with servers.scratch_directory() as home:
        is_kept = (KEPT / "pg").exists()
        postgres = servers.make_postgres(home, data_from=KEPT / "pg" if is_kept else None)
        postgres.start()
        try:
            if not is_kept:
                postgres.create_database()
            os.environ |= servers.product_environment(home) | {
                "DATABASE_URL": postgres.url,
                "LOG_LEVEL": "ERROR",
            }
            os.environ.setdefault("DJANGO_SETTINGS_MODULE", "offstreet.settings")
            django.setup()
            if not is_kept:
                begun = time.monotonic()
                prepare(options)
                print(f"database made in {time.monotonic() - begun:.0f} s")
            print(
                print(
                    f"{'page':<42} {'at':<6} {'p50 ms':>8} {'p95 ms':>8} {'cpu ms':>8} {'queries':>8} {'slowest':>8}"
                    f" {'kB gz':>7}"
                )
            )
            figures = run(options.rounds, options.only)
        finally:
            from django.db import connection

            connection.close()
            connection.close_pool()  # type: ignore[attr-defined]
            postgres.stop()
        if not is_kept:
            KEPT.mkdir(parents=True, exist_ok=True)
            subprocess.run(["cp", "-a", str(home / "pg"), str(KEPT / "pg")], check=True)
    RESULTS.write_text(json.dumps([asdict(figure) for figure in figures], indent=1))
    over = [figure for figure in figures if not figure.is_good]
    print(f"{len(figures)} pages, {len(over)} over {MOST_MS:.0f} ms or {MOST_QUERIES} queries")
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main())
