import pytest
import torch

from core.kept import attacked_images, kept_rows, perturbations

IMAGES = torch.tensor([10, 250, 100], dtype=torch.uint8).reshape(3, 1, 1, 1)


def stored(levels, **more):
    perturbation = torch.tensor(levels, dtype=torch.int8).reshape(-1, 1, 1, 1)
    return {"index": torch.tensor([1, 0, 2, 2]), "perturbation": perturbation, **more}


def test_without_a_list_every_row_has_its_perturbation():
    tensors = stored([20, -20, 3, 4])
    assert kept_rows(tensors).tolist() == [0, 1, 2, 3]
    found = attacked_images(IMAGES, tensors, torch.tensor([3, 0, 1]))
    assert found.dtype == torch.uint8
    assert found.flatten().tolist() == [104, 255, 0], "in the order asked for, within black and white"


def test_kept_rows_are_found_by_their_number():
    tensors = stored([20, 4], kept=torch.tensor([0, 3]))
    assert kept_rows(tensors).tolist() == [0, 3]
    assert perturbations(tensors, torch.tensor([3, 0, 3])).flatten().tolist() == [4, 20, 4]
    assert attacked_images(IMAGES, tensors, torch.tensor([3])).flatten().tolist() == [104]


def test_a_row_that_was_not_kept_is_refused():
    tensors = stored([20, 4], kept=torch.tensor([0, 3]))
    with pytest.raises(ValueError, match="got 2, which is not among the 2 of 4"):
        attacked_images(IMAGES, tensors, torch.tensor([3, 2]))


def test_where_none_is_stored_none_is_kept():
    tensors = {"index": torch.tensor([1, 0])}
    assert kept_rows(tensors).tolist() == []
    with pytest.raises(ValueError, match="got 1"):
        perturbations(tensors, torch.tensor([1]))
