"""Universal perturbations as pages use them: those of all models in one collection, and where they lie."""

import base64
import binascii
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import streamlit as st
import torch
from torch import Tensor

from app import state
from app.results.artifacts import load_artifact
from core.attacks import perturb, predict
from core.embedding import directions
from core.estimates import Estimate, mean
from core.images import in_pixels
from core.metrics import Rate
from core.models import title_of
from precompute.steps.records import Embedded, Universal, UniversalTransferred, joined
from precompute.store import Bundle

EVERY, PAPER = "embedding", "embedding/michels2019"
"""Embeddings of a bundle: of all its models, and of the two of michels2019."""
NEEDS = (EVERY, PAPER, "transfer/universal")
OWN = ("michels_convnet", "michels_capsnet")
"""The networks of michels2019."""
SPACES = {"tsne": "t-SNE", "umap": "UMAP"}


def part_name(part: int, number: int | None = None) -> str:
    """A part of the test set, and which of its perturbations, as people count: "part 3, number 7".

    Args:
        part, number: From 0, as they are stored.
    """
    return f"part {part + 1}" if number is None else f"part {part + 1}, number {number + 1}"


@dataclass(frozen=True, eq=False)
class Universals:
    """The universal perturbations of all models, one model after the other.

    Attributes:
        key: Of what they were read from.
        sources: Names of the models that they were made on.
        source: Which of these, (N,).
        part, number: Which part of the test set each is from, and which of that part's it is, (N,).
        levels: The perturbations, (N, C, H, W) int16, in levels of 1/255.
        norm_l2, norm_linf: (N,), in pixel units.
        iterations, reached: What it took, and whether accuracy fell as far as it should, (N,).
        accuracy: On the images that each is from, (N,).
        readers: Names of the models that read images with them.
        left: How many images each reader read rightly before and misreads with it, (N, T).
        known: How many it read rightly before, (T,).
        index: Test images that they were tried on, (n,).
        facts: How they were made.
    """

    key: str
    sources: tuple[str, ...]
    source: Tensor
    part: Tensor
    number: Tensor
    levels: Tensor
    norm_l2: Tensor
    norm_linf: Tensor
    iterations: Tensor
    reached: Tensor
    accuracy: Tensor
    readers: tuple[str, ...]
    left: Tensor
    known: Tensor
    index: Tensor
    facts: dict[str, Any]

    def __len__(self) -> int:
        return len(self.source)

    @property
    def delta(self) -> Tensor:
        """The perturbations in pixel units, (N, C, H, W)."""
        return in_pixels(self.levels)

    @cached_property
    def points(self) -> np.ndarray:
        """The perturbations at length 1, (N, D)."""
        return directions(self.levels)

    def model(self, row: int) -> str:
        """Name of the model that one was made on."""
        return self.sources[int(self.source[row])]

    def name(self, row: int) -> str:
        """One in words: "CapsNet, part 3, number 7"."""
        return f"{title_of(self.model(row))}, {part_name(int(self.part[row]), int(self.number[row]))}"

    def median_row(self, model: str) -> int:
        """That of median length among a model's."""
        rows = self.rows_of((model,))
        return int(rows[self.norm_l2[rows].argsort()[len(rows) // 2]])

    def rows_of(self, models: Sequence[str]) -> Tensor:
        """Rows of some models, in the order of the models."""
        found = [torch.nonzero(self.source == self.sources.index(model)).flatten() for model in models]
        return torch.cat(found)

    def fooling(self, row: int, reader: str) -> Rate | None:
        """How often a reader is fooled by one; None where it read nothing rightly before."""
        place = self.readers.index(reader)
        known = int(self.known[place])
        return Rate(int(self.left[row, place]), known) if known else None

    def mean_fooling(self, rows: Tensor, reader: str) -> Rate | None:
        """The mean count over some, as a rate over the images."""
        place = self.readers.index(reader)
        known = int(self.known[place])
        return Rate(round(float(self.left[rows, place].double().mean())), known) if known else None

    def mean_length(self, rows: Tensor) -> Estimate:
        """Mean l2 length of some; those from one part are not independent, so that parts are what varies."""
        parts: dict[tuple[int, int], list[float]] = {}
        for row in rows.tolist():
            place = int(self.source[row]), int(self.part[row])
            parts.setdefault(place, []).append(float(self.norm_l2[row]))
        return mean([sum(values) / len(values) for values in parts.values()])

    def alignment(self, rows: Tensor) -> float:
        """How far some point the same way: length of their mean direction, 0 to 1."""
        return float(np.linalg.norm(self.points[rows.numpy()].mean(0)))

    def neighbours(self, row: int, among: Tensor, count: int) -> list[tuple[int, float]]:
        """The nearest others by angle: rows with the cosine, nearest first."""
        cosines = self.points[among.numpy()] @ self.points[row]
        order = [(int(other), float(cosine)) for other, cosine in zip(among, cosines, strict=True)]
        return sorted((pair for pair in order if pair[0] != row), key=lambda pair: -pair[1])[:count]


# The keys of all that is read decide the collection.
@st.cache_resource(max_entries=8, show_spinner="Reading the perturbations")
def _collect(keys: tuple[str, ...], _bundle: Bundle) -> Universals:
    sources = Embedded.of(load_artifact(_bundle, EVERY)).models
    made = [Universal.of(load_artifact(_bundle, f"{model}/universal")) for model in sources]
    tried = UniversalTransferred.of(load_artifact(_bundle, "transfer/universal"))
    order = [tried.sources.index(model) for model in sources]
    return Universals(
        key="-".join(keys),
        sources=tuple(sources),
        source=torch.repeat_interleave(torch.arange(len(sources)), torch.tensor([len(m) for m in made])),
        part=joined(made, "part"),
        number=joined(made, "number"),
        levels=torch.cat([universal.perturbation.short() for universal in made]),
        norm_l2=joined(made, "norm_l2"),
        norm_linf=joined(made, "norm_linf"),
        iterations=joined(made, "iterations"),
        reached=joined(made, "reached"),
        accuracy=joined(made, "accuracy"),
        readers=tuple(tried.models),
        left=torch.cat([tried.left[place] for place in order]),
        known=tried.known,
        index=tried.index,
        facts=dict(made[0].facts),
    )


def collect(bundle: Bundle) -> Universals:
    """All universal perturbations of a bundle. Raises MissingArtifact, CorruptArtifact."""
    sources = Embedded.of(load_artifact(bundle, EVERY)).models
    names = [*(f"{model}/universal" for model in sources), "transfer/universal"]
    return _collect(tuple(bundle.names.get(name, name) for name in names), bundle)


@dataclass(frozen=True, eq=False, kw_only=True)
class Grid(Embedded):
    """An embedding for every setting that is stored.

    Attributes:
        name: Of the artifact.
    """

    name: str


def grid(bundle: Bundle, name: str) -> Grid:
    """A stored embedding. Raises MissingArtifact, CorruptArtifact."""
    return Grid.of(load_artifact(bundle, name), name=name)


def separations(bundle: Bundle, known: Grid) -> list[dict[str, Any]]:
    """How far models and parts are apart, as the step stored it: rows of its table."""
    table = load_artifact(bundle, known.name).tables["separation"]
    return [
        {str(name): None if value is None or value != value else value for name, value in row.items()}
        for row in table.to_dict("records")
    ]


def read(bundle: Bundle, model: str, x: Tensor, delta: Tensor) -> tuple[Tensor, Tensor]:
    """What a model sees, now, in images (n, C, H, W) as they are and with a perturbation: classes (n,) each.

    Raises: MissingArtifact, CorruptArtifact.
    """
    network, where = state.model(bundle, model), state.device()
    with state.accelerator():
        return predict(network, x.to(where)).cpu(), predict(network, perturb(x, delta).to(where)).cpu()


def packed(rows: list[int], count: int) -> str:
    """Chosen ones of `count` as a short text for an address; empty for none."""
    if not rows:
        return ""
    bits = np.zeros(count, dtype=bool)
    bits[rows] = True
    return base64.urlsafe_b64encode(np.packbits(bits).tobytes()).decode("ascii").rstrip("=")


def unpacked(text: str, count: int) -> list[int] | None:
    """What `packed` gave; None for a text that is not about `count` of them."""
    try:
        data = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    if len(data) != -(-count // 8):
        return None
    bits = np.unpackbits(np.frombuffer(data, dtype=np.uint8))
    return None if bits[count:].any() else np.flatnonzero(bits).tolist()
