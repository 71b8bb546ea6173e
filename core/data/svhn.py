"""SVHN's cropped digits: two MATLAB files, read from disk or fetched from the authors' page.

The official files may be replaced by others of their form with fewer digits: counts are those of the files.
"""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from core.data.fetch import Wanted, fetch_all
from core.data.files import PublishedFile, absent, is_file, stamp_of
from core.data.mat5 import read_mat5
from core.data.specs import DataError, DatasetSpec
from core.data.split import Dataset, OnProgress, Split, Stamp, assemble, hold_out

FOLDER = "SVHN"
LONGEST_NUMBER = 6
"""Digits of the longest house number."""

_ZERO = 10
"""How the files spell the digit 0."""


@dataclass(frozen=True)
class SvhnSource:
    """`train_32x32.mat` and `test_32x32.mat` in `<root>/SVHN`, or in the root itself.

    Attributes:
        mirror: Base URL of the official files.
        train, test: The official files.
        known: The files whose digest is the spec's.
    """

    mirror: str
    train: PublishedFile
    test: PublishedFile
    known: tuple[PublishedFile, PublishedFile]

    def stamp(self, root: Path, /) -> Stamp | None:
        """Identify the local copy without reading it; None unless both files are there."""
        return stamp_of(_find(root, file.name) for file in (self.train, self.test))

    def is_known(self, root: Path, /) -> bool:
        """Whether both files are those whose digest the spec holds, by checksum."""
        return all(file.matches(_find(root, file.name)) for file in self.known)

    def load(self, spec: DatasetSpec, root: Path, /) -> Dataset:
        """Read and check both files.

        The last tenth of the training file is for validation. Digits of one house number are neighbours in
        the file, so as many as the longest number could reach across the cut are left out.

        Raises: DataError: when one is missing or is not as it should be.
        """
        whole, test = (_read(spec, root, file.name) for file in (self.train, self.test))
        train, validation = hold_out(whole, gap=LONGEST_NUMBER - 1)
        official = all(file.matches(_find(root, file.name)) for file in (self.train, self.test))
        return assemble(spec, train, validation, test, is_official=official)

    def download(self, root: Path, on_progress: OnProgress | None, mirror: str | None, /) -> None:
        """Fetch the official files; other copies in their place are replaced, each once its file is whole.

        Raises: DataError: when a file cannot be had.
        """
        wanted: list[Wanted] = []
        for file in (self.train, self.test):
            path = _find(root, file.name) or root / FOLDER / file.name
            wanted.append(Wanted(file, path, is_here=file.matches(path)))
        fetch_all(mirror or self.mirror, wanted, on_progress)


def _read(spec: DatasetSpec, root: Path, name: str) -> Split:
    """One file: images and labels that belong together."""
    path = _find(root, name)
    if path is None:
        raise absent(spec, root / FOLDER, name)
    channels, height, width = spec.shape
    arrays = read_mat5(path, {"X": (height, width, channels, None), "y": (None, 1)})
    pixels, digits = arrays["X"].transpose(3, 2, 0, 1), arrays["y"][:, 0]
    if len(pixels) != len(digits):
        raise DataError(
            f"{path}: expected one label for each of {len(pixels)} images, got {len(digits)}; replace this "
            "file with a whole copy"
        )
    outside = np.flatnonzero((digits < 1) | (digits > _ZERO))
    if len(outside):
        at = int(outside[0])
        raise DataError(
            f"{path}: expected labels from 1 to {_ZERO}, where {_ZERO} is the digit 0, got {digits[at]} for "
            f"item {at}; replace this file with a whole copy"
        )
    labels = torch.as_tensor(digits.astype(np.int64) % _ZERO)
    return Split(torch.as_tensor(np.array(pixels, order="C")), labels)


def _find(root: Path, name: str) -> Path | None:
    """The file to read, if there is one."""
    for path in (root / FOLDER / name, root / name):
        if is_file(path):
            return path
    return None


# Checksums of the official files: torchvision. The others are a subset with re-made crops.
SVHN = SvhnSource(
    mirror="http://ufldl.stanford.edu/housenumbers",
    train=PublishedFile("train_32x32.mat", 182_040_794, "e26dedcc434d2e4c54c9b2d4a06d8373"),
    test=PublishedFile("test_32x32.mat", 64_275_384, "eb5a983be6a315427106f1b164d9cef3"),
    known=(
        PublishedFile("train_32x32.mat", 10_851_799, "227d2ac71777fefcdc8ee1ff069b1260"),
        PublishedFile("test_32x32.mat", 4_774_414, "b05189df195a044772a6e990aa1791c5"),
    ),
)
