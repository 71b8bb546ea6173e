import threading
from pathlib import Path

import pytest
import torch
from torch import nn

from app import state
from core import data, models
from core.attacks import predict
from precompute.store import MissingArtifact, Store


def publish(store: Store, dataset: str, profile: str, seed: int = 0) -> dict[str, torch.Tensor]:
    weights = models.build("cnn_cr", (1, 28, 28), 10, seed=seed).half().state_dict()
    key = f"{dataset}{profile}{seed}".encode().hex().ljust(32, "0")
    store.publish(key, {"seed": seed}, dict(weights), facts={"size": "compact"})
    store.set_bundle(dataset, "qin2020", profile, {"cnn_cr/weights": key})
    return weights


@pytest.fixture
def store(tmp_path: Path, no_bundles: None) -> Store:
    return Store(tmp_path / "store")


def test_shipped_digits_are_a_bundle_with_three_models() -> None:
    found = state.bundle("digits", "qin2020")
    assert found is not None
    assert state.model_names(found) == ["capsnet", "cnn_cr", "cnn_r"]


def test_an_empty_store_has_no_bundles(no_bundles: None) -> None:
    assert state.bundle("digits", "qin2020") is None


def model(name: str) -> nn.Module:
    """Of the best bundle of the digits."""
    found = state.bundle("digits", "qin2020")
    assert found is not None
    return state.model(found, name)


def test_missing_weights_name_the_command(store: Store) -> None:
    publish(store, "digits", "smoke")
    command = "python -m precompute build digits --paper qin2020 --profile smoke"
    with pytest.raises(MissingArtifact, match=command):
        model("capsnet")


def test_a_model_has_the_stored_weights_in_single_precision_and_is_ready_to_be_shared(store: Store) -> None:
    weights = publish(store, "digits", "smoke")
    network = model("cnn_cr")
    assert not network.training
    for name, value in network.state_dict().items():
        assert value.dtype == torch.float32
        assert torch.equal(value.cpu(), weights[name].float())
    assert not any(parameter.requires_grad for parameter in network.parameters())
    assert model("cnn_cr") is network


def test_rebuilt_weights_are_loaded_anew(store: Store) -> None:
    publish(store, "digits", "smoke", seed=0)
    old = model("cnn_cr")
    publish(store, "digits", "smoke", seed=1)
    new = model("cnn_cr")
    x = data.load("digits").test.x(slice(0, 4)).to(state.device())
    assert not torch.equal(old(x), new(x))


def test_the_best_profile_is_taken_unless_another_is_chosen(store: Store) -> None:
    publish(store, "digits", "smoke", seed=0)
    publish(store, "digits", "demo", seed=1)
    found = state.bundle("digits", "qin2020")
    assert found is not None
    assert found.profile == "demo"


def test_data_sets_without_a_copy_are_none() -> None:
    assert state.dataset("mnist") is None
    digits = state.dataset("digits")
    assert digits is not None
    assert len(digits.test) == 364


def test_the_shipped_models_read_digits(capsys: pytest.CaptureFixture[str]) -> None:
    digits = data.load("digits")
    for name in ("capsnet", "cnn_cr", "cnn_r"):
        network = model(name)
        wrong = predict(network, digits.test.x(slice(0, 100))).cpu() != digits.test.labels[:100]
        assert float(wrong.float().mean()) <= 0.05


def test_only_one_thread_computes_at_a_time() -> None:
    inside, most = 0, 0
    lock = threading.Lock()

    def work() -> None:
        nonlocal inside, most
        for _ in range(20):
            with state.accelerator():
                with lock:
                    inside += 1
                    most = max(most, inside)
                threading.Event().wait(0.001)
                with lock:
                    inside -= 1

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert most == 1


def test_an_error_gives_the_accelerator_back() -> None:
    with pytest.raises(ZeroDivisionError), state.accelerator():
        raise ZeroDivisionError
    with state.accelerator():
        pass


def test_a_bundle_about_the_local_copy_comes_before_a_better_one_about_another(store: Store) -> None:
    publish(store, "digits", "demo", seed=0)
    publish(store, "digits", "smoke", seed=1)
    demo, smoke = store.bundle("digits", "qin2020", "demo"), store.bundle("digits", "qin2020", "smoke")
    assert demo is not None
    assert smoke is not None
    store.set_bundle("digits", "qin2020", "demo", demo.names, {"digest": "that of other images"})
    found = state.bundle("digits", "qin2020")
    assert found is not None
    assert found.profile == "smoke", "it says nothing of images, so that it may fit"
    store.set_bundle("digits", "qin2020", "smoke", smoke.names, {"digest": "that of others still"})
    state._bundles.clear()  # pyright: ignore[reportPrivateUsage]
    found = state.bundle("digits", "qin2020")
    assert found is not None
    assert (found.profile, state.fits(found)) == ("demo", False), "better than nothing, but without pictures"
    store.set_bundle("digits", "qin2020", "smoke", smoke.names, {"digest": data.load("digits").digest})
    state._bundles.clear()  # pyright: ignore[reportPrivateUsage]
    found = state.bundle("digits", "qin2020")
    assert found is not None
    assert (found.profile, state.fits(found)) == ("smoke", True)
    assert state.fits(
        Store(store.folder.url, bundles=[]).set_bundle("mnist", "qin2020", "demo", {}, {"digest": "any"})
    ), "without a copy nothing is amiss"
