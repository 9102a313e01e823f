"""What layers and cells check of their sizes and inputs."""

from __future__ import annotations

import operator

from micrograd_fast.counted import counted
from micrograd_fast.engine import Value

TYPE_CHECKING = False  # typing's own constant costs an import of 4 ms
if TYPE_CHECKING:
    from typing import Any

__all__: list[str] = []


def size(name: str, number: Any, low: int = 1) -> int:
    """A whole number from `low` on: TypeError for what is none, ValueError for less."""
    try:
        whole = operator.index(number)
    except TypeError:
        kind = type(number).__name__
        raise TypeError(f"{name} must be a whole number, not {kind!r}") from None
    if whole < low:
        raise ValueError(f"{name} must be {low} or more, not {whole}")
    return whole


def listed(name: str, x: Any, n: int) -> list[Any]:
    """A list of n numbers or Values: TypeError for what is no list, ValueError for another n."""
    if isinstance(x, (Value, str, bytes)) or not hasattr(x, "__iter__"):
        raise TypeError(f"{name} must be a list of {n} Values or numbers, not {type(x).__name__!r}")
    if getattr(x, "ndim", 1) != 1:
        raise ValueError(
            f"{name} of {x.ndim} axes is no sample, a list of {n}: give one at a time, "
            "[layer(row) for row in X], or let mg.compile(layer, batch=True) go over them"
        )
    items = x if isinstance(x, list) else list(x)
    if len(items) != n:
        raise ValueError(f"{name} must have {counted(n, 'item')}, not {len(items)}")
    return items
