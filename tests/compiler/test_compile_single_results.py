"""backward() from single results: they give what eager code gives, whatever else the call returns.

From a call without lanes only the stretches of steps that a result reaches run; from a batch, only
the samples. Every kind of step stands over results of which some are asked.
"""

import itertools
import math
import random

import numpy as np
import pytest
from traces import close

import micrograd_fast as mg
from micrograd_fast import Value, _core, functional


@pytest.fixture(params=["portable", "avx2", "avx512"])
def variant(request):
    own = _core.kernel_variant()
    if not _core._set_kernel_variant(request.param):
        pytest.skip("this machine has no such instructions")
    yield request.param
    _core._set_kernel_variant(own)


def matrix(x):
    return [functional.dot(x[k : k + 4], x[4:8]) + x[k] for k in range(4)]


def square(x):
    """A matrix by its rows over one vector, and over several."""
    rows = [x[0:3], x[3:6], x[6:9], x[9:12]]
    vectors = [x[0:3], x[1:4], x[2:5]]
    return [sum(a * b for a, b in zip(r, v, strict=True)) + r[0] for v in vectors for r in rows]


def scattered(x):
    """The same over vectors that must be gathered first."""
    rows = [x[0:3], x[3:6], x[6:9]]
    vectors = [[x[k], x[k + 4], x[k + 2]] for k in (0, 5, 3, 7)]
    return [sum(a * b for a, b in zip(r, v, strict=True)) for v in vectors for r in rows]


def columns(x):
    return [sum(x[3 * i + j] * x[9 + i] for i in range(3)) for j in range(3)]


KINDS = {
    "ops": lambda x: [a * b + 1.0 for a, b in itertools.pairwise(x)],
    "one factor": lambda x: [(a * x[0]).tanh() for a in x],
    "matrix": matrix,
    "several vectors": square,
    "scattered vectors": scattered,
    "columns": columns,
    "two layers": lambda x: [(a * a).sigmoid() for a in matrix([v.tanh() for v in x])],
    "inner": lambda x: [sum(a * a for a in x), sum(x), functional.dot(x[:6], x[6:12])],
    "chain": lambda x: [
        *itertools.accumulate(x[:6], functional.maximum),
        *itertools.accumulate(x[6:], lambda a, b: a * b),
    ],
    "a chain's end": lambda x: [x[0] * x[1] * x[2] * x[3] * x[4], x[0] * 2, x[5] * x[6] * x[7]],
    "extreme": lambda x: [functional.maximum(*x[:5]), functional.minimum(*x[3:]), x[4] * 2],
    "take": lambda x: [mg.take([a * 2 for a in x], k) for k in (0, 3, 3, 11)],
    "gather": lambda x: [sum((x[k] * x[0]).exp() for k in (5, 2, 9, 3)) + x[7], x[2] * x[9]],
    "detach": lambda x: [(a * a).detach() * b for a, b in itertools.pairwise(x)],
    "shared": lambda x: [a * sum(x) for a in x],
    "given": lambda x: [x[3], x[1] * 2, x[3], 1.0 * x[0]],
}


def numbers(seed=3):
    rng = random.Random(seed)
    return [rng.uniform(0.3, 1.5) for _ in range(12)]


def grads(leaves):
    found = [v.grad for v in leaves]
    for v in leaves:
        v.grad = 0.0
    return found


@pytest.mark.parametrize("captured", [False, True], ids=["arguments", "captured"])
@pytest.mark.parametrize("kind", KINDS)
def test_each_result_gives_eager_gradients(kind, captured, variant):
    leaves = [Value(x) for x in numbers()]
    body = KINDS[kind]
    f = mg.compile((lambda: body(leaves)) if captured else body)
    call = f if captured else lambda: f(leaves)
    results = call()
    for k in [*range(len(results)), 0, len(results) - 1]:
        body(leaves)[k].backward()
        expected = grads(leaves)
        results[k].backward()
        assert all(map(close, grads(leaves), expected)), k


@pytest.mark.parametrize("kind", KINDS)
def test_any_of_the_results_together_give_eager_gradients(kind, variant):
    leaves = [Value(x) for x in numbers()]
    scaled = [v * 1.5 for v in leaves]  # results: there are steps under the call's
    body = KINDS[kind]
    f = mg.compile(body)
    rng = random.Random(1)
    for given in (leaves, scaled, [*leaves[:6], *scaled[6:]]):
        for _ in range(6):
            eager, results = body(given), f(given)
            weights = [rng.choice([0.0, 0.0, 1.0, -0.5]) for _ in eager]
            sum(w * r for w, r in zip(weights, eager, strict=True)).backward()
            expected = grads(leaves)
            grads(scaled)
            sum(w * r for w, r in zip(weights, results, strict=True)).backward()
            assert all(map(close, grads(leaves), expected)), weights
            grads(scaled)


@pytest.mark.parametrize("bad", [math.inf, -math.inf, math.nan])
def test_results_that_are_not_asked_pass_nothing_on_whatever_they_are(bad):
    """Their adjoints are not 0 times inf: they are left out."""
    leaves = [Value(x) for x in numbers()]
    bad_leaf = Value(bad)
    for body in KINDS.values():
        f = mg.compile(lambda x, y, body=body: [*body(x), *[a * y for a in x], y * y - y])
        results = f(leaves, bad_leaf)
        for k in range(len(body(leaves))):
            body(leaves)[k].backward()
            expected = grads(leaves)
            results[k].backward()
            assert all(map(close, grads([*leaves, bad_leaf]), [*expected, 0.0]))


