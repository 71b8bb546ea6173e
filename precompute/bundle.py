"""Bundles: the named artifacts of one data set and profile."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from precompute.artifact import Artifact, CorruptArtifact, MissingArtifact, build_command
from precompute.canonical import seal, unseal
from precompute.files import Folder

if TYPE_CHECKING:
    from precompute.store import Store

BEST_FIRST = ("paper", "demo", "smoke")


@dataclass(frozen=True)
class Bundle:
    """What was built for one data set under one profile; artifacts are read when asked for.

    Attributes:
        store: Where the artifacts are read from.
        dataset, profile: What it was built for.
        names: The key of each named artifact.
        facts: JSON values about the bundle as a whole.
        shipped: Whether it came with the program rather than being built here.
    """

    store: Store
    dataset: str
    profile: str
    names: Mapping[str, str]
    facts: Mapping[str, Any]
    shipped: bool = False

    def __contains__(self, name: str) -> bool:
        return name in self.names

    def __getitem__(self, name: str) -> Artifact:
        return self.load(name)

    def load(self, name: str, only: Collection[str] | None = None) -> Artifact:
        """The artifact of that name; `only` as in `Store.load`.

        Raises: MissingArtifact: when the bundle has none of that name, or its artifact is gone.
            CorruptArtifact.
        """
        if name in self.names:
            try:
                return self.store.load(self.names[name], only)
            except MissingArtifact:
                pass
        raise MissingArtifact(
            f"expected {name!r} in the {self.profile} bundle of {self.dataset}, found none; "
            f"run `{build_command(self.dataset, self.profile)}`"
        )

    def get(self, name: str, only: Collection[str] | None = None) -> Artifact | None:
        """The artifact of that name, or None when there is none. Raises CorruptArtifact."""
        try:
            return self.load(name, only)
        except MissingArtifact:
            return None


def write_bundle(folder: Folder, file: str, bundle: Bundle) -> None:
    """Write what names a bundle's artifacts; readers see the old one or the new."""
    document = {name: getattr(bundle, name) for name in ("dataset", "profile", "names", "facts")}
    folder.write(file, seal(document))


def read_bundle(store: Store, folder: Folder, file: str, *, shipped: bool) -> Bundle | None:
    """What `write_bundle` wrote, or None where nothing is. Raises CorruptArtifact."""
    try:
        document = unseal(folder.read(file))
    except FileNotFoundError:
        return None
    except ValueError as error:
        where = file.removesuffix(".json").split("/")  # dataset/profile, but in a shipped bundle
        command = build_command(*where) if len(where) == 2 else build_command()
        raise CorruptArtifact(f"{folder}/{file} is damaged ({error}); rebuild it with `{command}`") from None
    return Bundle(store, **document, shipped=shipped)
