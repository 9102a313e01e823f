"""Ops whose derivative the user writes: the formula is a function of Values, and so is the rule."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from micrograd_fast import _core, derivatives
from micrograd_fast.arguments import unflatten
from micrograd_fast.engine import Value

__all__ = ["custom"]


def __dir__() -> list[str]:
    return __all__


def custom(f: Callable[..., Any], rule: Callable[..., Any]) -> Callable[..., Value]:
    """An op: a function that takes what f takes and returns f's number with the derivative that
    rule says, whatever f is made of.

    f(*args, **kwargs) returns a Value or a float; f's own ops pass no gradient on. The Values among
    args, in lists, tuples and dicts too, are what is differentiated by; all else is constant. Given
    by keyword they go to their places. rule(z, *args, **kwargs), where z is the op's result,
    returns the partial derivatives of z by args: one where there is one argument, else a list or
    tuple of them in order, each a number or Value, or in the structure of its argument, or None for
    0. What stands for a constant is not looked at.

    The rule is asked when a derivative is wanted; what it computes of z and args is differentiated
    again for higher orders, with z's own derivative by the rule. A function of the op compiles
    where f and rule do.

    Raises TypeError for what is no function; the op TypeError for an f that returns anything else;
    what asks for a derivative TypeError or ValueError for a rule whose result does not fit.
    """
    made: Any = partial(_result, derivatives._function(f), derivatives._function(rule, "rule"))
    vars(made).update(__name__=derivatives._name(f), __doc__=f.__doc__)
    return made  # type: ignore[no-any-return]


def _result(f: Any, rule: Any, /, *args: Any, **kwargs: Any) -> Value:
    values: list[Value] = []
    name = derivatives._name(f)
    args, kwargs = _by_place(f, args, kwargs, name)
    tree = derivatives._structure(args, partial(_leaf, values), f"the arguments of {name}")
    z = f(*args, **kwargs) if _core.tracing() else _core.recorded(f, args, kwargs)
    if not isinstance(z, Value):
        if isinstance(z, (bool, str)) or not hasattr(type(z), "__float__"):
            raise TypeError(f"{name} returned {type(z).__name__!r}: an op has one result, a Value")
        z = Value(z)
    if not values or not _core.grad_enabled():
        return z.detach()
    label = "custom" if name == "<lambda>" else name
    number = z if _core.tracing() else z.data
    return _core.custom_result(number, values, partial(_partials, rule, tree, kwargs, name), label)


def _by_place(f: Any, args: Any, kwargs: Any, name: str) -> tuple[Any, Any]:
    """The arguments with the Values among them by place. Raises TypeError where one cannot be."""
    if not any(_holds_values(a) for a in kwargs.values()):
        return args, kwargs
    import inspect

    bound = inspect.signature(f).bind(*args, **kwargs)
    for word, arg in bound.kwargs.items():
        if _holds_values(arg):
            raise TypeError(f"{name}: {word} holds a Value and has no place: the rule has no word")
    return bound.args, bound.kwargs


def _holds_values(arg: Any) -> bool:
    values: list[Value] = []
    derivatives._structure(arg, partial(_leaf, values), "an argument")
    return bool(values)


def _leaf(values: list[Value], arg: Any, name: str, depth: int) -> Any:
    if isinstance(arg, Value):
        values.append(arg)
        return Value
    of_objects = getattr(getattr(arg, "dtype", None), "kind", "") == "O"
    items = arg.flat if of_objects else arg if isinstance(arg, (set, frozenset)) else ()
    if any(isinstance(item, Value) for item in items):
        raise TypeError(f"{name} is {type(arg).__name__!r} of Values: give a list of them")
    return ("static", arg)


def _partials(
    rule: Any, tree: Any, kwargs: Any, name: str, z: Value, children: tuple[Value, ...]
) -> list[Any]:
    """What the rule says of each child."""
    args = unflatten(tree, iter(children))
    given = rule(z, *args, **kwargs)
    what = f"the rule of {name}"
    if len(args) == 1 and not (isinstance(given, (list, tuple)) and tree[1][0] is Value):
        given = (given,)
    if not isinstance(given, (list, tuple)):
        raise TypeError(
            f"{what} must return a partial derivative for each of {len(args)} arguments, in a "
            f"tuple, not {type(given).__name__!r}"
        )
    if len(given) != len(args):
        raise ValueError(
            f"{what} must return a partial derivative for each of {len(args)} arguments, not "
            f"{len(given)}"
        )
    found: list[Any] = []
    for k, (part, partials) in enumerate(zip(tree[1], given, strict=True)):
        n = _n_values(part)
        if partials is None and len(args) > 1:
            found += [0.0] * n
        elif n:
            found += derivatives._seeds(part, partials, f"{what}[{k}]", f"argument {k}")
    return found


def _n_values(tree: Any) -> int:
    if tree is Value:
        return 1
    return 0 if tree[0] == "static" else sum(map(_n_values, tree[1]))
