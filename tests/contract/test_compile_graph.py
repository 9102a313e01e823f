"""Results of compiled calls in the eager graph: gradients, Batch, no_grad, vectors, inf and nan."""

import gc
import math
import pickle
import random
import warnings

import numpy as np
import pytest
from inputs import X, grads

import micrograd_fast as mg
from micrograd_fast import _core, nn
from micrograd_fast.engine import Value, no_grad

# ---- one graph with eager code ----


def test_value_arguments_get_gradient_like_any_operand():
    a, b = Value(2.0), Value(3.0)
    f = mg.compile(lambda x, y: [x * y, x - y])
    product, difference = f(a * 2, b)
    loss = product * 10 + difference * 100 + a
    loss.backward()
    assert loss.data == 4 * 3 * 10 + (4 - 3) * 100 + 2
    assert (a.grad, b.grad) == (2 * (30 + 100) + 1, 40 - 100)


def test_one_value_given_twice_gets_both_gradients():
    a = Value(3.0)
    mg.compile(lambda x, y: x * x * y)(a, a).backward()
    assert a.grad == 27.0


@pytest.mark.parametrize("n_uses", [1, 2, 5])
def test_a_result_may_be_used_several_times(n_uses):
    p = Value(0.5)
    f = mg.compile(lambda x: (x * p).tanh())
    out = f(2.0)
    sum((out * (k + 1) for k in range(n_uses)), Value(0.0)).backward()
    slope = 2 * (1 - math.tanh(1.0) ** 2)
    assert p.grad == pytest.approx(slope * n_uses * (n_uses + 1) / 2, rel=1e-14)


def test_calls_add_up_in_one_loss_and_over_several_backwards():
    model = nn.MLP(2, [3, 1])
    f = mg.compile(model, batch=True)
    penalty = mg.compile(lambda: 0.1 * sum(p * p for p in model.parameters()))
    loss = f(X).mean() + f(X[:2]).sum() * 2 + f(X)[3] + penalty() + penalty()
    loss.backward()
    ours = grads(*model.parameters())
    eager = sum(model(r) for r in X) / 5 + 2 * sum(model(r) for r in X[:2]) + model(X[3])
    (eager + 0.2 * sum(p * p for p in model.parameters())).backward()
    assert ours == pytest.approx(grads(*model.parameters()), rel=1e-12)
    f(X).sum().backward()
    f(X).mean().backward()
    twice = grads(*model.parameters())
    f(X).sum().backward()
    assert twice == pytest.approx([1.2 * g for g in grads(*model.parameters())], rel=1e-12)


def test_a_compiled_result_feeds_another_compiled_function():
    p, q, a = Value(0.5), Value(2.0), Value(3.0)
    f = mg.compile(lambda x: [x * p, x + p])
    g = mg.compile(lambda u, v: u * v * q)
    out = g(*f(a)) + f(g(a, a))[0]
    out.backward()
    ours = grads(p, q, a)
    eager = (a * p) * (a + p) * q + (a * a * q) * p
    assert out.data == eager.data
    eager.backward()
    assert ours == pytest.approx(grads(p, q, a), rel=1e-14)


def test_a_batch_feeds_another_batched_function():
    p, q = Value(0.5), Value(2.0)
    f = mg.compile(lambda x: [x[0] * p, x[1] + p * p], batch=True)
    g = mg.compile(lambda u, x: (u[0] * u[1] * q + x[0] * p).tanh(), batch=True)
    hidden = f(X)
    loss = g(hidden, X).mean() + hidden.sum()[1] * 0.1 + g(hidden, X)[2] + hidden[0][0]
    loss.backward()
    ours = grads(p, q)
    eager = Value(0.0)
    for k, (x0, x1) in enumerate(X):
        u = [x0 * p, x1 + p * p]
        out = (u[0] * u[1] * q + x0 * p).tanh()
        eager = eager + out * (0.2 + (k == 2)) + u[1] * 0.1 + (u[0] if k == 0 else 0)
    assert loss.data == pytest.approx(eager.data, rel=1e-12)
    eager.backward()
    assert ours == pytest.approx(grads(p, q), rel=1e-12)


def test_uniform_value_arguments_of_a_batch_get_the_sum_of_gradients():
    scale, shift = Value(2.0), Value(1.0) * 3
    f = mg.compile(lambda x, s: x[0] * s[0] + s[1], batch=True)
    f(X, [scale, shift]).sum().backward()
    assert (scale.grad, shift.grad) == (pytest.approx(X[:, 0].sum()), 5.0)


