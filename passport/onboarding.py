"""What Passport says in its own words on the way to live, and what its operator IDs look like."""

import re

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from integrations.vendors.protocol import VendorNames, VendorTexts

NAMES = VendorNames(
    label="Passport",
    enforcement="OpsMan",
    officer_app="OpsMan Mobile",
    back_office="OpsMan Web or Portal",
)

TEXTS = VendorTexts(
    request_points=(
        gettext_lazy("our operator ID at Passport (a UUID, such as 3f2c1a9e-…)"),
        gettext_lazy("that Offstreet is authorised as an integration partner for this operator"),
    ),
    operator_id_hint=gettext_lazy(
        "A UUID such as 3f2c1a9e-58d1-4c9b-9a40-0f6a3f1f2b11. Spaces around it and capitals don't matter."
    ),
    zone_settings="OpsMan (Settings → Zone Management)",
    officer_hint=gettext_lazy("Monitor in OpsMan Web can lag behind; OpsMan Mobile is what counts."),
)

_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
# What web pages and emails leave around a copied text: spaces, those without a width, and quotes.
_AROUND = "\u200b\u2060\ufeff\"'“”<>{}"


def clean_operator_id(text: str) -> str:
    """Return an operator ID as it is kept (a UUID in lower case), or raise `ValidationError`."""
    operator_id = "".join(text.split()).strip(_AROUND).lower()
    if operator_id and not _UUID.fullmatch(operator_id):
        raise ValidationError(
            _("“%(text)s” is not an operator ID. It looks like 072e8b73-87ba-52be-ad93-16807143d145."),
            code="not_a_uuid",
            params={"text": text.strip()[:60]},
        )
    return operator_id
