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
from micrograd_fast import directions, functional, nn, requests
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
    kinds = {key[0] for key in f._traces.derived if len(key) == 4}
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
    w = [Value(2.0 + k) for k in range(requests.MAX_DERIVED + 20)]
    g = mg.compile(lambda x: functional.dot(w, w) * x[0])
    for _ in range(2):
        for k, p in enumerate(w):
            assert g.hvp(np.array([1.0]), np.ones(2), params=[p]) == [2.0]
            assert g.jvp(np.array([3.0]), np.ones(2), params=[p]) == 6.0 * p.data
            assert g.jacobian(np.ones(k + 1))[0] == functional.dot(w, w).data
            assert g.hessian(np.ones(2), params=[p]).shape == (1, 1)
            assert len(g._traces.derived) <= requests.MAX_DERIVED
            assert len(g._traces.derived.get("params", ())) <= requests.MAX_DERIVED + 1
    f.hvp(np.ones(2), np.ones(2))
    f.cache_clear()
    assert not f._traces.derived


# ---- found by a stranger ----


@pytest.mark.parametrize("batch", [False, True])
def test_params_that_are_arguments(batch, way):
    """Derivatives by them count as arguments and as what the function reads."""
    p = [Value(0.5), Value(1.5)]

    def f(p, x, q=p[0]):
        return p[0] ** 2 * p[1] * x * q

    c = mg.compile(f, batch=batch)
    x = np.array([2.0, 2.0]) if batch else 2.0
    want = np.array([3 * 0.25 * 1.5 * 2, 0.125 * 2])  # of p0**3 * p1 * 2
    second = np.array([[6 * 0.5 * 1.5 * 2, 1.5], [1.5, 0.0]])
    many = (lambda a: np.stack([a, a])) if batch else lambda a: a
    for taken in ([p, x], [tuple(p), x]):
        np.testing.assert_allclose(c.grad(*taken, params=p), want)
        for mode in (None, "forward", "reverse"):
            np.testing.assert_allclose(c.jacobian(*taken, params=p, mode=mode), many(want))
        np.testing.assert_allclose(c.hessian(*taken, params=p), many(second))
        np.testing.assert_allclose(c.hvp([1.0, 0.0], *taken, params=p), second[0])
        np.testing.assert_allclose(c.jvp([1.0, 2.0], *taken, params=p), many(want @ [1, 2]))
        w = np.ones(2) if batch else 1.0
        np.testing.assert_allclose(c.vjp(w, *taken, params=p), many(want))
        assert c.jacobian(*taken, params=p, sparse=True).nnz == 2 + 2 * batch
    other = [p[0], Value(1.5)]  # another mapping of the same trace
    np.testing.assert_allclose(c.jacobian(other, x, params=p), many([want[0], 0.0]))
    np.testing.assert_allclose(c.jacobian(p=p, x=x, params=p), many(want))


def test_arguments_that_depend_on_params():
    p = Value(2.0)
    f = mg.compile(lambda a, x: a * a * x)
    rows = mg.compile(lambda x: p * x * x, batch=True)
    batch = mg.compile(lambda x: p * x, batch=True)(np.ones(3))
    for name, before in [("grad", []), ("jacobian", []), ("hessian", []), ("hvp", [[1.0]])]:
        with pytest.raises(ValueError, match=r"ran before"):
            getattr(f, name)(*before, p * p, 2.0, params=[p])
        with pytest.raises(TypeError, match="Batch with a graph"):
            getattr(rows, name)(*before, batch, params=[p])
    assert f.jacobian(Value(3.0) * 2, 2.0, params=[p]).tolist() == [0.0]
    assert rows.jacobian(batch.data, params=[p]).tolist() == [[4.0]] * 3


