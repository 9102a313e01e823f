"""A referee for compiled gradients: dual numbers in NumPy, which know nothing of Values, graphs or
plans. A number a sample, and its partial derivatives by every variable.

An expression is a variable's name, a float, or (op, left, right).
"""

import numpy as np


class Dual:
    """z: a number a sample; d: its partials, a row for each variable. fragile: somewhere on the way
    digits cancelled, or a maximum was nearly a tie: another order of rounding may differ."""

    def __init__(self, z, d, fragile=False):
        self.z, self.d, self.fragile = z, d, fragile


class Variables:
    """Named columns of numbers, all of one length."""

    def __init__(self, **columns):
        self.names = tuple(columns)
        self.n_samples = max(np.size(c) for c in columns.values())
        self.values = {}
        for k, (name, column) in enumerate(columns.items()):
            d = np.zeros((len(columns), self.n_samples))
            d[k] = 1.0
            self.values[name] = Dual(np.broadcast_to(column, self.n_samples).astype(float), d)

    def evaluate(self, expression):
        with np.errstate(all="ignore"):
            return self._evaluate(expression)

    def _evaluate(self, expression):
        if isinstance(expression, str):
            return self.values[expression]
        if isinstance(expression, float):
            z = np.full(self.n_samples, expression)
            return Dual(z, np.zeros((len(self.names), self.n_samples)))
        op, left, right = expression
        return OPS[op](self._evaluate(left), self._evaluate(right))


def _cancels(p, q):
    """Whether p - q has lost its digits, but is not exactly the same number by the same way."""
    return bool(np.any(np.abs(p - q) < 1e-6 * (np.abs(p) + np.abs(q))))


def _add(p, q):
    return Dual(p.z + q.z, p.d + q.d, p.fragile or q.fragile or _cancels(p.z, -q.z))


def _subtract(p, q):
    return Dual(p.z - q.z, p.d - q.d, p.fragile or q.fragile or _cancels(p.z, q.z))


def _multiply(p, q):
    return Dual(p.z * q.z, p.d * q.z + q.d * p.z, p.fragile or q.fragile)


def _divide(p, q):
    return Dual(p.z / q.z, (p.d - q.d * (p.z / q.z)) / q.z, p.fragile or q.fragile)


def _maximum(p, q):
    share = np.where(p.z > q.z, 1.0, np.where(p.z < q.z, 0.0, 0.5))
    tie = _cancels(p.z, q.z) and not np.array_equal(p.z, q.z)
    return Dual(
        np.maximum(p.z, q.z), p.d * share + q.d * (1 - share), p.fragile or q.fragile or tie
    )


OPS = {"+": _add, "-": _subtract, "*": _multiply, "/": _divide, "max": _maximum}


def expressions(n_leaves, leaves):
    """Every expression with so many leaves over the ops."""
    if n_leaves == 1:
        yield from leaves
        return
    for n in range(1, n_leaves):
        for op in OPS:
            for left in expressions(n, leaves):
                for right in expressions(n_leaves - n, leaves):
                    yield op, left, right


def drawn_expression(rng, n_leaves, leaves):
    """One of them, drawn: sums and products more often than the rest, sums from the left too."""
    if n_leaves == 1:
        return rng.choice(leaves)
    n = n_leaves - 1 if rng.random() < 0.5 else rng.randint(1, n_leaves - 1)
    left = drawn_expression(rng, n, leaves)
    (op,) = rng.choices(list(OPS), (4, 2, 2, 1, 1))
    return op, left, drawn_expression(rng, n_leaves - n, leaves)


def text_of(expression):
    if not isinstance(expression, tuple):
        return str(expression)
    op, left, right = expression
    return f"({text_of(left)} {op} {text_of(right)})"
