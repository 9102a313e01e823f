"""Value and no_grad: stands where micrograd.engine stands."""

from __future__ import annotations

from micrograd_fast import _types as t
from micrograd_fast._core import Mode, Value

TYPE_CHECKING = False  # typing's own constant costs an import of 4 ms
if TYPE_CHECKING:
    from typing import overload

    from typing_extensions import Self

# What a star import gives with micrograd: more would hide a program's own names.
__all__ = ["Value"]


def __dir__() -> list[str]:
    return ["Value", "no_grad"]


class no_grad(Mode):
    """Context manager and decorator: ops compute data and record nothing.

    Results are leaves. It nests, holds for the thread that entered it, and ends with the block
    however the block ends. `@no_grad()` and `@no_grad` decorate functions, methods, generators
    and coroutines; those of the last two kinds record again while they wait to be resumed.

    Raises TypeError for what cannot be decorated.
    """

    if TYPE_CHECKING:

        @overload
        def __new__(cls, function: None = None) -> Self: ...
        @overload
        def __new__(cls, function: t.F) -> t.F: ...  # type: ignore[misc]

    def __new__(cls, function: t.F | None = None) -> t.Any:
        block = super().__new__(cls, "no_grad")
        return block if function is None else block(function)

    def __call__(self, function: t.F) -> t.F:
        from micrograd_fast._decorate import decorated

        return decorated(function, no_grad)


def _repr_svg_(self: Value) -> str | None:
    """What a notebook shows for a Value: its graph, drawn, where it is small."""
    from micrograd_fast import viz

    return viz.svg(self)


Value._repr_svg_ = _repr_svg_  # type: ignore[method-assign]
