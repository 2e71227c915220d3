"""Supply chain: images are pinned, the list of components is the lock, licences are compatible, updates are watched."""

import json
import re
import subprocess
import sys
from importlib.metadata import PackageNotFoundError, metadata
from pathlib import Path

import pytest
import yaml

from offstreet.runtime import pin_images

ROOT = Path(__file__).resolve().parents[2]
LOCKED = re.compile(r"^([A-Za-z0-9._-]+)(?:\[[^\]]*\])?==(\S+)", re.MULTILINE)
MADE_UP = {
    "python:3.11-slim": "sha256:" + "a" * 64,
    "postgres:17": "sha256:" + "b" * 64,
    "redis:7": "sha256:" + "c" * 64,
}
# Licences under which a library may be used by a work under the Apache License 2.0. LGPL: used as a library, unchanged.
FITTING = re.compile(
    r"MIT|BSD|Apache|PSF|MPL|Mozilla Public License|LGPL|ISC|0BSD|Python Software Foundation"
)


def locked(name: str) -> dict[str, str]:
    return dict(LOCKED.findall((ROOT / "requirements" / name).read_text()))


@pytest.mark.parametrize("name", pin_images.FILES)
def test_every_foreign_image_takes_a_digest_and_nothing_else_changes(name: str) -> None:
    text = (ROOT / name).read_text()
    pinned = pin_images.pinned(text, MADE_UP)

    assert pin_images.images(pinned)
    assert set(pin_images.images(pinned).values()) <= set(MADE_UP.values())
    unpinned = re.sub(r"@sha256:[0-9a-f]{64}", "", text)
    assert re.sub(r"@sha256:[0-9a-f]{64}", "", pinned) == unpinned
    assert pin_images.pinned(pinned, MADE_UP) == pinned


def test_no_foreign_image_is_overlooked() -> None:
    stages = re.findall(r"^FROM (\S+)(?: AS (\w+))?", (ROOT / "Dockerfile").read_text(), re.MULTILINE)
    own = {stage for _image, stage in stages if stage} | {"offstreet-passport"}
    services = yaml.safe_load((ROOT / "docker-compose.yml").read_text())["services"].values()
    used = {image for image, _stage in stages} | {service["image"] for service in services}
    found = {name for file in pin_images.FILES for name in pin_images.images((ROOT / file).read_text())}
    assert {image.partition("@")[0] for image in used - own} == found == set(MADE_UP)


@pytest.mark.parametrize("name", pin_images.FILES)
def test_every_foreign_image_is_pinned_by_its_digest(name: str) -> None:
    assert all(pin_images.images((ROOT / name).read_text()).values())


@pytest.mark.parametrize(
    "digest", ["", "latest", "sha256:abc", "sha256:" + "A" * 64, "sha256:" + "a" * 64 + "\nx"]
)
def test_what_is_no_digest_is_not_written(digest: str) -> None:
    with pytest.raises(ValueError, match="no digest"):
        pin_images.pinned("FROM python:3.11-slim AS base", {"python:3.11-slim": digest})


def test_the_list_of_components_is_the_lock(tmp_path: Path) -> None:
    """The command of `make sbom`, on the hashed lock; it uses no network."""
    made = tmp_path / "sbom.json"
    command = [sys.executable, "-m", "cyclonedx_py", "requirements", "--output-reproducible", "--of", "JSON"]
    subprocess.run([*command, "-o", str(made), str(ROOT / "requirements/base.txt")], check=True, timeout=60)
    document = json.loads(made.read_text())
    assert {part["name"]: part["version"] for part in document["components"]} == locked("base.txt")
    assert "cyclonedx_py requirements --output-reproducible --of JSON" in (ROOT / "Makefile").read_text()


def test_no_library_forbids_the_licence_of_the_product() -> None:
    text = (ROOT / "requirements/base.txt").read_text()
    unfitting = {}
    for name in locked("base.txt"):
        try:
            found = metadata(name)
        except PackageNotFoundError:
            # Some are for other Python versions or systems than this one, as the lock says.
            assert re.search(rf"^{re.escape(name)}==\S+ ;", text, re.MULTILINE), name
            continue
        kinds = [line for line in found.get_all("Classifier", []) if line.startswith("License ::")]
        words = found["License-Expression"] or " ".join(kinds) or found["License"] or ""
        if not FITTING.search(words):
            unfitting[name] = words
    assert unfitting == {}
    assert (ROOT / "LICENSE").read_text().lstrip().startswith("Apache License")


def test_dependabot_watches_all_that_is_pinned() -> None:
    updates = yaml.safe_load((ROOT / ".github/dependabot.yml").read_text())["updates"]
    assert {update["package-ecosystem"] for update in updates} == {
        "pip",
        "docker",
        "docker-compose",
        "github-actions",
    }


def test_the_hosted_checks_run_on_every_python_that_the_product_supports() -> None:
    workflow = yaml.safe_load((ROOT / ".github/workflows/ci.yml").read_text())
    pythons = workflow["jobs"]["test"]["strategy"]["matrix"]["python"]
    assert pythons == ["3.11", "3.12", "3.13", "3.14"]
    assert 'requires-python = ">=3.11"' in (ROOT / "pyproject.toml").read_text()
