"""Ops whose derivative the user writes: the formula is a function of Values, and so is the rule."""

from __future__ import annotations

from functools import partial

from micrograd_fast import _core, derivatives
from micrograd_fast.arguments import unflatten
from micrograd_fast.engine import Value, no_grad

TYPE_CHECKING = False  # typing's own constant costs an import of 4 ms
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["custom"]


def custom(f: Callable[..., Any], rule: Callable[..., Any]) -> Callable[..., Value]:
    """An op: a function that takes what f takes and returns f's number with the derivative that
    rule says, whatever f is made of.

    f(*args, **kwargs) returns a Value or a float; f's own ops pass no gradient on. The Values among
    args, in lists, tuples and dicts too, are what is differentiated by; numbers are constants.
    rule(z, *args, **kwargs), where z is the op's result, returns the partial derivatives of z by
    args: one where there is one argument, else a list or tuple of them in order, each a number or
    Value, or in the structure of its argument. What stands for a constant is not looked at.

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
    tree = derivatives._structure(args, partial(_leaf, values), f"the arguments of {name}")
    if _core.tracing():
        z = f(*args, **kwargs)
    else:
        with no_grad():
            z = f(*args, **kwargs)
    if isinstance(z, bool) or not isinstance(z, (Value, float, int)):
        raise TypeError(f"{name} returned {type(z).__name__!r}: an op has one result, a Value")
    if not values or not _core.grad_enabled():
        return z.detach() if isinstance(z, Value) else Value(z)
    if not _core.tracing():
        z = z.data if isinstance(z, Value) else float(z)
    elif not isinstance(z, Value):
        z = Value(z)
    label = "custom" if name == "<lambda>" else name
    return _core.custom_result(z, values, partial(_partials, rule, tree, kwargs, name), label)


def _leaf(values: list[Value], arg: Any, name: str, depth: int) -> Any:
    if isinstance(arg, Value):
        values.append(arg)
        return Value
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
    return derivatives._seeds(tree, tuple(given), what, "the arguments")
