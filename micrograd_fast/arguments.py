"""The arguments and results of compiled functions: what is read, what the traced function sees.

Every argument is of a kind, which says all that a trace may depend on; src/call/kinds.pxi has them.
Arguments of the same kinds are served by the same trace.
"""

from __future__ import annotations

from math import prod

from micrograd_fast import _core
from micrograd_fast.counted import counted
from micrograd_fast.engine import Value

TYPE_CHECKING = False  # typing's own constant costs an import of 4 ms
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Any

Batch = _core.Batch
ARRAYS = (_core.ArrayKind, _core.BatchKind)
# Lists in lists. The interpreter's own limit cannot be relied upon: people raise it, and CPython
# 3.13.0 does not count calls that leave out an argument.
DEEPEST = 256


class Wanted:
    """What a call is wanted for, as in src/call/call.pxi."""

    RESULTS = 0  # Values, or a Batch: backward() goes through the graph
    NUMBERS = 1  # arrays, without a gradient
    ARRAYS = 2  # the gradient of the first argument; of a batched function that of all arrays
    PARAMS = 3  # the gradient of leaf Values


# ---- reading ----


class Reader:
    """Reads the arguments of a call: the kind of each, and the argument in the plain form that the
    core reads: a float, a Value, a contiguous float64 array.

    wanted: of Wanted. per_sample: of a batched call, whether the rows of the arrays of
    argument k of n are samples; else they are the same in all. first_alone: in a batched call too
    the gradient that is wanted is that of the first argument.
    """

    def __init__(
        self, batch: bool, wanted: int, per_sample: Any = None, first_alone: bool = False
    ) -> None:
        self.batch = batch
        self.wanted = wanted
        self.per_sample = per_sample
        self.wants_all: bool = batch and wanted == Wanted.ARRAYS and not first_alone
        self.shared: bool = False  # the argument that is being read
        self.n_samples: int = -1
        self.lists: list[tuple[str, int]] = []  # those that hold nothing but plain numbers

    def read_all(self, args: Any, kwargs: Any, function: str) -> tuple[_core.Signature, Any, Any]:
        """(signature, plain arguments, plain ones by their words)"""
        read = []
        for k, a in enumerate(args):
            self.shared = self.per_sample is not None and not self.per_sample(k, len(args))
            read.append(self.read(a, f"argument {k}", k == 0 and self.wanted == Wanted.ARRAYS))
        self.shared = self.per_sample is not None and not self.per_sample(len(args), len(args))
        named = {w: self.read(kwargs[w], f"argument {w!r}") for w in sorted(kwargs)}
        self.check(function)
        kinds = [kind for kind, _ in read]
        words = [(w, kind) for w, (kind, _) in named.items()]
        signature = _core.Signature(
            tuple(kinds), tuple(words), self.batch, self.per_sample is not None
        )
        return signature, tuple([a for _, a in read]), {w: a for w, (_, a) in named.items()}

    def read(
        self, arg: Any, name: str, wants: bool = False, depth: int = 0
    ) -> tuple[_core.Kind, Any]:
        """(kind, plain argument). wants: this one's gradient is asked for. depth: how many lists,
        tuples and dicts it stands in.

        Raises TypeError or ValueError naming the argument.
        """
        kind = type(arg)
        if isinstance(arg, Value):
            return _core.ValueKind(kind), arg  # a class's own operators are part of the trace
        if isinstance(arg, float):
            return _core.NumberKind(), plain_float(arg)
        if arg is None or kind in (int, bool, str):
            return _core.StaticKind(arg), arg
        if isinstance(arg, type):  # what a class method gets since Python 3.13
            return _core.ClassKind(arg), arg
        if kind in (list, tuple, dict):
            check_depth(depth, name)
        if kind in (list, tuple):
            read = [self.read(a, f"{name}[{k}]", False, depth + 1) for k, a in enumerate(arg)]
            make = _core.ListKind if kind is list else _core.TupleKind
            nested = make(tuple([k for k, _ in read]))
            if _core.numbers_only(nested):
                self.lists.append((name, len(read)))
            return nested, kind(a for _, a in read)
        if kind is dict:
            return self._dict(list(arg.items()), name, depth)
        if isinstance(arg, Batch):
            return self._batch(arg, name)
        if is_array(arg):
            return self._array(arg, name, wants)
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
            if n == self.n_samples > 1 and self.per_sample is None:
                raise TypeError(
                    f"{name} is a list of {n} numbers beside {n} samples: give numpy.asarray of it "
                    "for one a sample, or a list of Values (constants by functools.partial) for "
                    "the same in all samples"
                )

    def _dict(self, items: list[tuple[Any, Any]], name: str, depth: int) -> tuple[_core.Kind, Any]:
        for word, _ in items:
            if type(word) not in (str, int):
                raise TypeError(
                    f"{name} has the key {word!r}: a dict for a compiled function has keys of str "
                    "or int"
                )
        read = [(word, self.read(a, f"{name}[{word!r}]", False, depth + 1)) for word, a in items]
        kinds = tuple([k for _, (k, _) in read])
        words = tuple([word for word, _ in read])
        return _core.DictKind(kinds, words), {word: a for word, (_, a) in read}

    def _batch(self, arg: Batch[Any], name: str) -> tuple[_core.Kind, Any]:
        if not self.batch:
            raise TypeError(f"{name} is a Batch, which only a batched function takes")
        if self.wanted in (Wanted.ARRAYS, Wanted.NUMBERS) or not arg._has_graph():
            return self._array(arg.data, name)
        if self.wanted == Wanted.PARAMS:
            raise TypeError(
                f"{name} is a Batch with a graph, which value_and_grad with params does not "
                "follow: give its data"
            )
        self._count(len(arg), name)
        return _core.BatchKind(arg.data.shape[1:]), arg

    def _array(self, arg: Any, name: str, wants: bool = False) -> tuple[_core.Kind, Any]:
        array = plain_array(arg, name)
        if array.ndim == 0:
            return _core.NumberKind(), float(array)
        wants = wants or self.wants_all
        shape = array.shape
        if self.batch and self.shared:
            return _core.ArrayKind(shape, False, True), array
        if self.batch:
            self._count(len(array), name)
            shape = shape[1:]
        return _core.ArrayKind(shape, wants), array

    def _count(self, n_samples: int, name: str) -> None:
        if self.n_samples not in (-1, n_samples):
            raise ValueError(
                f"{name} has {counted(n_samples, 'sample')}, the arrays before it have "
                f"{self.n_samples}"
            )
        self.n_samples = n_samples


