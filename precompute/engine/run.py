"""Runs a graph of steps on Dask: in this process, on a local cluster, or on a running one.

Tasks carry keys; what steps make goes through the store. A task never raises for a step's error but returns
it, so that steps which do not depend on it go on, and one code path serves every scheduler.
"""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from precompute.engine.task import BuildError, Event, Result, Task, execute
from precompute.steps.step import Step, keys_by_name, walk
from precompute.store import Store

__all__ = ["BuildError", "Event", "Report", "run"]

TABLE = "precompute.papers:step_functions"


@dataclass
class Report:
    """How a build went, steps by name.

    Attributes:
        built: Made by this build.
        hits: There already, or made by another build meanwhile.
        failed: The error of each step that failed.
        not_run: For each step that lacked an input, which step failed and how.
        traces: The traceback of failed steps that raised.
        seconds: How long it took.
    """

    built: list[str] = field(default_factory=list)
    hits: list[str] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    not_run: dict[str, str] = field(default_factory=dict)
    traces: dict[str, str] = field(default_factory=dict)
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether every step's artifact is there."""
        return not self.failed and not self.not_run


def run(
    steps: Iterable[Step],
    store: Store,
    *,
    workers: int | None = None,
    scheduler: str | None = None,
    table: str = TABLE,
    origin: dict[str, str] | None = None,
    on_event: Callable[[Event], object] | None = None,
) -> Report:
    """Make the artifacts of `steps` that the store does not have whole, and what they need.

    Args:
        steps: What is wanted.
        store: Where artifacts are kept; workers reach it under the same URL.
        workers: Number of processes, one thread each, of a cluster of this run's own; None for this process.
        scheduler: Address of a running distributed scheduler, in place of `workers`.
        table: Where the step functions are told, "module:name" of a function that gives them by name.
        origin: `dataset` and `profile`, for the manifests.
        on_event: Called with every Event, from any thread.
    Returns: The report; a failing step is told there and raises nothing.
    Raises: BuildError: when the run cannot start. ValueError: when two different steps share a name.
    """
    started = time.perf_counter()
    tell = on_event or (lambda _: None)
    if (workers or scheduler) and store.folder.url.startswith("memory:"):
        raise BuildError(
            "expected a store that other processes reach, got one in memory; name a folder or URL"
        )
    wanted = list(steps)
    keys_by_name(walk(wanted).values())
    missing, hits = _plan(wanted, store)
    report = Report(hits=[step.name for step in hits])
    tell(Event("plan", done=len(hits), total=len(hits) + len(missing)))
    build = uuid.uuid4().hex
    notes = origin or {}
    tasks = {step.key: Task(build, step, table, store, {**notes, "name": step.name}) for step in missing}

    def settle(result: Result) -> None:
        if result.status == "built" and not store.has(result.key):
            seen = f"the worker published it elsewhere; use a store both reach: {store} is none"
            result = Result(result.key, result.name, "failed", seen)
        if result.ok:
            (report.built if result.status == "built" else report.hits).append(result.name)
        else:
            (report.failed if result.status == "failed" else report.not_run)[result.name] = result.note
        if result.trace:
            report.traces[result.name] = result.trace
        note = result.note or f"{result.seconds:.1f}"
        tell(Event(result.status, result.name, result.key, note=note))

    if tasks and (workers or scheduler):
        from precompute.engine.cluster import run_on_cluster

        run_on_cluster(tasks, settle, tell, workers=workers, scheduler=scheduler)
    elif tasks:
        _run_here(tasks, settle, tell)
    report.seconds = time.perf_counter() - started
    return report


def _plan(steps: Iterable[Step], store: Store) -> tuple[list[Step], list[Step]]:
    """What is to be made, inputs first, and what is there; inputs of what is there are not looked at."""
    missing: list[Step] = []
    hits: list[Step] = []
    seen: set[str] = set()

    def visit(step: Step) -> None:
        if step.key in seen:
            return
        seen.add(step.key)
        if store.is_whole(step.key):
            hits.append(step)
            return
        for source in step.inputs.values():
            visit(source)
        missing.append(step)

    for step in steps:
        visit(step)
    return missing, hits


def _run_here(
    tasks: dict[str, Task], settle: Callable[[Result], None], tell: Callable[[Event], object]
) -> None:
    """One step after another on Dask's scheduler in this thread; torch has all the cores."""
    from dask.base import compute
    from dask.callbacks import Callback
    from dask.delayed import delayed

    calls: dict[str, Any] = {}
    for key, task in tasks.items():
        call = delayed(partial(execute, task, tell), pure=False, traverse=False)
        calls[key] = call(task.upstream(calls), dask_key_name=key)

    def finished(_key: str, value: object, *_state: object) -> None:
        if isinstance(value, Result):
            settle(value)

    with Callback(posttask=finished):
        compute(*calls.values(), scheduler="sync", optimize_graph=False)
