"""On PostgreSQL the audit's walk reads what has not ended from its index, and nothing else, however much has ended."""

from tests import servers
from tests.flows.scripts import audit_walk


def test_the_audit_walks_along_an_index_of_what_has_not_ended() -> None:
    with servers.running_stack(servers.POSTGRES, workers=0, web=False, sandbox=False) as stack:
        plan = stack.run(audit_walk.plan)
    assert "Index Only Scan using permit_not_ended" in plan
