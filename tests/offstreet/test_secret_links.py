"""A link that gives access appears in no log line, no matter who writes it, and no mailed link leads to another server."""

import io
import re
import sys
from collections.abc import Iterator
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
import structlog
from allauth.account.forms import default_token_generator
from allauth.account.models import EmailAddress
from allauth.account.utils import user_pk_to_url_str
from django.core import mail, signing
from django.test import Client
from django.urls import reverse
from django.utils import timezone
from gunicorn.config import Config

from integrations.models import StatusLink
from integrations.notifications import signed_links
from integrations.onboarding import test_plates
from locations.invitations import invite_person, token_of
from offstreet.logs import mask_links
from offstreet.runtime.weblog import GunicornLogger
from tests.factories import UserFactory
from tests.pages import World
from tests.production_logs import production_logs
from tests.routes import all_routes

pytestmark = pytest.mark.django_db
BAD = "3.Zm9yZ2VkLXNpZ25hdHVyZS10aGF0LW5vYm9keS1tYWRl"


@pytest.fixture
def written() -> Iterator[io.StringIO]:
    """All that any logger writes at any level while the test runs, as production writes it."""
    with production_logs("DEBUG") as stream:
        yield stream


@pytest.fixture
def tokens(world: World) -> dict[str, str]:
    """A working secret of each kind, by the name of its address."""
    person = UserFactory()
    invited = invite_person(company=world.company, email="new@u.example", role="viewer", actor=person)
    location = world.location("Lot", world.zone("1"))
    test = test_plates.start_test(connection=world.connection, location=location, ask=["robin@u.example"])
    test_plates.issue_link(test, ["robin@u.example"])
    assert test.link_expires_at
    link = signed_links.TestLink(test.pk, signed_links.issue_of(test.link_expires_at), 0)
    status = signed_links.make_status_link(connection=world.connection, actor=person)
    return {
        "invitation": token_of(invited.pk),
        "test_answer": signed_links.test_token(link),
        "status_page": signed_links.status_token(status),
        "account_reset_password_from_key": "-".join(
            (user_pk_to_url_str(person), default_token_generator.make_token(person))
        ),
        "account_confirm_email": signing.dumps("1", salt="account"),
    }


def address(name: str, token: str) -> str:
    """Return the path of a page that a secret leads to."""
    if name == "account_reset_password_from_key":
        uid, _dash, key = token.partition("-")
        return reverse(name, kwargs={"uidb36": uid, "key": key})
    return reverse(name, args=[token])


def test_every_address_of_the_plan_with_a_secret_in_it_is_masked() -> None:
    with_secrets = {name for route, name in all_routes() if re.search(r"<[^<>]*(token|key)>", route)}
    # The page to which allauth redirects from a reset link has the same address.
    assert with_secrets == {
        "invitation", "test_answer", "status_page", "account_reset_password_from_key", "account_confirm_email",
    }  # fmt: skip
    for name in with_secrets:
        assert "•••" in mask_links(address(name, "1-abc")), name


@pytest.mark.parametrize("method", ["get", "post"])
def test_no_log_line_of_ours_or_djangos_holds_a_secret(
    method: str, tokens: dict[str, str], written: io.StringIO
) -> None:
    asked = 0
    for name, good in tokens.items():
        for token in (good, good[:-1], BAD, f"{good} and more", f"{good}/more"):
            paths = [
                f"{address(name, good).replace(good, token)}",
                f"/accounts/login/?next={address(name, good)}",
            ]
            for path in (*paths, paths[0].rstrip("/")):
                getattr(Client(raise_request_exception=False), method)(path, headers={"Referer": path})
                asked += 1
        for token in (good, BAD):
            assert token not in written.getvalue(), name
            assert token.rpartition(".")[2] not in written.getvalue(), name
    assert asked > 50
    # The lines themselves are there: apart from that part, a request is no secret.
    assert "Not Found: /invitations/•••" in written.getvalue()


