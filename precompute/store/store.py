"""The store: artifacts by key, in the folder of whoever builds and in the bundles that ship.

```
artifacts/<key>/                            manifest.json and data files, see `artifact.py`
bundles/<dataset>/<paper>-<profile>.json    which artifacts a bundle names
work/<key>/                                 shards and checkpoints of an unfinished step
locks/<key>.lock                            held while a step is built on this machine
```

What ships of a data set is a folder with `<paper>-<profile>.json` for each bundle, and `artifacts/`, which
they share. It is read first and never written, but by `export`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Collection, Generator, Iterable, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import platformdirs

from precompute.store.artifact import Artifact, CorruptArtifact, MissingArtifact, Shelf, build_command
from precompute.store.bundle import BEST_FIRST, Bundle, read_bundle, write_bundle
from precompute.store.files import Folder
from precompute.store.workspace import Workspace

if TYPE_CHECKING:
    import pandas
    import torch

SHIPPED = Path(__file__).resolve().parents[2] / "assets" / "bundles"
_T = TypeVar("_T")


def default_url() -> str:
    """Where artifacts are kept.

    Returns: CAPSIGHT_STORE where that is set, else `capsight/store` in the user's cache folder.
    """
    chosen = os.environ.get("CAPSIGHT_STORE", "").strip()
    return chosen or str(Path(platformdirs.user_cache_dir("capsight", appauthor=False)) / "store")


class Store:
    """Artifacts and bundles. Making a Store writes nothing; a folder that does not exist reads as empty.

    Args:
        url: A path or an fsspec URL; None for `default_url()`.
        bundles: Folders of what ships, one a data set; None for those in `assets/bundles`.

    Attributes:
        folder: The store's own folder.
        own: The artifacts in it.
        shelves: All that artifacts are read from, `own` last.
    """

    def __init__(
        self,
        url: str | os.PathLike[str] | None = None,
        bundles: Iterable[str | os.PathLike[str]] | None = None,
    ) -> None:
        self._shipped = None if bundles is None else [os.fspath(bundle) for bundle in bundles]
        shipped = sorted(SHIPPED.glob("*/")) if self._shipped is None else self._shipped
        self.folder = Folder.open(default_url() if url is None else url)
        self._roots = [Folder.open(root) for root in shipped]
        self.own = Shelf(self.folder / "artifacts")
        self.shelves = [*(Shelf(root / "artifacts") for root in self._roots), self.own]

    def __reduce__(self) -> tuple[Any, ...]:
        # Another process finds its own shipped bundles, which may lie elsewhere on its machine.
        return Store, (self.folder.url, self._shipped)

    def __str__(self) -> str:
        return str(self.folder)

    # Artifacts

    def manifest(self, key: str) -> dict[str, Any]:
        """The manifest of an artifact: recipe, facts, files, origin.

        Raises: MissingArtifact, CorruptArtifact.
        """
        return self._first(key, lambda shelf: shelf.manifest(key))

    def has(self, key: str) -> bool:
        """Whether the artifact is there, going by its manifest."""
        try:
            self.manifest(key)
        except (MissingArtifact, CorruptArtifact):
            return False
        return True

    def is_whole(self, key: str) -> bool:
        """Whether the artifact is there and undamaged; reads every byte of it."""
        return any(not shelf.problems(key) for shelf in self.shelves)

    def load(self, key: str, only: Collection[str] | None = None) -> Artifact:
        """Read an artifact, checking the digest of every file that is opened.

        Args:
            key: Its key.
            only: Names of the tensors and tables to read; None for all, () for the facts alone.
        Raises: MissingArtifact; CorruptArtifact, naming the file and the command that rebuilds it.
        """
        return self._first(key, lambda shelf: shelf.load(key, only))

    def publish(
        self,
        key: str,
        recipe: Mapping[str, Any],
        tensors: Mapping[str, torch.Tensor] | None = None,
        tables: Mapping[str, pandas.DataFrame] | None = None,
        facts: Mapping[str, Any] | None = None,
        origin: Mapping[str, Any] | None = None,
    ) -> Artifact:
        """Store an artifact, over any of the same key, and read it back.

        Args:
            key, recipe, tensors, tables, facts: As in `Artifact`.
            origin: What is worth knowing and not part of the recipe; `dataset` and `profile` in it make the
                messages about this artifact name the right command.
        """
        self.own.publish(key, recipe, tensors, tables, facts, origin)
        return self.own.load(key)

    def _first(self, key: str, read: Callable[[Shelf], _T]) -> _T:
        """The first that a shelf gives; damage on one does not matter when another has the artifact."""
        damage: CorruptArtifact | None = None
        for shelf in self.shelves:
            try:
                return read(shelf)
            except MissingArtifact:
                continue
            except CorruptArtifact as error:
                damage = damage or error
        raise damage or MissingArtifact(f"expected an artifact {key}, found none; run `{build_command()}`")

    # Building

    def workspace(self, key: str) -> Workspace:
        """The scratch folder of the unfinished step of that key."""
        return Workspace(self.folder / "work" / key)

    @contextmanager
    def claim(self, key: str, waiting: Callable[[], bool]) -> Generator[bool]:
        """Hold the right to build `key` against other builds on this machine; a killed one loses it.

        Builders that share no disk are not held off: they publish the same artifact, which does no harm.

        Args:
            key: The key to build.
            waiting: Called every 0.2 s while another build holds the right; returns whether to give up.
        Returns: A context manager giving whether the right was had.
        """
        if not self.folder.is_local:
            yield True
            return
        from filelock import FileLock, Timeout

        path = Path(self.folder.path, "locks", f"{key}.lock")
        path.parent.mkdir(parents=True, exist_ok=True)
        lock = FileLock(path)
        while True:
            try:
                lock.acquire(timeout=0)
                break
            except Timeout:
                if waiting():
                    yield False
                    return
                time.sleep(0.2)
        try:
            yield True
        finally:
            # Unlinked while it is held: who waits on the old file sees that it is gone and takes a new one.
            with suppress(PermissionError):  # Windows keeps open files
                path.unlink()
            lock.release()

    # Bundles

    def set_bundle(
        self,
        dataset: str,
        paper: str,
        profile: str,
        names: Mapping[str, str],
        facts: Mapping[str, Any] | None = None,
    ) -> Bundle:
        """Name the artifacts of a paper on a data set under a profile, in place of what they were."""
        bundle = Bundle(self, dataset, paper, profile, dict(names), dict(facts or {}))
        write_bundle(self.folder / "bundles" / dataset, bundle)
        return bundle

    def bundle_files(self) -> list[tuple[Folder, str, bool]]:
        """Folder and name of every file that describes a bundle, and whether it shipped; those first."""
        own = self.folder / "bundles"
        folders = [(root, True) for root in self._roots] + [(own / dataset, False) for dataset in own.names()]
        return [
            (folder, name, shipped)
            for folder, shipped in folders
            for name in folder.names()
            if name.endswith(".json")
        ]

    def bundles(self) -> list[Bundle]:
        """Every bundle, shipped ones first. Raises CorruptArtifact."""
        read = (
            read_bundle(self, folder, name, shipped=shipped) for folder, name, shipped in self.bundle_files()
        )
        return [bundle for bundle in read if bundle]

    def bundle(self, dataset: str, paper: str, profile: str | None = None) -> Bundle | None:
        """The bundle of a paper on a data set, or None.

        A shipped bundle comes before one built here, unless the latter is the same build with more in it:
        what ships leaves some artifacts out, and whoever built them sees them all.

        Args:
            dataset, paper: Their names.
            profile: The profile; None for the best there is (paper, demo, smoke).
        Raises: CorruptArtifact: when there is none, and a bundle that it might be is damaged.
        """
        by_profile: dict[str, list[Bundle]] = {}
        damage: CorruptArtifact | None = None
        for folder, name, shipped in self.bundle_files():
            try:
                bundle = read_bundle(self, folder, name, shipped=shipped)
            except CorruptArtifact as error:
                if name.startswith(f"{paper}-") and str(folder).endswith(f"/{dataset}"):
                    damage = damage or error
                continue
            if bundle and (bundle.dataset, bundle.paper) == (dataset, paper):
                by_profile.setdefault(bundle.profile, []).append(bundle)
        for wanted in BEST_FIRST if profile is None else (profile,):
            if wanted in by_profile:
                first, last = by_profile[wanted][0], by_profile[wanted][-1]
                return last if first.names.items() <= last.names.items() else first
        if damage:
            raise damage
        return None

    def export(self, bundle: Bundle, folder: str | os.PathLike[str], names: Sequence[str]) -> Bundle:
        """Ship a bundle into `folder`: the artifacts of these names, beside those of other bundles there.

        Artifacts that none of the folder's bundles names are removed.

        Raises: MissingArtifact, CorruptArtifact.
        """
        root = Folder.open(folder)
        shelf = Shelf(root / "artifacts")
        for name in names:
            bundle.load(name, only=())  # says what to build when it is missing
            self._first(bundle.names[name], lambda source, key=bundle.names[name]: source.ship(key, shelf))
        chosen = {name: bundle.names[name] for name in names}
        exported = replace(bundle, store=self, names=chosen, shipped=True)
        write_bundle(root, exported)
        kept = {
            key
            for file in root.names()
            if file.endswith(".json") and (beside := read_bundle(self, root, file, shipped=True))
            for key in beside.names.values()
        }
        for key in shelf.names():
            if key not in kept:
                shelf.remove(key)
        return exported
