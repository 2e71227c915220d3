"""Support's searches and lists in the admin read no large table completely: PostgreSQL's own plans say so."""

from tests import servers
from tests.flows.scripts import admin_search


def test_no_search_and_no_list_of_the_admin_reads_a_large_table_whole() -> None:
    with servers.running_stack(servers.POSTGRES, workers=0, web=False, sandbox=False) as stack:
        said = stack.run(admin_search.plans)
    assert {name: look["whole"] for name, look in said.items() if look["whole"]} == {}
    assert {look["status"] for look in said.values()} == {200}
    one_each = {name for name, look in said.items() if look["found"] == 1}
    assert one_each >= {
        "permit by external id", "permit by id", "registration by permit", "push by trace id", "event by session",
        "event by permit", "mail by address",
    }  # fmt: skip
    for name in (
        "permit by plate", "permit by the beginning of a plate", "registration by plate", "event by trace id",
        "mail by company", "mails that failed", "registrations refused", "hours by company", "refreshes by company",
    ):  # fmt: skip
        assert said[name]["found"] >= 1, name
    assert said["permit, none"]["found"] == said["push, none"]["found"] == 0
