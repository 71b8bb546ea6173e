"""A folder on the local disk or on any other file system that fsspec reaches, with atomic writes."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import fsspec
from fsspec.core import url_to_fs
from fsspec.implementations.local import LocalFileSystem


@dataclass(frozen=True)
class File:
    """A file found by `Folder.files`: its path below that folder, size in bytes, time of its last change."""

    name: str
    bytes: int
    changed: float


@dataclass(frozen=True)
class Folder:
    """A folder, which need not exist: reading finds nothing in it, writing makes it."""

    fs: fsspec.AbstractFileSystem
    path: str

    @classmethod
    def open(cls, url: str | os.PathLike[str]) -> Folder:
        """The folder at a path or an fsspec URL (`s3://...`, `memory://...`)."""
        return cls(*url_to_fs(os.fspath(url)))

    def __truediv__(self, name: str) -> Folder:
        return Folder(self.fs, f"{self.path}/{name}")

    def __str__(self) -> str:
        return self.path if self.is_local else self.url

    @property
    def url(self) -> str:
        """Where another process finds this folder."""
        return self.fs.unstrip_protocol(self.path)

    @property
    def is_local(self) -> bool:
        """Whether this is a folder on this machine's disk (or one mounted there)."""
        return isinstance(self.fs, LocalFileSystem)

    def read(self, name: str) -> bytes:
        """The content of a file. Raises FileNotFoundError."""
        data = self.fs.cat_file(f"{self.path}/{name}")
        assert isinstance(data, bytes)
        return data

    def write(self, name: str, data: bytes) -> None:
        """Write a file so that a reader sees the old content or the new, and a kill leaves the old.

        On a disk the data go to a temporary file that is renamed. Object stores show an object when it is
        whole, so that one write is atomic there; file systems with neither may leave a torn file, which its
        digest gives away.
        """
        path = f"{self.path}/{name}"
        if not self.is_local:
            self.fs.pipe_file(path, data)
            return
        target = Path(path)
        target.parent.mkdir(parents=True, exist_ok=True)
        temporary = target.with_name(f".{target.name}.{uuid.uuid4().hex}.tmp")
        try:
            temporary.write_bytes(data)
            temporary.replace(target)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise

    def names(self) -> list[str]:
        """The names of the files and folders directly in this folder, sorted; none when it does not exist."""
        self.fs.invalidate_cache(self.path)  # listings of remote stores are cached, other builders write too
        try:
            return sorted(path.rstrip("/").rsplit("/", 1)[-1] for path in self.fs.ls(self.path, detail=False))
        except FileNotFoundError:
            return []

    def files(self) -> Iterator[File]:
        """Every file below this folder. A file whose last change the store does not tell counts as new."""
        self.fs.invalidate_cache(self.path)
        found: Any = self.fs.find(self.path, detail=True)
        for path, info in found.items():
            try:
                changed = self.fs.modified(path).timestamp()
            except (NotImplementedError, FileNotFoundError):
                changed = float("inf")
            yield File(path[len(self.path) + 1 :], int(info["size"] or 0), changed)

    def remove(self, name: str | None = None) -> None:
        """Remove one file of the folder, or the folder with all in it; what is not there is fine."""
        try:
            if name is None:
                self.fs.rm(self.path, recursive=True)
            else:
                self.fs.rm_file(f"{self.path}/{name}")
        except FileNotFoundError:
            pass
