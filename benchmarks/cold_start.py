"""How long a stranger waits for the first picture: a fresh clone, nothing compiled, nothing cached.

`python -m benchmarks.cold_start`, in the environment of the tests (it needs Playwright and Chromium), on an
idle machine. What is installed is warm: the operating system has read these files before. `--avx2` computes
as on a processor without matrix units.
"""

import argparse
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

from benchmarks.serving import CHROMIUM, FLAGS, served

ROOT = Path(__file__).parents[1]
AVX2 = {"ATEN_CPU_CAPABILITY": "avx2", "ONEDNN_MAX_CPU_ISA": "AVX2"}
PATIENCE = 300.0
"""Seconds after which a start has failed."""
PICTURE = ".cs-how img"
"""On Overview, of the figure."""


def environment(folder: Path, variables: dict[str, str]) -> dict[str, str]:
    """Variables of somebody who has nothing cached."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("CAPSIGHT", "NUMBA"))}
    return kept | {"HOME": str(folder), "XDG_CACHE_HOME": str(folder / "cache")} | variables


def start_once(browser: Any, variables: dict[str, str]) -> dict[str, float]:
    """Seconds from the command to the server's answer, the first picture, and that of the live attack."""
    folder = Path(tempfile.mkdtemp(prefix="capsight-cold-"))
    clone = folder / "clone"
    subprocess.run(["git", "clone", "--quiet", str(ROOT), str(clone)], check=True)
    began = time.monotonic()
    try:
        with (
            (folder / "log").open("w") as log,
            served(clone, environment(folder, variables), log, PATIENCE) as address,
        ):
            answered = time.monotonic()
            tab = browser.new_page(viewport={"width": 1440, "height": 1000})
            tab.set_default_timeout(1000 * PATIENCE)
            tab.goto(address)
            tab.locator(PICTURE).first.wait_for()
            seen = time.monotonic()
            tab.get_by_text("live ·").wait_for()
            live = time.monotonic()
            tab.close()
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    return {
        "server answers": answered - began,
        "first picture": seen - began,
        "first picture after it was asked for": seen - answered,
        "computed here": live - began,
    }


def main() -> None:
    """Start some times, print the median and all that was measured."""
    from playwright.sync_api import sync_playwright

    parser = argparse.ArgumentParser(prog="python -m benchmarks.cold_start", description=__doc__)
    parser.add_argument("--avx2", action="store_true", help="compute as on a processor without matrix units")
    parser.add_argument("--repeats", type=int, default=3, help="starts, each of a clone of its own")
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args()
    if CHROMIUM is None:
        parser.error("expected Chromium on the path, found none; install it")
    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, headless=True, args=list(FLAGS))
        variables = AVX2 if arguments.avx2 else {}
        runs = [start_once(browser, variables) for _ in range(arguments.repeats)]
        browser.close()
    if arguments.json:
        json.dump(runs, sys.stdout, indent=1)
        sys.stdout.write("\n")
        return
    for name in runs[0]:
        times = [run[name] for run in runs]
        each = ", ".join(f"{value:.1f}" for value in times)
        sys.stdout.write(f"{name}: {statistics.median(times):.1f} s ({each})\n")


if __name__ == "__main__":
    main()
