"""Reading `{"data": [entry, …], …}` as it arrives, entry by entry. Pure.

A list may hold a hundred thousand parking rights. Read in one go, its text and documents would take more memory than all
the rest of a worker, and parsing it would stop the worker's other threads for a third of a second.
"""

import codecs
import json
import re
from collections.abc import Callable, Generator
from typing import Any

# An entry, or anything beside the list, that is longer than this is not valid.
MAX_ENTRY_CHARS = 1_000_000
_UNFINISHED = re.compile(r"\.?|[eE][+-]?")
_BLANKS = re.compile(r"[ \t\r\n]*")
_Parsing = Generator[None, str | None, Any]


class ListParser:
    """Fed with the bytes of a body, hands each entry of `data` to `take`; `rest` holds the rest of the document.

    Both `feed` and `close` raise `ValueError` if the body is not such a document; some entries may have been taken by then.
    """

    def __init__(self, take: Callable[[Any], None]) -> None:
        self.rest: dict[str, Any] = {}
        self._take = take
        self._decode = json.JSONDecoder().raw_decode
        self._utf8 = codecs.getincrementaldecoder("utf-8")()
        self._text, self._at = "", 0
        self._parsing = self._document()
        next(self._parsing)

    def feed(self, chunk: bytes) -> None:
        """Parse more bytes."""
        if text := self._utf8.decode(chunk):
            self._parsing.send(text)

    def close(self) -> None:
        """Declare the body complete."""
        self._utf8.decode(b"", final=True)
        try:
            self._parsing.send(None)
        except StopIteration:
            return
        raise ValueError("the document does not end")

    def _document(self) -> _Parsing:
        has_data = False
        yield from self._sign("{")
        while True:
            name = yield from self._value()
            yield from self._sign(":")
            if name == "data" and not has_data:
                has_data = True
                yield from self._entries()
            elif isinstance(name, str):
                self.rest[name] = yield from self._value()
            else:
                raise ValueError("a name that is no text")
            if (yield from self._sign(",}")) == "}":
                break
        if (yield from self._next()) or not has_data:
            raise ValueError("no list, or something after it")

    def _entries(self) -> _Parsing:
        yield from self._sign("[")
        if (yield from self._next()) == "]":
            yield from self._sign("]")
            return
        while True:
            self._take((yield from self._value()))
            if (yield from self._sign(",]")) == "]":
                return

    def _value(self) -> _Parsing:
        yield from self._next()
        while True:
            try:
                value, end = self._decode(self._text, self._at)
            except (ValueError, RecursionError) as error:
                too_long = len(self._text) - self._at > MAX_ENTRY_CHARS
                if too_long or isinstance(error, RecursionError) or not (yield from self._more()):
                    raise ValueError("no JSON") from error
                continue
            # A number may continue in the next chunk, also where this one ends in the middle of its exponent: `3.9e+`.
            if _UNFINISHED.fullmatch(self._text, end) and (yield from self._more()):
                continue
            self._at = end
            return value

    def _sign(self, signs: str) -> _Parsing:
        sign = yield from self._next()
        if not sign or sign not in signs:
            raise ValueError(f"one of {signs} was due")
        self._at += 1
        return sign

    def _next(self) -> _Parsing:
        """Return the next character that is not whitespace, without consuming it; an empty string at the end."""
        while True:
            blanks = _BLANKS.match(self._text, self._at)
            self._at = blanks.end() if blanks else self._at
            if self._at < len(self._text):
                return self._text[self._at]
            if not (yield from self._more()):
                return ""

    def _more(self) -> _Parsing:
        """Wait for more text; return whether there is any."""
        chunk = yield
        if chunk is None:
            return False
        self._text, self._at = self._text[self._at :] + chunk, 0
        return True
