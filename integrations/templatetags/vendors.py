"""The names of a connection's vendor in a template: `{% with vendor=connection|vendor_names %}`.

A company's pages have those of its own vendor as `shell.vendor` (`offstreet.context`).
"""

from django import template

from integrations.models import Connection
from integrations.vendors.naming import names_of
from integrations.vendors.protocol import VendorNames

register = template.Library()


@register.filter
def vendor_names(connection: Connection | None) -> VendorNames:
    """Return the names of a connection's vendor; those of the default one where there is no connection."""
    return names_of(connection.vendor if connection else "")