def test_a_second_backward_adds_as_one_eager_node_would():
    for compiled in (True, False):
        p, a = Value(2.0), Value(3.0)
        out = mg.compile(lambda x, p=p: x * p)(a) if compiled else a * p
        loss = out * 10
        loss.backward()
        first = (p.grad, a.grad)
        loss.backward()
        assert (first, p.grad, a.grad) == ((30.0, 20.0), 90.0, 60.0)


def test_each_result_of_a_call_may_be_the_root_in_turn():
    p = Value(2.0)
    first, second = mg.compile(lambda x: [x * p, x * p * p])(3.0)
    first.backward()
    assert grads(p) == [3.0]
    second.backward()
    assert grads(p) == [12.0]
    rows = mg.compile(lambda x: x * p, batch=True)(np.array([1.0, 10.0]))
    rows[1].backward()
    assert grads(p) == [10.0]
    rows.sum().backward()
    assert grads(p) == [11.0]
    rows[0].backward()
    assert grads(p) == [1.0]


def test_training_step_after_step_keeps_no_nodes(live_nodes_unchanged):
    random.seed(3)
    model = nn.MLP(2, [4, 1])
    f = mg.compile(lambda x, s: (model(x) * s).tanh(), batch=True)
    gc.disable()
    try:
        for _ in range(5):
            (f(X, Value(2.0)).mean() + f(X, 1.0)[1]).backward()
        before = _core.live_nodes()
        for _ in range(20):
            (f(X, Value(2.0)).mean() + f(X, 1.0)[1]).backward()
        assert _core.live_nodes() == before
    finally:
        gc.enable()


def test_under_no_grad_results_are_leaves_and_nothing_is_recorded():
    p = Value(2.0)
    f = mg.compile(lambda x: x * p)
    rows = mg.compile(lambda x: x * p, batch=True)
    with no_grad():
        out, batch = f(3.0), rows(np.array([1.0, 2.0]))
        made = [out, batch.sum(), batch.mean(), batch[1]]
    assert [v.data for v in made] == [6.0, 6.0, 3.0, 4.0]
    for v in made:
        assert (v._prev, v._op) == (set(), "")
        v.backward()
    assert p.grad == 0.0
    f(3.0).backward()
    rows(np.array([1.0, 2.0])).sum().backward()
    assert p.grad == 6.0


# ---- Batch ----


@pytest.fixture
def single():
    p = Value(2.0)
    return mg.compile(lambda x: x * p, batch=True)(np.array([1.0, 2.0, 4.0])), p


def test_a_batch_has_data_length_and_samples(single):
    batch, _ = single
    assert isinstance(batch, mg.Batch)
    assert (batch.data.dtype, batch.data.shape) == (np.float64, (3,))
    assert batch.data.tolist() == [2.0, 4.0, 8.0]
    assert len(batch) == 3
    assert [v.data for v in batch] == [2.0, 4.0, 8.0]
    assert (batch[0].data, batch[-1].data, batch[np.int64(1)].data) == (2.0, 8.0, 4.0)
    assert (batch.sum().data, batch.mean().data) == (14.0, pytest.approx(14 / 3))
    assert "3" in repr(batch)


@pytest.mark.parametrize("k", [3, -4, 10**20])
def test_a_sample_out_of_range_raises(single, k):
    with pytest.raises(IndexError):
        single[0][k]


@pytest.mark.parametrize("k", [1.0, "0", None, (0, 1)])
def test_a_sample_is_named_by_an_integer(single, k):
    with pytest.raises(TypeError):
        single[0][k]


def test_sum_mean_and_samples_give_the_gradients_they_should(single):
    batch, p = single
    for value, expected in [
        (batch.sum(), 7.0),
        (batch.mean(), 7 / 3),
        (batch[1], 2.0),
        (batch[-1] * 10, 40.0),
        (batch.sum() + batch[0] * 2, 9.0),
        (sum(batch, Value(0.0)), 7.0),
    ]:
        value.backward()
        assert grads(p) == [pytest.approx(expected)]


