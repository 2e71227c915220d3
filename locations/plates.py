"""Plates: how they are normalised, checked and compared.

Normalising is upper case and leaving out blanks, hyphens and dots, nothing more: an O is never made a 0. Letters that
cameras and people confuse are only ever *pointed out* (`looks_like`), never rewritten.
"""

import re
import unicodedata

from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _

MAX_PLATE_CHARS = 12
_LEFT_OUT = re.compile(r"[\s.\-\u2010-\u2015\u00ad]+")
_ALLOWED = re.compile(rf"[A-Z0-9]{{1,{MAX_PLATE_CHARS}}}")
# Pairs that officers and cameras mistake for one another; each class folds to one sign for comparison.
_LOOK_ALIKE = str.maketrans({"O": "0", "I": "1", "B": "8", "S": "5"})


def normalise_plate(typed: str) -> str:
    """Return the plate in upper case without blanks, hyphens and dots; other characters stay as they are."""
    return _LEFT_OUT.sub("", unicodedata.normalize("NFC", typed)).upper()


def clean_plate(typed: str) -> str:
    """Return the normalised plate, or raise `ValidationError` with one sentence that says what is wrong with it."""
    plate = normalise_plate(typed)
    if not plate:
        raise ValidationError(_("Enter the plate."), code="plate_empty")
    if len(plate) > MAX_PLATE_CHARS:
        raise ValidationError(
            _("A plate has at most %(most)d letters and digits; this one has %(count)d.")
            % {"most": MAX_PLATE_CHARS, "count": len(plate)},
            code="plate_too_long",
        )
    if not _ALLOWED.fullmatch(plate):
        strange = next(sign for sign in plate if not re.fullmatch("[A-Z0-9]", sign))
        raise ValidationError(
            _("A plate has only letters A–Z and digits; “%(sign)s” is neither.") % {"sign": strange},
            code="plate_strange_sign",
        )
    return plate


def look_alike_key(plate: str) -> str:
    """Return a key that is equal for plates which differ only by O/0, I/1, B/8 or S/5."""
    return plate.translate(_LOOK_ALIKE)


def looks_like(one: str, other: str) -> bool:
    """Whether two different normalised plates could be taken for one another."""
    return one != other and look_alike_key(one) == look_alike_key(other)
