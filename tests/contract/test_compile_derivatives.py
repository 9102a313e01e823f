"""Methods of compiled functions that give derivatives: NumPy in and out, in every shape."""

import copy
import gc
import pickle
import weakref

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import micrograd_fast as mg
from micrograd_fast import directions, functional, nn
from micrograd_fast.engine import Value

RNG = np.random.default_rng(3)


@pytest.fixture(params=["written out", "lanes"])
def way(request, monkeypatch):
    """Both ways to a Jacobian."""
    if request.param == "lanes":
        monkeypatch.setattr(directions, "WRITTEN_OUT", 0)
        monkeypatch.setattr(directions, "WRITTEN_OUT_SHARE", 0)
    return request.param


def differences(f, x, h=1e-6):
    """The Jacobian of a function of one array, results first, by central differences."""
    x = np.asarray(x, float)
    columns = []
    for k in range(x.size):
        step = np.zeros(x.size)
        step[k] = h
        step = step.reshape(x.shape)
        columns.append((np.asarray(f(x + step)) - np.asarray(f(x - step))) / (2 * h))
    return np.stack(columns, axis=-1).reshape(*np.shape(columns[0]), *x.shape)


def test_long_ones_take_directions_as_samples(way):
    f = mg.compile(lambda x: [(x[0] * x[1]).sin(), x[0] * x[2], x[1] * x[2], x[2] ** 2])
    x = np.array([1.0, 2.0, 3.0])
    f.jacobian(x)
    f.jacobian(x, mode="reverse")
    kinds = {key[0] for key in f._traces.derived if len(key) == 3}
    assert ("jacobian forward lanes" in kinds) == (way == "lanes")
    assert ("jacobian reverse lanes" in kinds) == (way == "lanes")


def pendulum():
    @mg.compile
    def f(x, scale, shift=0.5):
        (a, b), (c, d) = x
        return [[(a * b).sin() * scale, c.exp() + d], [a * d + shift, (b * c).tanh()], [b, c * c]]

    return f


def test_jacobian_products_and_modes(way):
    f = pendulum()
    x, v, w = RNG.normal(size=(2, 2)), RNG.normal(size=(2, 2)), RNG.normal(size=(3, 2))
    expected = differences(lambda x: f.values(x, 3.0), x)
    jacobian = f.jacobian(x, 3.0)
    assert jacobian.shape == (3, 2, 2, 2)
    np.testing.assert_allclose(jacobian, expected, atol=1e-8)
    for mode in ("forward", "reverse"):
        np.testing.assert_allclose(f.jacobian(x, 3.0, mode=mode), jacobian, rtol=1e-14, atol=1e-15)
    np.testing.assert_allclose(f.jvp(x, v, 3.0), np.tensordot(jacobian, v, 2), rtol=1e-13)
    np.testing.assert_allclose(f.vjp(x, w, 3.0), np.tensordot(w, jacobian, 2), rtol=1e-13)
    again = f.jacobian(x, 3.0, shift=2.0)  # words are arguments too
    np.testing.assert_allclose(again, jacobian, rtol=1e-14, atol=1e-15)
    by_scale = f.jacobian(x, 3.0, argnums=1)
    assert by_scale.shape == (3, 2) and by_scale[0, 0] == pytest.approx(f.values(x, 1.0)[0, 0])
    both = f.jacobian(x, 3.0, argnums=(0, 1))
    np.testing.assert_allclose(both[0], jacobian, rtol=1e-14, atol=1e-15)
    np.testing.assert_allclose(both[1], by_scale, rtol=1e-14)
    np.testing.assert_allclose(
        f.jvp(x, (v, 2.0), 3.0, argnums=(0, 1)),
        np.tensordot(jacobian, v, 2) + 2 * by_scale,
        rtol=1e-12,
    )


