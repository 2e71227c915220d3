"""People sign in with their email address; `is_staff` makes them support, who see all companies."""

from typing import Any, ClassVar

from django.contrib.auth.models import AbstractUser, UserManager
from django.db import models
from django.db.models.functions import Lower
from django.utils.translation import gettext_lazy as _

from locations.fields import LineField
from locations.names import validate_name


class EmailUserManager(UserManager["User"]):
    """Creates and finds users by email address, in any case."""

    @classmethod
    def normalize_email(cls, email: str | None) -> str:
        """Return an address as it is kept: in lower case."""
        return (email or "").strip().lower()

    def get_by_natural_key(self, username: str | None) -> "User":
        """Find a person by address; raise `User.DoesNotExist`."""
        return self.get(email=self.normalize_email(username))

    def create_user(  # type: ignore[override]
        self, email: str, password: str | None = None, **extra: Any
    ) -> "User":
        """Make an ordinary user; raise `ValueError` without an email address."""
        if not email:
            raise ValueError("A user needs an email address.")
        user = self.model(email=self.normalize_email(email), **extra)
        user.set_password(password)
        user.save(using=self._db)
        return user

    def create_superuser(  # type: ignore[override]
        self, email: str, password: str | None = None, **extra: Any
    ) -> "User":
        """Make a user with all rights."""
        return self.create_user(email, password, **{**extra, "is_staff": True, "is_superuser": True})


class User(AbstractUser):
    """One person."""

    username = None  # type: ignore[assignment]
    email = models.EmailField(_("email address"), unique=True)
    first_name = LineField(_("first name"), max_length=150, blank=True, validators=[validate_name])
    last_name = LineField(_("last name"), max_length=150, blank=True, validators=[validate_name])
    USERNAME_FIELD = "email"
    REQUIRED_FIELDS: ClassVar[list[str]] = []
    objects = EmailUserManager()  # type: ignore[misc]

    class Meta:
        constraints = [
            # Kim@example.org and kim@example.org are one mailbox, so they are one person.
            models.UniqueConstraint(Lower("email"), name="user_email_unique_in_any_case"),
        ]

    def save(self, *args: Any, **kwargs: Any) -> None:
        """Keep the address in lower case, as allauth and all look-ups expect it."""
        self.email = User.objects.normalize_email(self.email)
        super().save(*args, **kwargs)

    @property
    def is_support(self) -> bool:
        """Whether this person works for support and sees every company."""
        return self.is_active and self.is_staff

    @property
    def label(self) -> str:
        """The person's name, or the email address where there is none."""
        return self.get_full_name() or self.email
