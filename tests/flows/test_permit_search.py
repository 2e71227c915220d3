"""Search and lists of permits give the same on SQLite and PostgreSQL, where they use different indexes (migration 0004)."""

import pytest

from tests import servers
from tests.flows.scripts import permit_search


@pytest.mark.parametrize("backend", servers.BACKENDS)
def test_search_and_lists_give_the_same_on_both_databases(backend: str) -> None:
    with servers.running_stack(backend, workers=0, web=False, sandbox=False) as stack:
        found = stack.run(permit_search.search_and_lists)
    newest_first = ["AB", "ABD1", "QQQ1", "ZZZ9", "ABC100", "ABC200"]
    assert found == {
        "abc": ["ABC100", "ABC200", "ZZZ9", "QQQ1"],
        "a.b c": ["ABC100", "ABC200"],
        "inside": ["ABC100", "ZZZ9"],
        "too short to look inside": [],
        "unit": ["ZZZ9"],
        "external": ["ABC100"],
        "words": ["ABD1"],
        "odd": [],
        "all": newest_first,
        "waiting": newest_first,
        "waiting abc": ["ABC100", "ABC200", "ZZZ9", "QQQ1"],
        "unprotected": newest_first[1:],
        "few": [["AB", "ABC100"], True],
        "types": ["Staff", "Visitor"],
    }
