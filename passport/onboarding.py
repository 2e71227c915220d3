"""Passport's own texts for the set-up, and the form of its operator IDs."""

import re
import unicodedata
import uuid

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
    officer_hint=gettext_lazy("Monitor in OpsMan Web can be out of date; rely on OpsMan Mobile."),
)

# A UUID in the middle of other text: with its hyphens, without them, or with what a word processor turned them into.
_UUID = re.compile(r"(?<![0-9a-f-])[0-9a-f]{8}-?(?:[0-9a-f]{4}-?){3}[0-9a-f]{12}(?![0-9a-f-])")
_HYPHENS = dict.fromkeys(map(ord, "\u2010\u2011\u2012\u2013\u2014\u2212\ufe63\uff0d"), "-")
_LONGEST_EXCERPT = 60


def clean_operator_id(text: str) -> str:
    """Return the operator ID in pasted text (a UUID in lower case, or "" for nothing); raise `ValidationError`.

    It may be in a sentence, in brackets, in a `urn:uuid:`, or without its hyphens. Two different ones are an error.
    """
    visible = "".join(sign for sign in text if unicodedata.category(sign) != "Cf")
    plain = visible.translate(_HYPHENS).lower()
    if not plain.strip():
        return ""
    # An email may have broken the ID into two lines.
    found = _UUID.findall(plain) or _UUID.findall("".join(plain.split()))
    ids = {str(uuid.UUID(one)) for one in found}
    excerpt = {"text": visible.strip()[:_LONGEST_EXCERPT]}
    if len(ids) > 1:
        raise ValidationError(
            _("“%(text)s” contains more than one operator ID. Enter one."), code="several", params=excerpt
        )
    if not ids:
        raise ValidationError(
            _("“%(text)s” is not an operator ID. It looks like 072e8b73-87ba-52be-ad93-16807143d145."),
            code="not_a_uuid",
            params=excerpt,
        )
    return ids.pop()
