"""`integrations` knows vendors only through the protocol: neither its code nor its pages name one."""

import re
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
NAMES = re.compile(r"passport|opsman", re.IGNORECASE)


def named_in(text: str) -> list[str]:
    return [line.strip() for line in text.splitlines() if NAMES.search(line)]


def sources() -> list[Path]:
    folders = (ROOT / "integrations", ROOT / "templates/integrations", ROOT / "templates/mail")
    files = [path for folder in folders for path in folder.rglob("*") if path.is_file()]
    # Migrations say what was stored when they were written.
    return [
        path for path in files if path.suffix in (".py", ".html", ".txt") and "migrations" not in path.parts
    ]


def test_no_vendor_is_named_in_integrations_or_its_templates() -> None:
    found = {str(path.relative_to(ROOT)): named_in(path.read_text(encoding="utf-8")) for path in sources()}
    assert len(found) > 150
    assert {name: lines for name, lines in found.items() if lines} == {}


def test_a_name_is_found_in_any_case_and_within_a_word() -> None:
    assert named_in("a PASSPORT_URL\nOpsMan Mobile\nnothing") == ["a PASSPORT_URL", "OpsMan Mobile"]
