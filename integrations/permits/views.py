"""A company's permits: list, add, change, and the page that proves delivery. Ending them: `cancel_views.py`."""

from collections.abc import Sequence
from datetime import datetime

from django.contrib import messages
from django.core.exceptions import ValidationError
from django.http import Http404, HttpResponse
from django.shortcuts import redirect, render
from django.urls import reverse
from django.utils import timezone
from django.utils.formats import localize
from django.utils.translation import gettext as _
from django.utils.translation import ngettext
from django.views.decorators.http import require_GET, require_POST, require_safe

from integrations.models import CheckRun
from integrations.models.connections import vendor_of
from integrations.permits.cancel_views import undoable
from integrations.permits.duplicates import Extension, still_showing, still_words
from integrations.permits.end_presets import end_presets
from integrations.permits.fixes import fix_of, refused_for_form
from integrations.permits.forms import PermitForm
from integrations.permits.headline import headline
from integrations.permits.listing import MOST_COUNTED, NEWEST, SORTS, PermitPage, list_permits
from integrations.permits.proof import gather, timeline
from integrations.permits.queries import (
    PAGE_ROWS,
    Delivery,
    deliveries,
    delivery_of,
    permit_types,
)
from integrations.permits.rights_lookup import (
    LookupResult,
    asked_too_often,
    from_document,
    known_answer,
    not_looked_up,
)
from integrations.permits.search_views import read_filters, without_search
from integrations.reconciliation import check_runs
from integrations.vendors.naming import names_of
from locations import searches
from locations.access import CompanyRequest, company_view, may
from locations.models import Location, Permit, Role
from locations.pages import STOP_POLLING, read_key, render_page
from locations.regions import region_label
from locations.services import change_permit, register_permit
from locations.times import say_time


def _permit(request: CompanyRequest, pk: int) -> Permit:
    """Return one permit of the company, or raise 404."""
    permit = (
        Permit.objects.select_related("location", "created_by", "updated_by")
        .filter(company=request.company, pk=pk)
        .first()
    )
    if permit is None:
        raise Http404
    return permit


def _may_write(request: CompanyRequest) -> bool:
    return may(request.membership_role, Role.OPERATOR)


def _ids(texts: Sequence[str]) -> list[int]:
    return [pk for text in texts if (pk := read_key(text)) is not None]


# --- The list ------------------------------------------------------------------------------------------------------


@company_view(Role.VIEWER)
@require_safe
def permit_list(request: CompanyRequest) -> HttpResponse:
    """Show a page of permits, newest first; filters and place are kept in the address, a search as its id."""
    now, typed = timezone.now(), request.GET.get("q", "")
    if typed and not searches.is_id(typed):
        # Typed into the address by hand, or a bookmark from before there were search ids.
        return redirect(searches.address(request.path, request.GET, request.user))
    try:
        form = read_filters(request)
    except searches.SearchEnded:
        return without_search(request)
    filters = form.filters()
    page = list_permits(
        request.company,
        filters,
        now=now,
        older_than=read_key(request.GET.get("after")),
        newer_than=read_key(request.GET.get("before")),
        sort=SORTS.get(request.GET.get("sort", ""), NEWEST),
    )
    first = _first_place(request, page)
    return render_page(
        request,
        "integrations/permits/permits.html",
        {
            "now": now,
            "form": form,
            "page": page,
            "narrowed": any(request.GET.get(name) for name in form.fields),
            "may_write": _may_write(request),
            "polled": [row.permit.pk for row in page.rows if row.state.moving],
            "older": _paged(request, after=page.older, place=first + len(page.rows)),
            "newer": _paged(request, before=page.newer, place=max(first - PAGE_ROWS, 1)),
            "summary": _summary(page, first),
            "undo": undoable(request, now),
        },
    )


def _paged(request: CompanyRequest, *, place: int, **key: int | None) -> str:
    """Return the address of a neighbouring page, or an empty text where there is none; `place` is that of its first row."""
    if not any(key.values()):
        return ""
    query = request.GET.copy()
    for name in ("after", "before"):
        query.pop(name, None)
    query["from"] = str(place)
    for name, value in key.items():
        query[name] = str(value)
    return f"{request.path}?{query.urlencode()}"


def _first_place(request: CompanyRequest, page: PermitPage) -> int:
    """Return which place in the list the first row has, as the address that led here says; 1 on the first page."""
    is_first = (
        not page.rows or not (request.GET.get("after") or request.GET.get("before")) or page.newer is None
    )
    return 1 if is_first else read_key(request.GET.get("from")) or 1


