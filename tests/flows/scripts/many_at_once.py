"""Cancelling all that match a filter, undoing it, and the reads beside it."""

from datetime import timedelta

from django.utils import timezone

from integrations.audit_log import pushes
from integrations.dashboard import company as company_figures
from integrations.models import Push
from integrations.permits import bulk_cancel
from integrations.permits.queries import PermitFilters
from integrations.zones import mapping_board, queries
from locations.models import Permit
from locations.services import PermitDraft, end_permits, register_permits, reinstate_permits
from tests.factories import ConnectionFactory, LocationFactory, ZoneFactory, mapped_location


def cancel_and_undo(*, permits: int) -> dict[str, object]:
    """Register permits (two thirds of them mapped), cancel all and bring them back; return the counts and lists."""
    now = timezone.now()
    live = ConnectionFactory(live=True)
    zone = ZoneFactory(connection=live, number="Z1")
    mapped = mapped_location(live, zone, name="Mapped")
    unmapped = LocationFactory(company=live.company, name="Unmapped")
    drafts = [
        PermitDraft(
            (unmapped, mapped)[n % 3 > 0], f"P{n}", "US-NC", now - timedelta(hours=1), now + timedelta(days=1)
        )
        for n in range(permits)
    ]
    register_permits(drafts=drafts)
    Push.objects.create(
        connection=live,
        kind="started",
        events=1,
        sent_at=now,
        answered_at=now,
        trace_id="abcd-1",
        outcome="accepted",
    )
    before = company_figures.figures_of(live.company, now)
    filters = PermitFilters(q="P", push="waiting", when="current")
    ids = bulk_cancel.matching(live.company, filters, now)
    look = bulk_cancel.preview(ids, now)
    still = bulk_cancel.still(live.company, bulk_cancel.unpack(look.packed), filters, now)
    ended = end_permits(permit_ids=still)
    gone = Permit.objects.filter(status="cancelled", cancelled_at=ended.at).count()
    back = reinstate_permits(ended=ended)
    history = Permit.history.filter(id=ids[0]).values_list("revision", "status")
    return {
        "before": [before.unprotected.n, before.moves, before.total.waiting, before.current],
        "look": [look.n, [list(one) for one in look.locations], len(look.sample)],
        "gone": gone,
        "back": back,
        "history": [list(one) for one in history],
        "sorted": {
            sort: [one.name for one in mapping_board.board_locations(live.company, now, sort=sort)]
            for sort in ("", "name", "-zone", "-current", "pushed")
        },
        "zones": [one.number for one in queries.zones_of(live.company, sort="-used")],
        "trace": len(pushes.list_pushes([live], pushes.PushFilters(trace="abcd"), now=now).rows),
        "zone": [one.title for one in queries.history_of(zone)],
    }
