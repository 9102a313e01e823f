"""An expression on the program's own Value and on ours, and whether both come to the same.

Two numbers agree where they differ by at most TOLERANCE of the larger of 1 and their size: other
ways to write one formula differ by some 1e-15, another formula by more, be it log(x + 1e-12).
"""

from __future__ import annotations

import ast
import math
import operator
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from micrograd_fast.engine import Value
from micrograd_fast.swap_value import limits
from micrograd_fast.swap_value.own_class import OwnClass, Refused

TOLERANCE = 1e-12
# What an op that is not there raises, or not for such operands.
ABSENT = (TypeError, AttributeError, AssertionError, NotImplementedError)
Expression = Callable[..., Any]
Agreed = tuple[str, Expression, Sequence[float]]  # the method that it needs, and where it agreed


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
    error: BaseException | None = None
    backward: bool = False
    root: Any = None

    def shown(self) -> str:
        return type(self.error).__name__ if self.error else repr(self.numbers[0])


Outcomes = tuple[Outcome, Outcome]


@dataclass
class Both:
    """The two classes, and what becomes of an expression on both."""

    own: OwnClass
    theirs: type
    ours: type[Value]
    report: Report = field(default_factory=Report)
    agreed: dict[str, Agreed] = field(default_factory=dict)
    now: tuple[str, str] = ("", "")
    noted: set[str] = field(default_factory=set)
    impossible: set[float] = field(default_factory=set)

    @property
    def mul(self) -> Expression:
        """Multiplication, or addition where the program's class has that alone."""
        return operator.mul if "a * b" in self.agreed else operator.add

    @property
    def add(self) -> Expression:
        return operator.add if "a + b" in self.agreed else operator.mul

    def on_both(self, method: str, text: str, f: Expression, numbers: Sequence[float]) -> Outcomes:
        self.now = (method, f"{text} with {named_numbers(text, numbers)}")
        return outcome(self.theirs, f, numbers), outcome(self.ours, f, numbers)

    def note_once(self, method: str, text: str) -> None:
        """A note on this method, where it has none yet."""
        if method not in self.noted:
            self.noted.add(method)
            self.report.notes.append(text)

    def compare(
        self,
        method: str,
        text: str,
        f: Expression,
        numbers: Sequence[float],
        *,
        shared: bool = False,
    ) -> bool:
        """Raises Refused where they differ; False where the program's class has no such op, or
        raises for these numbers what ours does not, which is noted."""
        theirs, ours = self.on_both(method, text, f, numbers)
        where = f"with {named_numbers(text, numbers)}"
        told = f"{text} {where} gives {theirs.shown()} in the program and {ours.shown()}"
        if theirs.error and not theirs.backward:
            same = type(theirs.error) is type(ours.error)
            if not same and (not isinstance(theirs.error, ABSENT) or text in self.agreed):
                self.note_once(method, f"{told} in micrograd_fast")
            return False
        if theirs.error or ours.error:
            raise Refused(f"{told} in micrograd_fast", self.own.line(method))
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
        if not shared:
            self.agreed.setdefault(text, (method, f, numbers))
        return True


def outcome(cls: type, f: Expression, numbers: Sequence[float]) -> Outcome:
    """Build f on leaves of cls, go backward, and look at the numbers."""
    try:
        leaves = [cls(x) for x in numbers]
        root = f(*leaves)
        data = root.data
    except (limits.TimeUp, limits.CtrlC):
        raise
    except BaseException as error:  # SystemExit, too
        return Outcome(error=error)
    try:
        root.backward()
        return Outcome((data, root.grad, *(leaf.grad for leaf in leaves)), root=root)
    except (limits.TimeUp, limits.CtrlC):
        raise
    except BaseException as error:
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


def named_numbers(text: str, numbers: Sequence[float]) -> str:
    """The numbers of the leaves that the expression names."""
    named = re.findall(r"\b[ab]\b", text)
    pairs = zip("ab", numbers, strict=False)
    return ", ".join(f"{name} = {x!r}" for name, x in pairs if name in named)
