"""The arguments and results of compiled functions: what is read, what the traced function sees.

Every argument has a key, a tuple that says all that a trace may depend on (src/signature.pxi lists
them); arguments of the same keys are served by the same trace.
"""

from __future__ import annotations

from micrograd_fast import _core
from micrograd_fast.engine import Value

TYPE_CHECKING = False  # typing's own constant costs an import of 4 ms
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

Batch = _core.Batch


class Reader:
    """Reads the arguments of a call: a key for each (see src/signature.pxi), and the argument in
    the plain form that such a key stands for: a float, a Value, a contiguous float64 array.

    wanted: whose gradient is asked for: "argument 0", "arrays", "params", or "" for a graph.
    """

    def __init__(self, batch: bool, wanted: str) -> None:
        self.batch = batch
        self.wanted = wanted
        self.n_samples = -1

    def read(self, arg: Any, name: str) -> tuple[Any, Any]:
        """(key, plain argument). Raises TypeError or ValueError naming the argument."""
        kind = type(arg)
        if isinstance(arg, Value):
            return ("value",), arg
        if isinstance(arg, float):
            return ("number",), float(arg)
        # A class is what a class method gets since Python 3.13.
        if arg is None or kind in (int, bool, str) or isinstance(arg, type):
            return ("static", kind, arg), arg
        if kind in (list, tuple):
            read = [self.read(a, f"{name}[{k}]") for k, a in enumerate(arg)]
            return (kind.__name__, tuple([k for k, _ in read])), kind(a for _, a in read)
        if isinstance(arg, Batch):
            return self._batch(arg, name)
        if hasattr(arg, "dtype") and hasattr(arg, "shape"):
            return self._array(arg, name)
        raise TypeError(
            f"{name} is {kind.__name__!r}: a compiled function takes arrays, numbers, Values, "
            "lists and tuples of them, and int, bool, str, None and classes as constants"
        )

    def _batch(self, arg: Batch, name: str) -> tuple[Any, Any]:
        if not self.batch:
            raise TypeError(f"{name} is a Batch, which only a batched function takes")
        if self.wanted == "arrays" or not arg._has_graph():
            return self._array(arg.data, name)
        if self.wanted:
            raise TypeError(
                f"{name} is a Batch with a graph, which value_and_grad with params does not "
                "follow: give its data"
            )
        self._count(len(arg), name)
        return ("batch", arg.data.shape[1:]), arg

    def _array(self, arg: Any, name: str) -> tuple[Any, Any]:
        import numpy as np

        if not isinstance(arg, (np.ndarray, np.generic)):
            raise TypeError(
                f"{name} is {type(arg).__name__!r}, no array of NumPy: give numpy.asarray of it"
            )
        if arg.dtype.kind not in "fiub":
            raise TypeError(f"{name} has dtype {arg.dtype}, a compiled function takes real numbers")
        _core.set_numpy_types(np.ndarray, [np.dtype(code).type for code in "?bBhHiIlLqQefdg"])
        array = np.array(arg, dtype=np.float64, order="C", copy=not _is_plain(arg))
        if array.ndim == 0:
            return ("number",), float(array)
        wants = self.wanted in ("arrays", name)
        shape = array.shape
        if self.batch:
            self._count(len(array), name)
            shape = shape[1:]
        return ("array grad" if wants else "array", shape), array

    def _count(self, n_samples: int, name: str) -> None:
        if self.n_samples not in (-1, n_samples):
            raise ValueError(
                f"{name} has {n_samples} samples, the arrays before it have {self.n_samples}"
            )
        self.n_samples = n_samples


def _is_plain(array: Any) -> bool:
    """Whether the core can read an array where it is."""
    import numpy as np

    flags = array.flags
    same = type(array) is np.ndarray and array.dtype == np.float64 and array.dtype.isnative
    return bool(same and flags.c_contiguous and flags.aligned)


def _size(shape: tuple[int, ...]) -> int:
    size = 1
    for n in shape:
        size *= n
    return size


def input_kinds(key: Any, batch: bool) -> list[str]:
    """What the plan must know of every input that an argument of this key is."""
    tag = key[0]
    if tag == "static":
        return []
    if tag in ("list", "tuple"):
        return [kind for item in key[1] for kind in input_kinds(item, batch)]
    if tag in ("value", "number"):
        return ["uniform grad" if tag == "value" else "uniform"]
    kind = ("lane" if batch else "uniform") + ("" if tag == "array" else " grad")
    return [kind] * _size(key[1])


def arrays_in(args: Any) -> list[Any]:
    """The arrays among plain arguments, from the left."""
    found = []
    for arg in args:
        if isinstance(arg, (list, tuple)):
            found += arrays_in(arg)
        elif hasattr(arg, "shape"):
            found.append(arg)
    return found


def _nested(shape: tuple[int, ...], trace: Any) -> Any:
    """Inputs of a trace in the shape of an array: nested lists."""
    if not shape:
        return trace.input()
    return [_nested(shape[1:], trace) for _ in range(shape[0])]


def placeholders(key: Any, trace: Any) -> Any:
    """What the traced function sees for an argument of this key."""
    tag = key[0]
    if tag in ("value", "number"):
        return trace.input()
    if tag == "static":
        return key[2]
    if tag in ("list", "tuple"):
        items = [placeholders(item, trace) for item in key[1]]
        return items if tag == "list" else tuple(items)
    return _nested(key[1], trace)


def flatten(result: Any, values: list[Value], name: str) -> Any:
    """The structure of what the function returned; its Values are collected."""
    if isinstance(result, Value):
        values.append(result)
        return Value
    if isinstance(result, (list, tuple)):
        return (type(result), [flatten(r, values, name) for r in result])
    if result is None or isinstance(result, (int, float, str)):
        return ("static", result)
    raise TypeError(
        f"{name} returned {type(result).__name__!r}: a compiled function returns "
        "Values and lists or tuples of them"
    )


def unflatten(tree: Any, values: Iterator[Any]) -> Any:
    if tree is Value:
        return next(values)
    if tree[0] == "static":
        return tree[1]
    items = [unflatten(t, values) for t in tree[1]]
    make = getattr(tree[0], "_make", tree[0])  # of a named tuple
    return items if make is list else make(items)
