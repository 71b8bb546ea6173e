"""The boundary attack: what is known of its end, foolbox, and that it asks for nothing but classes."""

import foolbox
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from core.attacks import Boundary
from core.attacks.boundary import DIRECT, ORTHOGONAL, adapted
from core.geometry import norms

pytestmark = pytest.mark.slow


class Counting(nn.Module):
    """A network that counts the images it is shown, and that says nothing but the class."""

    def __init__(self, model: nn.Module) -> None:
        super().__init__()
        self.model, self.seen = model, 0

    def forward(self, x: Tensor) -> Tensor:
        self.seen += len(x)
        logits = self.model(x)
        return F.one_hot(logits.argmax(1), logits.shape[1]).double()


class Constant(nn.Module):
    """Always the same class; counts what it is shown."""

    def __init__(self) -> None:
        super().__init__()
        self.seen = 0

    def forward(self, x: Tensor) -> Tensor:
        self.seen += len(x)
        return torch.tensor([1.0, 0, 0, 0]).expand(len(x), 4)


def test_the_walk_ends_near_the_foot_of_the_perpendicular(linear):
    x = 0.4 + 0.2 * torch.rand(6, 3, 5, 7, generator=torch.Generator().manual_seed(0))
    label = linear(x).argmax(1).detach()
    nearest = linear.margin(x).abs().detach() / linear.weight.norm().detach()
    few, many = (Boundary(steps=steps)(linear, x, label) for steps in (150, 2000))
    assert many.success.all()
    assert torch.equal(many.distance, norms(many.x_adv - x, "l2"))
    assert (many.distance >= nearest).all()
    assert float((many.distance / nearest).median()) < 1.1
    assert float(few.distance.median()) > 1.5 * float(many.distance.median())


def test_classes_are_all_it_needs(tiny, images):
    label = tiny(images).argmax(1)
    attack = Boundary(steps=120)
    result = attack(tiny, images, label)
    assert result.success.all()
    assert torch.equal(attack(Counting(tiny), images, label).x_adv, result.x_adv)


@pytest.mark.parametrize("steps", [5, 37, 300])
def test_queries_are_those_that_were_asked(tiny, images, steps: int):
    model = Counting(tiny)
    label = tiny(images).argmax(1)
    for row in range(3):
        one = slice(row, row + 1)
        model.seen = 0
        result = Boundary(steps=steps, converged=0.01)(model, images[one], label[one])
        # Beside the clean image and the verdict, which no attack counts.
        assert model.seen in (int(result.queries[0]) + 2, int(result.queries[0]) + 3)
        assert 0 < int(result.queries[0]) <= steps
        assert torch.equal(result.queries, result.steps)


def test_who_has_finished_is_asked_about_no_more(tiny, images):
    label = tiny(images).argmax(1)
    model = Counting(tiny)
    converged = torch.tensor([0.5, 1e-4, 0.5, 0.5, 0.5, 0.5])
    result = Boundary(steps=400, converged=converged)(model, images, label)
    assert result.queries[1] > 5 * result.queries[[0, 2, 3, 4, 5]].max()
    assert model.seen < int(result.queries.sum()) + 100
    assert result.success.all()


@pytest.mark.parametrize("steps", [500, 1500])
def test_at_most_a_twentieth_farther_than_foolbox_with_as_many_queries(digits, steps: int):
    model, x, y = digits
    wrapped, wanted = foolbox.PyTorchModel(model, bounds=(0, 1)), foolbox.criteria.Misclassification(y)
    # Where its own search for a start fails, foolbox gives up on the batch: both start from other digits.
    starts = torch.stack([x[(y != label).nonzero()[0, 0]] for label in y])
    # Nor does it halve the way: both start at the border.
    starts = Boundary(steps=12, starts=starts)(model, x, y).x_adv
    # One query a step, and one more every tenth.
    peer = foolbox.attacks.BoundaryAttack(steps=int(steps / 1.1))
    state = torch.get_rng_state()
    torch.manual_seed(0)
    theirs = norms(peer.run(wrapped, x, wanted, starting_points=starts) - x, "l2")
    torch.set_rng_state(state)
    result = Boundary(steps=steps, starts=starts)(model, x, y)
    assert result.success.all()
    assert int(result.queries.max()) <= steps
    assert float(result.distance.median()) <= 1.05 * float(theirs.median())


