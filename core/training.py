"""One resumable training loop for every model."""

import hashlib
import json
import math
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, field, fields
from pathlib import Path
from typing import Any

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


class CheckpointError(RuntimeError):
    """A checkpoint that cannot be continued with this recipe."""


@dataclass(frozen=True)
class Recipe:
    """Everything that decides what weights come out, given the data.

    Attributes:
        loss: "margin" (capsules) or "cross_entropy", averaged over the batch.
        epochs: Passes over the training images.
        batch_size: Images a step; an incomplete last batch is dropped.
        learning_rate: Peak of Adam's rate: linear warm-up, then a cosine down to 1 % of it.
        warmup: Steps of warm-up.
        reconstruction_weight: Weight of the *summed* squared error of an image.
        shift: Largest random translation in pixels, filled with black.
        precision: "bfloat16" computes convolutions and matrix products in it; weights stay float32.
        seed: Of the initial weights, the order and the shifts.
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
    precision: str = "bfloat16"
    seed: int = 0
    absent: float = 0.5
    weight_decay: float = 0.0

    def record(self) -> dict[str, Any]:
        """All fields, as JSON; those that came later stand there only where they are not at their default.

        So what was trained before there were such fields keeps its record.
        """
        found = asdict(self)
        later = {f.name: f.default for f in fields(self) if f.name in ("absent", "weight_decay")}
        return {name: value for name, value in found.items() if name not in later or value != later[name]}

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
        self, model: nn.Module, x: Tensor, y: Tensor, index: Tensor, *, done: float, seed: int, recipe: Recipe
    ) -> Tensor:
        """Attacked images (B, C, H, W), detached.

        Args:
            index: Of the images in their data set, (B,): the key of each one's random start.
            done: Share of the training that is done.
            seed: Of the random starts.
            recipe: Its precision is that of the gradients.
        """
        scale = min(1.0, done / self.ramp) if self.ramp else 1.0
        attack = PGD(epsilon=scale * self.epsilon, step_size=scale * self.step_size, steps=self.steps)
        precision = torch.bfloat16 if recipe.precision == "bfloat16" else torch.float32
        path = attack.iterate(model, x, y, index=index, seed=seed, every=self.steps, precision=precision)
        return list(path)[-1].x_adv


@dataclass
class History:
    """One row per epoch: losses, validation error, seconds."""

    epochs: list[dict[str, float]] = field(default_factory=list[dict[str, float]])


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


def losses(model: nn.Module, x: Tensor, y: Tensor, recipe: Recipe) -> tuple[Tensor, Tensor]:
    """Classification loss and summed squared reconstruction error, batch means.

    The decoder is given the label.
    """
    with torch.autocast(x.device.type, torch.bfloat16, enabled=recipe.precision == "bfloat16"):
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
    on_progress: OnEpochProgress | None = None,
) -> History:
    """Train in place; leaves the model in evaluation mode.

    The order of every epoch is drawn from (seed, epoch), so a run that was killed and resumed ends with the
    weights of one that was not.

    Args:
        model: Built with `recipe.seed`.
        training, validation: Images and labels; validation is only measured, never trained on.
        adversary: Who changes the training images before every step; None for nobody.
        checkpoint: File (safetensors) written after every epoch and continued from, when it exists.
        on_progress: Called some times a second.
    Returns: History, including the epochs before a resume.
    Raises: CheckpointError: when the checkpoint belongs to another recipe.
    """
    if recipe.loss not in ("margin", "cross_entropy"):
        raise ValueError(f"expected loss margin or cross_entropy, got {recipe.loss!r}")
    if recipe.batch_size > len(training):
        raise ValueError(f"expected a batch of at most {len(training)} images, got {recipe.batch_size}")
    model.to(device=device, memory_format=torch.channels_last)  # pyright: ignore[reportCallIssue] - torch's own
    optimizer = torch.optim.Adam(model.parameters(), recipe.learning_rate, weight_decay=recipe.weight_decay)
    plan = recipe.digest() if adversary is None else f"{recipe.digest()}-{adversary.digest()}"
    history = load_checkpoint(checkpoint, model, optimizer, plan) if checkpoint else History()
    per_epoch = len(training) // recipe.batch_size
    total = per_epoch * recipe.epochs
    for epoch in range(len(history.epochs), recipe.epochs):
        began = time.monotonic()
        generator = torch.Generator().manual_seed(recipe.seed * 1_000_003 + epoch)
        order = torch.randperm(len(training), generator=generator)
        sums = torch.zeros(2, device=device)
        model.train()
        for number in range(per_epoch):
            rows = order[number * recipe.batch_size : (number + 1) * recipe.batch_size]
            x, y = training.x(rows), training.labels[rows]
            if recipe.shift:
                x = translate(x, recipe.shift, generator)
            x, y = x.to(device), y.to(device)
            step = epoch * per_epoch + number
            if adversary:
                seed = recipe.seed * 1_000_003 + epoch
                x = adversary.examples(model, x, y, rows, done=step / total, seed=seed, recipe=recipe)
            for group in optimizer.param_groups:
                group["lr"] = recipe.learning_rate * recipe.rate(step, total)
            classification, error = losses(model, x, y, recipe)
            optimizer.zero_grad()
            (classification + recipe.reconstruction_weight * error).backward()  # pyright: ignore[reportUnknownMemberType]
            optimizer.step()
            sums += torch.stack([classification.detach(), error.detach()])
            if on_progress and (step % 10 == 9 or step + 1 == total):
                on_progress(step + 1, total, f"epoch {epoch + 1}/{recipe.epochs}")
        wrong = predict(model, validation.x().to(device)).cpu() != validation.labels
        means = (sums / per_epoch).tolist()
        history.epochs.append(
            {
                "epoch": epoch + 1,
                "classification": means[0],
                "squared_error": means[1],
                "validation_error": float(wrong.float().mean()),
                "seconds": time.monotonic() - began,
            }
        )
        if checkpoint:
            save_checkpoint(checkpoint, model, optimizer, plan, history)
    model.eval()
    return history


def save_checkpoint(
    path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, plan: str, history: History
) -> None:
    """Write model, optimiser state and history at once: a kill leaves the old file or the new one.

    Args:
        plan: Digest of all that decides the weights.
    """
    tensors = {f"model.{name}": tensor for name, tensor in model.state_dict().items()}
    states: dict[int, dict[str, Tensor]] = optimizer.state_dict()["state"]
    for number, state in states.items():
        tensors |= {f"optimizer.{number}.{name}": value for name, value in state.items()}
    metadata = {"recipe": plan, "history": json.dumps(history.epochs)}
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_suffix(f".{os.getpid()}.tmp")
    save_file({name: tensor.contiguous() for name, tensor in tensors.items()}, temporary, metadata)
    temporary.replace(path)


def load_checkpoint(path: Path, model: nn.Module, optimizer: torch.optim.Optimizer, plan: str) -> History:
    """Restore what `save_checkpoint` wrote into model and optimiser.

    The history is empty when there is no file.
    """
    if not path.exists():
        return History()
    with safe_open(path, framework="pt") as file:
        metadata: dict[str, str] = file.metadata()
        if metadata.get("recipe") != plan:
            raise CheckpointError(
                f"expected a checkpoint of recipe {plan} in {path}, "
                f"got one of {metadata.get('recipe')}; delete it to start again"
            )
        tensors: dict[str, Tensor] = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    model.load_state_dict({name[6:]: value for name, value in tensors.items() if name.startswith("model.")})
    states: dict[int, dict[str, Any]] = {}
    for name, value in tensors.items():
        if name.startswith("optimizer."):
            _, number, key = name.split(".", 2)
            states.setdefault(int(number), {})[key] = value
    optimizer.load_state_dict({"state": states, "param_groups": optimizer.state_dict()["param_groups"]})
    return History(json.loads(metadata["history"]))
