"""What a step function gets and gives, and the running of one step, in this process or in a worker's."""

from __future__ import annotations

import importlib
import time
import traceback
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from precompute.artifact import Artifact
from precompute.graph import Step
from precompute.store import Store
from precompute.workspace import Workspace

if TYPE_CHECKING:
    import pandas
    import torch

TELL_SECONDS = 0.2


@dataclass(frozen=True)
class Outcome:
    """What a step function made; see `Artifact`."""

    tensors: Mapping[str, torch.Tensor] = field(default_factory=dict)
    tables: Mapping[str, pandas.DataFrame] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)


class Stopped(Exception):  # noqa: N818 - no error
    """The build was stopped; raised by `Job.progress` and not to be caught by step functions."""


@dataclass
class Job:
    """A step function's link to the build that runs it.

    Attributes:
        workspace: Where to keep what the step can resume from.
        notify: Called with done, total and note, a few times a second.
        stopped: Whether the build was stopped. What a step returns after that is not published.
    """

    workspace: Workspace
    notify: Callable[[float, float, str], object] = lambda *_: None
    stopped: Callable[[], bool] = lambda: False
    _notified: float = float("-inf")

    def progress(self, done: float, total: float, note: str = "") -> None:
        """Tell how far the step is. To be called often, between writes to `workspace.path`.

        Raises: Stopped: when the build was stopped.
        """
        if self.stopped():
            raise Stopped
        if time.monotonic() - self._notified >= TELL_SECONDS or done == total:
            self.notify(done, total, note)
            self._notified = time.monotonic()
        self.workspace.sync()


@dataclass(frozen=True)
class StepFunction:
    """An entry of the table of step functions.

    Attributes:
        function: Called with the step's params, its input artifacts by argument name, and a Job.
        version: To be raised when a change to the code changes what comes out.
        gpu: Whether it gains from a GPU.
    """

    function: Callable[[dict[str, Any], dict[str, Artifact], Job], Outcome]
    version: int
    gpu: bool = False


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
        table: Where the step functions are, "module:name".
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
            made = function.function(dict(step.params), inputs, Job(workspace, notify, stopped))
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
    """The step function of that name in the table "module:name".

    Raises: LookupError: when there is none.
    """
    module, _, attribute = table.partition(":")
    functions: Mapping[str, StepFunction] = getattr(importlib.import_module(module), attribute)
    if name not in functions:
        raise LookupError(
            f"expected a step function of {table}, got {name!r}; it has {', '.join(sorted(functions))}"
        )
    return functions[name]
