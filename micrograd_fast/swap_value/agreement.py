"""Whether a program's own Value computes what micrograd_fast's computes, tried on expressions.

`check` runs each expression on both, forward and backward, and compares data, every gradient, and
what else the program looks at. The first difference raises Refused. What differs without harm (the
last digits, an error where the other goes on) is told in the notes of the Report.

Two numbers agree where they differ by at most TOLERANCE of the larger of 1 and their size: other
ways to write one formula differ by some 1e-15, another formula by more, be it log(x + 1e-12).
"""

from __future__ import annotations

import ast
import math
import warnings
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from micrograd_fast._core import OPS
from micrograd_fast.engine import Value
from micrograd_fast.swap_value.own_class import OURS, OwnClass, Refused

TOLERANCE = 1e-12
UNARY = {op.name: (op.lo, op.hi) for op in OPS if op.kind == "unary"}
BINARY = {op.name: (op.lo, op.hi) for op in OPS if op.kind == "binary"} | {"mul": (-2.0, 2.0)}
SPECIAL = (0.0, -0.0, 1e-300, 30.0, -30.0, 100.0, -100.0, 1000.0, -1000.0)
NOT_FINITE = (math.inf, -math.inf, math.nan)
PAIRS = ((0.7, -1.3), (2.5, 0.5), (-0.25, 3.0), (-1.5, -0.75))
EXPONENTS = (2, 3, 2.0, 0.5, 1, -1, -2, 1.5, -0.5)
# What an op that is not there raises, or not for such operands.
ABSENT = (TypeError, AttributeError, AssertionError, NotImplementedError)
Expression = Callable[..., Any]


@dataclass
class Report:
    """How many expressions agreed, the largest difference, and what is to be told."""

    count: int = 0
    largest: float = 0.0
    notes: list[str] = field(default_factory=list)


@dataclass
class Outcome:
    """What an expression came to on one of the two classes.

    `numbers` are its data, its grad and its leaves' grads. `error` is an exception instead of them,
    `backward` whether it came from backward().
    """

    numbers: tuple[Any, ...] = ()
    error: Exception | None = None
    backward: bool = False
    root: Any = None

    def shown(self) -> str:
        return type(self.error).__name__ if self.error else repr(self.numbers[0])


# By method the expressions that need it, each with a text. The leaves are a, b.
OPERATORS: tuple[tuple[str, str, Expression], ...] = (
    ("__add__", "a + b", lambda a, b: a + b),
    ("__add__", "a + 2", lambda a, b: a + 2),
    ("__radd__", "2.5 + a", lambda a, b: 2.5 + a),
    ("__mul__", "a * b", lambda a, b: a * b),
    ("__mul__", "a * 3", lambda a, b: a * 3),
    ("__rmul__", "2.5 * a", lambda a, b: 2.5 * a),
    ("__neg__", "-a", lambda a, b: -a),
    ("__pos__", "+a", lambda a, b: +a),
    ("__sub__", "a - b", lambda a, b: a - b),
    ("__sub__", "a - 2.5", lambda a, b: a - 2.5),
    ("__rsub__", "2 - a", lambda a, b: 2 - a),
    ("__truediv__", "a / b", lambda a, b: a / b),
    ("__truediv__", "a / 4", lambda a, b: a / 4),
    ("__rtruediv__", "2.5 / a", lambda a, b: 2.5 / a),
    ("__abs__", "abs(a)", lambda a, b: abs(a)),
)
# A node used twice, in every way: gradients add up.
SHARED: tuple[tuple[str, str, Expression], ...] = (
    ("__add__", "a + a", lambda a, b: a + a),
    ("__mul__", "a * a", lambda a, b: a * a),
    ("__mul__", "a * b + a", lambda a, b: a * b + a),
    ("__sub__", "(a + b) * (a - b)", lambda a, b: (a + b) * (a - b)),
    ("__truediv__", "a / (a * a + b * b)", lambda a, b: a / (a * a + b * b)),
    ("__add__", "c = a * b; c * c + c * a", lambda a, b: _twice(a * b, a)),
    ("__radd__", "sum([a, b, a * b])", lambda a, b: sum([a, b, a * b])),
)
COMPARISONS: tuple[tuple[str, Expression], ...] = (
    ("__lt__", lambda a, b: a < b),
    ("__le__", lambda a, b: a <= b),
    ("__gt__", lambda a, b: a > b),
    ("__ge__", lambda a, b: a >= b),
    ("__eq__", lambda a, b: a == b),
    ("__ne__", lambda a, b: a != b),
    ("__bool__", lambda a, b: bool(a)),
    ("__round__", lambda a, b: round(a)),
)