def test_a_gradient_is_the_same_by_every_door():
    """0 times infinity is not computed, see docs/compile.md."""

    def h(v):
        return mg.maximum(v.sqrt(), 5.0)

    p, zero = Value(0.0), np.zeros(1)
    f = mg.compile(lambda x: h(x[0]))
    batched = mg.compile(h, batch=True)
    of_p = mg.compile(lambda: h(p))
    two = mg.compile(lambda a, b: h(a) * b[0])
    found = [f.grad(zero), f.grad(zero, argnums=0), f.grad([0.0]), f.grad([0.0], argnums=-1)]
    found += [mg.compile(h).grad(0.0), mg.compile(h).grad(np.array(0.0))]
    found += [batched.grad(zero), batched.grad(zero, argnums=0), of_p.grad(params=[p])]
    found += [two.grad(0.0, np.ones(1)), two.grad(0.0, np.ones(1), argnums=(1, 0))[1]]
    assert [float(np.squeeze(g)) for g in found] == [0.0] * len(found)


def test_gradients_by_several_arguments_in_any_order():
    def f(a, b, c, k=1.0):
        return a * b[0] * b[1] * c[1][0] * k + c[0][1]

    a, b, c = 2.0, np.array([3.0, 5.0]), np.array([[1.0, 2.0], [7.0, 1.0]])
    g = mg.compile(f)
    want = mg.grad(f, argnums=(0, 1, 2))(a, b, c, k=2.0)
    numbers = [want[0].data, [d.data for d in want[1]], [[d.data for d in r] for r in want[2]]]
    for argnums in [(0,), (1,), (2, 0), (0, 1, 2), (-1, 1)]:
        found = g.grad(a, b, c, k=2.0, argnums=argnums)
        for k, d in zip(argnums, found, strict=True):
            np.testing.assert_allclose(d, numbers[k], rtol=1e-14)
    assert g.grad(a, b, c, k=2.0) == numbers[0]
    rows = mg.compile(f, batch=True)
    many = np.full(4, a), np.stack([b] * 4), np.stack([c] * 4)
    values, (dc, da) = rows.value_and_grad(*many, k=2.0, argnums=(2, 0))
    np.testing.assert_allclose(values, [g.values(a, b, c, k=2.0)] * 4)
    np.testing.assert_allclose(dc, [numbers[2]] * 4)
    np.testing.assert_allclose(da, [numbers[0]] * 4)
    np.testing.assert_allclose(rows.grad(*many, k=2.0, argnums=0), [numbers[0]] * 4)


def test_gradients_of_a_batch_that_nobody_asked_for_are_not_computed():
    f = mg.compile(lambda x, w, y: (x[0] * w.tanh() + x[1] - y) ** 2, batch=True)
    x, w, y = np.ones((4, 2)), np.full(4, 0.5), np.zeros(4)
    whole = f.grad(x, w, y)
    for argnums in (0, 1, 2, (1,), (2, 0)):
        found = f.grad(x, w, y, argnums=argnums)
        some = argnums if isinstance(argnums, tuple) else (argnums,)
        for k, d in zip(some, found if isinstance(argnums, tuple) else [found], strict=True):
            np.testing.assert_allclose(d, whole[k], rtol=1e-15)
    flats = [v for key, v in f._traces.derived.items() if key[0][0] == "flat"]
    assert len(flats) == 4  # 1 and (1,) are one
    steps = [
        step
        for flat in flats
        for trace in flat._traces.by_signature.values()
        for step in trace.plan.steps()
    ]
    assert sum(step.gradient and step.op == "tanh" for step in steps) == 1  # by w alone


def test_lists_and_arrays_without_axes():
    f = mg.compile(lambda x: x[0] * x[1])
    value, slope = f.value_and_grad([2.0, 3.0])
    assert value == 6.0 and slope.tolist() == [3.0, 2.0]
    assert mg.compile(lambda x: x * x).grad(np.array(2.0)) == 4.0
    assert mg.compile(lambda x: x * x).grad(np.float64(2.0)) == 4.0


