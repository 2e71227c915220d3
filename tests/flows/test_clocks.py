"""Workers whose clocks are wrong, on PostgreSQL: evidence has the database's time, and is in the order of events."""

from tests import servers
from tests.flows.scripts import clocks


def test_evidence_of_workers_with_wrong_clocks_has_the_databases_time_and_order() -> None:
    with servers.running_stack(servers.POSTGRES, workers=0, web=False) as stack:
        told = stack.run(clocks.two_workers)
    assert told == {
        "within": [True] * 4,
        "in order": True,
        "kinds": ["started", "extended", "extended", "extended"],
        "accepted after its answer": True,
    }
