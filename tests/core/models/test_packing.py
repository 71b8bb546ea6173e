import pytest
import torch

from core.models import build
from core.models.packing import LEAST, SCALE, pack, unpack


def state(seed=0):
    g = torch.Generator().manual_seed(seed)
    return {
        "conv.weight": torch.randn(16, 8, 3, 3, generator=g) * torch.logspace(-3, 1, 16).view(-1, 1, 1, 1),
        "head.weight": torch.randn(10, 40, 16, generator=g),
        "linear.weight": torch.randn(32, 64, generator=g),
        "small.weight": torch.randn(4, 5, generator=g),
        "bias": torch.randn(2000, generator=g),
        "norm.num_batches_tracked": torch.tensor(7),
    }


@pytest.mark.parametrize("bits", [4, 6, 8])
def test_every_weight_within_reach_is_within_half_a_step_of_its_channel(bits):
    before = state()
    packed = pack(before, bits)
    after = unpack(packed)
    levels = 2 ** (bits - 1) - 1
    for name, within in (("conv.weight", (1, 2, 3)), ("head.weight", (1,)), ("linear.weight", (1,))):
        step = packed[name + SCALE]
        error, reach = (after[name] - before[name]).abs(), levels * step
        assert bool((error <= step / 2 * (1 + 1e-5))[before[name].abs() <= reach.expand_as(error)].all())
        assert bool((error > step / 8).any()), "a no-op loses nothing"
        assert bool((after[name].abs() <= reach * (1 + 1e-6)).all())
        widest = before[name].abs().amax(within, keepdim=True) / levels
        plain = ((before[name] / widest).round() * widest - before[name]).square().sum(within, keepdim=True)
        assert bool((error.square().sum(within, keepdim=True) <= plain * (1 + 1e-5)).all())


def test_what_is_stored_is_small_and_what_is_small_is_float16():
    packed = pack(state(), 6)
    assert {name for name in packed if name.endswith(SCALE)} == {
        f"{name}.weight{SCALE}" for name in ("conv", "head", "linear")
    }
    assert packed["conv.weight"].dtype == torch.int8
    assert packed["conv.weight"].abs().max() == 31
    assert packed["head.weight" + SCALE].shape == (10, 1, 16)
    assert packed["small.weight"].dtype == packed["bias"].dtype == torch.float16
    assert state()["small.weight"].numel() < LEAST <= state()["conv.weight"].numel()
    assert torch.equal(unpack(packed)["norm.num_batches_tracked"], torch.tensor(7.0))


def test_packing_again_changes_nothing():
    once = unpack(pack(state(), 6))
    twice = unpack(pack(once, 6))
    for name, tensor in once.items():
        assert torch.allclose(twice[name], tensor, rtol=1e-6, atol=0), name


def test_a_channel_of_zeros_stays_one():
    zeros = {"weight": torch.zeros(32, 64)}
    zeros["weight"][1] = 1.0
    assert torch.equal(unpack(pack(zeros, 8))["weight"], zeros["weight"])


def test_without_bits_all_is_float16():
    before = state()
    packed = pack(before)
    assert set(packed) == set(before)
    for name, tensor in unpack(packed).items():
        assert torch.equal(tensor, before[name].half().float())


@pytest.mark.parametrize("bits", [1, 9])
def test_other_bits_are_refused(bits):
    with pytest.raises(ValueError, match=f"expected from 2 to 8 bits, got {bits}"):
        pack(state(), bits)


@pytest.mark.parametrize("name", ["capsnet", "cnn_r", "capsnet_deeper", "deepcaps"])
def test_models_give_nearly_the_same_with_packed_weights(name):
    model = build(name, (3, 32, 32), 10, seed=1)
    x = torch.rand(8, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    model.reconstruct(x)  # in training mode, so that there are running means
    again = build(name, (3, 32, 32), 10, seed=2).eval()
    again.load_state_dict(unpack(pack(model.eval().state_dict(), 8)))
    assert torch.allclose(again.reconstruct(x), model.reconstruct(x), atol=0.02)
    assert not torch.equal(again(x), model(x))
