"""Moving and unmapping with care: the question before, the typed word where permits are taken out, and undoing it after.

What it decides: a first mapping only adds, so nobody is asked; whatever moves permits, or leaves them without a zone, shows
how many first. A zone is only taken away after its word was typed. Each of them can be undone for ten seconds; a location
that somebody has mapped elsewhere meanwhile is left as it is.
"""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final
from urllib.parse import urlsplit

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST

from integrations.held_changes.views import example_permits
from integrations.models import Zone, ZoneMapping
from integrations.zones import mapping, mapping_board
from integrations.zones.moves import MovePreview
from locations.access import CompanyRequest, company_view
from locations.models import Location, Role
from locations.pages import read_key, render_page
from locations.undo import UNDO_S, is_over, note, noted, take

# The field with the number of permits that the question named; only its form has it.
ANSWER: Final = "confirmed"
# In the session: {"company", "at", "said", "moves": [[location, zone before or null, zone after or null], …]}.
_UNDO_KEY: Final = "undo_mapping"
# So many locations are named in the question.
SHOWN_MOVES: Final = 8


def removal_word() -> str:
    """Return the word that somebody types before permits are taken out."""
    return _("remove")


def agreed(request: CompanyRequest, zone: Zone | None) -> int:
    """Return how many permits the person has agreed to move, as the form that asked says; none without the word."""
    if zone is None and not has_removal_word(request):
        return 0
    return read_key(request.POST.get(ANSWER)) or 0


def has_removal_word(request: CompanyRequest) -> bool:
    """Whether the form that was sent has the word, in any case, and with or without quotation marks."""
    typed = request.POST.get("word", "").strip().strip("“”\"'")
    return typed.casefold() == removal_word().casefold()


def ask(
    request: CompanyRequest,
    seen: MovePreview,
    zone: Zone | None,
    action: str,
    fields: Sequence[tuple[str, str]],
) -> HttpResponse:
    """Render the question whether so many permits may move; `fields` are sent again with the answer."""
    is_wrong = seen.removes and ANSWER in request.POST and not has_removal_word(request)
    context = {
        "company": request.company,
        "seen": seen,
        "named": seen.moves[:SHOWN_MOVES],
        "unnamed": max(0, len(seen.moves) - SHOWN_MOVES),
        "examples": example_permits(request.company, seen.impact),
        "impact": seen.impact,
        "zone": zone,
        "twins": mapping_board.twins_of(request.company, zone) if zone else "",
        "action": action,
        "fields": [*fields, ("back", list_query(request))],
        "back_url": list_url(request),
        "word": removal_word(),
        "word_is_wrong": is_wrong,
        "typed": request.POST.get("word", ""),
    }
    return render_page(
        request, "integrations/zones/map_confirm.html", context, status=422 if is_wrong else 200
    )


# --- Back to the list -------------------------------------------------------------------------------------------------


def list_query(request: CompanyRequest) -> str:
    """Return the query of the list from which the person came: its filters, its order and its page.

    The browser says where that was. A field of the list's forms could not: htmx narrows the list around them. The question
    stands between the two, and carries it on (`back`).
    """
    for given in (request.POST, request.GET):
        if "back" in given:
            return given["back"]
    came_from = urlsplit(request.headers.get("Referer", ""))
    path = reverse("locations", args=[request.company.slug])
    is_list = came_from.netloc == request.get_host() and came_from.path == path
    return came_from.query if is_list else ""


def list_url(request: CompanyRequest) -> str:
    """Return the address of the list as it was."""
    path, query = reverse("locations", args=[request.company.slug]), list_query(request)
    return f"{path}?{query}" if query else path


def list_again(request: CompanyRequest) -> HttpResponse:
    """Return to the list as it was."""
    return HttpResponseRedirect(list_url(request))


# --- Undoing ----------------------------------------------------------------------------------------------------------


def zones_of(location_ids: Collection[int]) -> dict[int, int]:
    """Return the zone of each location that has one."""
    return dict(ZoneMapping.objects.filter(location__in=location_ids).values_list("location_id", "zone_id"))


def note_moves(
    request: CompanyRequest,
    changed: Collection[Location],
    before: Mapping[int, int],
    after: Mapping[int, Zone | None],
    said: str,
) -> None:
    """Note what was mapped, and what was said about it, so that it can be undone."""
    moves = []
    for location in changed:
        zone = after[location.pk]
        moves.append([location.pk, before.get(location.pk), zone.pk if zone else None])
    note(request, _UNDO_KEY, timezone.now(), said=said, moves=moves)


def undoable(request: CompanyRequest, now: datetime) -> dict[str, Any] | None:
    """Return what the toast says and for how many seconds, or None where there is nothing to undo."""
    found = noted(request, _UNDO_KEY, now)
    return {"said": found[0]["said"], "seconds": found[1]} if found else None


@company_view(Role.OPERATOR)
@require_POST
def mapping_undo(request: CompanyRequest) -> HttpResponse:
    """Map the locations as they were before, within ten seconds of the change."""
    done = take(request, _UNDO_KEY)
    if done is None:
        messages.info(request, _("There is nothing to undo."))
    elif is_over(datetime.fromisoformat(done["at"])):
        messages.error(
            request,
            _("The %(seconds)d seconds are over: the zones stay as they are.") % {"seconds": UNDO_S},
        )
    else:
        _undo(request, done["moves"])
    return list_again(request)


def _undo(request: CompanyRequest, moves: Sequence[Sequence[int | None]]) -> None:
    places = request.company.locations.in_bulk([pk for pk, _before, _after in moves if pk is not None])
    zones = Zone.objects.select_related("connection").in_bulk(
        [before for _pk, before, _after in moves if before is not None]
    )
    at_now = zones_of(list(places))
    choices = [
        (places[pk], zones[before] if before is not None else None)
        for pk, before, after in moves
        if pk is not None and pk in places and at_now.get(pk) == after
    ]
    try:
        back = mapping.map_locations(choices=choices, actor=request.user, confirmed=mapping.ANY_NUMBER)
    except ValidationError as error:
        messages.error(request, _("%(reason)s Nothing was changed.") % {"reason": " ".join(error.messages)})
        return
    if back:
        text = ngettext(
            "Undone: %(n)d location sends where it did before.",
            "Undone: %(n)d locations send where they did before.",
            len(back),
        )
        messages.success(request, text % {"n": len(back)})
    if left := len(moves) - len(back):
        text = ngettext(
            "%(n)d location has been mapped by someone else in the meantime and was left as it is.",
            "%(n)d locations have been mapped by someone else in the meantime and were left as they are.",
            left,
        )
        messages.warning(request, text % {"n": left})
