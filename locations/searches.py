"""What somebody searches for stays out of addresses: a plate or a person's address is personal data.

An address stands in the browser's history, in the access logs of every proxy on the way, and in the next request's
`Referer`. So a search is sent by POST and answered with a redirect to an address in which the text is encrypted: the search
id. A reload, “Back”, paging and sorting work as with any address, no row is written while somebody types, and whoever reads
a log reads nothing.

Decision: an encrypted text in place of a key to a stored one, since it needs no storage, and a broker that forgets loses no
search. It ends after `LIFE_S` and works for the person alone who searched: an id out of a log or over a shoulder is of no use
to another. The key is made of `SECRET_KEY`; after a rotation (`SECRET_KEY_FALLBACKS`) older ids work on.
"""

import base64
import hashlib
from functools import cache

from cryptography.fernet import Fernet, InvalidToken, MultiFernet
from django.conf import settings
from django.http import QueryDict

from locations.models import User

# A working day.
LIFE_S = 8 * 3600
# No plate, name or id that is searched for begins so.
_MARK = "~"
_BLANK = "\0"


class SearchEnded(Exception):
    """The search id is too old, another person's, or none."""


def address(path: str, sent: QueryDict, user: User, name: str = "q") -> str:
    """Return the address of a list as its form was sent: the field `name` as a search id, empty fields left out."""
    query = QueryDict(mutable=True)
    for key, values in sent.lists():
        if key != "csrfmiddlewaretoken":
            query.setlist(key, [value for value in values if value])
    query[name] = to_id(sent.get(name, ""), user)
    if not query[name]:
        del query[name]
    return f"{path}?{query.urlencode()}" if query.urlencode() else path


def is_id(text: str) -> bool:
    """Whether a text from an address is a search id, and not what somebody typed there by hand."""
    return text.startswith(_MARK)


def to_id(text: str, user: User) -> str:
    """Return the search id of a text for a person; an empty text has none and stays empty."""
    if not text:
        return ""
    sealed = _ciphers().encrypt(f"{user.pk}{_BLANK}{text}".encode(errors="replace"))
    return _MARK + sealed.decode().rstrip("=")


def from_id(search_id: str, user: User) -> str:
    """Return the text of a search id; empty stays empty. Raises `SearchEnded`."""
    if not search_id:
        return ""
    sealed = search_id.removeprefix(_MARK)
    try:
        said = _ciphers().decrypt(sealed + "=" * (-len(sealed) % 4), ttl=LIFE_S).decode()
    except (InvalidToken, ValueError):
        raise SearchEnded from None
    owner, _, text = said.partition(_BLANK)
    if not is_id(search_id) or owner != str(user.pk):
        raise SearchEnded
    return text


def _ciphers() -> MultiFernet:
    return _of_secrets((settings.SECRET_KEY, *settings.SECRET_KEY_FALLBACKS))


@cache
def _of_secrets(secrets: tuple[str, ...]) -> MultiFernet:
    """Return the ciphers, the newest first; another use of the same secret has another key."""
    keys = (hashlib.sha256(b"offstreet.searches" + secret.encode()).digest() for secret in secrets)
    return MultiFernet([Fernet(base64.urlsafe_b64encode(key)) for key in keys])
