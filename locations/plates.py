"""Plates: how they are normalised, checked and compared.

Normalising is upper case and leaving out blanks, hyphens, dots and what nobody sees, nothing more: an O is never made a 0.
Letters that cameras and people confuse are only ever *pointed out* (`looks_like`), never rewritten, and decoration on a
plate (a heart, an apostrophe) is only *offered* to be left out (`without_decoration`).
"""

import itertools
import re
import string
import unicodedata

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

from locations.text import latin_look_alike, name_sign, tidy

MAX_PLATE_CHARS = 12
_LEFT_OUT = re.compile(r"[\s.\-\u2010-\u2015\u00ad]+")
_ALLOWED = re.compile(rf"[A-Z0-9]{{1,{MAX_PLATE_CHARS}}}")
# A to Z alone: `str.upper` would rewrite what is no letter of a plate (ß to SS, ı to I) instead of having it refused.
_UPPER = str.maketrans(string.ascii_lowercase, string.ascii_uppercase)
# Signs that officers and cameras mistake for one another; for comparison, each stands for the first of its class.
LOOK_ALIKE_CLASSES = ("0ODQ", "1IL", "2Z", "5S", "6G", "8B")
_CLASS_OF = {sign: signs for signs in LOOK_ALIKE_CLASSES for sign in signs}
_LOOK_ALIKE = str.maketrans({sign: signs[0] for sign, signs in _CLASS_OF.items()})
# Letters that are on no regular plate of an issuer; a personalised one may have them, so they are asked about only.
UNUSED_LETTERS = {"CA-QC": "O"}
# As many plates are enough for one query.
MOST_LOOK_ALIKES = 256


def normalise_plate(typed: str) -> str:
    """Return the plate in upper case without blanks, hyphens and dots; other characters stay as they are."""
    return _LEFT_OUT.sub("", tidy(typed)).translate(_UPPER)


def clean_plate(typed: str) -> str:
    """Return the normalised plate, or raise `ValidationError` with one sentence that says what is wrong with it."""
    plate = normalise_plate(typed)
    if not plate:
        raise ValidationError(_("Enter the plate."), code="plate_empty")
    if len(plate) > MAX_PLATE_CHARS:
        raise ValidationError(
            _("A plate can have at most %(most)d letters and digits. This one has %(count)d.")
            % {"most": MAX_PLATE_CHARS, "count": len(plate)},
            code="plate_too_long",
        )
    if not _ALLOWED.fullmatch(plate):
        strange = next(sign for sign in plate if not re.fullmatch("[A-Z0-9]", sign))
        raise ValidationError(
            _refusal(strange),
            code="plate_strange_sign",
        )
    return plate


def _refusal(sign: str) -> str:
    words = {"sign": name_sign(sign), "latin": latin_look_alike(sign)}
    if sign.isascii() and sign.isprintable():
        return _("A plate can only contain letters A–Z and digits, not “%(sign)s”.") % {"sign": sign}
    if not words["latin"]:
        return _("A plate can only contain letters A–Z and digits, not the %(sign)s.") % words
    if words["latin"].isdigit():
        return _("This plate contains the %(sign)s; type the digit %(latin)s.") % words
    return _("This plate contains the %(sign)s; type the Latin %(latin)s.") % words


def without_decoration(typed: str) -> str:
    """Return the plate without the symbols and punctuation in it, or an empty text where there are none.

    Most states leave them out of the registered number: *TEA&2*, *I♥TEA* and *D'ARK* are TEA2, ITEA and DARK. Empty, too,
    where more than decoration would have to be left out.
    """
    plate = normalise_plate(typed)
    kept = "".join(sign for sign in plate if not _is_decoration(sign))
    return kept if kept != plate and _ALLOWED.fullmatch(kept) else ""


def _is_decoration(sign: str) -> bool:
    # A variation selector says how the symbol before it is drawn.
    return unicodedata.category(sign)[0] in "PS" or sign in "\ufe0e\ufe0f"


def unused_letters(plate: str, region: str) -> str:
    """Return the letters of a plate that its issuer (`CA-QC`) puts on no regular plate: likely a digit that was misread."""
    return "".join(sign for sign in UNUSED_LETTERS.get(region, "") if sign in plate)


def look_alike_key(plate: str) -> str:
    """Return a key that is equal for plates which differ only within `LOOK_ALIKE_CLASSES`."""
    return plate.translate(_LOOK_ALIKE)


def looks_like(one: str, other: str) -> bool:
    """Whether two different normalised plates could be taken for one another."""
    return one != other and look_alike_key(one) == look_alike_key(other)


def look_alikes(plate: str) -> list[str]:
    """Return the other plates that differ from a normalised one only within `LOOK_ALIKE_CLASSES`.

    Where those are more than `MOST_LOOK_ALIKES`, only the first signs are varied.
    """
    choices: list[str] = []
    count = 1
    for sign in plate:
        signs = _CLASS_OF.get(sign, sign)
        if count * len(signs) > MOST_LOOK_ALIKES:
            signs = sign
        count *= len(signs)
        choices.append(signs)
    return [other for other in map("".join, itertools.product(*choices)) if other != plate]
