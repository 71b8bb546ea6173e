"""A data set in memory: three splits of 8-bit images, and the digest that identifies them."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

import torch
from torch import Tensor

from core.data.specs import OFFICIAL, DataError, DatasetSpec
from core.images import from_uint8

Stamp = tuple[tuple[str, int, int], ...]
"""Path, size and modification time (ns) of every file of a local copy: changes when the copy does."""


@dataclass(frozen=True)
class DownloadProgress:
    """How far a download is.

    Attributes:
        file: Name of the file under way.
        done: Bytes that are here, of all files together.
        total: Bytes of all files together.
    """

    file: str
    done: int
    total: int


OnProgress = Callable[[DownloadProgress], object]


@dataclass(frozen=True, eq=False)
class Split:
    """Images with their labels; shared between callers, so not to be written to.

    Attributes:
        images: (N, C, H, W), uint8.
        labels: (N,), int64.
    """

    images: Tensor
    labels: Tensor

    def x(self, index: int | slice | Sequence[int] | Tensor | None = None) -> Tensor:
        """Images as models take them.

        Args:
            index: Which ones; None is all. A single int gives a batch of one.
        Returns: (B, C, H, W), float32 in [0, 1], newly made.
        Raises: IndexError: when an index is outside the split.
        """
        if index is None:
            return from_uint8(self.images)
        if not isinstance(index, slice):
            index = torch.as_tensor(index)
            if index.numel() == 0:  # an empty list becomes a float tensor, with which torch cannot index
                index = index.to(torch.int64)
            if index.ndim == 0:
                index = index[None]
        return from_uint8(self.images[index])

    def __len__(self) -> int:
        return self.images.shape[0]


@dataclass(frozen=True, eq=False)
class Dataset:
    """A data set as loaded.

    Attributes:
        spec: What it is.
        train: To fit models on.
        validation: Held out of the training images: thresholds are set here.
        test: To report on.
        digest: SHA-256 of all pixels and labels, see `digest_of`.
        copy: Which copy this is, in words; names a known one only where digest or checksums show it.
    """

    spec: DatasetSpec
    train: Split
    validation: Split
    test: Split
    digest: str
    copy: str

    @property
    def splits(self) -> dict[str, Split]:
        """The three by name."""
        return {"train": self.train, "validation": self.validation, "test": self.test}


def hold_out(whole: Split, gap: int = 0) -> tuple[Split, Split]:
    """Part training images into those to train on and those to validate on: the last tenth of the file.

    Args:
        whole: The training file, in its order.
        gap: Images left out between the two parts.
    Returns: Both parts, as views: the pixels are in memory once.
    Raises: DataError: when there are too few images.
    """
    cut = len(whole) - len(whole) // 10
    if cut <= gap or cut == len(whole):
        raise DataError(
            f"expected at least {max(10, gap + 2)} training images, got {len(whole)}; use a larger copy"
        )
    return (
        Split(whole.images[: cut - gap], whole.labels[: cut - gap]),
        Split(whole.images[cut:], whole.labels[cut:]),
    )


class Source(Protocol):
    """Where a data set comes from. `root` is the folder that holds all data sets."""

    def stamp(self, root: Path, /) -> Stamp | None:
        """Identify the local copy without reading it; None when it is absent or incomplete."""
        ...

    def is_known(self, root: Path, /) -> bool:
        """Whether checksums of the files alone tell that this is the spec's copy; False when unsure."""
        ...

    def load(self, spec: DatasetSpec, root: Path, /) -> Dataset:
        """Read and check everything. Raises: DataError."""
        ...

    def download(self, root: Path, on_progress: OnProgress | None, mirror: str | None, /) -> None:
        """Fetch what is missing. Raises: DataError."""
        ...


def assemble(
    spec: DatasetSpec, train: Split, validation: Split, test: Split, *, is_official: bool = False
) -> Dataset:
    """Put a data set together and say which copy it is.

    Args:
        is_official: Whether the files are the published ones, where that is known by other means than the
            digest.
    """
    digest = digest_of(train, validation, test)
    unknown = f"unknown copy: other pixels, labels or order than the {spec.copy}"
    copy = spec.copy if digest == spec.digest else OFFICIAL if is_official else unknown
    return Dataset(spec, train, validation, test, digest, copy)


def digest_of(train: Split, validation: Split, test: Split) -> str:
    """SHA-256, in hex, over what was decoded, whatever files it came from.

    Hashed for each split in turn: a line `name N C H W`, the pixels (N, C, H, W), the labels; one byte each.
    """
    digest = hashlib.sha256()
    for name, split in (("train", train), ("validation", validation), ("test", test)):
        dimensions = " ".join(str(n) for n in split.images.shape)
        digest.update(f"{name} {dimensions}\n".encode("ascii"))
        for part in (split.images, split.labels.to(torch.uint8)):
            digest.update(part.numpy().reshape(-1).data)
    return digest.hexdigest()
