"""Random layers of sums of products: compiled as they are eagerly, and as PyTorch says.

Sums that share inputs become matrix products in a plan. The arrangements here are those in which
that can go wrong: inputs shared in part or in another order or used twice, weights used twice or
shared or computed or plain numbers, biases of every kind, sums that need other sums of their layer.
"""

import math
import random
from typing import NamedTuple

import numpy as np
import pytest
from cases import Case, assert_agrees, assert_agrees_with_pytorch
from conftest import VARIANTS
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import micrograd_fast as mg
from micrograd_fast import functional, nn
from micrograd_fast.engine import Value

FEW = settings(
    max_examples=50, suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow]
)
MANY = settings(FEW, max_examples=1000)
ROWS = st.sampled_from([1, 2, 7, 8, 9, 63, 64, 65])
SEEDS = st.integers(0, 2**32 - 1)


# ---- layers as data ----


class Layer(NamedTuple):
    """One layer: how many sums, over which inputs, with which weights and biases."""

    width: int
    vectors: int  # to how many vectors the layer is applied
    inputs: str
    weights: str
    bias: str
    place: str  # of the bias in the sum
    factors: str  # w * x or x * w
    sum: str
    then: str
    seed: int


REGULAR = Layer(8, 1, "all", "own", "own", "first", "w * x", "left", "tanh", 0)
CHOICES = {
    "vectors": [2, 3],
    "inputs": ["orders", "some", "windows", "twice", "of any layer", "before"],
    "weights": [
        *["neurons", "shuffled", "by columns", "one row", "one a row", "symmetric", "twice"],
        *["of before", "computed", "captured", "numbers", "some numbers", "inputs", "squares"],
        *["uniform", "other order within rows", "overlapping columns"],
    ],
    "bias": ["one", "row", "number", "none", "computed", "argument", "of all kinds"],
    "place": ["last", "between"],
    "factors": ["x * w", "both"],
    "sum": ["right", "pairs", "halves", "differences"],
    "then": ["relu", "nothing", "sin", "residual", "softmax", "normed"],
}
CHANGES = [(field, choice) for field, choices in CHOICES.items() for choice in choices]


def layers():
    """A few things at a time are irregular: plans make matrices of what is regular."""
    return st.builds(
        lambda width, seed, changes: REGULAR._replace(width=width, seed=seed, **dict(changes)),
        st.sampled_from([1, 2, 3, 4, 5, 7, 8, 9, 16, 17]),
        st.integers(0, 2**16),
        st.lists(st.sampled_from(CHANGES), max_size=3),
    )


class Weights:
    """Hands out the parameters, in the order asked for or another one."""

    def __init__(self, params):
        self.params = params
        self.used = 0
        self.matrices = []

    def take(self, n, rng=None):
        found = [self.params[(self.used + j) % len(self.params)] for j in range(n)]
        self.used += n
        return rng.sample(found, n) if rng else found


def chosen_inputs(layer, rng, values, older, made):
    """The inputs of one sum. made: the sums of this layer so far."""
    n = len(values)
    if layer.inputs == "orders":
        return rng.sample(values, n)
    if layer.inputs == "some":
        return rng.sample(values, rng.randint(1, n))
    if layer.inputs == "windows":
        start = rng.randrange(n)
        return values[start : start + 4]
    if layer.inputs == "twice":
        return values + rng.choices(values, k=2)
    if layer.inputs == "of any layer":
        return rng.choices(older + values, k=min(n, 5))
    if layer.inputs == "before":
        return values + made[-2:]
    return values


