"""Functions of lists of Values: lists in, Values out, stable for large inputs.

Everything here is made of the ops of the engine, so the results are ordinary graphs: walk them,
draw them, differentiate through them. Items may be Values or numbers. Every function raises
ValueError for an empty list or lists of different lengths, TypeError for what is no number.
"""

from __future__ import annotations

import operator

from micrograd_fast import _core
from micrograd_fast.engine import Value

TYPE_CHECKING = False  # typing's own constant costs an import of 4 ms
if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from typing import Any, TypeAlias

    Scalar: TypeAlias = Any  # a Value or a number

__all__ = [
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "cross_entropy",
    "dot",
    "hinge_loss",
    "log_softmax",
    "maximum",
    "mean",
    "minimum",
    "mse_loss",
    "softmax",
    "sum",
    "take",
]


def __dir__() -> list[str]:
    return __all__


def _listed(values: Iterable[Scalar], name: str = "values") -> list[Value]:
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


def _paired(
    x: Iterable[Scalar], y: Iterable[Scalar], x_name: str, y_name: str
) -> tuple[list[Value], list[Value]]:
    xs, ys = _listed(x, x_name), _listed(y, y_name)
    if len(xs) != len(ys):
        raise ValueError(f"{x_name} has {len(xs)} items, {y_name} has {len(ys)}")
    return xs, ys


def sum(values: Iterable[Scalar]) -> Value:
    """values[0] + values[1] + ..., from the left."""
    return _core.total(_listed(values))


def mean(values: Iterable[Scalar]) -> Value:
    """sum(values) / len(values)."""
    items = _listed(values)
    return _core.total(items) / len(items)


def dot(x: Iterable[Scalar], y: Iterable[Scalar]) -> Value:
    """x[0]*y[0] + x[1]*y[1] + ..., from the left."""
    return _core.dot(*_paired(x, y, "x", "y"))


_MAXIMUM, _MINIMUM = Value.maximum, Value.minimum


def maximum(*values: Scalar) -> Value:
    """The largest of its arguments; nan if one is nan. Equal ones share the gradient evenly."""
    return _extreme(values, "maximum", _MAXIMUM, _core.largest)


def minimum(*values: Scalar) -> Value:
    """The smallest of its arguments; nan if one is nan. Equal ones share the gradient evenly."""
    return _extreme(values, "minimum", _MINIMUM, _core.smallest)


def _extreme(values: tuple[Scalar, ...], name: str, method: Any, of_many: Any) -> Value:
    """One node over all values; of two the binary op. A method that somebody has replaced is asked
    instead, one value after the other."""
    items = _listed(values)
    if len(items) > 2:
        kinds = set(map(type, items))
        if {getattr(kind, name) for kind in kinds} == {method}:
            made: Value = of_many(items)
            return made
    found, *others = items
    for v in others:
        found = getattr(found, name)(v)
    return found


def take(values: Sequence[Scalar], index: Any) -> Any:
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
        raise IndexError(f"index {k} is out of range for {len(values)} values")
    return values[k]


def _take_traced(values: Sequence[Scalar], index: Value) -> Any:
    if len(values) == 0:
        raise ValueError("values must hold at least one Value")
    sizes = [len(v) if isinstance(v, (list, tuple)) else -1 for v in values]
    for k, size in enumerate(sizes):
        if size != sizes[0]:
            first, other = ("one Value" if n < 0 else f"{n} items" for n in (sizes[0], size))
            raise ValueError(
                f"take: values[{k}] has {other}, values[0] has {first}: choices that an index of "
                "a compiled function picks from are all of one structure"
            )
    if sizes[0] >= 0:
        return [_take_traced(column, index) for column in zip(*values, strict=True)]
    return _core.take_traced(values, index)


def _shift(values: Sequence[Value]) -> Value:
    """The largest value as a constant: subtracting it keeps exp() within range, and the
    derivative does not depend on it."""
    return _core.largest(values, True).detach()


