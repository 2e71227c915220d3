"""The one word that `locations` says to the outside.

`permits_changed` is sent by `locations.services` inside the transaction that writes, with
`permit_ids` (a sequence of primary keys; one or a hundred thousand) and `bulk` (whether it is a mass change, which a
person's own edit may overtake). A receiver that raises undoes the write: what could not be noted is not saved.
"""

from django.dispatch import Signal

permits_changed = Signal()
