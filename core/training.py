"""One resumable training loop for every model."""

import hashlib
import json
import math
import os
import time
from collections.abc import Callable, Generator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any, Self

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn import functional as F

from core.attacks.base import predict
from core.attacks.gradient import PGD
from core.data import Split
from core.models import ReconstructingNet
from core.objectives import margin_loss, squared_error
from core.runtime import computing_in, dtype_name, network_precision

SEEDS = 1_000_003
"""Between the seeds of two trainings lie those of so many epochs or steps."""


class CheckpointError(RuntimeError):
    """A checkpoint that cannot be continued with this recipe."""


FORMER: dict[str, Any] = {"precision": "bfloat16"}
"""What records hold of a field that recipes no longer have: the machine chooses the precision."""
CHECKPOINT_SECONDS = 60.0
"""Between two checkpoints: what a kill costs, with the step that is under way."""


@dataclass(frozen=True)
class Recipe:
    """Everything that decides what weights come out, given the data.

    How many images are validated at once, the device and the precision are the machine's choice: they change
    weights by rounding alone.

    Attributes:
        loss: "margin" (capsules) or "cross_entropy", averaged over the batch.
        epochs: Passes over the training images.
        batch_size: Images a step; an incomplete last batch is dropped.
        learning_rate: Peak of Adam's rate: linear warm-up, then a cosine down to 1 % of it.
        warmup: Steps of warm-up.
        reconstruction_weight: Weight of the *summed* squared error of an image.
        shift: Largest random translation in pixels, filled with black.
        seed: Of the initial weights, the order, the shifts and what dropout drops.
        absent: lambda, what the margin loss weighs absent classes by.
        weight_decay: Of all weights, in the loss as half their squares times this.
    """

    loss: str = "margin"
    epochs: int = 10
    batch_size: int = 128
    learning_rate: float = 3e-3
    warmup: int = 200
    reconstruction_weight: float = 0.02
    shift: int = 0
    seed: int = 0
    absent: float = 0.5
    weight_decay: float = 0.0

    def record(self) -> dict[str, Any]:
        """All fields, as JSON; those that came later stand there only where they are not at their default.

        So what was trained before there were such fields keeps its record, and the key made from it.
        """
        found = asdict(self) | FORMER
        later = {f.name: f.default for f in fields(self) if f.name in ("absent", "weight_decay")}
        return {name: value for name, value in found.items() if name not in later or value != later[name]}

    @classmethod
    def read(cls, record: Mapping[str, Any]) -> Self:
        """The recipe of a record, whose missing fields are at their defaults."""
        return cls(**{name: value for name, value in record.items() if name not in FORMER})

    def digest(self) -> str:
        """Short hash of all fields."""
        return hashlib.sha256(json.dumps(self.record(), sort_keys=True).encode()).hexdigest()[:16]

    def rate(self, step: int, total: int) -> float:
        """Learning rate as a share of its peak."""
        warm = min(1.0, (step + 1) / self.warmup) if self.warmup else 1.0
        return warm * (0.01 + 0.99 * (1 + math.cos(math.pi * step / total)) / 2)


@dataclass(frozen=True)
class Adversary:
    """Training on what PGD makes of the images, in place of the images.

    Attributes:
        epsilon: linf radius, in pixel units.
        step_size, steps: Of PGD, from a random start.
        ramp: Share of the training over which epsilon and step size grow from zero. At MNIST's epsilon a
            small network that starts with the full radius learns to answer one class whatever it sees.
    Source: madry2017, Eq. 2.1.
    """

    epsilon: float
    step_size: float
    steps: int = 7
    ramp: float = 0.5

    def digest(self) -> str:
        """Short hash of all fields."""
        return hashlib.sha256(json.dumps(asdict(self), sort_keys=True).encode()).hexdigest()[:16]

    def examples(
        self,
        model: nn.Module,
        x: Tensor,
        y: Tensor,
        index: Tensor,
        *,
        done: float,
        seed: int,
        precision: torch.dtype | None = None,
    ) -> Tensor:
        """Attacked images (B, C, H, W), detached.

        Args:
            index: Of the images in their data set, (B,): the key of each one's random start.
            done: Share of the training that is done.
            seed: Of the random starts.
            precision: Of the gradients; None for what is fastest on the images' device.
        """
        scale = min(1.0, done / self.ramp) if self.ramp else 1.0
        attack = PGD(epsilon=scale * self.epsilon, step_size=scale * self.step_size, steps=self.steps)
        path = attack.iterate(model, x, y, index=index, seed=seed, every=self.steps, precision=precision)
        return list(path)[-1].x_adv


