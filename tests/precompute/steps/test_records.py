"""Records: what is stored of an artifact and read back, and what is counted from it."""

from dataclasses import fields
from types import SimpleNamespace

import pytest
import torch

from core.selection import select
from precompute.papers import PAPERS
from precompute.steps import records
from precompute.steps.records import Attacked, Clean, Embedded, Kept, Sweep, Targeted, UniversalTransferred
from precompute.store import Store

IMAGES = torch.tensor([10, 250, 100], dtype=torch.uint8).reshape(3, 1, 1, 1)
KINDS = {
    "weights": records.Weights,
    "clean": records.Clean,
    "attacked": records.Attacked,
    "excerpt": records.Attacked,
    "sweep": records.Sweep,
    "corrupted": records.Corrupted,
    "reconstructions": records.Reconstructed,
    "walkthrough": records.Walkthrough,
    "similarity": records.Similarity,
    "judged": records.Judged,
    "readings": records.Predicted,
    "universal": records.Universal,
    "universal_transfer": records.UniversalTransferred,
    "minimum": records.Minimal,
    "transfer": records.Transferred,
    "embedding": records.Embedded,
}
"""What the steps that ship tensors store, by function."""


def artifact(tensors, **facts):
    return SimpleNamespace(tensors=tensors, facts=facts)


def kept(levels, **more):
    perturbation = torch.tensor(levels, dtype=torch.int8).reshape(-1, 1, 1, 1)
    index = torch.tensor([1, 0, 2, 2])
    return Kept(index=index, label=torch.zeros_like(index), perturbation=perturbation, **more)


@pytest.mark.parametrize("paper", PAPERS)
@pytest.mark.parametrize("dataset", ["digits", "cifar10"])
def test_records_name_every_tensor_that_ships_and_store_it_as_it_was(tmp_path, paper, dataset):
    bundle = Store(tmp_path).bundle(dataset, paper, "demo")
    assert bundle is not None
    seen = set()
    for step in PAPERS[paper].experiment(dataset, "demo"):
        if step.name not in bundle or not bundle[step.name].tensors:
            continue
        stored = bundle[step.name]
        record = KINDS[step.function].of(stored)
        again = record.tensors()
        assert again.keys() == stored.tensors.keys(), step.name
        for name, tensor in stored.tensors.items():
            assert again[name].dtype == tensor.dtype
            assert torch.equal(again[name], tensor)
        assert record.facts == stored.facts
        seen.add(step.function)
    assert len(seen) >= 6


@pytest.mark.parametrize("targets", ["none", "random", "all"])
def test_untargeted_rows_have_no_target_here_and_minus_one_in_the_store(targets):
    labels = torch.arange(10).repeat(3)
    rows = select(labels, {"first": 0, "per_class": 1, "targets": targets, "seed": 0}, 10)
    record = Targeted(**Targeted.rows(rows))
    stored = record.tensors()["target"]
    assert (stored == -1).all() if targets == "none" else torch.equal(stored, rows.target)
    again = Targeted.of(artifact(record.tensors()))
    assert (again.target is None) == (targets == "none")
    assert again.mode == ("untargeted" if targets == "none" else "targeted")
    assert again.facts == {}


def test_a_missing_tensor_is_named():
    with pytest.raises(TypeError, match="test_label"):
        Clean.of(artifact({"validation_distance": torch.zeros(2)}))


def test_without_a_list_every_row_has_its_perturbation():
    record = kept([20, -20, 3, 4])
    assert record.kept_rows.tolist() == [0, 1, 2, 3]
    images = record.images(IMAGES, torch.tensor([3, 0, 1]))
    assert images.dtype == torch.uint8
    assert images.flatten().tolist() == [104, 255, 0], "in the order asked for, within black and white"


def test_kept_rows_are_found_by_their_number():
    record = kept([20, 4], kept=torch.tensor([0, 3]))
    assert record.kept_rows.tolist() == [0, 3]
    assert record.perturbations(torch.tensor([3, 0, 3])).flatten().tolist() == [4, 20, 4]
    assert record.images(IMAGES, torch.tensor([3])).flatten().tolist() == [104]


