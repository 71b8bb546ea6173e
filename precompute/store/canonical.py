"""JSON with one spelling: what keys are hashed from, and documents that carry their own digest."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from typing import Any


def plain(value: Any, where: str = "value") -> Any:
    """A copy of `value` made of dict, list, str, int, float, bool and None alone.

    Args:
        value: Mappings with string keys, lists, tuples and JSON scalars, nested at will.
        where: What the value is called in error messages.
    Raises: TypeError: for anything that JSON would lose or change silently, naming the place.
    """
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        if not math.isfinite(value):
            raise TypeError(
                f"expected a finite number at {where}, got {value}; store None for what is not known"
            )
        return float(value)
    if isinstance(value, Mapping):
        for key in value:
            if not isinstance(key, str):
                raise TypeError(f"expected string keys at {where}, got {key!r}; convert it with str()")
        return {key: plain(item, f"{where}.{key}") for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [plain(item, f"{where}[{index}]") for index, item in enumerate(value)]
    raise TypeError(f"expected a JSON value at {where}, got {type(value).__name__}; convert it first")


def canonical(value: Any) -> bytes:
    """`value` as JSON in its one spelling: keys sorted, no white space, ASCII."""
    return json.dumps(plain(value), sort_keys=True, separators=(",", ":"), allow_nan=False).encode()


def sha256(data: bytes) -> str:
    """SHA-256 of `data`, 64 hexadecimal digits."""
    return hashlib.sha256(data).hexdigest()


def seal(document: Mapping[str, Any]) -> bytes:
    """`document` as indented JSON that carries its own digest, so that damage to it is seen."""
    body = plain(document, "document")
    return json.dumps({**body, "sha256": sha256(canonical(body))}, sort_keys=True, indent=1).encode() + b"\n"


def unseal(data: bytes) -> dict[str, Any]:
    """The document that `seal` wrote.

    Raises: ValueError: when `data` is not what `seal` wrote.
    """
    try:
        document = json.loads(data)
        if isinstance(document, dict) and document.pop("sha256", None) == sha256(canonical(document)):
            return document
    except (ValueError, TypeError):  # not JSON, not text, or JSON with what seal never writes, such as NaN
        pass
    raise ValueError("its digest does not match its content")
