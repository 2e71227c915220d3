"""Who may see and do what: one decorator for every page of a company.

A person sees only the companies they belong to; anything else does not exist for them (404). Where they belong but
their role does not reach, the answer is 403. Support (`is_staff`) sees all companies, with a manager's rights;
that they looked is noted in the company's security log. A company may ask everybody for two-step sign-in: who has none
is led to its set-up.
"""

from collections.abc import Callable
from functools import wraps
from typing import Any, Concatenate, ParamSpec

from allauth.mfa.utils import is_mfa_enabled
from django.contrib import messages
from django.contrib.auth.decorators import login_required
from django.core.exceptions import PermissionDenied
from django.db.models import OuterRef, QuerySet, Subquery
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import redirect
from django.utils.translation import gettext as _

from locations import security_log
from locations.models import Company, Membership, Role, User

SUPPORT = "support"
P = ParamSpec("P")


class CompanyRequest(HttpRequest):
    """A request to one company's page, after `company_view` has let it through."""

    company: Company
    membership_role: str
    user: User


def may(role: str, needed: str) -> bool:
    """Whether `role` reaches what `needed` asks for (a `Role`, or "support")."""
    if role == SUPPORT:
        return True
    return needed != SUPPORT and Role(role).rank >= Role(needed).rank


def companies_of(user: User) -> QuerySet[Company]:
    """The companies that a person may see."""
    return Company.objects.all() if user.is_support else Company.objects.filter(memberships__user=user)


def company_view(
    needed: str = Role.VIEWER,
) -> Callable[[Callable[Concatenate[CompanyRequest, P], HttpResponse]], Callable[..., HttpResponse]]:
    """Decorate a view whose address begins with the company's slug; it gets `request.company` and the role."""

    def decorate(view: Callable[Concatenate[CompanyRequest, P], HttpResponse]) -> Callable[..., HttpResponse]:
        @login_required
        @wraps(view)
        def guarded(request: Any, company_slug: str, *args: P.args, **kwargs: P.kwargs) -> HttpResponse:
            # One query for both, since every page pays it.
            own_role = Membership.objects.filter(company=OuterRef("pk"), user=request.user.pk).values("role")[
                :1
            ]
            company = Company.objects.filter(slug=company_slug).annotate(own_role=Subquery(own_role)).first()
            role = SUPPORT if request.user.is_support else getattr(company, "own_role", None)
            if company is None or role is None:
                raise Http404
            if not may(role, needed):
                raise PermissionDenied
            if company.two_step_required and not is_mfa_enabled(request.user):
                said = _("%(company)s requires two-step sign-in. Set it up to continue.")
                messages.warning(request, said % {"company": company.name})
                return redirect("mfa_index")
            request.company, request.membership_role = company, role
            if role == SUPPORT:
                security_log.support_looked(request, "company_read", f"company {company.pk}", company=company)
            return view(request, *args, **kwargs)

        guarded.needed_role = needed  # type: ignore[attr-defined]
        return guarded

    return decorate


def support_view(view: Callable[P, HttpResponse]) -> Callable[..., HttpResponse]:
    """Decorate a view that only support may see; for everybody else it does not exist."""

    @login_required
    @wraps(view)
    def guarded(request: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        if not request.user.is_support:
            raise Http404
        return view(request, *args, **kwargs)

    guarded.needed_role = SUPPORT  # type: ignore[attr-defined]
    return guarded
