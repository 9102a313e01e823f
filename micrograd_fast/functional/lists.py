"""Sums, extremes and choices of lists of Values."""

from __future__ import annotations

import operator
from collections.abc import Iterable, Sequence

from micrograd_fast import _core, conditions
from micrograd_fast import _types as t
from micrograd_fast.counted import counted
from micrograd_fast.engine import Value


def listed(values: Iterable[t.Scalar], name: str = "values") -> list[Value]:
    """The items as Values; at least one."""
    if isinstance(values, (Value, str, bytes)):
        raise TypeError(f"{name} must be a list of Values, not {type(values).__name__!r}")
    items = []
    for v in values:
        if isinstance(v, Value):
            items.append(v)
            continue
        if isinstance(v, (list, tuple)) or getattr(v, "size", 1) != 1:
            raise TypeError(
                f"{name}[{len(items)}] is {type(v).__name__!r}, not a number: give one sample at "
                "a time, [f(row) for row in rows], or let compile(batch=True) go over them"
            )
        items.append(Value(v))
    if not items:
        raise ValueError(f"{name} must hold at least one Value")
    return items


def paired(
    x: Iterable[t.Scalar], y: Iterable[t.Scalar], x_name: str, y_name: str
) -> tuple[list[Value], list[Value]]:
    xs, ys = listed(x, x_name), listed(y, y_name)
    if len(xs) != len(ys):
        raise ValueError(f"{x_name} has {counted(len(xs), 'item')}, {y_name} has {len(ys)}")
    return xs, ys


def sum(values: Iterable[t.Scalar]) -> Value:
    """values[0] + values[1] + ..., from the left."""
    return _core.total(listed(values))


def mean(values: Iterable[t.Scalar]) -> Value:
    """sum(values) / len(values)."""
    items = listed(values)
    return _core.total(items) / len(items)


def dot(x: Iterable[t.Scalar], y: Iterable[t.Scalar]) -> Value:
    """x[0]*y[0] + x[1]*y[1] + ..., from the left."""
    return _core.dot(*paired(x, y, "x", "y"))


_MAXIMUM, _MINIMUM = Value.maximum, Value.minimum


def maximum(*values: t.Scalar) -> Value:
    """The largest of its arguments; nan if one is nan. Equal ones share the gradient evenly."""
    return _extreme(values, "maximum", _MAXIMUM, _core.largest)


def minimum(*values: t.Scalar) -> Value:
    """The smallest of its arguments; nan if one is nan. Equal ones share the gradient evenly."""
    return _extreme(values, "minimum", _MINIMUM, _core.smallest)


def _extreme(values: tuple[t.Scalar, ...], name: str, method: t.Any, of_many: t.Any) -> Value:
    """One node over all values; of two the binary op. A method that somebody has replaced is asked
    instead, one value after the other."""
    items = listed(values)
    if len(items) > 2:
        kinds = set(map(type, items))
        if {getattr(kind, name) for kind in kinds} == {method}:
            made: Value = of_many(items)
            return made
    found, *others = items
    for v in others:
        found = getattr(found, name)(v)
    return found


def take(values: Sequence[t.Any], index: t.Any) -> t.Any:
    """values[index], for 0 <= index < len(values); differentiable in the values.

    values may be lists of Values, all of one structure: then a list comes back. In a compiled
    function the index may be an input, that is a Value; elsewhere a Value whose data is a whole
    number is that number.

    Raises IndexError out of range (a negative index is a mistake here, not the end of the list)
    and TypeError for an index that is no whole number.
    """
    if isinstance(index, Value):
        if _core.tracing():
            return _take_traced(values, index)
        if not index.data.is_integer():
            raise IndexError(f"index {index.data} is not a whole number")
        index = int(index.data)
    try:
        k = operator.index(index)
    except TypeError:
        raise TypeError(f"the index must be a whole number, not {type(index).__name__!r}") from None
    if len(values) == 0:
        raise ValueError("values must hold at least one Value")
    if not 0 <= k < len(values):
        raise IndexError(f"index {k} is out of range for {counted(len(values), 'value')}")
    return values[k]


def _take_traced(values: Sequence[t.Any], index: Value) -> t.Any:
    if len(values) == 0:
        raise ValueError("values must hold at least one Value")
    sizes = [len(v) if isinstance(v, (list, tuple)) else -1 for v in values]
    for k, size in enumerate(sizes):
        if size != sizes[0]:
            first, other = ("one Value" if n < 0 else counted(n, "item") for n in (sizes[0], size))
            raise ValueError(
                f"take: values[{k}] has {other}, values[0] has {first}: choices that an index of "
                "a compiled function picks from are all of one structure"
            )
    if sizes[0] >= 0:
        return [_take_traced(column, index) for column in zip(*values, strict=True)]
    return _core.take_traced(values, index)


def norm(values: Iterable[t.Scalar]) -> Value:
    """sqrt(values[0]**2 + values[1]**2 + ...); its derivative is 0 where all are 0. The squares
    overflow beyond 1e154, as NumPy's do: x.hypot(y) of two does not."""
    items = listed(values)
    square = _core.dot(items, items)
    found: Value = conditions.where(conditions.equal(square, 0.0), 0.0, square.sqrt())
    return found


def shift_of(values: Sequence[Value]) -> Value:
    """The largest value as a constant: subtracting it keeps exp() within range, and the
    derivative does not depend on it."""
    return _core.largest(values, True).detach()


def logsumexp(values: Iterable[t.Scalar]) -> Value:
    """log(exp(values[0]) + exp(values[1]) + ...), of values shifted by their maximum. Where that is
    infinite it is the result, and shares the gradient evenly where it occurs more than once."""
    items = listed(values)
    shift = shift_of(items)
    if not _core.tracing() and shift.data - shift.data != 0.0:
        return maximum(*items)
    found = shift + _core.total([(x - shift).exp() for x in items]).log()
    if _core.tracing():
        is_finite = conditions.equal(shift - shift, 0.0)
        found = conditions.where(is_finite, found, maximum(*items))
    return found
