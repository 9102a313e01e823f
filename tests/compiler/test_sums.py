"""Sums of products become dots in whatever way they are written: order, shape, signs and scales.

How sums are written is drawn, what they are compared with is the plainest way. test_passes.py has
what holds of every pass; test_plan.py has matrices.
"""

import math
import random

import numpy as np
import pytest
from bounds import Bound
from cases import Case, assert_agrees
from conftest import VARIANTS
from hypothesis import given, settings
from hypothesis import strategies as st
from traces import traced

import micrograd_fast as mg
from micrograd_fast import _core
from micrograd_fast.engine import Value

GIVEN = ("input", "captured", "number")


def ops(function, n_inputs):
    """How many instructions of each op are left after all passes, without what is given."""
    counts = _core.optimized(traced(function, n_inputs)[0]).counts()
    return {op: n for op, n in counts.items() if op not in GIVEN}


def values_of(*numbers):
    return [Value(n) for n in numbers]


# ---- random algebra ----


def rewritten(rng, terms, sign=1):
    """Stack code for sign times the sum of the terms: numbers push a term, the rest are ops."""
    if rng.random() < 0.15:
        return [*rewritten(rng, terms, -sign), "neg"]
    if len(terms) == 1:
        return [*terms, *(["neg"] if sign < 0 else [])]
    shuffled = rng.sample(terms, len(terms))
    at = rng.choice([1, len(terms) // 2, rng.randrange(1, len(terms))])
    a, b = shuffled[:at], shuffled[at:]
    if rng.random() < 0.3:
        return [*rewritten(rng, a, sign), *rewritten(rng, b, -sign), "sub"]
    return [*rewritten(rng, a, sign), *rewritten(rng, b, sign), "add"]


def computed(code, terms):
    stack = []
    for item in code:
        if item == "neg":
            stack[-1] = -stack[-1]
        elif item in ("add", "sub"):
            y, x = stack.pop(), stack.pop()
            stack.append(x + y if item == "add" else x - y)
        else:
            stack.append(terms[item])
    return stack.pop()


def layer_of(seed, n_sums, n_inputs):
    """make(params, take) as Case wants it: sums of products and a bias, each in its own way."""
    rng = random.Random(seed)
    codes = [rewritten(rng, list(range(n_inputs + 1))) for _ in range(n_sums)]
    sides = [[rng.random() < 0.5 for _ in range(n_inputs)] for _ in range(n_sums)]

    def make(params, _take):
        def function(x, _k, _v):
            rows = [params[j * (n_inputs + 1) :][: n_inputs + 1] for j in range(n_sums)]
            sums = []
            for row, code, side in zip(rows, codes, sides, strict=True):
                factors = zip(row, x, side, strict=False)
                terms = [a * b if first else b * a for a, b, first in factors]
                sums.append(computed(code, [*terms, row[-1]]))
            return [s.tanh() for s in sums]

        return function

    return make


@settings(max_examples=40)
@given(st.integers(0, 2**32), st.integers(1, 9), st.integers(2, 12), st.sampled_from([1, 9, 64]))
def test_rewritten_sums_are_what_they_are_eagerly(seed, n_sums, n_inputs, n_rows):
    make = layer_of(seed, n_sums, n_inputs)
    n_params = n_sums * (n_inputs + 1)
    assert_agrees(Case(make, seed, n_rows, n_inputs, n_params, size=1.0), VARIANTS)


@given(st.integers(0, 2**32), st.integers(1, 9), st.integers(2, 20))
def test_rewritten_sums_are_one_dot_each(seed, n_sums, n_inputs):
    params = values_of(*range(n_sums * (n_inputs + 1)))
    function = layer_of(seed, n_sums, n_inputs)(params, mg.take)
    expected = {"dot": n_sums, "tanh": n_sums}
    assert ops(lambda *x: function(x, None, None), n_inputs) == expected


# ---- which ops are left ----

A, B, C, D, E = values_of(0.5, -1.5, 2.5, 0.25, -0.75)

LEFT = {
    "the term first": (lambda x, y: B * y + (A * x + C), {"dot": 1}),
    "a bias between": (lambda x, y: A * x + C + B * y, {"dot": 1}),
    "a bias last": (lambda x, y: A * x + B * y + C, {"dot": 1}),
    "a tree": (lambda x, y: (A * x + B * y) + (C * x + D * y), {"dot": 1}),
    "all taken away": (lambda x, y: -(A * x) - B * y, {"dot": 1, "neg": 1}),
    "taken from a bias": (lambda x, y: C.tanh() - A * x - B * y, {"tanh": 1, "dot": 1, "sub": 1}),
    "a negated sum": (lambda x, y: -(A * x + B * y + C), {"dot": 1, "neg": 1}),
    "negated twice": (lambda x, y: -(-(A * x) - B * y), {"dot": 1}),
    "both signs": (lambda x, y: A * x - C * y + B * y - D * x, {"dot": 2, "sub": 1}),
    "one of a sign": (lambda x, y: A * x - C * y + B * y, {"dot": 1, "mul": 1, "sub": 1}),
    "one of each": (lambda x, y: A * x - C * y, {"mul": 2, "sub": 1}),
    "three plain terms": (lambda x, y: x + y + A, {"add": 2}),
    "four plain terms": (lambda x, y: (x + A) + (y + B), {"dot": 1}),
    "the same term twice": (lambda x, y: A * x + B * y + (A * x + B * y), {"dot": 1, "add": 1}),
    "a residual": (lambda x, y: A * x + B * y + y + C, {"dot": 1, "add": 1}),
    "squares": (lambda x, y: (x - A) ** 2 + (y - B) ** 2, {"dot": 1, "sub": 2}),
    "scaled by a number": (lambda x, y: A * x / 8 + y * B / 8, {"dot": 1, "mul": 2}),
    "scaled by a parameter": (lambda x, y: A * x * C + C * (B * y), {"dot": 1, "mul": 2}),
    "scaled twice": (lambda x, y: A * x * C * 0.5 + B * y, {"dot": 1, "mul": 2}),
    "rows that are scaled": (
        lambda x, y: x * y * 0.5 + y * y * 0.5,
        {"dot": 1, "mul": 1, "square": 1},
    ),
    "a huge scale": (lambda x, y: A * x * 1e200 + B * y * 1e200, {"dot": 1, "mul": 2}),
}


@pytest.mark.parametrize("way", LEFT)
def test_ops_that_are_left_of_a_sum(way):
    function, expected = LEFT[way]
    assert ops(function, 2) == expected


def test_a_parameter_takes_a_scale_and_an_input_does_not():
    """The scale is multiplied once a call then; one of 1e200 stays where it was written."""
    for scale, moves in ((0.125, True), (1e200, False), (A, True)):
        function = lambda x, y, s=scale: x * B * s + y * C * s  # noqa: E731
        program = _core.optimized(traced(function, 2)[0])
        kinds = [i.op for i in program.instructions()]
        products = [i.operands for i in program.instructions() if i.op == "mul"]
        assert all(("input" in [kinds[v] for v in p]) != moves for p in products)


def test_the_terms_of_equal_sums_are_shared():
    """What several sums contain as a sum of its own is computed once."""

    def distances(*x):
        return [(sum(v * v for v in x) + row[0] * x[0] + row[1] * x[1]).exp() for row in rows]

    rows = [values_of(k, k + 0.5) for k in range(5)]
    program = _core.optimized(traced(distances, 8)[0])
    dots = [i for i in program.instructions() if i.op == "dot"]
    assert sorted(len(i.operands) for i in dots) == [5] * 5 + [16]


# ---- partial sums and depth ----


@pytest.mark.parametrize("step", [lambda s, p: s + p, lambda s, p: p + s, lambda s, p: s - p])
def test_running_sums_stay_linear(step):
    def function(*x):
        sums = [A * x[0] + B * x[1]]
        for v in x:
            sums.append(step(sums[-1], v * C))
        return [s.tanh() for s in sums]

    n = 300
    program = _core.optimized(traced(function, n)[0])
    assert sum(len(i.operands) for i in program.instructions()) < 8 * n


DEEP = {
    "left": lambda s, x, k: s + A * x,
    "right": lambda s, x, k: A * x + s,
    "in turn": lambda s, x, k: s - A * x if k % 2 else A * x - s,
    "negated": lambda s, x, k: -(s + A * x),
    "only negated": lambda s, x, k: -s,
}


@pytest.mark.parametrize("way", DEEP)
def test_deep_sums(way):
    """None of it recurses."""
    n = 100_000

    def function(x):
        s = B
        for k in range(n):
            s = DEEP[way](s, x, k)
        return s

    counts = ops(function, 1)
    assert sum(counts.values()) <= 4
    assert mg.compile(function)(0.5).data == pytest.approx(function(0.5).data, rel=1e-12)


# ---- the ends of the range ----


INF, NAN = math.inf, math.nan
ENDS = {
    "an infinite term": lambda x, y, a, b, c, d: c - a * x - b * y + d * x,
    "infinities that cancel": lambda x, y, a, b, c, d: a * x - a * x + b * y,
    "a scale that keeps a sum finite": lambda x, y, a, b, c, d: a * x / 8 + a * x / 8 + c * y / 8,
    "a huge scale": lambda x, y, a, b, c, d: a * x * 1e300 + b * y * 1e300,
    "a tiny scale": lambda x, y, a, b, c, d: a * x * 1e-300 + b * y * 1e-300,
    "an infinite scale": lambda x, y, a, b, c, d: a * x * INF + b * y * INF,
    "a scale of zero": lambda x, y, a, b, c, d: a * x * 0.0 + b * y,
    "a scaled bias": lambda x, y, a, b, c, d: (a * x + b * y) / 8 + c,
}
POINTS = [(INF, 1.0), (-INF, INF), (1.7e308, 1.0), (1e308, -1e308), (NAN, 1.0), (1e-300, 1e300)]
POINTS += [(5e-324, 1e-310), (1e300, 1e-300), (0.0, -0.0), (2.0, INF)]


@pytest.mark.parametrize("what", ENDS)
@pytest.mark.parametrize("point", POINTS)
def test_sums_at_the_ends_of_the_range(what, point):
    function = lambda x, y: ENDS[what](x, y, A, B, C, D)  # noqa: E731
    batch = mg.compile(function, batch=True)(*(np.full(3, v) for v in point))
    expected = function(*map(Value, point)).data
    with np.errstate(all="ignore"):
        numbers = (*point, *(v.data for v in (A, B, C, D)))
        size = float(ENDS[what](*map(Bound, numbers)).scale)
    for result in (mg.compile(function)(*point).data, *batch.data):
        if not all(map(math.isfinite, point)):
            assert result == pytest.approx(expected, nan_ok=True)
        elif math.isfinite(size):  # else the order of terms decides whether they overflow
            assert abs(result - expected) <= 1e-12 * size + 1e-322