def _twice(c: Any, a: Any) -> Any:
    return c * c + c * a


def check(own: OwnClass, theirs: type, ours: type[Value], callable_: set[str]) -> Report:
    """Compare the two classes in all that `own` replaces, and in its kept methods of one operand.

    theirs: the class itself, made from its statement; `ours` has the methods that stay.
    callable_: the methods that may be called. Raises Refused.
    """
    report = Report()
    both = _Both(own, theirs, ours, report)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        _check_leaf(both)
        for method, text, f in OPERATORS:
            for numbers in PAIRS:
                both.compare(method, text, f, numbers)
        for method, text, f in SHARED:
            for numbers in PAIRS:
                both.compare(method, text, f, numbers, shared=True)
        _check_powers(both)
        _check_named(both, callable_)
        _check_comparisons(both)
        _check_backward(both)
        _check_derived(both)
        _check_looked_at(both)
        _check_special(both)
    if report.count < 20:
        raise Refused("hardly any expression works on it", own.node.lineno)
    return report


@dataclass
class _Both:
    """The two classes, and what becomes of an expression on both."""

    own: OwnClass
    theirs: type
    ours: type[Value]
    report: Report

    def compare(
        self,
        method: str,
        text: str,
        f: Expression,
        numbers: Sequence[float],
        *,
        shared: bool = False,
    ) -> bool:
        """Raises Refused where they differ; False where the program's class has no such op."""
        theirs = outcome(self.theirs, f, numbers)
        if theirs.error and not theirs.backward:
            return False
        ours = outcome(self.ours, f, numbers)
        where = "with " + ", ".join(f"{n} = {x!r}" for n, x in zip("ab", numbers, strict=False))
        if theirs.error or ours.error:
            text = f"{text} {where} gives {theirs.shown()}"
            text += f" in the program and {ours.shown()} in micrograd_fast"
            raise Refused(text, self.own.line(method))
        if not close(theirs.numbers[0], ours.numbers[0]):
            text = f"{text} {where} is {theirs.numbers[0]!r}"
            text += f" in the program and {ours.numbers[0]!r} in micrograd_fast"
            raise Refused(text, self.own.line(method))
        for name, mine, other in zip(
            ("", "a", "b"), ours.numbers[1:], theirs.numbers[1:], strict=True
        ):
            if not close(other, mine):
                why = f"the gradient of {name or 'the result'} of {text} {where} is {other!r}"
                why += f" in the program and {mine!r} in micrograd_fast"
                if shared and (line := assigned_gradient(self.own, method)):
                    why += ": its backward sets .grad where a node that is used twice needs +="
                    raise Refused(why, line)
                raise Refused(why, self.own.line(method))
        for mine, other in zip(ours.numbers, theirs.numbers, strict=True):
            size = max(1.0, abs(mine))
            self.report.largest = max(self.report.largest, abs(mine - other) / size)
        self.report.count += 1
        return True


def outcome(cls: type, f: Expression, numbers: Sequence[float]) -> Outcome:
    """Build f on leaves of cls, go backward, and look at the numbers."""
    try:
        leaves = [cls(x) for x in numbers]
        root = f(*leaves)
        data = root.data
    except Exception as error:
        return Outcome(error=error)
    try:
        root.backward()
        return Outcome((data, root.grad, *(leaf.grad for leaf in leaves)), root=root)
    except Exception as error:
        return Outcome(error=error, backward=True)


