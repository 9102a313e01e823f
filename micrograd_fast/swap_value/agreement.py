"""Whether a program's own Value computes what micrograd_fast's computes, tried on expressions.

`check` runs each expression on both, forward and backward, and compares data, every gradient, and
what else the program looks at. The first difference raises Refused. What differs without harm (the
last digits, an error where the other goes on) is told in the notes of the Report.
"""

from __future__ import annotations

import math
import operator
import warnings
from collections.abc import Iterable

from micrograd_fast.engine import Value
from micrograd_fast.swap_value import extremes, limits
from micrograd_fast.swap_value.both import ABSENT, Both, Expression, Report, close
from micrograd_fast.swap_value.histories import check_backward
from micrograd_fast.swap_value.looked_at import check_looked_at
from micrograd_fast.swap_value.named_methods import check_named
from micrograd_fast.swap_value.operators import OPERATORS, SHARED
from micrograd_fast.swap_value.own_class import OURS, OwnClass, Refused

PAIRS = ((0.7, -1.3), (2.5, 0.5), (-0.25, 3.0), (-1.5, -0.75))
EXPONENTS = (2, 3, 2.0, 0.5, 1, -1, -2, 1.5, -0.5, -3, 10, 17, 1 / 3, -1.5, 0)

COMPARISONS: tuple[tuple[str, Expression], ...] = (
    ("__lt__", lambda a, b: a < b),
    ("__le__", lambda a, b: a <= b),
    ("__gt__", lambda a, b: a > b),
    ("__ge__", lambda a, b: a >= b),
    ("__eq__", lambda a, b: a == b),
    ("__ne__", lambda a, b: a != b),
    ("__bool__", lambda a, b: bool(a)),
    ("__len__", lambda a, b: bool(a)),
    ("__round__", lambda a, b: round(a)),
    ("__floor__", lambda a, b: math.floor(a)),
    ("__ceil__", lambda a, b: math.ceil(a)),
)
# Special methods that ours has and that are compared, or fitted, elsewhere.
COMPARED = {method for method, _, _ in OPERATORS} | {method for method, _ in COMPARISONS}
COMPARED |= {"__init__", "__pow__", "__rpow__", "__hash__"}


def check(
    own: OwnClass,
    theirs: type,
    ours: type[Value],
    callable_: set[str],
    exponents: Iterable[float] = (),
) -> Report:
    """Compare the two classes in all that `own` replaces, and in its kept methods of one operand.

    theirs: the class itself, made from its statement; `ours` has the methods that stay.
    callable_: the methods that may be called; exponents: those that the program writes. Raises
    Refused.
    """
    both = Both(own, theirs, ours)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            _check_all(both, callable_, exponents)
    except (Refused, limits.CtrlC):
        raise
    except limits.TimeUp:
        text = f"{both.now[1]} does not end: the check gave it up after {limits.SECONDS:g} seconds"
        raise Refused(text, own.line(both.now[0])) from None
    except BaseException as error:
        text = f"{both.now[1]} raises {type(error).__name__}: {error}"
        raise Refused(text, own.line(both.now[0])) from None
    if both.report.count < 20:
        raise Refused("hardly any expression works on it", own.node.lineno)
    return both.report


def _check_all(both: Both, callable_: set[str], exponents: Iterable[float]) -> None:
    _check_leaf(both)
    extremes.check_leaves(both)
    for method, text, f in OPERATORS:
        for numbers in PAIRS:
            both.compare(method, text, f, numbers)
    if both.agreed.keys().isdisjoint({"a + b", "a * b"}):
        raise Refused("neither a + b nor a * b works on it", both.own.node.lineno)
    for method, text, f in SHARED:
        for numbers in PAIRS:
            both.compare(method, text, f, numbers, shared=True)
    _check_powers(both, exponents)
    check_named(both, callable_)
    _check_comparisons(both)
    _check_hash(both)
    check_backward(both)
    _check_derived(both)
    check_looked_at(both)
    extremes.check_gradients(both)
    extremes.check_large(both, {text for _, text, _ in OPERATORS} | {"a ** 2", "a ** 3"})
    extremes.check_special(both)


