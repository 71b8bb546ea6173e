"""What is attacked: images with labels and targets, a detector that watches, and what is usual for them."""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from core.images import check_images
from core.objectives import Classifier, Evadable


class Usual(Protocol):
    """What attacks are usually given on a data set, as `core.data.DatasetSpec` holds it."""

    @property
    def epsilon(self) -> float:
        """Largest change of a pixel, in [0, 1] units."""
        ...

    @property
    def step_size(self) -> float:
        """Of attacks that take many steps."""
        ...

    @property
    def steps(self) -> int:
        """Of those."""
        ...

    @property
    def fgsm_step(self) -> float:
        """The step of attacks that take one."""
        ...


def check_labels(name: str, value: int | Tensor, x: Tensor) -> Tensor:
    """Class numbers (B,) int64 on the images' device, from a scalar or one per example."""
    label = torch.as_tensor(value, device=x.device)
    if label.dtype.is_floating_point or label.dtype == torch.bool:
        raise ValueError(f"expected {name} as integers, got {label.dtype}")
    if label.ndim == 0:
        label = label.expand(x.shape[0])
    if label.shape != (x.shape[0],):
        raise ValueError(
            f"expected one {name} for each of {x.shape[0]} images, got shape {tuple(label.shape)}"
        )
    if int(label.min()) < 0:
        raise ValueError(f"expected {name} of 0 or more, got {int(label.min())}")
    return label.long()


@dataclass(frozen=True)
class Problem:
    """What is attacked: checked images, labels, targets or None, and the key of each example's randomness.

    Attributes:
        detector: That is to be evaded; None where nobody watches, or nobody cares.
    """

    x: Tensor
    label: Tensor
    target: Tensor | None
    index: Tensor
    detector: Evadable | None = None

    @classmethod
    def check(
        cls,
        x: Tensor,
        label: int | Tensor,
        target: int | Tensor | None,
        index: Tensor | None,
        detector: Evadable | None = None,
    ) -> "Problem":
        """Validate what a caller passed.

        Raises: ValueError: naming what was expected and what came.
        """
        x = check_images(x)
        label = check_labels("label", label, x)
        if target is not None:
            target = check_labels("target", target, x)
            same = int((target == label).sum())
            if same:
                raise ValueError(f"expected targets that differ from the labels, got {same} equal ones")
        keys = torch.arange(x.shape[0]) if index is None else check_labels("index", index, x).cpu()
        return cls(x, label, target, keys, detector)

    def __getitem__(self, rows: slice | Tensor) -> "Problem":
        target = None if self.target is None else self.target[rows]
        index = self.index[rows.cpu() if isinstance(rows, Tensor) else rows]
        return Problem(self.x[rows], self.label[rows], target, index, self.detector)

    def watched(self, model: Classifier) -> tuple[object, ...]:
        """The networks that take part: the classifier, and those of the detector."""
        return (model,) if self.detector is None else (model, *self.detector.networks())

    @property
    def targeted(self) -> bool:
        """Whether there are targets."""
        return self.target is not None

    @property
    def pivot(self) -> Tensor:
        """The classes that decide: those to be reached, or else those to be left, (B,)."""
        return self.label if self.target is None else self.target

    def succeeded(self, prediction: Tensor) -> Tensor:
        """Target hit, or label left, (B,) bool. Source: qin2020, section 4.3."""
        return prediction != self.label if self.target is None else prediction == self.target
