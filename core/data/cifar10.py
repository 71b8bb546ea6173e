"""CIFAR-10: one archive of pickled batches, read without unpacking it, or fetched from its author's page.

The official archive may be replaced by another of its form with fewer images: counts are those of the files.
"""

import gzip
import math
import tarfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from core.data.fetch import Wanted, fetch_all
from core.data.files import PublishedFile, absent, is_file, stamp_of
from core.data.specs import DataError, DatasetSpec
from core.data.split import Dataset, OnProgress, Split, Stamp, assemble, hold_out
from core.data.unpickle import Array, UnpickleError, loads

_FOLDER = "cifar-10-batches-py"
_TRAIN = tuple(f"{_FOLDER}/data_batch_{number}" for number in range(1, 6))
_TEST = f"{_FOLDER}/test_batch"
_META = f"{_FOLDER}/batches.meta"
_WANTED = frozenset((*_TRAIN, _TEST, _META))
_MOST_BYTES = 64 << 20  # of a member; the largest has 31 MB
_MOST_MEMBERS = 32  # the official archive has nine
_MOST_PADDING = 1 << 20  # after the last one; tar fills up to 10,240 bytes


@dataclass(frozen=True)
class CifarSource:
    """`cifar-10-python.tar.gz` in the root.

    Attributes:
        mirror: Base URL of the official archive.
        archive: The official archive.
        known: The archive whose digest is the spec's.
    """

    mirror: str
    archive: PublishedFile
    known: PublishedFile

    def stamp(self, root: Path, /) -> Stamp | None:
        """Identify the local copy without reading it; None when it is absent."""
        return stamp_of([root / self.archive.name])

    def is_known(self, root: Path, /) -> bool:
        """Whether the archive is the one whose digest the spec holds, by checksum."""
        return self.known.matches(root / self.archive.name)

    def load(self, spec: DatasetSpec, root: Path, /) -> Dataset:
        """Read and check the archive; the last tenth of the training images is for validation.

        Raises: DataError: when it is missing or is not as it should be.
        """
        path = root / self.archive.name
        if not is_file(path):
            raise absent(spec, root, path.name)
        members = _members(path)
        _check_names(members[_META], f"{path}: {_META}", spec)
        whole = _join([_batch(members[name], f"{path}: {name}", spec) for name in _TRAIN])
        test = _join([_batch(members[_TEST], f"{path}: {_TEST}", spec)])
        train, validation = hold_out(whole)
        return assemble(spec, train, validation, test, is_official=self.archive.matches(path))

    def download(self, root: Path, on_progress: OnProgress | None, mirror: str | None, /) -> None:
        """Fetch the official archive; another one in its place is replaced once the file is whole.

        Raises: DataError: when it cannot be had.
        """
        path = root / self.archive.name
        wanted = Wanted(self.archive, path, is_here=self.archive.matches(path))
        fetch_all(mirror or self.mirror, [wanted], on_progress)


def _members(path: Path) -> dict[str, Any]:
    """The values in the wanted members by name. Nothing is written to disk, and no link is followed."""
    try:
        with gzip.open(path) as stream:
            with tarfile.open(fileobj=stream, mode="r:") as archive:
                found = dict(_values(archive, path))
            # Reaching the end is what makes gzip compare its checksum.
            if len(stream.read(_MOST_PADDING)) == _MOST_PADDING:
                raise _bad(path, "the end after the last member", "more bytes")
    except (tarfile.TarError, EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise _bad(path, "a whole gzipped tar archive", f"a damaged one ({error})") from error
    except OSError as error:
        raise DataError(
            f"{path}: expected a readable file, got {error.strerror or error}; check the path"
        ) from error
    for name in (_META, *_TRAIN, _TEST):
        if name not in found:
            raise _bad(path, f"a file {name} in the archive", "none")
    return found


def _values(archive: tarfile.TarFile, path: Path) -> Iterator[tuple[str, Any]]:
    """Name and value of each wanted member."""
    for number, member in enumerate(archive, 1):
        if number > _MOST_MEMBERS or member.size > _MOST_BYTES:
            most = f"at most {_MOST_MEMBERS} members of at most {_MOST_BYTES} bytes"
            raise _bad(path, most, f"{member.name} of {member.size} bytes as number {number}")
        file = archive.extractfile(member) if member.isreg() and member.name in _WANTED else None
        if file is None:
            continue
        content = file.read()
        if len(content) < member.size:
            raise EOFError(f"{member.name} is truncated")
        try:
            yield member.name, loads(content)
        except UnpickleError as error:
            raise DataError(f"{path}: {member.name}: {error}; replace this file with a whole copy") from error


def _check_names(meta: Any, where: str, spec: DatasetSpec) -> None:
    """Refuse other classes, or another order of them."""
    names = meta.get(b"label_names") if isinstance(meta, dict) else None
    if names != [name.encode() for name in spec.classes]:
        raise _bad(where, f"the classes {', '.join(spec.classes)}", "others")


def _batch(batch: Any, where: str, spec: DatasetSpec) -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Pixels (N, C, H, W) and labels (N,) of one batch."""
    array = batch.get(b"data") if isinstance(batch, dict) else None
    shape = (-1, *spec.shape)
    values = math.prod(spec.shape)
    if not isinstance(array, Array):
        raise _bad(where, "a dict with an array of data", "another value")
    size = len(array.data)
    count = size // values
    if array.dtype != "u1" or array.shape != (count, values) or size != count * values or not count:
        got = f"{array.dtype} of shape {array.shape} in {size} bytes"
        raise _bad(where, f"data of type u1 (uint8) and shape (N, {values})", got)
    labels = batch.get(b"labels")
    if not isinstance(labels, list) or len(labels) != count:
        got = len(labels) if isinstance(labels, list) else "none"
        raise _bad(where, f"one label for each of {count} images", f"{got}")
    highest = spec.n_classes - 1
    for at, label in enumerate(labels):
        if type(label) is not int or not 0 <= label <= highest:
            got = label if type(label) is int else type(label).__name__
            raise _bad(where, f"labels from 0 to {highest}", f"{got} for item {at}")
    return np.frombuffer(array.data, np.uint8).reshape(shape), np.array(labels, np.int64)


def _join(batches: list[tuple[NDArray[np.uint8], NDArray[np.int64]]]) -> Split:
    """Batches as one split."""
    pixels = np.concatenate([pixels for pixels, _ in batches])
    labels = np.concatenate([labels for _, labels in batches])
    return Split(torch.as_tensor(pixels), torch.as_tensor(labels))


def _bad(where: Path | str, expected: str, got: str) -> DataError:
    return DataError(f"{where}: expected {expected}, got {got}; replace this file with a whole copy")


# Checksum of the official archive: torchvision. The other one was decoded from JPEG and has fewer images.
CIFAR10 = CifarSource(
    mirror="https://www.cs.toronto.edu/~kriz",
    archive=PublishedFile("cifar-10-python.tar.gz", 170_498_071, "c58f30108f718f92721af3b95e74349a"),
    known=PublishedFile("cifar-10-python.tar.gz", 86_826_835, "a5247ca535120031054b477b30f7adf5"),
)
