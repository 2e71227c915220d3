"""docs/passport-api.md, held to the code: each fact has a key, a status, and a function or setting that exists."""

import importlib
import re
from pathlib import Path
from typing import NamedTuple

import pytest
from django.conf import settings

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs/passport-api.md"
OWN_SETTINGS = re.compile(r"^(PASSPORT_\w+) = ", re.MULTILINE)
KEY = re.compile(r"\b[A-Z]\d+\b")
STATUS = re.compile(r"\(((?:documented|observed|assumed|both assumed)(?!: Observed)(?::[^)]*)?)\)")
# The product decides these itself; they are not facts about Passport.
OUR_OWN = {
    "PASSPORT_CLIENT_SECRET", "PASSPORT_CONNECT_TIMEOUT_S", "PASSPORT_READ_TIMEOUT_S", "PASSPORT_TOTAL_TIMEOUT_S",
}  # fmt: skip


class Fact(NamedTuple):
    key: str
    text: str
    status: str
    held_by: str


def facts() -> list[Fact]:
    rows = [line.strip("|").split("|") for line in PAGE.read_text().splitlines() if line.startswith("| ")]
    cells = [[cell.strip() for cell in row] for row in rows]
    return [Fact(*row) for row in cells if row[0] != "key"]


def exists(name: str) -> bool:
    """Whether a dotted name exists: `settings.NAME`, or a module's attribute."""
    if name.startswith("settings."):
        return hasattr(settings, name.removeprefix("settings."))
    parts = name.split(".")
    for end in range(len(parts) - 1, 0, -1):
        try:
            found: object = importlib.import_module(".".join(parts[:end]))
        except ModuleNotFoundError:
            continue
        for part in parts[end:]:
            if not hasattr(found, part):
                return False
            found = getattr(found, part)
        return True
    return False


@pytest.mark.parametrize("fact", facts(), ids=lambda fact: fact.key)
def test_each_fact_has_a_status_and_one_place_that_exists(fact: Fact) -> None:
    assert KEY.fullmatch(fact.key)
    assert re.match(r"documented|observed|assumed", fact.status)
    (name,) = re.findall(r"`([^`]+)`", fact.held_by)
    assert exists(name), name


def test_no_key_is_given_twice() -> None:
    keys = [fact.key for fact in facts()]
    assert len(keys) == len(set(keys)) > 20


def test_a_name_that_leads_nowhere_would_be_found() -> None:
    assert not exists("passport.plan.no_such_function")
    assert not exists("passport.no_such_module.plan")
    assert not exists("settings.PASSPORT_NO_SUCH_SETTING")


def test_each_setting_about_passport_is_on_the_page() -> None:
    names = set(OWN_SETTINGS.findall((ROOT / "offstreet/settings.py").read_text()))
    assert names - OUR_OWN == {name for name in names if f"settings.{name}`" in PAGE.read_text()}


def test_a_docstring_that_says_how_a_fact_is_known_names_its_row() -> None:
    keys = {fact.key for fact in facts()}
    claims = []
    for path in sorted((ROOT / "passport").glob("*.py")):
        for claim in STATUS.findall(path.read_text()):
            assert KEY.findall(claim), f"{path.name}: ({claim})"
            assert set(KEY.findall(claim)) <= keys, f"{path.name}: ({claim})"
            claims.append(claim)
    assert len(claims) > 15


def test_every_citation_of_the_contract_names_a_row_of_it() -> None:
    keys = {fact.key for fact in facts()}
    cited: list[str] = []
    for path in sorted((ROOT / "passport").rglob("*.py")):
        for line in path.read_text().splitlines():
            if "contract" in line.lower() or "passport-api.md" in line:
                named = KEY.findall(line.split("passport-api.md")[-1])
                assert named, f"{path.name}: {line.strip()}"
                assert set(named) <= keys, f"{path.name}: {line.strip()}"
                cited += named
    assert len(cited) >= 8
