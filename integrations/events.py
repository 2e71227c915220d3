"""What happened to a connection, told in one place.

Every step of a connection's life comes through `happened`, so the tracking ticket's time line writes itself. It is called
inside the transaction of the step: what was undone is not told.
"""

from django.utils import timezone

from integrations.models import Connection, Ticket, TicketEntry
from locations.models import User


def happened(connection: Connection, kind: str, text: str, actor: User | None = None) -> None:
    """Write one line into the connection's open ticket; where none is open there is nothing to write into.

    `kind` is a short word for filters and icons (`connected`, `zones`, `mapped`, `live`, …), `text` one sentence.
    """
    ticket = Ticket.objects.filter(connection=connection, state=Ticket.State.OPEN).first()
    if ticket is not None:
        TicketEntry.objects.create(ticket=ticket, at=timezone.now(), by=actor, kind=kind, text=text)
