"""The arguments and results of compiled functions: what is read, what the traced function sees.

Every argument has a key, a tuple that says all that a trace may depend on
(src/call/signature.pxi lists them); arguments of the same keys are served by the same trace.
"""

from __future__ import annotations

from micrograd_fast import _core
from micrograd_fast.engine import Value

TYPE_CHECKING = False  # typing's own constant costs an import of 4 ms
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

Batch = _core.Batch

NESTED = ("list", "tuple", "dict")


# ---- reading ----


class Reader:
    """Reads the arguments of a call: a key for each (see src/call/signature.pxi), and the argument
    in the plain form that such a key stands for: a float, a Value, a contiguous float64 array.

    wanted: whose gradient is asked for: "argument 0", "arrays", "params", or "" for a graph.
    """

    def __init__(self, batch: bool, wanted: str) -> None:
        self.batch = batch
        self.wanted = wanted
        self.n_samples = -1
        self.lists: list[tuple[str, int]] = []  # those that hold nothing but plain numbers

    def read(self, arg: Any, name: str) -> tuple[Any, Any]:
        """(key, plain argument). Raises TypeError or ValueError naming the argument."""
        kind = type(arg)
        if isinstance(arg, Value):
            # A class's own operators are part of the trace. By id, as other classes.
            return ("value",) if kind is Value else ("value of", id(kind), kind), arg
        if isinstance(arg, float):
            return ("number",), plain_float(arg)
        if arg is None or kind in (int, bool, str):
            return ("static", kind, arg), arg
        # What a class method gets since Python 3.13. By id: metaclasses may call classes equal.
        if isinstance(arg, type):
            return ("class", id(arg), arg), arg
        if kind in (list, tuple):
            read = [self.read(a, f"{name}[{k}]") for k, a in enumerate(arg)]
            key = (kind.__name__, tuple([k for k, _ in read]))
            if _core.numbers_only(key):
                self.lists.append((name, len(read)))
            return key, kind(a for _, a in read)
        if kind is dict:
            return self._dict(list(arg.items()), name)
        if isinstance(arg, Batch):
            return self._batch(arg, name)
        if is_array(arg):
            return self._array(arg, name)
        raise TypeError(
            f"{name} is {kind.__name__!r}: a compiled function takes arrays, numbers, Values, "
            "lists, tuples and dicts of them, and int, bool, str, None and classes as constants"
        )

    def check(self, function: str) -> None:
        """What can be said only when all arguments have been read."""
        if not self.batch:
            return
        if self.n_samples < 0:
            text = f"{function} is batched: at least one argument must be an array"
            if self.lists:
                text += f", and {self.lists[0][0]} is a list: give numpy.asarray of it"
            raise ValueError(text)
        for name, n in self.lists:
            if n == self.n_samples > 1:
                raise TypeError(
                    f"{name} is a list of {n} numbers beside {n} samples: give numpy.asarray of it "
                    "for one a sample, or a list of Values (constants by functools.partial) for "
                    "the same in all samples"
                )

    def _dict(self, items: list[tuple[Any, Any]], name: str) -> tuple[Any, Any]:
        for word, _ in items:
            if type(word) not in (str, int):
                raise TypeError(
                    f"{name} has the key {word!r}: a dict for a compiled function has keys of str "
                    "or int"
                )
        read = [(word, self.read(a, f"{name}[{word!r}]")) for word, a in items]
        key = ("dict", tuple([k for _, (k, _) in read]), tuple([word for word, _ in read]))
        return key, {word: a for word, (_, a) in read}

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
        array = plain_array(arg, name)
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


def plain_float(number: float) -> float:
    """The number of a float, of a subclass the one that it is, not what its __float__ says: C reads
    that one too."""
    return float.__float__(number)


def is_array(arg: Any) -> bool:
    """Arrays, NumPy's scalars, and data frames, which give an array when they are asked."""
    return hasattr(arg, "shape") and (hasattr(arg, "dtype") or hasattr(arg, "to_numpy"))


