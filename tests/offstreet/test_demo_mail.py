"""The demo's mailbox: what would be sent is kept, shown as text, and can be followed; without a demo there is nothing."""

import mailbox
import re
import threading
from pathlib import Path
from typing import Any

import pytest
from django.core.mail import EmailMultiAlternatives, send_mail
from django.test import Client
from django.urls import reverse

pytestmark = pytest.mark.django_db
LIST = "/demo/mail/"


@pytest.fixture(autouse=True)
def folder(settings: Any, tmp_path: Path) -> Path:
    """A demo's mailbox."""
    settings.DEMO_MAILBOX = str(tmp_path / "mail")
    settings.EMAIL_BACKEND = "offstreet.demo_mail.MailboxBackend"
    return tmp_path / "mail"


def page(client: Client, address: str) -> str:
    answer = client.get(address)
    assert answer.status_code == 200
    return answer.content.decode()


def links(html: str) -> list[str]:
    return re.findall(r'href="(/demo/mail/[^"]+)"', html)


def test_mails_are_listed_newest_first_and_each_is_shown_with_its_links(client: Client) -> None:
    assert "No emails yet" in page(client, LIST)
    send_mail("First", "One.", None, ["a@example.org"])
    message = EmailMultiAlternatives(
        "Zone für Straße 1",
        "Please open\n\nhttp://127.0.0.1:8000/x/a:b-c_d/?e=1&f=2\n\nThank you",
        to=["b@example.org"],
    )
    message.attach_alternative("<p>Only the text is shown</p>", "text/html")
    message.send()
    listed = page(client, LIST)
    assert listed.index("Zone für Straße 1") < listed.index("First")
    assert "b@example.org" in listed
    shown = page(client, links(listed)[0])
    assert "Zone für Straße 1" in shown
    assert 'href="http://127.0.0.1:8000/x/a:b-c_d/?e=1&amp;f=2"' in shown
    assert "Only the text is shown" not in shown
    assert "One." in page(client, links(listed)[1])


def test_what_a_mail_holds_is_text(client: Client) -> None:
    nasty = '<script>alert(1)</script> javascript:alert(2) http://x.example/"onclick="alert(3)'
    send_mail("<img src=x onerror=alert(0)>", nasty, None, ["c@example.org"])
    listed = page(client, LIST)
    for html in (listed, page(client, links(listed)[0])):
        assert "<img src=x" not in html
        assert "<script>alert" not in html
        assert 'href="javascript' not in html
        assert '"onclick="' not in html


def test_the_pages_run_nothing_but_the_sites_own_scripts(client: Client) -> None:
    send_mail("First", "One.", None, ["a@example.org"])
    for address in (LIST, links(page(client, LIST))[0]):
        policy = client.get(address)["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self'" in policy
        assert "unsafe" not in policy


@pytest.mark.parametrize("key", ["1", "..", "..%2Fsecret", "%2Fetc%2Fpasswd", "cur", "\x00"])
def test_an_address_leads_to_no_other_file(client: Client, folder: Path, key: str) -> None:
    send_mail("First", "One.", None, ["a@example.org"])
    (folder.parent / "secret").write_text("Subject: secret\n\nsecret")
    assert client.get(f"{LIST}{key}/").status_code in (400, 404)


def test_mails_written_by_many_threads_are_all_kept(client: Client, folder: Path) -> None:
    def write() -> None:
        for _ in range(20):
            send_mail("Many", "One.", None, ["a@example.org"])

    threads = [threading.Thread(target=write) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(mailbox.Maildir(folder)) == 120
    listed = page(client, LIST)
    assert len(links(listed)) == 100
    assert "The newest 100 of 120 emails." in listed


@pytest.mark.parametrize("changes", [{"DEMO_MAILBOX": ""}, {"PRODUCTION": True}])
def test_without_a_demo_and_in_production_there_is_no_such_page(
    client: Client, settings: Any, changes: dict[str, Any]
) -> None:
    send_mail("First", "One.", None, ["a@example.org"])
    (address,) = links(page(client, LIST))
    for name, value in changes.items():
        setattr(settings, name, value)
    for gone in (reverse("demo_mails"), address):
        assert client.get(gone, secure=True).status_code == 404
