"""Derivatives of every order against JAX's, where it is installed: pip install jax."""

from functools import reduce

import numpy as np
import pytest

import micrograd_fast as mg
from micrograd_fast import Value, nn

jax = pytest.importorskip("jax")
jnp = pytest.importorskip("jax.numpy")

RTOL = 1e-10


@pytest.fixture(scope="module", autouse=True)
def float64():
    before = jax.config.jax_enable_x64
    jax.config.update("jax_enable_x64", True)
    yield
    jax.config.update("jax_enable_x64", before)


def close(mine, theirs):
    theirs = np.asarray(theirs)
    scale = max(1.0, np.abs(theirs).max(initial=0.0))
    np.testing.assert_allclose(mine, theirs, rtol=RTOL, atol=RTOL * scale)


# ---- random programs, of Values and of JAX's arrays ----

UNARY = {
    "tanh": (Value.tanh, jnp.tanh),
    "sin": (Value.sin, jnp.sin),
    "sigmoid": (Value.sigmoid, jax.nn.sigmoid),
    "exp": (lambda v: (v * 0.3).exp(), lambda v: jnp.exp(v * 0.3)),
    "sqrt": (lambda v: (v * v + 1.0).sqrt(), lambda v: jnp.sqrt(v * v + 1.0)),
    "log": (lambda v: (v * v + 0.5).log(), lambda v: jnp.log(v * v + 0.5)),
    "cube": (lambda v: v**3 * 0.1, lambda v: v**3 * 0.1),
    "relu": (Value.relu, jax.nn.relu),
}
BINARY = {
    "add": (lambda a, b: a + b, lambda a, b: a + b),
    "mul": (lambda a, b: a * b, lambda a, b: a * b),
    "div": (lambda a, b: a / (b * b + 1), lambda a, b: a / (b * b + 1)),
    "max": (lambda a, b: a.maximum(b), jnp.maximum),
    "where": (
        lambda a, b: mg.where(a < b, a * 2, b - a),
        lambda a, b: jnp.where(a < b, a * 2, b - a),
    ),
}


def program(rng, n_inputs, n_results):
    """(of Values, of JAX): functions of a list or array of numbers, that give several."""
    steps = []
    for n in range(rng.integers(3, 14)):
        names = list(UNARY) if rng.random() < 0.5 else list(BINARY)
        steps.append((names[rng.integers(len(names))], rng.integers(0, n_inputs + n, 2)))

    def build(which, gather):
        def f(x):
            values = [x[k] for k in range(n_inputs)]
            for name, (i, j) in steps:
                if name in UNARY:
                    values.append(UNARY[name][which](values[i]))
                else:
                    values.append(BINARY[name][which](values[i], values[j]))
            return gather([v * 0.5 + values[0] * values[1] for v in values[-n_results:]])

        return f

    return build(0, list), build(1, jnp.stack)


@pytest.mark.parametrize("seed", range(25))
def test_random_programs(seed):
    rng = np.random.default_rng(seed)
    n, m = int(rng.integers(2, 7)), int(rng.integers(1, 5))
    mine, theirs = program(rng, n, m)
    x, v, w = rng.normal(size=n), rng.normal(size=n), rng.normal(size=m)
    f, jacobian = mg.compile(mine), jax.jacobian(theirs)
    close(f.values(x), theirs(x))
    for mode in ("forward", "reverse"):
        close(f.jacobian(x, mode=mode), jacobian(x))
    close(f.jacobian(x, sparse=True).toarray(), jacobian(x))
    close(f.jvp(x, v), jax.jvp(theirs, (x,), (v,))[1])
    close(f.vjp(x, w), jax.vjp(theirs, x)[1](jnp.asarray(w))[0])
    g, total = mg.compile(lambda x: sum(mine(x))), lambda x: theirs(x).sum()
    close(g.grad(x), jax.grad(total)(x))
    close(g.hessian(x), jax.hessian(total)(x))
    close(g.hessian(x, sparse=True).toarray(), jax.hessian(total)(x))
    close(g.hvp(x, v), jax.hessian(total)(x) @ v)
    many = rng.normal(size=(5, n))
    batched = mg.compile(mine, batch=True)
    close(batched.jacobian(many), jax.vmap(jacobian)(many))
    one = mg.compile(lambda x: sum(mine(x)), batch=True)
    close(one.hessian(many), jax.vmap(jax.hessian(total))(many))
    # Eagerly: the gradient of a directional second derivative, which is of third order.
    slopes = mg.grad(lambda x: sum(mine(x)))
    third = mg.grad(lambda x: sum(a * b for a, b in zip(slopes(x), v, strict=True)))
    close([d.data for d in third(x)], jax.grad(lambda x: jax.grad(total)(x) @ v)(x))


