"""Zero, small and huge numbers, infinity and nan, as data and as gradients from above.

Clipping, at whatever limit below some 1e7, shows here, and an op that raises beyond a limit.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import Any

from micrograd_fast.swap_value.both import Both, Expression, Outcome, close
from micrograd_fast.swap_value.own_class import Refused

DATA = (
    *(0.0, -0.0, 1e-300, 30.0, -30.0, 100.0, -100.0, 1000.0, -1000.0),
    *(1e-9, -1e-9, 1e8, -1e8, 1e15, -1e15),
    *(3.7, -3.7, 7.5, -7.5, 12.0, -12.0, 50.0, -50.0, 300.0, -300.0),
)
NOT_FINITE = (math.inf, -math.inf, math.nan)
LARGE = ((1e8, -3e8), (-4e8, -2e8), (3e-8, -2e-8), (-1e12, 2e9), (2e9, 0.5))
FACTORS = (1e8, -1e8, 1e-8)  # of the gradient that comes from above


def check_leaves(both: Both) -> None:
    """`__init__` keeps a number as it is, and makes an infinity and a nan."""
    for x in DATA + NOT_FINITE:
        theirs, _ = both.on_both("__init__", "a", _leaf, (x,))
        if isinstance(theirs.error, TypeError | AttributeError):
            text = f"{both.own.name}({x!r}) raises {theirs.shown()}"
            raise Refused(text, both.own.line("__init__"))
        if theirs.error:
            text = f"{both.own.name}({x!r}) raises {theirs.shown()} in the program and nothing in "
            both.note_once("__init__", f"{text}micrograd_fast")
            both.impossible.add(x)
        elif not _same(theirs.numbers[0], x):
            text = f"{both.own.name}({x!r}).data is {theirs.numbers[0]!r}"
            raise Refused(text, both.own.line("__init__"))


def _leaf(a: Any, b: Any = None) -> Any:
    return a


def _same(a: Any, b: float) -> bool:
    return bool(a == b) or (a != a and b != b)


def check_large(both: Both, expressions: set[str]) -> None:
    """Large and small data on these of the expressions that agreed."""
    for text, (method, f, _) in [*both.agreed.items()]:
        if text in expressions:
            for numbers in LARGE:
                both.compare(method, text, f, numbers)


def check_gradients(both: Both) -> None:
    """All that agreed, with large and small gradients from above: the factor itself first."""
    method = "__add__" if both.agreed.keys().isdisjoint({"a * b", "a * 3"}) else "__mul__"
    for factor in FACTORS:
        if scaled := _scaled(both, _leaf, factor):
            both.compare(method, f"a * {factor:g}", scaled, (0.7, 1.0), shared=True)
    for text, (method, f, numbers) in [*both.agreed.items()]:
        for factor in FACTORS:
            scaled = _scaled(both, f, factor)
            if scaled:
                both.compare(method, f"({text}) * {factor:g}", scaled, numbers, shared=True)


def _scaled(both: Both, f: Expression, factor: float) -> Expression | None:
    """`f * factor`, by the ops that the program's class has."""
    if "a * 3" in both.agreed:
        return lambda a, b: f(a, b) * factor
    if "2.5 * a" in both.agreed:
        return lambda a, b: factor * f(a, b)
    if "a * b" in both.agreed:
        return lambda a, b: f(a, b) * type(a)(factor)
    if factor < 1:
        return None

    def doubled(a: Any, b: Any) -> Any:
        root = f(a, b)
        for _ in range(27):  # 1.3e8
            root = root + root
        return root

    return doubled


def check_special(both: Both) -> None:
    """Each that agreed of one number, and of two with either in its place."""
    for text, (method, f, numbers) in [*both.agreed.items()]:
        noted = []
        for x in DATA + NOT_FINITE:
            noted.append(_special(both, method, text, f, (x, 1.0)))
            if re.search(r"\bb\b", text):
                noted.append(_special(both, method, text, f, (numbers[0], x)))
        for note in filter(None, noted):
            both.note_once(method, note)


def _special(
    both: Both, method: str, text: str, f: Expression, numbers: Sequence[float]
) -> str | None:
    """A note where ours goes on and theirs does not, or with another number out of an infinity or
    a nan. Raises Refused for another number else."""
    if not both.impossible.isdisjoint(numbers):
        return None
    finite = all(map(math.isfinite, numbers))
    theirs, ours = both.on_both(method, text, f, numbers)
    both.report.count += 1
    there = theirs.shown() if theirs.error else _first(theirs, ours)
    here = ours.shown() if ours.error else _first(ours, theirs)
    told = f"{both.now[1]} gives {there} in the program and {here} in micrograd_fast"
    if theirs.error:
        # An op that ends the program ends it with its own words.
        ends = not isinstance(theirs.error, Exception)
        ends = ends and type(theirs.error) is not type(ours.error)
        return told if ends or not ours.error else None
    usual = all(isinstance(n, int | float) and math.isfinite(n) for n in theirs.numbers)
    if ours.error:
        if usual and finite:
            raise Refused(told, both.own.line(method))
        return told
    if all(map(close, theirs.numbers, ours.numbers)):
        return None
    if usual and finite:
        raise Refused(told, both.own.line(method))
    return told


def _first(one: Outcome, other: Outcome) -> str:
    """The first number of one that the other does not have."""
    names = ("", "the gradient of the result ", "the gradient ", "the gradient of b ")
    if not other.error:
        for name, x, y in zip(names, one.numbers, other.numbers, strict=True):
            if not close(x, y):
                return f"{name}{x!r}"
    return repr(one.numbers[0])
