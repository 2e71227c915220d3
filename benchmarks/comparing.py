"""Compares connections with a list of parking rights, and audits permits (its own process, with the product's settings).

    python -m benchmarks.comparing --what comparison   every live connection, twice: once unseen, once unchanged
    python -m benchmarks.comparing --what audit        every permit that has not ended

The list is served from the database in pages of `PAGE_RIGHTS`, through the product's own client and parser, by a transport
in this process: the cost of making the list is measured too. For each of ours there is one right of others. It
prints one JSON document for each round: seconds, CPU seconds, the growth of the largest resident set in MB, WAL in bytes and
updated permit syncs.
"""

import argparse
import json
import os
import resource
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import django

PAGE_RIGHTS = 5_000
# The seed's session names belong to no connection; and each right begins as never seen.
ADOPT = """
UPDATE integrations_registration r SET observed = jsonb_set(r.observed, '{session_id}',
    to_jsonb('os-' || c.key || '-' || r.id || '-1-00000000')), accepted_at = now() - interval '1 hour'
FROM integrations_connection c WHERE c.id = r.connection_id
"""
LISTED = """
SELECT r.id, r.observed FROM integrations_registration r JOIN integrations_connection c ON c.id = r.connection_id
WHERE c.operator_id = %s AND r.id > %s ORDER BY r.id LIMIT %s
"""


def listed(operator_id: str, after: int) -> tuple[list[dict[str, Any]], int | None]:
    """Return a page of rights, and the permit sync after which the next page begins (None: there is none)."""
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(LISTED, [operator_id, after, PAGE_RIGHTS // 2])
        rows = cursor.fetchall()
    rights = []
    for pk, state in rows:
        session = json.loads(state) if isinstance(state, str) else state
        right = {
            "id": f"right-{pk}",
            "operator_id": operator_id,
            "zone_id": session["zone_id"],
            "type": "parking_session",
            "start_time": session["start"],
            "end_time": session["end"],
            "vehicle": {"vehicle_plate": session["plate"], "vehicle_state": session["subdivision"]},
            "space_number": None,
        }
        rights.append({**right, "reference_id": session["session_id"]})
        rights.append({**right, "id": f"other-{pk}", "reference_id": f"meter-{pk}"})
    return rights, rows[-1][0] if len(rows) == PAGE_RIGHTS // 2 else None


def use_own_list() -> None:
    """Let the product's client read its lists from this process."""
    import httpx
    import orjson

    from integrations.vendors.protocol import get_vendor
    from passport.client import TOKENS_PATH, PassportClient
    from passport.tokens import MemoryTokenStore
    from passport.vendor import Passport, config_from_settings

    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.path == TOKENS_PATH:
            return httpx.Response(200, json={"access_token": "t", "expires_in": 86_400})
        operator_id = request.url.params["operator_id"]
        rights, following = listed(operator_id, int(request.url.params.get("after", "0")))
        document: dict[str, Any] = {"data": rights}
        if following is not None:
            document["next"] = f"{request.url.path}?operator_id={operator_id}&after={following}"
        return httpx.Response(200, content=orjson.dumps(document))

    vendor = get_vendor("passport")
    assert isinstance(vendor, Passport)
    transport = httpx.MockTransport(answer)
    vendor._client = PassportClient(config_from_settings(), tokens=MemoryTokenStore(), transport=transport)


def compare_everything() -> int:
    """Compare every connection once, on as many threads as a worker has for that; return how many there were."""
    from django.utils import timezone

    from integrations.models import Connection
    from integrations.reconciliation import rounds

    Connection.objects.update(reconciled_at=None)
    count = Connection.objects.count()
    while Connection.objects.filter(reconciled_at=None).exists() or is_comparing():
        rounds.reconcile_all(timezone.now())
        time.sleep(0.05)
    failed = (
        Connection.objects.exclude(comparison_error="").values_list("comparison_error", flat=True).first()
    )
    if failed is not None:
        raise SystemExit(f"A comparison failed: {failed}")
    return count


def is_comparing() -> bool:
    """Whether a comparison is under way."""
    from integrations.models import Connection

    return Connection.objects.filter(comparing_until__isnull=False).exists()


def audit_everything() -> int:
    """Audit every permit once; return how many rounds that took, a second apart in production."""
    from django.utils import timezone

    from integrations.models import PeriodicTask
    from integrations.reconciliation import audit

    count = 0
    while True:
        audit.audit(timezone.now())
        count += 1
        if not PeriodicTask.objects.get(name=audit.AUDIT_TASK).cursor:
            return count


def measured(work: Callable[[], int]) -> dict[str, float]:
    """Return what `work` took."""
    from django.db import connection

    def ask(statement: str) -> int:
        with connection.cursor() as cursor:
            cursor.execute(statement)
            return int(cursor.fetchone()[0])

    position = "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')::bigint"
    transaction, wal, memory = ask("SELECT pg_current_xact_id()::text"), ask(position), peak_mb()
    began, cpu = time.monotonic(), time.process_time()
    count = work()
    took, used = time.monotonic() - began, time.process_time() - cpu
    return {
        "count": count,
        "seconds": round(took, 2),
        "cpu_s": round(used, 2),
        "grown_mb": round(peak_mb() - memory, 1),
        "wal_bytes": ask(position) - wal,
        # Rows whose present version is of a later transaction.
        "updated": ask(
            f"SELECT count(*) FROM integrations_registration WHERE xmin::text::bigint > {transaction}"
        ),
    }


def peak_mb() -> float:
    """Return the largest resident set so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def rounds_of(what: str) -> Iterator[dict[str, float]]:
    """Yield what each round took."""
    if what == "audit":
        yield measured(audit_everything)
        return
    for _round in range(2):
        yield measured(compare_everything)


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--what", choices=["comparison", "audit"], required=True)
    options = parser.parse_args()
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "offstreet.settings")
    django.setup()
    from django.db import connection

    with connection.cursor() as cursor:
        cursor.execute(ADOPT)
        cursor.execute("VACUUM ANALYZE integrations_registration")
    use_own_list()
    for found in rounds_of(options.what):
        print(json.dumps(found))
        sys.stdout.flush()


if __name__ == "__main__":
    main()