# ---- a network ----


@pytest.mark.parametrize("order", [1, 2, 3])
@pytest.mark.parametrize("activation", ["tanh", "sigmoid"])
def test_a_network_to_the_third_order(order, activation):
    model = nn.MLP(1, [5, 4, 1], activation=activation)
    step = {"tanh": jnp.tanh, "sigmoid": jax.nn.sigmoid}[activation]
    layers = [
        (
            np.array([[w.data for w in n.w] for n in layer.neurons]),
            [n.b.data for n in layer.neurons],
        )
        for layer in model.layers
    ]

    def theirs(t):
        x = jnp.reshape(t, (1,))
        for k, (w, b) in enumerate(layers):
            x = w @ x + jnp.asarray(b)
            x = step(x) if k < len(layers) - 1 else x
        return x[0]

    mine = reduce(lambda f, _: mg.grad(f), range(order), lambda t: model([t]))
    expected = jax.vmap(reduce(lambda f, _: jax.grad(f), range(order), theirs))
    times = np.linspace(-2.0, 2.0, 9)
    close([mine(t).data for t in times.tolist()], expected(times))
    compiled = mg.compile(mine, batch=True)
    close(compiled.values(times), expected(times))
    values, slopes = compiled.value_and_grad(times)
    close(values, expected(times))
    close(slopes, jax.vmap(jax.grad(lambda t: expected(t[None])[0]))(times))


# ---- random programs with conditions, of special numbers ----

SPECIAL = [0.0, -0.0, 1.0, -1.0, 0.5, -2.0, 1e-300, -1e160, 1e300, np.inf, -np.inf, np.nan]
SAFE = {
    "sqrt": (Value.sqrt, jnp.sqrt),
    "log": (Value.log, jnp.log),
    "reciprocal": (lambda v: 1.0 / v, lambda v: 1.0 / v),
    "exp": (lambda v: (-v).exp(), lambda v: jnp.exp(-v)),
    "erf": (Value.erf, jax.scipy.special.erf),
}


def conditional_program(rng):
    """(of Values, of JAX): JAX's own formulas never meet the arm that is not taken, by a second
    select within; ours do."""
    steps = []
    for n in range(rng.integers(2, 9)):
        kind = ["where", "where", "guarded", "sum"][rng.integers(4)]
        name = list(SAFE)[rng.integers(len(SAFE))]
        steps.append((kind, name, rng.integers(0, n + 2, 4), int(rng.integers(3))))

    def condition(a, b, c, joined):
        return [a < b, (a < b) & (c >= 0.25), (a <= b) | ~(c > 0.25)][joined]

    def of_values(xs):
        values = list(xs)
        for kind, name, operands, joined in steps:
            a, b, c, d = (values[k] for k in operands)
            if kind == "sum":
                values.append(a * 0.5 + b)
            elif kind == "where":
                values.append(mg.where(condition(a, b, c, joined), c * 1.5, d - a))
            else:
                values.append(mg.where(a > 0.1, SAFE[name][0](a), b * 0.3))
        return values[-1] + values[0] * 0.1

    def of_jax(xs):
        values = list(xs)
        for kind, name, operands, joined in steps:
            a, b, c, d = (values[k] for k in operands)
            if kind == "sum":
                values.append(a * 0.5 + b)
            elif kind == "where":
                values.append(jax.lax.select(condition(a, b, c, joined), c * 1.5, d - a))
            else:
                safe = jax.lax.select(a > 0.1, a, jnp.ones_like(a))
                values.append(jax.lax.select(a > 0.1, SAFE[name][1](safe), b * 0.3))
        return values[-1] + values[0] * 0.1

    return of_values, of_jax


@pytest.mark.parametrize("seed", range(25))
def test_conditions_of_special_numbers(seed, variant):
    rng = np.random.default_rng(seed)
    ours, theirs = conditional_program(rng)
    x = np.where(rng.random((65, 2)) < 0.6, rng.choice(SPECIAL, (65, 2)), rng.normal(0, 2, (65, 2)))
    f = mg.compile(ours, batch=True)
    values, slopes = f.value_and_grad(x)
    second = f.hessian(x)
    expected, gradients = jax.vmap(jax.value_and_grad(theirs))(x)
    hessians = jax.vmap(jax.hessian(theirs))(x)
    for mine, right in ((values, expected), (slopes, gradients), (second, hessians)):
        right = np.asarray(right)
        known = np.isfinite(right)
        size = np.maximum(1.0, np.abs(right[known]))
        assert np.all(np.abs(mine[known] - right[known]) <= 1e-10 * size)
        assert known.mean() > 0.2
    same = np.isfinite(np.asarray(expected)) == np.isfinite(values)
    assert same.all()