@dataclass
class History:
    """What became of a training.

    Attributes:
        epochs: A row for each: losses, validation error, seconds.
        precisions: In what it was computed, in this order: more than one where another machine went on.
    """

    epochs: list[dict[str, float]] = field(default_factory=list[dict[str, float]])
    precisions: list[str] = field(default_factory=list[str])


@dataclass
class Course:
    """How far a training has come: all that a checkpoint holds besides weights and optimiser.

    Attributes:
        history: Of the epochs that are over.
        number: Batches done of the epoch under way.
        sums: Classification loss and squared error summed over these, (2,), on the device.
        generator: Draws that epoch's shifts, after its order.
        seconds: Spent on that epoch before this process went on with it.
    """

    history: History = field(default_factory=History)
    number: int = 0
    sums: Tensor = field(default_factory=lambda: torch.zeros(2))
    generator: torch.Generator = field(default_factory=torch.Generator)
    seconds: float = 0.0

    @property
    def epoch(self) -> int:
        """Number of the epoch under way, from 0."""
        return len(self.history.epochs)

    def order(self, count: int, seed: int) -> Tensor:
        """Of that epoch's images, (count,); where none was seen yet, shifts are drawn anew as well."""
        fresh = torch.Generator().manual_seed(seed * SEEDS + self.epoch)
        order = torch.randperm(count, generator=fresh)
        if not self.number:
            self.generator = fresh
        return order


OnEpochProgress = Callable[[int, int, str], None]
"""Called as (steps done, steps in all, a short note)."""


def translate(x: Tensor, shift: int, generator: torch.Generator) -> Tensor:
    """Move each image (B, C, H, W) by up to `shift` pixels both ways, filling with black."""
    height, width = x.shape[2:]
    padded = F.pad(x, (shift,) * 4)
    offset = torch.randint(0, 2 * shift + 1, (2, len(x)), generator=generator)
    rows = offset[0, :, None, None] + torch.arange(height)[None, :, None]
    columns = offset[1, :, None, None] + torch.arange(width)[None, None, :]
    batch = torch.arange(len(x))[:, None, None]
    return padded[batch, :, rows, columns].permute(0, 3, 1, 2)


def losses(
    model: nn.Module, x: Tensor, y: Tensor, recipe: Recipe, precision: torch.dtype = torch.float32
) -> tuple[Tensor, Tensor]:
    """Classification loss and summed squared reconstruction error, batch means.

    The decoder is given the label. Products are computed in that precision.
    """
    with computing_in(precision, x.device):
        if isinstance(model, ReconstructingNet):
            logits, poses = model.logits_and_poses(x)
            error = squared_error(model.decode(poses, y).float(), x).mean()
        else:
            logits, error = model(x), x.new_zeros(())
    logits = logits.float()
    if recipe.loss == "margin":
        return margin_loss(logits, y, absent=recipe.absent).mean(), error
    return F.cross_entropy(logits, y), error


