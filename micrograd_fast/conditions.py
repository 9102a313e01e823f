"""Choosing by conditions, and the functions that do: eager, and in compiled functions at every
call.

A comparison of Values is a bool in eager code. In a compiled function, whose numbers are yet to
come, it is a Condition, which where() takes; join several by &, | and ~.
"""

from __future__ import annotations

from micrograd_fast import _core
from micrograd_fast import _types as t
from micrograd_fast.arguments import check_depth, filled, is_array
from micrograd_fast.counted import counted
from micrograd_fast.engine import Value

__all__ = ["ceil", "clip", "equal", "floor", "round", "sign", "where"]


def __dir__() -> list[str]:
    return __all__


_LISTS = (list, tuple)


def where(condition: t.Any, a: t.Any, b: t.Any) -> t.Any:
    """a where the condition holds, else b: Values, numbers, or lists, tuples and dicts of them of
    one structure; one that is a single Value or number serves a whole list.

    condition: a bool, a comparison, a number or Value (true unless it is 0; but the int -2, what
    Python makes of ~True, is false), or lists and arrays of them, which choose item by item. What
    is not chosen gets no gradient, and what its derivatives are, nan and infinities included, makes
    no difference: `where(x > 0, x.sqrt(), 0.0)` has the gradient 0 at 0.

    In eager code both arms have been computed before: an op that raises does so. Raises ValueError
    for lists of different lengths, TypeError for what is neither a Value nor a number.
    """
    return _where(condition, a, b)


def _where(condition: t.Any, a: t.Any, b: t.Any, depth: int = 0) -> t.Any:
    check_depth(depth, "condition")
    if is_array(condition):
        condition = (condition != 0).tolist()
    arms = [arm.tolist() if is_array(arm) and arm.shape else arm for arm in (a, b)]
    if isinstance(condition, _LISTS):
        n = len(condition)
        x, y = _items(arms[0], n, "a"), _items(arms[1], n, "b")
        return [_where(c, x[k], y[k], depth + 1) for k, c in enumerate(condition)]
    for arm in arms:
        if isinstance(arm, _LISTS):
            x, y = _items(arms[0], len(arm), "a"), _items(arms[1], len(arm), "b")
            chosen = [_where(condition, *pair, depth + 1) for pair in zip(x, y, strict=True)]
            return filled((type(arm), chosen), chosen)
        if type(arm) is dict:
            x, y = _entries(arms[0], arm, "a"), _entries(arms[1], arm, "b")
            return {word: _where(condition, x[word], y[word], depth + 1) for word in arm}
    return _chosen(condition, *arms)


def _items(arm: t.Any, n: int, name: str) -> t.Any:
    if not isinstance(arm, _LISTS):
        if type(arm) is dict:
            raise TypeError(f"{name} is a dict beside a list of {n}")
        return [arm] * n
    if len(arm) != n:
        raise ValueError(f"{name} has {counted(len(arm), 'item')}, a list beside it {n}")
    return arm


def _entries(arm: t.Any, like: dict[t.Any, t.Any], name: str) -> t.Any:
    if type(arm) is not dict:
        if isinstance(arm, _LISTS):
            raise TypeError(f"{name} is a {type(arm).__name__} beside a dict")
        return dict.fromkeys(like, arm)
    if set(arm) != set(like):
        raise ValueError(f"{name} has keys {list(arm)}, a dict beside it {list(like)}")
    return arm


def _chosen(condition: t.Any, a: t.Scalar, b: t.Scalar) -> Value:
    """One of two Values or numbers."""
    arms = [value_of(a, "a"), value_of(b, "b")]
    if type(condition) is int and condition == -2:
        condition = False  # what Python's ~ makes of True; of False it makes -1
    truth = _core.truth(condition)
    if truth is None:
        kind = type(condition).__name__
        raise TypeError(
            f"condition must be a bool, a comparison, a number or a Value, not {kind!r}"
        )
    if isinstance(truth, bool):
        return arms[0] if truth else arms[1]
    return _core.take_traced([arms[1], arms[0]], truth)


def value_of(x: t.Scalar, name: str) -> Value:
    """A Value, a number or a condition as a Value; TypeError that says name for anything else."""
    if isinstance(x, Value):
        return x
    if isinstance(x, _core.Condition):
        return x.value
    try:
        return Value(x)
    except TypeError:
        raise TypeError(f"{name} must be a Value or a number, not {type(x).__name__!r}") from None


def equal(a: t.Scalar, b: t.Scalar) -> t.Any:
    """Whether two numbers or Values are equal as numbers: `==` between Values is identity. A bool,
    in a compiled function a Condition."""
    x, y = value_of(a, "a"), value_of(b, "b")
    return _core.Condition(x.equal(y)) if _core.tracing() else x.data == y.data


def sign(x: t.Scalar) -> Value:
    """1, -1, or 0 at 0; nan with nan. Its derivative is 0."""
    return value_of(x, "x").compare(0.0)


def floor(x: t.Scalar) -> Value:
    """The largest whole number that is not above x. Its derivative is 0."""
    return value_of(x, "x").floor()


def ceil(x: t.Scalar) -> Value:
    """The smallest whole number that is not below x. Its derivative is 0."""
    return value_of(x, "x").ceil()


def round(x: t.Scalar) -> Value:
    """The nearest whole number, of two the even one. Its derivative is 0."""
    return value_of(x, "x").rint()


def clip(x: t.Scalar, low: t.Scalar, high: t.Scalar) -> Value:
    """x between low and high, nan with nan. The derivative is 1 from low to high, both included,
    and 0 beyond, as PyTorch's clamp has it; by low or high it is 1 where that is the result. A
    bound that is nan bounds nothing; where low is above high the result is high."""
    x, low, high = value_of(x, "x"), value_of(low, "low"), value_of(high, "high")
    raised = _chosen(x < low, low, x)
    return _chosen(raised > high, high, raised)
