"""Workers that claim rows and ask for permission to probe at the same time; each is a thread of one process."""

import threading
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, TypedDict
from unittest.mock import patch

from django.db import connection, transaction

from integrations.delivery import circuit_breaker, claim, connection_state, outbox
from integrations.delivery.circuit_breaker import SendPermission
from integrations.delivery.claim import ClaimRequest
from integrations.delivery.database_clock import database_now
from integrations.models import Breaker, Connection
from integrations.vendors.protocol import Account, get_vendor
from tests.factories import ConnectionFactory, PermitFactory, mapped_location
from tests.flows.scripts.threads import side_by_side


class Seen(TypedDict):
    """The ids that each of two concurrent workers got; those that many got at once; the round of each probe."""

    beside: list[list[int]]
    claimed: list[int]
    probes: list[int]


def all_stories() -> Seen:
    """Run the stories one after another, and return the result of each."""
    return {
        "beside": _claim_while_another_claims(),
        "claimed": _claim_all_at_once(rows=120, workers=6),
        "probes": _ask_to_probe_at_once(rounds=25, workers=6),
    }


def _claim_while_another_claims() -> list[list[int]]:
    """Let one worker claim ten of twenty rows, and another as many while the first one's transaction is open.

    Raises `OperationalError` if the second one had to wait.
    """
    live = _live_with_due_rows(20)
    read, locked, looked = claim._read, threading.Event(), threading.Event()
    got: list[list[int]] = [[], []]
    request = _request(live, at_most=10)

    def read_slowly(ids: Sequence[int], now: datetime) -> list[tuple[Any, ...]]:
        if threading.current_thread().name == "first":
            locked.set()  # ten rows are locked, and the transaction is open
            looked.wait(20)
        return read(ids, now)

    def work(number: int) -> None:
        if number == 0:
            threading.current_thread().name = "first"
            got[0] = [row.id for row in claim.claim([request])]
            return
        assert locked.wait(20)
        try:
            with connection.cursor() as cursor:
                cursor.execute("SET lock_timeout = '2s'")
            got[1] = [row.id for row in claim.claim([request])]
        finally:
            looked.set()

    with patch.object(claim, "_read", read_slowly):
        side_by_side(2, work)
    return got


def _claim_all_at_once(*, rows: int, workers: int) -> list[int]:
    """Let workers claim all rows, seven at a time."""
    live = _live_with_due_rows(rows)
    start = threading.Barrier(workers)
    got: list[list[int]] = [[] for _ in range(workers)]
    request = _request(live, at_most=7)

    def work(number: int) -> None:
        start.wait(20)
        while claimed := claim.claim([request]):
            got[number] += [row.id for row in claimed]

    side_by_side(workers, work)
    return [pk for mine in got for pk in mine]


def _ask_to_probe_at_once(*, rounds: int, workers: int) -> list[int]:
    """Let the workers ask, in each round, whether they may send after an outage."""
    live: Connection = ConnectionFactory(live=True)
    own, host = {"connection": live}, {"vendor": "passport"}
    permitted: list[int] = []
    start, done = threading.Barrier(workers), threading.Barrier(workers)

    def work(number: int) -> None:
        for turn in range(rounds):
            if number == 0:
                past = database_now() - timedelta(seconds=1)
                for whose in (own, host):
                    Breaker.objects.update_or_create(
                        **whose, defaults={"failures": 3, "open_until": past, "probe_until": None}
                    )
            start.wait(30)
            now, states = connection_state.read_connections([live.pk])
            permission = circuit_breaker.send_permissions({live.pk: states[live.pk].breakers}, now=now)
            if permission[live.pk].may_send:
                permitted.append(turn)
            done.wait(30)

    side_by_side(workers, work)
    return permitted


def _live_with_due_rows(count: int) -> Connection:
    live: Connection = ConnectionFactory(live=True)
    location = mapped_location(live)
    with transaction.atomic():
        outbox.mark(permit_ids=[PermitFactory(location=location).pk for _ in range(count)])
    return live


def _request(live: Connection, *, at_most: int) -> ClaimRequest:
    account = Account(live.pk, live.operator_id, live.key)
    return ClaimRequest(account, get_vendor("passport"), at_most, SendPermission(True), tests_only=False)