def softmax(logits: Iterable[Scalar]) -> list[Value]:
    """exp(x_i) / (exp(x_0) + exp(x_1) + ...), of logits shifted by their maximum."""
    items = _listed(logits, "logits")
    shift = _shift(items)
    exps = [(x - shift).exp() for x in items]
    scale = _core.total(exps) ** -1
    return [e * scale for e in exps]


def _shifted(logits: Iterable[Scalar]) -> tuple[list[Value], Value]:
    """The logits less their maximum, and the log of the sum of their exponentials."""
    items = _listed(logits, "logits")
    shift = _shift(items)
    shifted = [x - shift for x in items]
    return shifted, _core.total([x.exp() for x in shifted]).log()


def log_softmax(logits: Iterable[Scalar]) -> list[Value]:
    """x_i - log(exp(x_0) + exp(x_1) + ...), without leaving the logarithmic scale."""
    shifted, total = _shifted(logits)
    return [x - total for x in shifted]


def cross_entropy(logits: Iterable[Scalar], target: int) -> Value:
    """-log_softmax(logits)[target]: the loss of one sample whose class is target."""
    shifted, total = _shifted(logits)
    picked: Value = take(shifted, target)
    return total - picked


def binary_cross_entropy_with_logits(logit: Scalar, target: Scalar) -> Value:
    """The loss of one sample from its logit (not a probability), PyTorch's function of that name.

    max(x, 0) - x*target + log(1 + exp(-|x|)), which neither overflows nor loses digits. A target
    that is the number 0 or 1 is right for an infinite logit too; a target that is a Value is nan
    there. Raises ValueError for a target that is not between 0 and 1, where it has a number.
    """
    x = logit if isinstance(logit, Value) else Value(logit)
    t = target if isinstance(target, Value) else Value(target)
    is_value = isinstance(target, Value)
    if not is_value or not _core.tracing():
        number = target.data if is_value else float(target)
        if not 0.0 <= number <= 1.0:
            raise ValueError(f"target must be between 0 and 1, not {number}")
        if not is_value and number in (0.0, 1.0):
            # Without x * target, which is nan at infinity.
            return _softplus(-x if number else x)
    return _softplus(x) - x * t


def _softplus(x: Value) -> Value:
    """log(1 + exp(x)) without overflow: relu(x) + log(1 + exp(-|x|)). |x| is x times a sign that
    is -1 at 0: with relu's derivative there, 0, derivatives of every order are the function's."""
    side = x.compare(0)
    sign = side + (side * side - 1)
    return x.relu() + (-(x * sign)).exp().log1p()


def binary_cross_entropy(logit: Scalar, target: Scalar) -> Value:
    """The old name of binary_cross_entropy_with_logits: a logit, not a probability.

    PyTorch's function of this name takes probabilities, and so will this one from 0.3.0 on.
    """
    import warnings

    warnings.warn(
        "binary_cross_entropy takes a logit and will take a probability, as PyTorch's does, from "
        "0.3.0 on: write binary_cross_entropy_with_logits",
        DeprecationWarning,
        stacklevel=2,
    )
    return binary_cross_entropy_with_logits(logit, target)


def mse_loss(predictions: Iterable[Scalar], targets: Iterable[Scalar]) -> Value:
    """The mean of (prediction - target)**2."""
    xs, ys = _paired(predictions, targets, "predictions", "targets")
    return mean([(x - y) ** 2 for x, y in zip(xs, ys, strict=True)])


def hinge_loss(scores: Iterable[Scalar], targets: Iterable[Scalar]) -> Value:
    """The mean of relu(1 - target * score): the SVM max-margin loss, targets -1 or 1."""
    xs, ys = _paired(scores, targets, "scores", "targets")
    return mean([(1 + -y * x).relu() for x, y in zip(xs, ys, strict=True)])
