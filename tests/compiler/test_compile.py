"""compile(): every op on every variant of the kernels, take, losses, parameters as vectors.

Its siblings test_compile_*.py say which part of the contract they test.
"""

import numpy as np
import pytest

import micrograd_fast as mg
from micrograd_fast import Value, functional, nn


def close(ours, theirs):
    assert np.asarray(ours) == pytest.approx(np.asarray(theirs), rel=1e-12, abs=1e-300)


def model_of(*sizes, seed=1, **options):
    import random

    random.seed(seed)
    return nn.MLP(sizes[0], list(sizes[1:]), **options)


def grads_of(loss, values):
    for v in values:
        v.grad = 0.0
    loss.backward()
    return [v.grad for v in values]


@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid"])
@pytest.mark.parametrize("n_samples", [1, 2, 7, 8, 63, 64, 65, 300, 1000])
def test_a_batched_loss_and_its_gradient_are_the_eager_ones(activation, n_samples):
    model = model_of(3, 5, 4, 1, activation=activation)
    rng = np.random.default_rng(n_samples)
    X, y = rng.normal(size=(n_samples, 3)), rng.choice([-1.0, 1.0], n_samples)
    batch = mg.compile(lambda x, t: (1 - t * model(x)).relu(), batch=True)(X, y)
    eager = [(1 - t * model(x)).relu() for x, t in zip(X.tolist(), y.tolist(), strict=True)]
    close(batch.data, [v.data for v in eager])
    ours = grads_of(batch.mean(), model.parameters())
    theirs = grads_of(functional.mean(eager), model.parameters())
    assert ours == pytest.approx(theirs, rel=1e-12, abs=1e-14)


EVERY_OP = {
    "add": lambda x, y: x + y + 1.0,
    "mul": lambda x, y: x * y * -2.0,
    "sub": lambda x, y: x - y - (3 - x),
    "div": lambda x, y: x / y + 2 / x,
    "powers": lambda x, y: x**2 + y**3 + x**-1 + x**0.5 + y**-0.5 + x**2.7 + x**0 + x**1,
    "power of values": lambda x, y: x**y + 2**y,
    "exp": lambda x, y: (x * y).exp(),
    "log": lambda x, y: x.log() + (x * y).log1p(),
    "sqrt": lambda x, y: x.sqrt() * y.sqrt(),
    "tanh": lambda x, y: (x - y).tanh() + (x * 0.01).tanh(),
    "sigmoid": lambda x, y: (x - 3 * y).sigmoid(),
    "relu": lambda x, y: (x - y).relu(),
    "sin and cos": lambda x, y: (x * 5).sin() * (y * 7).cos(),
    "abs": lambda x, y: abs(x - y),
    "maximum": lambda x, y: mg.maximum(x, y, 0.7) + mg.minimum(x, y),
    "shared": lambda x, y: (x + y) * (x + y) + (x + y).exp(),
    "dots": lambda x, y: 1 + 2 * x + x * y + y * y + x * 0.5 + y,
    "detach": lambda x, y: x * y.detach(),
    "constants": lambda x, y: x * Value(3.0).exp() + Value(2.0) * Value(5.0),
}


@pytest.mark.parametrize("name", EVERY_OP)
def test_every_op_compiles_to_eager_values_and_gradients(name, variant):
    function = EVERY_OP[name]
    points = np.random.default_rng(5).uniform(0.2, 2.5, size=(37, 2))
    eager = []
    for x, y in points.tolist():
        a, b = Value(x), Value(y)
        out = function(a, b)
        out.backward()
        eager.append((out.data, a.grad, b.grad))
    values, gradients = mg.compile(lambda p: function(*p), batch=True).value_and_grad(points)
    close(values, [e[0] for e in eager])
    assert gradients == pytest.approx(np.array([e[1:] for e in eager]), rel=1e-12, abs=1e-13)
    compiled = mg.compile(function)
    for (x, y), expected in zip(points.tolist()[:5], eager, strict=False):
        a, b = Value(x), Value(y)
        out = compiled(a, b)
        out.backward()
        assert (out.data, a.grad, b.grad) == pytest.approx(expected, rel=1e-12, abs=1e-13)


def test_take_picks_by_an_input_and_passes_gradient_to_what_was_picked():
    rows = [[Value(10.0 * r + c) for c in range(3)] for r in range(4)]
    pick = mg.compile(lambda k: sum(v * v for v in mg.take(rows, k)))
    for k in range(4):
        out = pick(np.int64(k))
        close(out.data, sum((10.0 * k + c) ** 2 for c in range(3)))
        grads = grads_of(out, [v for row in rows for v in row])
        assert [g != 0 for g in grads] == [
            r == k and 10 * r + c > 0 for r in range(4) for c in range(3)
        ]
    batched = mg.compile(lambda k, x: mg.take([x, 2 * x, 3 * x], k), batch=True)
    close(batched(np.array([2, 0, 1]), np.array([1.0, 5.0, 7.0])).data, [3.0, 5.0, 14.0])
    for wrong in (np.int64(4), np.int64(-1)):
        with pytest.raises(IndexError, match=r"mg\.take"):
            pick(wrong)


def test_vectors_of_parameters():
    values = [Value(1.0), Value(2.0)]
    (values[0] * values[1]).backward()
    assert nn.utils.parameters_to_vector(values).tolist() == [1.0, 2.0]
    assert nn.utils.gradients_to_vector(values).tolist() == [2.0, 1.0]
    nn.utils.vector_to_parameters(np.array([5.0, 6.0]), values)
    assert [v.data for v in values] == [5.0, 6.0]
    masked = np.ma.masked_array([1.0, 2.0], [True, False])
    for wrong, error in ((np.ones(3), ValueError), (["a", "b"], TypeError), (masked, TypeError)):
        with pytest.raises(error):
            nn.utils.vector_to_parameters(wrong, values)
    with pytest.raises(TypeError):
        nn.utils.parameters_to_vector([1.0])
