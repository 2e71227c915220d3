"""What people call a vendor: every page, mail and sentence takes its vendor's words from here.

A vendor's name and those of its programs are proper names, so they are not translated; the sentences around them are.
"""

from integrations.models.connections import default_vendor
from integrations.vendors.protocol import VendorNames, get_vendor

__all__ = ["default_vendor", "names_of"]


def names_of(slug: str = "") -> VendorNames:
    """Return the names of a vendor, of the default one without a slug; raise `KeyError` for an unknown slug."""
    return get_vendor(slug or default_vendor()).names
