"""Where computation runs, and the processor settings that every process wants."""

import torch


def device() -> torch.device:
    """The first CUDA device when there is one, else the CPU."""
    return torch.device("cuda" if torch.cuda.is_available() else "cpu")


def describe(where: torch.device) -> str:
    """The device in words, for a result's record: "NVIDIA H200" or "CPU, 2 threads"."""
    if where.type == "cuda":
        return torch.cuda.get_device_name(where)
    threads = torch.get_num_threads()
    return f"CPU, {threads} thread{'s' if threads > 1 else ''}"


def configure() -> None:
    """Flush denormals to zero: gradients through squash and softmax are full of them, and each is slow."""
    torch.set_flush_denormal(True)


def gradient_precision(where: torch.device) -> torch.dtype:
    """bfloat16 where matrix units make it faster than float32, else float32.

    Attacks decide success in float32 in any case; their direction is a sign, which survives the rounding.
    """
    if where.type == "cuda":
        return torch.bfloat16 if torch.cuda.is_bf16_supported() else torch.float32
    # There is no public name for it.
    has_tiles = torch.cpu._is_amx_tile_supported()  # pyright: ignore[reportPrivateUsage]
    return torch.bfloat16 if has_tiles else torch.float32