def matrix_of(layer, rng, weights, n, x, v):
    """Rows of n weights; a sum takes as many as it has inputs."""
    kind = layer.weights
    if kind in ("one row", "one a row", "twice"):
        one = weights.take(n if kind == "one row" else layer.width)
        rows = [one if kind == "one row" else [w] * n for w in one[: layer.width]]
        rows = rows + [one] * (layer.width - len(rows))
        if kind == "twice":
            rows = [row[: n // 2] + weights.take(n - n // 2) for row in rows]
    elif kind == "of before" and weights.matrices:
        before = weights.matrices[-1]
        rows = [
            [before[j % len(before)][i % len(before[0])] for j in range(n)]
            for i in range(layer.width)
        ]
    elif kind == "symmetric":
        flat = weights.take(n + layer.width)
        rows = [[flat[i + j] for j in range(n)] for i in range(layer.width)]
    elif kind == "overlapping columns":
        flat = weights.take(3 * n + layer.width)
        rows = [[flat[i + 3 * j] for j in range(n)] for i in range(layer.width)]
    elif kind == "by columns":
        flat = weights.take(n * layer.width)
        rows = [[flat[j * layer.width + i] for j in range(n)] for i in range(layer.width)]
    elif kind in ("inputs", "uniform"):
        source = x if kind == "inputs" else v
        rows = [rng.choices(source, k=n) for _ in range(layer.width)]
    else:  # those of "neurons" have their biases between them
        flat = weights.take((n + 1) * layer.width, rng if kind == "shuffled" else None)
        step = n + (kind == "neurons")
        rows = [flat[i * step : i * step + step] for i in range(layer.width)]
    if kind == "other order within rows":
        rows = [rows[0], *([row[0], *rng.sample(row[1:], n - 1)] for row in rows[1:])]
    weights.matrices.append(rows)
    if kind == "numbers":
        return [[rng.uniform(-1, 1) for _ in row] for row in rows]
    if kind == "some numbers":
        return [[rng.choice([w, 0.5, 1.0, -1.0, 0.0]) for w in row] for row in rows]
    if kind == "computed":
        return [[w.tanh() * 0.75 for w in row] for row in rows]
    if kind == "squares":
        return [[w * w for w in row] for row in rows]
    return rows


def bias_of(layer, rng, weights, row, values, v, one):
    if layer.bias == "of all kinds":
        return rng.choice([None, 0.25, one, row[0], *values[:3], v[0]])
    if layer.bias == "own":
        return row[-1] if layer.weights == "neurons" else weights.take(1)[0]
    if layer.bias == "computed":
        return weights.take(1)[0].sin()
    if layer.bias == "one":
        return one
    if layer.bias == "row":
        return rng.choice(values)
    if layer.bias == "argument":
        return rng.choice(v)
    return 0.25 if layer.bias == "number" else None


def summed(layer, rng, terms, bias):
    """The terms and the bias added up in the layer's way."""
    if bias is not None:
        k = {"first": 0, "last": len(terms), "between": len(terms) // 2}[layer.place]
        terms = [*terms[:k], bias, *terms[k:]]
    if layer.sum == "right":
        terms = terms[::-1]
        total = terms[0]
        for term in terms[1:]:
            total = term + total
        return total
    if layer.sum == "pairs":
        while len(terms) > 1:
            odd = terms[len(terms) & ~1 :]
            terms = [a + b for a, b in zip(terms[::2], terms[1::2], strict=False)] + odd
        return terms[0]
    if layer.sum == "halves":
        k = len(terms) // 2
        return chain(terms[:k]) + chain(terms[k:]) if k else chain(terms)
    if layer.sum == "differences":
        total = terms[0]
        for term in terms[1:]:
            total = total + term if rng.random() < 0.5 else total - term
        return total
    return chain(terms)


def chain(terms):
    total = terms[0]
    for term in terms[1:]:
        total = total + term
    return total


def activated(layer, sums, values):
    if layer.then == "residual":
        return [s.tanh() + values[i % len(values)] for i, s in enumerate(sums)]
    if layer.then == "softmax":
        exps = [s.sin().exp() for s in sums]
        total = chain(exps)
        return [e / total for e in exps]
    if layer.then == "normed":
        scale = (chain([s * s for s in sums]) * (1 / len(sums)) + 0.5) ** -0.5
        return [s * scale for s in sums]
    return sums if layer.then == "nothing" else [getattr(s, layer.then)() for s in sums]


def sums_of(layer, rng, weights, matrix, values, older, v):
    """The layer's sums over one vector."""
    one, sums = weights.take(1)[0], []
    for row in matrix:
        inputs = chosen_inputs(layer, rng, values, older, sums)
        bias = bias_of(layer, rng, weights, row, values, v, one)
        flips = {"w * x": [0], "x * w": [1], "both": [0, 1]}[layer.factors]
        terms = [b * a if rng.choice(flips) else a * b for a, b in zip(row, inputs, strict=False)]
        total = summed(layer, rng, terms, bias)
        sums.append(total.tanh() if layer.inputs == "before" else total)
    return sums


def apply(layer, weights, values, older, x, v):
    rng = random.Random(layer.seed)
    n = len(values) + 2 * (layer.inputs in ("twice", "before"))
    matrix = matrix_of(layer, rng, weights, max(n, 5 * (layer.inputs == "of any layer")), x, v)
    made = []
    for k in range(layer.vectors):
        vector = [u * (1.0 + k) for u in values] if k else values
        sums = sums_of(layer, rng, weights, matrix, vector, older, v)
        made += activated(layer, sums, values)
    return made


def network(layers, results):
    """make() of a Case: the layers one after the other."""

    def make(params, take):
        captured = [a * b for a, b in zip(params, params[1:] + params[:1], strict=True)]

        def function(x, k, v):
            plain, computed = Weights(params), Weights(captured)
            values, older, found = x, x, []
            for layer in layers:
                weights = computed if layer.weights == "captured" else plain
                made = apply(layer, weights, values, older, x, v)
                values, older = made, older + made
                found.append(made)
            if results == "last":
                return values
            if results == "one of each":
                return [made[-1] * 1.0 for made in found] + [found[0][0]]
            return [chain([u * u for u in values])]

        function.between = captured if isinstance(params[0], Value) else ()
        return function

    return make


NETWORKS = st.tuples(
    st.lists(layers(), min_size=1, max_size=3),
    st.sampled_from(["last", "one of each", "squares"]),
    st.sampled_from([1, 2, 3, 4, 5, 8, 9, 17]),
    st.sampled_from([3, 97, 400]),
    SEEDS,
)


def case_of(layers, results, n_inputs, n_params, seed, n_rows):
    make = network(layers, results)
    return Case(make, seed, n_rows, n_inputs, n_params, size=0.5, limit=1e5)


@pytest.mark.parametrize("change", CHANGES, ids=str)
@pytest.mark.parametrize("n_inputs", [1, 4, 9])
def test_every_kind_of_layer_agrees_with_eager(change, n_inputs):
    layers = [REGULAR._replace(**dict([change])), REGULAR, REGULAR._replace(**dict([change]))]
    assert_agrees(case_of(layers, "one of each", n_inputs, 400, seed=3, n_rows=9), VARIANTS)


@FEW
@given(NETWORKS, ROWS)
def test_layers_of_sums_of_products_agree_with_eager(drawn, n_rows):
    assert_agrees(case_of(*drawn, n_rows), VARIANTS)


@settings(FEW, max_examples=20)
@given(NETWORKS)
def test_layers_of_sums_of_products_agree_with_pytorch(drawn):
    assert_agrees_with_pytorch(case_of(*drawn, n_rows=9))


@settings(FEW, max_examples=5)
@given(NETWORKS)
def test_layers_of_sums_of_products_agree_with_eager_over_several_tiles(drawn):
    assert_agrees(case_of(*drawn, n_rows=600))


@pytest.mark.slow
@MANY
@given(NETWORKS, st.integers(1, 70))
def test_many_more_layers_of_sums_of_products_agree_with_eager(drawn, n_rows):
    assert_agrees(case_of(*drawn, n_rows), VARIANTS)


# ---- networks as people write them ----


def assert_same_gradients(function, values, X):
    """One sum over the rows of X, compiled and eager; values: the leaves that are compared."""
    rows, single = mg.compile(function, batch=True), mg.compile(function)
    eager = functional.sum([function(list(map(Value, x))) for x in X])
    eager.backward()
    theirs = [v.grad for v in values]
    compiled = [rows(X).sum(), functional.sum([single(x) for x in X])]
    for total in compiled:
        for v in values:
            v.grad = 0.0
        total.backward()
        assert total.data == pytest.approx(eager.data, rel=1e-12)
        size = max(1.0, *map(abs, theirs))
        assert [v.grad for v in values] == pytest.approx(theirs, rel=1e-11, abs=1e-13 * size)
    for v in values:
        v.grad = 0.0


@FEW
@given(
    st.lists(st.integers(2, 20), min_size=2, max_size=4),
    st.sampled_from(["tanh", "sigmoid", "relu"]),
    st.integers(1, 20),
    SEEDS,
)
def test_perceptrons_of_any_width_agree_with_eager(sizes, activation, n_rows, seed):
    random.seed(seed)
    model = nn.MLP(sizes[0], [*sizes[1:], 2], activation=activation)
    X = np.random.default_rng(seed).normal(size=(n_rows, sizes[0]))
    assert_same_gradients(lambda x: functional.cross_entropy(model(x), 1), model.parameters(), X)


@pytest.mark.parametrize("n_tokens", [1, 2, 5])
@pytest.mark.parametrize("tied", [False, True])
def test_attention_over_tokens_that_share_their_matrices_agrees_with_eager(n_tokens, tied):
    random.seed(4)
    width = 4
    made = [[[Value(random.gauss(0, 0.5)) for _ in range(width)] for _ in range(width)]
            for _ in range(1 if tied else 3)]  # fmt: skip
    query, key, value = made * 3 if tied else made

    def attend(x):
        tokens = [x[k : k + width] for k in range(0, len(x), width)]
        q, keys, values = (
            [[functional.dot(row, t) for row in matrix] for t in tokens]
            for matrix in (query, key, value)
        )
        mixed = []
        for t in range(n_tokens):
            scores = functional.softmax([functional.dot(q[t], k) * 0.5 for k in keys[: t + 1]])
            mixed += [functional.dot(scores, c) for c in zip(*values[: t + 1], strict=True)]
        return functional.sum([m * m for m in mixed])

    X = np.random.default_rng(1).normal(size=(9, width * n_tokens))
    assert_same_gradients(attend, [p for m in made for row in m for p in row], X)


def test_a_recurrent_layer_agrees_with_eager():
    cell = nn.Layer(3 + 5, 5, activation="tanh")

    def last(x):
        hidden = [Value(0.0)] * 5
        for k in range(0, len(x), 3):
            hidden = cell([*x[k : k + 3], *hidden])
        return functional.sum(hidden)

    X = np.random.default_rng(2).normal(size=(17, 12))
    assert_same_gradients(last, cell.parameters(), X)


@pytest.mark.parametrize("made_last_first", [False, True])
def test_matrices_of_an_older_and_a_younger_model_agree_with_eager(made_last_first):
    first, second = nn.Layer(6, 6), nn.Layer(6, 6)
    freed = [Value(k) for k in range(100)]
    del freed[::2]
    third = nn.Layer(6, 6)  # its parameters fill the gaps
    models = [third, second, first] if made_last_first else [first, third, second]

    def applied(x):
        for model in models:
            x = model(x)
        return functional.sum(x)

    X = np.random.default_rng(3).normal(size=(33, 6))
    assert_same_gradients(applied, [p for m in models for p in m.parameters()], X)


@pytest.mark.parametrize("starts", [(0, 4, 8), (0, 4, 6), (0, 5, 9), (0, 2, 4), (8, 4, 0)])
@pytest.mark.parametrize("strides", [(1, 1, 1), (1, 2, 1), (1, 1, 2), (2, 1, 1)])
def test_matrices_over_parts_of_a_vector_wherever_they_lie_agree_with_eager(starts, strides):
    """Each part times four rows of W: side by side, or every second one."""
    W = [[Value((1 + k + 3 * j) / 29) for k in range(4)] for j in range(7)]

    def products(x):
        used = [functional.sum(row).tanh() for row in W]  # first, so that W lies in this order
        for start, stride in zip(starts, strides, strict=True):
            part = x[start : start + 4]  # tanh: a bare dot would be terms of the sum
            used += [functional.dot(W[k * stride], part).tanh() for k in range(4)]
        return functional.sum(used)

    X = np.random.default_rng(1).normal(size=(9, 16))
    assert_same_gradients(products, [w for row in W for w in row], X)


@pytest.mark.parametrize("of_parameters", [[True, False], [False, True], [True, False, False]])
def test_one_matrix_over_parameters_and_over_inputs_agrees_with_eager(of_parameters):
    """The gradient goes to the parameters alone."""
    rng = np.random.default_rng(5)
    n = len(of_parameters)
    W, X = rng.normal(size=(4, 4)), rng.normal(size=(n, 4))
    P = [[Value(k + 4.25 * j) for k in range(4)] for j in range(n)]

    def products(W, X):
        parts = [P[k] if of_p else X[k] for k, of_p in enumerate(of_parameters)]
        return [functional.dot(row, part) for part in parts for row in W]

    inputs = np.array([[v.data for v in row] for row in P])
    inputs = np.where(np.array(of_parameters)[:, None], inputs, X)
    f = mg.compile(products)
    results = f(W, X)
    assert [s.gradient for s in f.program(W, X).steps()] == [False, True]  # matrices both
    assert [r.data for r in results] == pytest.approx((inputs @ W.T).ravel().tolist(), rel=1e-13)
    functional.sum(r * k for k, r in enumerate(results)).backward()
    grads = np.arange(4.0 * n).reshape(n, 4) @ W
    for row, grad, of_p in zip(P, grads, of_parameters, strict=True):
        assert [v.grad for v in row] == pytest.approx(grad.tolist() if of_p else [0.0] * 4)


@pytest.mark.parametrize("n_rows", [5, 700])
def test_weights_of_an_unused_result_have_no_gradient(n_rows):
    """A matrix alone with its weights sets their adjoints: to 0 where nothing reaches it."""
    used, unused = nn.Layer(6, 8), nn.Layer(5, 8)  # over different inputs: two matrices
    f = mg.compile(lambda x: (functional.sum(used(x)), functional.sum(unused(x[:5]))), batch=True)
    X = np.random.default_rng(7).normal(size=(n_rows, 6))
    for both in (True, False, True, False):  # a later call's memory has held gradients before
        for p in [*used.parameters(), *unused.parameters()]:
            p.grad = 0.0
        results = f(X)
        chosen = [results[k] for k in range(n_rows)]
        functional.sum([v for pair in chosen for v in (pair if both else pair[:1])]).backward()
        assert any(p.grad != 0.0 for p in used.parameters())
        if not both:
            assert [p.grad for p in unused.parameters()] == [0.0] * 48
        del results, chosen


@pytest.mark.parametrize("n_rows", [3, 700])
def test_weights_that_something_else_reads_too_get_all_of_their_gradient(n_rows):
    layer, tied = nn.Layer(6, 8), nn.Layer(6, 8)

    def with_penalty(x):
        hidden = layer(x)
        penalty = functional.sum([p * p for p in layer.parameters()])
        return functional.sum(tied(hidden[:6])) + functional.sum(tied(x)) + penalty

    X = np.random.default_rng(8).normal(size=(n_rows, 6))
    assert_same_gradients(with_penalty, [*layer.parameters(), *tied.parameters()], X)


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_an_infinite_input_reaches_its_own_results_and_samples_only(variant, bad):
    """No product with padding, none with a weight that a sum does not have."""
    layer = nn.Layer(5, 8, activation="tanh")
    other = nn.Layer(4, 8, activation="tanh")
    f = mg.compile(lambda x: [*layer(x), *other(x[:4])], batch=True)
    X = np.random.default_rng(5).normal(size=(70, 5))
    expected = f(X).data
    X[66, 4] = bad
    ours = f(X).data
    wrong = np.zeros_like(expected, dtype=bool)
    wrong[66, :8] = True
    assert np.array_equal(ours[~wrong], expected[~wrong])
    assert not np.array_equal(ours[wrong], expected[wrong])
    _, gradient = mg.compile(lambda x: functional.sum(other(x[:4])), batch=True).value_and_grad(X)
    assert np.isfinite(gradient).all()


def test_regular_layers_become_matrix_steps_and_irregular_ones_do_not():
    """The tests above compare what they mean to compare."""

    def n_matrices(layer):
        case = case_of([layer], "last", 8, 400, seed=1, n_rows=2)
        text = mg.compile(case.function, batch=True).program(case.x, case.k, case.arguments)
        return [step.kind for step in text.steps()].count("matrix")

    assert n_matrices(REGULAR) > 0
    assert n_matrices(REGULAR._replace(inputs="orders", weights="one row")) == 0
