"""Gradients, Jacobians, Hessians and products with them, of compiled functions: NumPy in and out.

Each is a function of its own, which computes the derivative as a graph (derivatives.py) and is
compiled; it is kept beside the function's traces. A Jacobian or a Hessian is made in one of two
ways. Written out, every entry is a result of the program: what is 0 costs nothing, and what is
shared is computed once. Where that would be long, the directions are the samples of a batch: what
does not depend on the direction is computed once a call.
"""

from __future__ import annotations

import operator
from math import prod

from micrograd_fast import _core, derivatives, patterns
from micrograd_fast.arguments import flatten, is_array, plain_array, regular, unflatten
from micrograd_fast.compiler import CompiledFunction
from micrograd_fast.engine import Value

TYPE_CHECKING = False  # typing's own constant costs an import of 4 ms
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

MAX_DERIVED = 64  # derivatives of one function that are kept, of other params or arguments
WRITTEN_OUT = 4000  # entries, of all rows on the way too, up to which a program has each
WRITTEN_OUT_SHARE = 3  # or so many for each node of what is differentiated


class Layout:
    """How a Jacobian or Hessian is computed, for arguments of one look."""

    def __init__(self, source: _core.Specialization, shape: tuple[int, ...], forward: bool) -> None:
        self.source = source  # the trace of the function itself
        self.shape = shape  # of its result
        self.forward = forward
        self.long = False  # too long to be written out
        # Of sparse.py: by forward mode the rows are long; how those of a batch stand.
        self.long_rows = False
        self.blocks: Any = None


