"""`manage.py first_support_user` may run at every start of a deployment."""

import pytest
from django.contrib.auth import get_user_model
from django.core.management import CommandError, call_command

pytestmark = pytest.mark.django_db
PASSWORD = "a-long-first-password"


@pytest.fixture(autouse=True)
def environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """A deployment's variables."""
    monkeypatch.setenv("FIRST_SUPPORT_EMAIL", "Support@offstreet.example")
    monkeypatch.setenv("FIRST_SUPPORT_PASSWORD", PASSWORD)


def test_it_makes_a_support_user_who_can_sign_in(capsys: pytest.CaptureFixture[str]) -> None:
    call_command("first_support_user")
    user = get_user_model().objects.get()
    assert user.is_support
    assert user.is_superuser
    assert user.check_password(PASSWORD)
    assert capsys.readouterr().out == (
        "Made the support user support@offstreet.example; "
        "the first sign-in mails a link that verifies the address.\n"
    )


def test_run_again_it_keeps_the_password_that_was_chosen_since(monkeypatch: pytest.MonkeyPatch) -> None:
    call_command("first_support_user")
    user = get_user_model().objects.get()
    user.set_password("chosen-by-its-owner")
    user.save()
    monkeypatch.setenv("FIRST_SUPPORT_EMAIL", "support@OFFSTREET.example")
    call_command("first_support_user")
    assert get_user_model().objects.get().check_password("chosen-by-its-owner")


def test_it_gives_an_account_its_rights_back() -> None:
    get_user_model().objects.create_user(
        email="support@offstreet.example", password=PASSWORD, is_active=False
    )
    call_command("first_support_user")
    user = get_user_model().objects.get()
    assert user.is_support
    assert user.is_superuser


def test_a_password_is_reset_only_on_request(monkeypatch: pytest.MonkeyPatch) -> None:
    call_command("first_support_user")
    monkeypatch.setenv("FIRST_SUPPORT_PASSWORD", "another-long-password")
    call_command("first_support_user", "--reset-password")
    assert get_user_model().objects.get().check_password("another-long-password")


@pytest.mark.parametrize(
    ("email", "password", "sentence"),
    [
        ("", PASSWORD, "FIRST_SUPPORT_EMAIL is empty"),
        ("nobody", PASSWORD, "FIRST_SUPPORT_EMAIL is not an email address: 'nobody'"),
        ("a@offstreet.example", "", "FIRST_SUPPORT_PASSWORD is empty"),
        ("a@offstreet.example", "12345678", "FIRST_SUPPORT_PASSWORD is too weak"),
    ],
)
def test_what_can_not_work_is_one_clear_sentence(
    monkeypatch: pytest.MonkeyPatch, email: str, password: str, sentence: str
) -> None:
    monkeypatch.setenv("FIRST_SUPPORT_EMAIL", email)
    monkeypatch.setenv("FIRST_SUPPORT_PASSWORD", password)
    with pytest.raises(CommandError, match=sentence):
        call_command("first_support_user")
    assert not get_user_model().objects.exists()
