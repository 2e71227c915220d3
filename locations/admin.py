"""Admin pages of companies, locations and permits, for support; people have theirs in `locations.admin_people`.

Permits, companies and locations are saved through `locations.services` here as everywhere, so a permit that support
changes is noted for delivery, and its history says who did it.
"""

from collections.abc import Iterable, Iterator
from typing import Any

from django import forms
from django.conf import settings
from django.contrib import admin, messages
from django.contrib.auth.models import Group
from django.core.exceptions import ValidationError
from django.db.models import Model, Q, QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext as _t
from django.utils.translation import gettext_lazy as _
from django.utils.translation import ngettext

from locations import admin_people  # noqa: F401  (registers its pages)
from locations.admin_base import (
    FOUND_ROWS,
    EvidenceAdmin,
    HistoryAdmin,
    LookedUpAdmin,
    SensitiveAdmin,
    actor_of,
)
from locations.fields import LineFormField
from locations.models import AuditEvent, Company, Location, Permit
from locations.pages import read_key
from locations.regions import region_choices, region_of_key
from locations.services import (
    PermitDraft,
    cancel_permits,
    change_permit,
    check_draft,
    register_permit,
    save_company,
    save_location,
    twins_sentence,
)

# Rights are given by roles in companies and by `is_staff`, never by groups.
admin.site.unregister(Group)


COMPANY_HELP = _("Part of a company's name or address.")


def find_companies(text: str) -> list[int]:
    """Return the ids of the companies whose name or address holds `text`; there are few enough to read them all."""
    found = Company.objects.filter(Q(name__icontains=text) | Q(slug__icontains=text))
    return list(found.order_by().values_list("pk", flat=True))


def newest_of(rows: QuerySet[Any]) -> Iterable[int]:
    """Return the primary keys of the newest of these rows."""
    return rows.order_by("-pk").values_list("pk", flat=True)[:FOUND_ROWS]


# --- Companies and locations --------------------------------------------------------------------------------------


@admin.register(Company)
class CompanyAdmin(SensitiveAdmin, HistoryAdmin):
    """Companies, and whether their members have to sign in with two steps."""

    list_display = ("name", "slug", "offstreet_id", "created_at")
    search_fields = ("name", "slug", "offstreet_id")
    prepopulated_fields = {"slug": ("name",)}

    def save_model(self, request: HttpRequest, obj: Company, form: Any, change: bool) -> None:
        """Save through the service."""
        save_company(company=obj, actor=actor_of(request))
        if twins := twins_sentence(obj):
            self.message_user(request, twins, messages.WARNING)


@admin.register(AuditEvent)
class AuditEventAdmin(LookedUpAdmin, EvidenceAdmin):
    """What people did that no history of rows tells."""

    list_display = ("at", "company", "actor", "kind", "thing")
    list_select_related = ("company", "actor")
    search_help_text = COMPANY_HELP

    def look_up(self, text: str) -> Iterable[int]:
        """Find the events of companies, newest first."""
        return newest_of(AuditEvent.objects.filter(company__in=find_companies(text)))


@admin.register(Location)
class LocationAdmin(HistoryAdmin):
    """Locations."""

    list_display = ("name", "company", "external_id", "timezone", "active")
    list_filter = ("active",)
    list_select_related = ("company",)
    search_fields = ("name", "external_id", "company__name", "company__slug")
    autocomplete_fields = ("company",)

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> tuple[str, ...]:
        """A location stays with its company: its permits are that company's."""
        return ("company",) if obj else ()

    def save_model(self, request: HttpRequest, obj: Location, form: Any, change: bool) -> None:
        """Save through the service."""
        save_location(location=obj, actor=actor_of(request))
        if twins := twins_sentence(obj):
            self.message_user(request, twins, messages.WARNING)


# --- Permits ------------------------------------------------------------------------------------------------------


