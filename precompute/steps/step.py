"""Steps: what is to be made, from what, and under which key it is kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from precompute.store.canonical import canonical, plain, sha256

KEY_LENGTH = 24


@dataclass(frozen=True)
class Step:
    """One call of a step function.

    Attributes:
        name: What the bundle calls the result ("capsnet/weights"). Not part of the key.
        function: The step function's name.
        version: Its version; raised when its code changes what comes out.
        params: Its parameters, JSON. What may not change the result (batch size, device) stays out.
        inputs: The steps whose artifacts it reads, by argument name.
        data: Digest of every data set it reads, by data set name.
        gpu: Whether it gains from a GPU. Not part of the key.
    Raises: TypeError: when params are not JSON.
    """

    name: str
    function: str
    version: int
    params: Mapping[str, Any] = field(default_factory=dict)
    inputs: Mapping[str, Step] = field(default_factory=dict)
    data: Mapping[str, str] = field(default_factory=dict)
    gpu: bool = False

    def __post_init__(self) -> None:
        # Copied, so that a change to the caller's dict cannot part the step from its key.
        object.__setattr__(self, "params", plain(self.params, f"{self.name}: params"))
        object.__setattr__(self, "inputs", dict(self.inputs))
        object.__setattr__(self, "data", dict(self.data))

    @cached_property
    def recipe(self) -> dict[str, Any]:
        """All that decides the result, as JSON."""
        return {
            "function": self.function,
            "version": self.version,
            "params": self.params,
            "inputs": {name: step.key for name, step in self.inputs.items()},
            "data": dict(self.data),
        }

    @cached_property
    def key(self) -> str:
        """The hash of the recipe, 24 hexadecimal digits."""
        return sha256(canonical(self.recipe))[:KEY_LENGTH]


def walk(steps: Iterable[Step]) -> dict[str, Step]:
    """`steps` and all that they need, by key, inputs before what reads them."""
    found: dict[str, Step] = {}

    def visit(step: Step) -> None:
        if step.key not in found:
            for source in step.inputs.values():
                visit(source)
            found[step.key] = step

    for step in steps:
        visit(step)
    return found


def keys_by_name(steps: Iterable[Step]) -> dict[str, str]:
    """The key behind each name.

    Raises: ValueError: when two different steps have one name.
    """
    keys: dict[str, str] = {}
    for step in steps:
        if keys.setdefault(step.name, step.key) != step.key:
            raise ValueError(f"expected one step of the name {step.name!r}, got two that differ; rename one")
    return keys
