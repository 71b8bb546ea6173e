"""Dynamic routing between capsules without storing a vote, with an analytic gradient."""

from collections.abc import Iterator
from typing import Any, cast

import torch
from torch import Tensor

from core.models.capsules import squash
from core.models.fast.compiling import at_hand

# Elements of one group of classes that are worked on at once, so that they stay in a processor's cache; a GPU
# wants few and large operations.
GROUP = {"cpu": 1 << 19, "cuda": 1 << 28}


def route_fast(u: Tensor, weight: Tensor, bias: Tensor, iterations: int) -> Tensor:
    """Route by what is fastest for the input, in its precision; arguments are those of `RouteByAgreement`."""
    compiled = u.device.type == "cpu" and u.dtype == torch.float32 and at_hand()
    return cast(Any, CompiledRouting if compiled else RouteByAgreement).apply(u, weight, bias, iterations)


class RouteByAgreement(torch.autograd.Function):
    """All passes of routing and their gradient, without ever storing a vote.

    Votes u_i W_ij are only used in two ways, and both are matrix products over tensors of half their size:
    s_j = sum_i (c_ij u_i) W_ij takes capsules *scaled* by the coupling, <u_i W_ij, v_j> = u_i . (W_ij v_j)
    outputs *projected* back. The gradient is made of the same two, so it computes them again, a few classes
    at a time, instead of keeping them. Dimensions come before capsules (P, I): sums over P then run over
    whole vectors.

    It runs anywhere and in any precision; `CompiledRouting` takes its place where that can run.

    Source: sabour2017, Procedure 1; the gradient goes through all passes, as in qin2020.
    """

    @staticmethod
    def forward(ctx: Any, u: Tensor, weight: Tensor, bias: Tensor, iterations: int) -> Tensor:
        """Route.

        Args:
            u: Input capsules (B, P, I).
            weight: Transforms (J, D, P, I).
            bias: (J, D).
            iterations: Passes, at least 1.
        Returns: Output capsules before squash, (B, J, D).
        """
        weight, bias = weight.flatten(2), bias.unsqueeze(1)
        s = torch.matmul(u.flatten(1), weight.mT) / len(weight) + bias  # the first coupling is uniform, 1 / J
        agreement = u.new_zeros(len(weight), len(u), u.shape[2])  # (J, B, I)
        sums: list[Tensor] = []
        couplings: list[Tensor] = []
        for _ in range(iterations - 1):
            v = squash(s)
            for group in groups(u, weight):
                projected = project(v[group], weight[group], u)
                agreement[group] += projected.mul_(u).sum(2)
            coupling = agreement.softmax(0)
            sums.append(s)
            couplings.append(coupling)
            s = torch.cat([gather(u, coupling[group], weight[group]) for group in groups(u, weight)]) + bias
        ctx.save_for_backward(u, weight, *sums, *couplings)
        return s.transpose(0, 1)

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor | None, Tensor | None, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Gradients of u, weight and bias."""
        u, weight, *saved = ctx.saved_tensors
        sums, couplings = saved[: len(saved) // 2], saved[len(saved) // 2 :]
        g_u = torch.zeros_like(u)
        g_weight = torch.zeros_like(weight) if ctx.needs_input_grad[1] else None
        gradient = gradient.transpose(0, 1)
        g_bias = torch.zeros_like(gradient[:, :1])
        g_s, g_agreement = gradient, torch.zeros((), dtype=u.dtype, device=u.device)
        g_coupling = u.new_empty(len(weight), len(u), u.shape[2])
        for s, coupling in zip(reversed(sums), reversed(couplings), strict=True):
            v = squash(s)
            g_bias += g_s.sum(1, keepdim=True)
            for group in groups(u, weight):
                projected = project(g_s[group], weight[group], u)
                accumulate(g_u, projected, coupling[group])
                g_coupling[group] = projected.mul_(u).sum(2)
                if g_weight is not None:
                    g_weight[group] += torch.bmm(g_s[group].mT, scale(u, coupling[group]))
            softmax = coupling * (g_coupling - (coupling * g_coupling).sum(0))
            g_agreement = g_agreement + softmax  # agreements add up over the passes
            g_v = torch.empty_like(v)
            for group in groups(u, weight):
                projected = project(v[group], weight[group], u)
                accumulate(g_u, projected, g_agreement[group])
                scaled = scale(u, g_agreement[group])
                g_v[group] = torch.bmm(scaled, weight[group].mT)
                if g_weight is not None:
                    g_weight[group] += torch.bmm(v[group].mT, scaled)
            with torch.enable_grad():
                before = s.detach().requires_grad_()
                (g_s,) = torch.autograd.grad(squash(before), before, g_v)
        g_bias += g_s.sum(1, keepdim=True)
        g_s = g_s / len(weight)
        for group in groups(u, weight):
            g_u += project(g_s[group], weight[group], u).sum(0)
        if g_weight is not None:
            g_weight += torch.matmul(g_s.mT, u.flatten(1))
            g_weight = g_weight.unflatten(2, u.shape[1:])
        return g_u, g_weight, g_bias.squeeze(1), None


class CompiledRouting(torch.autograd.Function):
    """The same function, compiled for CPUs in single precision: see `routing_kernel`."""

    @staticmethod
    def forward(ctx: Any, u: Tensor, weight: Tensor, bias: Tensor, iterations: int) -> Tensor:
        """Route; arguments and result are those of `RouteByAgreement`."""
        from core.models.fast.routing_kernel import route

        sums, couplings = route(u, weight, bias, iterations)
        ctx.save_for_backward(u, weight, sums, couplings)
        return sums[-1].clone()

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor | None, Tensor | None, None]:  # pyright: ignore[reportIncompatibleMethodOverride]
        """Gradients of u, weight and bias."""
        from core.models.fast.routing_kernel import pull_back

        u, weight, sums, couplings = ctx.saved_tensors
        train = ctx.needs_input_grad[1]
        return *pull_back(u, weight, sums, couplings, gradient.contiguous(), train), None


def groups(u: Tensor, weight: Tensor) -> Iterator[slice]:
    """Classes to work on at once, in parts of about equal size."""
    classes = len(weight)
    parts = min(classes, -(-classes * u.numel() // GROUP.get(u.device.type, GROUP["cpu"])))
    size = -(-classes // parts)
    return (slice(start, start + size) for start in range(0, classes, size))


def project(v: Tensor, weight: Tensor, u: Tensor) -> Tensor:
    """W_ij v_j: outputs (j, B, D) back to the shape of the inputs, (j, B, P, I)."""
    return torch.bmm(v, weight).view(len(v), *u.shape)


def scale(u: Tensor, factor: Tensor) -> Tensor:
    """Inputs times a factor (j, B, I) each, (j, B, P * I)."""
    return (factor.unsqueeze(2) * u).flatten(2)


def accumulate(total: Tensor, projected: Tensor, factor: Tensor) -> None:
    """Add sum_j factor_j projected_j to total (B, P, I); projected is (j, B, P, I), factor (j, B, I)."""
    if len(projected) == 1:
        total.addcmul_(projected[0], factor[0].unsqueeze(1))
    else:
        total += (factor.unsqueeze(2) * projected).sum(0)


def gather(u: Tensor, coupling: Tensor, weight: Tensor) -> Tensor:
    """sum_i c_ij u_i W_ij, (j, B, D)."""
    return torch.bmm(scale(u, coupling), weight.mT)
