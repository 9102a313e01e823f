"""Random functions over all ops: compiled they are what they are eagerly, and what PyTorch says.

Random sums of products are in test_compile_matrices.py.
"""

import random

import numpy as np
import pytest
from bounds import assert_near
from cases import Case, assert_agrees, assert_agrees_with_pytorch
from conftest import VARIANTS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import micrograd_fast as mg
from micrograd_fast import _core
from micrograd_fast.engine import Value

ROWS = [1, 2, 7, 8, 63, 64, 65, 1000]
FEW = settings(max_examples=30, suppress_health_check=[HealthCheck.filter_too_much])
MANY = settings(FEW, max_examples=1500)

# A third of the way in from both ends of an op's domain: where no derivative is large.
DOMAINS = {op.name: (op.lo + (op.hi - op.lo) / 3, op.hi - (op.hi - op.lo) / 3) for op in _core.OPS}
ANYWHERE = ("tanh", "sigmoid", "sin", "cos", "relu", "abs")


def within(v, name):
    """v taken smoothly into a part of the op's domain."""
    lo, hi = DOMAINS[name]
    return v.sin() * ((hi - lo) / 2) + (lo + hi) / 2


def _unary(name):
    if name in ANYWHERE:
        return lambda a, b, c, k, take: getattr(a, name)()
    return lambda a, b, c, k, take: getattr(within(a, name), name)()


# Of two values, a number, the index and take.
STEPS = {op.name: _unary(op.name) for op in _core.OPS if op.kind == "unary"}
STEPS |= {
    "add": lambda a, b, c, k, take: a + b,
    "mul": lambda a, b, c, k, take: a * b,
    "sub": lambda a, b, c, k, take: a - b,
    "div": lambda a, b, c, k, take: a / within(b, "pow"),
    "neg": lambda a, b, c, k, take: -a,
    "pow": lambda a, b, c, k, take: within(a, "pow") ** c,
    "vpow": lambda a, b, c, k, take: within(a, "vpow") ** within(b, "vpow"),
    "rpow": lambda a, b, c, k, take: 1.5 ** within(b, "vpow"),
    "square": lambda a, b, c, k, take: a * a - b**2,
    "maximum": lambda a, b, c, k, take: a.maximum(b),
    "minimum": lambda a, b, c, k, take: a.minimum(b),
    "compare": lambda a, b, c, k, take: a.compare(b) * a,
    "less": lambda a, b, c, k, take: a.less(b) * a,
    "less_equal": lambda a, b, c, k, take: a.less_equal(b) * b,
    "equal": lambda a, b, c, k, take: a.equal(b) + a,
    "reached": lambda a, b, c, k, take: a.reached(b),
    "atan2": lambda a, b, c, k, take: within(a, "atan2").atan2(b),
    "hypot": lambda a, b, c, k, take: within(a, "hypot").hypot(b),
    "polygamma": lambda a, b, c, k, take: within(a, "polygamma").polygamma(2) * b,
    "logaddexp": lambda a, b, c, k, take: a.logaddexp(b),
    "xlogy": lambda a, b, c, k, take: a.xlogy(within(b, "xlogy")),
    "clip": lambda a, b, c, k, take: a.minimum(1.0).maximum(-0.5),
    "scale": lambda a, b, c, k, take: c * a + 0.5,
    "from": lambda a, b, c, k, take: c - a / 4,
    "reciprocal": lambda a, b, c, k, take: c / within(a, "pow"),
    "dot": lambda a, b, c, k, take: 0.5 + a * b + b * b + a * c,
    "take": lambda a, b, c, k, take: take([a, b, a * c], k),
    "take a number": lambda a, b, c, k, take: take([a, 2.0, c], k) * b,
    "detach": lambda a, b, c, k, take: a.detach() * b,
    "twice": lambda a, b, c, k, take: a.tanh() * b + a.tanh() * a,
}
WHICH = st.integers(0, 40)
NUMBERS = st.sampled_from([-2, -1, -0.5, 0, 0.5, 1, 2, 3, 1.7, -1.0, 2.0])
SEEDS = st.integers(0, 2**32 - 1)


def functions(max_steps=12):
    """(steps, number of outputs, seed): a step takes the values made so many steps before."""
    step = st.tuples(st.sampled_from(sorted(STEPS)), WHICH, WHICH, NUMBERS)
    return st.tuples(st.lists(step, min_size=1, max_size=max_steps), st.integers(1, 4), SEEDS)


def case_of(steps, n_outputs, seed, n_rows):
    def make(params, take):
        def function(x, k, v):
            values = [*x, *v, *params]
            for what, i, j, number in steps:
                a, b = values[-1 - i % len(values)], values[-1 - j % len(values)]
                values.append(STEPS[what](a, b, number, k, take))
            return [value * 1.25 for value in values[-n_outputs:]]

        return function

    return Case(make, seed, n_rows, n_inputs=3, n_params=3)


def test_every_op_of_the_table_occurs_in_the_random_functions():
    assert {op.name for op in _core.OPS} <= set(STEPS)


