import pytest
import torch
from torch import nn

from core.transfer import effect_rates, fooling, readings, universal_effect


class Fixed(nn.Module):
    """Reads the class off the first pixel: its tenths."""

    def forward(self, x):
        tenths = (x[:, 0, 0, 0] * 10 + 0.5).floor().clamp(0, 9).long()
        return nn.functional.one_hot(tenths, 10).float()


def images(*tenths: int) -> torch.Tensor:
    x = torch.zeros(len(tenths), 1, 2, 3)
    x[:, 0, 0, 0] = torch.tensor(tenths) / 10
    return x


def test_readings_are_the_classes_of_every_model():
    found = readings({"a": Fixed(), "b": nn.Sequential(Fixed(), nn.Linear(10, 10))}, images(3, 7))
    assert found["a"].tolist() == [3, 7]
    assert found["b"].shape == (2,)


def rows(found):
    return {(row["model"], row["of"]): (row["k"], row["n"]) for row in found}


def test_untargeted_fooling_is_a_label_left():
    label = torch.tensor([1, 2, 3, 4])
    seen = {"near": torch.tensor([1, 2, 3, 9]), "far": torch.tensor([7, 8, 9, 4])}
    clean = {"near": label, "far": torch.tensor([1, 2, 0, 4])}
    assert rows(fooling(seen, clean, label)) == {
        ("near", "all"): (1, 4),
        ("near", "right"): (1, 4),
        ("far", "all"): (3, 4),
        ("far", "right"): (2, 3),  # the image that it misread before does not count
    }


def test_targeted_fooling_is_the_target_alone():
    label, target = torch.tensor([1, 2, 3, 4]), torch.tensor([5, 5, 5, 5])
    seen = {"m": torch.tensor([5, 9, 3, 5])}
    (whole, right) = fooling(seen, {"m": torch.tensor([1, 2, 3, 0])}, label, target)
    assert (whole["k"], whole["n"]) == (2, 4), "another wrong class is no success"
    assert (right["k"], right["n"]) == (1, 3)
    assert right["low"] < 1 / 3 < right["high"]


def test_a_model_that_was_never_right_has_no_such_row():
    label = torch.tensor([1, 2])
    found = list(fooling({"m": label}, {"m": torch.tensor([0, 0])}, label))
    assert [row["of"] for row in found] == ["all"]


def test_a_universal_perturbation_is_added_to_every_image_and_clipped():
    x, label = images(1, 2, 8), torch.tensor([1, 2, 8])
    up = images(3)[0]
    right, seen = universal_effect(Fixed(), up, x, label, batch_size=2)
    assert seen.tolist() == [4, 5, 9], "1.1 is clipped to 1"
    assert not right.any()
    assert universal_effect(Fixed(), 0 * up, x, label)[0].all()
    accuracy, fooled = effect_rates(torch.tensor([True, False, False]), torch.tensor([True, True, False]))
    assert accuracy.value == pytest.approx(1 / 3)
    assert (fooled.k, fooled.n) == (1, 2)
    assert effect_rates(torch.tensor([True]), torch.tensor([False]))[1] is None