def test_a_row_that_was_not_kept_is_refused():
    record = kept([20, 4], kept=torch.tensor([0, 3]))
    with pytest.raises(ValueError, match="got 2, which is not among the 2 of 4"):
        record.images(IMAGES, torch.tensor([3, 2]))


def test_where_none_is_stored_none_is_kept():
    record = Kept(index=torch.tensor([1, 0]), label=torch.tensor([0, 0]))
    assert record.kept_rows.tolist() == []
    with pytest.raises(ValueError, match="got 1"):
        record.perturbations(torch.tensor([1]))


def test_rates_count_what_worked_and_what_was_missed():
    rows = {"index": torch.arange(4), "label": torch.tensor([0, 0, 1, 1])}
    seen = {"prediction": torch.tensor([1, 0, 2, 3]), "distance": torch.tensor([1.0, 1.0, 9.0, 2.0])}
    untargeted = Attacked(**rows, **seen)
    assert untargeted.worked.tolist() == [True, False, True, True]
    assert (untargeted.undetected_rate(2.0).k, untargeted.success_rate().n) == (2, 4)
    targeted = Attacked(**rows, **seen, target=torch.tensor([1, 1, 2, 2]))
    assert targeted.worked.tolist() == [True, False, True, False]
    assert targeted.undetected(2.0).tolist() == [True, False, False, False]


def test_a_sweep_is_an_attack_at_every_beta():
    sweep = Sweep(
        index=torch.arange(2),
        label=torch.tensor([0, 1]),
        beta=torch.tensor([0.25, 0.5]),
        prediction=torch.tensor([[1, 1], [1, 0]]),
        distance=torch.ones(2, 2),
        facts={"best_beta": 0.5},
    )
    assert [attack.worked.tolist() for attack in sweep.attacks] == [[True, False], [True, True]]
    assert sweep.best_beta == 0.5


def test_clean_distances_set_thresholds_that_others_are_counted_at():
    clean = Clean(
        validation_distance=torch.arange(1.0, 21.0),
        test_distance=torch.tensor([18.0, 19.5, 30.0]),
        test_prediction=torch.tensor([0, 1, 2]),
        test_label=torch.tensor([0, 1, 0]),
    )
    assert clean.threshold(0.05) == 19.0
    assert (clean.flagged(19.0).k, clean.errors.k) == (2, 1)
    assert "test_class_distance" not in clean.tensors()


def test_mean_fooling_counts_are_rates_over_the_images():
    tried = UniversalTransferred(
        right=torch.tensor([[[8], [5]]]),
        left=torch.tensor([[[1], [4]]]),
        by_image=torch.zeros(1, 1, 10),
        clean=torch.tensor([[0] * 9 + [1]], dtype=torch.int8),
        index=torch.arange(10),
        label=torch.zeros(10, dtype=torch.int64),
        facts={"models": ["a"], "sources": ["a"]},
    )
    every, right = tried.fooling("a", "a", "all"), tried.fooling("a", "a", "right")
    assert (every.k, every.n) == (4, 10), "10 less the mean of 8 and 5, rounded"
    assert (right.k, right.n) == (2, 9)


def test_coordinates_are_found_by_their_setting():
    grid = torch.arange(2 * 1 * 3 * 2).reshape(2, 1, 3, 2).half()
    about = {name: torch.zeros(3) for name in ("part", "number", "model")}
    facts = {"models": ["a"], "seeds": [7], "perplexities": [5, 15], "neighbours": [3, 4]}
    embedded = Embedded(tsne=grid, umap=grid + 100, **about, facts=facts)
    assert embedded.places("umap", 4, 7).tolist() == (grid[1, 0] + 100).tolist()
    assert embedded.places("tsne", 30, 7) is None
    assert embedded.places("tsne", 5, 0) is None


def test_every_record_says_what_its_tensors_are():
    for kind in KINDS.values():
        own = {f.name for f in fields(kind)} - {"facts"}
        told = " ".join(base.__doc__ or "" for base in kind.__mro__ if issubclass(base, records.Record))
        assert not [name for name in own if name not in told], kind
