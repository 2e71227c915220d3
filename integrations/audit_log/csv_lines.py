"""Lines of CSV that a spreadsheet takes for text."""

import csv
from collections.abc import Iterable, Iterator

# What a spreadsheet would take for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


class _Line:
    """What `csv` writes a line into: it hands the line back."""

    def write(self, line: str) -> str:
        return line


def csv_lines(rows: Iterable[tuple[str, ...]]) -> Iterator[str]:
    """Yield rows as lines of CSV."""
    writer = csv.writer(_Line())
    for row in rows:
        yield writer.writerow(row)


def plain(cell: object) -> str:
    """Return a cell's text, marked with an apostrophe where a spreadsheet would run it as a formula."""
    text = str(cell)
    return f"'{text}" if text.startswith(_FORMULA) else text