@pytest.mark.parametrize("n_rows", ROWS)
@settings(FEW, max_examples=25)
@given(drawn=functions())
def test_random_functions_agree_with_eager(n_rows, drawn):
    assert_agrees(case_of(*drawn, n_rows))


@FEW
@given(functions())
def test_random_functions_agree_with_eager_on_every_kernel_variant(drawn):
    assert_agrees(case_of(*drawn, n_rows=70), VARIANTS)


@FEW
@given(functions())
def test_random_functions_agree_with_pytorch(drawn):
    assert_agrees_with_pytorch(case_of(*drawn, n_rows=9))


@pytest.mark.slow
@MANY
@given(functions(max_steps=40), st.integers(1, 80))
def test_many_more_random_functions_agree_with_eager(drawn, n_rows):
    assert_agrees(case_of(*drawn, n_rows), VARIANTS)


# ---- rows of equal ops: what a scheduler joins into one step ----


def row_functions(max_steps=8):
    """A step is one op over all members of two of the lists made so far, in some order of each."""
    order = st.sampled_from(["as it is", "reversed", "turned", "shuffled", "first", "every second"])
    step = st.tuples(st.sampled_from(sorted(STEPS)), WHICH, WHICH, NUMBERS, order, order)
    steps = st.lists(step, min_size=1, max_size=max_steps)
    return st.tuples(steps, st.integers(1, 17), SEEDS)


def ordered(members, order, rng):
    n = len(members)
    return {
        "as it is": lambda: members,
        "reversed": lambda: members[::-1],
        "turned": lambda: members[1:] + members[:1],
        "shuffled": lambda: rng.sample(members, n),
        "first": lambda: members[:1] * n,
        "every second": lambda: members[::2] + members[::2][: n // 2],
    }[order]()


def row_case_of(steps, width, seed, n_rows):
    def make(params, take):
        def function(x, k, v):
            rng = random.Random(seed)
            rows = [params, x, (v * width)[:width]]
            for what, i, j, number, first, second in steps:
                a = ordered(rows[-1 - i % len(rows)], first, rng)
                b = ordered(rows[-1 - j % len(rows)], second, rng)
                rows.append([STEPS[what](p, q, number, k, take) for p, q in zip(a, b, strict=True)])
            return [p * q.tanh() for p, q in zip(rows[-1], rows[len(steps) // 2], strict=True)]

        return function

    return Case(make, seed, n_rows, n_inputs=width, n_params=width)


@FEW
@given(row_functions(), st.sampled_from(ROWS[:-1]))
def test_rows_of_equal_ops_agree_with_eager(drawn, n_rows):
    assert_agrees(row_case_of(*drawn, n_rows), VARIANTS)


@FEW
@given(row_functions())
def test_rows_of_equal_ops_agree_with_pytorch(drawn):
    assert_agrees_with_pytorch(row_case_of(*drawn, n_rows=9))


@pytest.mark.slow
@MANY
@given(row_functions(max_steps=16), st.integers(1, 80))
def test_many_more_rows_of_equal_ops_agree_with_eager(drawn, n_rows):
    assert_agrees(row_case_of(*drawn, n_rows), VARIANTS)


# ---- what only some calls do ----


@FEW
@given(functions(), st.lists(st.integers(0, 8), min_size=1, max_size=4))
def test_single_samples_of_a_batch_have_their_own_gradients(drawn, picks):
    case = case_of(*drawn, n_rows=9)
    batch = mg.compile(case.function, batch=True)(case.x, case.k, case.arguments)
    sum((case.weighted(batch[k]) for k in picks), Value(0.0)).backward()
    ours = case.take_grads()
    for k in picks:
        case.total(list(map(Value, case.x[k])), int(case.k[k]), case.arguments).backward()
    assert_near(ours, case.take_grads(), case.reach * len(picks))


@FEW
@given(functions())
def test_a_batch_that_another_function_made_gets_its_gradients(drawn):
    case = case_of(*drawn, n_rows=9)
    data, columns, leaves = case.eager()
    ones = [Value(1.0) for _ in range(3)]
    scaled = mg.compile(lambda x, s: [a * b for a, b in zip(x, s, strict=True)], batch=True)
    fed = mg.compile(case.function, batch=True)(scaled(case.x, ones), case.k, case.arguments)
    assert_near(fed.data, data, case.scale)
    case.weighted(fed.sum()).backward()
    assert_near(case.take_grads(), leaves, case.reach)
    reach = (case.x_reach * np.abs(case.x)).sum(axis=0)
    assert_near([v.grad for v in ones], (columns * case.x).sum(axis=0), reach)


@FEW
@given(functions(), st.integers(1, 70))
def test_value_and_grad_of_params_is_the_mean_s(drawn, n_rows):
    case = case_of(*drawn, n_rows)
    data, _, leaves = case.eager()
    f = mg.compile(case.total, batch=True)
    mean, vector = f.value_and_grad(case.x, case.k, case.arguments, params=case.params)
    scale = (case.scale @ np.abs(case.weights)).mean()
    assert_near(mean, (data @ case.weights).mean(), scale)
    assert_near(vector, np.array(leaves[2:]) / n_rows, case.reach[2:] / n_rows)
    assert case.take_grads() == [0.0] * 5
