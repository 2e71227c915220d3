"""A result and a mark of the same rows at the same time, on PostgreSQL: they wait for each other, and never deadlock.

A transaction that holds a row for long (a mass change) doesn't keep the engine from the other companies.

A mark locks permit syncs in the order of their permits. Here two permit syncs have ids in the opposite order, so if recording
locked by id, it would hold the second while it waits for the first, and the mark the reverse.
"""

from tests import servers
from tests.flows.scripts import lock_order


def test_starting_a_test_and_mapping_never_deadlock() -> None:
    with servers.running_stack(servers.POSTGRES, workers=0, web=False, sandbox=False) as stack:
        told = stack.run(lock_order.start_a_test_while_another_maps)
    assert told == {"errors": [], "tests": 1}


def test_going_live_by_a_test_and_locking_an_older_permit_never_deadlock() -> None:
    with servers.running_stack(servers.POSTGRES, workers=0, web=False, sandbox=False) as stack:
        told = stack.run(lock_order.answer_a_test_while_another_holds)
    assert told == {"errors": [], "status": "live", "states": ["due", "due"]}


def test_a_row_that_is_locked_for_long_keeps_no_other_company_waiting() -> None:
    with servers.running_stack(servers.POSTGRES, workers=0, web=False) as stack:
        told = stack.run(lock_order.deliver_while_a_row_is_held)
    assert told == {
        "the other, meanwhile": True,
        "the held one, meanwhile": False,
        "still delivering": True,
        "still delivering, afterwards": False,
        "the held one": True,
    }


def test_a_result_and_a_mark_never_deadlock() -> None:
    with servers.running_stack(servers.POSTGRES, workers=0, web=False, sandbox=False) as stack:
        told = stack.run(lock_order.record_while_another_marks)
    assert told == {"errors": [], "states": ["done", "done"]}
