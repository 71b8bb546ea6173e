"""Capsule algebra and the parts that every reconstructing network shares."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

# Keeps squash, length and logit finite, with finite gradients, for a capsule of exactly zero.
EPS = 1e-8


def squash(s: Tensor) -> Tensor:
    """Shrink vectors to length |s|^2 / (1 + |s|^2), keeping their direction; the gradient at zero is zero.

    Args:
        s: Capsules (..., D), any real numbers.
    Returns: Capsules (..., D), shorter than 1.
    Source: sabour2017, Eq. 1, with epsilon inside the square root.
    """
    squared = (s * s).sum(-1, keepdim=True)
    return s * (squared / (1 + squared) * torch.rsqrt(squared + EPS))


def length_logit(s: Tensor) -> Tensor:
    """The logit of a capsule's length, from the capsule *before* squashing.

    Squashing gives the length p = |s|^2 / (1 + |s|^2), hence logit(p) = log |s|^2: computed from s it never
    saturates, whereas p itself rounds to 1 in float32 and its gradient to 0.

    Args:
        s: Capsules before squash, (..., D).
    Returns: (...), logits whose sigmoid is the length.
    Source: michels2019 uses Z = atanh(2p - 1), which is half of this.
    """
    return torch.log((s * s).sum(-1) + EPS)


class Routing(nn.Module):
    """Dynamic routing by agreement, three iterations, with the gradient through all of them.

    Votes u_ij W_ij are never stored. Both uses of them are matrix products over capsules *scaled* by the
    coupling, or *projected* by the output, which are half the size: s_j = sum_i (c_ij u_i) W_ij and
    <u_i W_ij, v_j> = u_i . (W_ij v_j). The first coupling is uniform, so its pass is one matrix product.

    Args:
        inputs: I, number of input capsules.
        input_dim: P, their dimension.
        outputs: J, number of output capsules.
        output_dim: D, their dimension.
        iterations: Routing passes, at least 1.
    Source: sabour2017, Procedure 1; qin2020 (no stop-gradient).
    """

    def __init__(
        self, inputs: int, input_dim: int, outputs: int, output_dim: int, iterations: int = 3
    ) -> None:
        super().__init__()
        self.inputs, self.input_dim, self.outputs, self.output_dim = inputs, input_dim, outputs, output_dim
        self.iterations = iterations
        self.weight = nn.Parameter(torch.empty(outputs, inputs * input_dim, output_dim))
        self.bias = nn.Parameter(torch.full((outputs, 1, output_dim), 0.1))
        nn.init.trunc_normal_(self.weight, std=0.1)

    def forward(self, u: Tensor) -> Tensor:
        """Route u (B, I, P) to output capsules before squash, (B, J, D)."""
        batch = u.shape[0]
        flat = u.reshape(batch, self.inputs * self.input_dim)
        weight = self.weight
        s = torch.matmul(flat, weight) / self.outputs + self.bias  # (J, B, D), uniform coupling 1 / J
        agreement = torch.zeros((), device=u.device, dtype=u.dtype)
        for _ in range(self.iterations - 1):
            v = squash(s)
            projected = torch.bmm(v, weight.mT).view(self.outputs, batch, self.inputs, self.input_dim)
            agreement = agreement + (projected * u).sum(-1)  # (J, B, I)
            coupling = agreement.softmax(0)
            scaled = (coupling.unsqueeze(-1) * u).view(self.outputs, batch, -1)  # (J, B, I * P)
            s = torch.bmm(scaled, weight) + self.bias
        return s.transpose(0, 1)


class PatchConv2d(nn.Conv2d):
    """A stride-1 convolution computed as one matrix product over image patches.

    With one to three input channels this is several times faster than the library's direct kernels,
    forward and backward, and it computes the same function with the same weights.
    """

    def forward(self, input: Tensor) -> Tensor:
        """Images (B, C, H, W) to maps (B, out, h, w), stored channels last."""
        rows, columns = int(self.kernel_size[0]), int(self.kernel_size[1])
        patches = input.unfold(2, rows, 1).unfold(3, columns, 1)  # (B, C, h, w, rows, columns)
        batch, _, height, width = patches.shape[:4]
        patches = patches.permute(0, 2, 3, 1, 4, 5).reshape(batch * height * width, -1)
        maps = F.linear(patches, self.weight.flatten(1), self.bias)
        return maps.view(batch, height, width, self.out_channels).permute(0, 3, 1, 2)


class Encoder(nn.Module):
    """The two convolutions that CapsNet, CNN+CR and CNN+R share: 9x9 stride 1 with ReLU, 9x9 stride 2.

    Args:
        channels: Colour channels of the image.
        width: Maps of the first convolution.
        types: Capsule types, each of 8 maps, of the second.
    Source: sabour2017, section 4; qin2020, appendix A.
    """

    kernel = 9

    def __init__(self, channels: int, width: int, types: int) -> None:
        super().__init__()
        self.conv1 = PatchConv2d(channels, width, self.kernel)
        self.conv2 = nn.Conv2d(width, types * 8, self.kernel, stride=2)

    @classmethod
    def grid(cls, side: int) -> int:
        """Side of the feature map for an image of this side."""
        return (side - 2 * (cls.kernel - 1) - 1) // 2 + 1

    def forward(self, x: Tensor) -> Tensor:
        """Images (B, C, H, W) to maps (B, 8 * types, h, w)."""
        return self.conv2(F.relu(self.conv1(x)))


class Decoder(nn.Sequential):
    """Fully connected: poses to pixels, two ReLU layers and a sigmoid.

    Source: qin2020, section 4 (512 and 1024 units).
    """

    def __init__(self, poses: int, hidden: tuple[int, int], pixels: int) -> None:
        first, second = hidden
        super().__init__(
            nn.Linear(poses, first),
            nn.ReLU(),
            nn.Linear(first, second),
            nn.ReLU(),
            nn.Linear(second, pixels),
            nn.Sigmoid(),
        )
