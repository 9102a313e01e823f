"""Sequences of steps on graphs of both classes: what backward() does with gradients that are there.

In them `mul` and `add` are those that the program's class has.
"""

from __future__ import annotations

from typing import Any

from micrograd_fast.swap_value.both import Both, Expression, close
from micrograd_fast.swap_value.own_class import Refused


def check_backward(both: Both) -> None:
    """What backward() does with gradients that are there already."""
    histories: tuple[tuple[str, Expression], ...] = (
        ("backward() twice on one graph", _backward_twice),
        ("backward() of two graphs with leaves in common", _two_graphs),
        ("backward() in the middle of a graph, then at its end", _middle_first),
        ("backward() of a leaf", _leaf_backward),
        ("backward() of a chain of 200 nodes", _long_chain),
        ("grad set to 0, and backward() again", _after_zero),
    )
    for text, history in histories:
        both.now = ("backward", text)
        try:
            theirs = history(both.theirs, both.mul, both.add)
        except RecursionError:
            continue  # deeper than Python goes, where ours does go on
        ours = history(both.ours, both.mul, both.add)
        if not all(map(close, theirs, ours)):
            shown = f"{[*map(float, theirs)]} in the program and {ours} in micrograd_fast"
            raise Refused(f"{text} leaves the gradients {shown}", both.own.line("backward"))
        both.report.count += 1
    if both.theirs(1.0).backward() is not None:
        raise Refused("its backward() returns something", both.own.line("backward"))


def _backward_twice(cls: type, mul: Expression, add: Expression) -> list[Any]:
    a, b = cls(0.7), cls(-1.3)
    c = mul(a, b)
    d = add(c, a)
    d.backward()
    d.backward()
    return [v.grad for v in (a, b, c, d)]


def _two_graphs(cls: type, mul: Expression, add: Expression) -> list[Any]:
    a, b = cls(0.7), cls(-1.3)
    mul(a, b).backward()
    add(a, b).backward()
    return [a.grad, b.grad]


def _middle_first(cls: type, mul: Expression, add: Expression) -> list[Any]:
    a, b = cls(0.7), cls(-1.3)
    c = mul(a, b)
    d = mul(c, a)
    c.backward()
    d.backward()
    return [v.grad for v in (a, b, c, d)]


def _leaf_backward(cls: type, mul: Expression, add: Expression) -> list[Any]:
    a = cls(0.7)
    a.backward()
    return [a.grad]


def _after_zero(cls: type, mul: Expression, add: Expression) -> list[Any]:
    a, b = cls(0.7), cls(-1.3)
    for _ in range(2):
        a.grad = b.grad = 0.0
        add(mul(a, b), b).backward()
        a.data = a.data + 0.1
    return [a.grad, b.grad]


def _long_chain(cls: type, mul: Expression, add: Expression) -> list[Any]:
    """A backward() that goes so many steps and no further leaves the first without a gradient."""
    a, b = cls(0.7), cls(1.001)
    c = a
    for _ in range(200):
        c = add(c, b)
    c.backward()
    return [a.grad, b.grad]