def close(a: Any, b: float) -> bool:
    try:
        return math.isclose(a, b, rel_tol=TOLERANCE, abs_tol=TOLERANCE) or (a != a and b != b)
    except (TypeError, ValueError):
        return False


def assigned_gradient(own: OwnClass, method: str) -> int | None:
    """The line where an op's backward writes `x.grad =`, which forgets what was added before."""
    ops = [node for name, node in own.dropped() if name not in ("__init__", "backward")]
    for op in (*own.methods.get(method, ()), *ops):
        for node in ast.walk(op):
            if isinstance(node, ast.Assign):
                for target in node.targets:
                    if isinstance(target, ast.Attribute) and target.attr == "grad":
                        return node.lineno
    return None


# ---- what is compared ----


def _check_leaf(both: _Both) -> None:
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


def _check_powers(both: _Both) -> None:
    for k in EXPONENTS:
        for x in (0.7, 2.5, *((-1.5,) if k == int(k) else ())):
            both.compare("__pow__", f"a ** {k}", lambda a, b, k=k: a**k, (x, 1.0))
    for base, power in ((0.7, 2.5), (2.5, -1.5)):
        both.compare("__pow__", "a ** b", lambda a, b: a**b, (base, power))
        both.compare("__rpow__", "2 ** a", lambda a, b: 2**a, (power, 1.0))


def _check_named(both: _Both, callable_: set[str]) -> None:
    """Methods with a name: those of both, and those of its own that take nothing else."""
    for name in both.own.methods:
        if name.startswith("__") or name in ("backward", "_backward"):
            continue
        if name in UNARY:
            for x in _spread(*UNARY[name]):
                f = _method(name)
                if not both.compare(name, f"a.{name}()", f, (x, 1.0)):
                    raise Refused(
                        f"{name}() takes something else than in micrograd_fast", both.own.line(name)
                    )
                text = f"c = a.{name}(); c * c + c * a"
                both.compare(name, text, _used_twice(name), (x, 1.0), shared=True)
        elif name in BINARY:
            for x in _spread(*BINARY[name]):
                both.compare(name, f"a.{name}(b)", _method(name), (x, 0.9 * x + 0.1))
        elif name in ("item", "detach"):
            _check_plain(both, name)
        elif name in OURS and name not in both.own.kept:
            raise Refused(f"{name} is something else in micrograd_fast", both.own.line(name))
        elif name in both.own.kept & callable_ and _takes_nothing(both.theirs, name):
            for x in (0.4, 1.7):
                both.compare(name, f"a.{name}()", _method(name), (x, 1.0))


def _method(name: str) -> Expression:
    if name in BINARY:
        return lambda a, b: getattr(a, name)(b)
    return lambda a, b: getattr(a, name)()


def _used_twice(name: str) -> Expression:
    return lambda a, b: _twice(getattr(a, name)(), a)


def _spread(low: float, high: float) -> list[float]:
    return [low + (high - low) * share for share in (0.03, 0.21, 0.5001, 0.77, 0.98)]


def _takes_nothing(cls: type, name: str) -> bool:
    code = getattr(getattr(cls, name, None), "__code__", None)
    return code is not None and code.co_argcount == 1 and code.co_kwonlyargcount == 0


def _check_plain(both: _Both, name: str) -> None:
    theirs, ours = getattr(both.theirs(0.5), name)(), getattr(both.ours(0.5), name)()
    if not close(getattr(theirs, "data", theirs), getattr(ours, "data", ours)):
        raise Refused(f"{name}() is something else in micrograd_fast", both.own.line(name))


def _check_comparisons(both: _Both) -> None:
    for name, f in COMPARISONS:
        if name not in both.own.methods:
            continue
        for a, b in ((1.0, 2.0), (2.0, 1.0), (1.0, 1.0), (0.0, 0.0)):
            theirs, ours = (f(cls(a), cls(b)) for cls in (both.theirs, both.ours))
            if not (isinstance(theirs, bool) and theirs is ours):
                text = f"{name} of {a} and {b} is {theirs!r} in the program"
                text += f" and {ours!r} in micrograd_fast"
                raise Refused(text, both.own.line(name))
            both.report.count += 1