def test_hessian_and_its_products(way):
    @mg.compile
    def f(x, y):
        return (x[0] * x[1].exp() + x[2] ** 3 * y).tanh() + y * y * x[0]

    x, v = np.array([0.3, -0.2, 0.5]), np.array([1.0, 2.0, -1.0])
    hessian = f.hessian(x, 0.7)
    np.testing.assert_allclose(hessian, differences(lambda x: f.grad(x, 0.7), x), atol=1e-8)
    np.testing.assert_allclose(hessian, hessian.T, rtol=1e-12)
    np.testing.assert_allclose(f.hvp(x, v, 0.7), hessian @ v, rtol=1e-12)
    np.testing.assert_allclose(f.grad(x, 0.7), f.value_and_grad(x, 0.7)[1])
    (xx, xy), (yx, yy) = f.hessian(x, 0.7, argnums=(0, 1))
    np.testing.assert_allclose(xx, hessian, rtol=1e-12)
    assert xy.shape == yx.shape == (3,) and isinstance(yy, float)
    np.testing.assert_allclose(xy, yx, rtol=1e-12)
    np.testing.assert_allclose(xy, differences(lambda y: f.grad(x, float(y)), 0.7), atol=1e-8)
    dx, dy = f.hvp(x, (v, 2.0), 0.7, argnums=(0, 1))
    np.testing.assert_allclose(dx, hessian @ v + 2 * xy, rtol=1e-12)
    assert dy == pytest.approx(yx @ v + 2 * yy)


def test_of_a_plain_number(way):
    f = mg.compile(lambda x: x**3 + x.sin())
    assert f.value_and_grad(2.0) == pytest.approx((8 + np.sin(2), 12 + np.cos(2)))
    assert f.grad(2.0) == f.jacobian(2.0) == pytest.approx(12 + np.cos(2))
    assert f.hessian(2.0) == pytest.approx(12 - np.sin(2))
    assert f.hvp(2.0, 0.5) == pytest.approx(6 - np.sin(2) / 2)
    assert f.jvp(2.0, 0.5) == f.vjp(2.0, 0.5) == pytest.approx(6 + np.cos(2) / 2)
    assert type(f.grad(2.0)) is type(f.hessian(2.0)) is type(f.jacobian(2.0)) is float
    assert f.grad(np.float32(2.0)) == pytest.approx(12 + np.cos(2))
    g = mg.compile(lambda a, b: [a * b, a + b])
    np.testing.assert_array_equal(g.jacobian(2.0, 3.0, argnums=-1), [2.0, 1.0])


def test_batches_give_one_a_sample():
    @mg.compile(batch=True)
    def f(x, y, scale):
        return [x[0] * x[1] * scale, (x[1] * y).sin(), y * y]

    n = 7
    x, y = RNG.normal(size=(n, 2)), RNG.normal(size=n)
    v, w = RNG.normal(size=(n, 2)), RNG.normal(size=(n, 3))
    jacobian = f.jacobian(x, y, 2.0)
    assert jacobian.shape == (n, 3, 2)
    one = mg.compile(f.__wrapped__)
    for k in range(n):
        np.testing.assert_allclose(jacobian[k], one.jacobian(x[k], y[k], 2.0), rtol=1e-13)
    np.testing.assert_allclose(f.jacobian(x, y, 2.0, mode="forward"), jacobian, rtol=1e-13)
    np.testing.assert_allclose(f.jvp(x, v, y, 2.0), np.einsum("bij,bj->bi", jacobian, v))
    np.testing.assert_allclose(f.vjp(x, w, y, 2.0), np.einsum("bi,bij->bj", w, jacobian))
    dx, dy = f.jacobian(x, y, 2.0, argnums=[0, 1])
    assert dx.shape == (n, 3, 2) and dy.shape == (n, 3)
    np.testing.assert_allclose(dy[:, 2], 2 * y)

    @mg.compile(batch=True)
    def g(x, y):
        return x[0] ** 3 * y + x[1].exp()

    hessian = g.hessian(x, y)
    assert hessian.shape == (n, 2, 2)
    np.testing.assert_allclose(hessian[:, 0, 0], 6 * x[:, 0] * y)
    np.testing.assert_allclose(g.hvp(x, v, y), np.einsum("bij,bj->bi", hessian, v))
    values, (dx, dy) = g.value_and_grad(x, y, argnums=(0, 1))
    np.testing.assert_allclose(values, g.values(x, y))
    np.testing.assert_allclose(dy, x[:, 0] ** 3)
    np.testing.assert_allclose(g.grad(x, y, argnums=0), dx)
    assert g.hessian(x[:0], y[:0]).shape == (0, 2, 2)


