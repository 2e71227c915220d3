"""Locations and zones: which location sends to which zone. Works by plain forms; htmx saves a row in its place.

What moves permits, or takes them out, is asked about first and can be undone: `mapping_confirm.py`.
"""

from collections.abc import Sequence
from typing import Any
from urllib.parse import urlencode

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.core.paginator import Paginator
from django.db.models import Case, IntegerField, Value, When
from django.http import Http404, HttpResponse, JsonResponse
from django.shortcuts import get_object_or_404, redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import localize
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET, require_POST, require_safe
from django_htmx.http import HttpResponseClientRedirect

from integrations.models import Zone, ZoneMapping, ZoneRefresh
from integrations.zones import mapping, mapping_board, mapping_confirm, moves
from integrations.zones.refresh_summary import summary
from locations.access import CompanyRequest, company_view, may
from locations.models import Company, Location, Role
from locations.pages import read_key, render_page
from locations.text import tidy

OPTIONS_SHOWN = 50


class _Counted(Paginator):  # type: ignore[type-arg]
    """A paginator that is told its count where that is known already."""

    def __init__(self, *args: Any, known: int | None, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if known is not None:
            self.count = known


def _context(request: CompanyRequest, board: mapping_board.Board) -> dict[str, Any]:
    return {
        "company": request.company,
        "may_map": may(request.membership_role, Role.OPERATOR),
        "connected": bool(board.connections),
        "shipped": board.shipped,
    }


@company_view()
@require_safe
def locations(request: CompanyRequest) -> HttpResponse:
    """List the company's locations, unmapped ones first, each with its zone."""
    company, text = request.company, request.GET.get("q", "")
    show = request.GET.get("show", "")
    now, sort = timezone.now(), request.GET.get("sort", "")
    found = mapping_board.board_locations(company, now, text=text, show=show, sort=sort)
    tally = mapping_board.tally(company)
    known = None if text or show else tally.total
    page = _Counted(found, mapping_board.PAGE_ROWS, known=known).get_page(request.GET.get("page"))
    places = list(page.object_list)
    board = mapping_board.board(company, places, now)
    last = last_refresh(company)
    context = _context(request, board) | {
        "tally": tally,
        "page": page,
        "rows": board.rows,
        "suggestions": board.suggestions,
        "last_refresh": last,
        "last_refresh_words": summary(last) if last else "",
        "clock": places[0].timezone if places else "UTC",
        "undo": mapping_confirm.undoable(request, now),
    }
    return render_page(request, "integrations/zones/locations.html", context)


def last_refresh(company: Company) -> ZoneRefresh | None:
    """Return the newest finished pull of the company's zones."""
    found = ZoneRefresh.objects.filter(connection__company=company, finished_at__isnull=False)
    return found.select_related("connection").order_by("-finished_at").first()


def _location(request: CompanyRequest, pk: int) -> Location:
    return get_object_or_404(
        Location.objects.select_related("zone_mapping__zone"), pk=pk, company=request.company
    )


def _zone(request: CompanyRequest, wanted: str) -> Zone | None:
    """Return the zone that a form names, None for “no zone”; raise 404 for one that is not the company's."""
    if not wanted:
        return None
    pk = read_key(wanted)
    if pk is None:
        raise Http404
    return get_object_or_404(
        Zone.objects.select_related("connection"), pk=pk, connection__company=request.company
    )


def _explain(error: ValidationError) -> str:
    return " ".join(error.messages)


@company_view(Role.OPERATOR)
def map_one(request: CompanyRequest, pk: int) -> HttpResponse:
    """Choose one location's zone: a page of its own for readers without JavaScript, a row for htmx."""
    location = _location(request, pk)
    if request.method == "POST":
        return _save_one(request, location)
    if "confirm" in request.GET:
        return _confirm_one(request, location)
    text = request.GET.get("q", location.name)
    found = _found_zones(request.company, text)
    context = {"location": location, "found": found, "text": text, "shown": OPTIONS_SHOWN}
    return render_page(request, "integrations/zones/location_zone.html", context)


def _save_one(request: CompanyRequest, location: Location) -> HttpResponse:
    # What was chosen in the row goes before what is suggested: whoever sends a row by Enter, or without JavaScript, may
    # have pressed “Accept” without meaning to.
    zone = _zone(request, request.POST.get("zone") or request.POST.get("accept", ""))
    wrong = said = ""
    before = mapping_confirm.zones_of([location.pk])
    try:
        changed = mapping.map_location(
            location=location,
            zone=zone,
            actor=request.user,
            confirmed=mapping_confirm.agreed(request, zone),
        )
    except mapping.NeedsConfirmation as error:
        if mapping_confirm.ANSWER in request.POST:
            fields = [("zone", str(zone.pk) if zone else "")]
            return mapping_confirm.ask(request, error.preview, zone, request.path, fields)
        query = urlencode({"confirm": zone.pk if zone else "", "back": mapping_confirm.list_query(request)})
        asks = f"{reverse('location_map', args=[request.company.slug, location.pk])}?{query}"
        return HttpResponseClientRedirect(asks) if request.htmx else redirect(asks)  # type: ignore[attr-defined]
    except ValidationError as error:
        wrong = _explain(error)
    else:
        said = (
            _saved_words(location, zone)
            if changed
            else _("%(location)s stays as it is.") % {"location": location}
        )
        if changed:
            mapping_confirm.note_moves(request, [location], before, {location.pk: zone}, said)
    if not request.htmx:  # type: ignore[attr-defined]
        if wrong:
            messages.error(request, wrong)
        elif not changed:
            messages.success(request, said)
        return mapping_confirm.list_again(request)
    fresh = _location(request, location.pk)
    board = mapping_board.board(request.company, [fresh], timezone.now())
    context = _context(request, board) | {
        "row": board.rows[0],
        "tally": mapping_board.tally(request.company),
        "suggestions": () if wrong else mapping_board.suggestions(request.company),
        "wrong": wrong,
        "said": said,
        "undo": mapping_confirm.undoable(request, timezone.now()) if said and changed else None,
    }
    return render(request, "integrations/zones/_location_saved.html", context)


def _confirm_one(request: CompanyRequest, location: Location) -> HttpResponse:
    """Show what mapping the location to the chosen zone would do, before it is done."""
    zone = _zone(request, request.GET["confirm"])
    mapped = ZoneMapping.objects.select_related("zone__connection").filter(location=location).first()
    left = [(location, mapped.zone, zone)] if mapped is not None and mapped.zone != zone else []
    seen = moves.preview_of(left, timezone.now())
    if seen is None:
        return redirect("locations", request.company.slug)
    action = reverse("location_map", args=[request.company.slug, location.pk])
    return mapping_confirm.ask(request, seen, zone, action, [("zone", str(zone.pk) if zone else "")])


def _saved_words(location: Location, zone: Zone | None) -> str:
    if zone is None:
        return _("%(location)s has no zone now; its permits are being removed from enforcement.") % {
            "location": location
        }
    moved = mapping_board.current_permits([location.pk], timezone.now()).get(location.pk, 0)
    words = _("%(location)s sends to %(zone)s.") % {"location": location, "zone": zone}
    if not moved:
        return words
    if not zone.connection.is_live:
        waits = _(
            "Its permits are sent once %(connection)s is live. Until then, parking rights on "
            "another integration are kept."
        )
        return f"{words} {waits % {'connection': zone.connection}}"
    on_the_way = ngettext(
        "%(n)s current permit is on its way.", "%(n)s current permits are on their way.", moved
    )
    return f"{words} {on_the_way % {'n': localize(moved, use_l10n=True)}}"


@company_view(Role.OPERATOR)
@require_POST
def map_several(request: CompanyRequest) -> HttpResponse:
    """Map the selected locations to one zone, all or none."""
    picked = [pk for one in request.POST.getlist("location") if (pk := read_key(one)) is not None]
    chosen = list(Location.objects.filter(pk__in=picked, company=request.company))
    zone = _zone(request, request.POST.get("zone", ""))
    if not chosen or zone is None:
        messages.error(request, _("Nothing was changed. Select one or more locations and a zone."))
    else:
        fields = [("location", str(location.pk)) for location in chosen] + [("zone", str(zone.pk))]
        if (asked := _map(request, [(location, zone) for location in chosen], fields)) is not None:
            return asked
    return mapping_confirm.list_again(request)


@company_view(Role.OPERATOR)
@require_POST
def accept_suggestions(request: CompanyRequest) -> HttpResponse:
    """Accept the suggestions that the page showed; one that no longer holds is left out and named."""
    shown = set(request.POST.getlist("suggestion"))
    still = {
        f"{one.location.pk}:{one.zone.pk}": one
        for one in mapping_board.suggestions(request.company)
        if one.zone
    }
    if choices := [(one.location, one.zone) for key, one in still.items() if key in shown]:
        _map(request, choices)
    if gone := len(shown - still.keys()):
        text = ngettext(
            "%(n)d suggestion no longer applies and was skipped.",
            "%(n)d suggestions no longer apply and were skipped.",
            gone,
        )
        messages.warning(request, text % {"n": gone})
    return mapping_confirm.list_again(request)


def _map(
    request: CompanyRequest,
    choices: list[tuple[Location, Zone | None]],
    fields: Sequence[tuple[str, str]] = (),
) -> HttpResponse | None:
    """Map locations and say so; return the question where a person has to agree first."""
    before = mapping_confirm.zones_of([location.pk for location, _zone in choices])
    zone = choices[0][1]
    try:
        changed = mapping.map_locations(
            choices=choices, actor=request.user, confirmed=mapping_confirm.agreed(request, zone)
        )
    except mapping.NeedsConfirmation as error:
        return mapping_confirm.ask(request, error.preview, zone, request.path, fields)
    except ValidationError as error:
        messages.error(request, _("%(reason)s Nothing was changed.") % {"reason": _explain(error)})
        return None
    text = ngettext("%(n)d location was mapped.", "%(n)d locations were mapped.", len(changed))
    said = text % {"n": len(changed)}
    if changed:
        now_at = {location.pk: zone for location, zone in choices}
        mapping_confirm.note_moves(request, changed, before, now_at, said)
    else:
        messages.info(request, said)
    return None


def _found_zones(company: Company, text: str) -> list[Zone]:
    """Return the zones that a reader may mean, the exact number first."""
    exact = Case(
        When(number=tidy(text), then=Value(0)),
        When(number__iexact=tidy(text), then=Value(1)),
        default=Value(2),
        output_field=IntegerField(),
    )
    found = mapping_board.choosable_zones(company, text).defer("raw").order_by(exact, "number", "pk")
    return list(found[:OPTIONS_SHOWN])


@company_view(Role.OPERATOR)
@require_GET
def zone_options(request: CompanyRequest) -> JsonResponse:
    """Answer the searching dropdown: `?q=` → `{"results": [{"value", "text", "exact", "note"}]}`, at most `OPTIONS_SHOWN`."""
    several = mapping_board.open_connections(request.company).count() > 1
    results = []
    for zone in _found_zones(request.company, request.GET.get("q", "")):
        notes = [_("requires space no.")] if zone.needs_space else []
        if several:
            notes.append(zone.connection.label or zone.connection.name)
        results.append(
            {"value": str(zone.pk), "text": str(zone), "exact": zone.number, "note": " · ".join(notes)}
        )
    return JsonResponse({"results": results})


@company_view(Role.OPERATOR)
@require_GET
def zone_hint(request: CompanyRequest) -> HttpResponse:
    """Say what is to be said about a zone that was chosen and not saved yet (`zone`), for a row's `location`."""
    zone = _zone(request, request.GET.get("zone", ""))
    pk = read_key(request.GET.get("location"))
    location = _location(request, pk) if pk is not None else None
    hints = mapping_board.hints(request.company, zone, location, timezone.now())
    return render(request, "integrations/zones/_zone_hint.html", {"hints": hints})
