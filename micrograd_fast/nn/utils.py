"""Parameters as one vector and back, gradients clipped: with PyTorch's names and numbers."""

from __future__ import annotations

import math
from collections.abc import Iterable

from micrograd_fast import _core
from micrograd_fast import _types as t
from micrograd_fast.arguments import refuse_masked
from micrograd_fast.engine import Value

__all__ = [
    "clip_grad_norm_",
    "clip_grad_value_",
    "gradients_to_vector",
    "parameters_to_vector",
    "vector_to_parameters",
]


def __dir__() -> list[str]:
    return __all__


def _number(name: str, number: float) -> float:
    """A limit: not below 0; inf is none."""
    try:
        number = Value(number).data
    except TypeError:
        raise TypeError(f"{name} must be a number, not {type(number).__name__!r}") from None
    if not number >= 0.0:
        raise ValueError(f"{name} must be 0 or more, not {number}")
    return number


def _listed(parameters: Value | Iterable[Value]) -> list[Value]:
    return [parameters] if isinstance(parameters, Value) else list(parameters)


def clip_grad_norm_(
    parameters: Value | Iterable[Value],
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
) -> float:
    """Scales the grads of all parameters so that their norm is at most max_norm; returns the norm
    that they had.

    They are multiplied by max_norm / (norm + 1e-6) where that is below 1, as PyTorch does.
    norm_type is the order of the norm, inf for the largest. Parameters whose requires_grad is false
    are left out.

    Raises RuntimeError for a norm of nan or inf where error_if_nonfinite is true, ValueError for a
    max_norm below 0; nothing is changed then.
    """
    values, limit = _listed(parameters), _number("max_norm", max_norm)
    order = _order(norm_type)
    norm = _core.grad_norm(values, order)
    if error_if_nonfinite and not math.isfinite(norm):
        raise RuntimeError(f"the norm of order {order} of the gradients is {norm}: not clipped")
    factor = limit / (norm + 1e-6)
    if not factor >= 1.0:  # nan makes all nan, as in PyTorch
        _core.scale_grads(values, factor)
    return norm


def _order(norm_type: float) -> float:
    try:
        order = float(norm_type)  # 'inf' too, as in PyTorch
    except (TypeError, ValueError):
        raise TypeError(f"norm_type must be a number, not {norm_type!r}") from None
    if math.isnan(order):
        raise ValueError("norm_type must be the order of a norm, not nan")
    return order


def clip_grad_value_(parameters: Value | Iterable[Value], clip_value: float) -> None:
    """Sets grads above clip_value to it, and those below -clip_value to that.

    Parameters whose requires_grad is false are left out. Raises ValueError for a clip_value below
    0; nothing is changed then.
    """
    _core.clamp_grads(_listed(parameters), _number("clip_value", clip_value))


def parameters_to_vector(parameters: Iterable[Value]) -> t.Floats:
    """The data of all parameters, a float64 array of shape (n,)."""
    import numpy as np

    values = list(parameters)
    vector = np.empty(len(values))
    _core.copy_numbers(values, vector, "data")
    return vector


def gradients_to_vector(parameters: Iterable[Value]) -> t.Floats:
    """The grads of all parameters, a float64 array of shape (n,)."""
    import numpy as np

    values = list(parameters)
    vector = np.empty(len(values))
    _core.copy_numbers(values, vector, "grad")
    return vector


def vector_to_parameters(vector: t.ArrayLike, parameters: Iterable[Value]) -> None:
    """Writes a vector of shape (n,) to the data of n parameters.

    Raises ValueError for another shape and TypeError for what holds no real numbers; the
    parameters are unchanged then.
    """
    import numpy as np

    values = list(parameters)
    refuse_masked(vector, "vector")
    array = np.asarray(vector)
    if array.dtype.kind not in "fiub":
        raise TypeError(f"vector has dtype {array.dtype}, real numbers are needed")
    if array.shape != (len(values),):
        raise ValueError(f"vector has shape {array.shape}, the parameters need ({len(values)},)")
    _core.copy_numbers(values, np.ascontiguousarray(array, dtype=np.float64), "write")
