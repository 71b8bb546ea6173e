"""Embeddings computed in a process of its own, which can be ended at any moment: `python -m app.embedder`.

Neither t-SNE nor UMAP can be interrupted from within, and a thread cannot be ended from outside.
"""

import contextlib
import json
import os
import re
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from io import TextIOBase
from pathlib import Path
from queue import Empty, Queue
from threading import Thread
from typing import Any, TextIO

import numpy as np

ROOT = Path(__file__).resolve().parents[1]
PLACES, ROWS, TASK, POINTS = "places.npy", "rows.json", "task.json", "points.npz"
STEPS = re.compile(r"Iteration (?P<tsne>\d+)|completed\s+(?P<umap>\d+)\s*/\s*(?P<of>\d+)")
TSNE_STEPS = 1000
TICK = 0.2
"""Seconds between two looks at the process."""


class EmbeddingFailed(RuntimeError):  # noqa: N818 - says what is the matter without a suffix
    """The process ended without a result; the message says what it said last."""


@dataclass(frozen=True, eq=False)
class Embedded:
    """What came of it.

    Attributes:
        places: Coordinates (N, 2).
        rows: How far models and parts are apart, as `core.embedding.apart` has it.
        seconds: It took.
    """

    places: np.ndarray
    rows: list[dict[str, Any]]
    seconds: float


def embed(
    points: np.ndarray,
    model: np.ndarray,
    part: np.ndarray,
    names: Sequence[str],
    *,
    space: str,
    setting: float,
    seed: int,
    on_tick: Callable[[float, str], None],
) -> Embedded:
    """Compute coordinates and separation in another process.

    Args:
        points: From `core.embedding.directions`, (N, D).
        model, part, names: As `core.embedding.apart` takes them.
        space: "tsne" or "umap".
        setting: The perplexity, or the number of neighbours.
        seed: Of what is random in it.
        on_tick: Called several times a second with the share that is done and what is under way. Whatever it
            raises ends the process.
    Raises: EmbeddingFailed.
    """
    began = time.perf_counter()
    with tempfile.TemporaryDirectory(prefix="capsight-") as name:
        folder = Path(name)
        np.savez(folder / POINTS, points=points, model=model, part=part)
        task = {"space": space, "setting": setting, "seed": seed, "names": list(names)}
        (folder / TASK).write_text(json.dumps(task), "utf-8")
        process = subprocess.Popen(
            [sys.executable, "-m", "app.embedder", name],
            cwd=ROOT,
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        try:
            last = _watch(process, on_tick)
        finally:
            process.kill()
            process.wait()
        if not (folder / ROWS).exists():
            raise EmbeddingFailed(f"expected an embedding, got: {last or 'nothing'}; choose another setting")
        rows = json.loads((folder / ROWS).read_text("utf-8"))
        return Embedded(np.load(folder / PLACES), rows, time.perf_counter() - began)


def _watch(process: "subprocess.Popen[str]", on_tick: Callable[[float, str], None]) -> str:
    """Tell how far a process is, until it ends; returns the last that it said."""
    assert process.stdout is not None
    said: Queue[str | None] = Queue()
    Thread(target=_pass_on, args=(process.stdout, said), daemon=True).start()
    share, what = 0.0, "Starting"
    last = ""
    while True:
        with contextlib.suppress(Empty):
            line = said.get(timeout=TICK)
            if line is None:
                return last
            last = line.strip() or last
            if line.startswith("{"):
                told = json.loads(line)
                share, what = told["share"], told["what"]
        on_tick(share, what)


def _pass_on(lines: TextIO, said: "Queue[str | None]") -> None:
    for line in lines:
        said.put(line)
    said.put(None)


class _Progress(TextIOBase):
    """Takes what t-SNE and UMAP print, and prints how far they are instead."""

    def __init__(self, out: TextIO) -> None:
        self.out = out

    def write(self, s: str, /) -> int:
        if found := STEPS.search(s):
            of = int(found["of"]) if found["of"] else TSNE_STEPS
            self.told(0.1 + 0.8 * min(int(found["tsne"] or found["umap"]) / of, 1.0), "Placing the points")
        return len(s)

    def told(self, share: float, what: str) -> None:
        self.out.write(json.dumps({"share": share, "what": what}) + "\n")
        self.out.flush()


def main(folder: Path) -> None:
    """The other process: read the task, write the result."""
    progress = _Progress(sys.stdout)
    progress.told(0.02, "Loading")
    from core.embedding import Umap, apart, tsne

    task = json.loads((folder / TASK).read_text("utf-8"))
    with np.load(folder / POINTS) as given:
        points, model, part = given["points"], given["model"], given["part"]
    progress.told(0.05, "Finding neighbours")
    with contextlib.redirect_stdout(progress):
        if task["space"] == "tsne":
            places = tsne(points, perplexity=task["setting"], seed=task["seed"], verbose=True)
        else:
            fitted = Umap.fit(points, neighbours=int(task["setting"]), seed=task["seed"], verbose=True)
            places = fitted.coordinates
    progress.told(0.92, "Measuring how far groups are apart")
    rows = list(apart(places, model, part, task["names"]))
    np.save(folder / PLACES, places)
    (folder / ROWS).write_text(json.dumps(rows), "utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