def test_by_parameters(way):
    model = nn.MLP(2, [4, 1], activation="tanh")
    params = model.parameters()
    X, y = RNG.normal(size=(9, 2)), RNG.normal(size=9)

    @mg.compile(batch=True)
    def loss(x, target):
        return (model(x) - target) ** 2

    @mg.compile
    def outputs(rows):
        return [model(row) for row in rows]

    def gradient(numbers):
        before = [p.data for p in params]
        for p, number in zip(params, numbers, strict=True):
            p.data = number
        found = loss.grad(X, y, params=params)
        for p, number in zip(params, before, strict=True):
            p.data = number
        return found

    at = np.array([p.data for p in params])
    v = RNG.normal(size=at.size)
    full = differences(gradient, at)
    np.testing.assert_allclose(loss.hvp(v, X, y, params=params), full @ v, atol=1e-7)
    np.testing.assert_allclose(loss.hessian(X, y, params=params).mean(0), full, atol=1e-7)
    jacobian = outputs.jacobian(X, params=params)
    assert jacobian.shape == (9, at.size)
    np.testing.assert_allclose(outputs.jvp(v, X, params=params), jacobian @ v, rtol=1e-11)
    w = RNG.normal(size=9)
    np.testing.assert_allclose(outputs.vjp(w, X, params=params), w @ jacobian, rtol=1e-11)
    rows = loss.jacobian(X, y, params=params)
    np.testing.assert_allclose(rows.mean(0), gradient(at), rtol=1e-11)
    np.testing.assert_allclose(loss.jvp(v, X, y, params=params), rows @ v, rtol=1e-10)
    params[0].data += 0.25  # parameters are read at every call
    np.testing.assert_allclose(
        loss.hvp(v, X, y, params=params),
        differences(gradient, [p.data for p in params]) @ v,
        atol=1e-7,
    )
    assert all(p.grad == 0.0 for p in params)


def test_a_function_that_changes_is_traced_again(way):
    power = [2]
    f = mg.compile(lambda x: sum(v ** power[0] for v in x))
    x = np.array([1.0, 2.0])
    np.testing.assert_array_equal(f.hessian(x), [[2, 0], [0, 2]])
    power[0] = 3
    np.testing.assert_array_equal(f.hessian(x), [[6, 0], [0, 12]])
    np.testing.assert_array_equal(f.hvp(x, np.ones(2)), [6, 12])
    several = [False]
    g = mg.compile(lambda x: [x[0], x[1] * x[0]] if several[0] else x[0] * x[1])
    assert g.jacobian(x).shape == (2,)
    several[0] = True
    np.testing.assert_array_equal(g.jacobian(x), [[1, 0], [2, 1]])


def test_other_shapes_of_one_function(way):
    f = mg.compile(lambda x: [v * v for v in x])
    for n in (2, 3, 2, 1, 5):
        np.testing.assert_array_equal(f.jacobian(np.ones(n)), 2 * np.eye(n))
    g = mg.compile(lambda x, k: [v**k for v in x])
    for k in (1, 2, 3, 1):
        np.testing.assert_array_equal(g.jacobian(np.ones(2), k), k * np.eye(2))


def test_lists_as_long_as_there_are_directions(way):
    f = mg.compile(lambda x, t, pair: [functional.dot(x, t) * pair["a"][0] for _ in x])
    found = f.jacobian(np.ones(3), [1.0, 2.0, 3.0], {"a": (2.0, 5.0)})
    np.testing.assert_array_equal(found, [[2.0, 4.0, 6.0]] * 3)


class Line:
    def __init__(self, slope):
        self.slope = Value(slope)

    @mg.compile
    def f(self, x):
        return [self.slope * x[0] * x[1], x[0]]

    @mg.compile(batch=True)
    def g(self, x):
        return self.slope * x**3

    @mg.compile  # outside: since CPython 3.13 a classmethod binds nothing that is inside it
    @classmethod
    def h(cls, x):
        return x * x * cls.factor

    factor = 3.0


