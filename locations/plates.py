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
# Pairs that officers and cameras mistake for one another; each class folds to one sign for comparison.
_LOOK_ALIKE = str.maketrans({"O": "0", "I": "1", "B": "8", "S": "5"})
_TWINS = {"O": "0", "0": "O", "I": "1", "1": "I", "B": "8", "8": "B", "S": "5", "5": "S"}
MAX_CONFUSABLE = 8


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
    """Return a key that is equal for plates which differ only by O/0, I/1, B/8 or S/5."""
    return plate.translate(_LOOK_ALIKE)


def looks_like(one: str, other: str) -> bool:
    """Whether two different normalised plates could be taken for one another."""
    return one != other and look_alike_key(one) == look_alike_key(other)


def look_alikes(plate: str) -> list[str]:
    """Return all other plates that differ from a normalised one only by O/0, I/1, B/8 or S/5.

    With more than `MAX_CONFUSABLE` such signs only the first ones are varied: 2 ** 8 plates are enough for one query.
    """
    places = [place for place, sign in enumerate(plate) if sign in _TWINS][:MAX_CONFUSABLE]
    found = []
    for choice in itertools.product((False, True), repeat=len(places)):
        signs = list(plate)
        for place, swap in zip(places, choice, strict=True):
            if swap:
                signs[place] = _TWINS[signs[place]]
        found.append("".join(signs))
    return [other for other in found if other != plate]
