"""The overview's sentence: green only on proof and with its age; if not, what is known and since when."""

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from integrations.alarms.health import Failing, LinkHealth, trouble_of
from integrations.dashboard.all_companies import CompanyLine, totals
from integrations.dashboard.all_companies_headline import answer as answer_of_all
from integrations.dashboard.company import Figures
from integrations.dashboard.connection_summary import ConnectionSummary
from integrations.dashboard.headline import HeadlineAnswer, answer, gravest, waits
from integrations.delivery.status import PushState
from integrations.models import Connection
from integrations.onboarding.snapshot import Facts
from integrations.permits.counts import DeliveryCounts, PlaceCounts
from integrations.permits.queries import Delivery
from integrations.vendors.naming import names_of
from locations.models import Permit

NOW = datetime(2026, 11, 28, 12, 0, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
MAX_AGE = 15 * MINUTE


def ago(minutes: float) -> datetime:
    return NOW - minutes * MINUTE


def link(*, label: str = "", live_since: datetime | None = None, **values: Any) -> ConnectionSummary:
    """A live connection without problems and with a proof, except for `values`."""
    in_order: dict[str, Any] = {
        "status": "live",
        "status_since": ago(5_000),
        "worker_at": NOW,
        "compared_at": ago(3),
    }
    health = LinkHealth(**(in_order | values))
    connection = Connection(
        pk=7, vendor="passport", status=health.status, live_since=live_since or ago(5_000), label=label,
        created_at=ago(9_000), status_since=health.status_since, status_reason=values.get("reason", ""),
    )  # fmt: skip
    facts = Facts(created_at=ago(9_000), names=names_of("passport"))
    return ConnectionSummary(connection, None, facts, health, trouble_of(health, NOW))


def plate(text: str) -> tuple[datetime, Delivery]:
    return ago(6), Delivery(Permit(plate_typed=text), PushState("due", "waiting", "warning", "clock"))


def figures(*links: ConnectionSummary, current: int = 12, **values: Any) -> Figures:
    return Figures(
        at=NOW, places=values.pop("places", PlaceCounts()), current=current, starting=0, links=links, **values
    )


def said(found: Figures) -> tuple[str, str, str]:
    one = answer(found, "university", proof_max_age=MAX_AGE)
    return one.tone, one.sentence, one.detail


def test_it_is_green_on_proof_and_says_how_old_that_is() -> None:
    assert said(figures(link(), link(label="North", compared_at=ago(7)))) == (
        "success",
        "Enforcement sees everything: all 12 current permits are in OpsMan.",
        "Compared with OpsMan 7 min ago. Nothing waits to be sent.",
    )


UNANSWERED: dict[str, Any] = {
    "failing": Failing(ago(6)),
    "counts": DeliveryCounts(1, ago(1), still_shown=1),
}


@pytest.mark.parametrize(
    ("found", "tone", "sentence", "detail"),
    [
        # A comparison that is missing, too old, or failed.
        (figures(link(compared_at=ago(15.1))), "warning",
         "Passport has accepted everything, but what officers see was last compared 15 min ago.",
         "It is compared every few minutes; the diagnostics say why it is not."),
        (figures(link(compared_at=ago(40), comparison_error="Passport answered 403.")), "warning",
         "Passport has accepted everything, but what officers see was last compared 40 min ago.",
         "Passport answered 403."),
        (figures(link(compared_at=None)), "warning",
         "Passport has accepted everything, but what officers see has never been compared.", ""),
        (figures(link(), link(compared_at=ago(60))), "warning",
         "Passport has accepted everything, but what officers see was last compared 1 h ago.", ""),
        (figures(link(compared_at=None, live_since=ago(4))), "info",
         "Passport has accepted everything; what officers see has not been compared yet.",
         "The first comparison follows within a few minutes."),
        (figures(link(compared_at=ago(20)), current=0), "warning",
         "Passport has accepted everything, but what officers see was last compared 20 min ago.", ""),
        # An outage, by its age; a change that waits because of it has its plate.
        (figures(link(**UNANSWERED), still=[plate("NBC002")]), "warning",
         "Passport has not answered for 6 min.",
         "1 change is waiting: NBC002 was ended here and officers may still see it."),
        (figures(link(failing=Failing(ago(1)), compared_at=ago(14))), "info",
         "Passport has not answered for 1 min.", "Nothing is waiting to be sent."),
        (figures(link(failing=Failing(ago(12)), counts=DeliveryCounts(1, ago(12), not_visible=1)),
                 hidden=[plate("RXH 8504")]), "danger",
         "Passport has not answered for 12 min.", "1 change is waiting: officers can't see RXH 8504."),
        (figures(link(), link(label="North site", failing=Failing(ago(12)), compared_at=None)), "danger",
         "North site: Passport has not answered for 12 min.", ""),
        (figures(link(counts=DeliveryCounts(40, ago(3)), accepted_lately=True)), "warning",
         "Changes have waited for 3 min; Passport is accepting them.", "40 changes are waiting."),
        (figures(link(worker_at=ago(20))), "danger",
         "No worker has been running for 20 min, so nothing is sent to Passport.", "Nothing is waiting"),
        # A cancellation that waits is as urgent as a vehicle that is not seen.
        (figures(link(counts=DeliveryCounts(1, ago(1), not_visible=1))), "warning",
         "1 vehicle is not visible to enforcement.", "Everything else is in OpsMan: 11 of 12"),
        (figures(link(counts=DeliveryCounts(1, ago(1), still_shown=1)), still=[plate("NBC002")]), "warning",
         "NBC002 was ended here and officers may still see it.", "1 change is on its way."),
        (figures(link(counts=DeliveryCounts(still_shown=3))), "warning",
         "3 permits were ended here and officers may still see them.", ""),
        (figures(link(counts=DeliveryCounts(2, ago(1), not_visible=1, still_shown=1)), still=[plate("NBC002")]), "warning",
         "1 vehicle is not visible to enforcement.", "NBC002 was ended here and officers may still see it."),
        # A missing zone, with its consequence.
        (figures(link(), places=PlaceCounts(total=3, mapped=3, zone_missing=1, parked_missing=4)), "danger",
         "Passport no longer lists the zone of 1 location.",
         "Passport refuses new permits there, and officers may not see the 4 current permits."),
        (figures(link(), places=PlaceCounts(total=3, mapped=3, zone_missing=2)), "danger",
         "Passport no longer lists the zones of 2 locations.", "Passport refuses new permits there."),
        # What people have decided, or have to decide.
        (figures(link(status="paused")), "warning", "Passport is paused.", ""),
        (figures(link(failing=Failing(ago(1), "Not authorised.", "Ask Passport.", stopped=True))), "danger",
         "Nothing is sent to Passport: Not authorised.", "Ask Passport."),
        (figures(link(), current=0), "neutral", "Nothing is parked here now.", ""),
        (figures(), "info", "Passport is not set up yet.", ""),
    ],
)  # fmt: skip
def test_without_proof_it_says_what_is_known_and_since_when(
    found: Figures, tone: str, sentence: str, detail: str
) -> None:
    heard = said(found)
    assert heard[:2] == (tone, sentence)
    assert heard[2].startswith(detail)


def test_the_most_serious_problem_is_named_and_the_first_of_several() -> None:
    one, two, three = (HeadlineAnswer(tone, tone) for tone in ("warning", "danger", "danger"))
    assert gravest([None, one, two, three]) is two
    assert gravest([None]) is None


def test_no_sentence_says_that_all_is_well_while_anything_is_not() -> None:
    wrong = [
        link(compared_at=None), link(compared_at=ago(16)), link(failing=Failing(ago(0.1)), compared_at=None),
        link(worker_at=None), link(counts=DeliveryCounts(1, ago(2))), link(counts=DeliveryCounts(not_visible=1)),
        link(counts=DeliveryCounts(still_shown=1)), link(status="paused"),
    ]  # fmt: skip
    for one in wrong:
        assert said(figures(one))[0] != "success"
        assert said(figures(link(), one))[0] != "success"


def test_a_zone_that_is_gone_is_to_do_for_the_company() -> None:
    places = PlaceCounts(total=2, mapped=2, zone_missing=1, zone_missing_since=ago(90))
    [todo] = waits(figures(link(), places=places), "university", is_you=True, now=NOW)
    assert todo.what == "Map 1 location to another zone: its own is no longer listed"
    assert (todo.since, todo.url) == (ago(90), "/c/university/locations/?show=missing")


# --- All companies ----------------------------------------------------------------------------------------------------


def line(name: str = "University", **values: Any) -> CompanyLine:
    one = CompanyLine(1, name, name.lower(), "", ago(9_000), statuses=["live"], compared_at=ago(4))
    for key, value in values.items():
        setattr(one, key, value)
    if one.trouble is not None:
        one.trouble_vendor = "passport"
    return one


def trouble(**values: Any) -> Any:
    return trouble_of(link(**values).health, NOW)


@pytest.mark.parametrize(
    ("lines", "tone", "sentence", "detail"),
    [
        ([], "info", "There are no companies yet.", ""),
        ([line()], "success", "Enforcement sees everything at every live company.",
         "The oldest comparison with what officers see is 4 min old."),
        ([line(statuses=["setup"], compared_at=None)], "neutral", "No company is live yet.", ""),
        ([line(), line("City", is_unproved=True)], "warning",
         "What officers see has not been compared lately at 1 company.", ""),
        ([line(), line("City", trouble=trouble(failing=Failing(ago(6)), compared_at=None))], "warning",
         "City: Passport has not answered for 6 min.", ""),
        ([line("A", trouble=trouble(counts=DeliveryCounts(1, ago(4)))),
          line("City", trouble=trouble(failing=Failing(ago(16)), compared_at=None))], "danger",
         "City: Passport has not answered for 16 min.", "1 other company is affected."),
        ([line(), line("City", trouble=trouble(failing=Failing(ago(3), of_host=True), compared_at=None))], "warning",
         "Passport has not answered for 3 min, so nothing is sent for any company.", ""),
        ([line(), line("City", trouble=trouble(failing=Failing(ago(1), of_host=True), compared_at=None))], "info",
         "Passport has not answered for 1 min, so nothing is sent for any company.", ""),
        ([line(trouble=trouble(worker_at=ago(4)))], "warning",
         "No worker has been running for 4 min, so nothing is sent for any company.", ""),
        ([line(places=PlaceCounts(zone_missing=1))], "danger",
         "At 1 company a location is mapped to a zone that is no longer listed.", ""),
        ([line(counts=DeliveryCounts(1, ago(1), still_shown=1))], "warning",
         "1 permit was ended here and officers may still see it.", ""),
        ([line(counts=DeliveryCounts(2, ago(1), not_visible=1, still_shown=1))], "warning",
         "1 vehicle at 1 company: not visible to enforcement.",
         "1 permit was ended here and officers may still see it."),
    ],
)  # fmt: skip
def test_the_sentence_over_all_companies(
    lines: list[CompanyLine], tone: str, sentence: str, detail: str
) -> None:
    heard = answer_of_all(totals(lines), NOW)
    assert (heard.tone, heard.sentence) == (tone, sentence)
    assert heard.detail.startswith(detail)