class Request:
    """One call: its arguments as they are computed with, and what is differentiated by.

    Raises TypeError, ValueError or IndexError naming the argument.
    """

    def __init__(self, f: Any, what: str, args: Any, kwargs: Any, argnums: Any, params: Any):
        _core.check_not_tracing(what)
        self.f, self.what, self.args, self.kwargs = f, what, list(args), kwargs
        self.one = not isinstance(argnums, (list, tuple))
        self.params: tuple[Value, ...] | None = None
        self.which = -1  # of the lists of params that the function has had
        if params is not None:
            self.which, self.params = self.known(params)
        self.places: tuple[int, ...] = ()
        self.shapes: list[tuple[int, ...]] = []
        if self.params is not None:
            if argnums is not None:
                raise ValueError(f"{what}: give argnums or params, not both")
            self.shapes.append((len(self.params),))
            return
        wanted = derivatives._argnums(0 if argnums is None else argnums)
        self.places = tuple(derivatives._places(wanted, len(args)))
        for k in self.places:
            array = self.floats(self.args[k], f"argument {k}")
            self.args[k] = array if array.ndim else float(array)
            if f._batch and not array.ndim:
                raise TypeError(f"{what}: argument {k} is a number, the same in all samples")
            self.shapes.append(array.shape[1:] if f._batch else array.shape)

    def known(self, params: Any) -> tuple[int, tuple[Value, ...]]:
        """The params, and a number for this list of them."""
        items = (params,) if isinstance(params, Value) else tuple(params)
        before = self.f._traces.derived.setdefault("params", [])
        for k, others in enumerate(before):
            if len(others) == len(items) and all(map(operator.is_, others, items)):
                return k, others
        self.check_params(items)
        before.append(items)
        return next(k for k, others in enumerate(before) if others is items), items

    def make_room(self) -> None:
        """Forgets what was derived of the function where that is much, but for the params of this
        call, which are the first then."""
        kept = self.f._traces.derived
        if len(kept) < MAX_DERIVED and self.which < MAX_DERIVED:
            return
        kept.clear()
        if self.params is not None:
            self.which, kept["params"] = 0, [self.params]

    def check_params(self, items: tuple[Any, ...]) -> None:
        for k, p in enumerate(items):
            if not isinstance(p, Value):
                raise TypeError(
                    f"{self.what}: params[{k}] must be a Value, not {type(p).__name__!r}"
                )
            if p._prev:
                raise ValueError(f"{self.what}: params[{k}] is not a leaf but the result of an op")
        if len(set(items)) < len(items):
            raise ValueError(f"{self.what}: a Value is among the params twice")

    def floats(self, arg: Any, name: str) -> Any:
        """An argument that is differentiated by, as an array of float64."""
        import numpy as np

        if type(arg) is np.ndarray and arg.dtype == np.float64:
            return arg
        if isinstance(arg, _core.Batch):
            arg = arg.data
        if isinstance(arg, (list, tuple)):
            arg = np.asarray(arg)
        kind = getattr(getattr(arg, "dtype", None), "kind", "f" if isinstance(arg, float) else "")
        if (is_array(arg) and kind == "f") or hasattr(arg, "to_numpy"):
            return plain_array(arg, name)
        if isinstance(arg, float):
            return np.asarray(float(arg))
        had = f"dtype {arg.dtype}" if kind else f"type {type(arg).__name__!r}"
        raise TypeError(
            f"{self.what}: {name} is of {had}, which has no derivative: give floats, or an array "
            "of floats"
        )

    @property
    def n(self) -> int:
        """Numbers that are differentiated by, of one sample."""
        return sum(map(prod, self.shapes))

    def floats_of(self, w: Any, name: str) -> Any:
        """A weight for each result, as an array or a float."""
        import numpy as np

        array = np.asarray(w)
        if array.dtype.kind not in "fiub":
            raise TypeError(f"{self.what}: {name} must be of real numbers, not {array.dtype}")
        return array.astype(float) if array.ndim else float(array)

    def vector(self, v: Any, name: str) -> Any:
        """A direction as one array, what belongs to the arguments side by side."""
        import numpy as np

        parts = [v] if self.one else v
        if not self.one and (not isinstance(v, (list, tuple)) or len(v) != len(self.shapes)):
            raise ValueError(f"{self.what}: {name} must have an array for each of {self.places}")
        columns = []
        batch = self.f._batch and self.params is None
        for part, shape in zip(parts, self.shapes, strict=True):
            array = np.asarray(part)
            if array.dtype.kind not in "fiub":
                raise TypeError(f"{self.what}: {name} must be of real numbers, not {array.dtype}")
            n = (len(self.args[self.places[0]]),) if batch else ()
            if array.shape != (*n, *shape):
                raise ValueError(
                    f"{self.what}: {name} must be of shape {(*n, *shape)}, not {array.shape}"
                )
            columns.append(array.astype(float).reshape(*n, -1))
        return columns[0] if len(columns) == 1 else np.concatenate(columns, axis=-1)

    def derived(self, kind: str, make: Callable[..., Any], **options: Any) -> Any:
        """The compiled function that make(function, ...) gives, bound as self.f is."""
        kept = self.f._traces.derived
        found = kept.get((kind, self.places, self.which))
        if found is None:
            self.make_room()
            function = self.f.__wrapped__
            if self.f._descriptor is not None:
                function = function.__func__
            made = make(function, self.places, self.params, self.f._descriptor is not None)
            made.__name__ = made.__qualname__ = f"{self.f.__name__}_{kind.replace(' ', '_')}"
            found = CompiledFunction(made, options.pop("batch", self.f._batch))
            found.__dict__.update(options)
            kept[kind, self.places, self.which] = found
        if self.f._descriptor is None:
            return found
        owner = self.f.__wrapped__.__self__
        return found.__get__(owner, type(owner))

    def split(self, rows: Any, *before: int) -> Any:
        """The last axis as the arguments' shapes: an array (of a number a float), or a tuple."""
        if self.one and (before or self.shapes[0]):
            return rows.reshape((*before, *self.shapes[0]))
        parts, first = [], 0
        for shape in self.shapes:
            end = first + prod(shape)
            part = rows[..., first:end].reshape((*before, *shape))
            parts.append(part if part.ndim else float(part))
            first = end
        return parts[0] if self.one else tuple(parts)


