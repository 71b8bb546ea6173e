"""What all checks share: a model, images, and attacks that are run once however many ask for them."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Protocol

import torch
from torch import Tensor
from torch.nn import functional as F

from core.attacks import ATTACKS, Attack, AttackState, predict
from core.detectors import Detector
from core.geometry import norms, per_example, random_in_ball
from core.metrics import succeeded
from core.objectives import Classifier
from core.runtime import untouched

CHECKED = {
    name: ATTACKS[name]
    for name in ("fgsm", "bim", "pgd", "r-fgsm", "r-bim", "r-pgd", "cw", "deepfool", "boundary")
}
"""Attacks that the checks are about, unless a bench says otherwise."""
TRACED = ("pgd", "r-pgd")
"""Attacks whose path is kept."""
NOISE_DRAWS = 10
"""How often noise is tried on each image."""


@dataclass(frozen=True)
class Clean:
    """A model and its detector on clean images: scores (Nv,) and (Nt,), predictions and labels (Nt,)."""

    validation_score: Tensor
    test_score: Tensor
    test_prediction: Tensor
    test_label: Tensor


@dataclass(frozen=True)
class Run:
    """Attacked images and what became of them; the path is there where it was asked for.

    Attributes:
        x_adv: (N, C, H, W).
        success: (N,) bool.
        size: Of the perturbations, in the attack's norm, (N,).
        score: The detector's, (N,); zeros without a detector.
        path_success, path_score, path_loss: Of every state, (T + 1, N); the loss is what the attack raises.
    """

    x_adv: Tensor
    success: Tensor
    size: Tensor
    score: Tensor
    path_success: Tensor = field(default_factory=lambda: torch.empty(0))
    path_score: Tensor = field(default_factory=lambda: torch.empty(0))
    path_loss: Tensor = field(default_factory=lambda: torch.empty(0))


class Kept(Protocol):
    """A place for one run's tensors, which may outlive the process."""

    def load(self) -> dict[str, Tensor] | None:
        """What was saved; None when nothing was."""
        ...

    def save(self, tensors: dict[str, Tensor], /) -> None:
        """Keep it."""
        ...


class Memory:
    """Keeps runs as long as it lives: `memory(name)` is the place of one."""

    def __init__(self) -> None:
        self._places: dict[str, _Place] = {}

    def __call__(self, name: str) -> Kept:
        """The place of that name."""
        return self._places.setdefault(name, _Place())


class _Place:
    def __init__(self) -> None:
        self._tensors: dict[str, Tensor] | None = None

    def load(self) -> dict[str, Tensor] | None:
        return self._tensors

    def save(self, tensors: dict[str, Tensor]) -> None:
        self._tensors = tensors


