"""The search page: a dialog over whatever page a person is on (Ctrl-K), and a page of its own without scripts.

What is searched for travels in the body of a POST, since it may be a plate (`locations.searches`).
"""

from allauth.mfa.utils import is_mfa_enabled
from django.contrib.auth.decorators import login_required
from django.http import HttpRequest, HttpResponse

from integrations.search.queries import Scope, find
from locations import security_log
from locations.access import SUPPORT, companies_of
from locations.models import Membership, User
from locations.pages import render_page
from locations.text import tidy


@login_required
def search(request: HttpRequest) -> HttpResponse:
    """Show the field, and with a POST what was found; `company` in the address is the one a person comes from."""
    assert isinstance(request.user, User)
    scope = _scope(request.user, request.GET.get("company", ""))
    text = request.POST.get("q", "")
    if tidy(text) and request.user.is_support:
        security_log.support_looked(request, "companies_searched", "search")
    context = {"text": text, "groups": find(text, scope), "came_from": scope.company}
    is_part = request.method == "POST" and bool(getattr(request, "htmx", None))
    template = "integrations/search/_results.html" if is_part else "integrations/search/search.html"
    return render_page(request, template, context)


def _scope(user: User, slug: str) -> Scope:
    """Return where this person may look; a company that asks for two-step sign-in shows nothing to who has none."""
    companies = companies_of(user)
    if not is_mfa_enabled(user):
        companies = companies.filter(two_step_required=False)
    company = companies.filter(slug=slug).first() if slug else None
    ids = (
        None
        if user.is_support and is_mfa_enabled(user)
        else frozenset(companies.values_list("pk", flat=True))
    )
    if user.is_support:
        return Scope(ids, company, SUPPORT)
    own = Membership.objects.filter(user=user, company=company).first() if company else None
    return Scope(ids, company, own.role if own else "")
