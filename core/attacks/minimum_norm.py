"""Carlini and Wagner's attack: the smallest change, in l2, with which the network reads something else.

For every example a binary search over a weight c, and in each search a descent by Adam on

    ||x' - x||_2^2 + c * max(0, kappa - lead of the goal's logit over the others).

Each example has its own c, its own Adam and its own end, so that the company of others cannot matter. When a
search ends, the next one that waits takes its place in the batch.
"""

import math
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from core.attacks.base import Attack, AttackState, Draft, Progress, knob
from core.attacks.problem import Problem
from core.geometry import norms, per_example
from core.objectives import Classifier
from core.replay import Replay
from core.runtime import computing_in, untouched

Value = float | Tensor

# Of Adam, as in the authors' code.
BETA1, BETA2, ADAM_EPSILON = 0.9, 0.999, 1e-8
# A search is checked so many times; it is stuck when its loss has not fallen by this share in between.
CHECKS, FALL = 10, 1e-4
# By how much a success must clear the border, in shares of the range of its logits: rounding, which differs
# from batch to batch, must not take it back.
CLEARANCE = 1e-4
# Searches start this far inside the box: on its very edge variables have no gradient.
EDGE = 1e-6


def to_box(w: Tensor) -> Tensor:
    """Images in [0, 1] of unbounded variables: sin^2(w / 2)."""
    return (w / 2).sin().square()


def from_box(x: Tensor) -> Tensor:
    """Variables of images, the inverse of `to_box` up to `EDGE`."""
    return 2 * x.clamp(EDGE, 1 - EDGE).sqrt().asin()


def lead(logits: Tensor, pivot: Tensor, targeted: bool) -> Tensor:
    """By how much the goal leads, (B,): the target over the best other, or the best other over the label.

    Args:
        logits: (B, J).
        pivot: The target, or the label, (B,): see `Problem.pivot`.
    """
    own = logits.gather(1, pivot.unsqueeze(1)).squeeze(1)
    other = logits.scatter(1, pivot.unsqueeze(1), float("-inf")).amax(1)
    return own - other if targeted else other - own


def shortfall(logits: Tensor, pivot: Tensor, targeted: bool, kappa: float | Tensor) -> Tensor:
    """By how much the goal's lead falls short of kappa and `CLEARANCE`, (B,); a success has none."""
    spread = (logits.amax(1) - logits.amin(1)).detach()
    return kappa + CLEARANCE * spread - lead(logits, pivot, targeted)


@dataclass
class Batch:
    """The searches under way, one a row.

    Attributes:
        row: Which examples, (S,), on the CPU.
        w: Variables, (S, C, H, W).
        mean, square: Adam's moments, (S, C, H, W).
        step: Iterations done, (S,), on the CPU: to ask for them does not wait for the device.
        found: Whether there was a success, (S,) bool.
        loss: At the last check, (S,).
    """

    row: Tensor
    w: Tensor
    mean: Tensor
    square: Tensor
    step: Tensor
    found: Tensor
    loss: Tensor

    @classmethod
    def start(cls, x: Tensor, row: Tensor) -> "Batch":
        """New searches from images x[row]."""
        w, zeros = from_box(x[row]), torch.zeros(len(row))
        found, loss = zeros.bool().to(x.device), torch.full_like(zeros, float("inf")).to(x.device)
        return cls(row, w, torch.zeros_like(w), torch.zeros_like(w), zeros.long(), found, loss)

    def replace(self, ended: Tensor, new: "Batch") -> "Batch":
        """These without the ended ones, (S,) bool on the CPU, and with the new ones."""
        pairs = zip(vars(self).values(), vars(new).values(), strict=True)
        return Batch(*(torch.cat([old[~ended.to(old.device)], added]) for old, added in pairs))

    def descend(self, gradient: Tensor, rate: Tensor) -> None:
        """One step of Adam, each row with its own count of steps; a gradient that is not finite is none."""
        g = torch.nan_to_num(gradient, nan=0.0, posinf=0.0, neginf=0.0)
        self.step += 1
        self.mean.lerp_(g, 1 - BETA1)
        self.square.mul_(BETA2).addcmul_(g, g, value=1 - BETA2)
        one, two = ((1 - beta ** self.step.double()).to(g).view(-1, 1, 1, 1) for beta in (BETA1, BETA2))
        step = (self.mean / one) / ((self.square / two).sqrt() + ADAM_EPSILON)
        self.w = self.w - rate.view(-1, 1, 1, 1) * step


