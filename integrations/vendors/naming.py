"""What people call a vendor and its zones: every page, mail and sentence takes its vendor's words from here.

A vendor's name and those of its programs are proper names, so they are not translated; the sentences around them are.
"""

from collections.abc import Mapping

from django.utils.translation import gettext as _

from integrations.models.connections import default_vendor
from integrations.vendors.protocol import VendorNames, get_vendor

__all__ = ["default_vendor", "names_of", "zone_label"]


def names_of(slug: str = "") -> VendorNames:
    """Return the names of a vendor, of the default one without a slug; raise `KeyError` for an unknown slug."""
    return get_vendor(slug or default_vendor()).names


def zone_label(numbers: Mapping[str, str], remote_id: str) -> str:
    """Return what people call a zone: its number, by the vendor's ids; never the id itself, which says nothing to them."""
    return numbers.get(remote_id) or _("unknown zone")
