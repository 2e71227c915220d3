"""The form of one permit.

What it decides: times are the wall clock's at the chosen location (`locations.times`); a space number is asked for where
the location's zone goes by space; a plate that another current permit could be mistaken for is asked about once, and only
a tick beside the very same plate answers that; a plate that has a permit there in the same time already is asked about, too
(`integrations.permits.duplicates`). Nothing that was typed is rewritten.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from django import forms
from django.core.exceptions import ValidationError
from django.db.models import Q
from django.utils.translation import gettext as _t
from django.utils.translation import gettext_lazy as _

from integrations.models import Zone
from integrations.permits.duplicates import MAX_SHOWN, Extension, extension_of, overlapping
from integrations.permits.form_fields import ClockInput, LocationField, RegionField
from integrations.permits.form_hints import PlateHint, TimeHint, time_hint, with_doubts
from integrations.permits.queries import look_alikes
from locations.fields import LineFormField
from locations.models import Company, Location, Permit
from locations.plates import MAX_PLATE_CHARS, clean_plate, normalise_plate, without_decoration
from locations.plates import look_alikes as alike_plates
from locations.regions import find_key, region_label
from locations.services import PermitDraft
from locations.times import (
    LocalTime,
    fold_of,
    input_value,
    parse_local,
    problem_sentence,
    say_utc,
)

MAX_SPACE_CHOICES = 500
MAX_ALIKE_SHOWN = 5


class PermitForm(forms.Form):
    """One permit, new or changed. After `is_valid()` it has a `draft()` and, for a change, `changes()`."""

    # What is missing is said beside the field after sending, in the same words for everybody.
    use_required_attribute = False

    location = LocationField(label=_("Location"), empty_label=_("Choose…"))
    plate = LineFormField(
        label=_("Plate"),
        max_length=40,
        widget=forms.TextInput(
            attrs={
                "class": "os-input-plate",
                "autocomplete": "off",
                "spellcheck": "false",
                "autocapitalize": "characters",
            }
        ),
    )
    subdivision = RegionField(empty_label=_("Choose…"))
    start = forms.CharField(label=_("From"), widget=ClockInput())
    start_choice = forms.CharField(required=False, widget=forms.HiddenInput)
    # What “from” was filled in with, and the moment that was meant: “2026-12-05T18:00 2026-12-05T23:00Z”.
    start_shown = forms.CharField(required=False, widget=forms.HiddenInput)
    end = forms.CharField(label=_("Until"), widget=ClockInput())
    end_choice = forms.CharField(required=False, widget=forms.HiddenInput)
    space_number = LineFormField(label=_("Space number"), max_length=20, required=False)
    type = LineFormField(
        label=_("Type"), max_length=60, required=False, widget=forms.TextInput(attrs={"list": "permit-types"})
    )
    unit = LineFormField(label=_("Unit"), max_length=60, required=False)
    external_id = LineFormField(label=_("Your reference"), max_length=80, required=False)
    sure = forms.CharField(required=False, widget=forms.HiddenInput)
    # What to do where the plate has a permit there already: “extend:12”, or “second:12.15” for another one beside those.
    same = forms.CharField(required=False, widget=forms.HiddenInput)
    revision = forms.IntegerField(required=False, widget=forms.HiddenInput)

    def __init__(
        self,
        data: Mapping[str, Any] | None = None,
        *,
        company: Company,
        now: datetime,
        permit: Permit | None = None,
        location: Location | None = None,
        **rest: Any,
    ) -> None:
        self.company, self.permit, self.now = company, permit, now
        self._place: tuple[Location | None, Zone | None] | None = None
        self._reads: dict[str, LocalTime] = {}
        rest.setdefault("initial", {}).update(self._initial(permit, location))
        super().__init__(data, **rest)
        field = self.fields["location"]
        assert isinstance(field, LocationField)
        field.queryset = Location.objects.filter(company=company).filter(
            Q(active=True) | Q(pk__in=[permit.location_id] if permit else [])
        )
        self._ask_for_space()
        self.start_moved = self._move_start()

    # --- What the fields begin with ------------------------------------------------------------------------------

    def _initial(self, permit: Permit | None, location: Location | None) -> dict[str, Any]:
        if permit is None:
            nearby = location or Location.objects.filter(company=self.company, active=True).first()
            start = self.now.replace(second=0, microsecond=0)
            return {
                "location": location,
                "subdivision": find_key(self.company.default_region),
                **(self._start_at(start, nearby) if nearby else {}),
            }
        tz = permit.location.tz
        return {
            "location": permit.location_id,
            "plate": permit.plate_typed,
            "subdivision": permit.region,
            "start": input_value(permit.start, tz),
            "start_choice": fold_of(permit.start, tz),
            "end": input_value(permit.end, tz),
            "end_choice": fold_of(permit.end, tz),
            "space_number": permit.space_number,
            "type": permit.type,
            "unit": permit.unit,
            "external_id": permit.external_id,
            "revision": permit.revision,
        }

    @staticmethod
    def _start_at(moment: datetime, location: Location) -> dict[str, str]:
        text = input_value(moment, location.tz)
        return {"start": text, "start_shown": f"{text} {moment.astimezone(UTC):%Y-%m-%dT%H:%M}Z"}

    def _prefilled(self, typed: str) -> LocalTime | None:
        """Return the moment that “from” was filled in with, as long as nobody has typed another.

        It is meant as a moment and not as a clock's time: chosen at a location in another time zone it is the same one.
        """
        text, _blank, moment = str(self["start_shown"].value() or "").partition(" ")
        return parse_local(moment, UTC) if self.permit is None and moment and typed == text else None

    def _move_start(self) -> bool:
        """Show an untouched “from” on the clock of the location that was chosen; return whether it looks different now."""
        location, _zone = self.place()
        typed = str(self["start"].value() or "")
        kept = self._prefilled(typed)
        if not self.is_bound or location is None or kept is None or kept.moment is None:
            return False
        shown = self._start_at(kept.moment, location)
        if shown["start"] == typed:
            return False
        given: Any = self.data
        self.data = given = given.copy()
        for name, text in shown.items():
            given[name] = text
        return True

    def place(self) -> tuple[Location | None, Zone | None]:
        """Return the chosen location and its zone, as far as they are known; one query."""
        if self._place is None:
            value = self["location"].value()
            chosen = str(value.pk if isinstance(value, Location) else value or "")
            found = (
                Location.objects.filter(company=self.company, pk=int(chosen))
                .select_related("zone_mapping__zone")
                .first()
                if chosen.isascii() and chosen.isdigit() and len(chosen) < 18
                else None
            )
            mapping = getattr(found, "zone_mapping", None) if found else None
            self._place = (found, mapping.zone if mapping else None)
        return self._place

    def _ask_for_space(self) -> None:
        """Make the space number a choice, required or hidden, as the zone of the chosen location asks for."""
        _location, zone = self.place()
        field = self.fields["space_number"]
        field.required = bool(zone and zone.needs_space)
        given = self.data if self.is_bound else self.initial
        held = str(given.get("space_number") or "")
        self.asks_space = field.required or bool(held)
        if zone is None or not zone.needs_space:
            return
        field.help_text = _t("Zone %(zone)s goes by space.") % {"zone": zone.number}
        spaces = zone.spaces
        if 0 < len(spaces) <= MAX_SPACE_CHOICES:
            listed = [(space, space) for space in spaces]
            if held and held not in spaces and self.permit and held == self.permit.space_number:
                listed.append((held, _t("%(space)s (not listed any more)") % {"space": held}))
            self.fields["space_number"] = forms.ChoiceField(
                label=field.label,
                choices=[("", _("Choose…")), *listed],
                required=True,
                help_text=field.help_text,
                error_messages={"invalid_choice": _("This zone has no such space.")},
            )

    # --- Checks --------------------------------------------------------------------------------------------------

    def read(self, name: str) -> LocalTime:
        """Return what the typed time of the field `name` ("start" or "end") means at the chosen location."""
        if name not in self._reads:
            location, _zone = self.place()
            typed = str(self[name].value() or "")
            choice = str(self[f"{name}_choice"].value() or "")
            self._reads[name] = (
                (self._prefilled(typed) if name == "start" else None)
                or self._kept(name, typed, choice, location)
                or parse_local(
                    typed,
                    location.tz if location else UTC,
                    choice,
                    order=self.company.date_order,
                    is_end=name == "end",
                )
            )
        return self._reads[name]

    def _kept(self, name: str, typed: str, choice: str, location: Location | None) -> LocalTime | None:
        """Keep the stored moment, with its seconds and all, where what is typed is still what was shown."""
        if self.permit is None or location is None or location.timezone != self.permit.location.timezone:
            return None
        moment: datetime = getattr(self.permit, name)
        fold = fold_of(moment, location.tz)
        if typed != input_value(moment, location.tz) or (fold and fold != choice):
            return None
        return replace(parse_local(typed, location.tz, choice), moment=moment)

    def clean_plate(self) -> str:
        """Check the plate and keep it as it was typed."""
        typed: str = self.cleaned_data["plate"]
        clean_plate(typed)
        return typed

    def clean(self) -> dict[str, Any]:
        """Check times against the location, and ask about a plate that could be mistaken for another."""
        data = super().clean() or self.cleaned_data
        location = data.get("location")
        if location is not None:
            for name in ("start", "end"):
                if name not in self.errors:
                    self._clean_time(name, location)
        start, end = self.read("start").moment, self.read("end").moment
        if location is not None and start is not None and end is not None and start >= end:
            self.add_error("end", _("“Until” must be later than “From”."))
        if "plate" not in self.errors and "plate" in data:
            hint = self.plate_hint()
            if hint.alike and data.get("sure") != hint.plate:
                self.add_error(
                    "plate",
                    ValidationError(
                        _("Is this plate right? Another permit has one that looks similar."), code="alike"
                    ),
                )
            elif hint.same and self._same_choice(hint) is None:
                self.add_error(
                    "plate",
                    ValidationError(
                        _("This plate has a permit here at that time already. Choose what to do."),
                        code="same",
                    ),
                )
        return data

    def _same_choice(self, hint: PlateHint) -> str | None:
        """Return the chosen answer to “there is one already”, as long as it is about what is there now."""
        chosen = str(self["same"].value() or "")
        known = {hint.second, *(extension.key for extension in hint.extensions)}
        return chosen if chosen in known else None

    def extension(self) -> Extension | None:
        """Return the permit that was chosen to be extended in place of a new one, after `is_valid()`."""
        hint = self.plate_hint()
        chosen = self._same_choice(hint)
        return next((one for one in hint.extensions if one.key == chosen), None)

    def _clean_time(self, name: str, location: Location) -> None:
        read = self.read(name)
        if read.problem:
            self.add_error(name, ValidationError(problem_sentence(read, location.tz), code=read.problem))

    # --- What is said while typing ---------------------------------------------------------------------------------

    def plate_hint(self) -> PlateHint:
        """Return what to ask or say about the typed plate: look-alikes in the company, and its own permits here."""
        plate = normalise_plate(str(self["plate"].value() or ""))
        if offer := without_decoration(plate):
            return PlateHint(offer=offer)
        location, _zone = self.place()
        if not plate or len(plate) > MAX_PLATE_CHARS:
            return PlateHint()
        unchanged = self.permit is not None and self.permit.plate == plate
        others = [] if unchanged else alike_plates(plate)
        alike = list(look_alikes(self.company, others, self.now)[:MAX_ALIKE_SHOWN]) if others else []
        same = self._same(plate, location)
        start, end = self.read("start").moment, self.read("end").moment
        # A permit that is being changed is not the other one.
        extensions = (
            [one for other in same if (one := extension_of(other, start, end))]
            if self.permit is None and start is not None and end is not None and start < end
            else []
        )
        region = None if unchanged else find_key(str(self["subdivision"].value() or ""))
        return with_doubts(PlateHint(plate, alike, same, extensions), region)

    def _same(self, plate: str, location: Location | None) -> list[Permit]:
        """Return the other permits of the plate here in the typed time; for a change, those that it newly overlaps."""
        if location is None:
            return []
        start, end = self.read("start").moment or self.now, self.read("end").moment
        if end is None or end <= start:
            end = start + timedelta(microseconds=1)
        region = find_key(str(self["subdivision"].value() or ""))
        found = overlapping(location, plate, region, start, end, self.now)
        if (permit := self.permit) is not None:
            found = found.exclude(pk=permit.pk)
            if (permit.plate, permit.location_id, permit.region) == (plate, location.pk, region):
                found = found.exclude(start__lt=permit.end, end__gt=permit.start)
        return list(found[:MAX_SHOWN])

    def hint_of(self, name: str) -> TimeHint:
        """Return what to say beside the time field `name`."""
        return time_hint(self.read(name), self.place()[0], str(self[f"{name}_choice"].value() or ""))

    @property
    def start_hint(self) -> TimeHint:
        """What to say beside “from”."""
        return self.hint_of("start")

    @property
    def end_hint(self) -> TimeHint:
        """What to say beside “until”."""
        return self.hint_of("end")

    @property
    def already_over(self) -> bool:
        """Whether the typed window is over already: such a permit is kept, but nothing is sent."""
        end = self.read("end").moment
        return end is not None and end <= self.now

    @property
    def preview(self) -> list[tuple[str, str]]:
        """What will be sent, as terms and values, as far as it is known."""
        location, zone = self.place()
        start, end = self.read("start").moment, self.read("end").moment
        nothing = "–"
        region = find_key(str(self["subdivision"].value() or ""))
        zone_words = (
            str(zone) if zone else (_t("none yet: it waits until one is chosen") if location else nothing)
        )
        return [
            (_t("Plate"), normalise_plate(str(self["plate"].value() or "")) or nothing),
            (_t("State"), (region.subdivision or region_label(*region)) if region else nothing),
            (_t("Zone"), zone_words),
            (_t("From"), say_utc(start) if start and location else nothing),
            (_t("Until"), say_utc(end) if end and location else nothing),
        ]

    # --- What comes out ----------------------------------------------------------------------------------------------

    def changes(self) -> dict[str, Any]:
        """Return the values for `locations.services.change_permit`."""
        data = self.cleaned_data
        return {
            "location": data["location"],
            "plate": data["plate"],
            "country": data["subdivision"].country,
            "subdivision": data["subdivision"].subdivision,
            "start": self.read("start").moment,
            "end": self.read("end").moment,
            "space_number": data["space_number"],
            "type": data["type"],
            "unit": data["unit"],
            "external_id": data["external_id"],
        }

    def draft(self) -> PermitDraft:
        """Return the values for `locations.services.register_permit`."""
        return PermitDraft(**self.changes())

    def take_errors(self, error: ValidationError) -> None:
        """Show what a service refused beside the fields that it names."""
        if getattr(error, "code", "") == "stale":
            error = ValidationError(
                _t(
                    "Somebody else changed this permit while you were at it. What you see below is what you typed; "
                    "reload the page to see theirs."
                )
            )
        if not hasattr(error, "error_dict"):
            self.add_error(None, error)
            return
        for name, errors in error.error_dict.items():
            self.add_error(name if name in self.fields else None, errors)
