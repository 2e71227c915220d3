"""Cancelling all that match, and the reads of the lists beside it, do the same on SQLite and on PostgreSQL."""

import pytest

from tests import servers
from tests.flows.scripts import many_at_once

PERMITS = 600


@pytest.mark.parametrize("backend", servers.BACKENDS)
def test_many_are_cancelled_and_brought_back_the_same_on_both_databases(backend: str) -> None:
    with servers.running_stack(backend, workers=0, web=False, sandbox=False) as stack:
        told = stack.run(many_at_once.cancel_and_undo, permits=PERMITS)
    third = PERMITS // 3
    assert told == {
        "before": [PERMITS, True, 2 * third, PERMITS],
        "look": [PERMITS, [["Mapped", 2 * third], ["Unmapped", third]], 10],
        "gone": PERMITS,
        "back": PERMITS,
        "history": [[3, "active"], [2, "cancelled"], [1, "active"]],
        "sorted": {
            "": ["Unmapped", "Mapped"],
            "name": ["Mapped", "Unmapped"],
            "-zone": ["Mapped", "Unmapped"],
            "-current": ["Mapped", "Unmapped"],
            "pushed": ["Mapped", "Unmapped"],
        },
        "zones": ["Z1"],
        "trace": 1,
        "zone": ["Mapped now sends here", "First listed by Passport"],
    }
