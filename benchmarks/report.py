"""The table that a run prints, and the targets it is held against. Pure."""

import statistics
from collections.abc import Callable, Iterable, Sequence
from typing import Any

Row = dict[str, Any]
Results = dict[str, list[Row]]

# The figures: (name, what was reached, the target as (bound, "at least" or "at most")).
AT_LEAST, AT_MOST = "at least", "at most"


def median(rows: Iterable[Row], name: str) -> float | None:
    """Return the median of one figure, or None without rows."""
    values = [row[name] for row in rows]
    return float(statistics.median(values)) if values else None


def best(rows: Sequence[Row], who: str, name: str = "per_s", *, most: bool = True) -> float | None:
    """Return the best contestant's median among those whose name begins with `who` (a pool, a number of processes)."""
    names = {row["who"] for row in rows if row["who"].startswith(who)}
    medians = [median((row for row in rows if row["who"] == one), name) for one in names]
    found = [value for value in medians if value is not None]
    return (max if most else min)(found) if found else None


def table(header: Sequence[str], lines: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table with its columns aligned."""
    widths = [max(len(line[place]) for line in [header, *lines]) for place in range(len(header))]

    def row(cells: Sequence[str]) -> str:
        return "| " + " | ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) + " |"

    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([row(header), rule, *(row(line) for line in lines)])


def number(value: float | None, digits: int = 0) -> str:
    """Return a number for people."""
    return "–" if value is None else f"{value:,.{digits}f}"


def targets(results: Results) -> list[tuple[str, float | None, str, float]]:
    """Return (figure, reached, "at least" or "at most", target) for everything that was measured."""
    found: list[tuple[str, float | None, str, float]] = []
    rows = results.get("throughput", [])
    for latency in sorted({row["latency_ms"] for row in rows}):
        column = [row for row in rows if row["latency_ms"] == latency]
        # Ours is compared by the smaller delivery, which has its beginning and its end in it as the others have.
        smaller = min((row["rows"] for row in column if row["who"] == "ours"), default=0)
        column = [row for row in column if row["who"] != "ours" or row["rows"] == smaller]
        ours, usual, limit = best(column, "ours"), best(column, "usual"), best(column, "limit")
        if ours and usual:
            found.append((f"throughput ÷ the usual way, {latency} ms", ours / usual, AT_LEAST, 40))
        if ours and limit:
            found.append((f"throughput ÷ the limit, {latency} ms", ours / limit, AT_LEAST, 0.5))
        ours_cpu = best(column, "ours", "cpu_s_per_1000", most=False)
        usual_cpu = best(column, "usual", "cpu_s_per_1000", most=False)
        if ours_cpu and usual_cpu:
            found.append((f"CPU, the usual way ÷ ours, {latency} ms", usual_cpu / ours_cpu, AT_LEAST, 40))
    if rows:
        peak = max(row["peak_mb"] for row in rows if row["who"] == "ours")
        found.append(("peak memory of a worker, MB", peak, AT_MOST, 150))
    for row in results.get("light", []):
        if row["who"] == "ours":
            found.append(("commit → receipt, median ms", row["median_ms"], AT_MOST, 15))
            found.append(("commit → receipt, 99th ms", row["p99_ms"], AT_MOST, 75))
    by_case = {row["case"]: row["p99_ms"] for row in results.get("isolation", [])}
    found += [
        (f"99th of the others, {case} ÷ calm", by_case[case] / by_case["calm"], AT_MOST, 2)
        for case in by_case
        if "calm" in by_case and case != "calm"
    ]
    found += [
        ("extra time of a save, median ms", row["extra_ms"], AT_MOST, 2)
        for row in results.get("save", [])
        if row["who"] == "ours"
    ]
    found += _growth(results.get("growth", []))
    found += _comparison(results.get("comparison", []))
    memory = results.get("memory", [])
    if memory:
        first, last = max(memory[0]["memory_mb"]), max(memory[-1]["memory_mb"])
        name = f"worker memory, {memory[-1]['pushes']:,} ÷ {memory[0]['pushes']:,} pushes"
        found.append((name, last / first, AT_MOST, 1.1))
    for row in results.get("demo", []):
        found.append(("demo: save → arrival at the sandbox, median ms", row["median_ms"], AT_MOST, 150))
    return found


def _comparison(rows: Sequence[Row]) -> list[tuple[str, float | None, str, float]]:
    found: list[tuple[str, float | None, str, float]] = []
    for row in rows:
        name = f"{row['who']}, {row['round']}"
        if row["what"] == "audit":
            # A round a second.
            found.append((f"{name}, s", row["count"], AT_MOST, 600))
            continue
        # Two workers keep a pace of five minutes for many connections; one takes three for a large one.
        found.append((f"{name}, s of one worker", row["seconds"], AT_MOST, 600 if row["count"] > 1 else 180))
        if row["round"] == "unchanged":
            found.append((f"{name}, registrations written", row["updated"], AT_MOST, 0))
    return found


def _growth(rows: Sequence[Row]) -> list[tuple[str, float | None, str, float]]:
    # In the order in which they were defined, not measured (that is shuffled): few, many, one company, many companies.
    cases = [row["case"] for row in sorted(rows, key=lambda row: int(row["place"]))]
    cases = list(dict.fromkeys(cases))
    if len(cases) < 4:
        return []

    def per_row(case: str, name: str) -> float:
        """The median of a cost per permit; wall time is the inverse of the rate."""
        values = [1 / row["per_s"] if name == "seconds" else row[name] for row in rows if row["case"] == case]
        return float(statistics.median(values))

    found: list[tuple[str, float | None, str, float]] = []
    for small, large in ((cases[0], cases[1]), (cases[2], cases[3])):
        for name, label in (
            ("seconds", "time"),
            ("cpu_s_per_1000", "CPU of workers"),
            ("postgres_cpu_s_per_1000", "CPU of PostgreSQL"),
        ):
            ratio = per_row(large, name) / per_row(small, name)
            found.append((f"{label}, {large} ÷ {small}", ratio, AT_MOST, 1.1))
    return found


def render(results: Results, machine: dict[str, str]) -> str:
    """Return the whole report as Markdown."""
    parts = [", ".join(f"{name}: {value}" for name, value in machine.items())]
    for name, section in SECTIONS.items():
        if results.get(name):
            parts.append(f"### {section[0]}\n\n{section[1](results[name])}")
    lines = [
        [
            name,
            number(value, 2),
            f"{word} {number(bound, 2 if bound < 2 else 0)}",
            _verdict(value, word, bound),
        ]
        for name, value, word, bound in targets(results)
    ]
    if lines:
        parts.append("### Targets\n\n" + table(["figure", "reached", "target", ""], lines))
    return "\n\n".join(parts)


def _verdict(value: float | None, word: str, bound: float) -> str:
    if value is None:
        return "not measured"
    return "reached" if (value >= bound if word == AT_LEAST else value <= bound) else "missed"


def _throughput(rows: list[Row]) -> str:
    keys = list(dict.fromkeys((row["latency_ms"], row["who"], row["rows"]) for row in rows))
    lines = []
    for latency, who, count in sorted(keys, key=lambda key: (key[0], key[1], key[2])):
        same = [r for r in rows if (r["latency_ms"], r["who"], r["rows"]) == (latency, who, count)]
        rates = [row["per_s"] for row in same]
        spread = number(rates[0]) if len(rates) == 1 else f"{number(min(rates))}–{number(max(rates))}"
        lines.append(
            [
                str(latency),
                who,
                number(count),
                number(median(same, "per_s")),
                spread,
                number(median(same, "cpu_s_per_1000"), 3),
                number(median(same, "postgres_cpu_s_per_1000"), 3),
                number(max(row["peak_mb"] for row in same)),
                number(median(same, "load"), 1),
            ]
        )
    header = [
        "ms",
        "who",
        "rows",
        "per s (median)",
        "range",
        "CPU s/1000",
        "PostgreSQL s/1000",
        "peak MB",
        "load",
    ]
    return table(header, lines)


def _plain(*columns: str) -> Callable[[list[Row]], str]:
    def section(rows: list[Row]) -> str:
        lines = [[str(row.get(name, "")) for name in columns] for row in rows]
        return table([name.replace("_", " ") for name in columns], lines)

    return section


def _growth_table(rows: list[Row]) -> str:
    lines = []
    for case in dict.fromkeys(row["case"] for row in sorted(rows, key=lambda row: int(row["place"]))):
        same = [row for row in rows if row["case"] == case]
        lines.append(
            [
                case,
                number(same[0]["rows"]),
                number(median(same, "per_s")),
                number(median(same, "cpu_s_per_1000"), 3),
                number(median(same, "postgres_cpu_s_per_1000"), 3),
                number(median(same, "requests")),
            ]
        )
    return table(["case", "rows", "per s (median)", "CPU s/1000", "PostgreSQL s/1000", "requests"], lines)


SECTIONS: dict[str, tuple[str, Callable[[list[Row]], str]]] = {
    "throughput": ("Throughput: what is saved and waits", _throughput),
    "end_to_end": (
        "End to end while four processes save singly",
        _plain("who", "rows", "saved_per_s", "per_s", "after_last_save_s", "cpu_s_per_1000", "requests"),
    ),
    "light": (
        "Light load: commit → receipt",
        _plain("who", "saves", "per_second", "median_ms", "p90_ms", "p99_ms", "worst_ms", "load"),
    ),
    "save": ("What a save costs", _plain("who", "saves", "median_ms", "p99_ms", "extra_ms")),
    "comparison": (
        "Comparing with enforcement's list, and the audit",
        _plain("who", "round", "count", "seconds", "cpu_s", "grown_mb", "wal_bytes", "updated"),
    ),
    "isolation": (
        "Commit → receipt of companies that nothing is wrong with",
        _plain("case", "saves", "median_ms", "p99_ms", "worst_ms", "load"),
    ),
    "growth": ("Growth", _growth_table),
    "memory": ("Memory of a worker", _plain("pushes", "memory_mb")),
    "demo": (
        "The demo: save → arrival at the sandbox",
        _plain("saves", "per_second", "median_ms", "p99_ms", "worst_ms"),
    ),
}
