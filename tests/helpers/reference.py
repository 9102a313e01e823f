"""What a reference of an op is, and which numbers ops are asked for."""

from collections.abc import Callable
from typing import NamedTuple

import numpy as np

# ---- which numbers an op is asked for, beside those of its row ----


def of_every_size(rng, n):
    """Numbers of either sign, subnormal ones included."""
    return 2.0 ** rng.uniform(-1074, 1023.99, n) * rng.choice([-1, 1], n)


def near_zero(rng, n):
    return 2.0 ** rng.uniform(-60, 0, n) * rng.choice([-1, 1], n)


def anywhere(rng, n):
    near = near_zero(rng, n)
    return np.concatenate([of_every_size(rng, n), rng.normal(0, 3, n), near, 1 + near])


def above_minus_one(rng, n):
    near = near_zero(rng, n)
    wide = np.abs(of_every_size(rng, n))
    return np.concatenate([wide, near, -1 + np.abs(near), rng.normal(0, 3, n)])


def where_exp_is_finite(rng, n):
    far = [rng.uniform(-limit, limit, n) for limit in (750, 750, 40, 6, 6)]
    return np.concatenate([*far, rng.normal(0, 3, n), near_zero(rng, n)])


def with_quarter_turns(rng, n):
    """The floats next to multiples of pi/2, up to a million and some beyond, among others."""
    turns = np.concatenate([np.arange(1, n // 4), rng.integers(1, 636_000, n)]).astype(float)
    beside = turns * (np.pi / 2)
    beside += rng.integers(-3, 4, beside.size) * np.spacing(beside)
    return np.concatenate([anywhere(rng, n), beside * rng.choice([-1, 1], beside.size)])


# ---- a reference ----


class Reference(NamedTuple):
    """python: of floats, raising what Python's floats and `math` raise. numpy: of arrays, in their
    precision. slopes: the derivative by each operand, of arrays x, z (one operand) or x, y, z.
    exact, exact_slopes: mpmath's, of x or x, y.

    kernel_ulps: how far compiled code may be off, in units of the last place of the result, or of 1
    (of_one); None where it is IEEE's arithmetic. eager_ulps: how far the eager op may be off
    `python`. rule_digits: how exactly the rule, of ops, says what the partial says.
    numbers(rng, n): operands; pairs(rng, n): those of two. orders: the second ones that there are,
    where the op is a family by whole numbers.
    """

    python: Callable
    numpy: Callable
    slopes: tuple
    exact: Callable
    exact_slopes: tuple
    kernel_ulps: float | None = None
    of_one: bool = False
    eager_ulps: int = 0
    rule_digits: float = 1e-14
    numbers: Callable = anywhere
    pairs: Callable | None = None
    orders: tuple = ()
