"""What the page shell (side bar, company switcher, account menu) needs on every page.

Invariant: a page that doesn't draw the shell (a fragment, a mailed link) pays nothing, and one that does pays at most
two queries: the company's connection and unmapped locations, and the person's other companies. Both run when the
template asks for them.
"""

from dataclasses import dataclass
from typing import Any

from django.conf import settings
from django.contrib.auth.models import AnonymousUser
from django.db.models import CharField, Count, IntegerField, OuterRef, Subquery, Value
from django.db.models.functions import Coalesce
from django.http import HttpRequest
from django.urls import reverse
from django.utils.functional import cached_property
from django.utils.translation import gettext as _

from integrations.models import Connection
from integrations.permits.counts import UNMAPPED
from integrations.search.pages import NavPlan, main_pages
from integrations.vendors.naming import names_of
from integrations.vendors.protocol import VendorNames
from locations.access import SUPPORT, companies_of
from locations.models import Company, Location, Role, User

# Companies that the switcher lists; whoever belongs to more gets to the others by “All companies”.
SWITCHER_LIMIT = 12


@dataclass(frozen=True)
class NavItem:
    """One entry of the side bar."""

    label: str
    icon: str
    url: str
    current: bool = False
    count: int = 0
    count_says: str = ""


def address(view: str, *args: Any) -> str:
    """Return a view's address."""
    return reverse(view, args=args)


def is_under(path: str, base: str) -> bool:
    """Whether `path` is `base` or below it."""
    return bool(base) and (path == base or path.startswith(base if base.endswith("/") else f"{base}/"))


class Shell:
    """The shell of one request; every property is computed when the template first asks."""

    def __init__(self, request: HttpRequest) -> None:
        self.request = request
        # An error page may be drawn before the middleware has said who asks.
        self.user = getattr(request, "user", None) or AnonymousUser()

    @property
    def product(self) -> str:
        """The product's name."""
        return "Offstreet"

    @property
    def production(self) -> bool:
        """Whether this is the real thing; everything else says so on top of the page."""
        return bool(settings.PRODUCTION)

    @cached_property
    def company(self) -> Company | None:
        """The company whose page this is (set by `locations.access.company_view`), or the person's only one."""
        here: Company | None = getattr(self.request, "company", None)
        if here is None and len(self.companies) == 1:
            return self.companies[0]
        return here

    @property
    def is_support(self) -> bool:
        """Whether the person works for support."""
        return bool(getattr(self.user, "is_support", False))

    @property
    def role(self) -> str:
        """What the person may do here, in words."""
        role = getattr(self.request, "membership_role", "")
        if self.is_support or role == SUPPORT:
            return _("Support")
        return str(Role(role).label) if role in Role.values else ""

    @property
    def initials(self) -> str:
        """Two letters for the person's picture."""
        words = str(getattr(self.user, "label", "")).replace("@", " ").replace(".", " ").split()
        return "".join(word[0] for word in words[:2]).upper()

    @cached_property
    def _facts(self) -> tuple[str, str, int]:
        """The company's integration name, its vendor and its number of unmapped locations, by one query."""
        if self.company is None:
            return "", "", 0
        unmapped = (
            Location.objects.filter(UNMAPPED, company=OuterRef("pk"))
            .order_by()
            .values("company")
            .annotate(n=Count("pk"))
            .values("n")
        )
        current = (
            Connection.objects.filter(company=OuterRef("pk"))
            .exclude(status=Connection.Status.ENDED)
            .order_by("pk")
        )
        row = (
            Company.objects.filter(pk=self.company.pk)
            .annotate(
                integration=Coalesce(
                    Subquery(current.values("name")[:1]), Value(""), output_field=CharField()
                ),
                vendor=Coalesce(Subquery(current.values("vendor")[:1]), Value(""), output_field=CharField()),
                unmapped=Coalesce(Subquery(unmapped), Value(0), output_field=IntegerField()),
            )
            .values_list("integration", "vendor", "unmapped")
            .first()
        )
        return row or ("", "", 0)

    @property
    def integration_name(self) -> str:
        """The name of the company's (first) connection, such as PASSPORTUNIVERSITY."""
        return self._facts[0]

    @property
    def vendor(self) -> VendorNames:
        """The names of the company's (first) vendor, of the default one on a page of no company."""
        return names_of(self._facts[1])

    @cached_property
    def nav(self) -> list[NavItem]:
        """The company's entries; empty on a page of no company."""
        if self.company is None:
            return []
        slug, path = self.company.slug, self.request.path
        items = []
        for plan in main_pages():
            url = address(plan.view, slug)
            # The overview's address is the beginning of all the others.
            current = (
                path == url
                if plan.view == "overview"
                else any(is_under(path, base) for base in (url, *(address(view, slug) for view in plan.also)))
            )
            count = self._facts[2] if plan.view == "locations" else 0
            items.append(
                NavItem(
                    plan.label, plan.icon, url, current, count, _("not mapped to a zone") if count else ""
                )
            )
        return items

    @cached_property
    def support_nav(self) -> list[NavItem]:
        """Support's entries; empty for everybody else."""
        if not self.is_support:
            return []
        return self._entries(
            NavPlan(_("Companies"), "building", "companies"),
            NavPlan(_("Set-ups"), "stairs", "setups"),
            NavPlan(_("Security log"), "history", "security_log_all"),
            NavPlan(_("Admin"), "database", "admin:index"),
        )

    @cached_property
    def account_nav(self) -> list[NavItem]:
        """The person's own pages."""
        return self._entries(
            NavPlan(_("Password"), "key", "account_change_password"),
            NavPlan(_("Two-step sign-in"), "shield-lock", "mfa_index"),
            NavPlan(_("Where you are signed in"), "devices", "usersessions_list"),
            NavPlan(_("Email address"), "mail", "account_email"),
        )

    def _entries(self, *plans: NavPlan) -> list[NavItem]:
        """Return the entries of pages that belong to no company."""
        urls = [address(plan.view) for plan in plans]
        return [
            NavItem(plan.label, plan.icon, url, is_under(self.request.path, url))
            for plan, url in zip(plans, urls, strict=True)
        ]

    @cached_property
    def _own_companies(self) -> list[Company]:
        """The person's companies in order, one more than are listed; support gets to them by “Companies”."""
        if self.is_support or not isinstance(self.user, User):
            return []
        return list(companies_of(self.user).order_by("name").only("name", "slug")[: SWITCHER_LIMIT + 1])

    @property
    def companies(self) -> list[Company]:
        """The companies to switch to."""
        return self._own_companies[:SWITCHER_LIMIT]

    @property
    def has_more_companies(self) -> bool:
        """Whether the person has companies that are not listed; support has all of them, and none is."""
        return self.is_support or len(self._own_companies) > SWITCHER_LIMIT

    @property
    def all_companies_url(self) -> str:
        """Where all of the person's companies are listed."""
        return address("companies") if self.is_support else address("home")

    @property
    def home(self) -> str:
        """Where the mark leads: the company's overview, or the start."""
        return (address("overview", self.company.slug) if self.company else "") or "/"

    @property
    def search_url(self) -> str:
        """The search, which puts what it finds in this company first."""
        return f"{address('search')}?company={self.company.slug}" if self.company else address("search")

    @property
    def switchable(self) -> bool:
        """Whether there is another company to go to."""
        return self.is_support or any(company != self.company for company in self.companies)


def shell(request: HttpRequest) -> dict[str, Any]:
    """Return the template variable `shell`; nothing is looked up before a template asks."""
    return {"shell": Shell(request)}
