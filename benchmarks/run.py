"""Runs the benchmarks: everything side by side in one run, one report on the screen and under `build/`.

    make bench                                     everything but memory, about a quarter of an hour
    make bench BENCH="--only throughput light"     some of it
    make bench BENCH="--quick"                     a few minutes, small numbers: does it work, roughly how fast
    make bench BENCH="--only memory"               a million pushes through two workers
    make bench BENCH="--demo"                      save → arrival at the sandbox on the demo alone

Results land in `build/bench.json` and `build/bench.md`.
"""

import argparse
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

from benchmarks import comparisons, demo, isolation, machine, measures, report
from benchmarks.stage import Stage, running_stage
from offstreet.runtime.commands import ROOT

PARTS = ("throughput", "light", "save", "end_to_end", "isolation", "growth", "comparison", "memory", "demo")
USUAL_POOL = "threads 50"


@dataclass(frozen=True)
class Sizes:
    """How much of everything."""

    rows: int = 10_000
    many_rows: int = 100_000
    # In each turn. Its rate is the same for any number: this gives it some ten seconds.
    usual_rows: int = 1_500
    latencies_ms: Sequence[int] = (0, 50, 200)
    repeat: int = 3
    end_to_end_rows: int = 4_000
    usual_end_to_end_rows: int = 2_000
    light_s: float = 40.0
    light_per_second: float = 20.0
    saves: int = 400
    isolation_s: float = 40.0
    isolation_companies: int = 100
    isolation_rows: int = 3_000
    growth_rows: int = 20_000
    growth_many: int = 1_000_000
    growth_repeat: int = 5
    companies: int = 1_000
    memory_rows: int = 10_000
    memory_rounds: int = 100
    demo_saves: int = 100
    compared_rights: int = 1_000_000
    compared_connections: int = 1_000


QUICK = Sizes(
    rows=5_000,
    many_rows=0,
    usual_rows=500,
    latencies_ms=(0, 200),
    repeat=1,
    end_to_end_rows=400,
    usual_end_to_end_rows=400,
    light_s=10.0,
    saves=100,
    isolation_s=15.0,
    growth_rows=5_000,
    growth_many=50_000,
    growth_repeat=1,
    companies=100,
    memory_rounds=5,
    demo_saves=30,
    compared_rights=20_000,
    compared_connections=50,
)


def measure(stage: Stage, part: str, sizes: Sizes) -> list[report.Row]:
    """Measure one part."""
    match part:
        case "throughput":
            return measures.throughput(
                stage,
                rows=sizes.rows,
                many_rows=sizes.many_rows,
                usual_rows=sizes.usual_rows,
                latencies_ms=sizes.latencies_ms,
                repeat=sizes.repeat,
            )
        case "light":
            return measures.light_load(
                stage, seconds=sizes.light_s, per_second=sizes.light_per_second, pool=USUAL_POOL
            )
        case "save":
            return measures.save_cost(stage, saves=sizes.saves)
        case "end_to_end":
            return measures.end_to_end(
                stage, rows=sizes.end_to_end_rows, usual_rows=sizes.usual_end_to_end_rows, pool=USUAL_POOL
            )
        case "isolation":
            return isolation.isolation(
                stage,
                companies=sizes.isolation_companies,
                seconds=sizes.isolation_s,
                per_second=sizes.light_per_second,
                rows=sizes.isolation_rows,
            )
        case "growth":
            return measures.growth(
                stage,
                rows=sizes.growth_rows,
                few=10_000,
                many=sizes.growth_many,
                companies=sizes.companies,
                repeat=sizes.growth_repeat,
            )
        case "comparison":
            return comparisons.comparison(
                stage, rights=sizes.compared_rights, connections=sizes.compared_connections
            )
        case "memory":
            return measures.memory(stage, rows=sizes.memory_rows, rounds=sizes.memory_rounds)
        case _:
            raise ValueError(part)


def main() -> None:
    """Run what was asked for, and write the report."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.run", description="Measure the delivery engine."
    )
    parser.add_argument("--only", nargs="+", choices=PARTS, metavar="PART", help=f"of {', '.join(PARTS)}")
    parser.add_argument("--quick", action="store_true", help="small numbers")
    parser.add_argument("--usual-rows", type=int, help="registrations for the usual way")
    parser.add_argument("--demo", action="store_true", help="the demo alone")
    options = parser.parse_args()
    sizes = QUICK if options.quick else Sizes()
    if options.usual_rows:
        sizes = replace(sizes, usual_rows=options.usual_rows)
    parts = ["demo"] if options.demo else options.only or [part for part in PARTS if part != "memory"]
    results: report.Results = {}
    described = machine.description()
    began = time.monotonic()
    staged = [part for part in parts if part != "demo"]
    if staged:
        with running_stage() as stage:
            described["postgresql"] = str(stage.query("SHOW server_version")[0][0]).split()[0]
            for part in staged:
                print(f"{part}:", flush=True)
                results[part] = measure(stage, part, sizes)
                write(results, described)
    if "demo" in parts:
        print("demo:", flush=True)
        results["demo"] = demo.save_to_arrival(saves=sizes.demo_saves, per_second=5)
    described["seconds"] = f"{time.monotonic() - began:.0f}"
    print("\n" + write(results, described))


def write(results: report.Results, described: dict[str, str]) -> str:
    """Write the results so far, and return the report."""
    text = report.render(results, described)
    build = ROOT / "build"
    build.mkdir(exist_ok=True)
    (build / "bench.json").write_text(
        json.dumps({"machine": described, "results": results}, indent=1), "utf-8"
    )
    (build / "bench.md").write_text(text + "\n", "utf-8")
    return text


if __name__ == "__main__":
    main()