def test_methods_belong_to_their_objects(way):
    one, other = Line(2.0), Line(5.0)
    x = np.array([3.0, 4.0])
    np.testing.assert_array_equal(one.f.jacobian(x), [[8.0, 6.0], [1.0, 0.0]])
    np.testing.assert_array_equal(other.f.jacobian(x), [[20.0, 15.0], [1.0, 0.0]])
    np.testing.assert_array_equal(one.f.jvp(x, np.ones(2)), [14.0, 1.0])
    np.testing.assert_array_equal(one.g.hessian(x), 12.0 * x)
    np.testing.assert_array_equal(one.g.hvp(np.array([2.0]), x, params=[one.slope]), [0.0])
    np.testing.assert_array_equal(one.f.jacobian(x, params=[one.slope]), [[12.0], [0.0]])
    twin = copy.deepcopy(one)
    twin.slope.data = 7.0
    np.testing.assert_array_equal(twin.f.jacobian(x)[0], [28.0, 21.0])
    np.testing.assert_array_equal(pickle.loads(pickle.dumps(one)).f.jacobian(x)[0], [8.0, 6.0])
    gone = weakref.ref(one)
    gc.disable()
    try:
        del one
        assert gone() is None  # no cycle
    finally:
        gc.enable()


def test_class_methods(way):
    assert Line.h.hessian(2.0) == 6.0


@settings(max_examples=25)
@given(st.integers(1, 4), st.integers(1, 4), st.integers(0, 10**6))
def test_random_quadratic_maps(n, m, seed):
    """<w, J v> is <J' w, v>, and all ways give one Jacobian and Hessian."""
    rng = np.random.default_rng(seed)
    A, B = rng.normal(size=(m, n, n)), rng.normal(size=(m, n))

    def f(x):
        return [
            (
                sum(float(a[i, j]) * x[i] * x[j] for i in range(n) for j in range(n))
                + sum(float(b[i]) * x[i] for i in range(n))
            )
            for a, b in zip(A, B, strict=True)
        ]

    x, v, w = rng.normal(size=n), rng.normal(size=n), rng.normal(size=m)
    exact = np.einsum("kij,j->ki", A + A.transpose(0, 2, 1), x) + B
    compiled, batched = mg.compile(f), mg.compile(f, batch=True)
    for mode in ("forward", "reverse"):
        np.testing.assert_allclose(compiled.jacobian(x, mode=mode), exact, rtol=1e-11, atol=1e-12)
        found = batched.jacobian(x[None], mode=mode)
        np.testing.assert_allclose(found, exact[None], rtol=1e-11, atol=1e-12)
    left, right = w @ compiled.jvp(x, v), compiled.vjp(x, w) @ v
    assert left == pytest.approx(right, abs=1e-11)
    one = mg.compile(lambda x: f(x)[0])
    hessian = A[0] + A[0].T
    np.testing.assert_allclose(one.hessian(x), hessian, rtol=1e-11, atol=1e-12)
    np.testing.assert_allclose(one.hvp(x, v), hessian @ v, rtol=1e-11, atol=1e-12)


def test_results_are_the_caller_s():
    f = mg.compile(lambda x: [x[0] * x[1], x[1]])
    x = np.array([2.0, 3.0])
    first = f.jacobian(x)
    first[:] = 0.0
    np.testing.assert_array_equal(f.jacobian(x), [[3.0, 2.0], [0.0, 1.0]])
    assert f.jacobian(x).flags.writeable


def test_arguments_of_other_types():
    f = mg.compile(lambda x: x[0] * x[1])
    for x in (np.array([2, 3], np.float32), np.array([2.0, 3.0], ">f8"), [2.0, 3.0], (2.0, 3.0)):
        np.testing.assert_array_equal(f.hessian(x), [[0.0, 1.0], [1.0, 0.0]])
    g = mg.compile(lambda x, k: mg.take(x, k) ** 2)
    np.testing.assert_array_equal(g.hessian(np.ones(3), np.int64(1)), np.diag([0.0, 2.0, 0.0]))


