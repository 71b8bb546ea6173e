"""Step functions small enough to build, kill and damage at will; other processes import or run this file.

As a program it runs a function: `toy_steps.py build STORE`, `publish STORE`, `cli SLEEP ARGUMENTS...`.
"""

import contextlib
import os
import signal
import sys
import time
from pathlib import Path
from types import SimpleNamespace

from precompute.graph import Step
from precompute.work import Outcome, StepFunction

TABLE = "toy_steps:STEPS"


def _log(line):
    if "TOY_LOG" in os.environ:
        with Path(os.environ["TOY_LOG"]).open("a") as file:
            file.write(line + "\n")


def count(params, inputs, job):
    """The numbers from 0 to n, less n."""
    import torch

    _log(f"count {params['n']}")
    job.progress(1, 1)
    return Outcome(tensors={"x": torch.arange(params["n"])}, facts={"n": params["n"]})


def square(params, inputs, job):
    """The squares of its input, two numbers a shard."""
    import pandas
    import torch

    x = inputs["x"].tensors["x"]
    parts = []
    for start in range(0, len(x), 2):
        shard = job.workspace.shard(f"{start:06}")
        part = shard.load()
        if part is None:
            _log(f"shard {start} of {len(x)}")
            part = {"y": x[start : start + 2] ** 2}
            shard.save(part)
        parts.append(part["y"])
        time.sleep(params["sleep"])
        job.progress(start + 2, len(x), f"from {start}")
        _die_if_asked()
    y = torch.cat(parts)
    table = pandas.DataFrame({"x": x.numpy(), "y": y.numpy()})
    return Outcome(tensors={"y": y}, tables={"squares": table}, facts={"total": int(y.sum())})


def _die_if_asked():
    """Kills this process if the file that asks for it is there; whoever removes it is the only one to die."""
    with contextlib.suppress(FileNotFoundError):
        Path(os.environ.get("TOY_DIE", "nowhere")).unlink()
        os.kill(os.getpid(), signal.SIGKILL)


def total(params, inputs, job):
    """The sum over its inputs."""
    _log("total")
    return Outcome(facts={"total": sum(artifact.facts["total"] for artifact in inputs.values())})


def fail(params, inputs, job):
    """Raises."""
    raise ValueError("the toy is broken")


def die(params, inputs, job):
    """Kills the process it runs in, every time."""
    os.kill(os.getpid(), signal.SIGKILL)


def place(params, inputs, job):
    """The process it runs in."""
    return Outcome(facts={"pid": os.getpid(), "threads": os.environ.get("OMP_NUM_THREADS")})


STEPS = {
    "count": StepFunction(count, 1),
    "square": StepFunction(square, 1),
    "total": StepFunction(total, 1),
    "fail": StepFunction(fail, 1),
    "die": StepFunction(die, 1),
    "place": StepFunction(place, 1),
}


def graph(sleep=0.0, broken=False, n=10):
    """Two branches of two steps, joined; `broken` breaks the first branch."""
    count_a = Step("a/count", "count", 1, {"n": n}, data={"toy": "d1"})
    count_b = Step("b/count", "count", 1, {"n": 11}, data={"toy": "d1"})
    square_a = Step("a/square", "fail" if broken else "square", 1, {"sleep": sleep}, {"x": count_a})
    square_b = Step("b/square", "square", 1, {"sleep": sleep}, {"x": count_b}, gpu=True)
    joined = Step("total", "total", 1, {}, {"a": square_a, "b": square_b})
    return [count_a, count_b, square_a, square_b, joined]


def contents(store):
    """All that a store's artifacts say and hold, less when and how fast they were made."""
    manifests = (store.manifest(key) for key in store.own.names())
    return {m["key"]: (m["recipe"], m["facts"], [entry["sha256"] for entry in m["files"]]) for m in manifests}


def pipeline(**changes):
    """Stands in for `precompute.pipeline`; the profiles share the second branch of the graph."""
    return SimpleNamespace(
        DATASETS=("toy", "other"),
        PROFILES=("smoke", "demo"),
        experiment=lambda dataset, profile: graph(n=10 if profile == "smoke" else 12, **changes),
        shipped_names=lambda dataset, profile: ["total"],
        bundle_facts=lambda dataset, profile: {"note": f"{dataset} {profile}"},
    )


def build(url):
    from precompute.engine import run
    from precompute.store import Store

    assert run(graph(sleep=0.05), Store(url, bundles=()), table=TABLE).ok


def publish(url):
    """Publishes one key many times, with a table that differs each time, as that of a careless step would."""
    import pandas
    import torch

    from precompute.store import Store

    store = Store(url, bundles=())
    for turn in range(40):
        table = pandas.DataFrame({"pid": [os.getpid()], "turn": [turn]})
        store.publish("k", {}, {"x": torch.arange(1000)}, {"t": table})


def cli(sleep, *arguments):
    """Runs `python -m precompute` over the toy pipeline, then prints which slow packages that imported."""
    import typer

    import precompute
    from precompute.__main__ import app

    precompute.pipeline = pipeline(sleep=float(sleep))
    sys.modules["precompute.steps"] = sys.modules[__name__]
    try:
        app(arguments)
    finally:
        typer.echo(sorted({"torch", "pandas", "dask", "distributed"} & set(sys.modules)))


if __name__ == "__main__":
    {"build": build, "publish": publish, "cli": cli}[sys.argv[1]](*sys.argv[2:])
