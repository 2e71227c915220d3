"""Ending permits: one at once, several or all that a list's filters match after a look; each can be undone for a moment.

One permit can be reinstated later, too, from its page, as long as it would not have ended anyway.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import localize
from django.utils.http import url_has_allowed_host_and_scheme
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_POST

from integrations.permits import bulk_cancel
from integrations.permits.duplicates import still_showing, still_words
from integrations.permits.queries import PermitFilters
from integrations.permits.search_views import read_filters, without_search
from locations import searches
from locations.access import CompanyRequest, company_view
from locations.models import Permit, Role
from locations.pages import read_key
from locations.services import Ended, cancel_permit, end_permits, reinstate_permit, reinstate_permits
from locations.undo import UNDO_S, is_over, note, noted, take

# More permits than this are not chosen by hand.
CHOSEN_ROWS = 200
# In the session: {"company", "at", "pk"} for one permit, {"company", "at", "ids", "n"} for many.
_UNDO_KEY = "undo_cancel"


def _permit(request: CompanyRequest, pk: int) -> Permit:
    permit = Permit.objects.select_related("location").filter(company=request.company, pk=pk).first()
    if permit is None:
        raise Http404
    return permit


# --- One -------------------------------------------------------------------------------------------------------------


@company_view(Role.OPERATOR)
def permit_cancel(request: CompanyRequest, pk: int) -> HttpResponse:
    """End one permit at once; it can be undone for ten seconds. Without JavaScript the link asks first."""
    permit = _permit(request, pk)
    if request.method != "POST":
        now = timezone.now()
        context = {"permit": permit, "now": now, "others": still_showing(permit, now)}
        return render(request, "integrations/permits/permit_cancel.html", context)
    if permit.status == Permit.Status.ACTIVE:
        cancel_permit(permit=permit, actor=request.user)
        note(request, _UNDO_KEY, timezone.now(), pk=permit.pk)
    return _back(request, reverse("permit", args=[request.company.slug, permit.pk]))


@company_view(Role.OPERATOR)
def permit_reinstate(request: CompanyRequest, pk: int) -> HttpResponse:
    """Undo a cancellation: from its toast within ten seconds, or later from the page that shows what happens (`sure`)."""
    permit, now = _permit(request, pk), timezone.now()
    page = reverse("permit", args=[request.company.slug, permit.pk])
    if permit.cancelled_at is None:
        messages.info(request, _("%(plate)s isn't cancelled.") % {"plate": permit.plate_typed})
        return _back(request, page)
    if permit.is_test and is_over(permit.cancelled_at):
        messages.error(request, _("A test plate that was withdrawn stays withdrawn. Start another test."))
        return _back(request, page)
    if permit.end <= now:
        text = _("%(plate)s would have ended by now. Register it again.")
        messages.error(request, text % {"plate": permit.plate_typed})
        return _back(request, page)
    if request.method != "POST":
        context = {"permit": permit, "now": now, "others": still_showing(permit, now)}
        return render(request, "integrations/permits/permit_reinstate.html", context)
    request.session.pop(_UNDO_KEY, None)
    if is_over(permit.cancelled_at) and "sure" not in request.POST:
        text = _("The %(seconds)d seconds are over: %(plate)s stays cancelled. Reinstate it from its page.")
        messages.error(request, text % {"seconds": UNDO_S, "plate": permit.plate_typed})
        return _back(request, page)
    try:
        reinstate_permit(permit=permit, actor=request.user)
    except ValidationError as error:
        messages.error(request, " ".join(error.messages))
    else:
        messages.success(request, _("%(plate)s was reinstated.") % {"plate": permit.plate_typed})
    return _back(request, page)


def _back(request: CompanyRequest, otherwise: str) -> HttpResponseRedirect:
    """Return to where the person came from (`next`, an address of ours), else to the address `otherwise`."""
    wanted = request.POST.get("next", "")
    is_ours = url_has_allowed_host_and_scheme(wanted, {request.get_host()}, require_https=request.is_secure())
    return HttpResponseRedirect(wanted if wanted and is_ours else otherwise)


# --- Undoing ---------------------------------------------------------------------------------------------------------


def undoable(request: CompanyRequest, now: datetime, pk: int | None = None) -> dict[str, Any] | None:
    """Return what can still be undone, for this page's toast: the seconds left, and the permit or how many (`n`).

    With `pk` it is a permit's own page, which tells of that permit alone.
    """
    found = noted(request, _UNDO_KEY, now)
    if found is None or (pk is not None and found[0].get("pk") != pk):
        return None
    what, left = found
    if "n" in what:
        return {"n": what["n"], "seconds": left}
    permit = Permit.objects.filter(
        company=request.company, pk=what["pk"], status=Permit.Status.CANCELLED
    ).first()
    if permit is None:
        return None
    others = still_showing(permit, now)
    return {"permit": permit, "seconds": left, "still": still_words(others) if others else ""}


@company_view(Role.OPERATOR)
@require_POST
def permits_reinstate(request: CompanyRequest) -> HttpResponse:
    """Undo the cancellation of many, within ten seconds of it."""
    done = take(request, _UNDO_KEY)
    if done is None or "ids" not in done:
        messages.info(request, _("There is nothing to undo."))
    elif is_over(at := datetime.fromisoformat(done["at"])):
        messages.error(
            request, _("The %(seconds)d seconds are over: they stay cancelled.") % {"seconds": UNDO_S}
        )
    else:
        ended = Ended(tuple(bulk_cancel.unpack(done["ids"])), at)
        back = reinstate_permits(ended=ended, actor=request.user)
        text = ngettext("%(n)s permit was reinstated.", "%(n)s permits were reinstated.", back)
        messages.success(request, text % {"n": localize(back)})
    return _back(request, reverse("permits", args=[request.company.slug]))


# --- Many ------------------------------------------------------------------------------------------------------------


@company_view(Role.OPERATOR)
@require_POST
def permits_cancel(request: CompanyRequest) -> HttpResponse:
    """Cancel the chosen permits, or all that the filters in the address match: first a look, then, confirmed, at once."""
    now, company = timezone.now(), request.company
    try:
        filters = read_filters(request).filters() if "matching" in request.POST else None
    except searches.SearchEnded:
        # Never all permits in place of those that were searched for.
        return without_search(request)
    if filters is not None and filters.unreadable:
        messages.warning(
            request, _("One of the filters can't be read, so nothing was chosen. Nothing was cancelled.")
        )
        return _list_again(request)
    if filters is not None and not bulk_cancel.narrows(filters):
        messages.warning(request, _("Narrow the list first, for example to one location."))
        return _list_again(request)
    if "confirm" in request.POST:
        return _cancel(request, filters, now)
    if filters is not None:
        ids = bulk_cancel.matching(company, filters, now)
        chosen = len(ids)
    else:
        wanted = [pk for text in request.POST.getlist("permit")[:CHOSEN_ROWS] if (pk := read_key(text))]
        chosen = Permit.objects.filter(company=company, pk__in=wanted).count()
        ids = bulk_cancel.still(company, wanted, None, now)
    if not chosen:
        text = (
            _("Choose at least one permit first.")
            if filters is None
            else _("None of the matching permits can be cancelled.")
        )
        messages.warning(request, text)
        return _list_again(request)
    most = bulk_cancel.MOST_AT_ONCE
    context = {
        "preview": bulk_cancel.preview(
            ids[:most], now, shown=CHOSEN_ROWS if filters is None else bulk_cancel.SHOWN
        ),
        "matching": filters is not None,
        "too_many": len(ids) > most,
        "most": most,
        "left_alone": chosen - len(ids),
        "back_url": _list_url(request),
        "now": now,
    }
    return render(request, "integrations/permits/permits_cancel.html", context)


def _list_url(request: CompanyRequest) -> str:
    """Return the address of the list as it was: its filters and its page stand in this address too."""
    query = request.GET.urlencode()
    return reverse("permits", args=[request.company.slug]) + (f"?{query}" if query else "")


def _list_again(request: CompanyRequest) -> HttpResponseRedirect:
    return HttpResponseRedirect(_list_url(request))


def _cancel(request: CompanyRequest, filters: PermitFilters | None, now: datetime) -> HttpResponse:
    """Cancel what was looked at and still matches; say so if that is less than was looked at."""
    seen: Sequence[int] = bulk_cancel.unpack(request.POST.get("ids", ""))
    ended = end_permits(permit_ids=bulk_cancel.still(request.company, seen, filters, now), actor=request.user)
    done = len(ended.permit_ids)
    if done:
        note(request, _UNDO_KEY, ended.at, ids=bulk_cancel.pack(ended.permit_ids), n=done)
    if left := len(seen) - done:
        text = ngettext(
            "%(n)s permit has changed or ended since you reviewed the list and was left as it is.",
            "%(n)s permits have changed or ended since you reviewed the list and were left as they are.",
            left,
        )
        messages.warning(request, text % {"n": localize(left)})
    elif not done:
        messages.warning(request, _("Nothing was cancelled."))
    return _list_again(request)
