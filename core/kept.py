"""Attacked images from what is stored of an attack: perturbations of all its rows, of some, or of none."""

from collections.abc import Mapping

import torch
from torch import Tensor

from core.images import LEVELS


def kept_rows(tensors: Mapping[str, Tensor]) -> Tensor:
    """Rows whose perturbation is stored, (K,), in order.

    Args:
        tensors: Of an attack: `index` (N,); `perturbation` (K, C, H, W) where any is kept; `kept` (K,) where
            it is not that of every row.
    """
    if "perturbation" not in tensors:
        return torch.empty(0, dtype=torch.int64)
    return tensors.get("kept", torch.arange(len(tensors["index"])))


def perturbations(tensors: Mapping[str, Tensor], rows: Tensor) -> Tensor:
    """Stored perturbations of some rows, (B, C, H, W), in units of 1/255.

    Args:
        tensors: As for `kept_rows`.
        rows: (B,).
    Raises: ValueError: when that of a row is not stored.
    """
    kept = kept_rows(tensors)
    absent = rows[~torch.isin(rows, kept)]
    if len(absent):
        raise ValueError(
            f"expected rows whose perturbation is stored, got {int(absent[0])}, which is not among the "
            f"{len(kept)} of {len(tensors['index'])}; choose from `kept_rows`"
        )
    return tensors["perturbation"][torch.searchsorted(kept, rows.contiguous())]


def attacked_images(images: Tensor, tensors: Mapping[str, Tensor], rows: Tensor) -> Tensor:
    """Attacked images of some rows, (B, C, H, W) uint8.

    Args:
        images: Of the test split, uint8.
        tensors, rows: As for `perturbations`.
    Raises: ValueError: when the perturbation of a row is not stored.
    """
    levels = images[tensors["index"][rows]].short() + perturbations(tensors, rows).short()
    return levels.clamp(0, LEVELS).to(torch.uint8)
