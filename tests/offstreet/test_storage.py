"""Static files: collected with hashed names without errors, light enough, and complete with their licences."""

import gzip
import re
from pathlib import Path

import brotli  # type: ignore[import-untyped]
import pytest
from django.contrib.staticfiles import finders
from django.core.management import call_command
from django.template.loader import render_to_string
from django.test import RequestFactory, override_settings

from offstreet.storage import HashedStaticFiles

ROOT = Path(__file__).resolve().parent.parent.parent
FIRST_VIEW_MAX_BYTES = 200_000
AFTERWARDS_MAX_BYTES = 30_000
COLLECTED = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "offstreet.storage.HashedStaticFiles"},
}


@pytest.fixture(scope="module")
def collected(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Every static file of the product, collected as for production (without compressing them: that takes seconds)."""
    target = tmp_path_factory.mktemp("collected")
    with override_settings(
        STATIC_ROOT=target,
        STORAGES=COLLECTED,
        WHITENOISE_SKIP_COMPRESS_EXTENSIONS=("css", "js", "svg", "txt", "md", "html", "json"),
    ):
        call_command("collectstatic", interactive=False, verbosity=0)
    return target


def test_collecting_ignores_source_maps_that_are_not_shipped(collected: Path) -> None:
    assert (collected / "staticfiles.json").is_file()
    hashed = list((collected / "vendor" / "tabler-core").glob("tabler.min.*.css"))
    assert len(hashed) == 1
    assert "sourceMappingURL=tabler.min.css.map" in hashed[0].read_text(encoding="utf-8")


def test_names_are_hashed_where_files_were_collected_and_a_missing_one_fails_in_production(
    collected: Path,
) -> None:
    with override_settings(STATIC_ROOT=collected, PRODUCTION=True):
        storage = HashedStaticFiles(location=collected, base_url="/static/")
        assert re.fullmatch(r"/static/css/app\.[0-9a-f]{12}\.css", storage.url("css/app.css"))
        with pytest.raises(ValueError, match="Missing staticfiles manifest entry"):
            storage.url("css/no-such.css")


def test_a_checkout_that_was_never_collected_works_with_plain_names(tmp_path: Path) -> None:
    storage = HashedStaticFiles(location=tmp_path, base_url="/static/")
    assert storage.url("css/app.css") == "/static/css/app.css"


def compressed(path: str) -> int:
    found = finders.find(path)
    assert found, f"{path} is linked but not there"
    return len(brotli.compress(Path(found).read_bytes()))


def test_the_first_view_weighs_less_than_200_kb_compressed_and_the_next_ones_less_than_30() -> None:
    page = render_to_string("404.html", {"messages": []}, RequestFactory().get("/"))
    assets = sorted(set(re.findall(r'(?:src|href|content)="/static/([^"#]+)', page)))
    assert "css/app.css" in assets
    weights = {path: compressed(path) for path in assets}
    total = sum(weights.values())
    assert total < FIRST_VIEW_MAX_BYTES - AFTERWARDS_MAX_BYTES, weights
    assert len(gzip.compress(page.encode())) < AFTERWARDS_MAX_BYTES


def test_every_vendored_file_has_a_version_and_a_licence() -> None:
    vendor = ROOT / "static" / "vendor"
    table = (vendor / "VERSIONS.md").read_text(encoding="utf-8")
    for path in sorted(vendor.rglob("*")):
        if path.is_file() and path.name not in ("VERSIONS.md", "LICENSE"):
            assert str(path.relative_to(vendor)) in table, f"{path.name} is not in VERSIONS.md"
    for folder in (path for path in vendor.iterdir() if path.is_dir()):
        assert (folder / "LICENSE").is_file(), f"{folder.name} has no licence beside it"