def train(
    model: nn.Module,
    training: Split,
    validation: Split,
    recipe: Recipe,
    *,
    adversary: Adversary | None = None,
    checkpoint: Path | None = None,
    device: str | torch.device = "cpu",
    precision: torch.dtype | None = None,
    on_progress: OnEpochProgress | None = None,
) -> History:
    """Train in place; leaves the model in evaluation mode.

    All that is random is drawn from the recipe's seed and the number of the epoch or step, so a run that was
    killed and resumed ends with the weights of one that was not.

    Args:
        model: Built with `recipe.seed`.
        training, validation: Images and labels; validation is only measured, never trained on.
        adversary: Who changes the training images before every step; None for nobody.
        checkpoint: File (safetensors) written after every epoch and every minute, and continued from, when
            it exists.
        precision: Of convolutions and matrix products, weights stay float32; None for what is fastest on the
            device.
        on_progress: Called after every step.
    Returns: History, including the epochs before a resume.
    Raises: CheckpointError: when the checkpoint belongs to another recipe.
    """
    if recipe.loss not in ("margin", "cross_entropy"):
        raise ValueError(f"expected loss margin or cross_entropy, got {recipe.loss!r}")
    if recipe.batch_size > len(training):
        raise ValueError(f"expected a batch of at most {len(training)} images, got {recipe.batch_size}")
    device = torch.device(device)
    precision = precision or network_precision(device)
    model.to(device=device, memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue] - torch's own
    optimizer = torch.optim.Adam(model.parameters(), recipe.learning_rate, weight_decay=recipe.weight_decay)
    plan = recipe.digest() if adversary is None else f"{recipe.digest()}-{adversary.digest()}"
    course = load_checkpoint(checkpoint, model, optimizer, plan) if checkpoint else Course()
    history, course.sums = course.history, course.sums.to(device)
    per_epoch = len(training) // recipe.batch_size
    total = per_epoch * recipe.epochs
    if course.epoch < recipe.epochs and dtype_name(precision) not in history.precisions:
        history.precisions.append(dtype_name(precision))
    saved = time.monotonic()
    while course.epoch < recipe.epochs:
        epoch, began = course.epoch, time.monotonic() - course.seconds
        order = course.order(len(training), recipe.seed)
        model.train()
        for number in range(course.number, per_epoch):
            rows = order[number * recipe.batch_size : (number + 1) * recipe.batch_size]
            x, y = training.x(rows), training.labels[rows]
            if recipe.shift:
                x = translate(x, recipe.shift, course.generator)
            x, y = x.to(device), y.to(device)
            step = epoch * per_epoch + number
            if adversary:
                seed = recipe.seed * SEEDS + epoch
                x = adversary.examples(model, x, y, rows, done=step / total, seed=seed, precision=precision)
            for group in optimizer.param_groups:
                group["lr"] = recipe.learning_rate * recipe.rate(step, total)
            with seeded(recipe.seed * SEEDS + step, device):  # for dropout
                classification, error = losses(model, x, y, recipe, precision)
            optimizer.zero_grad()
            (classification + recipe.reconstruction_weight * error).backward()  # pyright: ignore[reportUnknownMemberType]
            optimizer.step()
            course.sums += torch.stack([classification.detach(), error.detach()])
            course.number = number + 1
            if checkpoint and course.number < per_epoch and time.monotonic() - saved > CHECKPOINT_SECONDS:
                course.seconds = time.monotonic() - began
                save_checkpoint(checkpoint, model, optimizer, plan, course)
                saved = time.monotonic()
            if on_progress:
                on_progress(step + 1, total, f"epoch {epoch + 1}/{recipe.epochs}")
        wrong = predict(model, validation.x().to(device)).cpu() != validation.labels
        means = (course.sums / per_epoch).tolist()
        history.epochs.append(
            {
                "epoch": epoch + 1,
                "classification": means[0],
                "squared_error": means[1],
                "validation_error": float(wrong.float().mean()),
                "seconds": time.monotonic() - began,
            }
        )
        course = Course(history, sums=torch.zeros(2, device=device))
        if checkpoint:
            save_checkpoint(checkpoint, model, optimizer, plan, course)
            saved = time.monotonic()
    model.eval()
    return history


@contextmanager
def seeded(seed: int, device: torch.device) -> Generator[None]:
    """The global generators start from a seed inside, and are as they were afterwards."""
    with torch.random.fork_rng([device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        yield


def save_checkpoint(
    path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, plan: str, course: Course
) -> None:
    """Write model, optimiser and course at once: a kill leaves the old file or the new one.

    Args:
        plan: Digest of all that decides the weights.
    """
    tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    states: dict[int, dict[str, Tensor]] = optimizer.state_dict()["state"]
    for number, state in states.items():
        tensors |= {f"optimizer.{number}.{name}": value for name, value in state.items()}
    tensors |= {"course.sums": course.sums, "course.generator": course.generator.get_state()}
    facts = {"number": course.number, "seconds": course.seconds, **asdict(course.history)}
    metadata = {"recipe": plan, "course": json.dumps(facts)}
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, temporary, metadata)
    temporary.replace(path)


def load_checkpoint(path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, plan: str) -> Course:
    """Restore what `save_checkpoint` wrote into model and optimiser.

    Returns: The course, at its beginning when there is no file.
    Raises: CheckpointError: when the file belongs to another recipe.
    """
    if not path.exists():
        return Course()
    with safe_open(path, framework="pt") as file:
        metadata: dict[str, str] = file.metadata()
        if metadata.get("recipe") != plan:
            raise CheckpointError(
                f"expected a checkpoint of recipe {plan} in {path}, "
                f"got one of {metadata.get('recipe')}; delete it to start again"
            )
        if "course" not in metadata:
            raise CheckpointError(
                f"expected a checkpoint of this program in {path}, got an older one; delete it to start again"
            )
        tensors: dict[str, Tensor] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    model.load_state_dict({name[6:]: value for name, value in tensors.items() if name.startswith("model.")})
    states: dict[int, dict[str, Any]] = {}
    for name, value in tensors.items():
        if name.startswith("optimizer."):
            _, number, key = name.split(".", 2)
            states.setdefault(int(number), {})[key] = value
    optimizer.load_state_dict({"state": states, "param_groups": optimizer.state_dict()["param_groups"]})
    facts = json.loads(metadata["course"])
    generator = torch.Generator()
    generator.set_state(tensors["course.generator"])
    history = History(facts["epochs"], facts["precisions"])
    return Course(history, facts["number"], tensors["course.sums"], generator, facts["seconds"])