def plain_array(arg: Any, name: str) -> Any:
    """A float64 array, contiguous, of an array. Raises TypeError for what has no real numbers."""
    import numpy as np

    given = type(arg).__name__
    if hasattr(arg, "to_numpy"):  # of pandas, polars, xarray
        arg = arg.to_numpy()
    if not isinstance(arg, (np.ndarray, np.generic)):
        how = "its toarray()" if hasattr(arg, "toarray") else "numpy.asarray of it"
        raise TypeError(f"{name} is {given!r}, no array of NumPy: give {how}")
    if arg.dtype.kind not in "fiub":
        raise TypeError(f"{name} has dtype {arg.dtype}, a compiled function takes real numbers")
    refuse_masked(arg, name)
    _core.set_numpy_types(np.ndarray, [np.dtype(code).type for code in "?bBhHiIlLqQefdg"])
    return np.array(arg, dtype=np.float64, order="C", copy=not _is_plain(arg))


def refuse_masked(arg: Any, name: str) -> None:
    """Raises TypeError for an array with masked entries, which elsewhere count as numbers."""
    import numpy as np

    if isinstance(arg, np.ma.MaskedArray) and np.ma.is_masked(arg):
        raise TypeError(
            f"{name} is an array with masked entries, which would count as numbers: give its "
            "filled(...), or compressed()"
        )


def _is_plain(array: Any) -> bool:
    """Whether the core can read an array where it is."""
    import numpy as np

    flags = array.flags
    same = type(array) is np.ndarray and array.dtype == np.float64 and array.dtype.isnative
    return bool(same and flags.c_contiguous and flags.aligned)


# ---- what a trace makes of keys ----


def _size(shape: tuple[int, ...]) -> int:
    size = 1
    for n in shape:
        size *= n
    return size


def input_kinds(key: Any, batch: bool) -> list[str]:
    """What the plan must know of every input that an argument of this key is."""
    tag = key[0]
    if tag in ("static", "class"):
        return []
    if tag in NESTED:
        return [kind for item in key[1] for kind in input_kinds(item, batch)]
    if tag in ("value", "value of", "number"):
        return ["uniform" if tag == "number" else "uniform grad"]
    kind = ("lane" if batch else "uniform") + ("" if tag == "array" else " grad")
    return [kind] * _size(key[1])


def shapes_wanted(key: Any, arg: Any) -> list[tuple[int, ...]]:
    """The shapes of the arrays in an argument whose gradient is asked for, from the left."""
    if key[0] in NESTED:
        items = arg.values() if key[0] == "dict" else arg
        pairs = zip(key[1], items, strict=True)
        return [shape for k, item in pairs for shape in shapes_wanted(k, item)]
    return [arg.shape] if key[0] == "array grad" else []


def _nested(shape: tuple[int, ...], next_value: Any) -> Any:
    """Values in the shape of an array: nested lists."""
    if not shape:
        return next_value()
    return [_nested(shape[1:], next_value) for _ in range(shape[0])]


def placeholders(key: Any, trace: Any) -> Any:
    """What the traced function sees for an argument of this key."""
    tag = key[0]
    if tag in ("value", "number"):
        return trace.input()
    if tag == "value of":
        return trace.input(key[2])
    if tag in ("static", "class"):
        return key[2]
    if tag in NESTED:
        items = [placeholders(item, trace) for item in key[1]]
        if tag == "dict":
            return dict(zip(key[2], items, strict=True))
        return items if tag == "list" else tuple(items)
    return _nested(key[1], trace.input)


def classes(key: Any) -> list[type]:
    """Classes of Values, subclasses of Value, in an argument of this key."""
    if key[0] in NESTED:
        return [kind for item in key[1] for kind in classes(item)]
    return [key[2]] if key[0] == "value of" else []


def inlined(arg: Any, batch: bool, name: str) -> Any:
    """What a compiled function that is called inside a trace sees for an argument: numbers are
    Values there too, constants of the trace. What is no number stays what it is."""
    if isinstance(arg, Value):
        return arg
    if isinstance(arg, float):
        return Value(plain_float(arg))
    if type(arg) in (list, tuple):
        return type(arg)(inlined(a, batch, f"{name}[{k}]") for k, a in enumerate(arg))
    if type(arg) is dict:
        return {word: inlined(a, batch, f"{name}[{word!r}]") for word, a in arg.items()}
    if isinstance(arg, Batch):
        _core.check_not_tracing("a Batch as argument")
    if not is_array(arg) or getattr(getattr(arg, "dtype", None), "kind", "") == "O":
        return arg
    array = plain_array(arg, name)
    if array.ndim and batch:
        _core.check_not_tracing("a batched function of an array")
    numbers = iter(array.ravel().tolist())
    return _nested(array.shape, lambda: Value(next(numbers)))


