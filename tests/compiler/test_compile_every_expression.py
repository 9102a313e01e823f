"""Every small expression, compiled, against dual numbers in NumPy (dual.py).

Over two rows, two parameters, a Value argument and a number, in all orders: which operands are rows
and which uniform decides how a plan is laid out, so every mixture occurs. Values and all gradients.
"""

import operator
import random

import numpy as np
import pytest
from dual import Variables, drawn_expression, expressions, text_of

import micrograd_fast as mg
from micrograd_fast import Value

B = 11  # a block of lanes and a part of one
RNG = np.random.default_rng(3)
X, Y = RNG.uniform(0.5, 2.0, B), RNG.uniform(0.5, 2.0, B)
A, C, W = Value(1.3), Value(-0.7), Value(0.9)
LEAVES = ("x", "y", "a", "c", "w", 2.0)
BATCH = Variables(x=X, y=Y, a=A.data, c=C.data, w=W.data)

OPS = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "max": mg.maximum,
}


def function_of(expression):
    """The expression as a function of rows x and y and a Value w, over the parameters a and c."""

    def evaluate(e, names):
        if not isinstance(e, tuple):
            return names.get(e, e)
        op, left, right = e
        p, q = evaluate(left, names), evaluate(right, names)
        if op == "/" and isinstance(q, float):
            q = Value(q)  # Python's own floats raise where it is 0
        return OPS[op](p, q)

    def function(x, y, w):
        z = evaluate(expression, {"x": x, "y": y, "a": A, "c": C, "w": w})
        return z if isinstance(z, Value) else Value(z)

    return function


def near(ours, theirs):
    theirs = np.asarray(theirs)
    return np.all(np.abs(np.asarray(ours) - theirs) <= 1e-10 * (1.0 + np.abs(theirs)))


def take_grads():
    grads = [A.grad, C.grad, W.grad]
    A.grad = C.grad = W.grad = 0.0
    return grads


def batch_agrees(expression, expected):
    """A batch, the gradients of parameters and of the Value argument, those of the rows."""
    f = mg.compile(function_of(expression), batch=True)
    batch = f(X, Y, W)
    batch.sum().backward()
    grads = take_grads()
    values, rows = f.value_and_grad(X, Y, W)
    return expected.fragile or (
        near(batch.data, expected.z)
        and near(values, expected.z)
        and near(grads, expected.d[2:].sum(axis=1))
        and near(rows, expected.d[:2])
    )


def call_agrees(expression, expected):
    """One sample, the first: all five gradients."""
    x, y = Value(X[0]), Value(Y[0])
    z = mg.compile(function_of(expression))(x, y, W)
    z.backward()
    grads = [x.grad, y.grad, *take_grads()]
    return expected.fragile or (near(z.data, expected.z[0]) and near(grads, expected.d[:, 0]))


def wrong_ones(some, agrees):
    """The first few that do not agree, as text; and how many could be compared."""
    found, n_compared = [], 0
    for expression in some:
        expected = BATCH.evaluate(expression)
        if np.isfinite(expected.z).all() and np.isfinite(expected.d).all():
            n_compared += not expected.fragile
            if not agrees(expression, expected):
                found.append(text_of(expression))
            if len(found) == 5:
                break
    return found, n_compared


@pytest.mark.parametrize("agrees", [batch_agrees, call_agrees])
@pytest.mark.parametrize("n_leaves", [1, 2, 3])
def test_every_expression_of_up_to_three_leaves(agrees, n_leaves):
    found, n_compared = wrong_ones(expressions(n_leaves, LEAVES), agrees)
    assert found == []
    assert n_compared >= {1: 6, 2: 150, 3: 9000}[n_leaves]


@pytest.mark.parametrize("agrees", [batch_agrees, call_agrees])
@pytest.mark.parametrize("n_leaves", [4, 5, 6, 8])
def test_some_larger_expressions(agrees, n_leaves, rng):
    some = [drawn_expression(rng, n_leaves, LEAVES) for _ in range(600)]
    found, n_compared = wrong_ones(some, agrees)
    assert found == []
    assert n_compared > 200


@pytest.mark.slow
@pytest.mark.parametrize("agrees", [batch_agrees, call_agrees])
@pytest.mark.parametrize("top", list(OPS))
def test_every_expression_of_four_leaves(agrees, top):
    some = (e for e in expressions(4, LEAVES) if e[0] == top)
    assert wrong_ones(some, agrees)[0] == []


@pytest.mark.slow
def test_every_expression_on_every_kernel_variant(variant):
    rng = random.Random(11)
    larger = [drawn_expression(rng, n, LEAVES) for n in (4, 5, 6, 7) for _ in range(5000)]
    for some in (list(expressions(3, LEAVES)), larger):
        for agrees in (batch_agrees, call_agrees):
            assert wrong_ones(some, agrees)[0] == []