def test_derivatives_are_kept_within_bounds():
    f = mg.compile(lambda x: x[0] * x[1])
    w = [Value(2.0 + k) for k in range(directions.MAX_DERIVED + 20)]
    g = mg.compile(lambda x: functional.dot(w, w) * x[0])
    for _ in range(2):
        for k, p in enumerate(w):
            assert g.hvp(np.array([1.0]), np.ones(2), params=[p]) == [2.0]
            assert g.jvp(np.array([3.0]), np.ones(2), params=[p]) == 6.0 * p.data
            assert g.jacobian(np.ones(k + 1))[0] == functional.dot(w, w).data
            assert g.hessian(np.ones(2), params=[p]).shape == (1, 1)
            assert len(g._traces.derived) <= directions.MAX_DERIVED
            assert len(g._traces.derived.get("params", ())) <= directions.MAX_DERIVED + 1
    f.hvp(np.ones(2), np.ones(2))
    f.cache_clear()
    assert not f._traces.derived


ONE = mg.compile(lambda x: x[0] * x[1])
MANY = mg.compile(lambda x: [x[0], x[1]])
ROWS = mg.compile(lambda x: x[0] * x[1], batch=True)
X = np.ones(2)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: ONE.grad(), IndexError, "argnums is 0, but 0 arguments"),
        (lambda: ONE.hessian(X, argnums=1), IndexError, "argnums is 1, but 1 argument"),
        (lambda: ONE.jacobian(X, argnums="a"), TypeError, "argnums must be an int"),
        (lambda: ONE.jacobian(X, argnums=[]), ValueError, "argnums must name"),
        (lambda: ONE.jacobian(X, argnums=[0, 0]), ValueError, "argnums names argument 0 twice"),
        (lambda: ONE.hessian(np.ones(2, int)), TypeError, "argument 0 is of dtype int64"),
        (lambda: ONE.hessian(3), TypeError, "argument 0 is of type 'int'"),
        (lambda: ONE.grad(X, argnums=0, params=[]), ValueError, "argnums or params, not both"),
        (lambda: ONE.hessian("a"), TypeError, "argument 0 is of type 'str'"),
        (lambda: ONE.jvp(X), TypeError, "v is missing, which comes after the first argument"),
        (lambda: ONE.hvp(params=[]), TypeError, "v is missing, which comes before"),
        (lambda: ONE.jvp(X, np.ones(3)), ValueError, r"v must be of shape \(2,\), not \(3,\)"),
        (lambda: ONE.hvp(X, 1.0), ValueError, r"v must be of shape \(2,\), not \(\)"),
        (lambda: ONE.hvp(X, ["a", "b"]), TypeError, "v must be of real numbers"),
        (lambda: ONE.hvp(X, X, argnums=[0]), ValueError, "v must have an array for each"),
        (lambda: MANY.vjp(X, np.ones(3)), ValueError, "w must have 2 items"),
        (lambda: ONE.vjp(X, np.ones(3)), TypeError, "w must be a number or a Value"),
        (lambda: MANY.vjp(X, "a"), TypeError, "w must be of real numbers"),
        (lambda: MANY.hessian(X), ValueError, "returns several Values"),
        (lambda: MANY.hvp(X, X), ValueError, "returns several Values"),
        (lambda: MANY.hvp(X[:1], X, params=[Value(1.0)]), ValueError, "returns several Values"),
        (lambda: MANY.value_and_grad(X, argnums=0), ValueError, "returns several Values"),
        (lambda: mg.compile(lambda x: {"a": x}).jacobian(2.0), TypeError, "neither one Value nor"),
        (lambda: mg.compile(lambda x: [x, [x]]).jacobian(2.0), TypeError, "neither one Value nor"),
        (lambda: ONE.jacobian(X, mode="both"), ValueError, "mode must be 'forward', 'reverse'"),
        (lambda: ONE.jacobian(X, params=[1.0]), TypeError, r"params\[0\] must be a Value"),
        (lambda: ONE.jacobian(X, params=[Value(1.0) * 2]), ValueError, "is not a leaf"),
        (lambda: ROWS.hessian(2.0), TypeError, "argument 0 is a number, the same in all samples"),
        (lambda: ROWS.jvp(np.ones((3, 2)), np.ones(2)), ValueError, r"of shape \(3, 2\)"),
        (lambda: mg.compile(lambda x: ONE.hessian([x, x]))(2.0), mg.TraceError, "hessian inside"),
    ],
)
def test_bad_input(call, error, words):
    with pytest.raises(error, match=words):
        call()
    np.testing.assert_array_equal(ONE.hessian(X), [[0.0, 1.0], [1.0, 0.0]])
