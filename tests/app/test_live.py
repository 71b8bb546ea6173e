import pytest
import torch
from torch import Tensor

from app.live import FRAMES, Request, Run, observe
from core import data, models
from core.attacks import PGD, Attack, Boundary, CarliniWagner, DeepFool, ReconstructivePGD
from core.detectors import ReconstructionDetector
from core.models import ReconstructingNet


@pytest.fixture(scope="module")
def model() -> ReconstructingNet:
    network = models.build("cnn_cr", (1, 28, 28), 10, seed=1)
    assert isinstance(network, ReconstructingNet)
    return network.eval().requires_grad_(False)


@pytest.fixture(scope="module")
def image() -> Tensor:
    return data.load("digits").test.x(3)


def request_of(attack: Attack, targets: tuple[int | None, ...] = (8,), seed: int = 0) -> Request:
    return Request("digits", "cnn_cr", "key", 3, 3, targets, attack, seed)


def finish(run: Run) -> Run:
    while not run.ended:
        run.advance()
    return run


def test_a_run_ends_where_the_attack_itself_ends(model: ReconstructingNet, image: Tensor) -> None:
    attack = ReconstructivePGD(0.3, 0.02, 7, beta=0.4)
    run = finish(Run.start(request_of(attack, seed=5), model, image))
    watched = ReconstructionDetector(model)
    result = attack(model, image, 3, detector=watched, target=8, index=torch.tensor([3]), seed=5)
    assert torch.equal(run.frames[-1].x, result.x_adv)
    assert torch.equal(run.frames[-1].prediction, result.prediction)
    assert run.step == run.frames[-1].step == 7
    assert not torch.equal(run.frames[-1].x, run.frames[0].x)


def test_a_run_may_end_before_all_its_iterations(model: ReconstructingNet, image: Tensor) -> None:
    attack = CarliniWagner(steps=20, searches=4, initial_c=1.0, learning_rate=0.1)
    run = Run.start(request_of(attack), model, image)
    assert run.total == 80
    finish(run)
    assert run.total == run.step == run.frames[-1].step < 80
    assert not run.stopped
    result = attack(model, image, 3, target=8)
    assert torch.equal(run.frames[-1].x, result.x_adv)
    assert result.success.all()


def test_a_walk_along_the_border_counts_its_queries(model: ReconstructingNet, image: Tensor) -> None:
    attack = Boundary(steps=100, converged=0.02)
    label = int(model(image).argmax())
    request = Request("digits", "cnn_cr", "key", 3, label, (None,), attack, 0)
    run = finish(Run.start(request, model, image))
    result = attack(model, image, label, index=torch.tensor([3]))
    assert torch.equal(run.frames[-1].x, result.x_adv)
    asked = [int(frame.queries[0]) for frame in run.frames if frame.queries is not None]
    assert len(asked) == len(run.frames) > 10
    assert asked == sorted(asked)
    assert asked[-1] == int(result.queries[0]) == run.step


def test_a_walk_starts_where_it_is_told(model: ReconstructingNet, image: Tensor) -> None:
    other = (int(model(image).argmax()) + 1) % 10
    x = torch.rand(400, 1, 28, 28, generator=torch.Generator().manual_seed(0))
    label, answers = int(model(image).argmax()), model(x).argmax(1)
    start = x[answers != label][:1]
    other = int(model(start).argmax()) if len(start) else other
    if not len(start):
        pytest.skip("this network reads all noise as one class")
    request = Request("digits", "cnn_cr", "key", 3, label, (other,), Boundary(steps=30), 0)
    run = finish(Run.start(request, model, image, start))
    assert int(run.frames[-1].prediction[0]) == other
    assert 0 < float((run.frames[-1].x - image).norm()) < float((start - image).norm())


def test_deepfool_walks_in_view(model: ReconstructingNet, image: Tensor) -> None:
    label = int(model(image).argmax())
    request = Request("digits", "cnn_cr", "key", 3, label, (None,), DeepFool(max_step=0.05), 0)
    run = finish(Run.start(request, model, image))
    assert int(run.frames[-1].prediction[0]) != label
    assert run.total == run.step < 10_000
    assert len(run.frames) >= 1