def test_columns_of_a_batch_are_the_results_in_order():
    p = Value(2.0)
    batch = mg.compile(lambda x: [x[0], (x[1] * p, p)], batch=True)(X)
    assert batch.data.shape == (5, 3)
    assert batch.data == pytest.approx(np.column_stack([X[:, 0], X[:, 1] * 2, np.full(5, 2.0)]))
    first, (second, third) = batch.mean()
    assert [v.data for v in (first, second, third)] == pytest.approx(list(batch.data.mean(axis=0)))
    (second * 2 + third).backward()
    assert grads(p) == [pytest.approx(2 * X[:, 1].mean() + 1)]
    one = mg.compile(lambda x: [x[0]], batch=True)(X)
    assert one.data.shape == (5, 1)
    assert isinstance(one.sum(), list)


def test_the_result_of_an_earlier_call_stays_as_it_was(single):
    p = Value(2.0)
    f = mg.compile(lambda x: x * p, batch=True)
    first = f(np.array([1.0, 2.0]))
    p.data = 3.0
    second = f(np.array([5.0, 6.0]))
    assert (first.data.tolist(), second.data.tolist()) == ([2.0, 4.0], [15.0, 18.0])


def test_a_parameter_written_after_the_call_does_not_change_the_call():
    p = Value(2.0)
    batch = mg.compile(lambda x: [x * p * p, x], batch=True)(np.array([1.0, 3.0]))
    loss = batch[1][0]
    p.data = 50.0
    loss.backward()
    assert p.grad == 12.0


def test_batches_larger_than_a_tile_give_every_sample_its_result():
    p = Value(0.5)
    f = mg.compile(lambda x: [(x[0] * p).tanh() + x[1], x[0] * x[1] * p], batch=True)
    for n in (255, 256, 257, 511, 1000, 4099):
        x = np.random.default_rng(n).normal(size=(n, 2))
        batch = f(x)
        expected = np.column_stack([np.tanh(x[:, 0] * 0.5) + x[:, 1], x[:, 0] * x[:, 1] * 0.5])
        assert batch.data == pytest.approx(expected, rel=1e-12, abs=1e-14)
        batch.sum()[1].backward()
        assert grads(p) == [pytest.approx((x[:, 0] * x[:, 1]).sum(), rel=1e-12)]


# ---- value_and_grad, program ----


def test_value_and_grad_of_one_call_is_a_float_and_an_array_of_the_argument_s_shape():
    p = Value(3.0)
    f = mg.compile(lambda x, k: p * x[0][1] ** 2 + x[1][0] * k)
    value, gradient = f.value_and_grad(np.array([[1.0, 2.0], [4.0, 8.0]]), 5)
    assert (type(value), value) == (float, 32.0)
    assert (gradient.dtype, gradient.tolist()) == (np.float64, [[0.0, 12.0], [5.0, 0.0]])
    assert p.grad == 0.0


def test_value_and_grad_of_a_batch_is_per_sample():
    p = Value(3.0)
    f = mg.compile(lambda x, y: p * x[0] * x[1] + y * y, batch=True)
    y = np.arange(5.0)
    values, (dx, dy) = f.value_and_grad(X, y)
    assert values == pytest.approx(3 * X[:, 0] * X[:, 1] + y * y)
    assert dx == pytest.approx(3 * X[:, ::-1])
    assert dy == pytest.approx(2 * y)
    assert p.grad == 0.0


def test_value_and_grad_with_params_is_the_mean_and_a_vector():
    p, q, unused = Value(3.0), Value(4.0), Value(5.0)
    f = mg.compile(lambda x: p * x[0] + q * p * x[1], batch=True)
    value, gradient = f.value_and_grad(X, params=[q, unused, p])
    assert type(value) is float
    assert value == pytest.approx((3 * X[:, 0] + 12 * X[:, 1]).mean())
    expected = [3 * X[:, 1].mean(), 0.0, (X[:, 0] + 4 * X[:, 1]).mean()]
    assert gradient == pytest.approx(np.array(expected))
    assert (p.grad, q.grad) == (0.0, 0.0)
    one = mg.compile(lambda: p * q)
    assert one.value_and_grad(params=[p, q])[1].tolist() == [4.0, 3.0]


def test_value_and_grad_gives_zero_for_columns_that_do_not_matter():
    f = mg.compile(lambda x, y: x[0] * 2, batch=True)
    trash = [np.full(shape, 9.0) for shape in ((5, 2), (5,)) for _ in range(50)]
    del trash
    _, (dx, dy) = f.value_and_grad(X, X[:, 1].copy())
    assert dx.tolist() == [[2.0, 0.0]] * 5
    assert dy.tolist() == [0.0] * 5


