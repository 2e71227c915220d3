"""What the set-up page says of check plates (`integrations.reconciliation.canary`), and the form that agrees to them."""

from typing import Any, Final

from django import forms
from django.utils.translation import gettext_lazy

from integrations.models import Connection
from integrations.reconciliation import canary

HOW_OFTEN: Final = {
    "": gettext_lazy("never"),
    "15": gettext_lazy("every 15 minutes"),
    "60": gettext_lazy("every hour"),
    "240": gettext_lazy("every 4 hours"),
    "1440": gettext_lazy("once a day"),
}


class CheckPlatesForm(forms.Form):
    """How often check plates are sent; empty: never."""

    minutes = forms.TypedChoiceField(
        label=gettext_lazy("Send a check plate"),
        choices=list(HOW_OFTEN.items()),
        coerce=int,
        empty_value=None,
        required=False,
    )


def card_of(connection: Connection) -> dict[str, Any]:
    """Return what the card shows of a connection."""
    minutes = "" if connection.canary_minutes is None else str(connection.canary_minutes)
    return {
        "form": CheckPlatesForm(initial={"minutes": minutes}, auto_id="check_plates_%s"),
        "is_off": connection.canary_minutes is None,
        "how_often": HOW_OFTEN.get(minutes, ""),
        "plate": canary.PLATE,
    }