def test_an_attack_with_nothing_to_do_ends_at_once(model: ReconstructingNet, image: Tensor) -> None:
    label = (int(model(image).argmax()) + 1) % 10
    request = Request("digits", "cnn_cr", "key", 3, label, (None,), CarliniWagner(), 0)
    run = finish(Run.start(request, model, image))
    assert [frame.step for frame in run.frames] == [0]
    assert run.ended
    assert torch.equal(run.frames[0].x, image)


def test_untargeted_runs_leave_the_label(model: ReconstructingNet, image: Tensor) -> None:
    attack = PGD(0.5, 0.05, 6)
    label = int(model(image).argmax())
    request = Request("digits", "cnn_cr", "key", 3, label, (None,), attack, 0)
    run = finish(Run.start(request, model, image))
    assert int(run.frames[-1].prediction[0]) != label


def test_all_targets_run_as_one_batch_and_each_as_it_does_alone(
    model: ReconstructingNet, image: Tensor
) -> None:
    attack = ReconstructivePGD(0.2, 0.05, 3, beta=0.5)
    targets = (0, 1, 2, 4, 5, 6, 7, 8, 9)
    together = finish(Run.start(request_of(attack, targets), model, image)).frames[-1]
    assert together.x.shape == (9, 1, 28, 28)
    for row in (0, 7):
        alone = finish(Run.start(request_of(attack, (targets[row],)), model, image)).frames[-1]
        assert (together.x[row] - alone.x[0]).abs().mean() < 0.005


def test_the_path_keeps_the_start_the_end_and_not_too_many_points(
    model: ReconstructingNet, image: Tensor
) -> None:
    run = finish(Run.start(request_of(PGD(0.3, 0.01, 2 * FRAMES + 5)), model, image))
    steps = [frame.step for frame in run.frames]
    assert steps[0] == 0
    assert steps[-1] == 2 * FRAMES + 5
    assert len(steps) <= FRAMES + 2
    assert steps == sorted(set(steps))
    assert run.frame(steps[4]).step == steps[4]
    assert run.frame(None).step == run.frame(-1).step == steps[-1]


def test_a_stopped_run_stays_where_it_is(model: ReconstructingNet, image: Tensor) -> None:
    run = Run.start(request_of(PGD(0.3, 0.01, 500)), model, image)
    for _ in range(15):
        run.advance()
    run.stop()
    assert run.ended
    assert run.stopped
    assert run.step == run.frames[-1].step == 14
    assert not run.advance()
    assert run.step == 14


def test_stopping_before_anything_was_computed_leaves_a_run_that_can_be_shown(
    model: ReconstructingNet, image: Tensor
) -> None:
    run = Run.start(request_of(PGD(0.3, 0.01, 500)), model, image)
    run.stop()
    assert run.stopped
    assert run.frames[-1].step == 0


def test_a_finished_run_cannot_be_stopped(model: ReconstructingNet, image: Tensor) -> None:
    run = finish(Run.start(request_of(PGD(0.3, 0.01, 2)), model, image))
    run.stop()
    assert not run.stopped


def test_requests_are_equal_when_their_settings_are() -> None:
    assert request_of(PGD(0.3, 0.01, 5)) == request_of(PGD(0.3, 0.01, 5))
    assert request_of(PGD(0.3, 0.01, 5)) != request_of(PGD(0.3, 0.01, 6))
    assert request_of(PGD(0.3, 0.01, 5)) != request_of(PGD(0.3, 0.01, 5), seed=1)


def test_what_is_observed_is_what_model_and_detector_say(model: ReconstructingNet, image: Tensor) -> None:
    frame = observe(model, image, 4)
    reconstruction = model.reconstruct(image)
    assert frame.step == 4
    assert torch.equal(frame.logits, model(image))
    assert torch.equal(frame.reconstruction, reconstruction)
    assert float(frame.distance[0]) == pytest.approx(float((reconstruction - image).norm()), rel=1e-5)
