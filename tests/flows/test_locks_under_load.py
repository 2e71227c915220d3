"""Everything that writes permit syncs at once, on PostgreSQL: there is no deadlock, and every save succeeds.

PostgreSQL itself says how many deadlocks it had to break (`pg_stat_database.deadlocks`), so one that is caught and retried
somewhere is seen as well. The order of locks is in `integrations.delivery.outbox`.
"""

from tests import servers
from tests.flows.scripts import locks_under_load


def test_permits_that_begin_or_end_while_they_are_marked_are_marked_once() -> None:
    with servers.running_stack(servers.POSTGRES, workers=0, web=False, sandbox=False) as stack:
        told = stack.run(locks_under_load.mark_what_begins_and_ends)
    assert (told["errors"], told["late"]) == ([], 0)
    assert told["rows"] >= 2_000


def test_there_is_no_deadlock_no_matter_what_is_written_at_once() -> None:
    # One process in place of many: it needs as many connections as they would have together.
    with servers.running_stack(
        servers.POSTGRES, workers=0, web=False, env={"DATABASE_POOL_SIZE": "40"}
    ) as stack:
        told = stack.run(locks_under_load.write_everything_at_once, seconds=15)
        circles = stack.query("SELECT deadlocks FROM pg_stat_database WHERE datname = current_database()")
    print(told)
    assert told["errors"] == {}
    assert circles == [{"deadlocks": 0}]
    # Every kind of work was done at the same time, and deliveries were settled in between.
    assert min(told["done"].values()) >= 1
    assert told["settled"] > 50
