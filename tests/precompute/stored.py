"""Artifacts that are made up for a test: what the test does not look at is filled in."""

from dataclasses import MISSING, fields

import torch

from precompute.steps.records import Record


def filled(kind: type[Record], tensors=None):
    """Stored tensors of a record: those given, and a single zero for every other that it must have."""
    must = {f.name for f in fields(kind) if f.default is MISSING and f.default_factory is MISSING}
    return {name: torch.zeros(1, dtype=torch.int64) for name in must} | dict(tensors or {})
