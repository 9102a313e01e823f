"""Value and no_grad: stands where micrograd.engine stands."""

from __future__ import annotations

from contextlib import ContextDecorator

from micrograd_fast._core import Value, _no_grad_enter, _no_grad_exit

__all__ = ["Value", "no_grad"]


class no_grad(ContextDecorator):  # noqa: N801 - a keyword-like name, as in PyTorch
    """Context manager and decorator: ops compute data and record nothing.

    Results are leaves. It nests, holds for the thread that entered it, and ends with the block
    however the block ends.
    """

    def __enter__(self) -> no_grad:
        _no_grad_enter()
        return self

    def __exit__(self, *exc: object) -> None:
        _no_grad_exit()
