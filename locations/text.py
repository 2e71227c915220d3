"""The one cleaning of every text that is typed: names, references, units, plates and searches.

Two texts that look the same are stored as the same text. So text is composed (NFC); format characters, which nobody sees
(zero-width spaces, soft hyphens, direction marks), are dropped; and blanks of any width count as one space, as a page shows
them. A text of nothing but these is empty. Control characters are refused, since no form of them was meant.

What comes from elsewhere (a vendor's sentence, a name stored before this) is not cleaned but shown: where it reaches a
terminal or a log, `visible` writes out every character that could act there or be seen as another.
"""

import re
import unicodedata
from typing import Final

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

# Not the control characters among them: a tab or a line break inside a line was not meant.
_BLANKS: Final = re.compile(r"[^\S\0-\x1f\x85]+")
# Fillers that are letters to Unicode and blank to the eye.
_FILLERS: Final = frozenset("\u115f\u1160\u17b4\u17b5\u2800\u3164\uffa0\U00016fe4")
# Control characters and halves of surrogate pairs.
_REFUSED: Final = frozenset({"Cc", "Cs"})
_SHOWN_AS_CODE: Final = frozenset({"Cc", "Cf", "Cs", "Zl", "Zp"})
# Letters of other scripts that look like a Latin capital, by the Latin one.
_LOOKS_LATIN: Final = {
    sign: latin
    for others, latins in (
        ("АВЕЅІЈКМНОРСТУХԚԜ", "ABESIJKMHOPCTYXQW"),
        ("авеѕіјкмнорстухԛԝ", "ABESIJKMHOPCTYXQW"),
        ("ΑΒΕΖΗΙΚΜΝΟΡΤΥΧ", "ABEZHIKMNOPTYX"),
        ("ικνορτυχ", "IKVOPTUX"),
    )
    for sign, latin in zip(others, latins, strict=True)
}


def tidy(text: str) -> str:
    """Return the text composed, without what nobody sees, and with single spaces between its words."""
    if not text.isascii():
        text = "".join(
            sign
            for sign in unicodedata.normalize("NFC", text)
            if sign not in _FILLERS and unicodedata.category(sign) != "Cf"
        )
    return _BLANKS.sub(" ", text.strip())


def clean_line(text: str) -> str:
    """Return the text as `tidy` does; raise `ValidationError` that names the first character that can't be kept."""
    cleaned = tidy(text)
    for sign in cleaned:
        if unicodedata.category(sign) in _REFUSED:
            raise ValidationError(
                _("This text contains a %(sign)s. Remove it."),
                code="control_character",
                params={"sign": name_sign(sign)},
            )
    return cleaned


def twin_key(text: str) -> str:
    """Return a key that is equal for texts which differ only in case, in blanks or in what nobody sees."""
    return "".join(unicodedata.normalize("NFKC", tidy(text)).casefold().split())


def name_sign(sign: str) -> str:
    """Return what a character is called where it is refused: “Cyrillic letter А (U+0410)”."""
    code = f"U+{ord(sign):04X}"
    if unicodedata.category(sign) in _REFUSED:
        return _("control character (%(code)s)") % {"code": code}
    words = unicodedata.name(sign, "").split()
    what = {"sign": sign, "code": code, "script": words[0].capitalize() if words else ""}
    if "LETTER" not in words[1:] and "DIGIT" not in words[1:]:
        return _("character %(sign)s (%(code)s)") % what
    return (
        _("%(script)s letter %(sign)s (%(code)s)")
        if "LETTER" in words
        else _("%(script)s digit %(sign)s (%(code)s)")
    ) % what


def latin_look_alike(sign: str) -> str:
    """Return the Latin capital or the digit that looks like this character of another script, or an empty text."""
    if found := _LOOKS_LATIN.get(sign):
        return found
    plain = unicodedata.normalize("NFKC", sign).upper()
    return plain if plain != sign and re.fullmatch("[A-Z0-9]", plain) else ""


def visible(text: str, *, lines: bool = True) -> str:
    """Return the text with each control, format and direction character written out, as `\\u001b`.

    So it moves no cursor, changes no colour, and shows nothing in another order. Without `lines`, line breaks and tabs are
    written out too. What is JSON stays JSON.
    """
    if text.isascii() and text.isprintable():
        return text
    kept = "\n\t" if lines else ""
    return "".join(
        sign
        if sign in kept or unicodedata.category(sign) not in _SHOWN_AS_CODE
        else "".join(f"\\u{unit:04x}" for unit in _utf16(sign))
        for sign in (text.replace("\r\n", "\n") if lines else text)
    )


def _utf16(sign: str) -> list[int]:
    code = ord(sign)
    if code < 0x10000:
        return [code]
    return [0xD800 + ((code - 0x10000) >> 10), 0xDC00 + ((code - 0x10000) & 0x3FF)]