def test_the_program_s_text_says_sizes_counts_and_every_instruction():
    model = nn.MLP(2, [4, 1])
    f = mg.compile(lambda x: model(x).tanh(), batch=True)
    text = f.program(X)
    for what in ("traced", "after passes", "'dot': 5", "'tanh': 1", "rows", "workspace bytes"):
        assert what in text
    instructions, steps = text.instructions(), text.steps()
    assert [i.op for i in instructions].count("dot") == 5
    assert instructions[text.outputs[0]].op == "tanh"
    assert [s.op or s.kind for s in steps] == ["matrix", "relu", "dot", "tanh"]
    listed, lines = text.split("\nsteps:\n")
    assert listed.endswith(f"\nreturn v{text.outputs[0]}")
    assert len(lines.splitlines()) == len(steps)
    same = pickle.loads(pickle.dumps(text))
    assert (same, same.instructions(), same.steps()) == (text, instructions, steps)


def test_the_workspace_does_not_grow_with_the_batch():
    f = mg.compile(nn.MLP(2, [16, 16, 1]), batch=True)
    assert f.program(X) == f.program(np.ones((100_000, 2)))


# ---- inf and nan ----


@pytest.mark.parametrize("batch", [False, True])
@pytest.mark.parametrize(
    "function",
    [
        lambda x: x / x,
        lambda x: 1 / x,
        lambda x: x - x,
        lambda x: x * 0,
        lambda x: x.log(),
        lambda x: x.log1p(),
        lambda x: x.sqrt(),
        lambda x: x.exp(),
        lambda x: x.sin(),
        lambda x: x.tanh(),
        lambda x: x**2 / x,
        lambda x: x**1.5,
        lambda x: 2**x,
        lambda x: abs(x),
        lambda x: x.relu(),
        lambda x: x.maximum(1.0),
        lambda x: x.minimum(1.0),
    ],
)
def test_inf_and_nan_flow_as_in_numpy(function, batch):
    x = np.array([0.0, 1.0, -1.0, 800.0, -800.0, 1e5, math.inf, -math.inf, math.nan])
    f = mg.compile(function, batch=batch)
    ours = f(x).data if batch else np.array([f(v).data for v in x.tolist()])
    with np.errstate(all="ignore"):
        expected = [function(_NumPy(v)).x for v in x]
    assert ours == pytest.approx(np.array(expected), rel=1e-12, nan_ok=True)


class _NumPy:
    """A float64 with Value's operators and methods."""

    def __init__(self, x):
        self.x = np.float64(x)

    def __getattr__(self, name):
        return lambda *y: _NumPy(getattr(np, name)(self.x, *y))

    def relu(self):
        return self if self.x != self.x or self.x > 0 else _NumPy(0.0)


def _operator(name):
    def apply(self, *y):
        operands = [v.x if isinstance(v, _NumPy) else np.float64(v) for v in y]
        return _NumPy(getattr(self.x, name)(*operands))

    return apply


for _name in ("add", "sub", "mul", "truediv", "pow", "rtruediv", "rpow", "abs"):
    setattr(_NumPy, f"__{_name}__", _operator(f"__{_name}__"))


@pytest.fixture
def one_nan():
    """A batch whose sample 77 is nan, and its parameter."""
    p = Value(1.0)
    x = np.ones((300, 2))
    x[77, 0] = math.nan
    return mg.compile(lambda x: (x[0] * p + x[1]).tanh(), batch=True)(x), p


def test_a_nan_in_one_sample_stays_there(one_nan):
    batch, p = one_nan
    assert np.flatnonzero(np.isnan(batch.data)).tolist() == [77]
    assert math.isnan(batch.sum().data)
    batch.sum().backward()
    assert math.isnan(p.grad)


def test_no_call_raises_or_warns_for_numbers_that_python_would_refuse():
    p = Value(0.0)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert mg.compile(lambda x: x / p)(1.0).data == math.inf
        assert math.isnan(mg.compile(lambda x: (p - x).log())(1.0).data)
        assert mg.compile(lambda x: ((p + x) * 1000).exp())(1.0).data == math.inf
        out = mg.compile(lambda x: x * p**0.5)(1.0)
        out.backward()
    assert p.grad == math.inf
