"""What an attack takes while other programs want the processor, beside the same attack in one thread.

`python -m benchmarks.busy`, on an otherwise idle machine.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from benchmarks.speed import EPSILON, SIZE, batch, network
from core.attacks import ReconstructivePGD
from core.detectors import ReconstructionDetector
from core.runtime import at_most, configure

WORKS = (
    ("one image, 50 steps", 1, 50),
    ("nine images, 100 steps", 9, 100),
    ("128 images, 10 steps", 128, 10),
)
"""What an attack on the compact CapsNet does: words, images, iterations of both stages."""


@contextmanager
def others(count: int) -> Iterator[None]:
    """Processes that compute all the time."""
    busy = [subprocess.Popen([sys.executable, "-c", "while True: pass"]) for _ in range(count)]
    time.sleep(0.5)
    try:
        yield
    finally:
        for process in busy:
            process.kill()
            process.wait()


def measure(images: int, steps: int, repeats: int) -> tuple[list[float], list[float]]:
    """Seconds of the attack as it is, and in one thread, in turns."""
    model, (x, y) = network("capsnet", "compact"), batch(images)
    attack = ReconstructivePGD(epsilon=EPSILON, step_size=SIZE, steps=steps)
    detector = ReconstructionDetector(model)  # pyright: ignore[reportArgumentType]

    def run() -> float:
        began = time.perf_counter()
        attack(model, x, y, detector=detector, target=(y + 1) % 10)
        return time.perf_counter() - began

    run()
    free, single = [], []
    for _ in range(repeats):
        free.append(run())
        with at_most(1):
            single.append(run())
    return free, single


def rows(repeats: int) -> Iterator[dict[str, Any]]:
    """A row for each number of other processes and each work."""
    for count in (0, 1, 2):
        with others(count):
            for work, images, steps in WORKS:
                free, single = measure(images, steps, repeats)
                ratios = [one / ours for one, ours in zip(single, free, strict=True)]
                yield {
                    "others": count,
                    "work": work,
                    "seconds": statistics.median(free),
                    "seconds_in_one_thread": statistics.median(single),
                    "ratio": statistics.median(ratios),
                    "low": min(ratios),
                    "high": max(ratios),
                }


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.busy", description=__doc__)
    parser.add_argument("--repeats", type=int, default=5, help="of each, in turns")
    parser.add_argument("--json", action="store_true", help="print JSON")
    arguments = parser.parse_args()
    configure()
    if not arguments.json:
        sys.stdout.write(f"{torch.get_num_threads()} threads\n")
    found = []
    for row in rows(arguments.repeats):
        found.append(row)
        if not arguments.json:
            sys.stdout.write(
                f"{row['others']} others, {row['work']}: {row['seconds']:.2f} s, in one thread "
                f"{row['seconds_in_one_thread']:.2f} s, ratio {row['ratio']:.2f} "
                f"({row['low']:.2f} to {row['high']:.2f})\n"
            )
    if arguments.json:
        json.dump(found, sys.stdout, indent=1)
        sys.stdout.write("\n")


if __name__ == "__main__":
    main()
