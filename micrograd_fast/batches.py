"""Arithmetic on Batches, sample by sample: batched functions of one op, compiled at first use."""

from __future__ import annotations

import operator
from operator import methodcaller

from micrograd_fast import _core
from micrograd_fast.arguments import refuse_masked
from micrograd_fast.engine import Value

TYPE_CHECKING = False  # typing's own constant costs an import of 4 ms
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__: list[str] = []

# By NumPy's names: its functions come here as well as Python's operators.
_OPERATIONS: dict[str, Callable[..., Any]] = {
    "add": operator.add,
    "subtract": operator.sub,
    "multiply": operator.mul,
    "divide": operator.truediv,
    "power": operator.pow,
    "negative": operator.neg,
    "absolute": abs,
    "maximum": lambda x, y: x.maximum(y),
    "minimum": lambda x, y: x.minimum(y),
    "square": lambda x: x**2,
    **{op.name: methodcaller(op.name) for op in _core.OPS if op.kind == "unary"},
}
_compiled: dict[str, Any] = {}


def elementwise(name: str, *operands: Any) -> Any:
    """The Batch of an op of Batches, numbers, Values and arrays of one number a sample.

    Raises TypeError for what is none of these, and for what has no derivative here; ValueError for
    an array or a Batch of another shape.
    """
    _core.check_not_tracing("arithmetic on a Batch")
    if name not in _OPERATIONS:
        raise TypeError(
            f"numpy.{name} does not go through the graph of a Batch: compute it inside the "
            "compiled function, or of .data, which is an array"
        )
    shapes = [operand.data.shape for operand in operands if isinstance(operand, _core.Batch)]
    plain = [_operand(operand, max(shapes, key=len)) for operand in operands]
    if name not in _compiled:
        from micrograd_fast.compiler import compile

        _compiled[name] = compile(_function(name), batch=True)
        _compiled[name]._asked = ""
    return _compiled[name](*plain)


# Functions of NumPy that tell what a Batch is, or write it down: no gradient is expected of them.
_TELLING = {"shape", "ndim", "size", "atleast_1d", "array_repr", "array_str", "array2string"}
_TELLING |= {"save", "savez", "savez_compressed", "savetxt", "argmax", "argmin", "argsort"}
_TELLING |= {"array_equal", "array_equiv", "allclose", "isclose", "count_nonzero", "histogram"}


def numpy_function(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What a function of NumPy that is no ufunc gives for a Batch among its arguments.

    Raises TypeError for what would give plain numbers in the middle of a graph.
    """
    name = function.__name__
    if name in ("mean", "sum") and args and isinstance(args[0], _core.Batch):
        return getattr(args[0], name)(*args[1:], **kwargs)
    given = [*args, *kwargs.values()]
    if name not in _TELLING and any(map(_has_graph, given)):
        raise TypeError(
            f"numpy.{name} does not go through the graph of a Batch: .sum() and .mean() do, and "
            "arithmetic; .data is an array"
        )
    return function(*map(_numbers, args), **{word: _numbers(a) for word, a in kwargs.items()})


def _has_graph(x: Any) -> bool:
    if isinstance(x, (list, tuple)):
        return any(map(_has_graph, x))
    return isinstance(x, _core.Batch) and x._has_graph()


def _numbers(x: Any) -> Any:
    """x with arrays for Batches."""
    if type(x) in (list, tuple):
        return type(x)(map(_numbers, x))
    return x.data if isinstance(x, _core.Batch) else x


def _function(name: str) -> Callable[..., Any]:
    """What is compiled for an op. Several results a sample come as lists."""

    def function(*xs: Any) -> Any:
        sizes = [len(x) for x in xs if isinstance(x, list)]
        if not sizes:
            return _OPERATIONS[name](*xs)
        return [
            _OPERATIONS[name](*[x[k] if isinstance(x, list) else x for x in xs])
            for k in range(sizes[0])
        ]

    function.__name__ = name
    return function


def _operand(x: Any, shape: tuple[int, ...]) -> Any:
    """An operand as the compiled function takes it, beside a Batch whose data has that shape."""
    import numpy as np

    if isinstance(x, Value):
        return x
    if isinstance(x, (int, float, np.number, np.bool_)):
        return float(x)
    if isinstance(x, _core.Batch):
        if x.data.shape in (shape, shape[:1]):
            return x
        raise ValueError(f"Batches of shapes {x.data.shape} and {shape} in one operation")
    if isinstance(x, (list, tuple, np.ndarray)):
        refuse_masked(x, "an operand of a Batch")
        array = np.asarray(x)
        if array.dtype.kind in "biuf":
            if array.ndim == 0:
                return float(array)
            if array.shape == shape:
                return array.astype(np.float64)
            raise ValueError(
                f"an array of shape {array.shape} beside a Batch of shape {shape}: it must hold "
                "one number a sample"
            )
    raise TypeError(
        f"a Batch is computed with numbers, Values, Batches and arrays of one number a sample, not "
        f"{type(x).__name__!r}: compute the rest inside the compiled function"
    )
