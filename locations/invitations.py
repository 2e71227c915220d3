"""Members of a company: invited by mail, given a role, removed. All writes to memberships and invitations.

An invitation's link carries a signed token; the row keeps only its hash, and the token is made again when the mail leaves,
so neither the database nor a mail that waits holds a link that works. It can be used once, until it expires, and a new
invitation to the same address makes the earlier one worthless. Who joins has verified that address (`locations.addresses`):
by this very link, where they are new here, or else before.

Invariant: a company keeps at least one manager, so that somebody there can still invite; only support may take the last.
"""

import hashlib
from datetime import timedelta

from django.core.exceptions import ValidationError
from django.core.signing import BadSignature, Signer
from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from locations import audit_log
from locations.addresses import awaits_its_owner, clean_address, has_verified_address, verify_address
from locations.models import Company, Invitation, Membership, Role, User

LIFETIME = timedelta(days=7)
_MOST_CHARS = 200


def _signer() -> Signer:
    # The full stop keeps the address free of colons, which some mail programs end a link at.
    return Signer(salt="locations.invitations", sep=".")


def token_of(invitation_id: int) -> str:
    """Return the secret part of an invitation's link."""
    return _signer().sign(str(invitation_id))


def fingerprint(token: str) -> str:
    """Return what the row keeps of a token."""
    return hashlib.sha256(token.encode()).hexdigest()


def find(token: str) -> Invitation | None:
    """Return the invitation that a token stands for, used up or not, or None where we did not make it."""
    if len(token) > _MOST_CHARS:
        return None
    try:
        _signer().unsign(token)
    except BadSignature:
        return None
    return (
        Invitation.objects.select_related("company", "invited_by")
        .filter(secret_hash=fingerprint(token))
        .first()
    )


def invite_person(*, company: Company, email: str, role: str, actor: User) -> Invitation:
    """Make an invitation in the place of an earlier one to the same address; raise `ValidationError` for a member.

    The caller mails the link in the same transaction.
    """
    email = clean_address(email)
    with transaction.atomic():
        Company.objects.select_for_update(no_key=True).get(pk=company.pk)
        if company.memberships.filter(user__email=email).exists():
            raise ValidationError({"email": [_("This person is already a member. Change their role below.")]})
        now = timezone.now()
        earlier = Invitation.objects.filter(
            company=company, email__iexact=email, accepted_at=None, withdrawn_at=None
        )
        earlier.update(withdrawn_at=now)
        invitation = Invitation.objects.create(
            company=company, email=email, role=role, invited_by=actor, expires_at=now + LIFETIME,
            # Replaced at once: the token is made of the row's id.
            secret_hash=fingerprint(f"{company.pk}:{email}:{now.timestamp()}"),
        )  # fmt: skip
        invitation.secret_hash = fingerprint(token_of(invitation.pk))
        invitation.save(update_fields=["secret_hash"])
        audit_log.record(company=company, kind="invited", actor=actor, thing=email, role=role)
    return invitation


def withdraw_invitation(*, invitation: Invitation, actor: User) -> bool:
    """Make an open invitation worthless; return whether it was open."""
    open_ones = Invitation.objects.filter(pk=invitation.pk, accepted_at=None, withdrawn_at=None)
    with transaction.atomic():
        if not open_ones.update(withdrawn_at=timezone.now()):
            return False
        audit_log.record(
            company=invitation.company, kind="invitation_withdrawn", actor=actor, thing=invitation.email
        )
    return True


def may_set_password(email: str) -> bool:
    """Whether who opens an invitation to this address chooses a password: nobody has an account there that is in use."""
    person = User.objects.filter(email=User.objects.normalize_email(email)).first()
    return person is None or awaits_its_owner(person)


