"""The scratch folder of an unfinished step, from which it resumes."""

from __future__ import annotations

import shutil
import tempfile
import time
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING

from precompute.store.artifact import decode_tensors, encode_tensors
from precompute.store.canonical import sha256
from precompute.store.files import Folder

if TYPE_CHECKING:
    import torch

SYNC_SECONDS = 30.0
_DIGEST = 64


class Shard:
    """A finished part of a step's result."""

    def __init__(self, folder: Folder, name: str) -> None:
        self._folder, self._file = folder, f"{name}.shard"

    def save(self, tensors: dict[str, torch.Tensor]) -> None:
        """Keep the part: all of it, or after a kill nothing."""
        data = encode_tensors(tensors)
        self._folder.write(self._file, sha256(data).encode() + data)

    def load(self) -> dict[str, torch.Tensor] | None:
        """The part as saved, or None when it is not there or damaged: then it is to be computed."""
        try:
            data = self._folder.read(self._file)
        except FileNotFoundError:
            return None
        intact = data[:_DIGEST] == sha256(data[_DIGEST:]).encode()
        return decode_tensors(data[_DIGEST:]) if intact else None


class Workspace:
    """Private to the step of one key: shards, and a local folder for files such as checkpoints.

    The folder of a store that is not on this machine's disk is mirrored: fetched when first asked for, and
    sent by `sync`.
    """

    def __init__(self, folder: Folder) -> None:
        self._folder = folder
        self._sent: dict[Path, tuple[int, int]] = {}
        self._synced = time.monotonic()

    def shard(self, name: str) -> Shard:
        """The part of that name, which tells all that decides it beyond the step's key: its range of rows."""
        return Shard(self._folder / "shards", name)

    @cached_property
    def path(self) -> Path:
        """A local folder; what was written to it and synced is there again after a kill."""
        files = self._folder / "files"
        if files.is_local:
            local = Path(files.path)
            local.mkdir(parents=True, exist_ok=True)
            return local
        local = Path(tempfile.mkdtemp(prefix="capsight-"))
        for file in files.files():
            (local / file.name).parent.mkdir(parents=True, exist_ok=True)
            (local / file.name).write_bytes(files.read(file.name))
        return local

    def sync(self) -> None:
        """Send the files of `path` that changed to a remote store, at most every 30 seconds.

        To be called between writes to `path`; `Job.progress` does.
        """
        recent = time.monotonic() - self._synced < SYNC_SECONDS
        if self._folder.is_local or "path" not in self.__dict__ or recent:
            return
        for file in sorted(self.path.rglob("*")):
            if file.is_file():
                stamp = (file.stat().st_size, file.stat().st_mtime_ns)
                if self._sent.get(file) != stamp:
                    (self._folder / "files").write(file.relative_to(self.path).as_posix(), file.read_bytes())
                    self._sent[file] = stamp
        self._synced = time.monotonic()

    def close(self) -> None:
        """Drop the local mirror of a remote workspace."""
        if not self._folder.is_local and "path" in self.__dict__:
            shutil.rmtree(self.path, ignore_errors=True)
            del self.path

    def remove(self) -> None:
        """Drop the workspace: its step is published."""
        self.close()
        self._folder.remove()