# ---- inside the traces ----


def run(
    function: Any, args: Any, kwargs: Any, places: Any, params: Any, bound: bool
) -> tuple[list[Value], list[Value], Any]:
    """(Values that are differentiated by, results, their structure)"""
    xs: list[Value] = list(params or ())
    for k in places:
        flatten(args[k + bound], xs, "the arguments")
    ys: list[Value] = []
    out = derivatives._as_values(function(*args, **kwargs), function)
    return xs, ys, flatten(out, ys, derivatives._name(function))


def one_result(ys: list[Value], tree: Any, function: Any) -> Value:
    if tree is not Value:
        raise ValueError(
            f"{derivatives._name(function)} returns several Values: a gradient or Hessian is of one"
        )
    return ys[0]


def gradient_of(function: Any, places: Any, params: Any, bound: bool) -> Any:
    def value_and_gradient(*args: Any, **kwargs: Any) -> Any:
        xs, ys, tree = run(function, args, kwargs, places, params, bound)
        y = one_result(ys, tree, function)
        return [y, *_core.pullback([y], [1.0], xs)]

    return value_and_gradient


def tangent_of(function: Any, places: Any, params: Any, bound: bool) -> Any:
    def tangent(*args: Any, **kwargs: Any) -> Any:
        args, v = (*args[:bound], *args[bound + 1 :]), args[bound]
        xs, ys, tree = run(function, args, kwargs, places, params, bound)
        return unflatten(tree, iter(_core.pushforward(xs, v, ys)))

    return tangent


def cotangent_of(function: Any, places: Any, params: Any, bound: bool) -> Any:
    def cotangent(*args: Any, **kwargs: Any) -> Any:
        args, w = (*args[:bound], *args[bound + 1 :]), args[bound]
        xs, ys, tree = run(function, args, kwargs, places, params, bound)
        seeds = derivatives._seeds(tree, w, "w", "the result")
        return _core.pullback(ys, seeds, xs)

    return cotangent


def second_tangent_of(function: Any, places: Any, params: Any, bound: bool) -> Any:
    def second_tangent(*args: Any, **kwargs: Any) -> Any:
        args, v = (*args[:bound], *args[bound + 1 :]), args[bound]
        xs, ys, tree = run(function, args, kwargs, places, params, bound)
        slopes = _core.pullback([one_result(ys, tree, function)], [1.0], xs)
        return _core.pushforward(xs, v, slopes)

    return second_tangent


def rows_of(hessian: bool, forward: bool, limited: bool, filled: bool = False) -> Any:
    """The maker of a function whose results are the entries that are not 0 for good, row by row, of
    a Hessian the lower half, and a text that says where they stand. limited: raises TooManyEntries
    where they are a long program. filled: all entries, no text."""
    few, share = (WRITTEN_OUT, WRITTEN_OUT_SHARE) if limited else (-1, -1)

    def make(function: Any, places: Any, params: Any, bound: bool) -> Any:
        def rows(*args: Any, **kwargs: Any) -> Any:
            xs, ys, tree = run(function, args, kwargs, places, params, bound)
            if hessian:
                ys = _core.pullback([one_result(ys, tree, function)], [1.0], xs)
            if forward:
                found, ends, columns = _core.jacobian_rows(xs, ys, hessian, few, share)
            else:
                found, ends, columns = _core.gradient_rows(xs, ys, few, share)
            if filled:
                return _all_entries(found, ends, columns, len(xs), hessian)
            return found or [Value(0.0)], patterns.text_of(ends, columns)

        return rows

    return make


def _all_entries(found: Any, ends: Any, columns: Any, n: int, symmetric: bool) -> list[Value]:
    entries = [Value(0.0)] * (n * len(ends))
    first = 0
    for row, end in enumerate(ends):
        for k in range(first, end):
            entries[row * n + columns[k]] = found[k]
            if symmetric:
                entries[columns[k] * n + row] = found[k]
        first = end
    return entries