def accept_invitation(*, invitation: Invitation, user: User) -> Membership:
    """Make the person a member; raise `ValidationError` where the link is used up or the address is not verified theirs."""
    with transaction.atomic():
        fresh = _held_open(invitation)
        if User.objects.normalize_email(fresh.email) != user.email:
            raise ValidationError(_("This invitation is for another email address."), code="other_address")
        if not has_verified_address(user):
            raise ValidationError(
                _(
                    "Confirm your email address first. The page “Email address” of your account sends you a link."
                ),
                code="unverified",
            )
        return _join(fresh, user)


def accept_as_new_person(
    *, invitation: Invitation, password: str, first_name: str, last_name: str
) -> Membership:
    """Make an account for the invited address and the person a member; raise `ValidationError` (see `accept_invitation`).

    The link came by mail to the address, so it is verified with it. An account that support has made for the address and
    that nobody has used yet becomes this person's.
    """
    with transaction.atomic():
        fresh = _held_open(invitation)
        email = clean_address(fresh.email)
        user = User.objects.select_for_update(no_key=True).filter(email=email).first() or User(email=email)
        if user.pk and not awaits_its_owner(user):
            raise _has_account()
        user.first_name, user.last_name = first_name.strip(), last_name.strip()
        user.set_password(password)
        try:
            with transaction.atomic():
                user.save()
        except IntegrityError as error:
            # Another invitation to the same address was accepted at the same moment.
            raise _has_account() from error
        verify_address(user)
        return _join(fresh, user)


def _has_account() -> ValidationError:
    return ValidationError(
        _("There is already an account with this address. Sign in first."), code="has_account"
    )


def _held_open(invitation: Invitation) -> Invitation:
    """Lock an invitation, so that of two who accept it one comes second; raise `ValidationError` where it is used up."""
    rows = Invitation.objects.select_for_update(of=("self",), no_key=True).select_related("company")
    fresh = rows.get(pk=invitation.pk)
    if not fresh.is_open(timezone.now()):
        raise ValidationError(_("This invitation was used or withdrawn, or has expired."), code="closed")
    return fresh


def _join(invitation: Invitation, user: User) -> Membership:
    """Use up a locked invitation; a role that the person has in the company already stays."""
    invitation.accepted_at = timezone.now()
    invitation.save(update_fields=["accepted_at"])
    membership = Membership(company=invitation.company, user=user, role=invitation.role)
    membership._history_user = invitation.invited_by  # type: ignore[attr-defined]
    try:
        with transaction.atomic():
            membership.save()
    except IntegrityError:
        return Membership.objects.get(company=invitation.company, user=user)
    return membership


def change_role(*, membership: Membership, role: str, actor: User) -> Membership:
    """Give a member another role; raise `ValidationError` where the last manager would be lost, or the member is gone."""
    with transaction.atomic():
        fresh = _locked(membership)
        if fresh.role == role:
            return fresh
        if Role(fresh.role) is Role.MANAGER:
            _keep_a_manager(fresh, actor)
        fresh.role = role
        fresh._history_user = actor  # type: ignore[attr-defined]
        fresh.save()
    return fresh


def remove_member(*, membership: Membership, actor: User) -> None:
    """End a membership; raise `ValidationError` where the last manager would be lost, or the member is gone."""
    with transaction.atomic():
        fresh = _locked(membership)
        if Role(fresh.role) is Role.MANAGER:
            _keep_a_manager(fresh, actor)
        fresh._history_user = actor  # type: ignore[attr-defined]
        fresh.delete()


def _locked(membership: Membership) -> Membership:
    # The company's row is the lock: two managers who remove one another are one after the other.
    Company.objects.select_for_update(no_key=True).get(pk=membership.company_id)
    fresh = Membership.objects.select_related("user", "company").filter(pk=membership.pk).first()
    if fresh is None:
        raise ValidationError(_("This person is no longer a member."), code="gone")
    return fresh


def _keep_a_manager(membership: Membership, actor: User) -> None:
    if actor.is_support:
        return
    others = Membership.objects.filter(company=membership.company_id, role=Role.MANAGER, user__is_active=True)
    if not others.exclude(pk=membership.pk).exists():
        raise ValidationError(
            _("A company needs at least one manager. Make someone else a manager first."), code="last_manager"
        )
