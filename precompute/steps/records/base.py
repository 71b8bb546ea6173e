"""What records share: reading and storing, rows of attacked images, perturbations that were kept."""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Protocol, Self

import torch
from torch import Tensor

from core.images import add_levels, to_uint8
from core.selection import Rows

NO_TARGET = -1
"""The stored target of untargeted rows."""


class Stored(Protocol):
    """What a record is read from: an artifact, whoever keeps it."""

    @property
    def tensors(self) -> Mapping[str, Tensor]:
        """By name, on the CPU."""
        ...

    @property
    def facts(self) -> Mapping[str, Any]:
        """JSON values."""
        ...


@dataclass(frozen=True, eq=False, kw_only=True)
class Record:
    """Base: tensors as fields, and the facts about how they were made."""

    facts: Mapping[str, Any] = field(default_factory=dict[str, Any])

    @classmethod
    def of(cls, artifact: Stored, **more: Any) -> Self:
        """Read an artifact.

        Args:
            artifact: What a step made; of optional fields, tensors may be absent.
            more: Fields of a subclass that are not stored.
        """
        names = [f.name for f in fields(cls) if f.name in artifact.tensors]
        stored = {name: cls.decoded(name, artifact.tensors[name]) for name in names}
        return cls(**stored, facts=artifact.facts, **more)

    def tensors(self) -> dict[str, Tensor]:
        """As stored, by name."""
        values = {f.name: self.encoded(f.name) for f in fields(self)}
        return {name: value for name, value in values.items() if isinstance(value, Tensor)}

    @classmethod
    def decoded(cls, name: str, stored: Tensor) -> Tensor | None:  # noqa: ARG003 - for subclasses
        """A field from its stored tensor."""
        return stored

    def encoded(self, name: str) -> Any:
        """What is stored of a field; what is no tensor is not."""
        return getattr(self, name)


@dataclass(frozen=True, eq=False, kw_only=True)
class Packed(Record):
    """Base: the state of what was trained or fitted.

    Attributes:
        packed: As `core.models.packing` gives it, by name.
    """

    packed: Mapping[str, Tensor]

    @classmethod
    def of(cls, artifact: Stored, **more: Any) -> Self:
        """Read an artifact."""
        return cls(packed=artifact.tensors, facts=artifact.facts, **more)

    def tensors(self) -> dict[str, Tensor]:
        """As stored, by name."""
        return dict(self.packed)


@dataclass(frozen=True, eq=False, kw_only=True)
class Targeted(Record):
    """Base: rows of images, each with a class to reach or none.

    Attributes:
        index: Into the images of `split`, (N,).
        label: True classes, (N,).
        target: Classes aimed at, (N,); None where any other will do.
    """

    index: Tensor
    label: Tensor
    target: Tensor | None = None

    @classmethod
    def decoded(cls, name: str, stored: Tensor) -> Tensor | None:
        """Of untargeted rows the target is None."""
        return None if name == "target" and bool((stored == NO_TARGET).all()) else stored

    def encoded(self, name: str) -> Any:
        """Of untargeted rows the stored target is -1."""
        untargeted = name == "target" and self.target is None
        return torch.full_like(self.label, NO_TARGET) if untargeted else getattr(self, name)

    @property
    def split(self) -> str:
        """Of which images the rows are: "test", unless the facts say otherwise."""
        return str(self.facts.get("split", "test"))

    @property
    def attack(self) -> str:
        """The attack's name."""
        return str(self.facts["attack"])

    @property
    def mode(self) -> str:
        """ "targeted" or "untargeted"."""
        return "untargeted" if self.target is None else "targeted"

    @staticmethod
    def rows(rows: Rows) -> dict[str, Any]:
        """The fields that say which images were attacked."""
        return {"index": rows.index, "label": rows.label, "target": rows.target}


@dataclass(frozen=True, eq=False, kw_only=True)
class OfModels(Record):
    """Base: about several models, T of them, in an order that the facts name."""

    @property
    def models(self) -> list[str]:
        """Names of the models, in order."""
        return list(self.facts["models"])


@dataclass(frozen=True, eq=False, kw_only=True)
class Between(OfModels):
    """Base: what was made on S models, the sources, before all T."""

    @property
    def sources(self) -> list[str]:
        """Names of the models that it was made on, in order."""
        return list(self.facts["sources"])


@dataclass(frozen=True, eq=False, kw_only=True)
class Kept(Targeted):
    """Base: perturbations of all rows, of some, or of none; or all attacked images, as exactly as they are.

    Attributes:
        perturbation: In levels, (K, C, H, W) int8, int16 where that does not hold them; None where none was
            kept.
        kept: The rows that these are of, in order, (K,); None where they are of all rows.
        x_adv: The attacked images of all rows, (N, C, H, W) float32; None where there are perturbations, as
            pictures stay where they were built.
    """

    perturbation: Tensor | None = None
    kept: Tensor | None = None
    x_adv: Tensor | None = None

    @property
    def kept_rows(self) -> Tensor:
        """Rows whose perturbation or attacked image is stored, (K,), in order."""
        if self.perturbation is None and self.x_adv is None:
            return torch.empty(0, dtype=torch.int64)
        return torch.arange(len(self.index)) if self.kept is None else self.kept

    def perturbations(self, rows: Tensor) -> Tensor:
        """Stored perturbations of some rows (B,), in levels, (B, C, H, W).

        Raises: ValueError: when that of a row is not stored.
        """
        kept = self.kept_rows
        absent = rows[~torch.isin(rows, kept)]
        if len(absent) or self.perturbation is None:
            row = int(absent[0]) if len(absent) else "none"
            raise ValueError(
                f"expected rows whose perturbation is stored, got {row}, which is not among the "
                f"{len(kept)} of {len(self.index)}; choose from `kept_rows`"
            )
        return self.perturbation[torch.searchsorted(kept, rows.contiguous())]

    def images(self, images: Tensor, rows: Tensor) -> Tensor:
        """Attacked images of some rows, rounded to 8 bits, (B, C, H, W) uint8.

        Args:
            images: Of the split that the rows are of, uint8.
            rows: (B,).
        Raises: ValueError: when the perturbation of a row is not stored.
        """
        if self.x_adv is not None:
            return to_uint8(self.x_adv[rows])
        return add_levels(images[self.index[rows]], self.perturbations(rows))


def joined(records: Collection[Record], name: str) -> Tensor:
    """A field of several records, one after the other."""
    return torch.cat([getattr(record, name) for record in records])
