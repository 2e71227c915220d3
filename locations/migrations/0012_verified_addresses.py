"""From here on an address counts only once a mailed link has verified it; this says which of the existing ones are.

Verified is an address whose mailbox somebody has shown to read: allauth has noted it, or an invitation to it was accepted by
this very account (its link went nowhere else). Everybody else confirms theirs when they next sign in, by a link that is
mailed to it; nothing is taken for verified because it looks right, since a claimed address is what an attack begins with.

An account keeps one address. Where `User.email` was changed to one that nobody has confirmed and the account still has a
verified one, the verified one is its address again. Second addresses go: whoever had added one to an account that was not
theirs alone would have kept a way back into it.

Addresses are written in lower case, as allauth looks them up.
"""

from django.db import migrations
from django.db.models.functions import Lower


def settle_addresses(apps, schema_editor):
    User = apps.get_model("locations", "User")
    EmailAddress = apps.get_model("account", "EmailAddress")
    Invitation = apps.get_model("locations", "Invitation")
    Membership = apps.get_model("locations", "Membership")
    User.objects.exclude(email=Lower("email")).update(email=Lower("email"))
    accepted = {}
    for email, company in Invitation.objects.exclude(accepted_at=None).values_list("email", "company"):
        accepted.setdefault(email.lower(), set()).add(company)
    member_of = {}
    for user, company in Membership.objects.values_list("user", "company"):
        member_of.setdefault(user, set()).add(company)
    for user in User.objects.order_by("pk").iterator():
        rows = list(EmailAddress.objects.filter(user=user).order_by("-primary", "pk"))
        verified = [row.email.lower() for row in rows if row.verified]
        joined = accepted.get(user.email, set()) & member_of.get(user.pk, set())
        if user.email in verified or joined:
            is_verified = True
        else:
            free = [one for one in verified if not User.objects.filter(email=one).exists()]
            is_verified = bool(free)
            if free:
                User.objects.filter(pk=user.pk).update(email=free[0])
                user.email = free[0]
        EmailAddress.objects.filter(user=user).delete()
        # Another account may have kept this address as its second one; it loses it here or has lost it already.
        EmailAddress.objects.filter(email=user.email).exclude(user=user).delete()
        if is_verified:
            EmailAddress.objects.create(user=user, email=user.email, verified=True, primary=True)


class Migration(migrations.Migration):

    dependencies = [
        ("account", "0009_emailaddress_unique_primary_email"),
        ("locations", "0011_audit_log_is_append_only"),
    ]

    operations = [migrations.RunPython(settle_addresses, migrations.RunPython.noop)]
