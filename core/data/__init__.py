"""Data sets: what is known of them, and the local copies.

A new data set is an entry in `specs.SPECS`, a `Source` in a file of its own, and a line in `_SOURCES` below.
"""

import os
from functools import lru_cache
from pathlib import Path

import platformdirs

from core.data.cifar10 import CIFAR10
from core.data.digits import DigitsSource
from core.data.mnist import FASHION_MNIST, MNIST
from core.data.specs import SPECS, DataError, DatasetSpec, spec
from core.data.split import Dataset, DownloadProgress, OnProgress, Source, Split, Stamp
from core.data.svhn import SVHN

__all__ = [
    "SPECS",
    "DataError",
    "Dataset",
    "DatasetSpec",
    "DownloadProgress",
    "Split",
    "data_root",
    "download",
    "fingerprint",
    "is_available",
    "load",
    "spec",
]

_SOURCES: dict[str, Source] = {
    "digits": DigitsSource(),
    "mnist": MNIST,
    "fashion_mnist": FASHION_MNIST,
    "svhn": SVHN,
    "cifar10": CIFAR10,
}


def data_root() -> Path:
    """The folder of all data sets, in torchvision's layout.

    Returns: CAPSIGHT_DATA where that is set, else `capsight/data` in the user's cache folder.
    """
    chosen = os.environ.get("CAPSIGHT_DATA", "").strip()
    if chosen:
        return Path(chosen).expanduser().absolute()
    return Path(platformdirs.user_cache_dir("capsight", appauthor=False)) / "data"


def load(name: str) -> Dataset:
    """A data set, read and checked once per process and copy.

    The tensors are shared between callers: do not write to them.

    Args:
        name: One of SPECS.
    Returns: The data set: 8-bit images and labels of three splits.
    Raises: DataError: when there is no such data set, when its files are absent (the message says how to get
        them) or damaged.
    """
    root = data_root()
    return _load(spec(name).name, root, _SOURCES[name].stamp(root))


def is_available(name: str) -> bool:
    """Whether there is a local copy.

    Looks at file names only: `load` may still refuse what is there.

    Raises: DataError: when there is no such data set.
    """
    return _SOURCES[spec(name).name].stamp(data_root()) is not None


def fingerprint(name: str) -> str:
    """The digest of the local copy, or the spec's when there is none here.

    The copy that the spec names is known by its checksums, without being decoded; only others are loaded.

    Raises: DataError: when there is no such data set, or the local copy is damaged.
    """
    known = spec(name).digest
    root = data_root()
    stamp = _SOURCES[name].stamp(root)
    return known if stamp is None else _fingerprint(name, root, stamp)


def download(name: str, on_progress: OnProgress | None = None, *, mirror: str | None = None) -> None:
    """Fetch a data set into the data root, verified by checksum; files that are there and whole are kept.

    Args:
        name: One of SPECS; for `digits` there is nothing to do.
        on_progress: Called with a DownloadProgress as bytes arrive. An exception from it ends the download.
        mirror: Base URL to use in place of the official one.
    Raises: DataError: when there is no such data set, or a file cannot be had. Nothing is left that could be
        taken for whole.
    """
    _SOURCES[spec(name).name].download(data_root(), on_progress, mirror)


# The stamp is part of what is remembered, so that a copy that was replaced is read again.
@lru_cache(maxsize=4)
def _load(name: str, root: Path, _stamp: Stamp | None) -> Dataset:
    return _SOURCES[name].load(SPECS[name], root)


@lru_cache(maxsize=16)
def _fingerprint(name: str, root: Path, stamp: Stamp) -> str:
    if _SOURCES[name].is_known(root):
        return SPECS[name].digest
    return _load(name, root, stamp).digest
