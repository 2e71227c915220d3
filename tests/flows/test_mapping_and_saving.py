"""A permit is saved while its location moves to another connection, on PostgreSQL: whichever commits second updates both.

Each story runs in both orders: the save stays open until the move has begun, and the move until the save has.
"""

import pytest

from tests import servers
from tests.flows.scripts import mapping_and_saving

Found = dict[str, dict[str, mapping_and_saving.Outcome]]


@pytest.fixture(scope="module")
def found() -> Found:
    with servers.running_stack(servers.POSTGRES, workers=0, web=False, sandbox=False) as stack:
        return stack.run(mapping_and_saving.all_stories)


@pytest.mark.parametrize("order", ["save first", "move first"])
@pytest.mark.parametrize("story", ["add", "reinstate", "extend", "move_in"])
def test_a_permit_saved_while_its_location_moves_is_due_where_it_belongs_now(
    found: Found, story: str, order: str
) -> None:
    told = found[story][order]
    assert told["errors"] == []
    assert told["rows"]["new"] == "due"


@pytest.mark.parametrize("order", ["save first", "move first"])
@pytest.mark.parametrize("story", ["move_out", "cancel_many"])
def test_a_permit_that_leaves_while_its_location_moves_is_due_wherever_it_may_have_been_sent(
    found: Found, story: str, order: str
) -> None:
    told = found[story][order]
    assert told["errors"] == []
    assert set(told["rows"].values()) == {"due"}
