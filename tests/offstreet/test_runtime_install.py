"""The environment comes from hashed locks that agree with each other and name no package index."""

import re
import tomllib
from pathlib import Path

import pytest

from offstreet.runtime import install

ROOT = Path(__file__).resolve().parents[2]
LOCKS = ("base", "dev", "bootstrap")


def pins(lock: str) -> dict[str, str]:
    """The versions in a lock, by package and marker."""
    found = re.findall(
        r"^([a-z0-9._-]+)==([^\s;]+)(.*?) \\$", (ROOT / f"requirements/{lock}.txt").read_text(), re.MULTILINE
    )
    return {name + marker: version for name, version, marker in found}


@pytest.mark.parametrize("lock", LOCKS)
def test_every_pin_has_hashes_and_no_line_an_address(lock: str) -> None:
    text = (ROOT / f"requirements/{lock}.txt").read_text()
    blocks = re.split(r"\n(?=\S)", re.sub(r"^#.*\n|^ +#.*\n", "", text, flags=re.MULTILINE).strip())
    assert blocks
    for block in blocks:
        assert re.match(r"[a-z0-9._-]+==", block), block
        assert "--hash=sha256:" in block, block
    assert "://" not in text
    assert "--index" not in text


def test_the_development_lock_holds_all_of_the_base_in_the_same_versions() -> None:
    base, dev = pins("base"), pins("dev")
    assert len(base) > 30
    assert {name: dev.get(name) for name in base} == base


def test_the_base_lock_holds_what_the_project_asks_for_and_dev_what_development_does() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())

    def names(requirements: list[str]) -> set[str]:
        return {re.split(r"[\[<>=;~ ]", text)[0].lower().replace("_", "-") for text in requirements}

    def locked(lock: str) -> set[str]:
        return {re.split(r"[ ;]", name)[0] for name in pins(lock)}

    assert names(project["project"]["dependencies"]) <= locked("base")
    assert names(project["dependency-groups"]["dev"]) <= locked("dev")


def test_uv_is_given_the_sources_that_pip_uses(monkeypatch: pytest.MonkeyPatch) -> None:
    for variable, _ in install.PIP_TO_UV.values():
        monkeypatch.delenv(variable, raising=False)
    printed = (
        "global.index-url='https://mirror.example/simple'\n"
        "global.extra-index-url='https://one.example/simple\\nhttps://two.example/simple'\n"
        "install.find-links='/srv/wheels /srv/more'\n"
        ":env:.index-url='https://other.example/simple'\n"
        "global.timeout='60'\n"
    )
    assert install.uv_environment(printed) == {
        "UV_DEFAULT_INDEX": "https://other.example/simple",
        "UV_INDEX": "https://one.example/simple https://two.example/simple",
        "UV_FIND_LINKS": "/srv/wheels,/srv/more",
        "UV_INDEX_STRATEGY": "unsafe-best-match",
        "UV_NO_PROGRESS": "1",
    }


def test_a_variable_of_uvs_own_wins(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("UV_DEFAULT_INDEX", "https://mine.example/simple")
    assert "UV_DEFAULT_INDEX" not in install.uv_environment(
        "global.index-url='https://mirror.example/simple'\n"
    )


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty project with locks and a stand-in for an environment."""
    (tmp_path / "requirements").mkdir()
    (tmp_path / ".venv/bin").mkdir(parents=True)
    (tmp_path / ".venv/bin/python").touch()
    for lock in install.LOCKS:
        (tmp_path / f"requirements/{lock}.txt").write_text(f"# {lock}\n")
    monkeypatch.setattr(install, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(install, "REQUIREMENTS", tmp_path / "requirements")
    return tmp_path


def remember(project: Path, lock: str) -> None:
    """Record a lock as installed."""
    install.stamp_path(lock).write_text(install.checksum(project / f"requirements/{lock}.txt"))


def test_a_lock_that_is_installed_is_left_alone_until_it_changes(project: Path) -> None:
    assert not install.is_installed("base")
    remember(project, "base")
    assert install.is_installed("base")
    (project / "requirements/base.txt").write_text("# other\n")
    assert not install.is_installed("base")


def test_the_development_environment_serves_for_the_base_but_not_the_other_way_round(project: Path) -> None:
    remember(project, "dev")
    assert install.is_installed("base")
    install.stamp_path("dev").unlink()
    remember(project, "base")
    assert not install.is_installed("dev")


def test_an_environment_that_was_removed_is_not_installed(project: Path) -> None:
    remember(project, "base")
    (project / ".venv/bin/python").unlink()
    assert not install.is_installed("base")


def test_an_unknown_lock_prints_how_it_is_used(capsys: pytest.CaptureFixture[str]) -> None:
    assert install.main(["everything"]) == 2
    assert "python3 -m offstreet.runtime.install base|dev" in capsys.readouterr().out
