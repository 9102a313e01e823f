"""Rows and uniform numbers in one sum: what people write with a parameter, a penalty, a bias."""

import numpy as np
import pytest

import micrograd_fast as mg
from micrograd_fast import Value, functional, nn

NUMBERS = (1.0, 10.0, 100.0, 1000.0)


def penalised(x, a, b, c, d):
    loss = (1 - x * a).relu()
    for p in (a, b, c, d):
        loss = loss + p * p
    return loss


SUMS = {
    "a row and numbers": lambda x, a, b, c, d: x + a + b + c,
    "a number and more, then a row": lambda x, a, b, c, d: a + b + c + x,
    "products of numbers": lambda x, a, b, c, d: x + a * b + c * d,
    "less products": lambda x, a, b, c, d: x - a * b - c * d,
    "sum()": lambda x, a, b, c, d: sum([x, a, b, c]),
    "functional.sum": lambda x, a, b, c, d: functional.sum([x, a, b, c, d]),
    "squares": lambda x, a, b, c, d: x + a * a + b * b + c * c,
    "a computed row": lambda x, a, b, c, d: x.exp() + a + b * c + d,
    "and a product with a row": lambda x, a, b, c, d: x + a * x + b * c + d * d,
    "and a product of rows": lambda x, a, b, c, d: x + x * x + b * c + d * d,
    "all kinds": lambda x, a, b, c, d: x + a * b + c * x + x * x + d,
    "a penalty": penalised,
    "a detached row": lambda x, a, b, c, d: x.detach() + a + b + c,
    "a choice": lambda x, a, b, c, d: mg.take([x, a], 0) + a + b + c,
}


@pytest.mark.parametrize("batch", [False, True])
@pytest.mark.parametrize("name", SUMS)
@pytest.mark.parametrize("n", [1, 4, 11])
def test_a_sum_of_a_row_and_numbers(name, batch, n):
    function = SUMS[name]
    params = [Value(v) for v in NUMBERS]
    x = np.arange(float(n))
    if batch:
        result = mg.compile(lambda x: function(x, *params), batch=True)(x)
        ours = result.data.tolist()
        result.sum().backward()
    else:
        results = [mg.compile(lambda x: function(x, *params))(v) for v in x.tolist()]
        ours = [z.data for z in results]
        sum(results, Value(0.0)).backward()
    grads = [p.grad for p in params]
    for p in params:
        p.grad = 0.0
    eager = [function(Value(v), *params) for v in x.tolist()]
    sum(eager, Value(0.0)).backward()
    assert ours == pytest.approx([z.data for z in eager], rel=1e-12)
    assert grads == pytest.approx([p.grad for p in params], rel=1e-12)


def test_the_hinge_loss_of_micrograd_with_its_penalty_inside():
    rng = np.random.default_rng(0)
    X, y = rng.normal(size=(100, 2)), rng.choice([-1.0, 1.0], 100)
    model = nn.MLP(2, [16, 16, 1])
    params = model.parameters()

    def loss(x, y):
        total = (1 + -y * model(x)).relu()
        for p in params:
            total = total + 1e-4 * (p * p)
        return total

    batch = mg.compile(loss, batch=True)(X, y)
    batch.mean().backward()
    ours = [p.grad for p in params]
    model.zero_grad()
    eager = [loss(list(map(Value, row)), float(t)) for row, t in zip(X, y, strict=True)]
    (sum(eager, Value(0.0)) / 100).backward()
    assert batch.data.tolist() == pytest.approx([z.data for z in eager], rel=1e-12)
    assert ours == pytest.approx([p.grad for p in params], rel=1e-12, abs=1e-15)


# ---- dots of different kinds over the same inputs ----


def features(x, rows, weights):
    """Dots with rows and dots with numbers as their other factors, over the same inputs."""
    half = len(x) // 2
    first, second = x[:half], x[half:]
    return [
        *[sum(w * v for w, v in zip(row, first, strict=True)) for row in weights],
        *[sum(w * v for w, v in zip(second[k:] + second[:k], first, strict=True)) for k in rows],
    ]


@pytest.mark.parametrize("rows", [(), (0,), (0, 1), (0, 1, 2, 3), (2, 0)])
@pytest.mark.parametrize("n_weights", [0, 1, 4, 5])
def test_dots_with_rows_beside_dots_with_numbers(rows, n_weights):
    weights = [[Value(1.0 + k + 4 * m) for k in range(4)] for m in range(n_weights)]
    X = np.arange(24.0).reshape(3, 8) + 1
    if not rows and not n_weights:
        pytest.skip("no dots at all")
    batch = mg.compile(lambda x: features(x, rows, weights), batch=True)(X)
    sum(batch.sum(), Value(0.0)).backward()
    ours = [w.grad for row in weights for w in row]
    for w in (w for row in weights for w in row):
        w.grad = 0.0
    eager = [features(list(map(Value, row)), rows, weights) for row in X]
    sum((z for row in eager for z in row), Value(0.0)).backward()
    assert batch.data.tolist() == [[z.data for z in row] for row in eager]
    assert ours == [w.grad for row in weights for w in row]


def test_a_matrix_of_parameters_above_one_of_numbers():
    """Only the parameters' part has gradients: their rows and the others' are no one step."""
    weights = [[Value(1.0 + k + 4 * m) for k in range(4)] for m in range(4)]
    fixed = [[2.0 + k + 3 * m for k in range(4)] for m in range(4)]

    def function(x):
        return [sum(w * v for w, v in zip(row, x, strict=True)) for row in [*weights, *fixed]]

    X = np.arange(12.0).reshape(3, 4) + 1
    batch = mg.compile(function, batch=True)(X)
    total = sum(batch.sum(), Value(0.0))
    total.backward()
    assert total.data == sum(z.data for row in X for z in function(list(map(Value, row))))
    assert [[w.grad for w in row] for row in weights] == [X.sum(axis=0).tolist()] * 4
