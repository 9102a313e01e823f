"""Value and no_grad: stands where micrograd.engine stands."""

from __future__ import annotations

from micrograd_fast._core import NoGrad, Value

TYPE_CHECKING = False  # typing's own constant costs an import of 4 ms
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TypeVar

    F = TypeVar("F", bound=Callable[..., object])

# What a star import gives with micrograd: more would hide a program's own names.
__all__ = ["Value"]


def __dir__() -> list[str]:
    return ["Value", "no_grad"]


class no_grad(NoGrad):
    """Context manager and decorator: ops compute data and record nothing.

    Results are leaves. It nests, holds for the thread that entered it, and ends with the block
    however the block ends.
    """

    def __call__(self, function: F) -> F:
        from functools import wraps

        @wraps(function)
        def without_grad(*args: object, **kwargs: object) -> object:
            with no_grad():
                return function(*args, **kwargs)

        return without_grad  # type: ignore[return-value]


def _repr_svg_(self: Value) -> str | None:
    """What a notebook shows for a Value: its graph, drawn, where it is small and Graphviz there."""
    from micrograd_fast import viz

    return viz.svg(self)


Value._repr_svg_ = _repr_svg_  # type: ignore[method-assign]
