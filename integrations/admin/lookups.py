"""How support finds rows by what it has in hand."""

from integrations.models import Connection
from locations.admin import find_companies


def find_connections(text: str) -> list[int]:
    """Return the ids of connections whose company matches `text`."""
    found = Connection.objects.filter(company__in=find_companies(text))
    return list(found.order_by().values_list("pk", flat=True))
