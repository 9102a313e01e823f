"""Derivatives as graphs: Values like any other, differentiable again.

gradients() walks back from a Value; grad(), value_and_grad(), jvp() and vjp() are of functions,
with JAX's names and argument orders. They work on Values and on lists, tuples and dicts of them,
inside a compiled function and on each other. No `.grad` is read or written.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

from micrograd_fast import _core, rules
from micrograd_fast.arguments import check_depth, filled, flatten, is_array, plain_array, unflatten
from micrograd_fast.counted import counted
from micrograd_fast.engine import Value

__all__ = ["grad", "gradients", "jvp", "value_and_grad", "vjp"]


def __dir__() -> list[str]:
    return __all__


rules.read_table()


def gradients(y: Value, xs: Any) -> Any:
    """The partial derivatives dy/dx as Values, for a Value x or lists, tuples and dicts of them.

    Each is a graph over the nodes of y, built by reverse mode: it can be drawn, differentiated
    again and traced. 0 where y does not depend on x. An x that depends on another one counts for
    both: the derivatives are total. Under no_grad the results are numbers without a graph.

    Raises TypeError for what is no Value, and where a custom node stands between y and xs whose
    `_backward` is Python; what y.backward() raises where a derivative does not exist.
    """
    if not isinstance(y, Value):
        raise TypeError(f"y must be a Value, not {type(y).__name__!r}")
    values: list[Value] = []
    tree = _values_of(xs, values, "xs")
    return unflatten(tree, iter(_core.pullback([y], [1.0], values)))


def grad(f: Callable[..., Any], argnums: int | Sequence[int] = 0) -> Callable[..., Any]:
    """A function that takes what f takes and returns f's gradient: of the argument argnums, in its
    structure, or of several, as a tuple. f returns one Value.

    An argument may be a Value, a float, an array, or lists, tuples and dicts of these; the gradient
    has a Value for each number, arrays become lists. It is a graph over the Values that were given.

    Raises TypeError for integers to be differentiated by and for an f that returns anything else,
    IndexError for an argnums that there is no argument for.
    """
    made: Callable[..., Any] = _derivative(_gradient, "gradient", f, argnums)
    return made


def value_and_grad(
    f: Callable[..., Any], argnums: int | Sequence[int] = 0
) -> Callable[..., tuple[Value, Any]]:
    """A function that takes what f takes and returns (f's result, its gradient): see grad()."""
    made: Callable[..., Any] = _derivative(_value_and_gradient, "value_and_gradient", f, argnums)
    return made


def jvp(f: Callable[..., Any], primals: Sequence[Any], tangents: Sequence[Any]) -> tuple[Any, Any]:
    """(f(*primals), its derivative in the direction tangents), by forward mode.

    primals, tangents: lists or tuples of one structure, an argument of f each; the tangents are
    numbers or Values. Both results have the structure of what f returns.
    """
    function = _function(f)
    for name, given in (("primals", primals), ("tangents", tangents)):
        if not isinstance(given, (list, tuple)):
            raise TypeError(
                f"{name} must be a list or tuple, an item for each argument, "
                f"not {type(given).__name__!r}"
            )
    xs: list[Value] = []
    tree = _lifted(tuple(primals), xs, "primals")
    seeds = _seeds(tree, tuple(tangents), "tangents", "primals")
    ys: list[Value] = []
    made = _core.recorded(function, unflatten(tree, iter(xs)), {})
    out = flatten(_as_values(made, function), ys, _name(function))
    slopes = _core.pushforward(xs, seeds, ys)
    return unflatten(out, iter([_settled(y) for y in ys])), unflatten(out, iter(slopes))


def vjp(f: Callable[..., Any], *primals: Any) -> tuple[Any, Callable[[Any], tuple[Any, ...]]]:
    """(f(*primals), pullback): pullback(w) is the gradient of the sum of w times f's results, a
    tuple with an item for each of the primals, by reverse mode. w has the structure of the result,
    its items are numbers or Values."""
    function = _function(f)
    xs: list[Value] = []
    tree = _lifted(primals, xs, "primals")
    ys: list[Value] = []
    made = _core.recorded(function, unflatten(tree, iter(xs)), {})
    out = flatten(_as_values(made, function), ys, _name(function))

    def pullback(w: Any) -> tuple[Any, ...]:
        seeds = _seeds(out, w, "w", f"the result of {_name(function)}")
        found: tuple[Any, ...] = unflatten(tree, iter(_core.pullback(ys, seeds, xs)))
        return found

    return unflatten(out, iter([_settled(y) for y in ys])), pullback


# ---- functions ----


def _function(f: Any, what: str = "f") -> Callable[..., Any]:
    """The function of Values that is to be differentiated."""
    from micrograd_fast.compiler import CompiledFunction

    if isinstance(f, CompiledFunction):
        if f._batch:
            raise TypeError(
                f"{f.__name__} is batched: differentiate the function of one sample, and compile "
                "the derivative with batch=True"
            )
        wrapped: Callable[..., Any] = f.__wrapped__
        return wrapped
    if not callable(f):
        raise TypeError(f"{what} must be a function, not {type(f).__name__!r}")
    return f  # type: ignore[no-any-return]


def _name(function: Any) -> str:
    return getattr(function, "__name__", type(function).__name__)


def _derivative(compute: Any, name: str, f: Any, argnums: Any) -> Any:
    """What computes a derivative of f: a partial, which copies and pickles as f does."""
    one = not isinstance(argnums, (list, tuple))
    made = partial(compute, _function(f), tuple(_argnums(argnums)), one)
    vars(made).update(__name__=f"{_name(f)}_{name}", __doc__=f"The {name} of {_name(f)}.")
    return made


def _gradient(function: Any, argnums: tuple[int, ...], one: bool, /, *args: Any, **kw: Any) -> Any:
    return _value_and_gradient(function, argnums, one, *args, **kw)[1]


def _value_and_gradient(
    function: Any, argnums: tuple[int, ...], one: bool, /, *args: Any, **kwargs: Any
) -> tuple[Value, Any]:
    given, leaves, trees = list(args), [], []
    for k in _places(argnums, len(args)):
        values: list[Value] = []
        trees.append(_lifted(args[k], values, f"argument {k}"))
        given[k] = unflatten(trees[-1], iter(values))
        leaves += values
    y = _one_result(_core.recorded(function, given, kwargs), function)
    found = iter(_core.pullback([y], [1.0], leaves))
    parts = tuple([unflatten(tree, found) for tree in trees])
    return _settled(y), parts[0] if one else parts


def _argnums(argnums: Any) -> list[int]:
    items = argnums if isinstance(argnums, (list, tuple)) else [argnums]
    if not items:
        raise ValueError("argnums must name at least one argument")
    found = []
    for k in items:
        wrong = f"argnums must be an int or ints, not {type(k).__name__!r}"
        if isinstance(k, bool):
            raise TypeError(wrong)
        try:
            found.append(operator.index(k))
        except TypeError:
            raise TypeError(wrong) from None
    return found


def _places(argnums: Sequence[int], n_args: int) -> list[int]:
    """Which arguments are meant, from the left."""
    found: list[int] = []
    for k in argnums:
        if not -n_args <= k < n_args:
            given = "1 argument was" if n_args == 1 else f"{n_args} arguments were"
            raise IndexError(f"argnums is {k}, but {given} given by place")
        if k % n_args in found:
            raise ValueError(f"argnums names argument {k % n_args} twice")
        found.append(k % n_args)
    return found


def _one_result(result: Any, function: Any) -> Value:
    if isinstance(result, Value):
        return result
    if isinstance(result, float):
        return Value(result)
    raise TypeError(
        f"{_name(function)} returned {type(result).__name__!r}: what has a gradient is one Value; "
        "for more of them there are jvp() and vjp()"
    )


def _as_values(result: Any, function: Any) -> Any:
    """A function's result, whose floats, which depend on nothing, are Values too."""
    if isinstance(result, float):
        return Value(result)
    if isinstance(result, (list, tuple)):
        items = [_as_values(r, function) for r in result]
        return items if type(result) is list else filled((type(result), items), items)
    if type(result) is dict:
        return {word: _as_values(r, function) for word, r in result.items()}
    if isinstance(result, Value):
        return result
    raise TypeError(
        f"{_name(function)} returned {type(result).__name__!r}: a function that is differentiated "
        "returns Values and lists, tuples or dicts of them"
    )


def _settled(y: Value) -> Value:
    """A result as this thread wants it: without a graph under no_grad."""
    return y if _core.grad_enabled() else y.detach()


# ---- structures ----


def _structure(thing: Any, take: Callable[[Any, str, int], Any], name: str, depth: int = 0) -> Any:
    """The structure of lists, tuples and dicts; what else is in them goes to take()."""
    if type(thing) is dict or isinstance(thing, (list, tuple)):
        check_depth(depth, name)
        named = thing.items() if type(thing) is dict else enumerate(thing)
        parts = [_structure(part, take, f"{name}[{k!r}]", depth + 1) for k, part in named]
        return (dict, parts, tuple(thing)) if type(thing) is dict else (type(thing), parts)
    return take(thing, name, depth)


def _values_of(xs: Any, values: list[Value], name: str) -> Any:
    """The structure of Values, which are collected."""

    def take(x: Any, name: str, depth: int) -> Any:
        if not isinstance(x, Value):
            raise TypeError(f"{name} must be a Value, not {type(x).__name__!r}")
        values.append(x)
        return Value

    return _structure(xs, take, name)


def _lifted(arg: Any, values: list[Value], name: str) -> Any:
    """The structure of an argument that is differentiated by, and a Value of its own for each
    number in it: f may know the Values that were given by another way, which is not asked for."""

    def take(x: Any, name: str, depth: int) -> Any:
        if isinstance(x, (Value, float)):
            values.append(_core.stand_in(x) if isinstance(x, Value) else Value(x))
            return Value
        if is_array(x) and getattr(getattr(x, "dtype", None), "kind", "f") == "f":
            return _structure(plain_array(x, name).tolist(), take, name, depth)
        kind = getattr(x, "dtype", None) or type(x).__name__
        raise TypeError(
            f"{name} is {str(kind)!r}, which has no derivative: give floats, Values, arrays of "
            "floats, or lists, tuples and dicts of them"
        )

    return _structure(arg, take, name)


def _seeds(tree: Any, given: Any, name: str, like: str) -> list[Any]:
    """A number or Value for each Value of a structure, of one that is the same."""
    if tree is not Value and tree[0] == "static":
        return []
    if tree is Value:
        if isinstance(given, Value):
            return [given]
        if getattr(given, "shape", ()) == () and hasattr(type(given), "__float__"):
            return [float(given)]
        raise TypeError(f"{name} must be a number or a Value, not {type(given).__name__!r}")
    if is_array(given):
        if getattr(getattr(given, "dtype", None), "kind", "f") not in "fiub":
            raise TypeError(f"{name} must be of real numbers, not {given.dtype}")
        given = plain_array(given, name).tolist()
    words = tree[2] if tree[0] is dict else range(len(tree[1]))
    if tree[0] is dict:
        fits = type(given) is dict and set(given) == set(words)
    else:
        fits = isinstance(given, (list, tuple)) and len(given) == len(words)
    if not fits:
        had = f"keys {list(words)}" if tree[0] is dict else counted(len(words), "item")
        has = f" of {len(given)}" if hasattr(given, "__len__") else ""
        has = f" with {list(given)}" if type(given) is dict else has
        raise ValueError(f"{name} must have {had} as {like} has, not {type(given).__name__}{has}")
    found = []
    for word, part in zip(words, tree[1], strict=True):
        found += _seeds(part, given[word], f"{name}[{word!r}]", f"{like}[{word!r}]")
    return found