def hint(key: Any, batch: bool) -> str:
    """What a TypeError in the traced function may come from: arrays of one number a sample."""
    args, kwargs = key
    named = [(f"argument {k}", a) for k, a in enumerate(args)]
    named += [(f"argument {word!r}", a) for word, a in kwargs]
    for name, k in named:
        if k[0] in ("array", "array grad", "batch") and k[1] and k[1][-1] == 1:
            shape = ", ".join(map(str, (*(("B",) if batch else ()), *k[1])))
            shape += "," if "," not in shape else ""
            index = ", ".join([":"] * (len(k[1]) - 1 + batch) + ["0"])
            return (
                f"{name} of shape ({shape}) arrives as a list of one Value: give {name}[{index}] "
                "if it is meant as a number"
            )
    return ""


# ---- results ----


def flatten(result: Any, values: list[Value], name: str) -> Any:
    """The structure of what the function returned; its Values are collected."""
    if isinstance(result, Value):
        values.append(result)
        return Value
    if isinstance(result, (list, tuple)):
        return (type(result), [flatten(r, values, name) for r in result])
    if type(result) is dict and all(isinstance(k, (str, int, float, type(None))) for k in result):
        return (dict, [flatten(r, values, name) for r in result.values()], tuple(result))
    if result is None or isinstance(result, (int, float, str)):
        return ("static", result)
    advice = ": give its tolist()" if hasattr(result, "tolist") else ""
    raise TypeError(
        f"{name} returned {type(result).__name__!r}{advice}: a compiled function returns Values "
        "and lists, tuples or dicts of them"
    )


def unflatten(tree: Any, values: Iterator[Any]) -> Any:
    if tree is Value:
        return next(values)
    if tree[0] == "static":
        return tree[1]
    items = [unflatten(t, values) for t in tree[1]]
    if tree[0] is dict:
        return dict(zip(tree[2], items, strict=True))
    make = getattr(tree[0], "_make", tree[0])  # of a named tuple
    return items if make is list else make(items)


def no_value(name: str, key: Any) -> str:
    """Says that a function returned no Value, and which argument that may come from."""
    args, kwargs = key
    text = f"{name} returned no Value, there is nothing to compile"
    for where, k in [*enumerate(args), *kwargs]:
        if k[0] == "static" and k[1] is int:
            text += (
                f": argument {where!r}, {k[2]}, is an int, which is a constant; {k[2]}.0 or an "
                "array is an input"
            )
            break
    return text


# ---- why calls are traced anew ----


def changing(keys: Iterable[Any]) -> str:
    """Which argument differs most among the keys of calls, and what to do about it."""
    keys = list(keys)
    columns: dict[str, list[Any]] = {}
    for args, kwargs in keys:
        for word, key in [*enumerate(args), *kwargs]:
            columns.setdefault(f"argument {word!r}", []).append(key)
    found = [_variety(name, column) for name, column in columns.items()]
    n, text = max(found, default=(0, ""), key=lambda pair: pair[0])
    return text if n > 1 else "it is called with other numbers of arguments"


def _variety(name: str, column: list[Any]) -> tuple[int, str]:
    """How many different keys an argument had, and how they differ."""
    distinct = list(dict.fromkeys(column))
    n, first = len(distinct), distinct[0]
    tag = first[0] if len({key[0] for key in distinct}) == 1 else "mixed"
    if n == 1:
        return 1, ""
    if tag in NESTED:
        if len({(len(key[1]), *key[2:]) for key in distinct}) > 1:
            return n, f"{name} is a {tag} that had {n} structures: numbers in an array have one"
        words = first[2] if tag == "dict" else range(len(first[1]))
        parts = zip(words, *[key[1] for key in column], strict=True)
        return max(_variety(f"{name}[{word!r}]", part) for word, *part in parts)
    if tag == "static" and {key[1] for key in distinct} == {int}:
        return n, (
            f"{name} is an int that had {n} values, each a constant of a trace of its own: give it "
            "as a float or a NumPy integer if it need not be a constant"
        )
    if tag in ("static", "class"):
        kind = "class" if tag == "class" else first[1].__name__
        return n, f"{name} is a {kind} that had {n} values, each a constant of a trace of its own"
    if tag in ("array", "array grad", "batch"):
        return n, f"{name} is an array that had {n} shapes, each with a trace of its own: pad it"
    return n, f"{name} came in {n} kinds, each with a trace of its own"
