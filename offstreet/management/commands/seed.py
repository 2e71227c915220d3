"""`manage.py seed`: three companies with people, locations and permits, for the demo. See `offstreet.seeding`."""

from typing import Any

from django.conf import settings
from django.core.management.base import CommandError

from integrations.management.scripting import ScriptCommand
from offstreet import seeding


class Command(ScriptCommand):
    """See the module's text."""

    help = "Make the demo's companies, people, locations and permits; may be run again."

    def script(self, options: dict[str, Any]) -> None:
        """Seed, except in production: its people have a password that everybody knows."""
        if settings.PRODUCTION:
            raise CommandError(
                "ENVIRONMENT=production: the seed has log-ins that everybody knows, so it is refused."
            )
        seeding.seed(self.stdout.write)
        people = [email for story in seeding.STORIES for email, _name, _role in story.people]
        self.stdout.write(
            f"Log in with “{seeding.PASSWORD}” as {', '.join([*people, seeding.SUPPORT_EMAIL])}."
        )
