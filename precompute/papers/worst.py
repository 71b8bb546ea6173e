"""The worst case over beta of a Reconstructive Attack: one beta for all images, or one for each image."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from precompute.papers.stored import Results, Rows

Sweeps = Mapping[str, Sequence[Mapping[str, Any]]]
WORST_BETA, WORST_IMAGE = "worst_beta", "worst_image"
"""Metrics: the highest undetected rate that any beta of the sweep has, which is what the paper reports; and
the share of images that some beta brings past the detector, which is never lower."""


def with_worst(rows: Iterable[Mapping[str, Any]], results: Results) -> Rows:
    """Rows of a report, undetected rates of the sweeps' attacks followed by their worst cases over beta.

    Args:
        rows: From `report_rows`.
    Returns: The rows, and between them others with `WORST_BETA` and `WORST_IMAGE` as metric. They have the
        published number of the row before them, which is a worst case; ours, low, high and n are of the
        images of the sweep, others than the table's. `beta` is the worst one, None in all other rows.
    Source: qin2020, Table 3.
    """
    sweeps = sweeps_of(results)
    return [found for row in rows for found in ({**row, "beta": None}, *worst_cases(row, sweeps))]


def sweeps_of(results: Results) -> Sweeps:
    """The sweeps over beta of all data sets."""
    return {dataset: results.rows(dataset, "beta") for dataset in results.datasets}


def worst_cases(row: Mapping[str, Any], sweeps: Sweeps) -> Rows:
    """Both worst cases of one number as rows; none where there is no sweep."""
    sweep = sweeps.get(row["dataset"], ())
    if row["metric"] != "undetected_rate" or row["access"]:
        return []
    place = ("model", "attack", "mode", "metric")
    cells = [cell for cell in sweep if all(cell[name] == row[name] for name in place)]
    # A row without a beta is that of the best one for each image.
    single = [cell for cell in cells if cell["beta"] == cell["beta"]]
    found = [(WORST_BETA, max(single, key=lambda cell: cell["value"]))] if single else []
    found += [(WORST_IMAGE, cell) for cell in cells if cell["beta"] != cell["beta"]]
    return [
        {
            **row,
            "metric": metric,
            "beta": float(cell["beta"]) if metric == WORST_BETA else None,
            **{
                name: round(100 * cell[column], 2)
                for name, column in (("ours", "value"), ("low", "low"), ("high", "high"))
            },
            "n": int(cell["n"]),
        }
        for metric, cell in found
    ]
