"""Artifacts, the shelf of them that a store or a shipped bundle is, and what can be wrong with one.

A shelf is a folder of folders: `<key>/manifest.json` and data files whose names carry their digest, so that
two builders of one key never write the same name with different content. The manifest is written last: what
has none is not there.
"""

from __future__ import annotations

import io
import lzma
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from precompute.store.canonical import plain, seal, sha256, unseal
from precompute.store.files import Folder

if TYPE_CHECKING:
    import pandas
    import torch

MANIFEST = "manifest.json"
COMPRESSED = ".xz"
FORMAT = 1


class MissingArtifact(LookupError):  # noqa: N818 - says what is the matter without a suffix
    """An artifact that is asked for and not there; the message names the command that builds it."""


class CorruptArtifact(RuntimeError):  # noqa: N818
    """A stored file that is not what was stored; the message names it and the command that rebuilds it."""


def build_command(dataset: str = "DATASET", profile: str = "PROFILE", paper: str | None = None) -> str:
    """The command that builds, and rebuilds, the bundles of a data set: of one paper, or of all."""
    chosen = "" if paper is None else f" --paper {paper}"
    return f"python -m precompute build {dataset}{chosen} --profile {profile}"


@dataclass(frozen=True)
class Artifact:
    """What a step made.

    Attributes:
        key: The step's key.
        recipe: What the key is the hash of.
        tensors: Tensors by name, on the CPU.
        tables: Data frames by name.
        facts: JSON values.
    """

    key: str
    recipe: dict[str, Any]
    tensors: dict[str, torch.Tensor] = field(default_factory=dict)
    tables: dict[str, pandas.DataFrame] = field(default_factory=dict)
    facts: dict[str, Any] = field(default_factory=dict)


