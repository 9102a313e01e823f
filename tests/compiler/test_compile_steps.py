"""Steps of plans in shapes that other tests do not draw: each test is one that a mutant survived.

What is expected comes from NumPy or from eager code, sample by sample.
"""

import math

import numpy as np
import pytest

import micrograd_fast as mg
from micrograd_fast import Value, _core

N = 19  # samples: two blocks of lanes and a part


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).uniform(0.5, 2.0, shape)


def values(numbers):
    return [values(n) if np.ndim(n) else Value(n) for n in numbers]


def grads(found):
    return [grads(v) if isinstance(v, list) else v.grad for v in found]


def product(weights, x, biases=None):
    return [
        sum((w * v for w, v in zip(row, x, strict=True)), biases[k] if biases else 0.0)
        for k, row in enumerate(weights)
    ]


def overlapping():
    """Two arrays in one block of memory: the second begins with the second number of the first."""
    block = numbers(2 * N + 1, seed=1)
    return block[:N], block[1 : 2 * N + 1].reshape(N, 2)


def test_arrays_that_overlap_are_two_arrays():
    x, y = overlapping()
    f = mg.compile(lambda x, y: x + 10.0 * y[0] + 100.0 * y[1], batch=True)
    with mg.no_grad():
        assert f(x, y).data == pytest.approx(x + 10.0 * y[:, 0] + 100.0 * y[:, 1], rel=1e-12)
    gradients = f.value_and_grad(x, y)[1]
    assert np.array_equal(gradients[1], np.tile([10.0, 100.0], (N, 1)))


def test_weights_over_arrays_that_overlap():
    x, y = overlapping()
    w = values(numbers(4, 3))
    f = mg.compile(lambda x, y: sum(z * z for z in product(w, [x, *y])), batch=True)
    params = [p for row in w for p in row]
    _, gradient = f.value_and_grad(x, y, params=params)
    inputs = np.column_stack([x, y])
    z = inputs @ np.array([[p.data for p in row] for row in w]).T
    assert np.ravel(gradient) == pytest.approx((2 * z.T @ inputs / N).ravel(), rel=1e-12)


def test_weights_over_inputs_and_what_is_computed_of_them():
    """The rows of the layer's inputs are an array's columns first, then rows of the tile."""
    x = numbers(N, 3)
    w = values(numbers(4, 5, seed=2))
    f = mg.compile(
        lambda x: sum(z * z for z in product(w, [*x, x[0].exp(), x[1].exp()])), batch=True
    )
    f(x).sum().backward()
    inputs = np.column_stack([x, np.exp(x[:, :2])])
    z = inputs @ np.array([[p.data for p in row] for row in w]).T
    assert np.array(grads(w)) == pytest.approx(2 * z.T @ inputs, rel=1e-12)


@pytest.mark.parametrize("infinite", [False, True])
def test_weights_and_rows_that_stand_twice_in_a_dot(variant, infinite):
    w, q = values([0.5, -1.5, 2.0, 0.7, -0.3]), values([0.3, 1.2, 0.4])
    pairs = [(0, 0), (1, 0), (2, 1), (0, 2), (3, 1), (4, 2)]
    x = numbers(N, 3, seed=2)
    x[4] = 4000.0 if infinite else 1.0

    def dot(x):
        rows = [(p * v).exp() for p, v in zip(q, x, strict=True)]
        return sum(w[j] * rows[k] for j, k in pairs)

    _, gradient = mg.compile(dot, batch=True).value_and_grad(x, params=[*w, *q])
    with np.errstate(over="ignore", invalid="ignore"):
        rows = np.exp([p.data for p in q] * x)
        dw, drows = np.zeros((N, 5)), np.zeros((N, 3))
        for j, k in pairs:
            dw[:, j] += rows[:, k]
            drows[:, k] += w[j].data
        expected = np.hstack([dw, drows * rows * x]).mean(0)
    assert gradient == pytest.approx(expected, rel=1e-12, nan_ok=True)


def test_several_rows_are_detached_at_once():
    x = numbers(N, 3)
    f = mg.compile(lambda x: [v.detach() for v in x], batch=True)
    assert np.array_equal(f(x).data, x)
    g = mg.compile(lambda x: sum(v * (v * 2.0).detach() for v in x), batch=True)
    value, gradient = g.value_and_grad(x)
    assert value == pytest.approx((2 * x * x).sum(axis=1), rel=1e-12)
    assert gradient == pytest.approx(2 * x, rel=1e-12)


@pytest.mark.parametrize("n_vectors", [2, 3])
def test_one_matrix_with_biases_times_several_vectors_of_numbers(n_vectors):
    w, b, x = values(numbers(4, 4)), values(numbers(4)), values(numbers(n_vectors, 4, seed=3))
    scales = [1.0, -3.0, 0.5][:n_vectors]

    def loss():
        total = 0.0
        for scale, vector in zip(scales, x, strict=True):
            for z in product(w, vector, b):
                total = total + scale * z.tanh()
        return total

    def run(function):
        function().backward()
        found = grads([w, b, x])
        for v in [*b, *(p for row in w + x for p in row)]:
            v.grad = 0.0
        return found

    ours, theirs = run(mg.compile(loss)), run(loss)
    for a, e in zip(ours, theirs, strict=True):
        assert np.array(a) == pytest.approx(np.array(e), rel=1e-12)


