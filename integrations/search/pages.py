"""The pages of a company by name: the side bar shows the first of them, the search finds them all."""

from collections.abc import Iterator
from dataclasses import dataclass

from django.urls import resolve, reverse
from django.utils.translation import gettext as _

from locations.access import may
from locations.models import Company


@dataclass(frozen=True)
class NavPlan:
    """Where an entry leads (`view`), and which addresses besides its own belong to it."""

    label: str
    icon: str
    view: str
    also: tuple[str, ...] = ()


def main_pages() -> list[NavPlan]:
    """Return the entries of a company's side bar, in order."""
    return [
        NavPlan(_("Overview"), "home", "overview"),
        NavPlan(_("Set-up"), "stairs", "setup"),
        NavPlan(_("Locations & zones"), "map-pin", "locations", also=("zones",)),
        NavPlan(_("Permits"), "car", "permits"),
        NavPlan(_("Is it valid?"), "eye", "validity"),
        NavPlan(_("Activity"), "activity", "activity"),
        NavPlan(_("Settings"), "settings", "settings"),
    ]


def other_pages() -> list[NavPlan]:
    """Return the pages that are reached from those of the side bar."""
    return [
        NavPlan(_("Add a permit"), "plus", "permit_add"),
        NavPlan(_("Add a location"), "plus", "location_add"),
        NavPlan(_("Zones"), "map-pin", "zones"),
        NavPlan(_("Zone refreshes"), "refresh", "zone_refreshes"),
        NavPlan(_("Diagnostics"), "checklist", "diagnostics"),
        NavPlan(_("Refused permits"), "x", "refused"),
        NavPlan(_("What people did"), "history", "activity_people"),
        NavPlan(_("Security log"), "history", "security_log"),
        NavPlan(_("Contacts"), "mail", "contacts"),
        NavPlan(_("Notifications"), "bell", "notifications"),
        NavPlan(_("Company details"), "settings", "settings_company"),
    ]


def pages_named(text: str, company: Company, role: str) -> Iterator[tuple[NavPlan, str]]:
    """Yield the pages whose name holds `text` and that `role` may open, with their addresses."""
    wanted = text.casefold()
    for plan in (*main_pages(), *other_pages()):
        if wanted in plan.label.casefold():
            url = reverse(plan.view, args=[company.slug])
            if may(role, getattr(resolve(url).func, "needed_role", role)):
                yield plan, url
