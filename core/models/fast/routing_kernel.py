"""Routing of a few images at a time on a CPU, compiled when first used: its votes never leave the cache.

It computes what `routing.RouteByAgreement` does, for float32. There each use of the votes is a pass over
memory for all images; here the votes (J, D, I) of a few images are made, stay in the processor's cache, and
all passes of routing read them there. The gradient makes them again. Capsules (I) come last everywhere: inner
loops run over whole vectors. numba compiles without a C compiler and keeps what it compiled on disk.
"""

import math
from collections.abc import Callable
from typing import Any, TypeVar

import numpy as np
import torch
from numba import njit
from torch import Tensor

from core.runtime import in_parts

Array = Any
T = TypeVar("T")


def compiled(function: Callable[..., T]) -> Callable[..., T]:
    """The function as machine code; sums may be reordered, infinities and NaNs keep their meaning."""
    return njit(cache=True, nogil=True, fastmath={"reassoc", "contract", "arcp", "nsz"})(function)


ZERO, HALF, ONE = np.float32(0), np.float32(0.5), np.float32(1)
EPS = np.float32(1e-8)
"""That of `capsules.squash`."""
CACHE = 1 << 20
"""Bytes of votes at a time: images share a reading of the weights as long as their votes fit."""


def use_once() -> None:
    """Route one small image and back, which compiles everything or reads it from disk."""
    u, weight, gradient = torch.ones(1, 1, 1), torch.ones(1, 1, 1, 1), torch.ones(1, 1, 1)
    pull_back(u, weight, *route(u, weight, torch.zeros(1, 1), 2), gradient, train=True)


def route(u: Tensor, weight: Tensor, bias: Tensor, iterations: int) -> tuple[Tensor, Tensor]:
    """Route.

    Args:
        u: Input capsules (B, P, I), float32 and contiguous, as is all else.
        weight: Transforms (J, D, P, I).
        bias: (J, D).
        iterations: Passes, at least 1.
    Returns: The sums of all passes (passes, B, J, D), of which the last is the result, and the couplings
        (passes - 1, B, J, I) of all but the first, where it is uniform.
    """
    (batch, _, inputs), (classes, dim) = u.shape, weight.shape[:2]
    sums = u.new_empty(iterations, batch, classes, dim)
    couplings = u.new_empty(iterations - 1, batch, classes, inputs)
    arrays = [t.detach().numpy() for t in (u, weight, bias, sums, couplings)]
    in_parts(lambda start, stop: route_images(*arrays, start, stop), batch)
    return sums, couplings


def pull_back(
    u: Tensor, weight: Tensor, sums: Tensor, couplings: Tensor, gradient: Tensor, train: bool
) -> tuple[Tensor, Tensor | None, Tensor]:
    """Gradients, all in the layout of what they belong to.

    Args:
        u, weight, sums, couplings: As for and from `route`.
        gradient: Of the result, (B, J, D).
        train: Whether weights want a gradient.
    Returns: That of u, that of the weights or None, that of the bias.
    """
    batch, (classes, dim) = len(u), weight.shape[:2]
    g_u, g_bias = torch.zeros_like(u), u.new_zeros(batch, classes, dim)
    arrays = [t.detach().numpy() for t in (u, weight, sums, couplings, gradient, g_u, g_bias)]
    g_weights: list[Tensor] = []

    def part(start: int, stop: int) -> None:
        g_weight = torch.zeros_like(weight) if train else weight.new_empty(0, 0, 0, 0)
        g_weights.append(g_weight)
        pull_back_images(*arrays, g_weight.numpy(), start, stop)

    in_parts(part, batch)
    return g_u, sum(g_weights[1:], g_weights[0]) if train else None, g_bias.sum(0)