def test_of_no_numbers_and_of_no_samples():
    none = np.zeros(0)
    f = mg.compile(lambda x, y: y * y)
    assert f.vjp(none, 1.0, 2.0).shape == f.hvp(none, none, 2.0).shape == (0,)
    assert f.jacobian(none, 2.0, mode="reverse").shape == f.jacobian(none, 2.0).shape == (0,)
    assert f.jacobian(2.0, 3.0, params=[]).shape == (0,)
    rows = mg.compile(lambda x, y: y * y, batch=True)
    empty, y = np.zeros((4, 0)), np.ones(4)
    assert rows.jacobian(empty, y).shape == (4, 0)
    assert rows.hessian(empty, y).shape == (4, 0, 0)
    assert rows.jacobian(y, y, params=[]).shape == (4, 0)
    product = mg.compile(lambda x: x[0] * x[1], batch=True)
    x = np.zeros((0, 3))
    assert product.hvp(x, x).shape == product.grad(x).shape == (0, 3)
    assert product.jvp(x, x).shape == (0,) and product.vjp(x, np.zeros(0)).shape == (0, 3)
    assert product.jacobian(x).shape == (0, 3) and product.hessian(x).shape == (0, 3, 3)


def test_products_have_the_shape_of_the_results():
    f = mg.compile(lambda x: [[x[0] * x[1], x[0]], [x[1], x[1] * x[1]]], batch=True)
    x = np.array([[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]])
    assert f.jvp(x, x).shape == (3, 2, 2)
    np.testing.assert_allclose(f.jvp(x, x), np.einsum("bijk,bk->bij", f.jacobian(x), x))
    w = np.arange(12.0).reshape(3, 2, 2)
    np.testing.assert_allclose(f.vjp(x, w), np.einsum("bijk,bij->bk", f.jacobian(x), w))


def test_tuples_of_results_are_rows():
    f = mg.compile(lambda x: (x[0] * x[1], x[1] ** 2))
    x = np.array([2.0, 3.0])
    assert f.jacobian(x).tolist() == [[3.0, 2.0], [0.0, 6.0]]
    assert f.vjp(x, (1.0, 10.0)).tolist() == [3.0, 62.0]
    assert f.jvp(x, x) == (12.0, 18.0)


def test_weights_of_any_structure():
    f = mg.compile(lambda x: {"a": x[0] * x[1], "b": [x[0], (x[1] * x[1],)]})
    x = np.array([2.0, 3.0])
    assert f.vjp(x, {"a": 1.0, "b": [10.0, (100.0,)]}).tolist() == [13.0, 602.0]
    assert f.jvp(x, x)["b"][1][0] == 18.0
    with pytest.raises(ValueError, match="w must have keys"):
        f.vjp(x, {"a": 1.0})
    with pytest.raises(TypeError, match="neither one Value nor"):
        mg.compile(f.__wrapped__, batch=True).vjp(np.ones((3, 2)), {"a": 1.0, "b": [1.0, (1.0,)]})


