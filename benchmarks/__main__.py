"""Capsight beside its peers: `make bench`, on an idle machine."""

import argparse
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import asdict
from functools import partial
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.floor import Floor, floors
from benchmarks.measure import Row, machine
from benchmarks.peers import PGD, installed
from benchmarks.quality import rates
from benchmarks.smallest import SMALLEST
from benchmarks.speed import QUICK, SPEED, Scale
from core.runtime import configure

RESULTS = Path(__file__).parent / "results"


def rows(scale: Scale, datasets: list[str]) -> Iterator[Row]:
    """All lines of the table, one by one."""
    for work in (*SPEED, *SMALLEST, *(partial(rates, dataset=dataset) for dataset in datasets)):
        yield from work(scale)


def number(value: float) -> str:
    """Three significant digits."""
    return f"{value:.3g}" if value < 1000 else f"{value:,.0f}"


def table(found: list[Row], facts: dict[str, object]) -> Table:
    """The rows for the eye."""
    drawn = Table("work", "ours", "peer", "unit", "against", "ratio", "range", "target", caption=str(facts))
    for row in found:
        span = f"{number(row.low)} to {number(row.high)}"
        drawn.add_row(
            row.work,
            number(row.ours),
            number(row.peer),
            row.unit,
            row.peer_name,
            number(row.ratio),
            span,
            row.target,
        )
    return drawn


def floor_table(found: list[Floor]) -> Table:
    """The floors for the eye."""
    columns = ("work", "ms", "GFLOP", "ms at best", "MB", "ms at best", "floor/ours", "where the time goes")
    drawn = Table(*columns)
    for one in found:
        spent = ", ".join(f"{name} {share:.0%}" for name, share in one.profile.items())
        figures = (one.milliseconds, one.gflop, one.compute_ms, one.megabytes, one.memory_ms)
        drawn.add_row(one.work, *map(number, figures), f"{one.share:.0%}", spent)
    return drawn


def main() -> None:
    """Measure, print, and keep what a full run found."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print a list of rows")
    parser.add_argument("--quick", action="store_true", help="small work, for a test of the benchmark itself")
    parser.add_argument("--repeats", type=int, help="alternating runs of each (default: 5)")
    arguments = parser.parse_args()
    configure()
    scale = QUICK if arguments.quick else Scale()
    if arguments.repeats:
        scale = Scale(**{**asdict(scale), "repeats": arguments.repeats})
    missing = set(PGD) - set(installed())
    log = Console(stderr=True)
    if missing:
        log.print(
            f"Not installed, so not compared: {', '.join(sorted(missing))}. `make bench` installs them."
        )
    facts = machine()
    found: list[Row] = []
    for row in rows(scale, ["digits"] if arguments.quick else ["digits", "mnist", "fashion_mnist"]):
        found.append(row)
        log.print(f"{row.work}: {number(row.ratio)} x {row.peer_name}", highlight=False)
    bounds = floors(facts["ceilings"], repeats=3 if arguments.quick else 15)
    as_json = [asdict(row) for row in found]
    if not arguments.quick:
        name = re.sub(r"[^a-z0-9]+", "-", f"{facts['processor']} {facts['device']}".lower()).strip("-")
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / f"{name}.json").write_text(
            json.dumps({"machine": facts, "rows": as_json, "floors": [asdict(b) for b in bounds]}, indent=1)
            + "\n"
        )
    if arguments.json:
        json.dump(as_json, sys.stdout, indent=1)
        sys.stdout.write("\n")
    else:
        # Wide enough for one line a row when nobody looks at it on a terminal.
        console = Console(width=None if sys.stdout.isatty() else 170)
        console.print(table(found, facts), floor_table(bounds))


if __name__ == "__main__":
    main()
