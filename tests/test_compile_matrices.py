"""Random layers of sums of products: compiled they are what they are eagerly, and what PyTorch says.

Sums that share inputs become matrix products in a plan. The arrangements here are those in which
that can go wrong: inputs shared in part or in another order or used twice, weights used twice or
shared or computed or plain numbers, biases of every kind, sums that need other sums of their layer.
"""

import math
import random
from typing import NamedTuple

import numpy as np
import pytest
from cases import VARIANTS, Case, assert_agrees, assert_agrees_with_pytorch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

import micrograd_fast as mg
from micrograd_fast import _core, functional, nn
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
    inputs: str
    weights: str
    bias: str
    place: str  # of the bias in the sum
    factors: str  # w * x or x * w
    sum: str
    then: str
    seed: int


LAYERS = st.builds(
    Layer,
    width=st.sampled_from([1, 2, 3, 4, 5, 7, 8, 9, 17]),
    inputs=st.sampled_from(["all", "orders", "some", "windows", "twice", "of any layer", "before"]),
    weights=st.sampled_from(
        ["own", "shuffled", "by columns", "one row", "one a row", "symmetric", "twice", "of before"]
        + ["computed", "captured", "numbers", "some numbers", "inputs", "squares", "uniform"]
    ),
    bias=st.sampled_from(["own", "one", "row", "number", "none", "computed", "argument"]),
    place=st.sampled_from(["first", "last", "between"]),
    factors=st.sampled_from(["w * x", "x * w", "both"]),
    sum=st.sampled_from(["from left", "from right", "pairs", "halves", "differences"]),
    then=st.sampled_from(["tanh", "relu", "nothing", "sin", "residual", "softmax", "normed"]),
    seed=st.integers(0, 2**16),
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


def matrix_of(layer, rng, weights, sizes, x, v):
    """Rows of weights, as long as the sums' inputs."""
    kind, n = layer.weights, max(sizes)
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
    elif kind == "by columns":
        flat = weights.take(n * layer.width)
        rows = [[flat[j * layer.width + i] for j in range(n)] for i in range(layer.width)]
    elif kind in ("inputs", "uniform"):
        source = x if kind == "inputs" else v
        rows = [rng.choices(source, k=n) for _ in range(layer.width)]
    else:
        flat = weights.take(n * layer.width, rng if kind == "shuffled" else None)
        rows = [flat[i * n : (i + 1) * n] for i in range(layer.width)]
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


def bias_of(layer, rng, weights, values, v, one):
    if layer.bias == "own":
        return weights.take(1)[0]
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
    if layer.sum == "from right":
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


def apply(layer, weights, values, older, x, v):
    rng = random.Random(layer.seed)
    if layer.inputs == "before":
        sizes = [len(values) + 2]
    else:
        sizes = [max(len(values) + 2, 5)]
    matrix = matrix_of(layer, rng, weights, sizes, x, v)
    one, sums = weights.take(1)[0], []
    for row in matrix:
        inputs = chosen_inputs(layer, rng, values, older, sums)
        bias = bias_of(layer, rng, weights, values, v, one)
        both = layer.factors == "both"
        flip = layer.factors == "x * w"
        terms = [
            b * a if (rng.random() < 0.5 if both else flip) else a * b
            for a, b in zip(row, inputs, strict=False)
        ]
        total = summed(layer, rng, terms, bias)
        sums.append(total.tanh() if layer.inputs == "before" else total)
    return activated(layer, sums, values)


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
    st.lists(LAYERS, min_size=1, max_size=3),
    st.sampled_from(["last", "one of each", "squares"]),
    st.sampled_from([1, 2, 3, 4, 5, 8, 9]),
    st.sampled_from([3, 24, 97]),
    SEEDS,
)


def case_of(layers, results, n_inputs, n_params, seed, n_rows):
    make = network(layers, results)
    return Case(make, seed, n_rows, n_inputs, n_params, size=0.7, limit=1000)


@FEW
@given(NETWORKS, ROWS)
def test_layers_of_sums_of_products_agree_with_eager(drawn, n_rows):
    assert_agrees(case_of(*drawn, n_rows), VARIANTS)


@FEW
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