ONE = mg.compile(lambda x: x[0] * x[1])
MANY = mg.compile(lambda x: [x[0], x[1]])
ROWS = mg.compile(lambda x: x[0] * x[1], batch=True)
X = np.ones(2)
ENDLESS = [1.0]
ENDLESS.append(ENDLESS)


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: ONE.grad(), TypeError, "needs params=, or an array as first argument"),
        (lambda: ONE.grad(argnums=0), IndexError, "argnums is 0, but 0 arguments"),
        (lambda: ONE.hessian(X, argnums=1), IndexError, "argnums is 1, but 1 argument"),
        (lambda: ONE.jacobian(X, argnums="a"), TypeError, "argnums must be an int"),
        (lambda: ONE.jacobian(X, argnums=[]), ValueError, "argnums must name"),
        (lambda: ONE.jacobian(X, argnums=[0, 0]), ValueError, "argnums names argument 0 twice"),
        (lambda: ONE.grad(np.ones(2, int)), TypeError, "grad: argument 0 is of dtype int64"),
        (lambda: ONE.grad(2), TypeError, "grad: argument 0 is of type 'int'"),
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
        (lambda: MANY.vjp(X, np.ones(3)), ValueError, r"w must be of shape \(2,\), not \(3,\)"),
        (lambda: ONE.vjp(X, np.ones(3)), ValueError, r"w must be of shape \(\), not \(3,\)"),
        (lambda: MANY.vjp(X, "a"), TypeError, "w must be of real numbers"),
        (lambda: MANY.hessian(X), ValueError, "must return one Value, not a list"),
        (lambda: MANY.hvp(X, X), ValueError, "must return one Value, not a list"),
        (
            lambda: MANY.hvp(X[:1], X, params=[Value(1.0)]),
            ValueError,
            "must return one Value, not a list",
        ),
        (lambda: MANY.value_and_grad(X, argnums=0), TypeError, "must return one Value"),
        (lambda: mg.compile(lambda x: {"a": x}).jacobian(2.0), TypeError, "neither one Value nor"),
        (lambda: mg.compile(lambda x: [x, [x]]).jacobian(2.0), TypeError, "neither one Value nor"),
        (lambda: ONE.jvp(X, np.ma.array([1.0, 5.0], mask=[0, 1])), TypeError, "jvp: v .*masked"),
        (lambda: ONE.vjp(X, np.ma.array(1.0, mask=True)), TypeError, "vjp: w .*masked"),
        (lambda: ONE.jvp(X, [[1.0], [1.0, 2.0]]), ValueError, "jvp: v must be an array, or lists"),
        (lambda: ONE.jacobian([[1.0], [1.0, 2.0]]), ValueError, "argument 0 must be an array, or"),
        (lambda: ROWS.vjp(np.ones((4, 2)), np.ones(3)), ValueError, r"w must be of shape \(4,\)"),
        (lambda: ROWS.jacobian([[1.0, 2.0]]), TypeError, "argument 0 is a list, the same in all"),
        (lambda: ONE.hvp(X, X, object()), TypeError, "argument 1 is 'object'"),
        (
            lambda: ONE.jacobian(X, params=2.0),
            TypeError,
            "params must be a list of Values, not 'float",
        ),
        (lambda: ONE.jacobian(X, params=Value(1.0)), TypeError, "list of Values, not one Value"),
        (lambda: ONE.jacobian(X, params={Value(1.0)}), TypeError, "list of Values, not 'set'"),
        (lambda: ONE.grad(X, params=2.0), TypeError, "params must be a list of Values"),
        (lambda: ONE.grad(X, params={Value(1.0)}), TypeError, "params must be a list of Values"),
        (lambda: ONE.jacobian(np.zeros(0), ENDLESS), ValueError, "does one hold itself"),
        (lambda: ONE.jacobian(X, ENDLESS, params=[]), ValueError, "does one hold itself"),
        (lambda: ONE.jacobian(X, mode="both"), ValueError, "mode must be 'forward', 'reverse'"),
        (lambda: ONE.jacobian(X, params=[1.0]), TypeError, r"params\[0\] must be a Value"),
        (lambda: ONE.jacobian(X, params=[Value(1.0) * 2]), ValueError, "is not a leaf"),
        (lambda: ROWS.hessian(2.0), TypeError, "argument 0 is a number, the same in all samples"),
        (lambda: ROWS.jvp(np.ones((3, 2)), np.ones(2)), ValueError, r"of shape \(3, 2\)"),
        (lambda: mg.compile(lambda x: ONE.hessian([x, x]))(2.0), mg.TraceError, "hessian inside"),
    ],
)
def test_bad_input(call, error, words):
    if "must be an array, or" in words and np.lib.NumpyVersion(np.__version__) < "1.24.0":
        pytest.skip("this NumPy makes an array of objects of uneven lists, and warns")
    with pytest.raises(error, match=words):
        call()
    np.testing.assert_array_equal(ONE.hessian(X), [[0.0, 1.0], [1.0, 0.0]])