@pytest.mark.parametrize("n", [5, 8, 19])
@pytest.mark.parametrize("where", ["row", "sample", "last sample"])
def test_a_layer_with_an_infinity_that_no_gradient_reaches(where, n):
    """In a row of weights, or in one sample: other results' gradients are as without it."""
    x, numbers_of_w, p = numbers(n, 5), numbers(6, 5, seed=4), Value(1.0)
    bad = {"row": -1, "sample": 1, "last sample": n - 1}[where]
    if where == "row":
        numbers_of_w[3] = math.inf
    else:
        x[bad] = math.inf
    w = values(numbers_of_w)
    f = mg.compile(lambda x: product(w, [v * p for v in x]), batch=True)
    batch = f(x)
    reached = [k for k in range(n) if k != bad]
    expected = np.zeros((6, 5))
    expected[0], expected[5] = x[reached].sum(axis=0), 2.0 * x[reached].sum(axis=0)
    seeds = np.zeros((n, 6))
    seeds[reached, 0], seeds[reached, 5] = 1.0, 2.0
    both = mg.compile(lambda z, s: sum(a * b for a, b in zip(z, s, strict=True)), batch=True)
    for result in (
        sum(batch[k][0] + 2.0 * batch[k][5] for k in reached),
        sum(both(batch, seeds)[k] for k in reached),
    ):
        p.grad = 0.0
        for row in w:
            for v in row:
                v.grad = 0.0
        result.backward()
        assert np.array(grads(w)) == pytest.approx(expected, rel=1e-12)
        ways = numbers_of_w[0] + 2.0 * numbers_of_w[5]
        assert p.grad == pytest.approx((x[reached] @ ways).sum(), rel=1e-12)


def test_powers_of_zero_by_a_parameter():
    """The limit: 0 ** p is 0 whatever p > 0 is."""
    p = Value(1.5)
    batch = mg.compile(lambda x: x**p, batch=True)(np.array([0.0, 2.0, 0.0]))
    batch.sum().backward()
    assert p.grad == pytest.approx(2.0**1.5 * math.log(2.0), rel=1e-12)


@pytest.mark.parametrize("n", [3, 40])
def test_weights_that_are_set_beside_an_infinity(n):
    """relu closes what is infinite; the gradients start from zero in every run."""
    x = numbers(n, 5)
    x[1, 2] = -math.inf
    w = values(numbers(6, 5, seed=4))
    params = [p for row in w for p in row]
    f = mg.compile(lambda x: sum(z.relu() for z in product(w, x)), batch=True)
    expected = np.tile(np.delete(x, 1, axis=0).sum(axis=0) / n, (6, 1)).ravel()
    for _ in range(3):
        found = f.value_and_grad(x, params=params)[1]
        assert np.ravel(found) == pytest.approx(expected, rel=1e-12)
    before = _core.kernel_variant()
    try:
        for variant in ("portable", "avx2", "avx512"):
            if _core._set_kernel_variant(variant):
                found = f.value_and_grad(x, params=params)[1]
                assert np.ravel(found) == pytest.approx(expected, rel=1e-12)
    finally:
        _core._set_kernel_variant(before)


def test_gradients_over_several_tiles_are_not_put_off():
    """The rows of a tile are gone when the next one has run."""
    x, w = numbers(700, 5), values(numbers(6, 5, seed=4))
    f = mg.compile(lambda x: sum(z * z for z in product(w, x)), batch=True)
    _core._set_least_put_off(1)
    try:
        loss = f(x).mean()
    finally:
        _core._set_least_put_off()
    loss.backward()
    z = x @ np.array([[p.data for p in row] for row in w]).T
    assert np.array(grads(w)) == pytest.approx(2 * z.T @ x / 700, rel=1e-12)


def test_weights_over_the_columns_of_two_arrays():
    x, y, w = numbers(N, 3), numbers(N, 2, seed=5), values(numbers(4, 5))
    f = mg.compile(lambda x, y: sum(z * z for z in product(w, [*x, *y])), batch=True)
    f(x, y).sum().backward()
    inputs = np.column_stack([x, y])
    z = inputs @ np.array([[p.data for p in row] for row in w]).T
    assert np.array(grads(w)) == pytest.approx(2 * z.T @ inputs, rel=1e-12)


@pytest.mark.parametrize("batch", [True, False])
@pytest.mark.parametrize("index", [0.5, 1.999, -0.5, 2.0, math.nan])
def test_an_index_between_two_choices_is_refused(index, batch):
    f = mg.compile(lambda k: mg.take([k * 2.0, k * 3.0], k.detach()), batch=batch)
    f(np.array([0.0, 1.0]) if batch else 1.0)
    with pytest.raises(IndexError, match=r"whole number|out of range"):
        f(np.array([1.0, index]) if batch else index)


def test_a_result_that_counts_for_nothing_passes_nothing_on():
    """Whatever its derivative is: that of the root of 0 is infinite."""
    p = Value(0.0)
    f = mg.compile(lambda x: x * p.sqrt(), batch=True)
    (f(np.array([1.0, 2.0])).sum() * 0.0 + p).backward()
    assert p.grad == 1.0


def test_single_samples_and_sums_of_one_call_add_up():
    p = Value(3.0)
    batch = mg.compile(lambda x: [x * p, x * x * p], batch=True)(np.array([1.0, 2.0, 5.0]))
    first, second = batch.sum()
    (first + 10.0 * second + 100.0 * batch[1][0] + 1000.0 * batch[2][1]).backward()
    assert p.grad == 8.0 + 10.0 * 30.0 + 100.0 * 2.0 + 1000.0 * 25.0


def test_a_result_s_step_by_hand_passes_on_its_own_share_once():
    p = Value(3.0)
    batch = mg.compile(lambda x: [x * p, x * x * p], batch=True)(np.array([1.0, 2.0, 5.0]))
    second = batch[2][1]
    second.grad = 2.0
    second._backward()
    assert p.grad == 50.0
    batch[1][0].backward()
    assert p.grad == 52.0
