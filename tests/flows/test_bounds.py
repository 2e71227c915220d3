"""What must never be exceeded or duplicated, on a real PostgreSQL and a real socket: rows, probes, connections."""

import threading
from collections.abc import Iterator

import pytest

from passport.client import MAX_CONNECTIONS, Config, PassportClient
from passport.sandbox.credentials import SANDBOX_CLIENT_ID, SANDBOX_CLIENT_SECRET
from passport.tokens import MemoryTokenStore
from tests import servers
from tests.flows.scripts import claiming
from tests.servers import Sandbox, sandbox_server
from tests.world import UNIVERSITY


@pytest.fixture(scope="module")
def seen() -> claiming.Seen:
    """The results of three stories of claims and probes on one PostgreSQL."""
    with servers.running_stack(servers.POSTGRES, workers=0, web=False, sandbox=False) as stack:
        return stack.run(claiming.all_stories)


def test_a_worker_passes_by_the_rows_that_another_is_just_claiming(seen: claiming.Seen) -> None:
    # It must not wait for them either, which it would without SKIP LOCKED.
    first, second = seen["beside"]
    assert len(first) == len(second) == 10
    assert len({*first, *second}) == 20


def test_workers_that_claim_at_once_never_hold_the_same_row(seen: claiming.Seen) -> None:
    assert len(seen["claimed"]) == len(set(seen["claimed"])) == 120


def test_only_one_of_many_workers_may_send_a_probe(seen: claiming.Seen) -> None:
    assert seen["probes"] == list(range(25))


# --- Connections --------------------------------------------------------------------------------------------------


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with sandbox_server() as server:
        yield server


def test_however_many_send_at_once_there_are_few_connections(sandbox: Sandbox) -> None:
    config = Config(
        sandbox.url,
        SANDBOX_CLIENT_ID,
        SANDBOX_CLIENT_SECRET,
        "public.api.passportinc.com",
        total_timeout_s=60,
    )
    client = PassportClient(config, tokens=MemoryTokenStore())
    client.check_token()
    sandbox.add_fault("delay", delay_s=0.3, path="zones")
    failed: list[str] = []

    def ask() -> None:
        try:
            client.list_zones(UNIVERSITY["operator_id"])
        except Exception as error:  # noqa: BLE001
            failed.append(repr(error))

    threads = [threading.Thread(target=ask) for _ in range(3 * MAX_CONNECTIONS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    # The test's own control requests come one at a time and end their connections.
    peak = sandbox.state()["connections_peak"]
    client.close()
    assert failed == []
    assert MAX_CONNECTIONS - 3 <= peak <= MAX_CONNECTIONS + 1
