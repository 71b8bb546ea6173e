import pytest
import torch
from torch import nn
from torch.nn import functional as F

from core.models.fast.patch_conv import PatchConv2d


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("kernel", "width"), [(9, 20), (9, 17), (9, 10), (9, 9), (5, 14), (3, 9), (1, 4)])
def test_patch_convolution_is_the_convolution(kernel, width, channels):
    torch.manual_seed(0)
    conv = PatchConv2d(channels, 5, kernel).double()
    x = torch.randn(2, channels, 13, width, dtype=torch.float64, requires_grad=True)
    plain = F.conv2d(x, conv.weight, conv.bias)
    assert torch.allclose(conv(x), plain)
    pull = torch.randn_like(plain)
    inputs = [x, conv.weight, conv.bias]
    ours, theirs = (torch.autograd.grad((y * pull).sum(), inputs) for y in (conv(x), plain))
    for a, b in zip(ours, theirs, strict=True):
        assert torch.allclose(a, b)
    assert isinstance(conv, nn.Conv2d)


@pytest.mark.parametrize("needed", ["x", "weight", "bias"])
def test_patch_convolution_gives_each_gradient_alone(needed):
    torch.manual_seed(0)
    conv = PatchConv2d(1, 5, 9).double().requires_grad_(False)
    x = torch.randn(2, 1, 13, 20, dtype=torch.float64)
    one = {"x": x, "weight": conv.weight, "bias": conv.bias}[needed].requires_grad_()
    pull = torch.randn(2, 5, 5, 12, dtype=torch.float64)
    ours, theirs = conv(x), F.conv2d(x, conv.weight, conv.bias)
    gradients = [torch.autograd.grad((y * pull).sum(), one)[0] for y in (ours, theirs)]
    assert torch.allclose(*gradients)


@pytest.mark.parametrize("width", [7, 8])
def test_patch_convolution_wants_images_no_smaller_than_its_kernel(width):
    with pytest.raises(RuntimeError, match="maximum size|size"):
        PatchConv2d(1, 5, 9)(torch.rand(2, 1, 12, width))


def test_what_was_first_asked_in_inference_mode_serves_gradients_too():
    conv = PatchConv2d(1, 5, 9).requires_grad_(False)
    x = torch.rand(2, 1, 12, 12)
    with torch.inference_mode():
        conv(x)
    (gradient,) = torch.autograd.grad(conv(x.requires_grad_()).sum(), x)
    assert gradient.abs().sum() > 0
