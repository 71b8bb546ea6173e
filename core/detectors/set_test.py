"""Tests of sets: is a whole set of images drawn from where clean ones are?"""

from typing import Protocol, Self

from torch import Tensor

from core.objectives import Examples


class SetTest(Protocol):
    """A two-sample test of a set of images against clean ones, such as that of the maximum mean discrepancy.

    It says nothing of a single image, so that it has no score and no threshold for one, and is attacked
    through all images of a set at once. Source: grosse2017, *On the (Statistical) Detection of Adversarial
    Examples*.
    """

    def fit(self, split: Examples) -> Self:
        """Keep the clean images, a `core.data.Split`, that sets are held against."""
        ...

    def p_value(self, x: Tensor) -> float:
        """How likely images (N, C, H, W), float32 in [0, 1], are to differ so much if they were clean."""
        ...