class Shelf:
    """The artifacts of one root."""

    def __init__(self, folder: Folder) -> None:
        self.folder = folder

    def names(self) -> list[str]:
        """The keys of everything that has a folder here, finished or not."""
        return self.folder.names()

    def manifest(self, key: str) -> dict[str, Any]:
        """The manifest of an artifact.

        Raises: MissingArtifact: when there is none. CorruptArtifact: when it is damaged.
        """
        try:
            data = (self.folder / key).read(MANIFEST)
        except (FileNotFoundError, NotADirectoryError):
            raise MissingArtifact(
                f"expected an artifact {key}, found none; run `{build_command()}`"
            ) from None
        try:
            manifest = unseal(data)
        except ValueError as error:
            raise self._corrupt(key, MANIFEST, str(error), {}) from None
        if manifest["key"] != key or manifest["format"] != FORMAT:
            found = f"it describes {manifest['key']} in format {manifest['format']}, expected format {FORMAT}"
            raise self._corrupt(key, MANIFEST, found, manifest["origin"])
        return manifest

    def load(self, key: str, only: Collection[str] | None = None) -> Artifact:
        """Read an artifact, checking the digest of every file that is opened.

        Args:
            key: Its key.
            only: Names of the tensors and tables to read; None for all, () for the facts alone.
        Raises: MissingArtifact, CorruptArtifact.
        """
        manifest = self.manifest(key)
        tensors: dict[str, torch.Tensor] = {}
        tables: dict[str, pandas.DataFrame] = {}
        for entry in manifest["files"]:
            wanted = [name for name in entry["names"] if only is None or name in only]
            if not wanted:
                continue
            data = self._read(manifest, entry)
            if entry["kind"] == "tensors":
                packed = entry["file"].endswith(COMPRESSED)
                read = decode_tensors(lzma.decompress(data) if packed else data)
                tensors.update((name, read[name]) for name in wanted)
            else:
                tables[wanted[0]] = _decode_table(data)
        return Artifact(key, manifest["recipe"], tensors, tables, manifest["facts"])

    def problems(self, key: str) -> list[str]:
        """What is wrong with an artifact, a sentence each; every byte of it is read."""
        try:
            manifest = self.manifest(key)
        except (MissingArtifact, CorruptArtifact) as error:
            return [str(error)]
        found = []
        for entry in manifest["files"]:
            try:
                self._read(manifest, entry)
            except CorruptArtifact as error:
                found.append(str(error))
        return found

    def publish(
        self,
        key: str,
        recipe: Mapping[str, Any],
        tensors: Mapping[str, torch.Tensor] | None = None,
        tables: Mapping[str, pandas.DataFrame] | None = None,
        facts: Mapping[str, Any] | None = None,
        origin: Mapping[str, Any] | None = None,
    ) -> None:
        """Write an artifact: its files, then the manifest that makes it one.

        Args:
            key, recipe, tensors, tables, facts: As in `Artifact`.
            origin: What is worth knowing and not part of the recipe (dataset, profile, name, seconds).
        Raises: TypeError: when recipe, facts or origin are not JSON. ValueError: when a table has an index
            of its own, or a name cannot be that of a file.
        """
        files: list[dict[str, Any]] = []
        blobs: list[bytes] = []
        if tensors:
            blobs.append(encode_tensors(tensors))
            files.append({"kind": "tensors", "names": sorted(tensors), "file": "tensors-{}.safetensors"})
        for name, table in (tables or {}).items():
            blobs.append(_encode_table(name, table))
            files.append({"kind": "table", "names": [name], "file": name + "-{}.parquet"})
        for entry, data in zip(files, blobs, strict=True):
            digest = sha256(data)
            entry.update(file=entry["file"].format(digest[:16]), sha256=digest, bytes=len(data))
        manifest = {
            "format": FORMAT,
            "key": key,
            "recipe": plain(recipe, "recipe"),
            "facts": plain(facts or {}, "facts"),
            "origin": plain(origin or {}, "origin"),
            "files": files,
        }
        sealed = seal(manifest)
        for entry, data in zip(files, blobs, strict=True):
            (self.folder / key).write(entry["file"], data)
        (self.folder / key).write(MANIFEST, sealed)

    def ship(self, key: str, to: Shelf) -> None:
        """Copy an artifact to a shelf that travels, checking it on the way; its tensors are compressed.

        Raises: MissingArtifact, CorruptArtifact.
        """
        manifest = self.manifest(key)
        files: list[dict[str, Any]] = []
        for described in manifest["files"]:
            entry: dict[str, Any] = dict(described)
            data = self._read(manifest, entry)
            if entry["kind"] == "tensors" and not entry["file"].endswith(COMPRESSED):
                data = lzma.compress(data)
                digest = sha256(data)
                file = f"tensors-{digest[:16]}.safetensors{COMPRESSED}"
                entry.update(file=file, sha256=digest, bytes=len(data))
            (to.folder / key).write(entry["file"], data)
            files.append(entry)
        (to.folder / key).write(MANIFEST, seal({**manifest, "files": files}))

    def remove(self, key: str) -> None:
        """Take an artifact off the shelf; its manifest goes first, so that a kill leaves no half of it."""
        (self.folder / key).remove(MANIFEST)
        (self.folder / key).remove()

    def _read(self, manifest: Mapping[str, Any], entry: Mapping[str, Any]) -> bytes:
        """The bytes of a data file, checked."""
        key, file, origin = manifest["key"], entry["file"], manifest["origin"]
        try:
            data = (self.folder / key).read(file)
        except FileNotFoundError:
            raise self._corrupt(key, file, "it is gone", origin) from None
        if len(data) != entry["bytes"]:
            raise self._corrupt(key, file, f"expected {entry['bytes']} bytes, got {len(data)}", origin)
        if sha256(data) != entry["sha256"]:
            raise self._corrupt(key, file, "its digest does not match the manifest's", origin)
        return data

    def _corrupt(self, key: str, file: str, found: str, origin: Mapping[str, Any]) -> CorruptArtifact:
        command = build_command(**{word: origin[word] for word in ("dataset", "profile") if word in origin})
        return CorruptArtifact(
            f"{self.folder / key}/{file} is damaged ({found}); rebuild it with `{command}`"
        )


def encode_tensors(tensors: Mapping[str, torch.Tensor]) -> bytes:
    """Tensors as safetensors."""
    import safetensors.torch

    # Cloned, because safetensors refuses views that share memory, and a view of a large tensor is common.
    return safetensors.torch.save(
        {name: t.detach().cpu().contiguous().clone() for name, t in tensors.items()}
    )


def decode_tensors(data: bytes) -> dict[str, torch.Tensor]:
    """What `encode_tensors` wrote."""
    import safetensors.torch

    return safetensors.torch.load(data)


def _encode_table(name: str, table: pandas.DataFrame) -> bytes:
    import pandas

    if not re.fullmatch(r"[a-z0-9_-]+", name):
        raise ValueError(f"expected a table name of a-z, 0-9, _ and -, got {name!r}; rename the table")
    if not table.index.equals(pandas.RangeIndex(len(table))):
        raise ValueError(
            f"expected table {name!r} with the index 0, 1, ..., got its own; call reset_index() first"
        )
    buffer = io.BytesIO()
    table.to_parquet(buffer, compression="zstd", index=False)
    return buffer.getvalue()


def _decode_table(data: bytes) -> pandas.DataFrame:
    import pandas

    # In this thread alone: Arrow's own may still hold a part of the file when the interpreter ends, which
    # then aborts.
    return pandas.read_parquet(io.BytesIO(data), use_threads=False, pre_buffer=False)
