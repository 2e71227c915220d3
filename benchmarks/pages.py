"""`make bench-pages`: how long every page takes on a million permits, and how many queries it makes.

PostgreSQL is started here. The database is made once (`benchmarks.pages_seed`) and kept in `build/bench-pages`; `--fresh`
recreates it. Each page is asked for through Django's own test client (middleware, views, templates, queries; no
network), as the person who uses it, at the large company and at one of the others (`benchmarks.pages_asked`); what is
sent is rolled back. The first two answers warm up.

Weight: `kB gz` is the page itself, compressed, as on each view after the first: style sheets and scripts are in the
browser's cache then. `first` adds every file of ours that the page names, as on the first view of anything. What the browser
really fetches is held to the same budgets by `tests/browser/test_page_weight.py`.
"""

import argparse
import gzip
import json
import os
import re
import shutil
import statistics
import subprocess
import sys
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from benchmarks.pages_asked import Ask, answers_of, pages_of, pages_of_support

ROOT = Path(__file__).resolve().parent.parent
KEPT = Path(os.environ.get("BENCH_PAGES_KEPT") or ROOT / "build" / "bench-pages")
RESULTS = ROOT / "build" / "bench-pages.json"
WARM_UP = 2
# The budgets of a page, checked here and never in a timed test.
MOST_MS, MOST_QUERIES = 150.0, 15
MOST_FIRST_KB, MOST_LATER_KB = 200.0, 30.0
# A page answers 286 when there is nothing more to wait for.
GOOD = (200, 286, 302)
# The part of a static file's name that changes with its content.
_HASH = re.compile(r"\.[0-9a-f]{12}(?=\.)")


