"""What a store holds of the experiments: which steps are there and whole, and what a key stands for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from precompute.steps.step import Step, keys_by_name, walk
from precompute.store import Bundle, Store
from precompute.store.artifact import CorruptArtifact, MissingArtifact
from precompute.store.bundle import read_bundle

State = Literal["present", "stale", "missing"]


Experiments = Mapping[tuple[str, str, str], Sequence[Step]]
"""The steps of each bundle there can be, by data set, paper and profile."""


def status(store: Store, experiments: Experiments) -> list[dict[str, Any]]:
    """One object per data set, paper and profile, with the state of each step.

    A step is `present`, or `stale` when only another version of it is there, or `missing`. A bundle is
    `shipped` or `own`, and `current` when it names just what the experiment makes.
    """
    rows: list[dict[str, Any]] = []
    earlier = {_origin(manifest) for manifest in _manifests(store)}
    for (dataset, paper, profile), wanted in experiments.items():
        keys = keys_by_name(wanted)
        bundle = _bundle(store, dataset, paper, profile)
        steps: list[dict[str, str]] = []
        for name, key in keys.items():
            stale = bool(bundle and name in bundle) or (dataset, profile, name) in earlier
            state: State = "present" if store.has(key) else "stale" if stale else "missing"
            steps.append({"name": name, "key": key, "state": state})
        counts = {
            state: sum(step["state"] == state for step in steps) for state in ("present", "stale", "missing")
        }
        rows.append(
            {
                "dataset": dataset,
                "paper": paper,
                "profile": profile,
                "bundle": None if bundle is None else "shipped" if bundle.shipped else "own",
                "current": bundle is not None and bundle.names.items() <= keys.items(),
                **counts,
                "steps": steps,
            }
        )
    return rows


def wanted_keys(experiments: Experiments) -> set[str]:
    """The keys of every step of every experiment."""
    return {key for steps in experiments.values() for key in walk(steps)}


def verify(store: Store) -> list[dict[str, Any]]:
    """One object per artifact and bundle: path, bytes and the problems found. Every file is read."""
    rows: list[dict[str, Any]] = []
    for shelf in store.shelves:
        for key in shelf.names():
            try:
                manifest = shelf.manifest(key)
                size = sum(entry["bytes"] for entry in manifest["files"])
                name = manifest["origin"].get("name", "")
            except MissingArtifact:
                continue  # unfinished: nothing reads it, gc removes it
            except CorruptArtifact:
                size, name = 0, ""
            path, problems = str(shelf.folder / key), shelf.problems(key)
            rows.append({"kind": "artifact", "name": name, "path": path, "bytes": size, "problems": problems})
    for folder, file, shipped in store.bundle_files():
        name, problems = "", []
        try:
            bundle = read_bundle(store, folder, file, shipped=shipped)
            if bundle:
                name = bundle.title
                problems = [_absent(bundle, item) for item, key in bundle.names.items() if not store.has(key)]
        except CorruptArtifact as error:
            problems = [str(error)]
        rows.append(
            {"kind": "bundle", "name": name, "path": f"{folder}/{file}", "bytes": 0, "problems": problems}
        )
    return rows


def _absent(bundle: Bundle, name: str) -> str:
    return f"{bundle.title} names {name}, whose artifact is gone; rebuild it with `{bundle.command}`"


@dataclass(frozen=True)
class Entry:
    """What is known of a key.

    Attributes:
        key: The key.
        labels: What it is called, "digits/qin2020/demo/capsnet/weights".
        recipe: What it is the hash of.
        state: `present` or `missing`; `old` when it is there and no present experiment makes it.
    """

    key: str
    labels: tuple[str, ...]
    recipe: Mapping[str, Any]
    state: Literal["present", "missing", "old"]


def catalogue(store: Store, experiments: Experiments) -> dict[str, Entry]:
    """Every key of the experiments and of the store."""
    labels: dict[str, list[str]] = {}
    recipes: dict[str, Mapping[str, Any]] = {}
    for (dataset, paper, profile), steps in experiments.items():
        for key, step in walk(steps).items():
            labels.setdefault(key, []).append(f"{dataset}/{paper}/{profile}/{step.name}")
            recipes[key] = step.recipe
    entries = {
        key: Entry(key, tuple(labels[key]), recipe, "present" if store.has(key) else "missing")
        for key, recipe in recipes.items()
    }
    for manifest in _manifests(store):
        entries.setdefault(
            manifest["key"],
            Entry(manifest["key"], ("/".join(_origin(manifest)),), manifest["recipe"], "old"),
        )
    return entries


def lookup(entries: Mapping[str, Entry], query: str) -> list[Entry]:
    """The entries that a query stands for.

    It is a key, the beginning of one, or a name with or without data set, paper and profile. Where a name
    stands for several, those that are present come alone.
    """
    named = [
        entry
        for entry in entries.values()
        if any(query in (label, label.split("/", 3)[-1]) for label in entry.labels)
    ]
    if named:
        return [entry for entry in named if entry.state == "present"] or named
    return [entry for key, entry in entries.items() if query and key.startswith(query)]


def _bundle(store: Store, dataset: str, paper: str, profile: str) -> Bundle | None:
    """The bundle, or None where it is damaged too: building it anew mends that."""
    try:
        return store.bundle(dataset, paper, profile)
    except CorruptArtifact:
        return None


def _manifests(store: Store) -> Iterator[dict[str, Any]]:
    for shelf in store.shelves:
        for key in shelf.names():
            try:
                yield shelf.manifest(key)
            except (MissingArtifact, CorruptArtifact):
                continue


def _origin(manifest: Mapping[str, Any]) -> tuple[str, str, str]:
    """Data set, profile and name that an artifact was first built for."""
    origin = manifest["origin"]
    return origin.get("dataset", ""), origin.get("profile", ""), origin.get("name", "")