@compiled
def at_once(weight: Array) -> int:
    """How many images share a reading of the weights (J, D, P, I)."""
    classes, dim, _, inputs = weight.shape
    return max(1, CACHE // (4 * classes * dim * inputs))


@compiled
def route_images(
    u: Array,
    weight: Array,
    bias: Array,
    sums: Array,
    couplings: Array,
    start: int,
    stop: int,
) -> None:
    """`route` for images start to stop."""
    classes, dim, _, inputs = weight.shape
    count = at_once(weight)
    votes = np.empty((count, classes, dim, inputs), np.float32)
    agreement = np.empty((classes, inputs), np.float32)
    v = np.empty((classes, dim), np.float32)
    whole = np.empty(inputs, np.int32)
    for first in range(start, stop, count):
        last = min(first + count, stop)
        vote(u[first:last], weight, votes)
        for b in range(first, last):
            made = votes[b - first]
            fill(agreement, ONE / np.float32(classes))
            gather(made, agreement, sums[0, b])
            add(sums[0, b], bias)
            fill(agreement, ZERO)
            for t in range(len(couplings)):
                squash(sums[t, b], v)
                agree(made, v, agreement)
                couple(agreement, couplings[t, b], whole)
                gather(made, couplings[t, b], sums[t + 1, b])
                add(sums[t + 1, b], bias)


@compiled
def pull_back_images(
    u: Array,
    weight: Array,
    sums: Array,
    couplings: Array,
    gradient: Array,
    g_u: Array,
    g_bias: Array,
    g_weight: Array,
    start: int,
    stop: int,
) -> None:
    """`pull_back` for images start to stop.

    The gradient of the votes is a short sum of products, left (J, I) times right (J, D): two of each pass and
    one of the first. It is never stored whole.
    """
    classes, dim, _, inputs = weight.shape
    count, terms = at_once(weight), 2 * len(couplings) + 1
    votes = np.empty((count, classes, dim, inputs), np.float32)
    left = np.empty((count, terms, classes, inputs), np.float32)
    right = np.empty((count, terms, classes, dim), np.float32)
    g_coupling, rows = np.empty((classes, inputs), np.float32), np.empty((4, inputs), np.float32)
    g_s, g_v = np.empty((classes, dim), np.float32), np.empty((classes, dim), np.float32)
    for first in range(start, stop, count):
        last = min(first + count, stop)
        vote(u[first:last], weight, votes)
        for b in range(first, last):
            made, a, v = votes[b - first], left[b - first], right[b - first]
            fill(a[0], ZERO)  # gathers the gradient of the agreements, which add up over the passes
            copy(gradient[b], g_s)
            for t in range(len(couplings) - 1, -1, -1):
                add(g_bias[b], g_s)
                coupling = couplings[t, b]
                copy(coupling, a[2 * t + 2])
                copy(g_s, v[2 * t + 2])
                fill(g_coupling, ZERO)
                agree(made, g_s, g_coupling)
                through_softmax(coupling, g_coupling, a[0], rows[0])
                copy(a[0], a[2 * t + 1])
                squash(sums[t, b], v[2 * t + 1])
                gather(made, a[0], g_v)
                through_squash(sums[t, b], g_v, g_s)
            add(g_bias[b], g_s)
            fill(a[0], ONE / np.float32(classes))
            copy(g_s, v[0])
        spread(u[first:last], weight, left, right, g_u[first:last], g_weight, rows)


@compiled
def vote(u: Array, weight: Array, votes: Array) -> None:
    """votes_jdi = sum_p u_pi W_jdpi of each image; u (n, P, I)."""
    _, classes, dim, inputs = votes.shape
    dims = u.shape[1]
    fours = dims - dims % 4
    for j in range(classes):
        for d in range(dim):
            for n in range(len(u)):
                for i in range(inputs):
                    votes[n, j, d, i] = ZERO
                for p in range(0, fours, 4):
                    for i in range(inputs):
                        votes[n, j, d, i] += (
                            u[n, p, i] * weight[j, d, p, i]
                            + u[n, p + 1, i] * weight[j, d, p + 1, i]
                            + u[n, p + 2, i] * weight[j, d, p + 2, i]
                            + u[n, p + 3, i] * weight[j, d, p + 3, i]
                        )
                for p in range(fours, dims):
                    for i in range(inputs):
                        votes[n, j, d, i] += u[n, p, i] * weight[j, d, p, i]


@compiled
def agree(votes: Array, v: Array, agreement: Array) -> None:
    """agreement_ji += sum_d votes_jdi v_jd."""
    classes, dim, inputs = votes.shape
    fours = dim - dim % 4
    for j in range(classes):
        for d in range(0, fours, 4):
            v0, v1, v2, v3 = v[j, d], v[j, d + 1], v[j, d + 2], v[j, d + 3]
            for i in range(inputs):
                agreement[j, i] += (
                    v0 * votes[j, d, i]
                    + v1 * votes[j, d + 1, i]
                    + v2 * votes[j, d + 2, i]
                    + v3 * votes[j, d + 3, i]
                )
        for d in range(fours, dim):
            for i in range(inputs):
                agreement[j, i] += v[j, d] * votes[j, d, i]


@compiled
def gather(votes: Array, coupling: Array, s: Array) -> None:
    """s_jd = sum_i c_ji votes_jdi."""
    classes, dim, inputs = votes.shape
    for j in range(classes):
        for d in range(dim):
            total = ZERO
            for i in range(inputs):
                total += coupling[j, i] * votes[j, d, i]
            s[j, d] = total


@compiled
def fill(total: Array, value: Any) -> None:
    """total = value, (J, D); as a loop, since numba takes seconds over an assignment to a slice."""
    for j in range(len(total)):
        for d in range(total.shape[1]):
            total[j, d] = value


@compiled
def copy(what: Array, to: Array) -> None:
    """to = what, both (J, D)."""
    for j in range(len(what)):
        for d in range(what.shape[1]):
            to[j, d] = what[j, d]


@compiled
def add(total: Array, what: Array) -> None:
    """total += what, both (J, D)."""
    for j in range(len(what)):
        for d in range(what.shape[1]):
            total[j, d] += what[j, d]


@compiled
def squash(s: Array, v: Array) -> None:
    """`capsules.squash` of each row."""
    for j in range(len(s)):
        squared = ZERO
        for d in range(s.shape[1]):
            squared += s[j, d] * s[j, d]
        factor = squared / (ONE + squared) / np.sqrt(squared + EPS)
        for d in range(s.shape[1]):
            v[j, d] = factor * s[j, d]


@compiled
def through_squash(s: Array, g_v: Array, g_s: Array) -> None:
    """The gradient of s from that of `squash`: v = f(|s|^2) s gives f g_v + 2 f' (s . g_v) s."""
    for j in range(len(s)):
        squared = along = ZERO
        for d in range(s.shape[1]):
            squared += s[j, d] * s[j, d]
            along += s[j, d] * g_v[j, d]
        inverse = ONE / np.sqrt(squared + EPS)
        factor = squared / (ONE + squared) * inverse
        slope = inverse / (ONE + squared) / (ONE + squared) - HALF * factor * inverse * inverse
        for d in range(s.shape[1]):
            g_s[j, d] = factor * g_v[j, d] + (slope + slope) * along * s[j, d]


@compiled
def couple(agreement: Array, coupling: Array, whole: Array) -> None:
    """Softmax over the classes."""
    classes, inputs = agreement.shape
    highest, total = np.empty(inputs, np.float32), np.empty(inputs, np.float32)
    for i in range(inputs):
        highest[i], total[i] = agreement[0, i], ZERO
    for j in range(1, classes):
        for i in range(inputs):
            highest[i] = max(highest[i], agreement[j, i])
    for j in range(classes):
        for i in range(inputs):
            coupling[j, i] = agreement[j, i] - highest[i]
        exponentiate(coupling[j], whole)
        for i in range(inputs):
            total[i] += coupling[j, i]
    for j in range(classes):
        for i in range(inputs):
            coupling[j, i] /= total[i]


@compiled
def exponentiate(x: Array, whole: Array) -> None:
    """x = e^x for x <= 0, to a few units in the last place, as 2^whole times a short series.

    A library's e^x takes one number at a time; these loops take a vector of them.
    """
    for i in range(len(x)):
        twos = max(x[i], np.float32(-87)) * np.float32(1.4426950408889634)
        floor = math.floor(twos + HALF)
        r = (twos - np.float32(floor)) * np.float32(0.6931471805599453)
        high = np.float32(1 / 24) + r * (np.float32(1 / 120) + r * np.float32(1 / 720))
        x[i] = ONE + r * (ONE + r * (HALF + r * (np.float32(1 / 6) + r * high)))
        whole[i] = (np.int32(floor) + 127) << 23
    power = whole.view(np.float32)
    for i in range(len(x)):
        x[i] *= power[i]


@compiled
def through_softmax(coupling: Array, g_coupling: Array, g_agreement: Array, mean: Array) -> None:
    """g_agreement_ji += c_ji (g_coupling_ji - sum_k c_ki g_coupling_ki); mean is scratch (I,)."""
    classes, inputs = coupling.shape
    for i in range(inputs):
        mean[i] = ZERO
    for j in range(classes):
        for i in range(inputs):
            mean[i] += coupling[j, i] * g_coupling[j, i]
    for j in range(classes):
        for i in range(inputs):
            g_agreement[j, i] += coupling[j, i] * (g_coupling[j, i] - mean[i])


@compiled
def spread(
    u: Array, weight: Array, left: Array, right: Array, g_u: Array, g_weight: Array, rows: Array
) -> None:
    """From the votes' gradient, sum_r left_rji right_rjd, to those of u and, unless empty, of the weights."""
    _, terms, classes, inputs = left.shape
    dim, dims = right.shape[3], u.shape[1]
    factors = np.empty((terms, 4), np.float32)
    for j in range(classes):
        for d in range(0, dim, 4):
            # Four of them at once: left and u's gradient are read a quarter as often. Where fewer are left,
            # the last one is joined by zeros.
            d1, d2, d3 = min(d + 1, dim - 1), min(d + 2, dim - 1), min(d + 3, dim - 1)
            for n in range(len(u)):
                for r in range(terms):
                    for k in range(4):
                        factors[r, k] = right[n, r, j, d + k] if d + k < dim else ZERO
                a0, a1, a2, a3 = factors[0]
                for i in range(inputs):
                    term = left[n, 0, j, i]
                    rows[0, i], rows[1, i] = a0 * term, a1 * term
                    rows[2, i], rows[3, i] = a2 * term, a3 * term
                for r in range(1, terms, 2):
                    a0, a1, a2, a3 = factors[r]
                    b0, b1, b2, b3 = factors[r + 1]
                    for i in range(inputs):
                        term, next_term = left[n, r, j, i], left[n, r + 1, j, i]
                        rows[0, i] += a0 * term + b0 * next_term
                        rows[1, i] += a1 * term + b1 * next_term
                        rows[2, i] += a2 * term + b2 * next_term
                        rows[3, i] += a3 * term + b3 * next_term
                for p in range(dims):
                    for i in range(inputs):
                        g_u[n, p, i] += (
                            weight[j, d, p, i] * rows[0, i]
                            + weight[j, d1, p, i] * rows[1, i]
                            + weight[j, d2, p, i] * rows[2, i]
                            + weight[j, d3, p, i] * rows[3, i]
                        )
                if g_weight.size:
                    for p in range(dims):
                        for k in range(min(4, dim - d)):
                            for i in range(inputs):
                                g_weight[j, d + k, p, i] += u[n, p, i] * rows[k, i]
