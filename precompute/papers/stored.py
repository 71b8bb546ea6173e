"""Stored results as papers need them: whoever has bundles passes them in, the store is not known here."""

from collections.abc import Collection, Iterable, Mapping
from typing import Any, Protocol, TypeVar

import pandas as pd  # pyright: ignore[reportMissingTypeStubs]
from torch import Tensor

from precompute.papers.drawing import NotDrawable
from precompute.steps.records import Record

Rows = list[dict[str, Any]]
R = TypeVar("R", bound=Record)


class StoredArtifact(Protocol):
    """What a step made."""

    @property
    def tensors(self) -> Mapping[str, Tensor]:
        """By name, on the CPU."""
        ...

    @property
    def tables(self) -> Mapping[str, pd.DataFrame]:
        """By name."""
        ...

    @property
    def facts(self) -> Mapping[str, Any]:
        """JSON values."""
        ...


class StoredBundle(Protocol):
    """What was built for one data set under one profile."""

    @property
    def dataset(self) -> str:
        """Its name."""
        ...

    @property
    def profile(self) -> str:
        """smoke, demo or paper."""
        ...

    @property
    def facts(self) -> Mapping[str, Any]:
        """JSON values about the bundle as a whole."""
        ...

    def get(self, name: str, only: Collection[str] | None = None) -> StoredArtifact | None:
        """The artifact of that name, with these tensors and tables alone; None where there is none."""
        ...


class Results:
    """The bundles that a paper is reproduced from, one a data set.

    Args:
        bundles: At most one of each data set.
        name: Of the artifact that has the paper's tables.
    """

    def __init__(self, bundles: Iterable[StoredBundle], name: str = "results") -> None:
        self.name = name
        self._bundles = {bundle.dataset: bundle for bundle in bundles}

    @property
    def datasets(self) -> list[str]:
        """Those with results."""
        return list(self._bundles)

    def bundle(self, dataset: str) -> StoredBundle:
        """The bundle of a data set. Raises NotDrawable: when there is none."""
        if dataset not in self._bundles:
            raise NotDrawable(not_built(dataset))
        return self._bundles[dataset]

    def artifact(self, dataset: str, name: str, only: Collection[str] | None = None) -> StoredArtifact:
        """An artifact of a data set's bundle. Raises NotDrawable: when there is none."""
        bundle = self.bundle(dataset)
        found = bundle.get(name, only)
        if found is None:
            raise NotDrawable(f"the {bundle.profile} bundle of {dataset} has no {name}")
        return found

    def record(self, dataset: str, name: str, kind: type[R]) -> R:
        """An artifact of a data set's bundle as a record. Raises NotDrawable: when there is none."""
        return kind.of(self.artifact(dataset, name))

    def rows(self, dataset: str, table: str) -> Rows:
        """A table of a data set's results, as records; none where there is no such table."""
        bundle = self._bundles.get(dataset)
        found = bundle.get(self.name, (table,)) if bundle else None
        if found is None or table not in found.tables:
            return []
        return [
            {str(column): value for column, value in row.items()}
            for row in found.tables[table].to_dict("records")
        ]


def not_built(dataset: str) -> str:
    """Why there is nothing of a data set, and what to do."""
    return f"not built; run `python -m precompute build {dataset} --profile demo`"