def _check_backward(both: _Both) -> None:
    """What backward() does with gradients that are there already."""
    histories: tuple[tuple[str, Expression], ...] = (
        ("backward() twice on one graph", _backward_twice),
        ("backward() of two graphs with leaves in common", _two_graphs),
        ("backward() in the middle of a graph, then at its end", _middle_first),
        ("backward() of a leaf", _leaf_backward),
        ("grad set to 0, and backward() again", _after_zero),
    )
    for text, history in histories:
        theirs, ours = history(both.theirs), history(both.ours)
        if not all(map(close, theirs, ours)):
            shown = f"{[*map(float, theirs)]} in the program and {ours} in micrograd_fast"
            raise Refused(f"{text} leaves the gradients {shown}", both.own.line("backward"))
        both.report.count += 1
    if both.theirs(1.0).backward() is not None:
        raise Refused("its backward() returns something", both.own.line("backward"))


def _check_derived(both: _Both) -> None:
    """What an op on an object of a derived class gives is a plain Value here."""
    if both.own.derived:
        sub = type("Derived", (both.theirs,), {})
        for method, f in (("__add__", _add), ("__mul__", _mul)):
            try:
                result = f(sub(0.7), sub(-1.3))
            except ABSENT:
                continue
            if type(result) is not both.theirs:
                text = "an op on objects of a derived class gives one of that class"
                raise Refused(text, both.own.line(method))


def _add(a: Any, b: Any) -> Any:
    return a + b


def _mul(a: Any, b: Any) -> Any:
    return a * b


def _backward_twice(cls: type) -> list[Any]:
    a, b = cls(0.7), cls(-1.3)
    c = a * b
    d = c + a
    d.backward()
    d.backward()
    return [v.grad for v in (a, b, c, d)]


def _two_graphs(cls: type) -> list[Any]:
    a, b = cls(0.7), cls(-1.3)
    (a * b).backward()
    (a + b).backward()
    return [a.grad, b.grad]


def _middle_first(cls: type) -> list[Any]:
    a, b = cls(0.7), cls(-1.3)
    c = a * b
    d = c * a
    c.backward()
    d.backward()
    return [v.grad for v in (a, b, c, d)]


def _leaf_backward(cls: type) -> list[Any]:
    a = cls(0.7)
    a.backward()
    return [a.grad]


def _after_zero(cls: type) -> list[Any]:
    a, b = cls(0.7), cls(-1.3)
    for _ in range(2):
        a.grad = b.grad = 0.0
        (a * b + b).backward()
        a.data = a.data + 0.1
    return [a.grad, b.grad]


# ---- what the program looks at ----


def _check_looked_at(both: _Both) -> None:
    """The graph's attributes, where what stays of the program names them."""
    looked_at = both.own.mentions
    a, b = both.theirs(0.7), both.theirs(-1.3)
    c: Any = a * b
    for name, kind in (("_prev", set), ("_children", tuple), ("_local_grads", tuple)):
        there = getattr(c, name, None)
        if name in looked_at and hasattr(c, name) and type(there) is not kind:
            text = f".{name} is a {type(there).__name__} in the program"
            text += f" and a {kind.__name__} in micrograd_fast"
            if name in both.own.indexed or name == "_local_grads":
                raise Refused(f"{text}; {looked_at[name]} uses it", both.own.node.lineno)
            both.report.notes.append(text)
    for name in ("_prev", "_children"):
        if name in looked_at and set(getattr(c, name, {a, b})) != {a, b}:
            raise Refused(f".{name} does not hold the operands", both.own.node.lineno)
    if hasattr(c, "_local_grads") and c._local_grads != (b.data, a.data):
        raise Refused("._local_grads are not the derivatives", both.own.node.lineno)
    if "_backward" in looked_at and hasattr(c, "_backward"):
        code = getattr(c._backward, "__code__", None)
        if code is None or code.co_argcount > 0:
            text = f"_backward takes arguments; {looked_at['_backward']} uses it"
            raise Refused(text, both.own.node.lineno)
    for name, v in (("label", a), ("label", c), ("_op", a)):
        if name in looked_at and getattr(v, name, "") not in ("", None):
            text = f".{name} is {getattr(v, name)!r} in the program and empty in micrograd_fast"
            raise Refused(f"{text}; {looked_at[name]} uses it", both.own.node.lineno)
    if "_op" in looked_at or "_backward" in both.own.called:
        _check_graphs(both)
    if hasattr(c, "_local_grads"):
        both.report.notes.append(
            "data that is written between an op and backward() counts in the gradient"
        )


