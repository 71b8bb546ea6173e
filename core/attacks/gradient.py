"""FGSM, BIM, PGD and their reconstructive forms: one engine of projected steepest steps.

Every attack is a few fields, a tuple of *terms* (a weight and a loss to lower) and a way to combine them:

- `alternate`: one step and one projection per term, each from where the last one arrived (qin2020, Eqs. 1-2);
- `joint`: one step on the weighted sum of the losses (qin2020's one-stage variant);
- `signs`: one step on the weighted sum of the steepest directions (metzen2017).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from core.attacks.base import Attack, AttackState, Problem, knob, untouched
from core.geometry import Norm, norms, per_example, project, random_in_ball, steepest
from core.objectives import Classifier, reconstruction_distance
from core.replay import Replay
from core.runtime import computing_in

Value = float | Tensor
Loss = Callable[[Any, Tensor, Problem], Tensor]
Combine = Literal["alternate", "joint", "signs"]


def classification(model: Classifier, x: Tensor, problem: Problem) -> Tensor:
    """Cross-entropy of the target, or minus that of the label, (B,)."""
    logits = model(x)
    if problem.target is None:
        return -F.cross_entropy(logits, problem.label, reduction="none")
    return F.cross_entropy(logits, problem.target, reduction="none")


def reconstruction(model: Any, x: Tensor, problem: Problem) -> Tensor:
    """Distance to the reconstruction from the target's group, or from the winning class's, (B,)."""
    if not hasattr(model, "reconstruct"):
        raise ValueError(
            f"expected a model that reconstructs, got {type(model).__name__}; use PGD on it instead"
        )
    return reconstruction_distance(model, x, problem.target)


@dataclass(frozen=True)
class GradientAttack(Attack):
    """The engine. Subclasses set fields and `terms`; every field may hold one value per example."""

    epsilon: Value = knob(
        0.3, "Epsilon", "Largest change of any pixel (linf) or of the image (l2)", min=0.0, max=1.0
    )
    step_size: Value | None = knob(0.01, "Step size", "How far one iteration moves", min=0.0, max=1.0)
    steps: int = knob(40, "Steps", "Number of iterations", min=1, max=1000)
    norm: Norm = knob("linf", "Norm", "Which distance epsilon bounds", options=("linf", "l2"))

    random_start: ClassVar[bool] = False
    combine: ClassVar[Combine] = "alternate"

    @property
    def iterations(self) -> int:
        """`steps`."""
        return self.steps

    def terms(self) -> tuple[tuple[Value, Loss], ...]:
        """(weight, loss) pairs; losses are lowered."""
        return ((1.0, classification),)

    def mode(self) -> Combine:
        """How the terms are combined."""
        return self.combine

    def path(
        self, model: Classifier, problem: Problem, seed: int, precision: torch.dtype
    ) -> Iterator[AttackState]:
        """Start and all iterates of one batch, the only place where an attack moves."""
        x = problem.x
        epsilon = per_example(self.epsilon, x)
        step_size = epsilon if self.step_size is None else per_example(self.step_size, x)
        x_adv = x
        if self.random_start:
            noise = random_in_ball(x, epsilon, self.norm, seed=seed, index=problem.index)
            x_adv = project(x + noise, x, epsilon, self.norm)
        yield AttackState(0, self.steps, x_adv)
        directions = self.directions(model, problem, precision)

        def iterate(point: Tensor) -> tuple[Tensor]:
            for direction in directions:
                point = project(point - step_size * direction(point), x, epsilon, self.norm)
            return (point,)

        iteration = Replay(iterate)
        for step in range(1, self.steps + 1):
            with untouched(model), torch.enable_grad():
                (x_adv,) = iteration(x_adv)
            yield AttackState(step, self.steps, x_adv)

    def directions(
        self, model: Classifier, problem: Problem, precision: torch.dtype
    ) -> list[Callable[[Tensor], Tensor]]:
        """The steps of one iteration, in order: each maps a point to the direction to move against."""
        terms = [(per_example(weight, problem.x), loss) for weight, loss in self.terms()]

        def gradient(loss: Callable[[Tensor], Tensor], point: Tensor) -> Tensor:
            point = point.detach().requires_grad_()
            with computing_in(precision, point.device):
                value = loss(point).sum()
            return steepest(torch.autograd.grad(value, point)[0], self.norm)

        def single(weight: Tensor, loss: Loss) -> Callable[[Tensor], Tensor]:
            return lambda point: weight * gradient(lambda p: loss(model, p, problem), point)

        def joint(point: Tensor) -> Tensor:
            return gradient(
                lambda p: torch.stack([w.flatten() * f(model, p, problem) for w, f in terms]).sum(0), point
            )

        singles = [single(weight, loss) for weight, loss in terms]
        if self.mode() == "alternate":
            return singles
        if self.mode() == "joint":
            return [joint]
        return [lambda point: torch.stack([s(point) for s in singles]).sum(0)]

    def queries_per_step(self) -> int:
        """Gradient evaluations in one iteration."""
        return 1 if self.mode() == "joint" else len(self.terms())

    def check(self, problem: Problem) -> None:
        """Raises: ValueError: for a field out of range."""
        if self.steps < 1:
            raise ValueError(f"expected steps as 1 or more, got {self.steps}")
        for f in fields(self):
            value = getattr(self, f.name)
            if f.name == "norm" and value not in f.metadata["options"]:
                raise ValueError(f"expected norm among {', '.join(f.metadata['options'])}, got {value!r}")
            if f.name in ("epsilon", "step_size", "beta") and value is not None:
                v = per_example(value, problem.x)
                low, high = float(v.min()), float(v.max())
                limit = 1.0 if f.name == "beta" else float("inf")
                if not 0 <= low <= high <= limit:
                    raise ValueError(f"expected {f.name} between 0 and {limit}, got {low} to {high}")

    def size(self, delta: Tensor) -> Tensor:
        """In `norm`, (B,)."""
        return norms(delta, self.norm)

    def bound(self, x: Tensor) -> Tensor:
        """Epsilon, (1,) or (B,)."""
        return per_example(self.epsilon, x).flatten()


@dataclass(frozen=True)
class FGSM(GradientAttack):
    """Fast gradient sign method: one step, as long as epsilon unless `step_size` says otherwise.

    Source: goodfellow2014; qin2020 takes steps of 0.05 (appendix C).
    """

    step_size: Value | None = knob(
        None, "Step size", "Length of the one step; empty for epsilon", min=0.0, max=1.0
    )
    steps: int = knob(1, "Steps", "Always one", min=1, max=1)


@dataclass(frozen=True)
class BIM(GradientAttack):
    """Basic iterative method: FGSM in small steps. Source: kurakin2016."""


@dataclass(frozen=True)
class PGD(GradientAttack):
    """Projected gradient descent: BIM from a random point of the ball. Source: madry2017."""

    random_start: ClassVar[bool] = True


@dataclass(frozen=True)
class Reconstructive(GradientAttack):
    """What the reconstructive attacks add: fool the classifier *and* keep the reconstruction close.

    Each iteration takes a step of `beta` on the cross-entropy and, from where it arrives, a step of
    1 - `beta` on the distance to the reconstruction from the target's group (targeted) or the winning
    class's (untargeted). `one_stage` takes a single step on the weighted sum instead, which qin2020 finds
    weaker.

    Source: qin2020, Eqs. 1-2 and section 5.3.
    """

    beta: Value = knob(0.5, "Beta", "1 attacks the class only, 0 the reconstruction only", min=0.0, max=1.0)
    one_stage: bool = knob(False, "One stage", "One step on the weighted sum of both losses")

    def terms(self) -> tuple[tuple[Value, Loss], ...]:
        """Classification with weight beta, reconstruction with 1 - beta."""
        return ((self.beta, classification), (1 - self.beta, reconstruction))

    def mode(self) -> Combine:
        """Two stages, or one."""
        return "joint" if self.one_stage else "alternate"


@dataclass(frozen=True)
class ReconstructiveFGSM(FGSM, Reconstructive):
    """R-FGSM of qin2020: one iteration of both stages."""


@dataclass(frozen=True)
class ReconstructiveBIM(BIM, Reconstructive):
    """R-BIM of qin2020: both stages, from the image itself."""


@dataclass(frozen=True)
class ReconstructivePGD(PGD, Reconstructive):
    """R-PGD of qin2020: both stages, from a random point of the ball."""
