"""Two people at the same time: one succeeds, the other gets a message, and nothing is left half done."""

import pytest

from tests import servers
from tests.flows.scripts import joining_at_once


@pytest.mark.parametrize("backend", servers.BACKENDS)
def test_whoever_comes_second_gets_a_message_and_changes_nothing(backend: str) -> None:
    with servers.running_stack(backend, workers=0, web=False, sandbox=False) as stack:
        wrong = stack.run(joining_at_once.all_at_once, rounds=5, people=4)
    assert wrong == []