def _check_leaf(both: Both) -> None:
    try:
        leaf, whole = both.theirs(0.5), both.theirs(2)
        numbers = (leaf.data, leaf.grad)
    except Exception as error:
        text = f"{both.own.name}(0.5) raises {type(error).__name__}: {error}"
        raise Refused(text, both.own.line("__init__")) from None
    if not (close(numbers[0], 0.5) and close(numbers[1], 0.0)):
        text = f"{both.own.name}(0.5) begins with data {numbers[0]!r} and grad {numbers[1]!r}"
        raise Refused(text, both.own.line("__init__"))
    if "float32" in type(numbers[0]).__name__:
        raise Refused("it computes with 32 bits", both.own.line("__init__"))
    if isinstance(whole.data, int):
        name = both.own.name
        both.report.notes.append(f"data and grad are floats: {name}(2).data is 2.0, where it was 2")


def _check_powers(both: Both, exponents: Iterable[float]) -> None:
    for k in dict.fromkeys((*EXPONENTS, *exponents)):
        for x in (0.7, 2.5, *((-1.5,) if k == int(k) else ())):
            both.compare("__pow__", f"a ** {k}", lambda a, b, k=k: a**k, (x, 1.0))
    for base, power in ((0.7, 2.5), (2.5, -1.5)):
        both.compare("__pow__", "a ** b", lambda a, b: a**b, (base, power))
        both.compare("__rpow__", "2 ** a", lambda a, b: 2**a, (power, 1.0))


def _check_comparisons(both: Both) -> None:
    """Of two Values; of a Value and a number, where the program's class takes that."""
    for name, f in COMPARISONS:
        if name not in both.own.methods or (name == "__len__" and "__bool__" in both.own.methods):
            continue
        unary = name in ("__bool__", "__len__", "__round__", "__floor__", "__ceil__")
        for a, b in ((1.0, 2.0), (2.0, 1.0), (1.0, 1.0), (0.0, 0.0)):
            operands = f"{a}" if unary else f"{a} and {b}"
            both.now = (name, f"{name} of {operands}")
            _compare_plain(both, f(both.theirs(a), both.theirs(b)), f(both.ours(a), both.ours(b)))
            if unary:
                continue
            try:
                theirs = f(both.theirs(a), b)
            except Exception:
                continue
            both.now = (name, f"{name} of {a} and the number {b}")
            _compare_plain(both, theirs, f(both.ours(a), b))


def _compare_plain(both: Both, theirs: object, ours: object) -> None:
    """Two results that are no Values."""
    if type(theirs) is not type(ours) or theirs != ours or isinstance(theirs, both.theirs):
        name, text = both.now
        text = f"{text} is {theirs!r} in the program and {ours!r} in micrograd_fast"
        raise Refused(text, both.own.line(name))
    both.report.count += 1


def _check_hash(both: Both) -> None:
    """Whatever ours has of what the class defines is compared: so much is left."""
    for name in both.own.methods:
        if name.startswith("__") and name in OURS and name not in both.own.kept | COMPARED:
            raise Refused(f"it has a {name} of its own", both.own.line(name))
    if "__hash__" in both.own.methods:
        v = both.theirs(0.5)
        both.now = ("__hash__", "hash(a) with a = 0.5")
        if hash(v) not in (id(v), object.__hash__(v)):
            text = "its __hash__ is not that of the object, as in micrograd_fast"
            raise Refused(text, both.own.line("__hash__"))


def _check_derived(both: Both) -> None:
    """What an op on an object of a derived class gives is a plain Value here."""
    if both.own.derived:
        sub = type("Derived", (both.theirs,), {})
        for method, f in (("__add__", operator.add), ("__mul__", operator.mul)):
            try:
                result = f(sub(0.7), sub(-1.3))
            except ABSENT:
                continue
            if type(result) is not both.theirs:
                text = "an op on objects of a derived class gives one of that class"
                raise Refused(text, both.own.line(method))
