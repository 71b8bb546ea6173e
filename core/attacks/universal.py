"""Universal perturbations: one change of many images at once. Many of them are computed side by side.

Every perturbation has its own images and its own seed. All that are under way share the passes of the
network; one that has got where it should takes part no more.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from math import ceil
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from core.attacks.base import OnStep, Progress, knob
from core.attacks.problem import check_labels
from core.geometry import NORMS, TINY, Norm, norms, steepest
from core.images import check_images
from core.objectives import Classifier
from core.replay import Replay
from core.runtime import computing_in, network_precision, untouched

# So many times the images that are wanted are drawn: with fewer than one in so many right, some will lack.
DRAWS = 20


@dataclass(frozen=True)
class UniversalResult:
    """What came of K perturbations, whether they were finished or stopped.

    Attributes:
        perturbation: To be added to images, and clipped with them to [0, 1], (K, C, H, W).
        iterations: Done, (K,).
        accuracy: Share of its images still classified correctly, (K,), from float32 passes of its own.
        reached: Whether that is below what was asked for, (K,) bool; a run may well end without.
        stopped: Whether a callback ended it early.
    """

    perturbation: Tensor
    iterations: Tensor
    accuracy: Tensor
    reached: Tensor
    stopped: bool = False

    def size(self, norm: Norm) -> Tensor:
        """Of the perturbations, (K,)."""
        return norms(self.perturbation, norm)


def perturb(x: Tensor, perturbation: Tensor) -> Tensor:
    """Images (B, C, H, W) changed by one perturbation, (C, H, W), or by one each; clipped to [0, 1]."""
    return (x + perturbation).clamp(0, 1)


@dataclass(frozen=True)
class Universal(ABC):
    """What both forms are: an iteration looks at a few images of each perturbation and moves it once.

    Accuracies are counted before the first iteration, after every `every`-th and after the last. A
    perturbation whose accuracy is below `accuracy` is done.
    """

    steps: int = knob(250, "Steps", "Iterations, at most", min=1, max=1000)
    images: int = knob(64, "Images", "Looked at in an iteration", min=1, max=256)
    accuracy: float = knob(0.5, "Accuracy", "Done when fewer are right", min=0.0, max=1.0, step=0.01)
    every: int = knob(1, "Count every", "Iterations between two counts on all images", min=1, max=50)

    only_correct: ClassVar[bool] = False

    @abstractmethod
    def move(self, perturbation: Tensor, change: Tensor) -> Tensor:
        """Perturbations (K, C, H, W) after an iteration in which `change` is the mean over their images."""

    @abstractmethod
    def changes(self, x: Tensor, perturbation: Tensor, gradient: Tensor) -> Tensor:
        """What each image adds to that mean, (B, C, H, W).

        Args:
            x: Images (B, C, H, W).
            perturbation: That each has now, (B, C, H, W).
            gradient: Of its loss, where it is now, (B, C, H, W).
        """

    def loss(self, logits: Tensor, y: Tensor) -> Tensor:
        """Cross-entropy, which is to rise, (B,)."""
        return F.cross_entropy(logits, y, reduction="none")

    def check(self) -> None:
        """Raises: ValueError: for a field out of range."""
        for name in ("steps", "images", "every"):
            if getattr(self, name) < 1:
                raise ValueError(f"expected {name} as 1 or more, got {getattr(self, name)}")
        if not 0 <= self.accuracy <= 1:
            raise ValueError(f"expected accuracy between 0 and 1, got {self.accuracy}")

    def __call__(
        self,
        model: Classifier,
        x: Tensor,
        y: int | Tensor,
        *,
        parts: Sequence[Tensor] | None = None,
        seeds: Sequence[int] | None = None,
        on_step: OnStep | None = None,
        batch_size: int = 256,
        precision: torch.dtype | None = None,
    ) -> UniversalResult:
        """Compute perturbations.

        Args:
            model: Images (B, C, H, W) in [0, 1] to logits; left exactly as it was.
            x: All images, (N, C, H, W), float32 in [0, 1].
            y: Their classes, (N,).
            parts: For each perturbation the rows of its images; None for one perturbation of all.
            seeds: For each perturbation the seed of its draws; None for 0, 1, ...
            on_step: Called after every iteration; returning True stops.
            batch_size: Images in one pass; does not change the result.
            precision: Of the products in gradients; None for what is fastest on the images' device.
        Returns: UniversalResult: in the order of `parts`, also when stopped.
        Raises: ValueError: for anything that is not what is described here.
        """
        x = check_images(x)
        y = check_labels("label", y, x)
        self.check()
        parts = [torch.arange(len(x))] if parts is None else [checked(part, len(x)) for part in parts]
        seeds = range(len(parts)) if seeds is None else seeds
        if len(seeds) != len(parts) or not parts:
            raise ValueError(f"expected one seed for each of {len(parts)} parts, got {len(seeds)}")
        precision = precision or network_precision(x.device)
        pairs = zip(parts, seeds, strict=True)
        jobs = [Job(number, part.to(x.device), seed) for number, (part, seed) in enumerate(pairs)]
        crowd = Crowd(self, model, x, y, jobs, batch_size, precision)
        stopped = False
        for progress in crowd.run():
            if on_step and on_step(progress):
                stopped = True
                break
        crowd.count([job for job in jobs if job.correct is None])
        accuracy = torch.tensor([job.share for job in jobs])
        done = torch.tensor([job.iterations for job in jobs])
        return UniversalResult(crowd.delta, done, accuracy, accuracy < self.accuracy, stopped)


@dataclass(frozen=True)
class AveragedUniversal(Universal):
    """Steps of FGSM on images that are still right, averaged and added; nothing bounds the perturbation.

    The form of michels2019 is the default: 0.03 on 64 images, until less than half of all are right, at most
    250 times.

    Source: michels2019, section 3.4 and its code.
    """

    step_size: float = knob(0.03, "Step size", "Of FGSM on each image", min=0.001, max=0.3, step=0.001)

    only_correct: ClassVar[bool] = True

    def check(self) -> None:
        """Raises: ValueError: for a field out of range."""
        super().check()
        if not 0 < self.step_size <= 1:
            raise ValueError(f"expected step_size above 0 and at most 1, got {self.step_size}")

    def changes(self, x: Tensor, perturbation: Tensor, gradient: Tensor) -> Tensor:
        """FGSM's, cut off at the edges of the box."""
        point = perturb(x, perturbation)
        return perturb(point, self.step_size * gradient.sign()) - point

    def move(self, perturbation: Tensor, change: Tensor) -> Tensor:
        """The mean is added."""
        return perturbation + change


