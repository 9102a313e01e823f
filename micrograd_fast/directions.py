"""Gradients, Jacobians, Hessians and products with them, of compiled functions: NumPy in and out.

Each is a function of its own, which computes the derivative as a graph (derivatives.py) and is
compiled; it is kept beside the function's traces. A Jacobian or a Hessian is made in one of two
ways. Written out, every entry is a result of the program: what is 0 costs nothing, and what is
shared is computed once. Where that would be long, the directions are the samples of a batch: what
does not depend on the direction is computed once a call.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from math import prod
from typing import Any

from micrograd_fast import _core, derivatives, patterns
from micrograd_fast.arguments import check_depth, flatten, regular, unflatten
from micrograd_fast.engine import Value
from micrograd_fast.requests import Request

WRITTEN_OUT = 4000  # entries, of all rows on the way too, up to which a program has each
WRITTEN_OUT_SHARE = 3  # or so many for each node of what is differentiated


class RulesAsked(Exception):
    """Custom ops say what the derivatives are: second ones need not be symmetric."""


class Layout:
    """How a Jacobian or Hessian is computed, for arguments of one look."""

    def __init__(
        self, source: _core.Specialization, shape: tuple[int, ...] | None, forward: bool
    ) -> None:
        self.source = source  # the trace of the function itself
        self.shape = shape  # of its result; None where that is no Value and no lists of one shape
        self.forward = forward
        self.long = False  # too long to be written out
        self.ways: Any = None  # then its directions
        # Of sparse.py: by forward mode the rows are long; how those of a batch stand.
        self.long_rows = False
        self.blocks: Any = None


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
        made = tree[1] if tree[0] == "static" else f"a {tree[0].__name__}"
        raise ValueError(
            f"{derivatives._name(function)} must return one Value, not {made}: a gradient or "
            "Hessian is of one"
        )
    return ys[0]


def flat_of(shapes: list[tuple[int, ...]]) -> Any:
    """The maker of the function whose first argument is all that is differentiated by, in a row."""

    def make(function: Any, places: Any, params: Any, bound: bool) -> Any:
        def flat(*args: Any, **kwargs: Any) -> Any:
            x = iter(args[bound])
            given = [*args[:bound], *args[bound + 1 :]]
            for k in sorted(places):
                given.insert(k + bound, None)
            for k, shape in zip(places, shapes, strict=True):
                given[k + bound] = nested(x, shape)
            return function(*given, **kwargs)

        return flat

    return make


def nested(values: Iterator[Value], shape: tuple[int, ...]) -> Any:
    """Lists of that shape."""
    if not shape:
        return next(values)
    return [nested(values, shape[1:]) for _ in range(shape[0])]


def tangent_of(function: Any, places: Any, params: Any, bound: bool) -> Any:
    """Directions come last, here and below: the other arguments have the places that users see."""

    def tangent(*args: Any, **kwargs: Any) -> Any:
        *given, v = args
        xs, ys, tree = run(function, given, kwargs, places, params, bound)
        return unflatten(tree, iter(_core.pushforward(xs, v, ys)))

    return tangent


def cotangent_of(function: Any, places: Any, params: Any, bound: bool) -> Any:
    def cotangent(*args: Any, **kwargs: Any) -> Any:
        *given, w = args
        xs, ys, _ = run(function, given, kwargs, places, params, bound)
        return _core.pullback(ys, w, xs)

    return cotangent


def slope_of(function: Any, places: Any, params: Any, bound: bool) -> Any:
    """The derivative of the one result in a direction. Raises RulesAsked where its gradient may be
    another thing than the derivative of the gradient in that direction."""

    def slope(*args: Any, **kwargs: Any) -> Any:
        *given, v = args
        xs, ys, tree = run(function, given, kwargs, places, params, bound)
        asked = _core.rules_asked()
        found = _core.pushforward(xs, v, [one_result(ys, tree, function)])[0]
        if _core.rules_asked() != asked:
            raise RulesAsked
        return found

    return slope


def second_tangent_of(function: Any, places: Any, params: Any, bound: bool) -> Any:
    def second_tangent(*args: Any, **kwargs: Any) -> Any:
        *given, v = args
        xs, ys, tree = run(function, given, kwargs, places, params, bound)
        slopes = _core.pullback([one_result(ys, tree, function)], [1.0], xs)
        return _core.pushforward(xs, v, slopes)

    return second_tangent


@lru_cache
def rows_of(hessian: bool, forward: bool, limited: bool, filled: bool = False) -> Any:
    """The maker of a function whose results are the entries that are not 0 for good, row by row,
    and a text that says where they stand. limited: raises TooManyEntries where they are a long
    program. filled: all entries, no text."""

    def make(function: Any, places: Any, params: Any, bound: bool) -> Any:
        def rows(*args: Any, **kwargs: Any) -> Any:
            few, share = (WRITTEN_OUT, WRITTEN_OUT_SHARE) if limited else (-1, -1)
            xs, ys, tree = run(function, args, kwargs, places, params, bound)
            asked = _core.rules_asked()
            if hessian:
                ys = _core.pullback([one_result(ys, tree, function)], [1.0], xs)
            half = hessian and _core.rules_asked() == asked  # of custom ops they may be anything
            if forward:
                found, ends, columns = _core.jacobian_rows(xs, ys, half, few, share)
            else:
                found, ends, columns = _core.gradient_rows(xs, ys, few, share)
            if half:
                found, ends, columns = patterns.mirrored(found, ends, columns)
            if filled:
                return _all_entries(found, ends, columns, len(xs))
            return found or [Value(0.0)], patterns.text_of(ends, columns)

        return rows

    return make


def _all_entries(found: Any, ends: Any, columns: Any, n: int) -> list[Value]:
    entries = [Value(0.0)] * (n * len(ends))
    first = 0
    for row, end in enumerate(ends):
        for k in range(first, end):
            entries[row * n + columns[k]] = found[k]
        first = end
    return entries


@lru_cache
def directions_of(hessian: bool, forward: bool) -> Any:
    """The maker of a function whose last argument is a direction, a sample of a batch."""

    def make(function: Any, places: Any, params: Any, bound: bool) -> Any:
        def along(*args: Any, **kwargs: Any) -> list[Value]:
            *given, v = args
            xs, ys, tree = run(function, given, kwargs, places, params, bound)
            if hessian:
                ys = _core.pullback([one_result(ys, tree, function)], [1.0], xs)
            return _core.pushforward(xs, v, ys) if forward else _core.pullback(ys, v, xs)

        return along

    return make


# ---- what the methods of compiled functions do ----


def value_and_grad(
    f: Any, args: Any, kwargs: Any, argnums: Any, params: Any, what: str = "value_and_grad"
) -> Any:
    """By arguments: the first-order way of calls (numbers.pxi), for a function whose first argument
    they are."""
    call = Request(f, what, args, kwargs, argnums, params)
    if call.places == (0,) and not f._batch and call.shapes[0]:
        value, found = f.value_and_grad(*call.args, **kwargs)
        return value, found if call.one else (found,)
    flat = call.derived(("flat", *call.shapes), flat_of(call.shapes), _first_alone=True)
    others = [a for k, a in enumerate(call.args) if k not in call.places]
    value, found = flat.value_and_grad(call.flat(), *others, **kwargs)
    return value, call.split(found, *((len(found),) if f._batch else ()))


def grad(f: Any, args: Any, kwargs: Any, argnums: Any, params: Any) -> Any:
    if params is None and (argnums is not None or (args and not f._batch)):
        return value_and_grad(f, args, kwargs, argnums, params, "grad")[1]
    if argnums is not None:
        raise ValueError("grad: give argnums or params, not both")
    return f.value_and_grad(*args, params=params, **kwargs)[1]


def jvp(f: Any, args: Any, kwargs: Any, argnums: Any, params: Any) -> Any:
    args, v = direction(args, params, "jvp", "v")
    call = Request(f, "jvp", args, kwargs, argnums, params)
    options = {"_per_sample": _not_last} if f._batch and params is not None else {}
    tangent = call.derived("tangent", tangent_of, **options)
    found = tangent.values(*call.args, call.vector(v), **kwargs)
    if f._batch and found.ndim == 2:
        shape = layout_of(call, False, None).shape
        return found if shape is None else found.reshape((len(found), *shape))
    return found


def vjp(f: Any, args: Any, kwargs: Any, argnums: Any, params: Any) -> Any:
    args, w = direction(args, params, "vjp", "w")
    call = Request(f, "vjp", args, kwargs, argnums, params)
    layout = layout_of(call, False, None)
    weights = weights_of(call, w, layout)
    before = (call.n_samples,) if f._batch else ()
    if call.n == 0:
        return call.split(nothing(*before, 0), *before)
    found = call.derived("cotangent", cotangent_of).values(*call.args, weights, **kwargs)
    return call.split(found, *before)


def weights_of(call: Request, w: Any, layout: Layout) -> Any:
    """A weight for each result, in a row."""
    import numpy as np

    if layout.shape is not None:
        before = (call.n_samples,) if call.f._batch else ()
        array = call.direction(w, "w", (*before, *layout.shape))
        return array.reshape(*before, prod(layout.shape))
    if call.f._batch:
        raise TypeError(
            f"vjp: {call.f.__name__} returns neither one Value nor lists of them of one shape"
        )
    return np.array(derivatives._seeds(layout.source.tree, w, "w", "the result"), np.float64)


def hvp(f: Any, args: Any, kwargs: Any, argnums: Any, params: Any) -> Any:
    args, v = direction(args, params, "hvp", "v")
    call = Request(f, "hvp", args, kwargs, argnums, params)
    vector = call.vector(v)
    if params is not None:
        # The gradient of the derivative in direction v, which is a single number a sample.
        options = {"_per_sample": _not_last} if f._batch else {}
        kept, key = f._traces.derived, ("rules", call.which, call.given)
        if key not in kept:
            slope = call.derived("slope", slope_of, **options)
            try:
                return slope.value_and_grad(*call.args, vector, params=call.params, **kwargs)[1]
            except RulesAsked:
                kept[key] = True
        second = call.derived("second tangent", second_tangent_of, **options)
        rows = second.values(*call.args, vector, **kwargs)
        return rows.mean(axis=0) if f._batch else rows
    before = (call.n_samples,) if f._batch else ()
    if call.n == 0:
        return call.split(nothing(*before, 0), *before)
    found = call.derived("second tangent", second_tangent_of).values(*call.args, vector, **kwargs)
    return call.split(found, *before)


def jacobian(f: Any, args: Any, kwargs: Any, argnums: Any, params: Any, mode: Any) -> Any:
    check_mode(mode)
    call = Request(f, "jacobian", args, kwargs, argnums, params)
    layout = layout_of(call, False, mode)
    shape = shape_of(call, layout)
    rows = entries(call, False, layout)
    before = (len(rows),) if f._batch else ()
    return call.split(rows, *before, *shape)


def hessian(f: Any, args: Any, kwargs: Any, argnums: Any, params: Any) -> Any:
    call = Request(f, "hessian", args, kwargs, argnums, params)
    rows = entries(call, True, layout_of(call, True, None))
    before = (len(rows),) if f._batch else ()
    if call.one and call.shapes[0]:
        return rows.reshape(before + 2 * call.shapes[0])
    blocks, first = [], 0
    for shape in call.shapes:
        end = first + prod(shape)
        blocks.append(call.split(rows[..., first:end, :], *before, *shape))
        first = end
    return blocks[0] if call.one else tuple(blocks)


def nothing(*shape: int) -> Any:
    """Of what no number is differentiated by."""
    import numpy as np

    return np.zeros(shape)


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
        shape = regular(_as_lists(source.tree))
        if hessian and shape != ():
            one_result([], source.tree, call.f)
        n, m = call.n, 0 if shape is None else prod(shape)
        forward = hessian or (n <= m if mode is None else mode == "forward")
        found = kept[look, call.places, call.which] = Layout(source, shape, forward)
    return found


def _as_lists(tree: Any) -> Any:
    """The structure with lists for tuples: both are rows of an array."""
    if tree is Value or tree[0] not in (list, tuple):
        return tree
    return (list, [_as_lists(part) for part in tree[1]])


def shape_of(call: Request, layout: Layout) -> tuple[int, ...]:
    if layout.shape is None:
        raise TypeError(
            f"{call.what}: {call.f.__name__} returns neither one Value nor lists of them of one "
            "shape"
        )
    return layout.shape


def entries(call: Request, hessian: bool, layout: Layout) -> Any:
    """All entries, shape ([B,] results, numbers)."""
    import numpy as np

    n, forward, batch = call.n, layout.forward, call.f._batch
    m = n if hessian else prod(shape_of(call, layout))
    if n == 0:
        return nothing(*((call.n_samples,) if batch else ()), m, n)
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
            return patterns.of(found[1], n).dense(found[0])
    make = directions_of(hessian, forward)
    along = call.derived(f"{kind} lanes", make, batch=True, _per_sample=_last)
    if layout.ways is None:
        layout.ways = np.eye(n if forward else m)
    rows = along.values(*call.args, layout.ways, **call.kwargs)
    return rows.T if forward else rows


def _last(k: int, n_args: int) -> bool:
    return k == n_args - 1


def _not_last(k: int, n_args: int) -> bool:
    return k != n_args - 1


def _look(args: Any, depth: int = 0) -> tuple[Any, ...]:
    """What a layout depends on of arguments."""
    check_depth(depth, "an argument")
    return tuple([getattr(a, "shape", None) or _look_of(a, depth) for a in args])


def _look_of(a: Any, depth: int = 0) -> Any:
    if a is None or type(a) in (int, bool, str):
        return (type(a), a)
    if type(a) in (list, tuple):
        return (type(a), *_look(a, depth + 1))
    return (dict, *a, *_look(a.values(), depth + 1)) if type(a) is dict else type(a)
