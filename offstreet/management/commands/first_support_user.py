"""Makes the first support user from the environment, so that a deployment needs nobody at a terminal.

It may run at every start, and several may start at once. The address counts once a mailed link has verified it
(`locations.addresses`): the first sign-in mails one. An account that exists gets its rights back, but keeps its password:
the one in the environment is a first password, and a start must not undo the one that its owner chose.
"""

import os
from typing import Any

from django.contrib.auth.password_validation import validate_password
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.core.validators import validate_email
from django.db import IntegrityError, transaction

from locations.addresses import clean_address
from locations.models import User


class Command(BaseCommand):
    """`manage.py first_support_user`, from FIRST_SUPPORT_EMAIL and FIRST_SUPPORT_PASSWORD."""

    help = "Make the support user named by FIRST_SUPPORT_EMAIL and FIRST_SUPPORT_PASSWORD; may be run again."

    def add_arguments(self, parser: CommandParser) -> None:
        """Declare the options."""
        parser.add_argument(
            "--reset-password",
            action="store_true",
            help="set the password of an account that exists already (for who has locked themselves out)",
        )

    def handle(self, *args: Any, **options: Any) -> None:
        """Create the user, or give an existing one its rights back; print which."""
        email = os.environ.get("FIRST_SUPPORT_EMAIL", "").strip()
        password = os.environ.get("FIRST_SUPPORT_PASSWORD", "")
        if not email:
            raise CommandError("FIRST_SUPPORT_EMAIL is empty: it names the first support user.")
        try:
            validate_email(email)
            clean_address(email)
        except ValidationError:
            raise CommandError(f"FIRST_SUPPORT_EMAIL is not an email address: {email!r}.") from None
        email, users = clean_address(email), User.objects
        with transaction.atomic():
            user = users.select_for_update().filter(email=email).first()
            if user is None or options["reset_password"]:
                self._check(password)
            if user is None and (user := self._made(email, password)):
                self.stdout.write(
                    f"Made the support user {user.email}; the first sign-in mails a link that verifies the address."
                )
                return
            user = users.select_for_update().get(email=email)
            user.is_active = user.is_staff = user.is_superuser = True
            if options["reset_password"]:
                user.set_password(password)
            user.save()
        kept = "its password was reset" if options["reset_password"] else "its password was kept"
        self.stdout.write(f"The support user {email} exists already; {kept}.")

    def _made(self, email: str, password: str) -> User | None:
        """Return the new account, or None where another start has made it at the same moment."""
        try:
            with transaction.atomic():
                return User.objects.create_superuser(email=email, password=password)
        except IntegrityError:
            return None

    def _check(self, password: str) -> None:
        if not password:
            raise CommandError("FIRST_SUPPORT_PASSWORD is empty: the first support user needs a password.")
        try:
            validate_password(password)
        except ValidationError as error:
            raise CommandError(f"FIRST_SUPPORT_PASSWORD is too weak: {' '.join(error.messages)}") from None
