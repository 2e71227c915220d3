"""What one company's failures mean for the others, on PostgreSQL; deliveries are counted, and nothing is timed.

The remote is a fake one in the engine's own process, so that it can hang for as long as a story needs.
"""

from tests import servers
from tests.flows.scripts import isolation


def test_half_of_all_companies_being_dead_leaves_the_others_their_senders() -> None:
    with servers.running_stack(servers.POSTGRES, workers=0, web=False, sandbox=False) as stack:
        told = stack.run(isolation.half_of_all_companies_are_dead)
    assert 1 <= told.pop("dead ones that are tried") <= 12
    assert told == {
        "all that are well, while the dead ones hang": True,
        "a request of each dead one hangs": True,
        "the host's breaker": 0,
        "all that are well, while the dead ones are tried": True,
        "still running": False,
    }


def test_a_row_without_anything_to_send_that_is_held_keeps_no_other_company_waiting() -> None:
    with servers.running_stack(servers.POSTGRES, workers=0, web=False, sandbox=False) as stack:
        told = stack.run(isolation.a_row_without_steps_is_held)
    assert told == {
        "the other's, meanwhile": True,
        "the one that is held, meanwhile": 0,
        "the one that was held": True,
        "still running": False,
    }


def test_rows_that_are_given_back_and_held_keep_no_other_company_waiting() -> None:
    with servers.running_stack(servers.POSTGRES, workers=0, web=False, sandbox=False) as stack:
        told = stack.run(isolation.rows_that_are_given_back_are_held)
    assert told == {
        "held": 1,
        "the other's, meanwhile": True,
        "all are given back": True,
        "still running": False,
    }
