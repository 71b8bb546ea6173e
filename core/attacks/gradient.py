"""FGSM, BIM, PGD, MI-FGSM and the reconstructive forms: one engine of projected steepest steps.

Every attack is a few fields, a tuple of *terms* (a weight and a loss to lower) and a way to combine them:

- `alternate`: one step and one projection per term, each from where the last one arrived (qin2020, Eqs. 1-2);
- `joint`: one step on the weighted sum of the losses (qin2020's one-stage variant);
- `signs`: one step on the weighted sum of the directions (metzen2017).

How a gradient becomes a direction is the attack's too (`direction`), and may depend on what it remembers of
earlier steps (`memory`).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from typing import Any, ClassVar, Literal

import torch
from torch import Tensor
from torch.nn import functional as F

from core.attacks.base import Attack, AttackState, Need, knob
from core.attacks.problem import Problem, Usual
from core.geometry import TINY, Norm, norms, per_example, project, random_in_ball, steepest
from core.objectives import Classifier, Evadable
from core.replay import Replay
from core.runtime import computing_in, untouched

Value = float | Tensor
Loss = Callable[[Classifier, Evadable | None, Tensor, Problem], Tensor]
"""Of classifier, detector, images (B, C, H, W) and the problem, what is to be lowered, (B,)."""
Memory = tuple[Tensor, ...]
"""What a term remembers from step to step: tensors with a row for each example."""
Combine = Literal["alternate", "joint", "signs"]


def classification(
    model: Classifier,
    detector: Evadable | None,  # noqa: ARG001 - all terms have one signature
    x: Tensor,
    problem: Problem,
) -> Tensor:
    """Cross-entropy of the target, or minus that of the label, (B,)."""
    logits = model(x)
    if problem.target is None:
        return -F.cross_entropy(logits, problem.label, reduction="none")
    return F.cross_entropy(logits, problem.target, reduction="none")


def evasion(
    model: Classifier,  # noqa: ARG001 - all terms have one signature
    detector: Evadable | None,
    x: Tensor,
    problem: Problem,
) -> Tensor:
    """What the detector gives an attacker to lower, in view of the target if there is one, (B,)."""
    assert detector is not None, "an attack with this term needs a detector, and says so in `needs`"
    return detector.evasion_loss(x, problem.target)


@dataclass(frozen=True)
class Pull:
    """One term at work.

    Attributes:
        weight: Of its direction, () or (B, 1, 1, 1).
        gradient: Of its loss at points (B, C, H, W).
        place: Of its memory among those of all terms.
    """

    weight: Tensor
    gradient: Callable[[Tensor], Tensor]
    place: slice


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

    @classmethod
    def defaults(cls, usual: Usual) -> dict[str, Any]:
        """Epsilon, step size and number of steps."""
        return {"epsilon": usual.epsilon, "step_size": usual.step_size, "steps": usual.steps}

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

    def memory(self, x: Tensor) -> Memory:  # noqa: ARG002 - for subclasses
        """What each term remembers before the first step; nothing unless a subclass says so.

        Args:
            x: Images (B, C, H, W).
        """
        return ()

    def direction(self, gradient: Tensor, memory: Memory) -> tuple[Tensor, Memory]:
        """The direction (B, C, H, W) to move against, and what the term remembers from now on.

        Args:
            gradient: Of the term's loss, (B, C, H, W).
            memory: What it remembers, in the form that `memory` gave it.
        """
        return steepest(gradient, self.norm), memory

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
        stages = self.stages(model, problem, precision)

        def iterate(point: Tensor, *memory: Tensor) -> Memory:
            kept = list(memory)
            for stage in stages:
                moves: list[Tensor] = []
                for pull in stage:
                    move, kept[pull.place] = self.direction(pull.gradient(point), tuple(kept[pull.place]))
                    moves.append(pull.weight * move)
                move = torch.stack(moves).sum(0) if len(moves) > 1 else moves[0]
                point = project(point - step_size * move, x, epsilon, self.norm)
            return point, *kept

        iteration = Replay(iterate)
        memory = sum((self.memory(x) for stage in stages for _ in stage), Memory())
        for step in range(1, self.steps + 1):
            with untouched(*problem.watched(model)), torch.enable_grad():
                x_adv, *memory = iteration(x_adv, *memory)
            yield AttackState(step, self.steps, x_adv)

    def stages(self, model: Classifier, problem: Problem, precision: torch.dtype) -> list[list[Pull]]:
        """The steps of one iteration, in order, each with what pulls at once."""
        terms = [(per_example(weight, problem.x), loss) for weight, loss in self.terms()]
        size = len(self.memory(problem.x))

        def pull(number: int, weight: Tensor, loss: Callable[[Tensor], Tensor]) -> Pull:
            def gradient(point: Tensor) -> Tensor:
                point = point.detach().requires_grad_()
                with computing_in(precision, point.device):
                    value = loss(point).sum()
                return torch.autograd.grad(value, point)[0]

            return Pull(weight, gradient, slice(number * size, (number + 1) * size))

        def losses(point: Tensor) -> list[Tensor]:
            return [loss(model, problem.detector, point, problem) for _, loss in terms]

        def alone(loss: Loss) -> Callable[[Tensor], Tensor]:
            return lambda point: loss(model, problem.detector, point, problem)

        if self.mode() == "joint":

            def together(point: Tensor) -> Tensor:
                weighted = [w.flatten() * loss for (w, _), loss in zip(terms, losses(point), strict=True)]
                return torch.stack(weighted).sum(0)

            return [[pull(0, per_example(1.0, problem.x), together)]]
        pulls = [pull(number, weight, alone(loss)) for number, (weight, loss) in enumerate(terms)]
        return [pulls] if self.mode() == "signs" else [[each] for each in pulls]

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
            if f.name in ("epsilon", "step_size", "beta", "decay") and value is not None:
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

    title: ClassVar[str] = "FGSM"
    one_step: ClassVar[bool] = True

    step_size: Value | None = knob(
        None, "Step size", "Length of the one step; empty for epsilon", min=0.0, max=1.0
    )
    steps: int = knob(1, "Steps", "Always one", min=1, max=1)

    @classmethod
    def defaults(cls, usual: Usual) -> dict[str, Any]:
        """Epsilon, and the step that is usual for a single one."""
        return {"epsilon": usual.epsilon, "step_size": usual.fgsm_step}


@dataclass(frozen=True)
class BIM(GradientAttack):
    """Basic iterative method: FGSM in small steps. Source: kurakin2016."""

    title: ClassVar[str] = "BIM"


@dataclass(frozen=True)
class PGD(GradientAttack):
    """Projected gradient descent: BIM from a random point of the ball. Source: madry2017."""

    title: ClassVar[str] = "PGD"
    random_start: ClassVar[bool] = True


@dataclass(frozen=True)
class MIM(BIM):
    """MI-FGSM, the momentum iterative method: steps along an average over the gradients so far.

    Each gradient is divided by its l1 norm and added to `decay` times the sum of those before it; the step
    is the steepest one for that sum. Decay 0 is BIM. Of peers, foolbox 3.3.4 adds up signs instead.

    Source: dong2018, algorithm 1 and Eqs. 6, 7 and 9.
    """

    title: ClassVar[str] = "MI-FGSM"

    decay: Value = knob(
        1.0, "Decay", "How much of the earlier gradients is kept at each step", min=0.0, max=1.0
    )

    def memory(self, x: Tensor) -> Memory:
        """The sum of gradients, and the decay of each example."""
        return torch.zeros_like(x), per_example(self.decay, x).expand(len(x), 1, 1, 1)

    def direction(self, gradient: Tensor, memory: Memory) -> tuple[Tensor, Memory]:
        """The steepest one for the sum; a gradient that is not finite, or zero, adds nothing."""
        so_far, decay = memory
        gradient = torch.nan_to_num(gradient, nan=0.0, posinf=0.0, neginf=0.0)
        size = gradient.abs().flatten(1).sum(1).view(-1, 1, 1, 1)
        so_far = decay * so_far + gradient / size.clamp(min=TINY)
        return steepest(so_far, self.norm), (so_far, decay)


@dataclass(frozen=True)
class Reconstructive(GradientAttack):
    """What the reconstructive attacks add: fool the classifier *and* evade its detector.

    Each iteration takes a step of `beta` on the cross-entropy and, from where it arrives, a step of
    1 - `beta` on what the detector gives an attacker to lower. Before qin2020's detector that is the distance
    to the reconstruction, from the target's group (targeted) or the winning class's (untargeted). `one_stage`
    takes a single step on the weighted sum instead, which qin2020 finds weaker.

    Source: qin2020, Eqs. 1-2 and section 5.3.
    """

    needs: ClassVar[frozenset[Need]] = frozenset({"gradients", "detector"})

    beta: Value = knob(0.5, "Beta", "1 attacks the class only, 0 the reconstruction only", min=0.0, max=1.0)
    one_stage: bool = knob(False, "One stage", "One step on the weighted sum of both losses")

    def terms(self) -> tuple[tuple[Value, Loss], ...]:
        """Classification with weight beta, evasion with 1 - beta."""
        return ((self.beta, classification), (1 - self.beta, evasion))

    def mode(self) -> Combine:
        """Two stages, or one."""
        return "joint" if self.one_stage else "alternate"


@dataclass(frozen=True)
class ReconstructiveFGSM(FGSM, Reconstructive):
    """R-FGSM of qin2020: one iteration of both stages."""

    title: ClassVar[str] = "R-FGSM"


@dataclass(frozen=True)
class ReconstructiveBIM(BIM, Reconstructive):
    """R-BIM of qin2020: both stages, from the image itself."""

    title: ClassVar[str] = "R-BIM"


@dataclass(frozen=True)
class ReconstructivePGD(PGD, Reconstructive):
    """R-PGD of qin2020: both stages, from a random point of the ball."""

    title: ClassVar[str] = "R-PGD"
