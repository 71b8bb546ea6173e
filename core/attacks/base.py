"""The contract every attack holds: checked input, an untouched model, a result verified in float32."""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, fields, replace
from typing import Any, ClassVar, Literal, Self

import torch
from torch import Tensor

from core.attacks.problem import Problem, Usual
from core.objectives import Classifier, Evadable
from core.runtime import at_most, network_precision, untouched, worthwhile_threads

Unit = Literal["gradients", "answers"]
Need = Literal["gradients", "detector", "starts"]

# Rounding of x + delta in float32 may put a pixel this far outside the ball.
ROUNDING = 1e-6


@dataclass(frozen=True)
class Progress:
    """How far an attack has come: iterations, over all its batches, done or no longer needed."""

    step: int
    total: int


OnStep = Callable[[Progress], bool | None]
"""Called after every iteration; returning True stops the attack, which then returns what it has."""


@dataclass(frozen=True)
class AttackState:
    """One point of an attack's path: the images (B, C, H, W) after `step` of at most `total` iterations.

    Attributes:
        steps: Iterations done for each example, (B,); None where all take part in all.
        queries: What each example has cost, (B,); None where every iteration costs the same.
    """

    step: int
    total: int
    x_adv: Tensor
    steps: Tensor | None = None
    queries: Tensor | None = None


@dataclass(frozen=True)
class AttackResult:
    """What an attack returns, whether it finished or was stopped.

    Attributes:
        x_adv: Images (B, C, H, W) in [0, 1]. Of an attack with a bound, the last iterate, inside the ball; of
            one that minimises a norm, the nearest success, or the clean image where there was none.
        prediction: Class of each, (B,), from a float32 forward pass of its own.
        success: Target hit, or label left, (B,) bool.
        distance: From the clean images, (B,), in the norm that the attack bounds or minimises.
        steps: Iterations done, (B,).
        queries: Gradients that were computed, (B,); of a decision-based attack, predictions asked for.
        stopped: Whether a callback ended it early.
    """

    x_adv: Tensor
    prediction: Tensor
    success: Tensor
    distance: Tensor
    steps: Tensor
    queries: Tensor
    stopped: bool = False

    @property
    def already(self) -> Tensor:
        """Successes that needed no change, as the clean image was one, (B,) bool: to be counted apart."""
        return self.success & (self.distance == 0)


def knob(default: Any, label: str, help: str, **limits: Any) -> Any:
    """A dataclass field that also says how a page shows it: label, help, min, max, step."""
    return field(default=default, metadata={"label": label, "help": help, **limits})


@torch.no_grad()
def predict(model: Classifier, x: Tensor, batch_size: int = 256) -> Tensor:
    """Winning classes (B,), in float32 and evaluation mode."""
    with untouched(model), at_most(worthwhile_threads(model, x)):
        return torch.cat([model(part).argmax(1) for part in x.split(batch_size)])


@dataclass
class Draft:
    """What an attack has so far: images (N, C, H, W), and for each the iterations done and what they cost.

    Attributes:
        queries: (N,), or None where every iteration costs the same.
    """

    x_adv: Tensor
    steps: Tensor
    queries: Tensor | None = None

    def take(self, rows: slice, state: AttackState) -> None:
        """Write down where some of the examples are now."""
        self.x_adv[rows] = state.x_adv
        self.steps[rows] = state.step if state.steps is None else state.steps
        if state.queries is not None:
            self.queries = torch.zeros_like(self.steps) if self.queries is None else self.queries
            self.queries[rows] = state.queries


