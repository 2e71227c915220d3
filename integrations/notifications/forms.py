"""The form in which people choose their mails."""

from collections.abc import Collection, Mapping
from typing import Any

from django import forms
from django.utils.translation import gettext_lazy as _

from integrations.models import Topic

# What each topic means, in plain words.
MEANING = {
    Topic.ALARMS: _(
        "Vehicles may not be visible to enforcement: the integration stopped, changes have "
        "waited for ten minutes, or a zone is missing. Another email says when an outage is "
        "over."
    ),
    Topic.STEPS: _(
        "A set-up step is done and the next one needs someone: zones to map, or a test plate to send."
    ),
    Topic.RESULTS: _("Someone answered whether a test plate was seen, or the integration went live."),
}
SUPPORT_MEANING = {
    Topic.ALARMS: _("Nothing is sent for any company, or no one at a company gets its alarms."),
    Topic.STEPS: _(
        "A company is waiting for support to confirm its operator ID or to find its account manager."
    ),
}


class MailsForm(forms.Form):
    """One box for each topic; `chosen` are those that are on."""

    def __init__(self, data: Any = None, *, meaning: Mapping[Topic, Any], chosen: Collection[str]) -> None:
        super().__init__(data)
        for topic, means in meaning.items():
            self.fields[topic.value] = forms.BooleanField(
                label=topic.label, help_text=means, required=False, initial=topic.value in chosen
            )

    def topics(self) -> list[str]:
        """Return the topics that were chosen."""
        return [name for name, wanted in self.cleaned_data.items() if wanted]
