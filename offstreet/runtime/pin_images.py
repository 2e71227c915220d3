"""`make pin-images`: write the digest of each foreign image behind its tag, in the Dockerfile and in docker-compose.yml.

A tag names whatever its owner last pushed; a digest names one image for ever. Only a registry knows the digests, so this
needs an engine that reaches one: it pulls each image, reads the digest that the pull was checked against, and rewrites the
lines in place. Dependabot renews pinned lines together with their tags (.github/dependabot.yml).
"""

import re
import subprocess
import sys
from collections.abc import Iterable, Mapping
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
FILES = ("Dockerfile", "docker-compose.yml")
_DIGEST = re.compile(r"sha256:[0-9a-f]{64}")
# `FROM python:3.11-slim AS base`, `image: postgres:17`: a name with a tag, and the digest if there is one. What has no tag is
# a stage of this file or the image that is built here.
_IMAGE = re.compile(
    r"^(?P<before>FROM |    image: )(?P<name>[a-z0-9./-]+:[A-Za-z0-9._-]+)(?:@(?P<digest>\S+))?(?P<after>(?: AS \w+)?)$",
    re.MULTILINE,
)


def images(text: str) -> dict[str, str | None]:
    """Return the foreign images of a file and their digests; None where only a tag is written."""
    return {found["name"]: found["digest"] for found in _IMAGE.finditer(text)}


def pinned(text: str, digests: Mapping[str, str]) -> str:
    """Return the file with these digests behind their images; raise `ValueError` for what is no digest."""
    for name, digest in digests.items():
        if not _DIGEST.fullmatch(digest):
            raise ValueError(f"{name}: “{digest}” is no digest.")

    def line(found: re.Match[str]) -> str:
        digest = digests.get(found["name"], found["digest"])
        return f"{found['before']}{found['name']}{f'@{digest}' if digest else ''}{found['after']}"

    return _IMAGE.sub(line, text)


def resolved(names: Iterable[str]) -> dict[str, str]:
    """Return the digests that the registry has for these images now, by pulling each."""
    digests = {}
    for name in names:
        subprocess.run(["docker", "pull", "--quiet", name], check=True, stdout=subprocess.DEVNULL)
        asked = ["docker", "image", "inspect", "--format", "{{index .RepoDigests 0}}", name]
        answer = subprocess.run(asked, check=True, capture_output=True, text=True).stdout.strip()
        digests[name] = answer.rpartition("@")[2]
    return digests


def main() -> int:
    """Pin all images; nothing is written unless every one was resolved."""
    texts = {name: (ROOT / name).read_text() for name in FILES}
    names = sorted({image for text in texts.values() for image in images(text)})
    try:
        digests = resolved(names)
    except (OSError, subprocess.CalledProcessError) as error:
        print(f"The images could not be resolved, nothing was changed: {error}", file=sys.stderr)
        return 1
    for name, text in texts.items():
        (ROOT / name).write_text(pinned(text, digests))
    print("\n".join(f"{name}@{digest}" for name, digest in digests.items()))
    return 0


if __name__ == "__main__":
    sys.exit(main())
