"""What a step function is: what it gets, what it gives, and how it tells how far it is."""

from __future__ import annotations

import importlib
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from precompute.store.workspace import Workspace

if TYPE_CHECKING:
    import pandas
    import torch

    from precompute.steps.records import Record

TELL_SECONDS = 0.2


@dataclass(frozen=True)
class Outcome:
    """What a step function made; see `Artifact`."""

    tensors: Mapping[str, torch.Tensor] = field(default_factory=dict)
    tables: Mapping[str, pandas.DataFrame] = field(default_factory=dict)
    facts: Mapping[str, Any] = field(default_factory=dict)

    @classmethod
    def of(cls, record: Record, **tables: pandas.DataFrame) -> Outcome:
        """What is stored of a record, with tables by name."""
        return cls(record.tensors(), tables, record.facts)


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
    """An entry of a table of step functions.

    Attributes:
        place: Where the function is, "module:name". It is called with the step's params, its input artifacts
            by argument name, and a Job, and returns an Outcome.
        version: To be raised when a change to the code changes what comes out.
        gpu: Whether it gains from a GPU.
    """

    place: str
    version: int
    gpu: bool = False

    def load(self) -> Callable[[dict[str, Any], dict[str, Any], Job], Outcome]:
        """Import the function."""
        module, _, name = self.place.partition(":")
        return getattr(importlib.import_module(module), name)
