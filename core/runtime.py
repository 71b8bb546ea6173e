"""Where and how networks compute: device, threads, precision, and the mode they are in meanwhile."""

import ctypes
import platform
import time
from collections.abc import Callable, Generator
from contextlib import AbstractContextManager, contextmanager
from functools import cache
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F


def device() -> torch.device:
    """The first CUDA device when there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def describe(where: torch.device) -> str:
    """The device in words, for a result's record: "NVIDIA H200" or "CPU, 2 threads"."""
    if where.type == "cuda":
        return torch.cuda.get_device_name(where)
    threads = torch.get_num_threads()
    return f"CPU, {threads} thread{'s' if threads > 1 else ''}"


KEPT = 512 << 20
"""Bytes of freed memory that a process keeps, see `configure`."""


def configure() -> None:
    """Flush denormals to zero, use all threads, keep freed memory, and let float32 be float32.

    Gradients through squash and softmax are full of denormals, and each is slow. An attack asks for the same
    megabytes in every step; what glibc returns to the system in between has to be cleared and mapped again,
    a fifth of a step on few images. A thread that starts while another is at one, see `at_most`, would stay
    at one. On CUDA, convolutions would round their input to TF32's 10 bits unless told otherwise, and a
    verdict would depend on the device.
    """
    torch.set_flush_denormal(True)
    torch.set_num_threads(_threads())
    torch.backends.cudnn.allow_tf32 = False
    if platform.libc_ver()[0] == "glibc":
        libc, trim_threshold, mmap_threshold = ctypes.CDLL(None), -1, -3
        libc.mallopt(trim_threshold, KEPT)
        libc.mallopt(mmap_threshold, 32 << 20)  # the most that it takes


@cache
def _threads() -> int:
    """Of this process, as it was when this was first asked for."""
    return torch.get_num_threads()


FEW = 5e9
"""Pixels times weights up to which a second thread gains under a tenth: five digits on a compact CapsNet."""


def worthwhile_threads(model: object, x: Tensor) -> int:
    """In how many threads a network should compute on images (B, C, H, W): one, or all.

    The choice depends on the work alone, so that results can be repeated. Where the machine is busy, all
    threads are about as fast as one, as they do not wait busily (see `core/__init__.py`).
    """
    if x.device.type != "cpu" or not isinstance(model, nn.Module):
        return torch.get_num_threads()
    small = x.numel() * sum(weights.numel() for weights in model.parameters()) <= FEW
    return 1 if small else torch.get_num_threads()


@contextmanager
def at_most(threads: int) -> Generator[None]:
    """Inside, this thread computes in no more threads than that; afterwards in as many as before."""
    before = torch.get_num_threads()
    if before <= threads:
        yield
        return
    torch.set_num_threads(threads)
    try:
        yield
    finally:
        torch.set_num_threads(before)


@contextmanager
def untouched(*models: object) -> Generator[None]:
    """Evaluation mode and frozen parameters inside; every module and parameter as it was afterwards.

    Args:
        models: Those that are no `nn.Module` have nothing to be kept.
    """
    networks = [model for model in models if isinstance(model, nn.Module)]
    training = [module for network in networks for module in network.modules() if module.training]
    needed = [weights for network in networks for weights in network.parameters() if weights.requires_grad]
    try:
        for module in training:
            module.training = False
        for parameter in needed:
            parameter.requires_grad_(False)
        yield
    finally:
        for module in training:
            module.training = True
        for parameter in needed:
            parameter.requires_grad_(True)


def computing_in(precision: torch.dtype, where: torch.device) -> AbstractContextManager[object]:
    """Convolutions and matrix products of float32 tensors are computed in that precision inside."""
    return torch.autocast(where.type, torch.bfloat16, enabled=precision == torch.bfloat16)


def dtype_name(precision: torch.dtype) -> str:
    """For a result's record: "float32"."""
    return str(precision).removeprefix("torch.")


@cache
def network_precision(where: torch.device) -> torch.dtype:
    """What training and attacks take gradients in: bfloat16 where networks are clearly faster so, or float32.

    Measured once per process, in some milliseconds, on what networks do most: without units for it a
    processor takes a hundred times as long over a convolution, even where it multiplies matrices well.
    Attacks decide success in float32 in any case; their direction is a sign, which survives the rounding.
    """
    with at_most(1):  # other threads would have to wait where the cores have other work
        for small in (True, False):
            total = {torch.float32: 0.0, torch.bfloat16: 0.0}
            works = {precision: _network_works(where, precision, small) for precision in total}
            for single, half in zip(*works.values(), strict=True):
                for precision, work in zip(total, (single, half), strict=True):
                    total[precision] += min(_seconds(work) for _ in range(6))
                # What is slow shows it in small works, before the large ones would take long.
                if total[torch.bfloat16] > 2 * total[torch.float32]:
                    return torch.float32
    # Rounding costs time too, around the products: a narrow win here is a loss there.
    return torch.bfloat16 if total[torch.bfloat16] < 0.6 * total[torch.float32] else torch.float32


def _network_works(
    where: torch.device, precision: torch.dtype, small: bool
) -> tuple[Callable[[], Tensor], ...]:
    """A convolution, a transposed one and a product; small ones do not tell a narrow win from a loss."""
    size, images, channels, side = (512, 4, 64, 16) if where.type == "cpu" else (4096, 64, 256, 32)
    if small:
        size, images, channels, side = 128, 2, 32, 8
    maps = torch.ones(images, channels, side, side, device=where).to(memory_format=torch.channels_last)
    # Weights are rounded once and used often; images are rounded each time, and that takes part in it.
    kernel = torch.ones(channels, channels, 3, 3, device=where, dtype=precision)
    square = torch.ones(size, size, device=where, dtype=precision)
    return (
        lambda: F.conv2d(maps.to(precision), kernel),
        lambda: F.conv_transpose2d(maps.to(precision), kernel),
        lambda: square @ square,
    )


def _seconds(work: Callable[[], Tensor]) -> float:
    """Of one call, the device's queue included."""
    began = time.perf_counter()
    work().flatten()[0].item()
    return time.perf_counter() - began


_Region = ctypes.CFUNCTYPE(None, ctypes.c_void_p)


@cache
def _openmp() -> ctypes.CDLL | None:
    """The threads that torch itself computes with, where they are GNU OpenMP's."""
    found = next(Path(torch.__file__).parent.glob("lib/libgomp*"), None)
    return ctypes.CDLL(str(found)) if found else None


def in_parts(work: Callable[[int, int], None], count: int) -> None:
    """Do work(start, stop) for 0 to count, in as many parts at once as torch has threads.

    The parts run in torch's own threads: others would have to share the cores with these, which wait busily
    for some milliseconds after every operation. Where they cannot be had there is one part. The work must
    release the interpreter's lock, as compiled code can.
    """
    openmp, parts = _openmp(), min(torch.get_num_threads(), count)
    if openmp is None or parts < 2:
        return work(0, count)
    errors: list[BaseException] = []

    def region(_: int | None) -> None:
        number, among = openmp.omp_get_thread_num(), openmp.omp_get_num_threads()
        try:
            work(count * number // among, count * (number + 1) // among)
        except BaseException as error:  # noqa: BLE001 - nothing may pass through code that is not Python's
            errors.append(error)

    openmp.GOMP_parallel(_Region(region), None, ctypes.c_uint(parts), ctypes.c_uint(0))
    if errors:
        raise errors[0]
    return None
