"""Shows every component in every state on one page: what the page authors look at and what the browser tests check.

Never part of the product: it exists outside production, and in production for support only. Nothing on it is real, so
it needs no database.
"""

from datetime import UTC, datetime, timedelta
from typing import Any

from django import forms
from django.conf import settings
from django.core.paginator import Paginator
from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils.translation import gettext_lazy as _

from offstreet.charts import Chart, Series
from offstreet.templatetags.ui import STATES, TONE_ICONS, icon_names

NOW = datetime(2026, 11, 22, 17, 10, tzinfo=UTC)
HOURS = 24
# htmx takes this status as: swap this in, and ask no more.
STOP_POLLING = 286
ACCEPTED = (12, 8, 6, 5, 9, 18, 41, 78, 92, 86, 71, 66, 73, 61, 58, 64, 81, 75, 52, 38, 30, 22, 17, 14)
REFUSED = (0, 0, 0, 0, 0, 0, 0, 0, 3, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 0)
MEDIAN_S = (
    0.4,
    0.4,
    0.3,
    None,
    None,
    0.4,
    0.5,
    0.6,
    0.6,
    0.5,
    0.4,
    0.4,
    0.5,
    0.4,
    0.4,
    0.4,
    0.9,
    0.5,
    0.4,
    0.4,
    0.4,
    0.4,
    0.4,
    0.4,
)
P95_S = (
    1.0,
    0.9,
    0.8,
    None,
    None,
    1.1,
    1.2,
    1.6,
    1.9,
    1.4,
    1.1,
    1.0,
    1.2,
    1.0,
    1.1,
    1.1,
    3.4,
    1.3,
    1.0,
    1.0,
    1.1,
    1.0,
    1.0,
    1.1,
)
ZONES = (
    ("216", "All Passport spaces"),
    ("Lot 70", "E. 24th Street"),
    ("LotB", "Lot B"),
    ("LOTB", "Lot B, upper deck"),
    ("Z123", "North Campus Garage"),
)


class SampleForm(forms.Form):
    """A form with one field of each kind."""

    plate = forms.CharField(
        label=_("Plate"), max_length=12, help_text=_("As it appears on the vehicle; spaces don't matter.")
    )
    location = forms.ChoiceField(
        label=_("Location"), choices=[("", "Choose…"), ("1", "Lot B"), ("2", "Rec Garage")]
    )
    zone = forms.ChoiceField(
        label=_("Passport zone"),
        choices=[("", ""), *((number, f"{number} · {name}") for number, name in ZONES)],
        required=False,
    )
    start = forms.DateTimeField(label=_("From"), widget=forms.DateTimeInput(attrs={"type": "datetime-local"}))
    note = forms.CharField(label=_("Note"), widget=forms.Textarea(attrs={"rows": 2}), required=False)
    kind = forms.ChoiceField(
        label=_("Type"), choices=[("visitor", _("Visitor")), ("staff", _("Staff"))], widget=forms.RadioSelect
    )
    confirm = forms.BooleanField(label=_("I have checked the plate on the vehicle"))

    def clean_plate(self) -> str:
        """Refuse one plate, to have an error beside a field."""
        if self.cleaned_data["plate"] == "BAD!":
            raise forms.ValidationError(_("A plate has letters and digits only."))
        return str(self.cleaned_data["plate"])


def sample_bars() -> Chart:
    """The chart of pushes by hour."""
    hours = [(12 + i) % 24 for i in range(HOURS)]
    return Chart(
        title=str(_("Pushes in the last 24 hours, by hour")),
        labels=[f"{hour:02d}:00" for hour in hours],
        ticks=[f"{hour:02d}:00" if i % 6 == 0 else "" for i, hour in enumerate(hours)],
        series=[Series(str(_("accepted")), ACCEPTED), Series(str(_("refused")), REFUSED)],
    )


def sample_lines() -> Chart:
    """The chart of the time from save to acceptance."""
    bars = sample_bars()
    return Chart(
        title=str(_("From save to acceptance, in seconds")),
        labels=bars.labels,
        ticks=bars.ticks,
        series=[Series(str(_("median")), MEDIAN_S), Series(str(_("95th")), P95_S)],
        unit="s",
        decimals=1,
    )


def sample_steps() -> list[dict[str, Any]]:
    """A workflow with each state of a step."""
    return [
        {
            "title": _("Request the integration"),
            "state": "done",
            "note": _("Requested on 2 Aug by Operator."),
            "hint": _("done 2 Aug"),
        },
        {"title": _("Operator ID"), "state": "done"},
        {
            "title": _("Map locations to zones"),
            "state": "current",
            "note": _("7 of 10 locations are mapped."),
            "href": "#",
        },
        {
            "title": _("Test plate"),
            "state": "waiting",
            "note": _("Julka Dr.: TEST123 was sent to the enforcement team."),
            "hint": _("waiting on enforcement, 1 h"),
        },
        {
            "title": _("Authorisation"),
            "state": "blocked",
            "note": _("Passport answered that this operator hasn't authorised Offstreet."),
        },
        {"title": _("Go live"), "state": "todo"},
    ]


def allowed(request: HttpRequest) -> bool:
    """Whether the page exists for who asks."""
    return not settings.PRODUCTION or bool(getattr(request.user, "is_support", False))


def styleguide(request: HttpRequest) -> HttpResponse:
    """Show the components; `?empty=1` shows them with nothing to show, POST the form with its errors."""
    if not allowed(request):
        raise Http404
    form = SampleForm(request.POST) if request.method == "POST" else SampleForm()
    context = {
        "now": NOW,
        "earlier": NOW - timedelta(minutes=6),
        "form": form,
        "bars": sample_bars(),
        "lines": sample_lines(),
        "no_bars": Chart(
            title="Nothing", labels=["a", "b"], ticks=["12:00", "18:00"], series=[Series("accepted", [0, 0])]
        ),
        "steps": sample_steps(),
        "tones": list(TONE_ICONS),
        "states": sorted(STATES),
        "icons": sorted(icon_names()),
        "page": Paginator(range(4812), 50).get_page(request.GET.get("page")),
        "zones": ZONES,
    }
    return render(request, "styleguide.html", context, status=422 if form.errors else 200)


def styleguide_part(request: HttpRequest) -> HttpResponse:
    """Answer what htmx asks for: `?part=dialog` a dialog's content, `?part=done` the end of a poll (286)."""
    if not allowed(request):
        raise Http404
    if request.GET.get("part") == "dialog":
        return render(request, "styleguide_dialog.html")
    return HttpResponse(_("All 100,000 permits are registered."), status=STOP_POLLING)


def styleguide_zones(request: HttpRequest) -> JsonResponse:
    """Answer the searching dropdown: `{"results": [{"value", "text", "note"?, "disabled"?}]}`."""
    if not allowed(request):
        raise Http404
    wanted = request.GET.get("q", "").casefold()
    found = [
        {
            "value": number,
            "text": f"{number} · {name}",
            "note": "requires space no." if number == "216" else "",
        }
        for number, name in ZONES
        if wanted in f"{number} {name}".casefold()
    ]
    return JsonResponse({"results": found})
