import pytest
import torch

from core.selection import select

LABELS = torch.arange(200).flip(0) % 10


def choice(first=0, per_class=3, targets="all", seed=0):
    return {"first": first, "per_class": per_class, "targets": targets, "seed": seed}


def test_all_targets_make_nine_rows_an_image():
    rows = select(LABELS, choice(), 10)
    assert len(rows.index) == 10 * 3 * 9
    assert torch.equal(LABELS[rows.index], rows.label)
    assert (rows.target != rows.label).all()
    pairs = torch.bincount(rows.label * 10 + rows.target, minlength=100).view(10, 10)
    assert torch.equal(pairs, 3 - 3 * torch.eye(10, dtype=torch.long))


def test_later_choices_share_no_image_with_earlier_ones():
    first, second = select(LABELS, choice(), 10), select(LABELS, choice(first=3, targets="none"), 10)
    assert not set(first.index.tolist()) & set(second.index.tolist())
    assert second.target is None


def test_random_targets_are_uniform_over_the_others_and_keyed_by_image():
    labels = torch.zeros(10_000, dtype=torch.long)
    labels[9_000:] = torch.arange(1000) % 9 + 1
    rows = select(labels, choice(per_class=100, targets="random"), 10)
    again = select(labels, choice(first=50, per_class=50, targets="random"), 10)
    late = {int(i): int(t) for i, t in zip(rows.index, rows.target, strict=True)}
    assert all(late[int(i)] == int(t) for i, t in zip(again.index, again.target, strict=True))
    offsets = torch.bincount((rows.target - rows.label) % 10, minlength=10)
    assert offsets[0] == 0
    assert offsets[1:].min() > 60
    other = select(labels, choice(per_class=100, targets="random", seed=1), 10)
    assert not torch.equal(rows.target, other.target)


def test_slices_keep_rows_together():
    rows = select(LABELS, choice(), 10)[5:9]
    assert len(rows.index) == len(rows.label) == len(rows.target) == 4


def test_all_images_of_classes_that_are_not_alike():
    labels = torch.tensor([3, *range(10), 3, 9])
    rows = select(labels, choice(per_class=None, targets="none"), 10)
    assert sorted(rows.index.tolist()) == list(range(13))
    assert rows.index[3:6].tolist() == [0, 4, 11]
    assert select(labels, choice(first=1, per_class=None, targets="none"), 10).index.tolist() == [4, 11, 12]


def test_too_few_images_and_bad_targets_are_told():
    with pytest.raises(ValueError, match="expected 25 test images of class 0, got 20"):
        select(LABELS, choice(first=5, per_class=20), 10)
    with pytest.raises(ValueError, match="expected targets all, random or none, got 'some'"):
        select(LABELS, choice(targets="some"), 10)
