"""What must never be exceeded or doubled, on a real PostgreSQL and a real socket: rows, probes, connections."""

import threading
from collections.abc import Iterator

import pytest

from passport.client import MAX_CONNECTIONS, Config, PassportClient
from passport.sandbox.credentials import SANDBOX_CLIENT_ID, SANDBOX_CLIENT_SECRET
from passport.tokens import MemoryTokenStore
from tests import servers
from tests.servers import Sandbox, sandbox_server
from tests.world import UNIVERSITY

# Two workers are two threads with a database connection each; what one does in the midst of its claim, the other sees.
PREPARE = """
import threading
from datetime import timedelta
from django.db import OperationalError, connection, transaction
from integrations.delivery import circuit_breaker, claim, connection_state, outbox
from integrations.delivery.circuit_breaker import SendPermission
from integrations.delivery.claim import ClaimRequest
from integrations.delivery.database_clock import database_now
from integrations.models import Breaker
from integrations.vendors.protocol import Account, get_vendor
from tests.factories import ConnectionFactory, LocationFactory, PermitFactory, ZoneFactory, ZoneMappingFactory

live = ConnectionFactory(live=True)
location = LocationFactory(company=live.company)
ZoneMappingFactory(location=location, zone=ZoneFactory(connection=live))
vendor, account = get_vendor("passport"), Account(live.pk, live.operator_id, live.key)

def due(count):
    with transaction.atomic():
        outbox.mark(permit_ids=[PermitFactory(location=location).pk for _ in range(count)])

def side_by_side(count, work):
    def guarded(number):
        try:
            work(number)
        finally:
            connection.close()
    threads = [threading.Thread(target=guarded, args=(number,)) for number in range(count)]
    for thread in threads: thread.start()
    for thread in threads: thread.join()
"""

IN_THE_MIDST = """
due(20)
read, locked, looked, got = claim._read, threading.Event(), threading.Event(), {}
ask = ClaimRequest(account, vendor, 10, SendPermission(True), tests_only=False)

def read_slowly(ids):
    if threading.current_thread().name == "first":
        locked.set()          # ten rows are locked, and the transaction is open
        looked.wait(20)
    return read(ids)

claim._read = read_slowly

def work(number):
    if number == 0:
        threading.current_thread().name = "first"
        got[0] = {work.id for work in claim.claim([ask])}
        return
    assert locked.wait(20)
    try:
        with connection.cursor() as cursor:
            cursor.execute("SET lock_timeout = '2s'")
        got[1] = {work.id for work in claim.claim([ask])}
    except OperationalError as error:
        got[1] = "waited: " + type(error.__cause__).__name__
    finally:
        looked.set()

side_by_side(2, work)
claim._read = read
print(len(got[0]), got[1] if isinstance(got[1], str) else len(got[1] - got[0]))
"""

MANY_AT_ONCE = """
due(120)
start, got = threading.Barrier(6), [[] for _ in range(6)]
ask = ClaimRequest(account, vendor, 7, SendPermission(True), tests_only=False)

def work(number):
    start.wait(20)
    while works := claim.claim([ask]):
        got[number] += [work.id for work in works]

side_by_side(6, work)
ids = [pk for mine in got for pk in mine]
print(len(ids), len(set(ids)))
"""

PROBES = """
own, host = {"connection": live}, {"vendor": "passport"}
rounds, words = 25, []
start, done = threading.Barrier(6), threading.Barrier(6)

def work(number):
    for round in range(rounds):
        if number == 0:
            past = database_now() - timedelta(seconds=1)
            for whose in (own, host):
                Breaker.objects.update_or_create(
                    **whose, defaults={"failures": 3, "open_until": past, "probe_until": None}
                )
        start.wait(30)
        now, parties = connection_state.read_connections([live.pk])
        gate = circuit_breaker.send_permissions({live.pk: parties[live.pk].breakers}, now=now)[live.pk]
        if gate.may_send:
            words.append(round)
        done.wait(30)

side_by_side(6, work)
print(len(words), len(set(words)))
"""


@pytest.fixture(scope="module")
def seen() -> list[str]:
    """What the three pieces of code have printed, one line each."""
    with servers.running_stack(servers.POSTGRES, workers=0, web=False, sandbox=False) as stack:
        return stack.shell(PREPARE + IN_THE_MIDST + MANY_AT_ONCE + PROBES).split("\n")


def test_a_worker_passes_by_the_rows_that_another_is_just_claiming(seen: list[str]) -> None:
    # It must not wait for them either, which it would without SKIP LOCKED.
    assert seen[0] == "10 10"


def test_workers_that_claim_at_once_never_hold_the_same_row(seen: list[str]) -> None:
    assert seen[1] == "120 120"


def test_only_one_of_many_workers_gets_the_word_for_a_probe(seen: list[str]) -> None:
    assert seen[2] == "25 25"


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
