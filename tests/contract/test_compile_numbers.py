"""Calls for their numbers alone: value_and_grad, whose results are those of backward()."""

import gc
import math
import threading
import weakref

import numpy as np
import pytest

import micrograd_fast as mg
from micrograd_fast import functional, nn
from micrograd_fast.engine import Value

X = np.random.default_rng(3).normal(size=(7, 3))


def gradient_of(result, params):
    """By backward(), as value_and_grad gives it; every grad is 0 again."""
    for p in params:
        p.grad = 0.0
    result.backward()
    found = np.array([p.grad for p in params])
    for p in params:
        p.grad = 0.0
    return found


# ---- params ----


@pytest.fixture
def model():
    return nn.MLP(3, [4, 2], activation="tanh")


@pytest.fixture
def loss(model):
    return mg.compile(lambda x: functional.sum(model(x)).tanh(), batch=True)


def test_the_gradient_of_params_is_that_of_the_mean_to_the_last_bit(model, loss):
    params = model.parameters()
    for _ in range(3):
        value, gradient = loss.value_and_grad(X, params=params)
        mean = loss(X).mean()
        assert (type(value), value) == (float, mean.data)
        assert gradient.tolist() == gradient_of(mean, params).tolist()


@pytest.mark.parametrize("make", [list, tuple, iter, lambda ps: (p for p in ps), np.array])
def test_params_may_be_anything_that_gives_values(model, loss, make):
    params = model.parameters()
    expected = gradient_of(loss(X).mean(), params)
    for _ in range(2):
        assert loss.value_and_grad(X, params=make(params))[1].tolist() == expected.tolist()


def test_params_may_come_in_any_order_twice_or_in_part_and_may_change(model, loss):
    params = model.parameters()
    expected = dict(zip(params, gradient_of(loss(X).mean(), params), strict=True))
    other = Value(1.0)
    expected[other] = 0.0
    lists = [params[::-1], params[3:5], [params[2]] * 3, [other, *params], [*params, other], []]
    changing = list(params)
    for some in [*lists, *lists]:
        changing[:] = some
        _, gradient = loss.value_and_grad(X, params=changing)
        assert (gradient.dtype, gradient.shape) == (np.float64, (len(some),))
        assert gradient.tolist() == [expected[p] for p in some]
        changing.reverse()
        assert loss.value_and_grad(X, params=changing)[1].tolist() == gradient[::-1].tolist()


def test_what_comes_back_is_the_caller_s(model, loss):
    params = model.parameters()
    _, first = loss.value_and_grad(X, params=params)
    kept = first.copy()
    first[:] = 7.0
    _, second = loss.value_and_grad(2 * X, params=params)
    assert first.tolist() == [7.0] * len(params)
    assert loss.value_and_grad(X, params=params)[1].tolist() == kept.tolist()
    assert second.tolist() != kept.tolist()
    assert first.flags.writeable and first.flags.owndata


def test_params_that_the_function_does_not_read_are_not_kept_alive(live_nodes_unchanged):
    p = Value(2.0)
    f = mg.compile(lambda x: x * p)
    gc.disable()
    try:
        for argument in (False, True):
            q = Value(3.0)
            gone = weakref.ref(q)
            value, gradient = f.value_and_grad(q if argument else 3.0, params=[p, q])
            assert (value, gradient.tolist()) == (6.0, [3.0, 2.0 * argument])
            del q
            assert gone() is None
    finally:
        gc.enable()


def test_a_param_that_is_no_leaf_any_more_is_refused_at_every_call(model, loss):
    params = model.parameters()
    loss.value_and_grad(X, params=params)
    for bad, error in ((params[1] * 1, ValueError), (1.0, TypeError), (None, TypeError)):
        for _ in range(2):
            with pytest.raises(error, match=r"value_and_grad: params\[1\]"):
                loss.value_and_grad(X, params=[params[0], bad])
    for bad in (5, Value(1.0)):
        with pytest.raises(TypeError):
            loss.value_and_grad(X, params=bad)


def test_params_are_checked_before_the_function_is_traced():
    runs = []
    f = mg.compile(lambda x: (runs.append(1), x * 2)[1])
    with pytest.raises(TypeError, match=r"params\[0\]"):
        f.value_and_grad(1.0, params=["p"])
    assert runs == []


def test_a_param_s_own_step_beside_value_and_grad_is_left_alone():
    p = Value(2.0)
    seen = []
    f = mg.compile(lambda x: x * p)
    f.value_and_grad(1.0, params=[p])
    p._backward = lambda: seen.append(p.grad)
    assert f.value_and_grad(3.0, params=[p])[1].tolist() == [3.0]
    assert (seen, p.grad) == ([], 0.0)


# ---- large matrices, whose gradients are put off ----

N_INPUTS, N_UNITS = 130, 127
LARGE = np.random.default_rng(0).normal(size=(6, N_INPUTS))


