"""What can go wrong with a delivery, named by what to do next.

DeliveryError
├── TryLater        unreachable, 408, 429 (Retry-After), 5xx, unreadable answer   → backoff, kept in the row
│   └── Intercepted a refusal that is not in the vendor's form (a proxy's page)   → as above; see `delivery.batch`
│       └── TooLarge  too much for one request                                    → sent in smaller ones
├── FixRecord       the remote refuses this one                                   → shown with a remedy, tried again slowly
├── FixConnection   credentials, not authorised, unknown operator                 → the connection stops, people are told
└── Unexpected      anything else                                                 → shown, tried again slowly

Only a vendor's client raises them. Each carries one sentence for an operator and, where there is one, the remedy.
"""

from datetime import timedelta


class DeliveryError(Exception):
    """A delivery that did not succeed.

    `sentence` says what happened, `remedy` what to do, `code` groups equal reasons (never holds a plate), `status` is
    the HTTP status where there was an answer, `trace_id` names the request.
    """

    kind = "unexpected"
    # Whether the same record would be refused again whenever it is sent; otherwise the reason may go away on its own.
    for_good = False

    def __init__(
        self,
        sentence: str,
        *,
        remedy: str = "",
        code: str = "",
        status: int | None = None,
        trace_id: str = "",
    ) -> None:
        super().__init__(sentence)
        self.sentence = sentence
        self.remedy = remedy
        self.code = code or self.kind
        self.status = status
        self.trace_id = trace_id


class TryLater(DeliveryError):
    """The same request may succeed later; `retry_after` is the remote's own word, if it gave one."""

    kind = "later"

    def __init__(self, sentence: str, *, retry_after: timedelta | None = None, **rest: object) -> None:
        super().__init__(sentence, **rest)  # type: ignore[arg-type]
        self.retry_after = retry_after


INTERCEPTED = "intercepted"


class Intercepted(TryLater):
    """A refusal that did not come from the vendor: something on the way (a proxy, a firewall) answered in its place."""

    def __init__(self, sentence: str, **rest: object) -> None:
        super().__init__(sentence, **(rest | {"code": INTERCEPTED}))  # type: ignore[arg-type]


class TooLarge(Intercepted):
    """The request holds more than the remote, or something on the way to it, takes at once."""


class FixRecord(DeliveryError):
    """The remote refuses this record as it stands.

    `gone` says that what was to be ended is not there; `for_good` that the record would be refused whenever it is sent.
    """

    kind = "record"

    def __init__(self, sentence: str, *, gone: bool = False, for_good: bool = False, **rest: object) -> None:
        super().__init__(sentence, **rest)  # type: ignore[arg-type]
        self.gone = gone
        self.for_good = for_good


class FixConnection(DeliveryError):
    """Nothing of this connection (`scope` "connection") or of the whole account ("host") can be sent until people act."""

    kind = "connection"

    def __init__(self, sentence: str, *, scope: str = "connection", **rest: object) -> None:
        super().__init__(sentence, **rest)  # type: ignore[arg-type]
        self.scope = scope


class Unexpected(DeliveryError):
    """Nobody foresaw this: an answer that we don't know (it has a status), or a fault of our own (it has none)."""

    kind = "unexpected"

    @property
    def leaves_open(self) -> bool:
        """Whether nobody knows what became of the request: it was our own code that failed, not the vendor that refused."""
        return self.status is None