def test_no_traceback_holds_a_secret(
    tokens: dict[str, str], written: io.StringIO, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(token: str) -> None:
        raise RuntimeError(
            f"no idea what to do with {token} of https://site.example/s/{token}/?next=%2Fs%2F{token}%2F"
        )

    monkeypatch.setattr(signed_links, "read_status_token", broken)
    token = tokens["status_page"]
    assert Client(raise_request_exception=False).get(address("status_page", token)).status_code == 500
    text = written.getvalue()
    assert "RuntimeError: no idea" in text
    assert token not in text
    assert token.rpartition(".")[2] not in text


def test_a_secret_under_any_key_of_a_structured_line_is_masked(
    tokens: dict[str, str], written: io.StringIO
) -> None:
    for name, token in tokens.items():
        structlog.stdlib.get_logger("ours").info(
            "opened", page=address(name, token), seen=[{"at": address(name, token)}]
        )
        assert token not in written.getvalue(), name


@pytest.mark.parametrize(
    "format_", ["", '%(r)s "%(f)s" %({raw_uri}e)s %(q)s %(U)s'], ids=["ours", "everything"]
)
def test_gunicorns_access_and_error_lines_hold_no_secret(
    format_: str, tokens: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    err, out = io.StringIO(), io.StringIO()
    monkeypatch.setattr(sys, "stderr", err)
    monkeypatch.setattr(sys, "stdout", out)
    from offstreet.runtime import gunicorn_conf

    config = Config()
    for name, value in (
        ("accesslog", "-"), ("errorlog", "-"), ("access_log_format", format_ or gunicorn_conf.access_log_format),
    ):  # fmt: skip
        config.set(name, value)
    logger = GunicornLogger(config)
    try:
        for name, token in tokens.items():
            path = address(name, token)
            environ = {
                "REQUEST_METHOD": "GET", "RAW_URI": f"{path}?q=ABC1234", "PATH_INFO": path, "QUERY_STRING": f"next={path}",
                "SERVER_PROTOCOL": "HTTP/1.1", "REMOTE_ADDR": "192.0.2.1", "HTTP_REFERER": path,
            }  # fmt: skip
            response = SimpleNamespace(status="404 Not Found", sent=10, headers=[("Location", path)])
            logger.access(response, SimpleNamespace(headers=[]), environ, timedelta(milliseconds=3))
            try:
                raise RuntimeError(path)
            except RuntimeError:
                logger.exception("Error handling request %s", path)
        lines = out.getvalue() + err.getvalue()
    finally:
        for log in (logger.error_log, logger.access_log):
            log.handlers.clear()
    assert lines.count("/s/•••/") >= 3
    assert [name for name, token in tokens.items() if token in lines] == []
    if not format_:
        assert "ABC1234" not in lines
    assert logger.cfg is config


def test_what_is_no_secret_stays_readable() -> None:
    for line in (
        "Not Found: /c/university/permits/12/",
        "File /usr/lib/python3.11/site-packages/django/core/signing.py, line 12, in unsign",
        "sent to https://api.us.passportinc.com/v4/enforcement/zones",
        "fingerprint " + "a" * 64,
    ):
        assert mask_links(line) == line


# --- Where mailed links lead ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", ["name:1337", "testserver:1337", "evil.example"])
def test_a_mailed_link_leads_to_this_site_no_matter_which_host_the_request_names(
    host: str, settings: Any, world: World
) -> None:
    settings.SITE_URL = "https://passport.offstreet.example"
    settings.ACCOUNT_EMAIL_NOTIFICATIONS = True
    person = UserFactory(email="olivia@university.example")
    client = Client(HTTP_HOST=host)
    for email in (person.email, "nobody@university.example"):
        client.post(reverse("account_reset_password"), {"email": email})
    other = Client(HTTP_HOST=host)
    other.force_login(person, backend="django.contrib.auth.backends.ModelBackend")
    EmailAddress.objects.create(user=person, email="second@university.example")
    other.post(reverse("account_email"), {"action_send": "", "email": "second@university.example"})
    assert len(mail.outbox) >= 2
    for one in mail.outbox:
        whole = f"{one.message().as_string()}\n{one.body}"
        assert "1337" not in whole
        assert "evil" not in whole
        assert "testserver" not in whole
        found = re.findall(r"https?://[^\s/]+[^\s/.]", whole)
        assert set(found) <= {"https://passport.offstreet.example"}
    key = re.search(
        r"https://passport\.offstreet\.example(/accounts/password/reset/key/\S+)", str(mail.outbox[0].body)
    )
    assert key
    assert Client().get(key[1], follow=True).status_code == 200


# --- Status links end -------------------------------------------------------------------------------------------------


def test_a_status_link_ends_after_a_year_and_is_renewed_from_the_page(world: World, client: Client) -> None:
    world.operator.post(world.url("status_link_make", world.connection.pk))
    link, now = StatusLink.objects.get(), timezone.now()
    assert timedelta(days=364) < link.ends_at - now < timedelta(days=366)
    path = address("status_page", signed_links.status_token(link))
    assert client.get(path).status_code == 200
    StatusLink.objects.update(expires_at=now)
    assert client.get(path).status_code == 404
    page = world.operator.get(world.url("setup_connection", world.connection.pk)).content.decode()
    assert "Expired" in page
    assert "Renew for a year" in page
    world.operator.post(world.url("status_link_renew", world.connection.pk, link.pk))
    assert client.get(path).status_code == 200
    assert (
        "Expires" in world.operator.get(world.url("setup_connection", world.connection.pk)).content.decode()
    )


def test_a_link_from_before_links_ended_has_its_year_from_when_it_was_made(world: World) -> None:
    now = timezone.now()
    link = StatusLink.objects.create(connection=world.connection, created_at=now - timedelta(days=300))
    assert link.works(now)
    assert not link.works(now + timedelta(days=66))


def test_a_revoked_link_is_not_renewed_and_a_foreign_one_is_not_there(world: World, client: Client) -> None:
    world.operator.post(world.url("status_link_make", world.connection.pk))
    link = StatusLink.objects.get()
    other = World.build(name="Other", slug="other")
    assert other.manager.post(other.url("status_link_renew", other.connection.pk, link.pk)).status_code == 404
    assert world.viewer.post(world.url("status_link_renew", world.connection.pk, link.pk)).status_code == 403
    world.operator.post(world.url("status_link_revoke", world.connection.pk, link.pk))
    world.operator.post(world.url("status_link_renew", world.connection.pk, link.pk))
    assert client.get(address("status_page", signed_links.status_token(link))).status_code == 404
