"""What all tests share: sockets are off in unit tests, and stacks of real processes come as a fixture.

Tests below `tests/flows`, `tests/faults` and `tests/browser` use real sockets; everywhere else one is an error
(`--disable-socket` in pyproject.toml), so that a unit test can't depend on what is running on the machine.
"""

from collections.abc import Generator, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from django.core.cache import cache
from django.db.backends.base.base import BaseDatabaseWrapper
from django.test import Client
from hypothesis import HealthCheck, settings

from integrations import throttle
from locations import append_only
from tests import servers
from tests.pages import World

# A property holds or doesn't, no matter how busy the machine is; time is measured in benchmarks.
settings.register_profile("offstreet", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("offstreet")

HERE = Path(__file__).parent
REAL_TIMEOUT_S = 300
REAL = {"flows": "flow", "faults": "faults", "browser": "browser"}


def asks_for_pages(module: ModuleType) -> bool:
    """Whether a module's tests request whole pages: it uses Django's test client, directly or through `tests.pages`."""
    return any(
        value is Client or getattr(value, "__module__", "") == "tests.pages"
        for value in vars(module).values()
    )


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests by their folder, and give those on real processes their sockets; mark those that request pages."""
    modules = {item.module for item in items if isinstance(item, pytest.Function)}
    with_pages = {module for module in modules if asks_for_pages(module)}
    for item in items:
        folder = item.path.relative_to(HERE).parts[0] if item.path.is_relative_to(HERE) else ""
        if folder in REAL:
            item.add_marker(getattr(pytest.mark, REAL[folder]))
            item.add_marker(pytest.mark.enable_socket)
            # Starting a whole product takes seconds on an idle machine, and a minute on a busy one.
            if item.get_closest_marker("timeout") is None:
                item.add_marker(pytest.mark.timeout(REAL_TIMEOUT_S))
        elif isinstance(item, pytest.Function) and item.module in with_pages:
            item.add_marker(pytest.mark.pages)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(
    item: pytest.Item, call: pytest.CallInfo[None]
) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """Show the end of every running server's log beside a failure."""
    report = yield
    if report.failed:
        for stack in servers.RUNNING:
            for server in stack.servers:
                report.sections.append((f"log of {server.name} on {stack.backend}", server.log()))
    return report


@pytest.fixture(scope="session")
def django_db_setup(django_db_setup: None, django_db_blocker: Any) -> None:
    """Let the database be emptied between tests; what the triggers refuse is tested in `tests/flows/test_audit_log.py`."""
    with django_db_blocker.unblock():
        append_only.uninstall()


@pytest.fixture(autouse=True)
def connection_of_the_test(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep `close_old_connections` from closing the connection whose transaction the test is (in memory nothing closes)."""
    close = BaseDatabaseWrapper.close_if_unusable_or_obsolete

    def close_outside_a_transaction(connection: BaseDatabaseWrapper) -> None:
        if not connection.in_atomic_block:
            close(connection)

    monkeypatch.setattr(BaseDatabaseWrapper, "close_if_unusable_or_obsolete", close_outside_a_transaction)


@pytest.fixture(autouse=True)
def no_counts() -> Iterator[None]:
    """Reset all limits, since the ids of people start over with each test."""
    counters = (throttle._shared, throttle._alone)
    cache.clear()
    for one in counters:
        one.cache_clear()
    yield
    for one in counters:
        one.cache_clear()


@pytest.fixture
def world(db: None) -> World:
    """A company with a live connection, and its clients; where tests deliver it is on the sandbox's Passport as well."""
    return World.build(name="University", slug="university")


@pytest.fixture(params=servers.BACKENDS)
def stack(request: pytest.FixtureRequest) -> Iterator[servers.Stack]:
    """A whole product with one worker and an empty, migrated database, once per back end."""
    with servers.running_stack(request.param) as running:
        yield running
