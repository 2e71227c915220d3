"""Environment files and collected static files."""

import os
from pathlib import Path

import environ
import pytest
from hypothesis import given
from hypothesis import strategies as st

from offstreet.runtime import envfile, static


def test_what_is_written_is_read_back_the_same(tmp_path: Path) -> None:
    variables = {"A": "plain", "B": 'with "quotes"', "C": "back\\slash", "D": "", "E": "a=b # c", "F": "it's"}
    envfile.write(tmp_path / "x.env", variables)
    assert envfile.read(tmp_path / "x.env") == variables


@given(
    st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=40).filter(
        lambda text: text[:1] != "$"
    )
)
def test_django_reads_what_the_manager_wrote(tmp_path_factory: pytest.TempPathFactory, value: str) -> None:
    path = tmp_path_factory.mktemp("env") / "demo.env"
    envfile.write(path, {"OFFSTREET_TEST_VALUE": value})
    reader = environ.Env()
    try:
        reader.read_env(path, overwrite=True)
        assert reader.str("OFFSTREET_TEST_VALUE") == value
    finally:
        os.environ.pop("OFFSTREET_TEST_VALUE", None)


def test_a_file_that_is_not_there_holds_nothing(tmp_path: Path) -> None:
    assert envfile.read(tmp_path / "none.env") == {}


def test_comments_and_blank_lines_are_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "x.env"
    path.write_text("# A comment\n\nexport A='x y'\nnot a line\n B=2 \n")
    assert envfile.read(path) == {"A": "x y", "B": "2"}


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A project with one static file."""
    for folder in ("static", "requirements", "offstreet", "staticfiles"):
        (tmp_path / folder).mkdir()
    (tmp_path / "static/site.css").write_text("a {}")
    (tmp_path / "requirements/base.txt").write_text("")
    (tmp_path / "offstreet/storage.py").write_text("")
    return tmp_path


def test_static_files_are_collected_once_and_again_after_a_change(project: Path) -> None:
    collected = []

    def collect() -> bool:
        collected.append(True)
        return True

    for expected in (1, 1):
        assert static.collect_if_changed(collect, root=project)
        assert len(collected) == expected
    (project / "static/site.css").write_text("a { color: red }")
    assert static.collect_if_changed(collect, root=project)
    assert len(collected) == 2


def test_a_collection_that_failed_is_tried_again(project: Path) -> None:
    assert not static.collect_if_changed(lambda: False, root=project)
    collected = []

    def collect() -> bool:
        collected.append(True)
        return True

    assert static.collect_if_changed(collect, root=project)
    assert collected
