"""What happened to a connection, told in one place.

Every step of a connection's life comes through `happened`, so the tracking ticket's time line writes itself. It is
called inside the transaction of the step: what was undone is not told.

A ticket is opened when the connection is set up and done when it is live; what happens afterwards (a pause, a zone that
goes missing) still writes itself into it, so that its story has no end before the connection's.
"""

from datetime import datetime

from django.utils import timezone

from integrations.models import Connection, Ticket, TicketEntry
from locations.models import User


def record(
    connection: Connection, kind: str, text: str, actor: User | None = None, *, at: datetime | None = None
) -> None:
    """Write one line into the connection's ticket; before it is set up there is none to write into.

    `kind` is a short word for filters and icons (`connected`, `zones`, `mapped`, `live`, …), `text` one sentence.
    """
    ticket = current_ticket(connection)
    if ticket is not None:
        TicketEntry.objects.create(ticket=ticket, at=at or timezone.now(), by=actor, kind=kind, text=text)


def current_ticket(connection: Connection) -> Ticket | None:
    """Return the connection's latest ticket, open or done, or None."""
    return Ticket.objects.filter(connection=connection).order_by("-id").first()


def open_ticket(connection: Connection, subject: str, at: datetime) -> tuple[Ticket, bool]:
    """Return the connection's ticket and whether it was opened by this call."""
    ticket, made = Ticket.objects.get_or_create(
        connection=connection,
        state=Ticket.State.OPEN,
        defaults={"company": connection.company, "subject": subject, "opened_at": at},
    )
    return ticket, made


def close_ticket(connection: Connection, at: datetime) -> None:
    """Mark the connection's open ticket as done."""
    Ticket.objects.filter(connection=connection, state=Ticket.State.OPEN).update(
        state=Ticket.State.DONE, done_at=at
    )
