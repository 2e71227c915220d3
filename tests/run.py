"""Runs the checks and the tests in stages: `python -m tests.run [STAGE …]`, all of them without a name.

Every stage runs, even after one has failed, so that one run shows everything. At the end come a line for each stage and
a last line in pytest's own form that counts the tests of all stages.
"""

import contextlib
import os
import subprocess
import sys
import time
import xml.etree.ElementTree as ElementTree
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests import provision, servers
from tests.production import PRODUCTION_ENVIRONMENT

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build"
REAL = ("flows", "faults", "browser")
DATABASE_TESTS = (
    "tests/integrations",
    "tests/locations",
    "tests/passport",
    "tests/offstreet/test_unreadable_filters.py",
)
NO_TESTS = 5
MANAGE = (sys.executable, "manage.py")


@dataclass(frozen=True)
class Check:
    """Commands that must succeed; their output is shown only where one fails."""

    name: str
    commands: Sequence[Sequence[str]]
    env: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Tests:
    """One run of pytest."""

    name: str
    arguments: Sequence[str]
    on_postgres: bool = False


def python(*arguments: str) -> tuple[str, ...]:
    """Return a command line that runs a module of the environment."""
    return (sys.executable, "-m", *arguments)


STAGES: tuple[Check | Tests, ...] = (
    Check("lint", [python("ruff", "check", "."), python("ruff", "format", "--check", ".")]),
    Check("types", [python("mypy")]),
    Check("imports", [(str(Path(sys.executable).with_name("lint-imports")),)]),
    Check("migrations", [(*MANAGE, "makemigrations", "--check", "--dry-run")], {"ENVIRONMENT": "test"}),
    Check("deploy", [(*MANAGE, "check", "--deploy", "--fail-level", "WARNING")], PRODUCTION_ENVIRONMENT),
    # Both run without sockets; whole pages take a hundred times as long as the functions behind them.
    Tests("unit", ["-n", "2", "-m", "not pages", *(f"--ignore=tests/{name}" for name in REAL)]),
    Tests("pages", ["-n", "2", "-m", "pages", *(f"--ignore=tests/{name}" for name in REAL)]),
    # The same tests once more, on the other database: constraints, locks, queries and sorting differ there.
    Tests("postgres", ["-n", "2", "-m", "django_db", *DATABASE_TESTS], on_postgres=True),
    # Whole products: each test starts its own, and mostly waits for it.
    Tests("flows", ["-n", "3", "tests/flows"]),
    # One at a time: kills, freezes and measurements must not disturb other tests.
    Tests("faults", ["tests/faults"]),
    Tests("browser", ["-n", "3", "tests/browser"]),
)


@dataclass(frozen=True)
class Outcome:
    """How a stage went."""

    name: str
    ok: bool
    seconds: float
    counts: Counter[str]


def run_check(stage: Check) -> Outcome:
    """Run a check's commands up to the first that fails."""
    began = time.monotonic()
    ok = True
    for command in stage.commands:
        done = subprocess.run(
            command, cwd=ROOT, env={**os.environ, **stage.env}, capture_output=True, text=True, check=False
        )
        if done.returncode != 0:
            ok = False
            print(done.stdout + done.stderr, flush=True)
            break
    return Outcome(stage.name, ok, time.monotonic() - began, Counter())


def run_tests(stage: Tests, extra: Sequence[str]) -> Outcome:
    """Run pytest with its output shown; a stage without tests is no failure."""
    began = time.monotonic()
    report = BUILD / f"tests-{stage.name}.xml"
    report.parent.mkdir(exist_ok=True)
    report.unlink(missing_ok=True)
    if not all((ROOT / word).exists() for word in stage.arguments if word.startswith("tests/")):
        return Outcome(stage.name, True, 0.0, Counter())
    command = python("pytest", *stage.arguments, f"--junitxml={report}", *extra)
    if stage.on_postgres and provision.find_postgres() is None:
        print(
            "PostgreSQL is not installed here (python -m tests.provision): this stage is skipped.", flush=True
        )
        return Outcome(stage.name, True, 0.0, Counter(skipped=1))
    with database_url(stage) as env:
        status = subprocess.run(command, cwd=ROOT, env={**os.environ, **env}, check=False).returncode
    return Outcome(stage.name, status in (0, NO_TESTS), time.monotonic() - began, count(report))


@contextlib.contextmanager
def database_url(stage: Tests) -> Iterator[dict[str, str]]:
    """Run a migrated PostgreSQL, and yield the variable by which `tests/settings.py` finds it.

    A stage on SQLite needs none.
    """
    if not stage.on_postgres:
        yield {}
        return
    with servers.scratch_directory() as home, servers.migrated_postgres_server(home) as server:
        yield {"TESTS_DATABASE_URL": server.url}


def count(report: Path) -> Counter[str]:
    """Return how many tests of a JUnit report passed, failed, had errors or were skipped."""
    counts: Counter[str] = Counter()
    if not report.exists():
        return counts
    for suite in ElementTree.parse(report).iter("testsuite"):
        tests, failed, errors, skipped = (
            int(suite.get(name, "0")) for name in ("tests", "failures", "errors", "skipped")
        )
        counts.update(failed=failed, errors=errors, skipped=skipped, passed=tests - failed - errors - skipped)
    return counts


def last_line(outcomes: Sequence[Outcome], seconds: float) -> str:
    """Return the sum of all stages in pytest's form: `== 3 failed, 120 passed, 2 skipped in 61.20s ==`."""
    total: Counter[str] = Counter()
    for outcome in outcomes:
        total.update(outcome.counts)
    words = [f"{total[word]} {word}" for word in ("failed", "passed", "skipped", "errors") if total[word]]
    return f" {', '.join(words) or 'no tests ran'} in {seconds:.2f}s ".center(80, "=")


def main(arguments: Sequence[str]) -> int:
    """Run the named stages (arguments that begin with - go to pytest); return 0 if all succeeded."""
    names = [word for word in arguments if not word.startswith("-")]
    extra = [word for word in arguments if word.startswith("-")]
    unknown = set(names) - {stage.name for stage in STAGES}
    if unknown:
        print(
            f"There is no stage {', '.join(sorted(unknown))}; there are {', '.join(s.name for s in STAGES)}."
        )
        return 2
    began = time.monotonic()
    outcomes = []
    for stage in STAGES:
        if names and stage.name not in names:
            continue
        print(f"── {stage.name} ".ljust(80, "─"), flush=True)
        outcomes.append(run_check(stage) if isinstance(stage, Check) else run_tests(stage, extra))
    print("─" * 80)
    for outcome in outcomes:
        counts = ", ".join(f"{number} {word}" for word, number in outcome.counts.items() if number)
        print(
            f"{outcome.name:<11} {'passed' if outcome.ok else 'FAILED'} in {outcome.seconds:5.1f} s  {counts}"
        )
    print(last_line(outcomes, time.monotonic() - began), flush=True)
    return 0 if all(outcome.ok for outcome in outcomes) else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