@dataclass(frozen=True)
class Attack(ABC):
    """What every attack is: hyperparameters, of which each may hold one value per example.

    Call it to attack; `iterate` hands out the path. A subclass says how one batch moves (`path`) and how
    often at most (`iterations`), in which norm (`size`) and within which bound, if there is any (`bound`).

    Attributes:
        title: As papers write it.
        unit: What `AttackResult.queries` counts: gradients computed, or answers asked for.
        needs: What it cannot do without: "gradients" of the classifier; a "detector" to evade; "starts",
            images to start from, a field that whoever runs it towards targets fills (`starting_points`).
        minimises: Whether it looks for the smallest change, and so has no bound.
        one_step: Whether it takes a single step.
    """

    title: ClassVar[str]
    unit: ClassVar[Unit] = "gradients"
    needs: ClassVar[frozenset[Need]] = frozenset({"gradients"})
    minimises: ClassVar[bool] = False
    one_step: ClassVar[bool] = False

    @classmethod
    def defaults(cls, usual: Usual) -> dict[str, Any]:  # noqa: ARG003 - for subclasses
        """Fields that are others on each data set; none unless a subclass says so."""
        return {}

    @property
    @abstractmethod
    def iterations(self) -> int:
        """Iterations of one batch, at most."""

    @abstractmethod
    def path(
        self, model: Classifier, problem: Problem, seed: int, precision: torch.dtype
    ) -> Iterator[AttackState]:
        """Start and all iterates of one batch; each is what the attack returns when it is stopped there.

        Where there is no bound, that holds for those iterates that are a success.
        """

    @abstractmethod
    def check(self, problem: Problem) -> None:
        """Raises: ValueError: for a field out of range."""

    @abstractmethod
    def size(self, delta: Tensor) -> Tensor:
        """Size of perturbations (B, C, H, W) in the attack's norm, (B,)."""

    @abstractmethod
    def bound(self, x: Tensor) -> Tensor | None:
        """Largest `size` allowed on images (B, C, H, W), (1,) or (B,); None where the attack minimises it."""

    def queries_per_step(self) -> int:
        """Gradient evaluations in one iteration."""
        return 1

    def __call__(
        self,
        model: Classifier,
        x: Tensor,
        y: int | Tensor,
        *,
        detector: Evadable | None = None,
        target: int | Tensor | None = None,
        index: Tensor | None = None,
        seed: int = 0,
        on_step: OnStep | None = None,
        batch_size: int = 128,
        precision: torch.dtype | None = None,
    ) -> AttackResult:
        """Attack images.

        Args:
            model: Images (B, C, H, W) in [0, 1] to logits; left exactly as it was.
            x: Images (B, C, H, W), float32 in [0, 1].
            y: True classes, (B,).
            detector: To be evaded by attacks that need one, and left exactly as it was; others do not look
                at it.
            target: Class to reach, scalar or (B,); None to leave the true class.
            index: Each image's index in its data set, (B,): the key of its randomness. Default 0, 1, ...
            seed: Seed of the randomness, if there is any.
            on_step: Called after every iteration; returning True stops.
            batch_size: Images attacked at once; does not change the result.
            precision: Of the products in gradients; None for what is fastest on the images' device.
                Success is decided in float32 whatever it is.
        Returns: AttackResult: also when stopped.
        Raises: ValueError: for anything that is not what is described here.
        """
        problem = self.problem(x, y, target, index, detector)
        precision = precision or network_precision(problem.x.device)
        draft, stopped = Draft(problem.x.clone(), torch.zeros(len(x), dtype=torch.long)), False
        for progress in self.run(model, problem, draft, seed, precision, batch_size):
            if on_step and on_step(progress):
                stopped = True
                break
        return self.verified(model, problem, draft, stopped)

    def iterate(
        self,
        model: Classifier,
        x: Tensor,
        y: int | Tensor,
        *,
        detector: Evadable | None = None,
        target: int | Tensor | None = None,
        index: Tensor | None = None,
        seed: int = 0,
        every: int = 1,
        precision: torch.dtype | None = None,
    ) -> Iterator[AttackState]:
        """The attack's path as one batch: the start, every `every`-th state and the last one.

        Arguments are those of a call.
        """
        if every < 1:
            raise ValueError(f"expected every as 1 or more, got {every}")
        problem = self.problem(x, y, target, index, detector)
        precision = precision or network_precision(problem.x.device)
        path = suitably(self.path(model, problem, seed, precision), model, problem)
        return thinned(path, every)

    def problem(
        self,
        x: Tensor,
        y: int | Tensor,
        target: int | Tensor | None,
        index: Tensor | None,
        detector: Evadable | None,
    ) -> Problem:
        """What a caller passed, checked; without a detector that this attack does not need."""
        if "detector" in self.needs and detector is None:
            raise ValueError(
                f"expected a detector that {self.title} evades, got none; pass "
                "detector=ReconstructionDetector(model) or use PGD"
            )
        problem = Problem.check(x, y, target, index, detector if "detector" in self.needs else None)
        self.check(problem)
        return problem

    def run(
        self,
        model: Classifier,
        problem: Problem,
        draft: Draft,
        seed: int,
        precision: torch.dtype,
        batch_size: int,
    ) -> Iterator[Progress]:
        """Attack all examples, `batch_size` at once; the draft is up to date whenever this yields."""
        count = len(problem.x)
        starts = range(0, count, batch_size)
        for number, start in enumerate(starts):
            rows = slice(start, start + batch_size)
            first, last = number * self.iterations, (number + 1) * self.iterations
            done = first
            part = problem[rows]
            path = self.rows(rows, count).path(model, part, seed, precision)
            for state in suitably(path, model, part):
                draft.take(rows, state)
                if state.step:
                    done = first + state.step
                    yield Progress(done, len(starts) * self.iterations)
            if done < last:  # its examples need no more
                yield Progress(last, len(starts) * self.iterations)

    def rows(self, rows: slice | Tensor, count: int) -> Self:
        """This attack for some rows of a batch of `count`: fields with one value per example are cut."""
        cut = {
            f.name: value[rows]
            for f in fields(self)
            if isinstance(value := getattr(self, f.name), Tensor) and value.shape[:1] == (count,)
        }
        return replace(self, **cut) if cut else self

    def verified(self, model: Classifier, problem: Problem, draft: Draft, stopped: bool) -> AttackResult:
        """Decide success by a forward pass of its own, and make sure of the bound and the box.

        Where there is no bound, an image that is no success is of no use: the clean one comes back.
        """
        x_adv, distance, bound = draft.x_adv, self.size(draft.x_adv - problem.x), self.bound(problem.x)
        inside = bound is None or bool((distance <= bound + ROUNDING).all())
        if not (inside and float(x_adv.min()) >= 0 and float(x_adv.max()) <= 1):
            raise RuntimeError(f"{type(self).__name__} left its ball or [0, 1]: a defect, please report it")
        prediction = predict(model, x_adv)
        success = problem.succeeded(prediction)
        queries = draft.steps * self.queries_per_step() if draft.queries is None else draft.queries
        if bound is None and not success.all():
            x_adv = torch.where(success.view(-1, 1, 1, 1), x_adv, problem.x)
            distance, prediction = torch.where(success, distance, 0), predict(model, x_adv)
        return AttackResult(x_adv, prediction, success, distance, draft.steps, queries, stopped)


def suitably(path: Iterator[AttackState], model: Classifier, problem: Problem) -> Iterator[AttackState]:
    """A path, each of its states computed in as many threads as the largest network is worth."""
    threads = max(worthwhile_threads(network, problem.x) for network in problem.watched(model))
    while True:
        with at_most(threads):
            state = next(path, None)
        if state is None:
            return
        yield state


def thinned(path: Iterator[AttackState], every: int) -> Iterator[AttackState]:
    """Every `every`-th state of a path and its last one, wherever it ends."""
    skipped = None
    for state in path:
        skipped = state
        if state.step % every == 0:
            yield state
            skipped = None
    if skipped:
        yield skipped
