"""Step functions small enough to build, kill and damage at will; other processes import or run this file.

As a program it runs a function: `toy_steps.py build STORE`, `publish STORE`, `cli SLEEP ARGUMENTS...`.
"""

import contextlib
import os
import signal
import sys
import time
from pathlib import Path

from precompute.papers.paper import Paper
from precompute.steps.job import Outcome, StepFunction
from precompute.steps.step import Step

TABLE = "toy_steps:functions"


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
    "count": StepFunction("toy_steps:count", 1),
    "square": StepFunction("toy_steps:square", 1),
    "total": StepFunction("toy_steps:total", 1),
    "fail": StepFunction("toy_steps:fail", 1),
    "die": StepFunction("toy_steps:die", 1),
    "place": StepFunction("toy_steps:place", 1),
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


def functions():
    """The table, as a build asks for it."""
    return STEPS


def paper(**changes):
    """A paper over the graph; the profiles share the second branch of it."""
    return Paper(
        "toy2000",
        "A. Toy: On Toys",
        datasets=("toy", "other"),
        models=(),
        builds=("toy", "other"),
        experiment=lambda dataset, profile: graph(n=10 if profile == "smoke" else 12, **changes),
        functions=STEPS,
        ships=lambda step: step.name == "total",
    )


def register(replace, **changes):
    """Put the toy paper in place of all others; `replace` takes a name's place and its new value."""
    replace("precompute.papers.PAPERS", {"toy2000": paper(**changes)})
    facts = lambda dataset, profile, steps: {"note": f"{dataset} {profile}"}  # noqa: E731
    replace("precompute.papers.bundle_facts", facts)


def build(url):
    from precompute.engine.run import run
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
    """Runs `python -m precompute` over the toy paper, then prints which slow packages the build imported."""
    import typer

    from precompute import papers
    from precompute.__main__ import app

    register(lambda place, value: setattr(papers, place.rsplit(".", 1)[1], value), sleep=float(sleep))
    before = set(sys.modules)
    try:
        app(arguments)
    finally:
        typer.echo(sorted({"dask", "distributed", "umap", "sklearn"} & (set(sys.modules) - before)))


if __name__ == "__main__":
    {"build": build, "publish": publish, "cli": cli}[sys.argv[1]](*sys.argv[2:])
