"""What is in a store and needed by nobody."""

from __future__ import annotations

import time
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from precompute.store.artifact import MANIFEST, CorruptArtifact, MissingArtifact
from precompute.store.files import File
from precompute.store.store import Store

DAY = 24 * 3600.0


@dataclass(frozen=True)
class Garbage:
    """A file that can go: its folder in the store, its name, its bytes, and why nobody needs it."""

    folder: str
    file: str
    bytes: int
    reason: str


def find_garbage(store: Store, keep: Collection[str] = (), *, older_than: float = DAY) -> list[Garbage]:
    """What can be removed from the store's own folder.

    That is: artifacts that no bundle and nothing in `keep` leads to; workspaces and locks of steps that are
    finished or not in `keep`; what killed builds left. All but artifacts must have rested, since a build may
    be at work there.

    Args:
        store: The store.
        keep: Keys that are still wanted, such as those of the present experiments: their artifacts stay, and
            what is unfinished of them can be resumed.
        older_than: Seconds without a change after which a leftover is taken for dead.
    Raises: CorruptArtifact: when a bundle is damaged, so that what it needs is not known.
    """
    wanted = _reachable(store, {*keep, *(key for bundle in store.bundles() for key in bundle.names.values())})
    known: dict[str, set[str] | None] = {}
    dead = time.time() - older_than

    def reason(file: File) -> str | None:
        room, _, rest = file.name.partition("/")
        item, _, name = rest.partition("/")
        rested = file.changed <= dead
        if room == "artifacts":
            if item not in known:
                known[item] = _files_of(store, item)
            files = known[item]
            if files is None:
                return "unfinished or damaged" if rested else None
            if item not in wanted:
                return "no bundle needs it"
            return "left by a killed build" if rested and name not in files else None
        if room in ("work", "locks"):
            key = item.removesuffix(".lock")
            resumable = key in keep and not store.has(key)
            return "no step resumes from it" if rested and not resumable else None
        return "left by a killed build" if rested and file.name.endswith(".tmp") else None

    found = []
    for file in store.folder.files():
        why = reason(file)
        if why:
            folder, _, name = file.name.rpartition("/")
            found.append(Garbage(folder, name, file.bytes, why))
    return found


def remove_garbage(store: Store, garbage: Iterable[Garbage]) -> None:
    """Remove what `find_garbage` found, manifests first, so that a kill leaves no half of an artifact."""
    folders = set()
    for item in sorted(garbage, key=lambda item: item.file != MANIFEST):
        (store.folder / item.folder).remove(item.file)
        folders.add(item.folder)
    for name in folders:
        folder = store.folder / name
        if not folder.names():
            folder.remove()


def _reachable(store: Store, keys: set[str]) -> set[str]:
    """`keys` and those of all that went into them, as far as manifests tell."""
    reached: set[str] = set()
    queue = list(keys)
    while queue:
        key = queue.pop()
        if key not in reached:
            reached.add(key)
            if store.has(key):
                queue.extend(store.manifest(key)["recipe"].get("inputs", {}).values())
    return reached


def _files_of(store: Store, key: str) -> set[str] | None:
    """The files of an artifact in the store's own folder, or None when its manifest is no good."""
    try:
        return {MANIFEST, *(entry["file"] for entry in store.own.manifest(key)["files"])}
    except (MissingArtifact, CorruptArtifact):
        return None
