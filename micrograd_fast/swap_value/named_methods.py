"""Methods with a name, `a.tanh()`: those of both classes, and those of the program's own that stay
and take nothing else."""

from __future__ import annotations

from typing import Any

from micrograd_fast._core import OPS
from micrograd_fast.swap_value.both import Both, Expression, close
from micrograd_fast.swap_value.own_class import OURS, Refused

UNARY = {op.name: (op.lo, op.hi) for op in OPS if op.kind == "unary"}
BINARY = {op.name: (op.lo, op.hi) for op in OPS if op.kind == "binary"} | {"mul": (-2.0, 2.0)}


def check_named(both: Both, callable_: set[str]) -> None:
    for name in both.own.methods:
        if name.startswith("__") or name in ("backward", "_backward"):
            continue
        if name in UNARY:
            _check_unary(both, name)
        elif name in BINARY:
            _check_binary(both, name)
        elif name == "item":
            _check_item(both)
        elif name == "detach":
            _check_detach(both)
        elif name in OURS and name not in both.own.kept:
            _refuse_other(both, name)
        elif name in both.own.kept & callable_ and _takes_nothing(both.theirs, name):
            for x in (0.4, 1.7):
                both.compare(name, f"a.{name}()", method(name), (x, 1.0))


def method(name: str) -> Expression:
    if name in BINARY:
        return lambda a, b: getattr(a, name)(b)
    return lambda a, b: getattr(a, name)()


def _refuse_other(both: Both, name: str) -> None:
    raise Refused(f"{name} is something else in micrograd_fast", both.own.line(name))


def _check_unary(both: Both, name: str) -> None:
    mul, add = both.mul, both.add

    def twice(a: Any, b: Any) -> Any:
        c = getattr(a, name)()
        return add(mul(c, c), mul(c, a))

    for x in _spread(*UNARY[name]):
        if not both.compare(name, f"a.{name}()", method(name), (x, 1.0)):
            text = f"{name}() takes or gives something else than in micrograd_fast"
            raise Refused(text, both.own.line(name))
        both.compare(name, f"c = a.{name}(); c * c + c * a", twice, (x, 1.0), shared=True)


def _check_binary(both: Both, name: str) -> None:
    """On the same number twice, too: where the larger one is asked for, which one is it?"""
    for x in _spread(*BINARY[name]):
        for other in (0.9 * x + 0.1, x, 1.1 * x + 0.2):
            if not both.compare(name, f"a.{name}(b)", method(name), (x, other)):
                text = f"{name}() takes or gives something else than in micrograd_fast"
                raise Refused(text, both.own.line(name))


def _spread(low: float, high: float) -> list[float]:
    return [low + (high - low) * share for share in (0.03, 0.21, 0.5001, 0.77, 0.98)]


def _takes_nothing(cls: type, name: str) -> bool:
    code = getattr(getattr(cls, name, None), "__code__", None)
    return code is not None and code.co_argcount == 1 and code.co_kwonlyargcount == 0


def _check_item(both: Both) -> None:
    for x in (0.5, -1.23456789, 0.0, 3e-9, 123456789.123):
        both.now = ("item", f"a.item() with a = {x!r}")
        theirs, ours = both.theirs(x).item(), both.ours(x).item()
        if not isinstance(theirs, float) or theirs != ours:
            text = f"{both.now[1]} is {theirs!r} in the program and {ours!r} in micrograd_fast"
            raise Refused(text, both.own.line("item"))


def _check_detach(both: Both) -> None:
    """Where it cuts the graph, and whether the node itself is another one then."""
    mul, add = both.mul, both.add

    def first(a: Any, b: Any) -> Any:
        return mul(a.detach(), b)

    def beside(a: Any, b: Any) -> Any:
        c = mul(a, b)
        return add(mul(c.detach(), a), c)

    def written(a: Any, b: Any) -> Any:
        c = mul(a, b)
        c.detach().data = 5.0
        return add(mul(c, a), b)

    def of_a_leaf(a: Any, b: Any) -> Any:
        a.detach().data = 5.0
        return mul(a, b)

    for text, f in (
        ("a.detach() * b", first),
        ("c = a * b; c.detach() * a + c", beside),
        ("c = a * b; c.detach().data = 5.0; c * a + b", written),
        ("a.detach().data = 5.0; a * b", of_a_leaf),
    ):
        if not both.compare("detach", text, f, (0.7, -1.3), shared=True):
            _refuse_other(both, "detach")
    a, b = both.theirs(0.7), both.theirs(-1.3)
    if type(a.detach()) is not both.theirs or not close(mul(a, b).detach().grad, 0.0):
        _refuse_other(both, "detach")
