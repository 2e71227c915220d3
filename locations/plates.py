"""Plates: how they are normalised, checked and compared.

Normalising is upper case and leaving out blanks, hyphens and dots, nothing more: an O is never made a 0. Letters that
cameras and people confuse are only ever *pointed out* (`looks_like`), never rewritten.
"""

import itertools
import re
import string
import unicodedata

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

MAX_PLATE_CHARS = 12
_LEFT_OUT = re.compile(r"[\s.\-\u2010-\u2015\u00ad]+")
_ALLOWED = re.compile(rf"[A-Z0-9]{{1,{MAX_PLATE_CHARS}}}")
# A to Z alone: `str.upper` would rewrite what is no letter of a plate (ß to SS, ı to I) instead of having it refused.
_UPPER = str.maketrans(string.ascii_lowercase, string.ascii_uppercase)
# Signs that officers and cameras mistake for one another; for comparison, each stands for the first of its class.
LOOK_ALIKE_CLASSES = ("0ODQ", "1IL", "2Z", "5S", "6G", "8B")
_CLASS_OF = {sign: signs for signs in LOOK_ALIKE_CLASSES for sign in signs}
_LOOK_ALIKE = str.maketrans({sign: signs[0] for sign, signs in _CLASS_OF.items()})
# As many plates are enough for one query.
MOST_LOOK_ALIKES = 256


def normalise_plate(typed: str) -> str:
    """Return the plate in upper case without blanks, hyphens and dots; other characters stay as they are."""
    return _LEFT_OUT.sub("", unicodedata.normalize("NFC", typed)).translate(_UPPER)


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
            _("A plate can only contain letters A–Z and digits, not “%(sign)s”.") % {"sign": strange},
            code="plate_strange_sign",
        )
    return plate


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