def check_depth(depth: int, name: str) -> None:
    """Raises ValueError for a list, tuple or dict that stands in too many others."""
    if depth >= DEEPEST:
        outermost = name.partition("[")[0]
        raise ValueError(
            f"{outermost} nests lists, tuples or dicts over {DEEPEST} deep: does one hold itself?"
        )


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
    _core.know_numpy()
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


# ---- inside a trace ----


def inlined(arg: Any, batch: bool, name: str, depth: int = 0) -> Any:
    """What a compiled function that is called inside a trace sees for an argument: numbers are
    Values there too, constants of the trace. What is no number stays what it is."""
    if isinstance(arg, Value):
        return arg
    if isinstance(arg, float):
        return Value(plain_float(arg))
    if type(arg) in (list, tuple, dict):
        check_depth(depth, name)
    if type(arg) in (list, tuple):
        return type(arg)([inlined(a, batch, f"{name}[{k}]", depth + 1) for k, a in enumerate(arg)])
    if type(arg) is dict:
        return {w: inlined(a, batch, f"{name}[{w!r}]", depth + 1) for w, a in arg.items()}
    if isinstance(arg, Batch):
        _core.check_not_tracing("a Batch as argument")
    if not is_array(arg) or getattr(getattr(arg, "dtype", None), "kind", "") == "O":
        return arg
    array = plain_array(arg, name)
    if array.ndim and batch:
        _core.check_not_tracing("a batched function of an array")
    numbers = iter(array.ravel().tolist())
    return _core.nested(array.shape, lambda: Value(next(numbers)))


def hint(signature: _core.Signature) -> str:
    """What a TypeError in the traced function may come from: arrays of one number a sample."""
    batch = signature.batch
    for word, kind in signature.named():
        if isinstance(kind, ARRAYS) and kind.shape and kind.shape[-1] == 1:
            name = f"argument {word!r}"
            shape = ", ".join(map(str, (*(("B",) if batch else ()), *kind.shape)))
            shape += "," if "," not in shape else ""
            index = ", ".join([":"] * (len(kind.shape) - 1 + batch) + ["0"])
            return (
                f"{name} of shape ({shape}) arrives as a list of one Value: give {name}[{index}] "
                "if it is meant as a number"
            )
    return ""


# ---- results ----


def flatten(result: Any, values: list[Value], name: str, depth: int = 0) -> Any:
    """The structure of what the function returned; its Values are collected."""
    if isinstance(result, Value):
        values.append(result)
        return Value
    if isinstance(result, (list, tuple, dict)):
        check_depth(depth, f"the result of {name}")
    if isinstance(result, (list, tuple)):
        return (type(result), [flatten(r, values, name, depth + 1) for r in result])
    if type(result) is dict and all(isinstance(k, (str, int, float, type(None))) for k in result):
        items = result.values()
        return (dict, [flatten(r, values, name, depth + 1) for r in items], tuple(result))
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
    return filled(tree, [unflatten(t, values) for t in tree[1]])


