"""Secrets of the second step at rest: encrypted with `FIELD_ENCRYPTION_KEYS`, and passkeys under this site's name.

What was kept before in plain text still works. It is encrypted, as is what an older key encrypted, when it is next used
(`renew_when_used`) or by `manage.py encrypt_second_factors`, which is run once a deploy is through and before a key is
taken out of the list. No migration does it: processes of before, which run beside new ones during a deploy, know plain text
alone.
"""

from typing import Any

from allauth.mfa.adapter import DefaultMFAAdapter
from allauth.mfa.models import Authenticator
from django.contrib.auth.models import AbstractBaseUser
from django.db import transaction

from locations.models import User
from offstreet.account_mails import SITE_NAME
from passport.crypto import decrypt, encrypt, is_encrypted, is_under_newest_key


class MfaAdapter(DefaultMFAAdapter):  # type: ignore[misc]
    """What allauth asks about secrets and passkeys."""

    def encrypt(self, text: str) -> str:
        """Return a secret as the database keeps it."""
        return encrypt(text).decode()

    def decrypt(self, encrypted_text: str) -> str:
        """Return a secret; one that was kept before they were encrypted is as it is.

        Raises `cryptography.fernet.InvalidToken` where its key is not in the list any more.
        """
        kept = encrypted_text.encode()
        return decrypt(kept) if is_encrypted(kept) else encrypted_text

    def get_public_key_credential_rp_entity(self) -> dict[str, str]:
        """Name the site as people know it; a passkey belongs to the host that it was made on."""
        return {**super().get_public_key_credential_rp_entity(), "name": SITE_NAME}

    def get_public_key_credential_user_entity(self, user: AbstractBaseUser) -> dict[str, Any]:
        """Name the person in the browser's own list of passkeys."""
        entity: dict[str, Any] = super().get_public_key_credential_user_entity(user)
        return {**entity, "display_name": user.label} if isinstance(user, User) else entity

    def _get_site_name(self) -> str:
        return SITE_NAME


def renew(pk: int) -> bool:
    """Encrypt the secrets of one second step with the newest key; return whether they were not yet."""
    adapter = MfaAdapter()

    def anew(secret: str) -> str:
        return secret if is_under_newest_key(secret.encode()) else adapter.encrypt(adapter.decrypt(secret))

    with transaction.atomic():
        row = Authenticator.objects.select_for_update().filter(pk=pk).first()
        if row is None:
            return False
        data = dict(row.data)
        for name in ("secret", "seed"):
            if name in data:
                data[name] = anew(data[name])
        if "migrated_codes" in data:
            data["migrated_codes"] = [anew(code) for code in data["migrated_codes"]]
        if data == row.data:
            return False
        row.data = data
        row.save(update_fields=["data"])
    return True


def renew_when_used(sender: object, authenticator: Authenticator, **_rest: Any) -> None:
    """See the module's text."""
    renew(authenticator.pk)
