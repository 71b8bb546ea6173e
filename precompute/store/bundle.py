"""Bundles: the named artifacts of one paper on one data set, under one profile."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

from precompute.store.artifact import Artifact, CorruptArtifact, MissingArtifact, build_command
from precompute.store.canonical import seal, unseal
from precompute.store.files import Folder

BEST_FIRST = ("paper", "demo", "smoke")
ABOUT = ("dataset", "paper", "profile", "names", "facts")


class Artifacts(Protocol):
    """Where a bundle's artifacts are read from: a `Store`."""

    def load(self, key: str, only: Collection[str] | None = None) -> Artifact:
        """The artifact of that key. Raises MissingArtifact, CorruptArtifact."""
        ...


@dataclass(frozen=True)
class Bundle:
    """What was built of a paper on one data set under one profile; artifacts are read when asked for.

    Attributes:
        store: Where the artifacts are read from.
        dataset, paper, profile: What it was built for.
        names: The key of each named artifact.
        facts: JSON values about the bundle as a whole.
        shipped: Whether it came with the program rather than being built here.
    """

    store: Artifacts
    dataset: str
    paper: str
    profile: str
    names: Mapping[str, str]
    facts: Mapping[str, Any]
    shipped: bool = False

    def __contains__(self, name: str) -> bool:
        return name in self.names

    def __getitem__(self, name: str) -> Artifact:
        return self.load(name)

    @property
    def title(self) -> str:
        """Its data set, paper and profile: "mnist/qin2020/demo"."""
        return f"{self.dataset}/{self.paper}/{self.profile}"

    @property
    def command(self) -> str:
        """The command that builds it."""
        return build_command(self.dataset, self.profile, self.paper)

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
            f"expected {name!r} in the {self.profile} bundle of {self.paper} on {self.dataset}, found none; "
            f"run `{self.command}`"
        )

    def get(self, name: str, only: Collection[str] | None = None) -> Artifact | None:
        """The artifact of that name, or None when there is none. Raises CorruptArtifact."""
        try:
            return self.load(name, only)
        except MissingArtifact:
            return None


def bundle_file(paper: str, profile: str) -> str:
    """Name of the file that describes a bundle, in the folder of its data set."""
    return f"{paper}-{profile}.json"


def write_bundle(folder: Folder, bundle: Bundle) -> None:
    """Write the file that names a bundle's artifacts to its data set's folder, over one that is there."""
    document = {name: getattr(bundle, name) for name in ABOUT}
    folder.write(bundle_file(bundle.paper, bundle.profile), seal(document))


def read_bundle(store: Artifacts, folder: Folder, file: str, *, shipped: bool) -> Bundle | None:
    """What `write_bundle` wrote.

    Returns: The bundle; None where there is no file, or one from before bundles belonged to papers, whose
        artifacts the next build finds.
    Raises: CorruptArtifact.
    """
    try:
        document = unseal(folder.read(file))
    except FileNotFoundError:
        return None
    except ValueError as error:
        raise CorruptArtifact(
            f"{folder}/{file} is damaged ({error}); rebuild it with `{_command(folder, file)}`"
        ) from None
    return Bundle(store, **document, shipped=shipped) if document.keys() == set(ABOUT) else None


def _command(folder: Folder, file: str) -> str:
    """The command that writes a bundle's file anew, from the names of its folder and itself."""
    paper, dash, profile = file.removesuffix(".json").rpartition("-")
    return build_command(str(folder).rsplit("/", 1)[-1], profile, paper) if dash else build_command()
