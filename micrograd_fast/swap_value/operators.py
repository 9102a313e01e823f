"""Expressions with operators, on which both classes are compared: data only."""

from __future__ import annotations

from typing import Any

from micrograd_fast.swap_value.both import Expression

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


def _twice(c: Any, a: Any) -> Any:
    return c * c + c * a
