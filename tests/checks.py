"""What workers do for pages, done at once: tests of pages have no worker."""

from integrations import check_runs, chores
from integrations.clock import database_now


def make_check_runs() -> int:
    """Make all look-ups that wait, as a worker would; return how many there were."""
    chores.register_checks()
    made = 0
    while (run := check_runs.claim(database_now())) is not None:
        check_runs.perform(run)
        made += 1
    return made
