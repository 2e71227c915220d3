"""Static files with hashed names, compressed once at collection time."""

from whitenoise.storage import CompressedManifestStaticFilesStorage


class HashedStaticFiles(CompressedManifestStaticFilesStorage):
    """Vendored files name source maps that are not shipped; those references are left as they are."""

    manifest_strict = False
    support_js_module_import_aggregation = False