@dataclass(frozen=True)
class BoundedUniversal(Universal):
    """Steepest steps on the mean gradient of random images, projected into a ball.

    The loss of one image counts up to `CAP`, so that those that are wrong by far do not lead. It goes on for
    all its steps unless `accuracy` is above 0.

    Source: shafahi2020, *Universal adversarial training*, algorithm 2; madry2017 for the steps.
    """

    accuracy: float = knob(0.0, "Accuracy", "Done when fewer are right", min=0.0, max=1.0, step=0.01)
    epsilon: float = knob(0.3, "Epsilon", "Largest change of a pixel, or in l2", min=0.0, max=10.0)
    step_size: float = knob(0.01, "Step size", "How far one iteration moves", min=0.001, max=1.0, step=0.001)
    norm: Norm = knob("linf", "Norm", "Which distance epsilon bounds", options=NORMS)

    CAP: ClassVar[float] = 9.0

    def check(self) -> None:
        """Raises: ValueError: for a field out of range."""
        super().check()
        if self.norm not in NORMS:
            raise ValueError(f"expected norm among {', '.join(NORMS)}, got {self.norm!r}")
        for name in ("epsilon", "step_size"):
            if not 0 <= getattr(self, name) < float("inf"):
                raise ValueError(f"expected {name} finite and 0 or more, got {getattr(self, name)}")

    def loss(self, logits: Tensor, y: Tensor) -> Tensor:
        """Cross-entropy up to `CAP`, (B,)."""
        return super().loss(logits, y).clamp(max=self.CAP)

    def changes(self, x: Tensor, perturbation: Tensor, gradient: Tensor) -> Tensor:
        """The gradient, where the edge of the box does not cut off what is added."""
        inside = (x + perturbation >= 0) & (x + perturbation <= 1)
        return gradient * inside

    def move(self, perturbation: Tensor, change: Tensor) -> Tensor:
        """One step uphill, and back into the ball."""
        moved = perturbation + self.step_size * steepest(change, self.norm)
        if self.norm == "linf":
            return moved.clamp(-self.epsilon, self.epsilon)
        size = norms(moved, self.norm).view(-1, 1, 1, 1)
        return moved * (self.epsilon / size.clamp(min=self.epsilon).clamp(min=TINY))


