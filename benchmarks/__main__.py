"""Capsight beside its peers: `make bench`, on an idle machine."""

import argparse
import json
import re
import sys
from collections.abc import Iterator
from dataclasses import asdict, fields, replace
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
from core.data import is_available
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
    numbers = [field.name for field in fields(Scale) if field.type is int]
    parser.add_argument(
        "--set",
        nargs=2,
        action="append",
        metavar=("FIELD", "NUMBER"),
        default=[],
        help=f"how much of what is done: {', '.join(numbers)}",
    )
    arguments = parser.parse_args()
    configure()
    scale = QUICK if arguments.quick else Scale()
    for name, value in arguments.set:
        if name not in numbers or not value.isdecimal() or not int(value):
            parser.error(f"expected one of {', '.join(numbers)} and a number above 0, got {name} {value}")
        scale = replace(scale, **{name: int(value)})
    missing = set(PGD) - set(installed())
    log = Console(stderr=True)
    if missing:
        log.print(
            f"Not installed, so not compared: {', '.join(sorted(missing))}. `make bench` installs them."
        )
    facts = machine()
    found: list[Row] = []
    wanted = ["digits"] if arguments.quick else ["digits", "mnist", "fashion_mnist"]
    absent = [name for name in wanted if not is_available(name)]
    if absent:
        log.print(f"Not at hand, so its rates are left out: {', '.join(absent)}. See the README on data.")
    for row in rows(scale, [name for name in wanted if name not in absent]):
        found.append(row)
        both = f"{number(row.ours)} against {number(row.peer)} {row.unit}"
        log.print(f"{row.work}: {number(row.ratio)} x {row.peer_name}, {both}", highlight=False)
    few = {"repeats": 2, "many": 16} if arguments.quick else {}
    bounds = floors(facts["ceilings"], **few)
    as_json = [asdict(row) for row in found]
    if not arguments.quick:
        where = dict.fromkeys((facts["processor"], facts["device"]))  # one name of an accelerator
        name = re.sub(r"[^a-z0-9]+", "-", " ".join(where).lower()).strip("-")
        RESULTS.mkdir(exist_ok=True)
        (RESULTS / f"{name}.json").write_text(
            json.dumps(
                {
                    "machine": facts,
                    "scale": asdict(scale),
                    "rows": as_json,
                    "floors": [asdict(b) for b in bounds],
                },
                indent=1,
            )
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
