"""Where computation runs, and the processor settings that every process wants."""

import ctypes
import platform
import time
from collections.abc import Callable
from functools import cache
from pathlib import Path

import torch
from torch import Tensor


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
    """Flush denormals to zero, keep freed memory, and let float32 be float32.

    Gradients through squash and softmax are full of denormals, and each is slow. An attack asks for the same
    megabytes in every step; what glibc returns to the system in between has to be cleared and mapped again,
    a fifth of a step on few images. On CUDA, convolutions would round their input to TF32's 10 bits unless
    told otherwise, and a verdict would depend on the device.
    """
    torch.set_flush_denormal(True)
    torch.backends.cudnn.allow_tf32 = False
    if platform.libc_ver()[0] == "glibc":
        libc, trim_threshold, mmap_threshold = ctypes.CDLL(None), -1, -3
        libc.mallopt(trim_threshold, KEPT)
        libc.mallopt(mmap_threshold, 32 << 20)  # the most that it takes


@cache
def gradient_precision(where: torch.device) -> torch.dtype:
    """What attacks take gradients in: bfloat16 where its matrix products are clearly faster, else float32.

    Measured once per process, in some milliseconds. Attacks decide success in float32 in any case; their
    direction is a sign, which survives the rounding.
    """
    single, half = (_product_seconds(where, dtype) for dtype in (torch.float32, torch.bfloat16))
    # Rounding costs time too, around the products: a narrow win here is a loss there.
    return torch.bfloat16 if half < 0.6 * single else torch.float32


def _product_seconds(where: torch.device, dtype: torch.dtype) -> float:
    """Shortest time of several square matrix products, large enough to keep the device busy."""
    size = 512 if where.type == "cpu" else 4096
    a = torch.ones(size, size, device=where, dtype=dtype)

    def seconds() -> float:
        began = time.perf_counter()
        product: Tensor = a @ a
        product[0, 0].item()  # waits for the device
        return time.perf_counter() - began

    return min(seconds() for _ in range(6))


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
