"""DeepFool: walk to the nearest border of a network that is taken for linear, look again, and walk on.

At every point each class k has an affine stand-in for its lead over the label, f_k + w_k . r. The nearest
zero of them all is |f_k| / ||w_k||_q away: in l2 along w_k (q = 2), in linf along its signs (q = 1). The
gradients of all classes come from one forward pass, and only examples that are not through yet take part.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import ClassVar

import torch
from torch import Tensor

from core.attacks.base import Attack, AttackState, knob
from core.attacks.minimum_norm import CLEARANCE, shortfall
from core.attacks.problem import Problem
from core.geometry import TINY, Norm, norms, per_example
from core.objectives import Classifier
from core.replay import Replay
from core.runtime import computing_in, untouched

Value = float | Tensor

# Steps aim this many times as far past the border as a success must be, so that they do not creep up to it.
AIM = 2.0


@dataclass(frozen=True)
class DeepFool(Attack):
    """DeepFool. `max_step` and `overshoot` may hold one value per example.

    An example that is a success as it stands is its own answer, at distance 0; one without any within
    `steps` comes back as it was, marked as failed. A success clears the border by `CLEARANCE`, so that
    rounding, which differs from batch to batch, cannot take it back.

    The form of michels2019 is the default: steps of at most 0.01 in l2, whatever the norm, each clipped to
    [0, 1], and no overshoot. The original one is `DeepFool(steps=50, max_step=inf, overshoot=0.02)`. Towards
    a target, which the original lacks, the border is that between it and whichever other class leads.

    Source: moosavi-dezfooli2016, algorithm 2 and section 3.2; michels2019, section 3.3 and its code.
    """

    title: ClassVar[str] = "DeepFool"
    minimises: ClassVar[bool] = True

    steps: int = knob(10_000, "Steps", "Iterations, at most", min=1, max=10_000)
    norm: Norm = knob("l2", "Norm", "Which distance is kept small", options=("l2", "linf"))
    max_step: Value = knob(
        0.01,
        "Longest step",
        "In l2: long ones lead astray where borders bend",
        min=0.001,
        max=1.0,
        step=0.001,
    )
    overshoot: Value = knob(0.0, "Overshoot", "Share added to each step", min=0.0, max=0.5, step=0.01)
    candidates: int = knob(10, "Candidates", "Classes looked at, the likeliest first", min=2, max=10)

    @property
    def iterations(self) -> int:
        """`steps`."""
        return self.steps

    def size(self, delta: Tensor) -> Tensor:
        """In `norm`, (B,)."""
        return norms(delta, self.norm)

    def bound(self, x: Tensor) -> None:  # noqa: ARG002
        """None: the size is what is minimised."""
        return

    def check(self, problem: Problem) -> None:
        """Raises: ValueError: for a field out of range."""
        for name, least in (("steps", 1), ("candidates", 2)):
            if getattr(self, name) < least:
                raise ValueError(f"expected {name} as {least} or more, got {getattr(self, name)}")
        if self.norm not in ("l2", "linf"):
            raise ValueError(f"expected norm among l2, linf, got {self.norm!r}")
        longest, overshoot = (per_example(v, problem.x) for v in (self.max_step, self.overshoot))
        if not float(longest.min()) > 0:
            raise ValueError(f"expected max_step above 0, got {float(longest.min())}")
        low, high = float(overshoot.min()), float(overshoot.max())
        if not 0 <= low <= high < float("inf"):
            raise ValueError(f"expected overshoot finite and 0 or more, got {low} to {high}")

    def path(
        self,
        model: Classifier,
        problem: Problem,
        seed: int,  # noqa: ARG002
        precision: torch.dtype,
    ) -> Iterator[AttackState]:
        """Start and all iterates of one batch; an example stays where it first is through."""
        x_adv, rivals, at = self.start(model, problem)
        steps = torch.zeros(len(x_adv), dtype=torch.long)
        queries = torch.zeros_like(steps)
        yield AttackState(0, self.steps, x_adv.clone(), steps.clone(), queries.clone())
        pivot, count = problem.pivot, len(x_adv)
        longest = per_example(self.max_step, x_adv).flatten().expand(count)
        stretch = 1 + per_example(self.overshoot, x_adv).flatten().expand(count)
        advance = Replay(Iteration(model, problem.targeted, self.norm, precision))
        for step in range(1, self.steps + 1):
            if not len(at):
                return
            row = at.to(x_adv.device)
            here = x_adv[row]
            with untouched(model), torch.enable_grad():
                moved, through = advance(here, pivot[row], rivals[row], longest[row], stretch[row])
            queries[at] += 1 if problem.targeted else rivals.shape[1]
            # Where nothing moves any more nothing ever will: a corner of the box, or no gradient.
            going = ~through & (moved != here).flatten(1).any(1)
            at = at[going.cpu()]
            if not len(at):
                return
            x_adv[row[going]] = moved[going]
            steps[at] += 1
            yield AttackState(step, self.steps, x_adv.clone(), steps.clone(), queries.clone())

    @torch.no_grad()
    def start(self, model: Classifier, problem: Problem) -> tuple[Tensor, Tensor, Tensor]:
        """Where a batch starts.

        Returns: Images (B, C, H, W), the classes looked at, (B, K), and, on the CPU, the examples that are
            no success yet.
        """
        with untouched(model):
            logits = model(problem.x)
        other = logits.scatter(1, problem.label.unsqueeze(1), float("-inf"))
        rivals = other.topk(min(self.candidates, logits.shape[1]) - 1).indices
        at = torch.nonzero(~problem.succeeded(logits.argmax(1))).flatten().cpu()
        return problem.x.clone(), rivals, at


@dataclass(frozen=True)
class Iteration:
    """One step of any examples towards their nearest borders."""

    model: Classifier
    targeted: bool
    norm: Norm
    precision: torch.dtype

    def __call__(
        self, x_adv: Tensor, pivot: Tensor, rivals: Tensor, longest: Tensor, stretch: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Step.

        Args:
            x_adv: Where the examples are, (S, C, H, W).
            pivot: Target or label of each, (S,).
            rivals: Classes looked at, (S, K).
            longest, stretch: Of their steps: the length at most, and the factor before that, (S,).
        Returns: Where they are next, (S, C, H, W), and which of them were through before, (S,) bool.
        """
        x = x_adv.detach().requires_grad_()
        with computing_in(self.precision, x.device):
            logits = self.model(x).float() if self.precision == torch.bfloat16 else self.model(x)
        exact = logits.detach()
        if self.precision != torch.float32:
            with torch.no_grad():
                exact = self.model(x_adv)
        pairs = self.pairs(exact, pivot, rivals)
        slopes = [
            torch.autograd.grad(ahead.sum(), x, retain_graph=number + 1 < len(pairs))[0]
            for number, ahead in enumerate(gap(logits, *pair) for pair in pairs)
        ]
        short = shortfall(exact, pivot, self.targeted, 0.0)
        spread = exact.amax(1) - exact.amin(1)
        f = torch.stack([gap(exact, *pair) for pair in pairs], 1) - AIM * CLEARANCE * spread.unsqueeze(1)
        return self.stepped(x_adv, f.to(x_adv), torch.stack(slopes, 1), longest, stretch), short <= 0

    def pairs(self, logits: Tensor, pivot: Tensor, rivals: Tensor) -> list[tuple[Tensor, Tensor]]:
        """The borders looked at: which class (S,) is to lead over which."""
        if not self.targeted:
            return [(rival, pivot) for rival in rivals.unbind(1)]
        other = logits.scatter(1, pivot.unsqueeze(1), float("-inf"))
        return [(pivot, other.argmax(1))]

    def stepped(self, x_adv: Tensor, f: Tensor, w: Tensor, longest: Tensor, stretch: Tensor) -> Tensor:
        """Points (S, C, H, W) moved to the nearest border, or towards it.

        Args:
            f: Leads, (S, K), of which one has to become positive.
            w: Their slopes, (S, K, C, H, W).
        """
        w = torch.nan_to_num(w, nan=0.0, posinf=0.0, neginf=0.0)
        steep = w.flatten(2).norm(dim=2) if self.norm == "l2" else w.flatten(2).abs().sum(2)
        away = torch.nan_to_num(f.abs() / steep.clamp(min=TINY), nan=float("inf"))
        best = away.argmin(1)
        rows = torch.arange(len(best), device=best.device)
        w, away, steep = w[rows, best], away[rows, best], steep[rows, best]
        unit = w / steep.clamp(min=TINY).view(-1, 1, 1, 1) if self.norm == "l2" else w.sign()
        length = torch.minimum(stretch * away, longest / norms(unit, "l2").clamp(min=TINY))
        step = torch.nan_to_num(length.view(-1, 1, 1, 1) * unit, nan=0.0, posinf=0.0, neginf=0.0)
        return (x_adv + step).clamp(0, 1)


def gap(logits: Tensor, high: Tensor, low: Tensor) -> Tensor:
    """Logit of one class over that of another, (S,)."""
    return (logits.gather(1, high.unsqueeze(1)) - logits.gather(1, low.unsqueeze(1))).squeeze(1)
