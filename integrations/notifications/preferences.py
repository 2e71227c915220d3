"""Which mails people get: their own choice, for each company they belong to, and who is told in the end.

A member's default is their role's (`integrations.notifications.email_queue.TOLD_BY_DEFAULT`). What somebody chooses is
kept for every topic, so that another role later does not turn on what they had turned off. Nobody chooses for somebody
else; a manager sees who gets what. Where nobody gets a company's alarms, support does
(`integrations.notifications.notices`), and the pages say so.
"""

from collections.abc import Collection
from dataclasses import dataclass

from django.db import transaction

from integrations.models import SUPPORT_TOPICS, MailChoice, Topic
from integrations.notifications.email_queue import TOLD_BY_DEFAULT
from locations import audit_log
from locations.models import Company, Membership, Role, User


@dataclass(frozen=True, slots=True)
class Listener:
    """One member and the topics of which they get mails."""

    membership: Membership
    topics: frozenset[str]

    @property
    def is_reached(self) -> bool:
        """Whether mails go to this person at all: those who can't sign in any more get none."""
        return self.membership.user.is_active


def topics_of(role: str, chosen: dict[str, bool]) -> frozenset[str]:
    """Return the topics of which a member of this role gets mails; pure."""
    by_default = Role(role) in TOLD_BY_DEFAULT
    return frozenset(topic for topic in Topic.values if chosen.get(topic, by_default))


def listeners(company: Company) -> list[Listener]:
    """Return every member with what they get; two queries."""
    members = company.memberships.select_related("user").order_by("user__first_name", "user__email")
    found = []
    for membership in members.prefetch_related("mail_choices"):
        chosen = {one.topic: one.wanted for one in membership.mail_choices.all()}
        found.append(Listener(membership, topics_of(membership.role, chosen)))
    return found


def nobody_gets(topic: Topic, people: Collection[Listener]) -> bool:
    """Whether mails of this topic reach none of these members; pure."""
    return not any(one.is_reached and topic in one.topics for one in people)


def choose_mails(*, membership: Membership, topics: Collection[str], actor: User) -> None:
    """Keep of which topics a member gets mails, and of which not."""
    with transaction.atomic():
        _keep([MailChoice(membership=membership, topic=one, wanted=one in topics) for one in Topic.values])
        _note(membership.company, topics, actor)


def choose_support_mails(*, user: User, topics: Collection[str]) -> None:
    """Keep of which topics somebody of support gets support's mails in their own mailbox as well."""
    with transaction.atomic():
        _keep([MailChoice(user=user, topic=one, wanted=one in topics) for one in SUPPORT_TOPICS])
        _note(None, topics, user)


def support_topics_of(user: User) -> frozenset[str]:
    """Return the topics of support's mails that this person gets."""
    return frozenset(MailChoice.objects.filter(user=user, wanted=True).values_list("topic", flat=True))


def _keep(choices: list[MailChoice]) -> None:
    owner = "membership" if choices[0].membership_id is not None else "user"
    MailChoice.objects.bulk_create(
        choices, update_conflicts=True, unique_fields=[owner, "topic"], update_fields=["wanted"]
    )


def _note(company: Company | None, topics: Collection[str], actor: User) -> None:
    audit_log.record(
        company=company,
        kind="mails_chosen",
        actor=actor,
        topics=[one for one in Topic.values if one in topics],
    )
