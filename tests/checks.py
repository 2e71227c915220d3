"""What workers do for pages, done immediately: tests of pages have no worker."""

from integrations.delivery.database_clock import database_now
from integrations.reconciliation import check_runs
from integrations.worker import periodic_tasks


def make_check_runs() -> int:
    """Run all waiting look-ups, as a worker would; return how many there were."""
    periodic_tasks.register_checks()
    made = 0
    while (run := check_runs.claim(database_now())) is not None:
        check_runs.perform(run)
        made += 1
    return made
