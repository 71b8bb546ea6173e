"""What is counted and chosen by class, with as many classes as COIL-100 has."""

import numpy as np
import torch

from core.metrics import pair_counts
from core.selection import select

J = 100


def test_every_pair_of_a_hundred_classes_is_counted_on_its_own():
    generator = torch.Generator().manual_seed(0)
    source, target = torch.randint(J, (2, 3000), generator=generator)
    hits = torch.rand(3000, generator=generator) < 0.3
    k, n = pair_counts(source, target, hits, J)
    slow = np.zeros((2, J, J), dtype=np.int64)
    for s, t, hit in zip(source.tolist(), target.tolist(), hits.tolist(), strict=True):
        slow[0, s, t] += hit
        slow[1, s, t] += 1
    assert np.array_equal(k.numpy(), slow[0])
    assert np.array_equal(n.numpy(), slow[1])


def test_all_targets_of_a_hundred_classes_are_aimed_at_once_an_image():
    labels = torch.arange(3 * J).flip(0) % J
    rows = select(labels, {"first": 1, "per_class": 2, "targets": "all", "seed": 0}, J)
    assert len(rows.index) == J * 2 * (J - 1)
    _, trials = pair_counts(rows.label, rows.target, torch.ones_like(rows.label, dtype=torch.bool), J)
    assert torch.equal(trials, 2 - 2 * torch.eye(J, dtype=torch.long))


def test_random_targets_reach_all_of_a_hundred_classes_but_the_own():
    labels = torch.arange(50 * J) % J
    rows = select(labels, {"first": 0, "per_class": 50, "targets": "random", "seed": 0}, J)
    offset = torch.bincount((rows.target - rows.label) % J, minlength=J)
    assert rows.target.max() == J - 1
    assert rows.target.min() == 0
    assert offset[0] == 0
    assert offset[1:].min() > 20
    assert offset[1:].max() < 90