def test_the_numbers_are_those_that_the_call_saw():
    leaves = [Value(x) for x in numbers()]
    f = mg.compile(KINDS["two layers"])
    results, same = f(leaves), KINDS["two layers"](leaves)
    same[2].backward()
    expected = grads(leaves)
    f([Value(9.0)] * 12)
    for v in leaves:
        v.data = 5.0
    results[2].backward()
    assert all(map(close, grads(leaves), expected))


def test_a_result_s_step_may_be_called_by_hand_and_twice():
    for body in (KINDS["ops"], KINDS["shared"]):
        leaves = [Value(x) for x in numbers()]
        result = mg.compile(body)(leaves)[1]
        result.grad = 3.0
        result._backward()
        by_hand = grads(leaves)
        result.backward()
        once = grads(leaves)
        assert all(map(close, by_hand, [3.0 * g for g in once]))
        result.backward()
        result.backward()
        assert all(map(close, grads(leaves), [2.0 * g for g in once]))


def test_one_value_given_twice_gets_both_gradients():
    x = Value(2.0)
    f = mg.compile(lambda a, b: [a * 3 + b * b, a * 5])
    f(x, x)[0].backward()
    assert grads([x]) == [7.0]
    results = f(x, x)
    (results[0] + results[1]).backward()
    assert grads([x]) == [12.0]


def test_many_calls_in_a_row_pass_on_what_each_result_reaches():
    h, steps = [Value(x) for x in numbers()], mg.compile(KINDS["one factor"])

    def through(cell):
        state = h
        for _ in range(20):
            state = cell(state)
        (state[3] + state[5] * 2).backward()
        return grads(h)

    assert all(map(close, through(steps), through(KINDS["one factor"])))


def test_a_result_of_every_other_of_many_arguments_reaches_these_alone():
    leaves = [Value(0.001 * k) for k in range(1600)]
    f = mg.compile(lambda x: [sum(a * a for a in x[::2]), sum(a.exp() for a in x[1::2])])
    results = f(leaves)
    for _ in range(2):
        results[0].backward()
        assert grads(leaves) == [0.002 * k * (k % 2 == 0) for k in range(1600)]
        results[1].backward()
        assert all(
            close(g, math.exp(0.001 * k) if k % 2 else 0.0) for k, g in enumerate(grads(leaves))
        )


# ---- batches ----

ROWS = np.random.default_rng(5).normal(size=(90, 3))
SAMPLES = {
    "one": [7],
    "the last": [-1],
    "one over and over": [4] * 20,
    "some in disorder": [40, 3, 77, 3, 12],
    "up to few": list(range(8)),
    "more than few": list(range(0, 90, 5)),
    "nearly all": list(range(89)),
}


def two(x, w):
    s = functional.dot(w, x)
    return s.tanh(), s * s


@pytest.mark.parametrize("samples", SAMPLES)
def test_samples_of_a_batch_give_eager_gradients(samples, variant):
    w = [Value(0.3), Value(-0.2), Value(0.5)]
    f = mg.compile(lambda x: two(x, w), batch=True)
    total = sum(two(ROWS[k], w)[j] * (j + 1) for k in SAMPLES[samples] for j in (0, 1))
    total.backward()
    expected = grads(w)
    batch = f(ROWS)
    sum(batch[k][j] * (j + 1) for k in SAMPLES[samples] for j in (0, 1)).backward()
    assert all(map(close, grads(w), expected))
    for k in SAMPLES[samples]:
        batch[k][0].backward()
        batch[k][1].grad = 2.0
        batch[k][1]._backward()
    only_first = grads(w)
    assert not all(map(close, only_first, expected))
    part = batch[SAMPLES[samples]].sum()
    (part[0] + 2 * part[1]).backward()
    assert all(map(close, grads(w), expected))


def test_samples_and_sums_of_a_batch_join():
    w = [Value(0.3), Value(-0.2), Value(0.5)]
    f = mg.compile(lambda x: two(x, w), batch=True)
    rows = [two(row, w) for row in ROWS]
    (sum(r[0] for r in rows) + rows[3][1] * 4 + sum(r[1] for r in rows[5:60])).backward()
    expected = grads(w)
    batch = f(ROWS)
    (batch.sum()[0] + batch[3][1] * 4 + batch[5:60].sum()[1]).backward()
    assert all(map(close, grads(w), expected))


def test_samples_that_are_not_asked_pass_nothing_on_through_two_calls():
    w = Value(2.0)
    inner = mg.compile(lambda x: w * x, batch=True)
    outer = mg.compile(lambda y: y.log(), batch=True)
    x = np.array([1.0, 0.0, math.inf, math.nan, 4.0] * 12)
    batch = outer(inner(x))
    for k in (0, 4, 59):
        batch[k].backward()
        assert grads([w]) == [0.5]
    (batch[0] + batch[4] * 2 + batch[4]).backward()
    assert grads([w]) == [2.0]
    batch[1].backward()
    assert math.isnan(w.grad) or math.isinf(w.grad) or w.grad == 0.0