@dataclass(frozen=True)
class CarliniWagner(Attack):
    """CW-L2. Fields may hold one value per example, but for those that count.

    An example that is a success as it stands is its own answer, at distance 0. One for which no success was
    found comes back as it was, marked as failed.

    It differs from the authors' code in three ways. A pixel is sin^2(w / 2), not (tanh(w) + 1) / 2, which is
    so flat at 0 and 1, where most pixels of a digit are, that it takes many times the iterations. A search
    ends when its own example is stuck, not when the whole batch is. A success clears the border, by
    `CLEARANCE`.

    The form of michels2019 is `CarliniWagner(steps=10_000, searches=5, kappa=1.0, learning_rate=1e-3)`: the
    logit of a capsule is 2 atanh(2F - 1), as in its code; by its text, which has no 2, kappa would be 2. It
    weighs the length itself, not its square, which leads to the same points by way of another c.

    Source: carlini2017, section VI, and its code, nn_robust_attacks, for the defaults; qin2020, appendix C.
    """

    title: ClassVar[str] = "CW-L2"
    minimises: ClassVar[bool] = True

    steps: int = knob(1000, "Steps", "Iterations of one search, at most", min=1, max=1000)
    searches: int = knob(9, "Searches", "How many weights c are tried", min=1, max=20)
    kappa: Value = knob(0.0, "Kappa", "By how much the goal's logit must lead", min=0.0, max=10.0, step=0.1)
    learning_rate: Value = knob(0.01, "Learning rate", "Of Adam", min=0.001, max=0.1, step=0.001)
    initial_c: Value = knob(
        0.001, "First c", "Weight of success in the first search", min=0.001, max=10.0, step=0.001
    )
    abort_early: bool = knob(True, "Abort early", "End a search that gets no further")

    @property
    def iterations(self) -> int:
        """Of all searches of an example."""
        return self.steps * self.searches

    def size(self, delta: Tensor) -> Tensor:
        """In l2, (B,)."""
        return norms(delta, "l2")

    def bound(self, x: Tensor) -> None:  # noqa: ARG002
        """None: the size is what is minimised."""
        return

    def check(self, problem: Problem) -> None:
        """Raises: ValueError: for a field out of range."""
        for name in ("steps", "searches"):
            if getattr(self, name) < 1:
                raise ValueError(f"expected {name} as 1 or more, got {getattr(self, name)}")
        for name in ("kappa", "learning_rate", "initial_c"):
            value = per_example(getattr(self, name), problem.x)
            low, high = float(value.min()), float(value.max())
            if not (low >= 0 and high < float("inf")) or (low == 0 and name != "kappa"):
                wanted = "0 or more" if name == "kappa" else "above 0"
                raise ValueError(f"expected {name} finite and {wanted}, got {low} to {high}")

    def path(
        self, model: Classifier, problem: Problem, seed: int, precision: torch.dtype
    ) -> Iterator[AttackState]:
        """The nearest success so far of each example, or its clean image, after every iteration."""
        draft = Draft(problem.x.clone(), torch.zeros(len(problem.x)).long())
        yield AttackState(0, self.iterations, draft.x_adv.clone())
        run = self.run(model, problem, draft, seed, precision, len(problem.x))
        for step, _ in enumerate(run, 1):
            yield AttackState(step, self.iterations, draft.x_adv.clone())

    def run(
        self,
        model: Classifier,
        problem: Problem,
        draft: Draft,
        seed: int,  # noqa: ARG002
        precision: torch.dtype,
        batch_size: int,
    ) -> Iterator[Progress]:
        """Search for all examples, `batch_size` at once."""
        search = Search(self, model, problem, draft, precision, batch_size)
        while search.advance():
            yield search.progress()


@dataclass(frozen=True)
class Shortfall:
    """By how much images fall short of success, in the precision of the model."""

    model: Classifier
    targeted: bool

    def __call__(self, x_adv: Tensor, pivot: Tensor, kappa: Tensor) -> tuple[Tensor]:
        """Of images (S, C, H, W), (S,)."""
        return (shortfall(self.model(x_adv).float(), pivot, self.targeted, kappa),)


