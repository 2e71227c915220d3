"""Pages for people without a log-in: the answer to a test plate, and the status page that was passed on.

Opening either changes nothing that matters (mail scanners open links): only the form's POST, with its CSRF token, gives
the answer. Whoever holds the link may answer, once. Tries are limited, by the link where it is one of ours and by
address where it is not: guessing costs little, and nobody's guessing keeps an officer behind the same proxy out.
"""

from datetime import timedelta
from typing import Any

from allauth.account.adapter import get_adapter
from django.core.exceptions import ValidationError
from django.db.models import Q
from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.cache import never_cache
from django.views.decorators.http import require_http_methods, require_safe
from limits import RateLimitItemPerMinute

from integrations import throttle
from integrations.models import StatusLink, TestPlate
from integrations.notifications import signed_links
from integrations.onboarding import test_plates
from integrations.onboarding.forms import AnswerForm
from integrations.onboarding.page import setup_page
from locations.pages import company_clock

OPENS = RateLimitItemPerMinute(60)
ANSWERS = RateLimitItemPerMinute(10)


@never_cache
@require_http_methods(["GET", "HEAD", "POST"])
def test_answer(request: HttpRequest, token: str) -> HttpResponse:
    """Ask whether the test plate is on the officer's device; a POST answers, once."""
    link = signed_links.read_test_token(token)
    who = f"test {link.test_id} {link.place}" if link else _address(request)
    if not throttle.take(ANSWERS if request.method == "POST" else OPENS, "test-link", who):
        return _dead(request, _("Too many attempts. Wait a minute, then open the link again."), status=429)
    test = _test(link) if link else None
    if link is None or test is None:
        return _dead(
            request,
            _("This link is not valid. Make sure that you opened the whole link from the email."),
            status=404,
        )
    addresses = test_plates.split(test.link_sent_to)
    if not signed_links.is_latest(link, test) or link.place >= len(addresses):
        return _dead(request, _("A newer link was sent for this test. Use that one."), status=410)
    if test.answer:
        return _page(
            request,
            "integrations/onboarding/test_answered.html",
            test,
            {"is_own": test.answered_via == "link"},
        )
    now = timezone.now()
    if test_plates.was_taken_back(test):
        return _dead(request, _("This test was withdrawn, so there is nothing left to answer."), status=410)
    if test.link_expires_at is None or now >= test.link_expires_at:
        return _dead(request, _("This link has expired. Ask for another test plate."), status=410)
    if request.method == "POST":
        return _take_answer(request, test, addresses[link.place].strip())
    return _page(
        request,
        "integrations/onboarding/test_answer.html",
        test,
        {"over": test_plates.is_over(test, now), "now": now},
    )


@never_cache
@require_safe
def status_page(request: HttpRequest, token: str) -> HttpResponse:
    """Show the steps of a connection to someone outside the company: no plates, and no buttons."""
    pk, now = signed_links.read_status_token(token), timezone.now()
    if not throttle.take(OPENS, "status", f"status {pk}" if pk else _address(request)):
        return _dead(request, _("Too many attempts. Wait a minute, then open the link again."), status=429)
    found = StatusLink.objects.select_related("connection__company").filter(pk=pk).first() if pk else None
    if found is None or not found.works(now):
        return _dead(request, _("This status page doesn't exist, has expired or was revoked."), status=404)
    seldom = Q(last_opened_at=None) | Q(last_opened_at__lt=now - timedelta(minutes=1))
    StatusLink.objects.filter(seldom, pk=found.pk).update(last_opened_at=now)
    company = found.connection.company
    clock = company_clock(company)
    context = {
        "company_name": company.name,
        "connection": found.connection,
        "shown": setup_page(company, found.connection, now, clock=clock),
        "now": now,
        "clock": clock,
    }
    return _outside(render(request, "integrations/onboarding/status_page.html", context))


def _take_answer(request: HttpRequest, test: TestPlate, address: str) -> HttpResponse:
    form = AnswerForm(request.POST)
    if not form.is_valid():
        words = _("Choose one of the two answers.")
        return _page(request, "integrations/onboarding/test_answer.html", test, {"error": words}, status=422)
    try:
        test = test_plates.answer_test(
            test=test,
            seen=form.cleaned_data["answer"] == "yes",
            note=form.cleaned_data["note"],
            by=address,
            via="link",
        )
    except ValidationError as error:
        if error.code == "answered":
            fresh = _test(signed_links.TestLink(test.pk, "", 0)) or test
            return _page(
                request, "integrations/onboarding/test_answered.html", fresh, {"is_own": False}, status=409
            )
        context = {"error": " ".join(error.messages)}
        return _page(request, "integrations/onboarding/test_answer.html", test, context, status=409)
    return _page(
        request, "integrations/onboarding/test_answered.html", test, {"is_own": True, "thanks": True}
    )


def _test(link: signed_links.TestLink) -> TestPlate | None:
    tests = TestPlate.objects.select_related("connection__company", "permit", "zone", "location")
    return tests.filter(pk=link.test_id).first()


def _page(
    request: HttpRequest, template: str, test: TestPlate, context: dict[str, Any], *, status: int = 200
) -> HttpResponse:
    shared = {"test": test, "company_name": test.connection.company.name}
    return _outside(render(request, template, {**shared, **context}, status=status))


def _dead(request: HttpRequest, sentence: str, *, status: int) -> HttpResponse:
    return _outside(
        render(request, "integrations/onboarding/link_dead.html", {"sentence": sentence}, status=status)
    )


def _outside(response: HttpResponse) -> HttpResponse:
    """Keep the secret in the address to itself: no search engine keeps it. (No other site gets it as a referrer either:
    the whole project says `same-origin`; a stricter word would make browsers hide the origin from the CSRF check.)"""
    response["X-Robots-Tag"] = "noindex, nofollow"
    return response


def _address(request: HttpRequest) -> str:
    """Return the visitor's network address as sign-in counts it: behind proxies of ours, what the outermost wrote down."""
    return str(get_adapter().get_client_ip(request))
