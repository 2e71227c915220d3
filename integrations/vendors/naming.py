"""What people call a vendor: every page, mail and sentence takes its vendor's words from here.

A vendor's name and those of its programs are proper names, so they are not translated; the sentences around them are.
"""

from django.conf import settings

from integrations.vendors.protocol import VendorNames, get_vendor


def default_vendor() -> str:
    """Return the slug of the vendor that a company without any connection is led to: the first of the settings."""
    return next(iter(settings.INTEGRATION_VENDORS))


def names_of(slug: str = "") -> VendorNames:
    """Return the names of a vendor, of the default one without a slug; raise `KeyError` for an unknown slug."""
    return get_vendor(slug or default_vendor()).names