@dataclass(frozen=True)
class Descent:
    """The loss of any searches, and its gradient."""

    model: Classifier
    targeted: bool
    precision: torch.dtype

    def __call__(
        self, w: Tensor, x: Tensor, pivot: Tensor, kappa: Tensor, c: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        """Images of variables (S, C, H, W); their shortfalls, squared distances, losses; and the gradient."""
        w = w.detach().requires_grad_()
        x_adv = to_box(w)
        with computing_in(self.precision, w.device):
            short = shortfall(self.model(x_adv).float(), pivot, self.targeted, kappa)
        squared = (x_adv - x).square().flatten(1).sum(1)
        loss = squared + c * short.clamp(min=0)
        (gradient,) = torch.autograd.grad(loss.sum(), w)
        return x_adv.detach(), short.detach(), squared.detach(), loss.detach(), gradient


class Search:
    """One call of the attack: the searches under way, those that wait, and what is known of every example.

    Attributes:
        c: Weight of the hinge in each example's present search, or in its next, (N,).
        low, high: Between them lies the smallest c that succeeds, (N,).
        best: Squared distance of the nearest success, (N,).
        done: Searches done, (N,), on the CPU.
    """

    def __init__(
        self,
        attack: CarliniWagner,
        model: Classifier,
        problem: Problem,
        draft: Draft,
        precision: torch.dtype,
        batch_size: int,
    ) -> None:
        self.attack, self.model, self.problem = attack, model, problem
        self.draft, self.precision = draft, precision
        x, count = problem.x, len(problem.x)
        self.kappa, self.rate, self.c = (
            per_example(value, x).flatten().expand(count).clone()
            for value in (attack.kappa, attack.learning_rate, attack.initial_c)
        )
        self.low = torch.zeros_like(self.c)
        self.high, self.best = (torch.full_like(self.c, float("inf")) for _ in range(2))
        succeeded = self.already(batch_size)
        self.done = attack.searches * succeeded.long()
        self.waiting = deque(torch.nonzero(~succeeded).flatten().tolist())
        self.batch = self.next_searches(batch_size)
        self.part = problem[self.batch.row]
        self.descent = Replay(Descent(model, problem.targeted, precision))
        self.sure = Replay(Shortfall(model, problem.targeted))

    @torch.no_grad()
    def already(self, batch_size: int) -> Tensor:
        """Which examples are a success as they stand, (N,) bool on the CPU."""
        with untouched(self.model):
            logits = torch.cat([self.model(part) for part in self.problem.x.split(batch_size)])
        named = self.problem.succeeded(logits.argmax(1))
        return (named & (lead(logits, self.problem.pivot, self.problem.targeted) >= self.kappa)).cpu()

    def next_searches(self, room: int) -> Batch:
        """Of the examples that wait, as many as there is room for."""
        rows = [self.waiting.popleft() for _ in range(min(room, len(self.waiting)))]
        return Batch.start(self.problem.x, torch.tensor(rows, dtype=torch.long))

    def progress(self) -> Progress:
        """Iterations done or no longer needed, over all examples."""
        done = int(self.done.sum()) * self.attack.steps + int(self.batch.step.sum())
        return Progress(done, len(self.done) * self.attack.iterations)

    def advance(self) -> bool:
        """One iteration of the searches under way; returns False when there are none."""
        batch, part, draft = self.batch, self.part, self.draft
        if not len(batch.row):
            return False
        row = batch.row.to(part.x.device)
        kappa, pivot = self.kappa[row], part.pivot
        with untouched(self.model), torch.enable_grad():
            x_adv, short, squared, loss, gradient = self.descent(batch.w, part.x, pivot, kappa, self.c[row])
        with torch.no_grad():
            success = short <= 0
            closer = success & (squared < self.best[row])
            if self.precision != torch.float32:
                self.confirm(x_adv, pivot, kappa, closer, success)
            self.best[row] = torch.where(closer, squared, self.best[row])
            draft.x_adv[row] = torch.where(closer.view(-1, 1, 1, 1), x_adv, draft.x_adv[row])
            draft.steps[batch.row] += 1
            batch.found |= success
            batch.descend(gradient, self.rate[row])
            self.close(loss)
        return True

    def confirm(self, x_adv: Tensor, pivot: Tensor, kappa: Tensor, closer: Tensor, success: Tensor) -> None:
        """Ask again, in float32, about the few successes that would be kept; take back what is none."""
        rows = torch.nonzero(closer).flatten()
        if len(rows):
            with untouched(self.model):
                (short,) = self.sure(x_adv[rows], pivot[rows], kappa[rows])
            closer[rows] = success[rows] = short <= 0

    def close(self, loss: Tensor) -> None:
        """End the searches that are stuck or have done all their steps, and start others in their place."""
        batch, attack = self.batch, self.attack
        last = batch.step == attack.steps
        check = last | (batch.step % math.ceil(attack.steps / CHECKS) == 0)
        if not check.any():
            return
        where = loss.device
        stuck = ~(loss <= (1 - FALL) * batch.loss)
        batch.loss = torch.where(check.to(where), loss, batch.loss)
        ended = last | (check & stuck.cpu() & attack.abort_early)
        if not ended.any():
            return
        row = batch.row[ended]
        at, found = row.to(where), batch.found[ended.to(where)]
        self.high[at] = high = torch.where(found, self.c[at], self.high[at])
        self.low[at] = low = torch.where(found, self.low[at], self.c[at])
        self.c[at] = torch.where(high.isinf(), 10 * self.c[at], (low + high) / 2)
        self.done[row] += 1
        self.waiting.extendleft(reversed(row[self.done[row] < attack.searches].tolist()))
        self.batch = batch.replace(ended, self.next_searches(len(row)))
        self.part = self.problem[self.batch.row]
