"""What tests of claims to an operator ID share: a second operator ID, and what belongs to a connection."""

from typing import Any

from integrations.models import Connection
from locations.models import Permit
from tests.factories import PermitFactory, mapped_location

OTHER_ID = "fd69c211-318f-56a5-836b-8e03dc8897ae"


def confirmed(connection: Connection) -> bool:
    return Connection.objects.get(pk=connection.pk).is_confirmed


def mapped_permit(connection: Connection, **values: Any) -> Permit:
    permit: Permit = PermitFactory(location=mapped_location(connection), **values)
    return permit
