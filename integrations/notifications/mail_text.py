"""Text of a mail made harmless: nothing in it becomes a link but what leads to this site.

Mails quote names, notes and what a vendor calls its zones. Forms refuse a web address in a name (`locations.names`), but
rows from before, scripts, files and vendors do not pass a form. So the finished text is looked at once more, whatever it
was made of: in anything that a mail program would turn into a link, a zero-width space breaks the link and changes nothing
for the eye.
"""

import re
import unicodedata
from typing import Final

from locations.names import TURNS_AROUND

BREAK: Final = "\u200b"
_WORD: Final = re.compile(r"\S+")
_AROUND: Final = "()<>[]{}“”‘’\"'.,;:!?"
_E_MAIL: Final = re.compile(r"[\w.+-]+@[\w-]+(\.[\w-]+)+", re.ASCII)
_SCHEME: Final = re.compile(r"(?<=\w):(?=/)")
_HOST: Final = re.compile(r"(?<=\w)([.。．｡])(?=[^\W\d_]{2,})")
_IPV4: Final = re.compile(r"\b\d{1,3}(?:\.\d{1,3}){3}\b", re.ASCII)
_PATH: Final = re.compile(r"[\w/.?=&%#-]*", re.ASCII)


def harmless(text: str, *, own: str) -> str:
    """Return the text with every link broken that does not lead to `own` (`SITE_URL`). Email addresses stay whole.
    Pure.
    """
    kept = "".join(
        sign
        for sign in text
        if sign in "\n\t" or (unicodedata.category(sign) != "Cc" and sign not in TURNS_AROUND)
    )
    return _WORD.sub(lambda found: _harmless_word(found[0], own), kept)


def leads_to(word: str, own: str) -> bool:
    """Whether a word is an address of this site and nothing else."""
    path = word.removeprefix(own)
    return word.startswith(own) and path[:1] in ("", "/") and _PATH.fullmatch(path) is not None


def _harmless_word(word: str, own: str) -> str:
    bare = word.strip(_AROUND)
    if leads_to(bare, own) or _E_MAIL.fullmatch(bare):
        return word
    word = _HOST.sub(rf"\1{BREAK}", _SCHEME.sub(f":{BREAK}", word))
    return _IPV4.sub(lambda found: found[0].replace(".", f".{BREAK}"), word)