def directions_of(hessian: bool, forward: bool) -> Any:
    """The maker of a function whose first argument is a direction, a sample of a batch."""

    def make(function: Any, places: Any, params: Any, bound: bool) -> Any:
        def along(*args: Any, **kwargs: Any) -> list[Value]:
            args, v = (*args[:bound], *args[bound + 1 :]), args[bound]
            xs, ys, tree = run(function, args, kwargs, places, params, bound)
            if hessian:
                ys = _core.pullback([one_result(ys, tree, function)], [1.0], xs)
            return _core.pushforward(xs, v, ys) if forward else _core.pullback(ys, v, xs)

        return along

    return make


# ---- what the methods of compiled functions do ----


def value_and_grad(f: Any, args: Any, kwargs: Any, argnums: Any, params: Any) -> Any:
    call = Request(f, "value_and_grad", args, kwargs, argnums, params)
    found = call.derived("gradient", gradient_of).values(*call.args, **kwargs)
    if f._batch:
        return found[:, 0], call.split(found[:, 1:], len(found))
    return float(found[0]), call.split(found[1:])


def grad(f: Any, args: Any, kwargs: Any, argnums: Any, params: Any) -> Any:
    if argnums is None and args:
        return f.value_and_grad(*args, params=params, **kwargs)[1]
    return value_and_grad(f, args, kwargs, argnums, params)[1]


def jvp(f: Any, args: Any, kwargs: Any, argnums: Any, params: Any) -> Any:
    args, v = direction(args, params, "jvp", "v")
    call = Request(f, "jvp", args, kwargs, argnums, params)
    vector = call.vector(v, "v")
    options = {"_per_sample": _not_first} if f._batch and params is not None else {}
    return call.derived("tangent", tangent_of, **options).values(vector, *call.args, **kwargs)


def vjp(f: Any, args: Any, kwargs: Any, argnums: Any, params: Any) -> Any:
    args, w = direction(args, params, "vjp", "w")
    call = Request(f, "vjp", args, kwargs, argnums, params)
    weights = call.floats_of(w, "w")
    found = call.derived("cotangent", cotangent_of).values(weights, *call.args, **kwargs)
    return call.split(found, len(found)) if f._batch else call.split(found)


def hvp(f: Any, args: Any, kwargs: Any, argnums: Any, params: Any) -> Any:
    args, v = direction(args, params, "hvp", "v")
    call = Request(f, "hvp", args, kwargs, argnums, params)
    vector = call.vector(v, "v")
    if params is not None:
        # The gradient of the derivative in direction v, which is a single number a sample.
        options = {"_per_sample": _not_first} if f._batch else {}
        slope = call.derived("slope", slope_of, **options)
        return slope.value_and_grad(vector, *call.args, params=call.params, **kwargs)[1]
    found = call.derived("second tangent", second_tangent_of).values(vector, *call.args, **kwargs)
    return call.split(found, len(found)) if f._batch else call.split(found)


def jacobian(f: Any, args: Any, kwargs: Any, argnums: Any, params: Any, mode: Any) -> Any:
    check_mode(mode)
    call = Request(f, "jacobian", args, kwargs, argnums, params)
    layout = layout_of(call, False, mode)
    rows = entries(call, False, layout)
    before = (len(rows),) if f._batch else ()
    return call.split(rows, *before, *layout.shape)


def hessian(f: Any, args: Any, kwargs: Any, argnums: Any, params: Any) -> Any:
    call = Request(f, "hessian", args, kwargs, argnums, params)
    layout = layout_of(call, True, None)
    rows = entries(call, True, layout)
    before = (len(rows),) if f._batch else ()
    if call.one and call.shapes[0]:
        return rows.reshape(before + 2 * call.shapes[0])
    blocks, first = [], 0
    for shape in call.shapes:
        end = first + prod(shape)
        blocks.append(call.split(rows[..., first:end, :], *before, *shape))
        first = end
    return blocks[0] if call.one else tuple(blocks)