def _check_graphs(both: _Both) -> None:
    """Other nodes and labels make other pictures; nodes that are stepped through are the same."""
    named = [(n, f"a.{n}()", _method(n)) for n in both.own.methods if n in UNARY]
    powers = [("__pow__", "a ** 2", lambda a, b: a**2)]
    for method, text, f in (*OPERATORS, *powers, *named):
        theirs, ours = (outcome(cls, f, (0.7, 0.9)) for cls in (both.theirs, both.ours))
        if theirs.root is None:
            continue
        told = f"{text} is {_drawn(ours.root)}, {_drawn(theirs.root)} in the program"
        if "_backward" in both.own.called and _shape(theirs.root) != _shape(ours.root):
            where = both.own.mentions["_backward"]
            raise Refused(f"{told}; {where} calls _backward", both.own.line(method))
        if "_op" in both.own.mentions and _drawn(theirs.root) != _drawn(ours.root):
            both.report.notes.append(f"graphs are drawn as micrograd's: {told}")
            return


def _operands(node: Any) -> Any:
    return getattr(node, "_prev", getattr(node, "_children", ()))


def _drawn(node: Any) -> str:
    """A graph's ops as nested text, its operands in the order of their texts."""
    inner = ", ".join(sorted(map(_drawn, _operands(node))))
    return f"{getattr(node, '_op', '')}({inner})" if inner else "leaf"


def _shape(node: Any) -> list[Any]:
    return sorted(map(_shape, _operands(node)))


# ---- zero, huge numbers, infinity and nan ----


def _check_special(both: _Both) -> None:
    expressions: list[tuple[str, str, Expression]] = [
        (name, f"a.{name}()", _method(name)) for name in both.own.methods if name in UNARY
    ]
    for k in (2, 3, -1, 0.5, 0):
        expressions.append(("__pow__", f"a ** {k}", lambda a, b, k=k: a**k))
    expressions.append(("__truediv__", "b / a", lambda a, b: b / a))
    expressions.append(("__mul__", "a * b", lambda a, b: a * b))
    for method, text, f in expressions:
        noted = [n for n in (_special(both, method, text, f, x) for x in SPECIAL + NOT_FINITE) if n]
        both.report.notes += noted[:1]


def _special(both: _Both, method: str, text: str, f: Expression, x: float) -> str | None:
    """A note where ours goes on and theirs does not, or with another number out of an infinity or
    a nan. Raises Refused for another number else."""
    theirs, ours = outcome(both.theirs, f, (x, 1.0)), outcome(both.ours, f, (x, 1.0))
    if isinstance(theirs.error, ABSENT) and not theirs.backward:
        return None
    both.report.count += 1
    text = f"{text} with a = {x!r}"
    there = theirs.shown() if theirs.error else _first(theirs, ours)
    here = ours.shown() if ours.error else _first(ours, theirs)
    told = f"{text} gives {there} in the program and {here} in micrograd_fast"
    if theirs.error and ours.error:
        return None
    if theirs.error:
        return told
    usual = all(isinstance(n, int | float) and math.isfinite(n) for n in theirs.numbers)
    if ours.error:  # which the program will hear of by itself
        if usual and math.isfinite(x):
            raise Refused(told, both.own.line(method))
        return None
    if all(map(close, theirs.numbers, ours.numbers)):
        return None
    if usual and math.isfinite(x) and all(map(math.isfinite, ours.numbers)):
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