@dataclass(frozen=True)
class Figure:
    """What one page took. Times in milliseconds, sizes in kilobytes compressed (see the module's text).

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
    first_kb: float
    status: int
    weighs: bool = True

    @property
    def wrong(self) -> list[str]:
        """The budgets that the page exceeds, in words."""
        bounds = {
            f"over {MOST_MS:.0f} ms": self.p95_ms > MOST_MS,
            f"over {MOST_QUERIES} queries": self.queries > MOST_QUERIES and self.is_read,
            f"over {MOST_LATER_KB:.0f} kB": self.weighs and self.kb > MOST_LATER_KB,
            f"over {MOST_FIRST_KB:.0f} kB at first": self.weighs and self.first_kb > MOST_FIRST_KB,
            f"answered {self.status}": self.status not in GOOD,
        }
        return [words for words, is_so in bounds.items() if is_so]

    @property
    def is_read(self) -> bool:
        """Whether the page only reads: the budget of queries is for reading; saving needs more."""
        return not self.page.startswith("POST")


def send(client: Any, ask: Ask) -> Any:
    """Make one request; what it saved is undone."""
    from django.db import transaction

    if ask.data is None:
        return client.get(ask.url, headers=ask.headers)
    with transaction.atomic():
        response = client.post(ask.url, ask.data, headers=ask.headers)
        transaction.set_rollback(True)
    return response


def measure(client: Any, ask: Ask, *, who: str, at: str, rounds: int) -> Figure:
    """Ask for one page `rounds` times and return what it took."""
    from django.db import connection
    from django.test.utils import CaptureQueriesContext

    if "?q=" in ask.url and (asked := send(client, ask)).status_code == 302:
        # A search's own address, which contains it encrypted (`locations.searches`).
        ask = replace(ask, url=asked["Location"])
    for _round in range(WARM_UP):
        response = send(client, ask)
    took, worked = [], []
    for _round in range(rounds):
        begun, begun_work = time.perf_counter(), time.process_time()
        response = send(client, ask)
        took.append((time.perf_counter() - begun) * 1000)
        worked.append((time.process_time() - begun_work) * 1000)
    with CaptureQueriesContext(connection) as queries:
        send(client, ask)
    page_kb = len(gzip.compress(response.content)) / 1000
    # The transaction around what is sent is the measurement's own.
    own = {"SAVEPOINT", "RELEASE", "ROLLBACK", "BEGIN", "COMMIT"} if ask.data is not None else set()
    counted = [one for one in queries.captured_queries if one["sql"].split(" ")[0] not in own]
    return Figure(
        page=ask.page,
        who=who,
        at=at,
        p50_ms=statistics.median(took),
        p95_ms=statistics.quantiles(took, n=20, method="inclusive")[-1],
        cpu_ms=statistics.median(worked),
        queries=len(counted),
        slowest_query_ms=max((float(query["time"]) * 1000 for query in counted), default=0),
        kb=page_kb,
        first_kb=page_kb + assets_kb(response.content.decode(errors="replace")),
        status=response.status_code,
        weighs=ask.weighs,
    )


def assets_kb(page: str) -> float:
    """Return the compressed size of our style sheets, scripts and pictures that a page names."""
    names = {_HASH.sub("", name) for name in re.findall(r'(?:href|src)="/static/([^"#?]+)', page)}
    return sum(map(asset_kb, names))


@cache
def asset_kb(name: str) -> float:
    """Return the compressed size of one file."""
    from django.contrib.staticfiles import finders

    path = finders.find(name)
    return len(gzip.compress(Path(path).read_bytes())) / 1000 if path else 0.0


def run(rounds: int, only: str) -> list[Figure]:
    """Measure every page as the person who uses it."""
    from django.test import Client

    import offstreet.wsgi  # noqa: F401 - so that this process is set up as the web's are
    from locations.models import Company, User

    def signed_in(email: str) -> Any:
        client = Client(headers={"host": "localhost"}, raise_request_exception=False)
        client.force_login(User.objects.get(email=email), backend="django.contrib.auth.backends.ModelBackend")
        return client

    figures: list[Figure] = []

    def measure_all(client: Any, asked: Iterable[Ask], who: str, at: str) -> None:
        wanted = (ask for ask in asked if only in ask.page)
        figures.extend(show(measure(client, ask, who=who, at=at, rounds=rounds)) for ask in wanted)

    for slug, at in measured(Company.objects.count()):
        company, client = Company.objects.get(slug=slug), signed_in(f"manager@{slug}.example")
        measure_all(client, (*pages_of(company), *answers_of(company)), "manager", at)
    measure_all(signed_in("support@bench.example"), pages_of_support(), "support", "all")
    return figures


def measured(companies: int) -> tuple[tuple[str, str], tuple[str, str]]:
    """Return the companies at which pages are measured: the large one, and one in the middle of the others."""
    return ("company-1", "large"), (f"company-{companies // 2}", "other")


def show(figure: Figure) -> Figure:
    """Print one line and return the figure."""
    wrong = ", ".join(figure.wrong)
    mark = f"  <-- {wrong}" if wrong else ""
    print(
        f"{figure.page:<42} {figure.at:<6} {figure.p50_ms:8.1f} {figure.p95_ms:8.1f} {figure.cpu_ms:8.1f} {figure.queries:8d}"
        f" {figure.slowest_query_ms:8.1f} {figure.kb:7.1f} {figure.first_kb:8.1f}{mark}",
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
    people(tuple(slug for slug, _at in measured(options.companies)))


def main() -> int:
    """Start PostgreSQL, fill it or take the kept one, measure, print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--permits", type=int, default=1_000_000)
    parser.add_argument("--companies", type=int, default=1_000)
    parser.add_argument("--zones", type=int, default=10_000)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--only", default="", help="measure only pages whose name holds this")
    parser.add_argument("--fresh", action="store_true", help="recreate the database")
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
            if is_kept:
                from django.core.management import call_command

                # The kept copy may be from before the latest migrations.
                call_command("migrate", verbosity=0)
            else:
                begun = time.monotonic()
                prepare(options)
                print(f"database made in {time.monotonic() - begun:.0f} s")
            print(
                f"{'page':<42} {'at':<6} {'p50 ms':>8} {'p95 ms':>8} {'cpu ms':>8} {'queries':>8} {'slowest':>8}"
                f" {'kB gz':>7} {'first':>8}"
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
    over = [figure for figure in figures if figure.wrong]
    print(
        f"{len(figures)} pages and answers, {len(over)} over {MOST_MS:.0f} ms, {MOST_QUERIES} queries,"
        f" {MOST_LATER_KB:.0f} kB, or {MOST_FIRST_KB:.0f} kB on a first view"
    )
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main())