def checked(part: Tensor, count: int) -> Tensor:
    """Rows of a part. Raises: ValueError: when they are none."""
    if part.ndim != 1 or not len(part) or part.dtype.is_floating_point or part.dtype == torch.bool:
        raise ValueError(
            f"expected a part as row numbers (M,), got {part.dtype} of shape {tuple(part.shape)}"
        )
    if not 0 <= int(part.min()) <= int(part.max()) < count:
        raise ValueError(f"expected rows from 0 to {count - 1}, got {int(part.min())} to {int(part.max())}")
    return part


@dataclass
class Job:
    """One perturbation: its number, the rows of its images, its seed, and how far it is.

    Attributes:
        correct: Which of its images were classified correctly when all were last counted.
        share: Of those.
    """

    number: int
    rows: Tensor
    seed: int
    iterations: int = 0
    correct: Tensor | None = None
    share: float = 1.0

    def draws(self, count: int) -> Tensor:
        """Places of its images as this iteration draws them, with replacement, as the authors' code does."""
        generator = np.random.Generator(np.random.Philox(key=[self.seed, self.iterations]))
        return torch.from_numpy(generator.integers(len(self.rows), size=count))


@dataclass(frozen=True)
class Changes:
    """What images say to their perturbations."""

    universal: Universal
    model: Classifier
    precision: torch.dtype

    def __call__(self, x: Tensor, y: Tensor, perturbation: Tensor) -> tuple[Tensor]:
        """Of images and the perturbation of each (B, C, H, W), (B, C, H, W)."""
        point = perturb(x, perturbation).requires_grad_()
        with computing_in(self.precision, point.device):
            loss = self.universal.loss(self.model(point), y).sum()
        (gradient,) = torch.autograd.grad(loss, point)
        return (self.universal.changes(x, perturbation, torch.nan_to_num(gradient, 0.0, 0.0, 0.0)),)


@dataclass(frozen=True)
class Answers:
    """Whether images are classified correctly with their perturbations."""

    model: Classifier

    def __call__(self, x: Tensor, y: Tensor, perturbation: Tensor) -> tuple[Tensor]:
        """Of images and the perturbation of each (B, C, H, W), (B,) bool."""
        return (self.model(perturb(x, perturbation)).argmax(1) == y,)


