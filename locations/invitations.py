"""Members of a company: invited by mail, given a role, removed. All writes to memberships and invitations.

An invitation's link carries a signed token; the row keeps only its hash, and the token is made again when the mail leaves,
so neither the database nor a mail that waits holds a link that works. It can be used once, until it expires, and a new
invitation to the same address makes the earlier one worthless.

Invariant: a company keeps at least one manager, so that somebody there can still invite; only support may take the last.
"""

import hashlib
from datetime import timedelta

from django.core.exceptions import ValidationError
from django.core.signing import BadSignature, Signer
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from locations import deeds
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
    email = User.objects.normalize_email(email.strip())
    with transaction.atomic():
        Company.objects.select_for_update(no_key=True).get(pk=company.pk)
        if company.memberships.filter(user__email__iexact=email).exists():
            raise ValidationError({"email": [_("This person is a member already; change the role below.")]})
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
        deeds.note(company=company, kind="invited", actor=actor, thing=email, role=role)
    return invitation


def withdraw_invitation(*, invitation: Invitation, actor: User) -> bool:
    """Make an open invitation worthless; return whether it was open."""
    open_ones = Invitation.objects.filter(pk=invitation.pk, accepted_at=None, withdrawn_at=None)
    with transaction.atomic():
        if not open_ones.update(withdrawn_at=timezone.now()):
            return False
        deeds.note(
            company=invitation.company, kind="invitation_withdrawn", actor=actor, thing=invitation.email
        )
    return True


def accept_invitation(*, invitation: Invitation, user: User) -> Membership:
    """Make the person a member; raise `ValidationError` where the link is used up or meant for another address."""
    with transaction.atomic():
        fresh = (
            Invitation.objects.select_for_update(of=("self",), no_key=True)
            .select_related("company")
            .get(pk=invitation.pk)
        )
        if not fresh.is_open(timezone.now()):
            raise ValidationError(_("This invitation was used, withdrawn, or has ended."), code="closed")
        if fresh.email.casefold() != user.email.casefold():
            raise ValidationError(_("This invitation is for another e-mail address."), code="other_address")
        membership = Membership.objects.filter(company=fresh.company, user=user).first()
        if membership is None:
            membership = Membership(company=fresh.company, user=user, role=fresh.role)
            membership._history_user = fresh.invited_by  # type: ignore[attr-defined]
            membership.save()
        fresh.accepted_at = timezone.now()
        fresh.save(update_fields=["accepted_at"])
    return membership


def accept_as_new_person(
    *, invitation: Invitation, password: str, first_name: str, last_name: str
) -> Membership:
    """Make an account for the invited address and the person a member; raise `ValidationError` (see `accept_invitation`)."""
    with transaction.atomic():
        if User.objects.filter(email__iexact=invitation.email).exists():
            raise ValidationError(
                _("There is an account for this address; sign in first."), code="has_account"
            )
        user = User.objects.create_user(
            invitation.email, password, first_name=first_name.strip(), last_name=last_name.strip()
        )
        return accept_invitation(invitation=invitation, user=user)


def change_role(*, membership: Membership, role: str, actor: User) -> Membership:
    """Give a member another role; raise `ValidationError` where the last manager would be lost."""
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
    """End a membership; raise `ValidationError` where the last manager would be lost."""
    with transaction.atomic():
        fresh = _locked(membership)
        if Role(fresh.role) is Role.MANAGER:
            _keep_a_manager(fresh, actor)
        fresh._history_user = actor  # type: ignore[attr-defined]
        fresh.delete()


def _locked(membership: Membership) -> Membership:
    # The company's row is the lock: two managers who remove one another are one after the other.
    Company.objects.select_for_update(no_key=True).get(pk=membership.company_id)
    return Membership.objects.select_related("user", "company").get(pk=membership.pk)


def _keep_a_manager(membership: Membership, actor: User) -> None:
    if actor.is_support:
        return
    others = Membership.objects.filter(company=membership.company_id, role=Role.MANAGER, user__is_active=True)
    if not others.exclude(pk=membership.pk).exists():
        raise ValidationError(
            _("A company keeps at least one manager; make somebody else one first."), code="last_manager"
        )