class PermitAdminForm(forms.ModelForm):  # type: ignore[type-arg]
    """A permit; what the service would refuse is said beside the field."""

    # The service's names; the model keeps a plate both as typed and normalised.
    plate_typed = LineFormField(label=_("Plate"), max_length=40)
    subdivision = forms.ChoiceField(label=_("State or country"), choices=region_choices)

    class Meta:
        model = Permit
        fields = (
            "location", "plate_typed", "subdivision", "start", "end", "space_number", "type", "unit", "external_id",
        )  # fmt: skip
        help_texts = {"start": _("In UTC."), "end": _("In UTC. A time in the past ends the permit early.")}

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if self.instance.pk:
            self.initial["subdivision"] = self.instance.region.key

    def _post_clean(self) -> None:
        """Ask the service instead of the model: it says the same, and a person's words stay as typed."""
        if self.errors:
            return
        try:
            columns = check_draft(PermitDraft(**self.draft_values()))
        except ValidationError as error:
            for name, messages_of in error.message_dict.items():
                self.add_error(
                    {"plate": "plate_typed", "country": "subdivision"}.get(name, name), messages_of
                )
            return
        location = self.cleaned_data["location"]
        if self.instance.pk and location.company_id != self.instance.company_id:
            self.add_error("location", _t("That location belongs to another company."))
        external_id = columns["external_id"]
        same = Permit.objects.filter(company=location.company_id, external_id=external_id).exclude(
            pk=self.instance.pk
        )
        if external_id and same.exists():
            self.add_error("external_id", _t("Another permit of this company has this external id."))

    def draft_values(self) -> dict[str, Any]:
        """Return the form's values under the names of `PermitDraft`."""
        values = dict(self.cleaned_data)
        values["plate"] = values.pop("plate_typed")
        region = region_of_key(values["subdivision"])
        values |= {"country": region.country, "subdivision": region.subdivision}
        return values


def find_permits(text: str) -> Iterator[int]:
    """Yield the ids of permits that `text` names: as an id, or as the beginning of a plate in any company."""
    if (pk := read_key(text)) is not None:
        yield from Permit.objects.filter(pk=pk).values_list("pk", flat=True)
    yield from Permit.objects.plates_beginning(text).values_list("pk", flat=True)[:FOUND_ROWS]


@admin.register(Permit)
class PermitAdmin(LookedUpAdmin, HistoryAdmin):
    """Permits; saved, changed and cancelled through the services alone."""

    form = PermitAdminForm
    list_display = ("id", "plate", "subdivision", "company", "location", "start", "end", "status", "is_test")
    list_display_links = ("id", "plate")
    list_select_related = ("company", "location")
    search_help_text = _(
        "The beginning of a plate, however it is written, a complete reference, or a permit's ID. To search by unit or "
        "filter, use the company's own list."
    )
    autocomplete_fields = ("location",)
    actions = ("cancel",)
    _KEPT = (
        "id", "company", "plate", "country", "status", "cancelled_at", "source", "is_test", "revision",
        "created_at", "created_by", "updated_at", "updated_by",
    )  # fmt: skip

    def get_fields(self, request: HttpRequest, obj: Model | None = None) -> tuple[str, ...]:
        """The form's fields, and beneath them what the services keep."""
        return (*PermitAdminForm.Meta.fields, *self._KEPT) if obj else PermitAdminForm.Meta.fields

    def get_readonly_fields(self, request: HttpRequest, obj: Model | None = None) -> tuple[str, ...]:
        """What the services keep is not typed."""
        return self._KEPT if obj else ()

    def has_change_permission(self, request: HttpRequest, obj: Model | None = None) -> bool:
        """A cancelled permit is not changed any more."""
        is_over = isinstance(obj, Permit) and obj.status == Permit.Status.CANCELLED
        return super().has_change_permission(request, obj) and not is_over

    def look_up(self, text: str) -> Iterable[int]:
        """Find permits by id, external id or the beginning of a plate."""
        yield from find_permits(text)
        # The index on external ids begins with the company, of which there are few.
        companies = list(Company.objects.order_by().values_list("pk", flat=True))
        own = Permit.objects.filter(company__in=companies, external_id=text)
        yield from own.order_by().values_list("pk", flat=True)[:FOUND_ROWS]

    def save_model(self, request: HttpRequest, obj: Permit, form: PermitAdminForm, change: bool) -> None:
        """Register or change through the service."""
        values = form.draft_values()
        if change:
            saved = change_permit(permit=obj, actor=actor_of(request), source=Permit.Source.ADMIN, **values)
        else:
            saved = register_permit(
                draft=PermitDraft(**values), actor=actor_of(request), source=Permit.Source.ADMIN
            )
        obj.__dict__.update(saved.__dict__)

    @admin.action(description=_("Cancel the selected permits"))
    def cancel(self, request: HttpRequest, queryset: QuerySet[Permit]) -> None:
        """Cancel through the service, all or none. So many that a person should see first what that ends go by the
        company's own list, which asks.
        """
        most: int = settings.HELD_CHANGE_RIGHTS
        if len(queryset[: most + 1]) > most:
            text = _t(
                "Nothing was cancelled. More than %(most)d permits are cancelled in the company's own list of permits, "
                "which shows first what officers stop seeing."
            )
            self.message_user(request, text % {"most": most}, messages.ERROR)
            return
        count = cancel_permits(permits=queryset, actor=actor_of(request))
        words = ngettext("%(count)d permit cancelled.", "%(count)d permits cancelled.", count)
        self.message_user(request, words % {"count": count}, messages.SUCCESS)
