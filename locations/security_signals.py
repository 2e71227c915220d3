"""Where the security log (`locations.security_log`) listens: to Django, allauth and the history of memberships."""

from typing import Any, Final

from allauth.account import signals as account
from allauth.account.authentication import get_authentication_records
from allauth.account.models import EmailAddress
from allauth.mfa import signals as mfa
from allauth.mfa.models import Authenticator
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.db.models.signals import post_save, pre_save
from django.http import HttpRequest
from simple_history.signals import post_create_historical_record

from locations.client_address import current_request
from locations.models import Membership, User
from locations.security_log import record, sign_in_refused

_RIGHTS: Final = ("is_active", "is_staff", "is_superuser")
_WATCHED: Final = ("password", "email", *_RIGHTS)


def _acting(request: HttpRequest | None = None) -> User | None:
    """Return who is signed in, or None for a visitor, a script or a worker."""
    user = getattr(request or current_request(), "user", None)
    return user if isinstance(user, User) else None


# --- Sign-in ----------------------------------------------------------------------------------------------------------


def _signed_in(*, request: HttpRequest, user: User, **_: Any) -> None:
    steps = get_authentication_records(request, user)
    methods = [str(one.get("type") or one.get("method", "")) for one in steps]
    record("signed_in", actor=user, person=user, request=request, methods=methods)


def _sign_in_failed(*, credentials: dict[str, Any], request: HttpRequest | None = None, **_: Any) -> None:
    typed = str(credentials.get("email") or credentials.get("username") or "")
    sign_in_refused("sign_in_failed", typed, request)


def _signed_out(*, user: User | None, **_: Any) -> None:
    if user is not None:
        record("signed_out", actor=user, person=user)


# --- Second factors ---------------------------------------------------------------------------------------------------


def _factor_added(*, request: HttpRequest, user: User, authenticator: Authenticator, **_: Any) -> None:
    is_codes = authenticator.type == Authenticator.Type.RECOVERY_CODES
    kind = "recovery_codes_made" if is_codes else "two_step_added"
    record(kind, actor=_acting(request), person=user, request=request, type=str(authenticator.type))


def _factor_removed(*, request: HttpRequest, user: User, authenticator: Authenticator, **_: Any) -> None:
    record(
        "two_step_removed", actor=_acting(request), person=user, request=request, type=str(authenticator.type)
    )


def _factor_used(*, request: HttpRequest, user: User, authenticator: Authenticator, **how: Any) -> None:
    again = bool(how.get("reauthenticated"))
    record(
        "two_step_used", actor=user, person=user, request=request, type=str(authenticator.type), again=again
    )


def _factor_failed(*, request: HttpRequest, user: User, **_: Any) -> None:
    # Who tries a code has shown a password, which is not to be this person yet.
    record("two_step_failed", actor=None, person=user, request=request)


# --- Accounts ---------------------------------------------------------------------------------------------------------


def _before_save(*, instance: User, update_fields: frozenset[str] | None, **_: Any) -> None:
    """Keep what the row says before it is overwritten."""
    watched = [name for name in _WATCHED if update_fields is None or name in update_fields]
    before = None
    if watched and not instance._state.adding:
        before = User.objects.filter(pk=instance.pk).values(*watched).first()
    instance._before_save = before  # type: ignore[attr-defined]


def _saved(*, instance: User, created: bool, **_: Any) -> None:
    actor = _acting()
    if created:
        rights = [name for name in _RIGHTS if getattr(instance, name)]
        record("account_made", actor=actor, person=instance, thing=instance.email, rights=rights)
        return
    before: dict[str, Any] = getattr(instance, "_before_save", None) or {}
    changed = {name for name, was in before.items() if was != getattr(instance, name)}
    # A password that is merely rehashed after a sign-in has not been set (`AbstractBaseUser.check_password`).
    was_typed = getattr(instance, "_password", None) is not None
    if "password" in changed and (was_typed or not instance.has_usable_password()):
        record("password_changed", actor=actor, person=instance, how=_how(actor, instance))
    if "email" in changed:
        record("address_changed", actor=actor, person=instance, thing=instance.email, was=before["email"])
    given = {name: getattr(instance, name) for name in _RIGHTS if name in changed}
    if given:
        record("rights_changed", actor=actor, person=instance, thing=instance.email, rights=given)


def _how(actor: User | None, person: User) -> str:
    if current_request() is None:
        return "command"
    if actor is None:
        return "mailed_link"
    return "own" if actor.pk == person.pk else "other"


def _address_added(*, request: HttpRequest, user: User, email_address: EmailAddress, **_: Any) -> None:
    record("address_added", actor=_acting(request), person=user, request=request, thing=email_address.email)


def _address_removed(*, request: HttpRequest, user: User, email_address: EmailAddress, **_: Any) -> None:
    record("address_removed", actor=_acting(request), person=user, request=request, thing=email_address.email)


def _address_confirmed(*, request: HttpRequest, email_address: EmailAddress, **_: Any) -> None:
    record("address_confirmed", actor=_acting(request), person=email_address.user, thing=email_address.email)


# --- Roles ------------------------------------------------------------------------------------------------------------


def _membership(*, instance: Membership, history_instance: Any, history_user: User | None, **_: Any) -> None:
    kind = {"+": "member_added", "-": "member_removed"}.get(history_instance.history_type, "role_changed")
    before = history_instance.prev_record if kind == "role_changed" else None
    if before is not None and before.role == instance.role:
        return
    was = {"was": before.role} if before is not None else {}
    record(
        kind,
        actor=history_user,
        person=instance.user,
        company=instance.company,
        thing=instance.user.email,
        role=str(instance.role),
        **was,
    )


def connect() -> None:
    """Connect all receivers; called once when the application is ready."""
    for signal, receiver in (
        (user_logged_in, _signed_in),
        (user_login_failed, _sign_in_failed),
        (user_logged_out, _signed_out),
        (mfa.authenticator_added, _factor_added),
        (mfa.authenticator_reset, _factor_added),
        (mfa.authenticator_removed, _factor_removed),
        (mfa.authenticator_used, _factor_used),
        (mfa.authentication_failed, _factor_failed),
        (account.email_added, _address_added),
        (account.email_removed, _address_removed),
        (account.email_confirmed, _address_confirmed),
    ):
        signal.connect(receiver, dispatch_uid=f"security_log.{receiver.__name__}")
    pre_save.connect(_before_save, sender=User, dispatch_uid="security_log.before_save")
    post_save.connect(_saved, sender=User, dispatch_uid="security_log.saved")
    post_create_historical_record.connect(
        _membership, sender=Membership.history.model, dispatch_uid="security_log.membership"
    )
