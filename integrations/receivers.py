"""Where `integrations` listens to `locations`."""

from collections.abc import Sequence
from typing import Any

from integrations.delivery import outbox
from locations.signals import permits_changed


def on_permits_changed(sender: Any, *, permit_ids: Sequence[int], bulk: bool, **_: Any) -> None:
    """Mark the permit syncs of these permits as due, in the transaction that saved them."""
    outbox.mark(permit_ids=permit_ids, bulk=bulk)


def connect() -> None:
    """Connect all receivers; called once when the application is ready."""
    permits_changed.connect(on_permits_changed, dispatch_uid="integrations.mark")
