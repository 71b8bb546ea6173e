"""A live attack: what was asked for, its path so far, and one iteration at a time. No Streamlit here."""

import math
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from threading import Lock

import torch
from torch import Tensor, nn

from core.attacks import Attack, AttackState
from core.detectors import ReconstructionDetector
from core.runtime import at_most, worthwhile_threads

# Points of the path that are kept: enough to scrub through, few enough to keep in memory.
FRAMES = 50


@dataclass(frozen=True)
class Request:
    """Everything that decides the outcome of an attack; equal requests have equal outcomes.

    Attributes:
        weights: Key of the model's weights in the store.
        image: Index into the test images.
        label: Its true class.
        targets: Classes aimed at, attacked together as one batch; a single None is untargeted.
    """

    dataset: str
    model: str
    weights: str
    image: int
    label: int
    targets: tuple[int | None, ...]
    attack: Attack
    seed: int


@dataclass(frozen=True)
class Frame:
    """One point of the path, as the network and the detector see it.

    Attributes:
        step: Iterations done.
        x: Images (B, C, H, W).
        logits: (B, J).
        reconstruction: From the winning class, (B, C, H, W).
        distance: Between the two, (B,).
        queries: Spent on each, (B,); None where the attack does not count them.
    """

    step: int
    x: Tensor
    logits: Tensor
    reconstruction: Tensor
    distance: Tensor
    queries: Tensor | None = None

    @property
    def prediction(self) -> Tensor:
        """Winning classes (B,)."""
        return self.logits.argmax(1)


@torch.no_grad()
def observe(model: nn.Module, x: Tensor, step: int = 0, queries: Tensor | None = None) -> Frame:
    """Show images (B, C, H, W) to the network and the detector; everything comes back on the CPU."""
    score = ReconstructionDetector(model).score(x)  # pyright: ignore[reportArgumentType]
    with at_most(worthwhile_threads(model, x)):
        parts = (x, model(x), model.reconstruct(x), score)  # pyright: ignore[reportCallIssue]
    seen, logits, rebuilt, distance = (part.float().cpu() for part in parts)
    return Frame(step, seen, logits, rebuilt, distance, queries)


@dataclass
class Run:
    """An attack under way, advanced from outside so that it can pause, stop and go on.

    Attributes:
        before: The original, as the network and the detector see it (B = 1).
        frames: The path: the start, every few iterations, the last.
        step: Iterations done.
        seconds: Time spent computing, without that spent on showing.
        stopped: Whether it was stopped before its end.
        ended: Whether nothing is left to do.
    """

    request: Request
    model: nn.Module
    before: Frame
    path: Iterator[AttackState]
    frames: list[Frame] = field(default_factory=list[Frame])
    step: int = 0
    seconds: float = 0.0
    stopped: bool = False
    ended: bool = False
    _now: AttackState | None = None
    _lock: Lock = field(default_factory=Lock)

    @classmethod
    def start(cls, request: Request, model: nn.Module, x: Tensor, starts: Tensor | None = None) -> "Run":
        """Prepare an attack on one image.

        Args:
            x: The image (1, C, H, W), on the model's device.
            starts: For an attack that needs them, where to start for each target, (B, C, H, W).
        """
        count = len(request.targets)
        target = None
        if request.targets[0] is not None:
            target = torch.tensor(request.targets, device=x.device)
        attack = request.attack
        if starts is not None:
            attack = replace(attack, starts=starts)
        path = attack.iterate(
            model,
            x.expand(count, -1, -1, -1).contiguous(),
            torch.full((count,), request.label, device=x.device),
            detector=ReconstructionDetector(model),  # pyright: ignore[reportArgumentType]
            target=target,
            index=torch.full((count,), request.image),
            seed=request.seed,
        )
        return cls(request, model, observe(model, x), path)

    @property
    def total(self) -> int:
        """Iterations at most: an attack that finds nothing more to do ends before."""
        return self.step if self.ended and not self.stopped else self.request.attack.iterations

    @property
    def every(self) -> int:
        """Iterations between two kept points of the path."""
        return math.ceil(self.request.attack.iterations / FRAMES)

    def advance(self) -> bool:
        """Do one iteration; returns whether a point was added to `frames`."""
        # A session's earlier script may still be inside its last iteration when the next one starts.
        with self._lock:
            if self.ended:
                return False
            began = time.perf_counter()
            state = next(self.path, None)
            if state:
                self.step, self._now = state.step, state
            if state is None or state.step == self.request.attack.iterations:
                self._end()
            kept = (self.ended or self.step % self.every == 0) and self._keep()
            self.seconds += time.perf_counter() - began
            return kept

    def _keep(self) -> bool:
        """Add where the attack is now to `frames`, unless it is there; returns whether it was added."""
        if self._now is None or (self.frames and self.frames[-1].step == self.step):
            return False
        self.frames.append(observe(self.model, self._now.x_adv, self.step, self._now.queries))
        return True

    def stop(self) -> None:
        """End it here; what there is stays."""
        with self._lock:
            if self.ended:
                return
            if self._now is None:
                self._now = next(self.path)
            self._keep()
            self.stopped = True
            self._end()

    def _end(self) -> None:
        """Nothing more is to come; what the attack keeps to go on is given back."""
        self.ended, self.path = True, iter(())

    def frame(self, step: int | None = None) -> Frame:
        """The kept point at `step`, or the last one."""
        return next((frame for frame in self.frames if frame.step == step), self.frames[-1])
