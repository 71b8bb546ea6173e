"""The running of one step, in this process or in a worker's."""

from __future__ import annotations

import importlib
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, Literal

from precompute.steps.job import Job, StepFunction, Stopped
from precompute.steps.step import Step
from precompute.store import Store


class BuildError(RuntimeError):
    """A build that cannot start, or lost its cluster."""


@dataclass(frozen=True)
class Event:
    """News of a build.

    Attributes:
        kind: "plan" (how many of all steps are there already), "progress" (of one step), or how a step ended.
        name, key: The step; empty in a plan.
        done, total: How far it is.
        note: What it is doing, how long it took (seconds), or why it failed.
    """

    kind: Literal["plan", "progress", "built", "found", "failed", "not run"]
    name: str = ""
    key: str = ""
    done: float = 0
    total: float = 0
    note: str = ""


@dataclass(frozen=True)
class Task:
    """A step as it travels to a worker: what to do and where, no data.

    Attributes:
        build: Which build it belongs to.
        step: The step.
        table: Where the step functions are told, "module:name" of a function that gives them by name.
        store: Where to read and publish.
        origin: What to note in the manifest (dataset, profile, name).
    """

    build: str
    step: Step
    table: str
    store: Store
    origin: Mapping[str, str]

    def upstream(self, known: Mapping[str, Any]) -> list[Any]:
        """What `known` holds under the keys of the step's inputs."""
        keys = dict.fromkeys(source.key for source in self.step.inputs.values())
        return [known[key] for key in keys if key in known]


@dataclass(frozen=True)
class Result:
    """How a task ended.

    Attributes:
        status: "built" here, "found" as another build made it, "failed", or "not run" for lack of an input.
        note: The error, or for "not run" the name of the step that failed and its error.
        trace: The traceback, when a step function raised.
        seconds: How long it took.
    """

    key: str
    name: str
    status: Literal["built", "found", "failed", "not run"]
    note: str = ""
    trace: str = ""
    seconds: float = 0.0

    @property
    def ok(self) -> bool:
        """Whether the artifact is there."""
        return self.status in ("built", "found")


_stopped_builds: set[str] = set()


def stop(build: str) -> None:
    """Let the steps of a build that run in this process end at their next progress call."""
    _stopped_builds.add(build)


def execute(task: Task, tell: Callable[[Event], object], upstream: list[Result]) -> Result:
    """Run one step unless an input is missing, and publish what it made. Errors are part of the result.

    Args:
        task: The step.
        tell: Called with the events of the step.
        upstream: How those of its inputs ended that belong to the same run.
    """
    result = partial(Result, task.step.key, task.step.name)
    for source in upstream:
        if not source.ok:
            failure = source.note if source.status == "not run" else f"{source.name} failed: {source.note}"
            return result("not run", failure)
    started = time.perf_counter()
    try:
        status = _make(task, tell)
    except Stopped:
        return result("not run", "the build was stopped")
    except Exception as error:  # noqa: BLE001 - whatever a step raises is its result
        return result("failed", f"{type(error).__name__}: {error}", traceback.format_exc())
    return result(status, seconds=time.perf_counter() - started)


def _make(task: Task, tell: Callable[[Event], object]) -> Literal["built", "found"]:
    step, store = task.step, task.store

    def notify(done: float, total: float, note: str = "") -> None:
        tell(Event("progress", step.name, step.key, float(done), float(total), note))

    def stopped() -> bool:
        return task.build in _stopped_builds

    def waiting() -> bool:
        notify(0, 0, "another build is making it")
        return stopped()

    with store.claim(step.key, waiting) as claimed:
        if not claimed:
            raise Stopped
        if store.is_whole(step.key):
            return "found"
        notify(0, 0)
        function = step_function(task.table, step.function)
        if function.version != step.version:
            raise RuntimeError(
                f"expected version {step.version} of {step.function}, got {function.version}; "
                f"let workers run the same code as the build"
            )
        workspace = store.workspace(step.key)
        started = time.perf_counter()
        try:
            inputs = {name: store.load(source.key) for name, source in step.inputs.items()}
            made = function.load()(dict(step.params), inputs, Job(workspace, notify, stopped))
        finally:
            workspace.close()
        if stopped():
            raise Stopped
        seconds = round(time.perf_counter() - started, 3)
        created = datetime.now(UTC).isoformat(timespec="seconds")
        origin = {**task.origin, "seconds": seconds, "created": created}
        store.publish(step.key, step.recipe, made.tensors, made.tables, made.facts, origin)
        workspace.remove()
    return "built"


def step_function(table: str, name: str) -> StepFunction:
    """The step function of that name.

    Args:
        table: Where they are told, "module:name" of a function that gives them by name.
        name: Of one of them.
    Raises: LookupError: when there is none.
    """
    module, _, attribute = table.partition(":")
    functions: Mapping[str, StepFunction] = getattr(importlib.import_module(module), attribute)()
    if name not in functions:
        raise LookupError(
            f"expected a step function of {table}, got {name!r}; it has {', '.join(sorted(functions))}"
        )
    return functions[name]