def check_dense(what: str, **options: Any) -> None:
    for name, given in options.items():
        if given is not None:
            raise ValueError(f"{what}: {name} is for sparse=True")


def check_mode(mode: Any) -> None:
    if mode not in (None, "forward", "reverse"):
        raise ValueError(f"jacobian: mode must be 'forward', 'reverse' or None, not {mode!r}")


def direction(args: Any, params: Any, what: str, name: str) -> tuple[Any, Any]:
    """(the function's arguments, the direction), which comes after the first or, with params,
    before all of them."""
    at = 0 if params is not None else 1
    if len(args) <= at:
        before = "before the function's arguments" if at == 0 else "after the first argument"
        raise TypeError(f"{what}: {name} is missing, which comes {before}")
    return (*args[:at], *args[at + 1 :]), args[at]


def layout_of(call: Request, hessian: bool, mode: str | None) -> Layout:
    """How a Jacobian or Hessian of this call is computed: as that of the last call like it."""
    kept = call.f._traces.derived
    look = (hessian, mode, _look(call.args), _look_of(call.kwargs))
    found: Layout | None = kept.get((look, call.places, call.which))
    if found is None or found.source.change():
        call.make_room()
        source, _, _ = call.f._read(tuple(call.args), call.kwargs)
        shape = regular(source.tree)
        if shape is None:
            raise TypeError(
                f"{call.what}: {call.f.__name__} returns neither one Value nor lists of them of "
                "one shape"
            )
        if hessian and shape:
            raise ValueError(
                f"hessian: {call.f.__name__} returns several Values, a Hessian is of one"
            )
        n, m = call.n, prod(shape)
        forward = hessian or (n <= m if mode is None else mode == "forward")
        found = kept[look, call.places, call.which] = Layout(source, shape, forward)
    return found


def entries(call: Request, hessian: bool, layout: Layout) -> Any:
    """All entries, shape ([B,] results, numbers)."""
    import numpy as np

    n, forward, batch = call.n, layout.forward, call.f._batch
    m = n if hessian else prod(layout.shape)
    kind = f"{'hessian' if hessian else 'jacobian'} {'forward' if forward else 'reverse'}"
    if not layout.long:
        rows = call.derived(kind, rows_of(hessian, forward, not batch, batch))
        try:
            found = rows.values(*call.args, **call.kwargs)
        except _core.TooManyEntries:
            layout.long = True
        else:
            if batch:
                return found.reshape((*found.shape[:-1], m, n))
            return patterns.of(found[1], n, hessian).dense(found[0])
    make = directions_of(hessian, forward)
    along = call.derived(f"{kind} lanes", make, batch=True, _per_sample=_first)
    rows = along.values(np.eye(n if forward else m), *call.args, **call.kwargs)
    return rows.T if forward else rows


def slope_of(function: Any, places: Any, params: Any, bound: bool) -> Any:
    tangent = tangent_of(function, places, params, bound)

    def slope(*args: Any, **kwargs: Any) -> Any:
        found = tangent(*args, **kwargs)
        if not isinstance(found, Value):
            raise ValueError(f"hvp: {derivatives._name(function)} returns several Values")
        return found

    return slope


def _first(k: int) -> bool:
    return k == 0


def _not_first(k: int) -> bool:
    return k != 0


def _look(args: Any) -> tuple[Any, ...]:
    """What a layout depends on of arguments."""
    return tuple([getattr(a, "shape", None) or _look_of(a) for a in args])


def _look_of(a: Any) -> Any:
    if a is None or type(a) in (int, bool, str):
        return (type(a), a)
    if type(a) in (list, tuple):
        return (type(a), *_look(a))
    return (dict, *a, *_look(a.values())) if type(a) is dict else type(a)
