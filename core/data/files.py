"""Files of a data set as they lie on disk: which there are, and whether they are the published ones."""

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from core.data.specs import DataError, DatasetSpec
from core.data.split import Stamp


@dataclass(frozen=True)
class PublishedFile:
    """A file as its authors publish it.

    Attributes:
        name: Of the file.
        size: Bytes.
        md5: Checksum, in hex.
    """

    name: str
    size: int
    md5: str

    def matches(self, path: Path | None) -> bool:
        """Whether there is a file of that size and checksum."""
        if path is None:
            return False
        try:
            with path.open("rb") as stream:
                same_size = path.stat().st_size == self.size
                return same_size and hashlib.file_digest(stream, "md5").hexdigest() == self.md5
        except OSError:  # absent, or not ours to read: whoever needs it will say so
            return False


def is_file(path: Path) -> bool:
    """Whether there is such a file, in a folder that one may enter."""
    try:
        return path.is_file()
    except OSError:
        return False


def stamp_of(paths: Iterable[Path | None]) -> Stamp | None:
    """Path, size and modification time of each file; None unless all are there."""
    entries: list[tuple[str, int, int]] = []
    for path in paths:
        if path is None or not is_file(path):
            return None
        stat = path.stat()
        entries.append((str(path), stat.st_size, stat.st_mtime_ns))
    return tuple(entries)


def absent(spec: DatasetSpec, folder: Path, names: str) -> DataError:
    """What to say when a file of a data set is not there, and how to get it."""
    command = f"python -c \"import core.data; core.data.download('{spec.name}')\""
    return DataError(
        f"expected {spec.title} in {folder}, got no {names} there; download it with {command}, or set "
        "CAPSIGHT_DATA to a folder laid out as torchvision does"
    )
