"""No one can change the audit log: not the application and not SQL, on either database, as the migrations leave it."""

import pytest

from tests import servers
from tests.flows.scripts import audit_log


@pytest.mark.timeout(240)
@pytest.mark.parametrize("backend", servers.BACKENDS)
def test_rows_are_only_added_and_go_by_retention_alone(backend: str) -> None:
    with servers.running_stack(backend) as stack:
        told = stack.run(audit_log.as_the_owner)
        for name, words in told["said"].items():
            if name == "delete the person":
                assert "foreign key" in words.lower(), words
            else:
                assert "append-only" in words or "permission denied" in words, (name, words)
        assert told["same"]

        refused = stack.try_manage("audit_log", "prune", "--older-than-days", "30")
        assert refused.returncode != 0
        assert "at least 365 days" in refused.stderr
        assert stack.manage("audit_log", "prune", "--older-than-days", "700").startswith("Deleted 1 rows")
        (left,) = stack.query("SELECT count(*) AS n FROM locations_deed")
        assert left["n"] == told["rows"] - 1
        export = stack.manage("audit_log", "export")
        assert export.startswith("time (UTC),event,who")
        assert export.count("signed_in,olivia@u.example") == 2
        if backend == servers.POSTGRES:
            said = stack.run(audit_log.as_an_account_with_fewer_rights)
            assert said.pop("insert") == ""
            assert [
                name for name, words in said.items() if not ("denied" in words or "must be owner" in words)
            ] == []