def test_a_start_that_is_not_found_marks_that_image_alone(tiny, images):
    class Stubborn(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            bright = (x.flatten(1).mean(1) > 0.3).view(-1, 1)
            return torch.where(bright, tiny(x), torch.tensor([9.0, 0, 0, 0], dtype=torch.float64))

    x = images.clone()
    x[2] = 0.05 * images[2]
    label = Stubborn()(x).argmax(1)
    starts = torch.stack([images[(tiny(images).argmax(1) != own).nonzero()[0, 0]] for own in label])
    starts[2] = 0
    result = Boundary(steps=100, tries=1, starts=starts)(Stubborn(), x, label)
    assert not result.success[2]
    assert torch.equal(result.x_adv[2], x[2])
    assert result.distance[2] == 0
    assert result.queries[2] == 1
    assert result.success.tolist() == [True, True, False, True, True, True]
    assert result.queries.tolist() == [100, 100, 1, 100, 100, 100]


def test_a_network_that_never_flips_costs_no_more_than_the_tries():
    model, x = Constant(), torch.rand(3, 2, 5, 7)
    result = Boundary(steps=10_000, tries=7)(model, x, 0)
    assert not result.success.any()
    assert torch.equal(result.x_adv, x)
    assert result.queries.tolist() == [7, 7, 7]
    assert model.seen <= 3 * 7 + 3 * 8 + 2 * 3


def test_what_is_a_success_already_stays_as_it_is(tiny, images):
    label = tiny(images).argmax(1)
    label[::2] = (label[::2] + 1) % 4
    result = Boundary(steps=60)(tiny, images, label)
    assert result.success.all()
    assert torch.equal(result.x_adv[::2], images[::2])
    assert result.already.tolist() == [True, False] * 3
    assert result.queries[::2].tolist() == [0, 0, 0]


def test_a_given_start_of_the_target_class_leads_to_the_target(digits):
    model, x, y = digits
    target = (y + 1) % 10
    starts = torch.stack([x[(y == goal).nonzero()[0, 0]] for goal in target])
    result = Boundary(steps=300, starts=starts)(model, x, y, target=target, batch_size=10)
    assert result.success.all()
    assert torch.equal(result.prediction, target)
    assert (result.distance < norms(starts - x, "l2")).all()
    assert float(result.distance.median()) < 0.7 * float(norms(starts - x, "l2").median())


def test_the_path_only_gets_closer(digits):
    model, x, y = digits
    path = list(Boundary(steps=200).iterate(model, x[:5], y[:5]))
    distance = torch.stack([norms(state.x_adv - x[:5], "l2") for state in path])
    for row in range(5):
        found = distance[distance[:, row] > 0, row]
        assert len(found) > 100
        # But for the last query, which retreats from the border by a thousandth.
        assert (found[:-1].diff() <= 1e-5).all()
    states = [state.queries.tolist() for state in path]
    assert states[7] == [7] * 5


def test_every_success_survives_another_batch(digits):
    model, x, y = digits
    result = Boundary(steps=800)(model, x, y, batch_size=5)
    assert result.success.all()
    alone = torch.cat([model(image[None]) for image in result.x_adv]).argmax(1)
    assert (alone != y).all()


def test_seed_and_index_key_the_randomness(tiny, images):
    label = tiny(images).argmax(1)
    same, attack = images[:1].expand(3, -1, -1, -1), Boundary(steps=60)
    keys = torch.tensor([1, 2, 1])
    first = attack(tiny, same, label[:1].expand(3), index=keys).x_adv
    assert torch.equal(first[0], first[2])
    assert not torch.equal(first[0], first[1])
    assert not torch.equal(attack(tiny, same, label[:1].expand(3), index=keys, seed=1).x_adv[0], first[0])


def test_steps_grow_and_shrink_until_the_bands_are_met():
    generator = torch.Generator().manual_seed(0)
    for band in (ORTHOGONAL, DIRECT):
        step, share = torch.full((200,), 0.9), torch.full((200,), sum(band) / 2)
        everyone, hits = torch.ones(200).bool(), []
        for _ in range(300):
            # The longer the step, the less likely it succeeds.
            hit = torch.rand(200, generator=generator) < (-5 * step).exp()
            step, share = adapted(step, share, hit, everyone, band)
            hits.append(hit.float().mean())
        assert band[0] - 0.05 < float(torch.stack(hits[100:]).mean()) < band[1] + 0.05
    step, share = adapted(
        torch.ones(2),
        torch.tensor([0.41, 0.59]),
        torch.tensor([False, True]),
        torch.ones(2).bool(),
        ORTHOGONAL,
    )
    assert step.tolist() == pytest.approx([0.7, 1.3])
    assert share.tolist() == pytest.approx([0.5, 0.5])


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"steps": 0}, "expected steps as 1 or more, got 0"),
        ({"tries": 0}, "expected tries as 1 or more, got 0"),
        ({"direct": 1.0}, "expected direct above 0 and at most 0.95, got 1 to 1"),
        ({"aside": 0.0}, "expected aside above 0 and at most 10, got 0 to 0"),
        ({"converged": torch.ones(4)}, "expected a scalar or one value for each of 6 images, got shape"),
        ({"starts": torch.zeros(5, 3, 5, 7)}, "expected starts as images \\(6, 3, 5, 7\\)"),
        ({"starts": torch.full((6, 3, 5, 7), 2.0)}, "expected starts as images .* from 2 to 2"),
    ],
)
def test_bad_fields_are_named(fields, message: str, tiny, images, labels):
    with pytest.raises(ValueError, match=message):
        Boundary(**fields)(tiny, images, labels)
