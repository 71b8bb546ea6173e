import pytest
import torch

from core.models.fast import routing_kernel
from core.models.fast.routing import CompiledRouting, RouteByAgreement
from core.models.routing import Routing

# (B, P, I, J, D, passes): no two alike, dimensions that are no multiples of what is worked on at once.
SHAPES = [(3, 8, 50, 10, 16, 3), (2, 5, 7, 3, 5, 2), (1, 12, 33, 4, 6, 4), (2, 3, 9, 5, 7, 1)]


def inputs(shape: tuple[int, ...], dtype: torch.dtype = torch.float32) -> list[torch.Tensor]:
    batch, dims, capsules, classes, out, _ = shape
    generator = torch.Generator().manual_seed(0)
    u = torch.randn(batch, dims, capsules, generator=generator)
    weight = 0.3 * torch.randn(classes, out, dims, capsules, generator=generator)
    bias = torch.randn(classes, out, generator=generator)
    return [t.to(dtype).requires_grad_() for t in (u, weight, bias)]


@pytest.mark.parametrize("shape", SHAPES)
def test_result_and_gradients_are_those_of_the_double_precision_formula(shape: tuple[int, ...]) -> None:
    compiled, formula = inputs(shape), inputs(shape, torch.float64)
    s = CompiledRouting.apply(*compiled, shape[-1])
    expected = RouteByAgreement.apply(*formula, shape[-1])
    torch.testing.assert_close(s.double(), expected, rtol=1e-4, atol=1e-5)
    pull = torch.randn(s.shape, generator=torch.Generator().manual_seed(1))
    found = torch.autograd.grad(s, compiled, pull)
    true = torch.autograd.grad(expected, formula, pull.double())
    for one, other in zip(found, true, strict=True):
        torch.testing.assert_close(one.double(), other, rtol=1e-3, atol=1e-4 * float(other.abs().max()))


def test_an_image_alone_is_routed_as_in_any_batch(monkeypatch: pytest.MonkeyPatch) -> None:
    u, weight, bias = (t.detach() for t in inputs((7, 8, 50, 10, 16, 3)))
    together = routing_kernel.route(u, weight, bias, 3)[0][-1]
    alone = torch.cat([routing_kernel.route(one, weight, bias, 3)[0][-1] for one in u.split(1)])
    assert torch.equal(together, alone)
    monkeypatch.setattr(routing_kernel, "CACHE", 1)  # one image at a time
    assert torch.equal(routing_kernel.route(u, weight, bias, 3)[0][-1], together)


def test_agreements_far_apart_neither_overflow_nor_vanish() -> None:
    u, weight, bias = (t.detach() for t in inputs((2, 8, 50, 10, 16, 3)))
    compiled = CompiledRouting.apply(200 * u, weight, bias, 3)
    formula = RouteByAgreement.apply(200 * u.double(), weight.double(), bias.double(), 3)
    assert compiled.isfinite().all()
    torch.testing.assert_close(compiled.double(), formula, rtol=1e-3, atol=1e-3 * float(formula.abs().max()))


def test_what_is_not_a_number_stays_so() -> None:
    u, weight, bias = (t.detach() for t in inputs((3, 8, 50, 10, 16, 3)))
    u[1, 2, 3] = torch.nan
    s = CompiledRouting.apply(u, weight, bias, 3)
    assert s[1].isnan().any()
    assert s[[0, 2]].isfinite().all()


def test_the_layer_is_compiled_in_single_precision_and_the_formula_in_double() -> None:
    layer = Routing(50, 8, 10, 16)
    u = torch.rand(3, 50, 8)
    assert "Compiled" in type(layer(u).grad_fn).__name__
    single, double = layer(u), layer.double()(u.double())
    assert "RouteByAgreement" in type(double.grad_fn).__name__
    torch.testing.assert_close(single.double(), double, rtol=1e-4, atol=1e-5)