def _summary(page: PermitPage, first: int) -> str:
    words = {
        "first": localize(first),
        "last": localize(first + len(page.rows) - 1),
        "all": _say_total(page.total),
    }
    if page.more:
        return _("The first %(last)s of %(all)s matches. Type more to see others.") % words
    if page.older is None and page.newer is None:
        return ngettext("%(n)d permit", "%(n)d permits", len(page.rows)) % {"n": len(page.rows)}
    return _("%(first)s–%(last)s of %(all)s permits") % words


def _say_total(total: int) -> str:
    return f"{localize(MOST_COUNTED)}+" if total > MOST_COUNTED else localize(total)


@company_view(Role.VIEWER)
@require_GET
def permit_states(request: CompanyRequest) -> HttpResponse:
    """Answer a list's poll: the states of the permits that were still moving; 286 once none is."""
    ids = _ids(request.GET.getlist("id"))[:PAGE_ROWS]
    permits = list(Permit.objects.select_related("location").filter(company=request.company, pk__in=ids))
    rows = deliveries(permits, timezone.now())
    response = render(request, "integrations/permits/_permit_states.html", {"rows": rows})
    if not any(row.state.moving for row in rows):
        response.status_code = STOP_POLLING
    return response


# --- One permit ----------------------------------------------------------------------------------------------------


@company_view(Role.VIEWER)
@require_safe
def permit_page(request: CompanyRequest, pk: int) -> HttpResponse:
    """Show a permit with its proof of delivery."""
    permit = _permit(request, pk)
    held, check = _looked_up(request, permit)
    return _permit_page(request, delivery_of(permit, timezone.now()), held, check)


def _permit_page(
    request: CompanyRequest,
    delivery: Delivery,
    held: LookupResult | None = None,
    check: CheckRun | None = None,
) -> HttpResponse:
    now, permit = timezone.now(), delivery.permit
    evidence = gather(permit)
    vendor = delivery.connection.vendor if delivery.connection else vendor_of(request.company)
    is_open = permit.status == Permit.Status.ACTIVE and permit.end > now
    # What has ended can't be changed any more.
    fix = fix_of(delivery, request.company.slug) if is_open or delivery.state.key != "refused" else None
    return render_page(
        request,
        "integrations/permits/permit.html",
        {
            "now": now,
            "permit": permit,
            "delivery": delivery,
            "state": delivery.state,
            "fix": fix,
            "headline": headline(delivery, evidence, names_of(vendor), now),
            "timeline": timeline(permit, evidence),
            "held": held,
            "check": check,
            "phase": phase(permit, now),
            "region": region_label(*permit.region),
            "may_write": _may_write(request),
            "open": is_open,
            "can_reinstate": permit.cancelled_at is not None and permit.end > now and not permit.is_test,
            "others": still_showing(permit, now),
            "undo": undoable(request, now, permit.pk),
        },
    )


def phase(permit: Permit, now: datetime) -> str:
    """Return the key of the badge that says where a permit stands in time."""
    if permit.status == Permit.Status.CANCELLED:
        return "cancelled"
    if permit.end <= now:
        return "ended"
    return "current" if permit.start <= now else "coming"


@company_view(Role.VIEWER)
@require_POST
def permit_check(request: CompanyRequest, pk: int) -> HttpResponse:
    """Ask what the vendor holds now; a worker does, and what is shown looks each second whether it has.

    As a fragment to htmx, else the way to the permit's page, which shows the same.
    """
    delivery = delivery_of(_permit(request, pk), timezone.now())
    check: CheckRun | None = None
    held = known_answer(delivery)
    if held is None:
        if check_runs.within_limits(CheckRun.Kind.RIGHTS, company=request.company, user=request.user):
            check = check_runs.ask(
                CheckRun.Kind.RIGHTS, company=request.company, user=request.user, permit=delivery.permit
            )
        else:
            held = asked_too_often()
    if request.headers.get("HX-Request"):
        context = {"held": held, "check": check, "permit": delivery.permit}
        return render(request, "integrations/permits/_permit_held.html", context)
    if check is not None:
        return redirect(f"{reverse('permit', args=[request.company.slug, pk])}?check={check.pk}#held")
    return _permit_page(request, delivery, held)


@company_view(Role.VIEWER)
@require_safe
def permit_held(request: CompanyRequest, pk: int) -> HttpResponse:
    """Show what the vendor holds, as far as a look-up has come (`check` is its number); the part of a permit's page."""
    permit = _permit(request, pk)
    held, check = _looked_up(request, permit)
    return render(
        request, "integrations/permits/_permit_held.html", {"held": held, "check": check, "permit": permit}
    )


def _looked_up(request: CompanyRequest, permit: Permit) -> tuple[LookupResult | None, CheckRun | None]:
    """Return what the look-up that the address names has found, or the look-up itself while it is under way."""
    number = read_key(request.GET.get("check"))
    if number is None:
        return None, None
    check = CheckRun.objects.filter(pk=number, permit=permit, kind=CheckRun.Kind.RIGHTS).first()
    if check is None:
        return None, None
    if check.finished_at is not None:
        return from_document(check.result), None
    if check.leased_until is None and check.requested_at < timezone.now() - check_runs.TAKEN_UP_WITHIN:
        return not_looked_up(_("No worker has picked this up yet.")), None
    return None, check


