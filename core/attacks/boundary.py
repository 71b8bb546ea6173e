"""Boundary: a random walk along the border that needs nothing of a network but the class it names.

Every iteration asks about one image for each example, whatever that example is at: looking for a start,
halving the way back to the border, trying an orthogonal step (aside, at the same distance) or a direct one
(towards the image). So every pass of the network is full, and an iteration is a query.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import IntEnum
from typing import ClassVar

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional as F

from core.attacks.base import Attack, AttackState, Need, Unit, knob
from core.attacks.problem import Problem
from core.geometry import TINY, norms, per_example
from core.objectives import Classifier
from core.replay import Replay
from core.runtime import untouched

Value = float | Tensor

# Shares of steps that shall succeed; below the first a step shrinks, above the second it grows.
ORTHOGONAL, DIRECT = (0.4, 0.6), (0.17, 0.32)
SHRINK, GROW = 0.7, 1.3
# Weight of the latest step in the running share.
MEMORY = 0.1
# Bounds of the two steps: beyond them the walk would leave the sphere, or reach the image itself.
LONGEST_ASIDE, LONGEST_DIRECT = 10.0, 0.95
# By how much an end is moved away again, in shares of its distance: rounding, which differs from batch to
# batch, must not take it back.
RETREAT = 1e-3
# Iterations whose noise is drawn at once, and those between two looks at who has finished.
BLOCK, LOOK = 16, 8
# Sides of the squares that random images are made of: fine noise looks alike to a network, so that all of it
# may be of the very class that is to be left.
SQUARES = (1, 4, 2, 7, 14)


class Phase(IntEnum):
    """What an example is at."""

    START = 0
    HALVE = 1
    ASIDE = 2
    DIRECT = 3
    RETREAT = 4
    DONE = 5


@dataclass(frozen=True)
class Boundary(Attack):
    """The boundary attack. `aside`, `direct` and `converged` may hold one value per example.

    An example that is a success as it stands is its own answer, at distance 0. One for which no start is
    found comes back as it was, marked as failed, and stops nobody. Both steps adapt: they shrink by 0.7 and
    grow by 1.3 until 40 to 60 % of the orthogonal ones and 17 to 32 % of the direct ones succeed.

    It differs from the code of michels2019 in four ways. After a start was found, the way back to the border
    is halved before the walk begins. A direct step grows by 1.3; there one of e grows to 0.3 + 0.7 e, so that
    a small one becomes a large one at once. Its share counts direct steps alone, and both shares start anew
    when a step has changed. And the last query moves the end away from the border again, by `RETREAT`.

    Source: brendel2017, section 2; michels2019, section 3.2 and its code.
    """

    title: ClassVar[str] = "Boundary"
    unit: ClassVar[Unit] = "answers"
    needs: ClassVar[frozenset[Need]] = frozenset({"starts"})
    minimises: ClassVar[bool] = True

    steps: int = knob(10_000, "Queries", "Answers asked for, at most", min=10, max=10_000)
    aside: Value = knob(
        1.0, "First orthogonal step", "In shares of the distance", min=0.01, max=2.0, step=0.01
    )
    direct: Value = knob(0.5, "First direct step", "In shares of the distance", min=0.01, max=0.9, step=0.01)
    converged: Value = knob(
        1e-4,
        "Converged",
        "The walk ends when direct steps are shorter than this",
        min=1e-4,
        max=0.1,
        step=1e-4,
    )
    tries: int = knob(50, "Starts", "Random images tried until one is misread", min=1, max=500)
    halvings: int = knob(10, "Halvings", "Of the way from there to the image", min=0, max=20)
    starts: Tensor | None = field(
        default=None,
        compare=False,
        metadata={"label": "Starting points", "help": "Images (B, C, H, W) that are tried first"},
    )

    @property
    def iterations(self) -> int:
        """`steps`: one query each."""
        return self.steps

    def size(self, delta: Tensor) -> Tensor:
        """In l2, (B,)."""
        return norms(delta, "l2")

    def bound(self, x: Tensor) -> None:  # noqa: ARG002
        """None: the size is what is minimised."""
        return

    def check(self, problem: Problem) -> None:
        """Raises: ValueError: for a field out of range, or starts that are no images."""
        for name, least in (("steps", 1), ("tries", 1), ("halvings", 0)):
            if getattr(self, name) < least:
                raise ValueError(f"expected {name} as {least} or more, got {getattr(self, name)}")
        for name, most in (("aside", LONGEST_ASIDE), ("direct", LONGEST_DIRECT), ("converged", 1.0)):
            value = per_example(getattr(self, name), problem.x)
            low, high = float(value.min()), float(value.max())
            if not 0 < low <= high <= most:
                raise ValueError(f"expected {name} above 0 and at most {most:g}, got {low:g} to {high:g}")
        s = self.starts
        if s is not None and (s.shape != problem.x.shape or not 0 <= float(s.min()) <= float(s.max()) <= 1):
            raise ValueError(
                f"expected starts as images {tuple(problem.x.shape)} in [0, 1], got shape {tuple(s.shape)} "
                f"from {float(s.min()):g} to {float(s.max()):g}"
            )

    @torch.no_grad()
    def path(
        self,
        model: Classifier,
        problem: Problem,
        seed: int,
        precision: torch.dtype,  # noqa: ARG002
    ) -> Iterator[AttackState]:
        """The nearest success so far of each example, or its clean image, after every query."""
        x_adv = problem.x.clone()
        queries = torch.zeros(len(x_adv), dtype=torch.long)
        with untouched(model):
            already = problem.succeeded(model(problem.x).argmax(1)).cpu()
        at = torch.nonzero(~already).flatten()
        walk = Walk(self.rows(at, len(already)), problem[at], seed)
        query = Replay(Query(model, problem.targeted, self.steps, self.tries, self.halvings))
        yield AttackState(0, self.steps, x_adv.clone(), queries.clone(), queries.clone())
        for step in range(1, self.steps + 1):
            if step % LOOK == 1:
                keep = torch.nonzero(walk.state.phase != Phase.DONE).flatten()
                at, walk = at[keep.cpu()], walk.only(keep)
            if not len(at):
                return
            with untouched(model):
                walk.go_on(query)
            x_adv[at.to(x_adv.device)] = walk.state.x_adv
            queries[at] = walk.state.asked.cpu()
            yield AttackState(step, self.steps, x_adv.clone(), queries.clone(), queries.clone())


@dataclass(frozen=True)
class State:
    """Where some examples are, one a row.

    Attributes:
        x_adv: Nearest success, or the clean image, (S, C, H, W).
        other: Where the step under way comes from: the start, or the point aside, (S, C, H, W).
        phase, asked, tried, halved: What each is at, and how often it has asked, tried, halved, (S,).
        low, high: Of the way from the image to the start: misread from `high` on, not at `low`, (S,).
        aside, direct: The two steps, in shares of the distance, (S,).
        share_aside, share_direct: Running shares of those that succeed, (S,).
    """

    x_adv: Tensor
    other: Tensor
    phase: Tensor
    asked: Tensor
    tried: Tensor
    halved: Tensor
    low: Tensor
    high: Tensor
    aside: Tensor
    direct: Tensor
    share_aside: Tensor
    share_direct: Tensor

    @classmethod
    def first(cls, x: Tensor, aside: Tensor, direct: Tensor) -> "State":
        """Before the first query."""
        none = torch.zeros(len(x), device=x.device)
        counts = dict.fromkeys(("phase", "asked", "tried", "halved"), none.long())
        shares = {"share_aside": none + sum(ORTHOGONAL) / 2, "share_direct": none + sum(DIRECT) / 2}
        return cls(x_adv=x, other=x, low=none, high=none + 1, aside=aside, direct=direct, **counts, **shares)

    def tensors(self) -> tuple[Tensor, ...]:
        """All of it, in order."""
        return tuple(vars(self).values())


class Walk:
    """The examples under way: where they are, and the randomness of each."""

    def __init__(self, attack: Boundary, problem: Problem, seed: int) -> None:
        self.attack, self.problem, self.seed, self.step = attack, problem, seed, 0
        aside, direct, self.converged = (
            per_example(value, problem.x).flatten().expand(len(problem.x))
            for value in (attack.aside, attack.direct, attack.converged)
        )
        self.state = State.first(problem.x, aside, direct)
        self.starting = True
        self.noise = problem.x.new_zeros(0)

    def only(self, rows: Tensor) -> "Walk":
        """These rows alone."""
        if len(rows) < len(self.converged):
            self.attack = self.attack.rows(rows.cpu(), len(self.problem.x))
            self.problem, self.converged = self.problem[rows], self.converged[rows]
            self.state = State(*(value[rows] for value in self.state.tensors()))
            self.noise = self.noise[rows] if len(self.noise) else self.noise
        return self

    def go_on(self, query: Replay) -> None:
        """One query for each."""
        x = self.problem.x
        found = query(
            x, self.problem.pivot, self.converged, self.next_noise(), self.starts(), *self.state.tensors()
        )
        self.state = State(*found)

    def next_noise(self) -> Tensor:
        """Standard normal noise for this iteration, (S, C, H, W): the same for an example in any company."""
        place, block = self.step % BLOCK, self.step // BLOCK
        if place == 0 or not len(self.noise):
            x = self.problem.x
            drawn = np.empty((len(x), BLOCK, x[0].numel()), dtype=np.float32)
            for row, key in enumerate(self.problem.index.tolist()):
                self.generator(key, block, 0).standard_normal(dtype=np.float32, out=drawn[row])
            self.noise = torch.from_numpy(drawn).to(x.device).view(len(x), BLOCK, *x.shape[1:])
        self.step += 1
        return self.noise[:, place]

    def generator(self, key: int, number: int, purpose: int) -> np.random.Generator:
        """Of an example's randomness; numbers and purposes have streams that do not meet."""
        return np.random.Generator(np.random.Philox(key=[self.seed, key], counter=[0, 0, purpose, number]))

    def starts(self) -> Tensor:
        """The next start of those that look for one, (S, C, H, W); the images when nobody does."""
        if not self.starting:
            return self.problem.x
        rows = torch.nonzero(self.state.phase == Phase.START).flatten().tolist()
        self.starting, found = bool(rows), self.problem.x.clone()
        for row in rows:
            found[row] = self.start(row)
        return found

    def start(self, row: int) -> Tensor:
        """An example's next start, (C, H, W): the one that was given, then random images."""
        x, number = self.problem.x[row], int(self.state.tried[row])
        if self.attack.starts is not None:
            if number == 0:
                return self.attack.starts[row].to(x)
            number -= 1
        rng = self.generator(int(self.problem.index[row]), number, 1)
        side = SQUARES[number % len(SQUARES)]
        channels, height, width = x.shape
        size = (channels, -(-height // side), -(-width // side))
        coarse = torch.from_numpy(rng.random(size, dtype=np.float32))
        whole = F.interpolate(coarse.unsqueeze(0), scale_factor=side, mode="nearest")[0]
        return whole[:, :height, :width].to(x)


@dataclass(frozen=True)
class Query:
    """One query for any examples: propose an image, ask, and learn from the answer."""

    model: Classifier
    targeted: bool
    steps: int
    tries: int
    halvings: int

    def __call__(
        self, x: Tensor, pivot: Tensor, converged: Tensor, noise: Tensor, starts: Tensor, *state: Tensor
    ) -> tuple[Tensor, ...]:
        """The next state.

        Args:
            x: Images (S, C, H, W).
            pivot: Target or label of each, (S,).
            converged: The length of direct steps at which each ends, (S,).
            noise, starts: For this query, (S, C, H, W).
            state: The tensors of `State`.
        """
        before = State(*state)
        candidate = propose(x, noise, starts, before)
        prediction = self.model(candidate).argmax(1)
        hit = prediction == pivot if self.targeted else prediction != pivot
        return self.learn(before, converged, candidate, hit).tensors()

    def learn(self, before: State, converged: Tensor, candidate: Tensor, hit: Tensor) -> State:
        """Take in the answers (S,) on the candidates: where each example is now, and what it does next."""
        phase = before.phase
        alive = phase != Phase.DONE
        start, halve = phase == Phase.START, phase == Phase.HALVE
        aside, direct = phase == Phase.ASIDE, phase == Phase.DIRECT
        asked, tried, halved = before.asked + alive, before.tried + start, before.halved + halve
        middle = (before.low + before.high) / 2
        length_aside, share_aside = adapted(before.aside, before.share_aside, hit, aside, ORTHOGONAL)
        length_direct, share_direct = adapted(before.direct, before.share_direct, hit, direct, DIRECT)
        length_direct = length_direct.clamp(max=LONGEST_DIRECT)
        # What comes next; later lines overrule earlier ones.
        then = phase.masked_fill(start & hit, Phase.HALVE if self.halvings else Phase.ASIDE)
        then = then.masked_fill(start & ~hit & (tried >= self.tries), Phase.DONE)
        then = then.masked_fill(halve & (halved >= self.halvings), Phase.ASIDE)
        then = then.masked_fill(aside & hit, Phase.DIRECT)
        then = then.masked_fill(direct, Phase.ASIDE)
        ended = (direct & (length_direct < converged)) | (asked >= self.steps - 1)
        ended &= (then != Phase.START) & (then != Phase.DONE)
        then = then.masked_fill(ended, Phase.RETREAT)
        done = (phase == Phase.RETREAT) | (asked >= self.steps)
        return State(
            x_adv=torch.where(wide(alive & hit), candidate, before.x_adv),
            other=torch.where(wide((start | aside) & hit), candidate, before.other),
            phase=then.masked_fill(done, Phase.DONE),
            asked=asked,
            tried=tried,
            halved=halved,
            low=torch.where(halve & ~hit, middle, before.low),
            high=torch.where(halve & hit, middle, before.high),
            aside=length_aside.clamp(max=LONGEST_ASIDE),
            direct=length_direct,
            share_aside=share_aside,
            share_direct=share_direct,
        )


def propose(x: Tensor, noise: Tensor, starts: Tensor, state: State) -> Tensor:
    """The images to ask about, (S, C, H, W): each comes from what its example is at."""
    phase = state.phase
    # Halving, direct steps and the retreat all lie on the line through the image.
    base = torch.where(wide(phase == Phase.RETREAT), state.x_adv, state.other)
    share = torch.where(phase == Phase.HALVE, 1 - (state.low + state.high) / 2, state.direct)
    share = share.masked_fill(phase == Phase.RETREAT, -RETREAT)
    candidate = torch.lerp(base, x, wide(share))
    candidate = torch.where(wide(phase == Phase.ASIDE), orthogonal(x, noise, state), candidate).clamp(0, 1)
    return torch.where(wide(phase == Phase.START), starts, candidate)


def orthogonal(x: Tensor, noise: Tensor, state: State) -> Tensor:
    """Points aside of the nearest successes, as far from the images as those are, (S, C, H, W)."""
    away, aside = state.x_adv - x, state.aside.unsqueeze(1)
    flat, eta = away.flatten(1), noise.flatten(1)
    squared = flat.square().sum(1, keepdim=True)
    eta = eta - (eta * flat).sum(1, keepdim=True) / squared.clamp(min=TINY) * flat
    distance = squared.sqrt()
    eta = eta * (aside * distance / eta.norm(dim=1, keepdim=True).clamp(min=TINY))
    # Right-angled: the hypotenuse is known.
    moved = (flat + eta) / (1 + aside.square()).sqrt()
    return x + moved.view_as(away)


def starting_points(images: Tensor, labels: Tensor, target: Tensor, index: Tensor) -> Tensor:
    """An image of each target class to start from, chosen by the key of the example's randomness.

    Args:
        images: To choose among, (N, C, H, W).
        labels: Their classes, (N,).
        target: Classes wanted, (B,).
        index: Keys, (B,).
    Returns: Images (B, C, H, W).
    Raises: ValueError: for a class of which there is no image.
    """
    rows: list[Tensor] = []
    for goal, key in zip(target.tolist(), index.tolist(), strict=True):
        there = torch.nonzero(labels == goal).flatten()
        if not len(there):
            raise ValueError(f"expected an image of class {goal} to start from, got none")
        rows.append(there[key % len(there)])
    return images[torch.stack(rows)]


def wide(value: Tensor) -> Tensor:
    """One value per example, (S,), shaped to go with images."""
    return value.view(-1, 1, 1, 1)


def adapted(
    step: Tensor, share: Tensor, hit: Tensor, taken: Tensor, band: tuple[float, float]
) -> tuple[Tensor, Tensor]:
    """Steps and their running shares of success, (S,), after those that were taken hit or missed.

    A share that has left its band starts anew from the middle: what another step taught counts no more.
    """
    share = torch.where(taken, share.lerp(hit.to(share.dtype), MEMORY), share)
    short, long = share < band[0], share > band[1]
    step = torch.where(short, SHRINK * step, torch.where(long, GROW * step, step))
    return step, share.masked_fill(short | long, sum(band) / 2)
