"""What a name may be: of a company, a location, a site, a contact or a person. Mails to strangers quote these.

A name that holds a web address would make a mail of ours lead to it, with our sender and our words around it; one with a
line break would begin a header or a paragraph of its own; one that looks like an email address would be taken for the
sender. A mail program makes a link of anything like `word.word`, so that counts as a web address here: “St.Mary” is
refused, and the sentence says how to write it (“St. Mary”).
"""

import re
import unicodedata
from typing import Final

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

# Full stops that a browser takes for the one in a host name.
_DOT: Final = "[.。．｡]"
_WEB_ADDRESS: Final = re.compile(rf"[a-z][a-z0-9+.-]*://|\bwww{_DOT}|\w{_DOT}[^\W\d_]{{2,}}", re.IGNORECASE)
# Free text may leave out the space after a full stop; what nobody writes by mistake is no text.
_LINK: Final = re.compile(rf"[a-z][a-z0-9+.-]*://|\bwww{_DOT}\w|\w{_DOT}[^\W\d_]{{2,}}/", re.IGNORECASE)
_E_MAIL_ADDRESS: Final = re.compile(r"\S[@＠]\S")
# Control characters, line and paragraph separators.
_NOT_IN_A_LINE: Final = frozenset({"Cc", "Zl", "Zp"})
# Marks that let text be shown in another order than it was written in.
TURNS_AROUND: Final = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")


def has_web_address(text: str) -> bool:
    """Whether a mail program would make a link of a part of the text."""
    return _WEB_ADDRESS.search(text) is not None


def has_link(text: str) -> bool:
    """Whether a text holds what can only be meant as a link: a scheme, `www.`, or a host and a path."""
    return _LINK.search(text) is not None


def validate_name(value: str) -> None:
    """Raise `ValidationError` unless `value` can be quoted in a mail; see the module's text."""
    if any(unicodedata.category(sign) in _NOT_IN_A_LINE or sign in TURNS_AROUND for sign in value):
        raise ValidationError(_("A name must be one line, without control characters."), code="not_one_line")
    if _E_MAIL_ADDRESS.search(value):
        raise ValidationError(_("A name can't contain an email address."), code="e_mail_address")
    if has_web_address(value):
        raise ValidationError(
            _("A name can't contain a web address. Put a space after every full stop."),
            code="web_address",
        )