def filled(tree: Any, items: list[Any]) -> Any:
    """A list, tuple or dict as the outermost one of a structure."""
    if tree[0] is dict:
        return dict(zip(tree[2], items, strict=True))
    make = getattr(tree[0], "_make", tree[0])  # of a named tuple
    return items if make is list else make(items)


def regular(tree: Any) -> tuple[int, ...] | None:
    """The shape of the array that lists of Values are, however nested; of one Value (). None where
    they are not all alike, or the structure is another one."""
    if tree is Value:
        return ()
    if tree[0] is not list or not tree[1]:
        return None
    shapes = {regular(t) for t in tree[1]}
    (shape,) = shapes if len(shapes) == 1 else (None,)
    return None if shape is None else (len(tree[1]), *shape)


def arrays_of(tree: Any, first: int = 0) -> tuple[Callable[[Any], Any], int]:
    """(what makes the structure of an array of all numbers, how many of those it uses up to its
    end): a float for each Value, an array for lists of them that are regular."""
    if tree is Value:
        return (lambda numbers: numbers.item(first)), first + 1
    if tree[0] == "static":
        return (lambda numbers: tree[1]), first
    shape = regular(tree)
    if shape is not None:
        end = first + prod(shape)
        return (lambda numbers: numbers[first:end].reshape(shape)), end
    parts, end = [], first
    for part in tree[1]:
        make, end = arrays_of(part, end)
        parts.append(make)
    return (lambda numbers: filled(tree, [make(numbers) for make in parts])), end


def no_value(name: str, signature: _core.Signature) -> str:
    """Says that a function returned no Value, and which argument that may come from."""
    text = f"{name} returned no Value, there is nothing to compile"
    for where, kind in signature.named():
        if isinstance(kind, _core.StaticKind) and type(kind.value) is int:
            text += (
                f": argument {where!r}, {kind.value}, is an int, which is a constant; "
                f"{kind.value}.0 or an array is an input"
            )
            break
    return text


# ---- why calls are traced anew ----


def changing(signatures: Iterable[_core.Signature]) -> str:
    """Which argument differs most among the signatures of calls, and what to do about it."""
    columns: dict[str, list[_core.Kind]] = {}
    for signature in signatures:
        for word, kind in signature.named():
            columns.setdefault(f"argument {word!r}", []).append(kind)
    found = [_variety(name, column) for name, column in columns.items()]
    n, text = max(found, default=(0, ""), key=lambda pair: pair[0])
    return text if n > 1 else "it is called with other numbers of arguments"


def _variety(name: str, column: list[Any]) -> tuple[int, str]:
    """How many different kinds an argument was of, and how they differ."""
    distinct = list(dict.fromkeys(column))
    n, first = len(distinct), distinct[0]
    if n == 1:
        return 1, ""
    if len({(type(kind), getattr(kind, "wants", None)) for kind in distinct}) > 1:
        return n, f"{name} came in {n} kinds, each with a trace of its own"
    if isinstance(first, _core.NestedKind):
        words = getattr(first, "words", range(len(first.items)))
        if len({(len(kind.items), getattr(kind, "words", ())) for kind in distinct}) > 1:
            structure = {_core.ListKind: "list", _core.TupleKind: "tuple"}.get(type(first), "dict")
            return n, (
                f"{name} is a {structure} that had {n} structures: numbers in an array have one"
            )
        parts = zip(words, *[kind.items for kind in column], strict=True)
        return max(_variety(f"{name}[{word!r}]", part) for word, *part in parts)
    if isinstance(first, ARRAYS):
        return n, f"{name} is an array that had {n} shapes, each with a trace of its own: pad it"
    if isinstance(first, (_core.StaticKind, _core.ClassKind)):
        return n, _constants(name, distinct)
    return n, f"{name} came in {n} kinds, each with a trace of its own"


def _constants(name: str, distinct: list[Any]) -> str:
    """That an argument is a constant of each trace, and has many values."""
    n = len(distinct)
    if {type(kind.value) for kind in distinct} == {int}:
        return (
            f"{name} is an int that had {n} values, each a constant of a trace of its own: give it "
            "as a float or a NumPy integer if it need not be a constant"
        )
    is_class = isinstance(distinct[0], _core.ClassKind)
    what = "class" if is_class else type(distinct[0].value).__name__
    return f"{name} is a {what} that had {n} values, each a constant of a trace of its own"