@pytest.fixture(scope="module")
def large():
    """A layer whose weights have consecutive ids, and its loss."""
    others = []
    while True:
        layer = nn.Layer(N_INPUTS, N_UNITS)
        f = mg.compile(lambda x: (functional.sum(layer(x)) * 1e-3).tanh(), batch=True)  # noqa: B023
        if any(step.deferred for step in f.program(LARGE).steps()):
            return layer, f
        others.append(layer)
        assert len(others) < 50


WAYS = {
    "all": lambda ps: ps,
    "reversed": lambda ps: ps[::-1],
    "in part": lambda ps: ps[5:],
    "turned": lambda ps: ps[7:] + ps[:7],
    "one twice": lambda ps: [*ps, ps[0]],
    "all twice": lambda ps: ps + ps,
    "with another": lambda ps: [Value(1.0), *ps, Value(1.0)],
}


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("n_samples", [6, 200, 1, 0])
def test_large_matrices_give_the_gradient_of_the_mean(large, way, n_samples):
    layer, f = large
    rows = np.random.default_rng(1).normal(size=(n_samples, N_INPUTS))
    params = layer.parameters()
    expected = gradient_of(f(rows).mean(), params) if n_samples else np.zeros(len(params))
    by_param = dict(zip(params, expected, strict=True))
    chosen = WAYS[way](params)
    for _ in range(2):
        value, gradient = f.value_and_grad(rows, params=chosen)
        assert gradient == pytest.approx(
            np.array([by_param.get(p, 0.0) for p in chosen]), rel=1e-12, abs=1e-15
        )
    assert n_samples or math.isnan(value)


def test_threads_get_their_own_gradients_of_params(large):
    layer, f = large
    params = layer.parameters()
    rows = [np.random.default_rng(k).normal(size=(5, N_INPUTS)) for k in range(4)]
    expected = [f.value_and_grad(x, params=params) for x in rows]
    wrong = []

    def work(k):
        for n in range(30):
            some = params if n % 2 else params[k + 1 :]
            value, gradient = f.value_and_grad(rows[k], params=some)
            same = np.array_equal(gradient, expected[k][1][len(params) - len(some) :])
            if value != expected[k][0] or not (same or n % 2 == 0):
                wrong.append((k, n))

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert wrong == []


# ---- arrays ----


def test_the_gradient_of_an_array_is_that_of_its_values():
    f = mg.compile(lambda x: (x[0][0] * x[1][2] + x[0][1]).tanh() * x[1][1])
    x = X[:2].copy()
    values = [[Value(v) for v in row] for row in x.tolist()]
    result = f(values)
    result.backward()
    expected = [[v.grad for v in row] for row in values]
    for _ in range(2):
        value, gradient = f.value_and_grad(x)
        assert (type(value), value) == (float, result.data)
        assert gradient.tolist() == expected
        assert gradient.flags.owndata and gradient.flags.writeable
        gradient[:] = 0.0


def test_the_arrays_of_a_batch_do_not_share_numbers():
    f = mg.compile(lambda x, y: x[0] * y, batch=True)
    y = np.arange(7.0)
    _, (dx, dy) = f.value_and_grad(X, y)
    dx[:] = 7.0
    assert dy.tolist() == X[:, 0].tolist()
    assert f.value_and_grad(X, y)[1][0][:, 0].tolist() == y.tolist()


@pytest.mark.parametrize("shape", [(0,), (3, 0), (0, 2)])
def test_an_array_without_numbers_has_a_gradient_of_its_shape(shape):
    p = Value(2.0)
    f = mg.compile(lambda x: p * 3)
    for _ in range(2):
        value, gradient = f.value_and_grad(np.zeros(shape))
        assert (value, gradient.shape) == (6.0, shape)


def test_an_argument_s_number_that_does_not_matter_has_gradient_zero():
    trash = [np.full(4, 9.0) for _ in range(50)]
    f = mg.compile(lambda x: x[1] * 2)
    del trash
    assert f.value_and_grad(np.ones(4))[1].tolist() == [0.0, 2.0, 0.0, 0.0]


def test_a_function_of_params_alone_needs_no_array_before():
    """NumPy is imported for the first result."""
    p = Value(2.0)
    assert mg.compile(lambda: p * p).value_and_grad(params=[p])[1].tolist() == [4.0]


def test_no_graph_is_made_and_no_grad_changes(model, loss, live_nodes_unchanged):
    params = model.parameters()
    for p in params:
        p.grad = 5.0
    loss.value_and_grad(X, params=params)
    loss.value_and_grad(X)
    assert [p.grad for p in params] == [5.0] * len(params)
    with mg.no_grad():
        assert loss.value_and_grad(X, params=params)[1].any()
    for p in params:
        p.grad = 0.0
