"""Dynamic routing between capsules: the procedure as in the paper, and the layer that computes it fast."""

import torch
from torch import Tensor, nn

from core.models.capsules import squash
from core.models.fast.derived import Derived
from core.models.fast.routing import route_fast


def dynamic_routing(u: Tensor, W: Tensor, bias: Tensor, iterations: int = 3) -> Tensor:
    """Route capsules by agreement: the plain reference, in the paper's symbols, with every vote stored.

    Each of the I capsules below sends a vote u_hat to each of the J capsules above. How much of it arrives is
    the coupling c, which a capsule below divides among those above: more goes where its vote agrees with what
    came out.

    `Routing` computes the same through `core.models.fast.routing`, which stores no votes; a test holds it to
    this function, values and gradients. Gradients go through all iterations, as nothing is detached.

    Args:
        u: Capsules below, (B, I, P).
        W: Transforms, (J, I, P, D), one for each pair of capsules.
        bias: (J, D), added to every sum. The paper does not name it; its public code has it.
        iterations: Passes, at least 1.
    Returns: s of the last pass, (B, J, D): the capsules above *before* squash, from which
        `capsules.length_logit` takes logits without saturating. v = squash(s) are the capsules themselves.
    Source: sabour2017, section 2, Eqs. 1-3, and Procedure 1.
    """
    u_hat = torch.einsum("bip,jipd->bijd", u, W)  # Eq. 2, the votes u_i W_ij: (B, I, J, D)
    b = torch.zeros_like(u_hat[..., 0])  # (B, I, J): nothing agrees yet, so the first couplings are 1 / J
    s = torch.zeros_like(u_hat[:, 0])
    for iteration in range(iterations):
        c = b.softmax(2)  # Eq. 3, the couplings: (B, I, J); those of one capsule below add up to 1
        s = torch.einsum("bij,bijd->bjd", c, u_hat) + bias  # Eq. 2, what arrives: (B, J, D)
        if iteration < iterations - 1:  # what the last pass would add, nobody reads
            v = squash(s)  # Eq. 1, shorter than 1: (B, J, D)
            b = b + torch.einsum("bijd,bjd->bij", u_hat, v)  # a vote agrees by its scalar product with v
    return s


class Routing(nn.Module):
    """`dynamic_routing` as a layer, computed fast, in the precision of its weights whatever autocast says.

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
        self._derived = Derived()
        self.weight = nn.Parameter(torch.empty(outputs, inputs * input_dim, output_dim))
        self.bias = nn.Parameter(torch.full((outputs, 1, output_dim), 0.1))
        nn.init.trunc_normal_(self.weight, std=0.1)

    def forward(self, u: Tensor) -> Tensor:
        """Route u (B, I, P) to output capsules before squash, (B, J, D)."""
        capsules = u.to(self.weight.dtype).transpose(1, 2).contiguous()  # (B, P, I)
        weight = self._derived.get(self.weight, "capsules last", self.capsules_last)
        with torch.autocast(u.device.type, enabled=False):
            return route_fast(capsules, weight, self.bias.squeeze(1), self.iterations)

    def plainly(self, u: Tensor) -> Tensor:
        """What `forward` computes of u (B, I, P), by `dynamic_routing`: to compare with."""
        W = self.weight.view(self.outputs, self.inputs, self.input_dim, self.output_dim)
        return dynamic_routing(u, W, self.bias.squeeze(1), self.iterations)

    def capsules_last(self) -> Tensor:
        """Weights (J, D, P, I), from their stored order (J, I * P, D)."""
        weight = self.weight.view(self.outputs, self.inputs, self.input_dim, self.output_dim)
        return weight.permute(0, 3, 2, 1).contiguous()