@dataclass(frozen=True)
class Bench:
    """One model with all that its checks need.

    Attributes:
        model: Images in [0, 1] to logits.
        x, label, target, index: Images (N, C, H, W), their classes, classes to aim at, and the keys of their
            randomness, (N,) each.
        epsilon, step_size, steps: Of the attacks that take many steps.
        fgsm_step: Of the attacks that take one.
        n_classes: Chance is one in so many.
        beta: Of the attacks that know the detector, "targeted" and "untargeted".
        detector: None for a model without.
        threshold: Of the detector, whose scores above it are flagged.
        clean: What is known of clean images; None when there is no detector.
        others: Other models, by name: for images made on them, and as undefended networks.
        undefended: Which of the others stands for an undefended network; None for the first.
        attacks: By name; those that need a detector only where there is one.
        seed: Of all randomness.
        changed: Fields of attacks that differ from these, by attack.
        kept: The place of a run by its name. With places that outlive the process, checks go on where they
            were.
        on_run: Called before each run with its name, and during it.
    """

    model: Classifier
    x: Tensor
    label: Tensor
    target: Tensor
    index: Tensor
    epsilon: float
    step_size: float
    steps: int
    fgsm_step: float
    n_classes: int
    beta: Mapping[str, float] = field(default_factory=lambda: {"targeted": 0.5, "untargeted": 0.5})
    detector: Detector | None = None
    threshold: float = float("inf")
    clean: Clean | None = None
    others: Mapping[str, Classifier] = field(default_factory=dict[str, Classifier])
    undefended: str | None = None
    attacks: Mapping[str, type[Attack]] = field(default_factory=lambda: CHECKED)
    seed: int = 0
    changed: Mapping[str, Mapping[str, Any]] = field(default_factory=dict[str, Mapping[str, Any]])
    kept: Callable[[str], Kept] = field(default_factory=Memory)
    on_run: Callable[[str], None] = lambda _: None

    @property
    def white_box(self) -> tuple[str, ...]:
        """Names of the attacks that follow the model's gradient: all there are."""
        return tuple(self.attacks)

    @property
    def adaptive(self) -> tuple[str, ...]:
        """Names of those that know of the detector."""
        return tuple(name for name, kind in self.attacks.items() if "detector" in kind.needs)

    @property
    def iterated(self) -> tuple[str, ...]:
        """Names of those that take many steps."""
        return tuple(name for name, kind in self.attacks.items() if not kind.one_step)

    def succeeded(self, prediction: Tensor, targeted: bool = False) -> Tensor:
        """Target hit, or label left, (N,) bool."""
        return succeeded(prediction, self.label, self.target if targeted else None)

    def attack(self, name: str, targeted: bool = False, **changes: Any) -> Attack:
        """The attack of that name with the bench's fields, some of them changed."""
        kind = self.attacks[name]
        known = {f.name for f in fields(kind)}
        values = {
            # Also of attacks that have no steps of their own on each data set: checks are to take minutes.
            **({} if kind.one_step else {"steps": self.steps}),
            **kind.defaults(self),
            "beta": self.beta["targeted" if targeted else "untargeted"],
            **self.changed.get(name, {}),
            **changes,
        }
        return kind(**{key: value for key, value in values.items() if key in known})

    def run(
        self,
        name: str,
        *,
        targeted: bool = False,
        on: str | None = None,
        seed: int | None = None,
        traced: bool = False,
        **changes: Any,
    ) -> Run:
        """Run an attack, or take the run that was kept.

        Args:
            name: Of the attack.
            on: The other model that it is run on; success is then that model's, and there is no score.
            seed: Another seed than the bench's.
            traced: Keep success, score and loss of the whole path.
            changes: To fields of the attack.
        """
        said = ["targeted" if targeted else "untargeted", *([f"on-{on}"] if on else [])]
        said += [f"{key}-{value:g}" for key, value in sorted(changes.items())]
        said += [f"seed-{seed}"] if seed is not None else []
        key = "_".join([name, *said])
        # Whole paths of these are asked for sooner or later.
        traced = traced or (name in TRACED and on is None and seed is None and not changes)
        # A traced run is as good as one without its path, but not the other way round.
        for name_of_place in (f"{key}_traced", *([] if traced else [key])):
            found = self.kept(name_of_place).load()
            if found is not None:
                return Run(**{part: tensor.to(self.x.device) for part, tensor in found.items()})
        self.on_run(key)
        attack = self.attack(name, targeted, **changes)
        model = self.model if on is None else self.others[on]
        chosen = self.seed if seed is None else seed
        run = (self._trace if traced else self._call)(attack, model, targeted, chosen, key, on is None)
        place = self.kept(f"{key}_traced" if traced else key)
        place.save({f.name: getattr(run, f.name) for f in fields(run)})
        return run

    def noise(self) -> Run:
        """The best of `NOISE_DRAWS` uniform perturbations of each image: untargeted, no gradient."""
        radius = per_example(self.epsilon, self.x)
        best = self._judged(self.x)
        for draw in range(NOISE_DRAWS):
            delta = random_in_ball(self.x, radius, "linf", seed=self.seed + draw, index=self.index)
            found = self._judged((self.x + delta).clamp(0, 1))
            better = found.success & (~best.success | (found.score < best.score))
            parts = zip(_results(found), _results(best), strict=True)
            best = Run(*(torch.where(better.view(-1, *[1] * (new.ndim - 1)), new, old) for new, old in parts))
        return best

    def transferred(self, other: str) -> Run:
        """Images made on another model by untargeted PGD, before this one."""
        return self._judged(self.run("pgd", on=other).x_adv)

    def undetected(self, run: Run) -> Tensor:
        """Which of a run's images worked and were missed, (N,) bool. Raises: ValueError: without detector."""
        if self.detector is None:
            raise ValueError("expected a bench with a detector, got one without; ask for success instead")
        return run.success & ~self.flagged(run.score)

    def flagged(self, score: Tensor) -> Tensor:
        """Which scores are above the threshold, bool."""
        return score > self.threshold

    def loss(self, logits: Tensor, targeted: bool = False) -> Tensor:
        """What an attack raises: cross-entropy of the label, or minus that of the target, (N,)."""
        if targeted:
            return -F.cross_entropy(logits, self.target, reduction="none")
        return F.cross_entropy(logits, self.label, reduction="none")

    def _score(self, x: Tensor) -> Tensor:
        return torch.zeros(len(x), device=x.device) if self.detector is None else self.detector.score(x)

    def _judged(self, x_adv: Tensor) -> Run:
        success = self.succeeded(predict(self.model, x_adv))
        return Run(x_adv, success, norms(x_adv - self.x, "linf"), self._score(x_adv))

    def _call(self, attack: Attack, model: Classifier, targeted: bool, seed: int, key: str, own: bool) -> Run:
        result = attack(
            model,
            self.x,
            self.label,
            detector=self.detector if own else None,
            target=self.target if targeted else None,
            index=self.index.cpu(),
            seed=seed,
            on_step=lambda _: self.on_run(key),
        )
        score = self._score(result.x_adv) if own else torch.zeros_like(result.distance)
        return Run(result.x_adv, result.success, result.distance, score)

    @torch.no_grad()
    def _trace(
        self, attack: Attack, model: Classifier, targeted: bool, seed: int, key: str, own: bool
    ) -> Run:
        success, score, loss = [], [], []
        state: AttackState | None = None
        path = attack.iterate(
            model,
            self.x,
            self.label,
            detector=self.detector if own else None,
            target=self.target if targeted else None,
            index=self.index.cpu(),
            seed=seed,
        )
        for state in path:
            with untouched(model):
                logits = model(state.x_adv)
            success.append(self.succeeded(logits.argmax(1), targeted))
            loss.append(self.loss(logits, targeted))
            score.append(self._score(state.x_adv) if own else torch.zeros_like(loss[-1]))
            self.on_run(key)
        assert state is not None
        size = attack.size(state.x_adv - self.x)
        path = (torch.stack(success), torch.stack(score), torch.stack(loss))
        return Run(state.x_adv, success[-1], size, score[-1], *path)


def _results(run: Run) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """A run without its path."""
    return run.x_adv, run.success, run.size, run.score