# --- Add and change --------------------------------------------------------------------------------------------------


@company_view(Role.OPERATOR)
def permit_add(request: CompanyRequest) -> HttpResponse:
    """Register a plate."""
    form = PermitForm(
        request.POST if request.method == "POST" else None,
        company=request.company,
        now=timezone.now(),
        location=_preset_location(request),
    )
    if request.method == "POST" and form.is_valid():
        if (extension := form.extension()) is not None:
            return _extend(request, form, extension)
        try:
            permit = register_permit(draft=form.draft(), actor=request.user, source=Permit.Source.DASHBOARD)
        except ValidationError as error:
            form.take_errors(error)
        else:
            messages.success(request, _("%(plate)s was registered.") % {"plate": permit.plate_typed})
            if "another" in request.POST:
                return redirect(
                    f"{reverse('permit_add', args=[request.company.slug])}?location={permit.location_id}"
                )
            return redirect("permit", request.company.slug, permit.pk)
    return _form_page(request, form, None)


def _extend(request: CompanyRequest, form: PermitForm, extension: Extension) -> HttpResponse:
    """Extend the permit that the plate has already, in place of registering a second one."""
    try:
        permit = change_permit(
            permit=extension.permit,
            actor=request.user,
            source=Permit.Source.DASHBOARD,
            revision=extension.permit.revision,
            start=extension.start,
            end=extension.end,
        )
    except ValidationError as error:
        form.take_errors(error)
        return _form_page(request, form, None)
    text = _("%(plate)s was extended until %(end)s. No second permit was registered.")
    words = {"plate": permit.plate_typed, "end": say_time(permit.end, permit.location.tz)}
    messages.success(request, text % words)
    return redirect("permit", request.company.slug, permit.pk)


def _preset_location(request: CompanyRequest) -> Location | None:
    wanted = read_key(request.GET.get("location"))
    places = Location.objects.filter(company=request.company, active=True)
    if wanted is not None:
        return places.filter(pk=wanted).first()
    few = list(places[:2])
    return few[0] if len(few) == 1 else None


@company_view(Role.OPERATOR)
def permit_change(request: CompanyRequest, pk: int) -> HttpResponse:
    """Change a permit; a cancelled one can only be registered again."""
    permit = _permit(request, pk)
    if permit.status == Permit.Status.CANCELLED:
        messages.warning(request, _("This permit is cancelled. Reinstate it before you change it."))
        return redirect("permit", request.company.slug, permit.pk)
    data = request.POST if request.method == "POST" else None
    form = PermitForm(data, company=request.company, now=timezone.now(), permit=permit)
    if request.method == "POST" and form.is_valid():
        try:
            changed = change_permit(
                permit=permit,
                actor=request.user,
                source=Permit.Source.DASHBOARD,
                revision=form.cleaned_data["revision"],
                **form.changes(),
            )
        except ValidationError as error:
            form.take_errors(error)
        else:
            if changed.revision == permit.revision:
                messages.info(request, _("Nothing was changed."))
            else:
                messages.success(request, _("%(plate)s was changed.") % {"plate": changed.plate_typed})
                if changed.end < permit.end and (others := still_showing(changed, timezone.now())):
                    messages.warning(request, still_words(others))
            return redirect("permit", request.company.slug, permit.pk)
    return _form_page(request, form, permit)


def _form_page(request: CompanyRequest, form: PermitForm, permit: Permit | None) -> HttpResponse:
    context = {
        "form": form,
        "permit": permit,
        "hint": form.plate_hint(),
        "refused": refused_for_form(permit) if permit and not form.is_bound else None,
        "types": permit_types(request.company),
        "presets": end_presets(form),
        "no_location": not form.fields["location"].queryset.exists(),  # type: ignore[attr-defined]
    }
    return render(
        request, "integrations/permits/permit_form.html", context, status=422 if form.errors else 200
    )


@company_view(Role.OPERATOR)
@require_POST
def permit_hints(request: CompanyRequest) -> HttpResponse:
    """Say what is to be said while a permit is being typed; nothing is saved. The plate travels in the body only."""
    pk = read_key(request.POST.get("permit"))
    permit = _permit(request, pk) if pk else None
    form = PermitForm(request.POST, company=request.company, now=timezone.now(), permit=permit)
    context = {
        "form": form,
        "hint": form.plate_hint(),
        "presets": end_presets(form),
        "with_space": request.POST.get("part") == "space",
    }
    return render(request, "integrations/permits/_permit_hints.html", context)