class Crowd:
    """One call: all perturbations, delta (K, C, H, W), and the network they share."""

    def __init__(
        self,
        universal: Universal,
        model: Classifier,
        x: Tensor,
        y: Tensor,
        jobs: list[Job],
        batch_size: int,
        precision: torch.dtype,
    ) -> None:
        self.universal, self.model, self.x, self.y, self.jobs = universal, model, x, y, jobs
        self.batch_size, self.precision = batch_size, precision
        self.delta = x.new_zeros(len(jobs), *x.shape[1:])
        self.changes = Replay(Changes(universal, model, precision))
        self.answers = Replay(Answers(model))

    def run(self) -> Iterator[Progress]:
        """Iterate until all are done; every perturbation is up to date whenever this yields."""
        steps, every = self.universal.steps, self.universal.every
        going = self.jobs
        for step in range(1, steps + 1):
            if (step - 1) % every == 0:
                self.count(going)
                going = [job for job in going if job.share >= self.universal.accuracy]
                if not going:
                    yield Progress(steps, steps)
                    return
            self.advance(going)
            yield Progress(step, steps)

    def advance(self, going: list[Job]) -> None:
        """One iteration of those under way."""
        chosen = self.choose(going)
        for job in going:
            job.iterations, job.correct = job.iterations + 1, None
        busy = [(job, rows) for job, rows in zip(going, chosen, strict=True) if len(rows)]
        if not busy:
            return
        rows = torch.cat([part for _, part in busy])
        counts = [len(part) for _, part in busy]
        at = torch.tensor([job.number for job, _ in busy], device=rows.device)
        owner = torch.repeat_interleave(at, torch.tensor(counts, device=rows.device))
        parts = zip(rows.split(self.batch_size), owner.split(self.batch_size), strict=True)
        with untouched(self.model), torch.enable_grad():
            found = [self.changes(self.x[r], self.y[r], self.delta[o])[0] for r, o in parts]
        change = torch.cat(found)
        mean = torch.stack([part.mean(0) for part in change.split(counts)])
        self.delta[at] = self.universal.move(self.delta[at], mean)

    def choose(self, going: list[Job]) -> list[Tensor]:
        """For each perturbation the rows it looks at: the first of this iteration's draws that will do."""
        wanted = self.universal.images
        count = DRAWS * wanted if self.universal.only_correct else wanted
        orders = [job.draws(count).to(self.x.device) for job in going]
        if not self.universal.only_correct:
            return [job.rows[order] for job, order in zip(going, orders, strict=True)]
        known = [job.correct for job in going if job.correct is not None]
        if known:  # all were counted just now
            both = zip(going, orders, known, strict=True)
            return [job.rows[order[correct[order]][:wanted]] for job, order, correct in both]
        # Nobody has counted: ask about no more images than it takes.
        found = [order[:0] for order in orders]
        seen = [0] * len(going)
        while True:
            short = [k for k in range(len(going)) if len(found[k]) < wanted and seen[k] < len(orders[k])]
            if not short:
                return [job.rows[places[:wanted]] for job, places in zip(going, found, strict=True)]
            asked: list[Tensor] = []
            for k in short:
                more = ceil((wanted - len(found[k])) / max(going[k].share, 0.1)) + 4
                asked.append(orders[k][seen[k] : seen[k] + more])
                seen[k] += more
            answers = self.correct([going[k] for k in short], asked)
            for k, places, right in zip(short, asked, answers, strict=True):
                found[k] = torch.cat([found[k], places[right]])

    def count(self, jobs: list[Job]) -> None:
        """Let perturbations know which of all their images are classified correctly."""
        if jobs:
            everything = [torch.arange(len(job.rows), device=self.x.device) for job in jobs]
            for job, correct in zip(jobs, self.correct(jobs, everything), strict=True):
                job.correct, job.share = correct, float(correct.double().mean())

    @torch.no_grad()
    def correct(self, jobs: list[Job], places: list[Tensor]) -> list[Tensor]:
        """Which of some of each perturbation's images are classified correctly, bool."""
        rows = torch.cat([job.rows[at] for job, at in zip(jobs, places, strict=True)])
        counts = [len(at) for at in places]
        owner = torch.repeat_interleave(torch.tensor([job.number for job in jobs]), torch.tensor(counts))
        parts = zip(rows.split(self.batch_size), owner.to(rows.device).split(self.batch_size), strict=True)
        with untouched(self.model):
            right = [self.answers(self.x[r], self.y[r], self.delta[o])[0] for r, o in parts]
        return list(torch.cat(right).split(counts))
