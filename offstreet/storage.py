"""Static files with hashed names, compressed once at collection time.

What it decides: in production every file must have been collected, and an unknown one raises, so that a missing style
is found at deployment. Elsewhere a checkout works before anything has been collected: plain names, served by the
finders. Vendored files name source maps that are not shipped; those references are left alone instead of failing
the collection.
"""

from typing import Any

from django.conf import settings
from django.contrib.staticfiles.storage import StaticFilesStorage
from whitenoise.storage import CompressedManifestStaticFilesStorage


def _without_source_maps(patterns: Any) -> Any:
    """Return Django's table of references to rewrite without the rules for `sourceMappingURL`."""
    return tuple(
        (
            extension,
            tuple(
                rule
                for rule in rules
                if "sourceMappingURL" not in (rule if isinstance(rule, str) else rule[0])
            ),
        )
        for extension, rules in patterns
    )


class HashedStaticFiles(CompressedManifestStaticFilesStorage):  # type: ignore[misc]
    """See the module's text."""

    support_js_module_import_aggregation = False
    patterns = _without_source_maps(CompressedManifestStaticFilesStorage.patterns)

    def url(self, name: str | None, force: bool = False) -> str:
        """Return a file's address: hashed where it was collected, plain in a checkout that hasn't collected it."""
        try:
            return str(super().url(name, force))
        except ValueError:
            if settings.PRODUCTION:
                raise
            return StaticFilesStorage.url(self, name)
