"""Calls of compiled functions: arguments read in place, results that keep what they saw, gradients
as numbers, and what stays behind."""

import collections
import contextlib
import copy
import gc
import inspect
import math
import pickle
import weakref

import numpy as np
import pytest
from inputs import X3

import micrograd_fast as mg
from micrograd_fast import _core
from micrograd_fast.engine import Value, no_grad

P = Value(2.0)


# ---- arguments ----


def test_calls_of_many_kinds_in_turn_each_find_their_own_trace():
    p, runs = Value(3.0), []

    @mg.compile
    def f(x, k=2, *, s=1.0):
        runs.append(1)
        total = sum(x) if isinstance(x, (list, tuple)) else x
        return total * p * k + s

    calls = [
        ((2.0,), {}, 13.0),
        ((Value(2.0),), {}, 13.0),
        ((np.array([1.0, 2.0]),), {}, 19.0),
        ((np.array([1.0, 2.0, 3.0]),), {}, 37.0),
        (([1.0, 2.0],), {}, 19.0),
        (((1.0, 2.0),), {}, 19.0),
        (([1.0, Value(2.0)],), {}, 19.0),
        ((2.0, 3), {}, 19.0),
        ((2.0,), {"k": 3}, 19.0),
        ((2.0,), {"s": 5.0}, 17.0),
        ((2.0,), {"s": 5.0, "k": 1}, 11.0),
        ((2.0,), {"k": 1, "s": Value(5.0)}, 11.0),
    ]
    for _ in range(3):
        for args, kwargs, expected in calls:
            assert f(*args, **kwargs).data == expected
            assert f(*args, **kwargs).data == expected
    assert len(runs) == len(calls)


def test_true_one_and_one_point_zero_are_different_arguments():
    f = mg.compile(lambda x, k: x * 10 if k is True else x * 20 if type(k) is int else x * k)
    for _ in range(2):
        assert [f(1.0, k).data for k in (1, True, 1.0, 2.0)] == [20.0, 10.0, 1.0, 2.0]


def test_large_and_computed_constants_are_equal_by_value():
    runs = []
    f = mg.compile(lambda x, k, s: (runs.append(1), x * k)[1])
    for _ in range(3):
        assert f(2.0, int("100000"), "".join(["a", "b"])).data == 200000.0
    assert len(runs) == 1


@pytest.mark.parametrize("code", "?bBhHiIlLqQefdg")
def test_numbers_of_every_type_arrive_the_same(code):
    numbers = np.array([[0, 1], [1, 1], [0, 0]]).astype(code)
    rows = mg.compile(lambda x: x[0] * 2 + x[1], batch=True)
    single = mg.compile(lambda x: x[0] * 2 + x[1])
    scalar = mg.compile(lambda x: x * 3.0)
    for _ in range(2):  # at the trace, and when it is there
        assert rows(numbers).data.tolist() == [1.0, 3.0, 0.0]
        assert rows(numbers[::-1]).data.tolist() == [0.0, 3.0, 1.0]
        assert rows(numbers.astype(numbers.dtype.newbyteorder())).data.tolist() == [1.0, 3.0, 0.0]
        with no_grad():
            assert rows(numbers).data.tolist() == [1.0, 3.0, 0.0]
        assert single(numbers[1]).data == 3.0
        assert scalar(numbers[1, 1]).data == 3.0


def test_integers_keep_their_sign_and_size():
    f = mg.compile(lambda x: x[0] * 1.0, batch=True)
    f(np.zeros((1, 1)))
    for code, number in [("i4", -(2**31)), ("i8", -(2**40)), ("u1", 255), ("i1", -128)]:
        assert f(np.array([[number]], dtype=code)).data[0] == number


@pytest.mark.parametrize("first", [False, True])
def test_what_only_looks_like_an_array_is_refused_whatever_came_before(first):
    class ForeignArray:
        dtype = np.dtype("f8")
        shape = (4,)

        def __array__(self, *args, **kwargs):
            return np.ones(4)

    f = mg.compile(lambda x, y=1.0: x * y, batch=True)
    if first:
        f(np.ones(4), np.ones(4))
    for thing in (ForeignArray(), memoryview(np.ones(4)), bytearray(32)):
        with pytest.raises(TypeError, match=f"argument 1 is '{type(thing).__name__}'"):
            f(np.ones(4), thing)
    for thing in (np.ones(4) * 1j, np.array(["a"] * 4), np.ones(4, dtype=object)):
        with pytest.raises(TypeError, match="argument 1 has dtype"):
            f(np.ones(4), thing)
    with pytest.raises(TypeError, match="argument 1 has dtype"):
        f(np.ones(4), np.timedelta64(3, "s"))


def test_arrays_of_other_lengths_are_refused_when_the_trace_is_there():
    f = mg.compile(lambda x, y: x[0] * y, batch=True)
    assert f(X3, X3[:, 0].copy()).data == pytest.approx(X3[:, 0] ** 2)
    with pytest.raises(ValueError, match="argument 1 has 3 samples"):
        f(X3, np.ones(3))
    with pytest.raises(ValueError, match="at least one argument must be an array"):
        f(1.0, 2.0)
    assert f(X3[:2], np.ones(2)).data.tolist() == [0.5, 2.0]


@pytest.mark.parametrize("shape", [(4, 0), (4, 0, 2), (4, 2, 0)])
def test_arrays_without_columns_arrive_as_empty_lists(shape):
    seen = []
    f = mg.compile(lambda e, x: (seen.append(e), x * 2)[1], batch=True)
    for _ in range(2):
        assert f(np.zeros(shape), np.ones(4)).data.tolist() == [2.0] * 4
    assert seen == [np.zeros(shape[1:]).tolist()]
    assert len(f(np.zeros((0, *shape[1:])), np.ones(0))) == 0


def test_gradients_of_arrays_beside_one_without_columns_go_to_their_own():
    f = mg.compile(lambda e, x: x[0] * x[1], batch=True)
    values, (de, dx) = f.value_and_grad(np.zeros((4, 0)), X3)
    assert values == pytest.approx(X3[:, 0] * X3[:, 1])
    assert (de.shape, dx.shape) == ((4, 0), (4, 3))
    assert dx[:, :2] == pytest.approx(X3[:, 1::-1])


def test_a_compiled_function_shows_the_signature_of_its_function():
    def f(x, *, k=2):
        """Doubles."""
        return x * k

    compiled = mg.compile(f)
    assert inspect.signature(compiled) == inspect.signature(f)
    assert (compiled.__name__, compiled.__doc__) == ("f", "Doubles.")
    assert callable(compiled)


def test_a_value_that_escaped_from_a_trace_is_no_argument():
    kept = []
    mg.compile(lambda x: (kept.append(x * P), x)[1])(1.0)
    f = mg.compile(lambda x: x * 2)
    for _ in range(2):
        with pytest.raises(mg.TraceError, match=r"an argument: .* has no number"):
            f(kept[0])
        assert f(Value(3.0)).data == 6.0


# ---- results ----


def test_a_named_tuple_as_result_is_a_named_tuple():
    Pair = collections.namedtuple("Pair", "a b")
    out = mg.compile(lambda x: Pair(x, [x * 2, 3]))(1.0)
    assert (type(out), out.a.data, out.b[0].data, out.b[1]) == (Pair, 1.0, 2.0, 3)
    mean = mg.compile(lambda x: Pair(x, x * 2), batch=True)(np.ones(3)).mean()
    assert (type(mean), mean.b.data) == (Pair, 2.0)


def test_the_mean_of_an_empty_batch_is_nan_and_passes_nothing_on():
    p = Value(2.0)
    for function in (lambda x: x * p, lambda x: [x * p, x]):
        batch = mg.compile(function, batch=True)(np.zeros(0))
        mean, total = batch.mean(), batch.sum()
        mean, total = (mean[0], total[0]) if isinstance(mean, list) else (mean, total)
        assert math.isnan(mean.data)
        assert total.data == 0.0
        (mean + total).backward()
        assert p.grad == 0.0


def test_sums_of_many_samples_are_exact_to_the_last_digits():
    x = np.random.default_rng(0).normal(size=100_003) * 1e3 + 1e6
    batch = mg.compile(lambda x: [x * 1.0, x * 2.0], batch=True)(x)
    exact = math.fsum(x)
    first, second = batch.sum()
    assert first.data == pytest.approx(exact, rel=1e-15)
    assert second.data == pytest.approx(2 * exact, rel=1e-15)
    assert batch.mean()[0].data == pytest.approx(exact / len(x), rel=1e-15)


def test_a_batch_cannot_be_made_copied_or_pickled():
    batch = mg.compile(lambda x: x * P, batch=True)(np.ones(2))
    with pytest.raises(TypeError, match="what a batched function returns"):
        mg.Batch(np.ones(2))
    for duplicate in (copy.copy, copy.deepcopy, pickle.dumps):
        with pytest.raises(TypeError, match="take its data"):
            duplicate(batch)
    bare = mg.Batch.__new__(mg.Batch)
    for use in (lambda b: b.data, lambda b: b.sum(), lambda b: b[0]):
        with pytest.raises(RuntimeError, match="not made by a call"):
            use(bare)
    with pytest.raises(RuntimeError, match="not made by a call"):
        mg.compile(lambda x: x * P, batch=True)(bare)
    assert weakref.ref(batch)() is batch


def test_data_of_a_batch_is_one_array_that_may_outlive_it():
    batch = mg.compile(lambda x: x * 2.0, batch=True)(np.arange(3.0))
    data = batch.data
    assert batch.data is data
    del batch
    gc.collect()
    assert data.tolist() == [0.0, 2.0, 4.0]


def test_the_step_of_a_result_may_be_called_like_any_other():
    p, a = Value(2.0), Value(3.0)
    out = mg.compile(lambda x: x * p)(a)
    out.grad = 10.0
    out._backward()
    assert (p.grad, a.grad) == (30.0, 20.0)


def test_a_custom_step_of_an_operand_runs_after_the_call_s():
    a = Value(3.0)
    cube = Value(27.0, (a,), "cube")

    def step():
        a.grad += 27.0 * cube.grad

    cube._backward = step
    f = mg.compile(lambda x: x * cube, batch=True)
    batch = f(np.array([1.0, 2.0]))
    (batch.sum() + batch[0] + batch.mean()).backward()
    assert (cube.grad, a.grad) == (3.0 + 1.0 + 1.5, 27.0 * 5.5)


def test_a_step_given_to_a_parameter_after_the_trace_runs_too():
    p, ran = Value(2.0), []
    f = mg.compile(lambda x: x * p, batch=True)
    f(np.ones(2)).sum().backward()
    p.grad = 0.0
    p._backward = lambda: ran.append(p.grad)
    f(np.array([1.0, 2.0])).sum().backward()
    assert (p.grad, ran) == (3.0, [3.0])


def test_a_parameter_that_was_never_initialised_stays_the_node_that_was_captured():
    class Mine(Value):
        def __init__(self, *args):
            pass

    p = Mine()
    f = mg.compile(lambda x: x + p)
    assert f(1.0).data == 1.0
    with pytest.raises(TypeError, match="part of a graph"):
        Value.__init__(p, 5.0, (P,))
    Value.__init__(p, 5.0)
    assert f(1.0).data == 6.0


@pytest.mark.parametrize("reduce", ["sum", "sample", "two results", "batch argument"])
@pytest.mark.parametrize("dtype", ["f8", "f4"])
def test_an_array_written_after_the_call_does_not_change_the_gradient(reduce, dtype):
    p = Value(2.0)
    buffer = np.array([1.0, 2.0, 3.0], dtype=dtype)
    f = mg.compile(lambda x: x * p, batch=True)
    pair = mg.compile(lambda x: [x * p, x + p], batch=True)
    f(buffer), pair(buffer)
    if reduce == "two results":
        loss, expected = pair(buffer).sum()[0], 6.0
    elif reduce == "batch argument":
        loss, expected = f(f(buffer)).sum(), 24.0  # d(x * p * p) = 2 * x * p
    else:
        batch = f(buffer)
        loss, expected = (batch.sum(), 6.0) if reduce == "sum" else (batch[1], 2.0)
    buffer[:] = 100.0
    loss.backward()
    assert p.grad == expected


def test_data_cannot_be_written_so_a_later_call_has_the_gradient_of_what_it_read():
    p = Value(2.0)
    f = mg.compile(lambda x: x * p, batch=True)
    inner = f(np.array([1.0, 2.0]))
    loss = f(inner).sum()
    with pytest.raises(ValueError, match="read-only"):
        inner.data[:] = 100.0
    loss.backward()
    assert p.grad == 2 * 2.0 * 3.0


# ---- no_grad ----


@pytest.mark.parametrize("several", [False, True])
def test_a_batch_reduced_under_no_grad_holds_no_graph(several, live_nodes_unchanged):
    p = Value(2.0)
    function = (lambda x: [x * p]) if several else (lambda x: x * p)
    batch = mg.compile(function, batch=True)(np.array([1.0, 2.0]))
    before = _core.live_nodes()
    with no_grad():
        made = [batch.sum(), batch.mean(), batch[0], batch[-1]]
    values = [v[0] if several else v for v in made]
    assert [v.data for v in values] == [6.0, 3.0, 2.0, 4.0]
    assert [(v._prev, v._op) for v in values] == [(set(), "")] * 4
    assert _core.live_nodes() == before + 4
    for v in values:
        v.backward()
    assert p.grad == 0.0


def test_a_batch_made_with_or_without_a_graph_is_an_argument_either_way():
    p = Value(2.0)
    f = mg.compile(lambda x: x * p, batch=True)
    x = np.array([1.0, 2.0])
    with no_grad():
        leafless = f(x)
        assert f(f(x)).data.tolist() == [4.0, 8.0]
        assert f(leafless).data.tolist() == [4.0, 8.0]
    f(leafless).sum().backward()
    assert p.grad == 6.0
    p.grad = 0.0
    made = f(x)
    with no_grad():
        f(made).sum().backward()
    assert p.grad == 0.0
    f(made).sum().backward()
    assert p.grad == 12.0


# ---- inf and nan stay in their sample ----


def test_the_gradient_of_one_sample_knows_nothing_of_the_others():
    p = Value(1.0)
    x = np.ones((300, 2))
    x[77, 0] = math.nan
    x[78, 0] = math.inf
    batch = mg.compile(lambda x: (x[0] * p + x[1]).tanh(), batch=True)(x)
    (batch[79] + batch[0] + batch[299]).backward()
    assert p.grad == pytest.approx(3 * (1 - math.tanh(2.0) ** 2))


def test_samples_without_a_seed_do_not_run_through_a_batch_argument_either():
    p = Value(1.0)
    x = np.array([[1.0, 1.0], [0.0, 1.0], [4.0, 3.0]])
    roots = mg.compile(lambda x: [(x[0] * p).sqrt(), x[1] * p], batch=True)(x)
    both = mg.compile(lambda r, x: r[0] * r[1] * x[1], batch=True)(roots, x)
    (both[2] * 2 + both[0]).backward()
    # sqrt(x0 * p) * x1 * p * x1: the derivative at 1 is 1.5 * sqrt(x0) * x1**2
    assert p.grad == pytest.approx(1.5 * (2 * 2 * 9 + 1))


# ---- value_and_grad ----


def test_value_and_grad_of_a_param_that_is_also_an_argument_adds_both_ways():
    p, q = Value(3.0), Value(5.0)
    f = mg.compile(lambda v, w: v * v * p + w[1])
    value, gradient = f.value_and_grad(p, [1.0, q], params=[q, p])
    assert (value, gradient.tolist()) == (32.0, [1.0, 27.0])
    rows = mg.compile(lambda x, v: x * v, batch=True)
    assert rows.value_and_grad(X3[:, 0].copy(), p, params=[p, p])[1] == pytest.approx(
        np.full(2, X3[:, 0].mean())
    )
    assert (p.grad, q.grad) == (0.0, 0.0)


@pytest.mark.parametrize("way", ["captured", "argument", "compiled", "custom", "compiled argument"])
def test_value_and_grad_of_a_param_behind_an_eager_value_is_refused(way):
    p, q = Value(3.0), Value(1.0)
    h = {
        "captured": lambda: (p * 2).tanh(),
        "argument": lambda: p * 2,
        "compiled": lambda: mg.compile(lambda x: [x * p, x])(1.0)[1],
        "custom": lambda: Value(1.0, (Value(4.0), p), "mine"),
        "compiled argument": lambda: mg.compile(lambda v: v * 2)(p),
    }[way]() * 1
    f = mg.compile((lambda v: v * q) if "argument" in way else lambda v: h * v * q)
    with pytest.raises(ValueError, match=r"params\[1\] is used through the result of an op"):
        f.value_and_grad(h if "argument" in way else 1.0, params=[q, p])
    value, gradient = f.value_and_grad(h if "argument" in way else 1.0, params=[Value(0.0), q])
    assert gradient.tolist() == [0.0, h.data]
    assert value == h.data


def test_value_and_grad_of_a_batch_argument_leaves_its_graph_alone():
    p = Value(2.0)
    inner = mg.compile(lambda x: x * p, batch=True)(np.arange(3.0))
    f = mg.compile(lambda x: x * 3, batch=True)
    values, gradient = f.value_and_grad(inner)
    assert (values.tolist(), gradient.tolist()) == ([0.0, 6.0, 12.0], [3.0] * 3)
    with pytest.raises(TypeError, match="argument 0 is a Batch with a graph"):
        f.value_and_grad(inner, params=[p])
    assert f.value_and_grad(inner.data, params=[p])[1].tolist() == [0.0]
    assert p.grad == 0.0
    inner.sum().backward()
    assert p.grad == 3.0


@pytest.mark.parametrize(
    ("function", "args", "kwargs"),
    [
        (lambda x: [x[0], x[1]], (np.ones(2),), {}),
        (lambda x: x * 2, (Value(1.0),), {}),
        (lambda x: x * 2, (), {"x": Value(1.0)}),
        (lambda x: x[0] * 2, (), {"x": np.ones(1)}),
        (lambda: Value(1.0), (), {}),
        (lambda: Value(1.0), (), {"params": Value(1.0)}),
        (lambda: Value(1.0), (), {"params": [1.0]}),
        (lambda: [P, P], (), {"params": [P]}),
    ],
)
def test_value_and_grad_says_what_it_needs(function, args, kwargs):
    with pytest.raises(TypeError, match="value_and_grad"):
        mg.compile(function).value_and_grad(*args, **kwargs)


def test_value_and_grad_takes_leaves_alone():
    with pytest.raises(ValueError, match=r"value_and_grad: params\[1\] is not a leaf"):
        mg.compile(lambda: P * 2).value_and_grad(params=[P, P * 1])
    assert mg.compile(lambda: P * 2).value_and_grad(params=[])[1].shape == (0,)


def test_value_and_grad_of_arrays_by_name_and_in_lists_come_in_the_order_of_the_call():
    f = mg.compile(lambda x, *, z, a: x[0] * a[0] + z[0] * a[1], batch=True)
    a, z = [X3[:, 0].copy(), X3[:, 1].copy()], X3[:, 2:].copy()
    for kwargs in ({"z": z, "a": a}, {"a": a, "z": z}):
        _, (dx, da0, da1, dz) = f.value_and_grad(X3, **kwargs)
        assert dx[:, 0] == pytest.approx(a[0])
        assert da0 == pytest.approx(X3[:, 0])
        assert da1 == pytest.approx(z[:, 0])
        assert dz[:, 0] == pytest.approx(a[1])


# ---- what stays behind ----


def test_a_function_that_failed_keeps_nothing_of_its_calls(live_nodes_unchanged):
    f = mg.compile(lambda k, x: mg.take([x, x * 2], k))
    rows = mg.compile(lambda k, x: mg.take([x, x * 2], k), batch=True)
    for _ in range(3):
        with contextlib.suppress(IndexError):
            f(np.int64(7), Value(1.0) * 2)
        with contextlib.suppress(IndexError):
            rows(np.array([0, 2]), np.ones(2))
    assert f(np.int64(1), 1.0).data == 2.0
    assert rows(np.array([0, 1]), np.ones(2)).data.tolist() == [1.0, 2.0]


def test_a_large_array_is_not_copied_and_not_read_in_silence_after_it_was_written():
    p = Value(2.0)
    f = mg.compile(lambda x: x * p, batch=True)
    x = np.ones(1_100_000)  # more than 8 MiB
    batch = f(x)
    mean, first = batch.mean(), batch[0]
    x[-1] = 3.0
    mean.backward()  # its gradient was there already
    assert p.grad == pytest.approx(1.0)
    with pytest.raises(RuntimeError, match="array argument 0 was written"):
        first.backward()
    x[-1] = 1.0
    p.grad = 0.0
    first.backward()
    assert p.grad == 1.0


def test_large_batches_as_arguments_pass_their_gradient_on():
    p = Value(2.0)
    f = mg.compile(lambda x: x * p, batch=True)
    g = mg.compile(lambda z: z * z, batch=True)
    x = np.linspace(-1.0, 1.0, 1_100_000)
    g(f(x)).mean().backward()
    assert p.grad == pytest.approx(4.0 * np.mean(x * x), rel=1e-12)


def test_lists_of_another_length_get_a_trace_of_their_own():
    f = mg.compile(lambda xs: sum(x * x for x in xs))
    assert [f([1.0, 2.0]).data, f([1.0, 2.0, 3.0]).data, f([2.0]).data] == [5.0, 14.0, 4.0]
    assert f([3.0, 4.0]).data == 25.0


def test_batches_that_do_not_fit_the_trace_are_refused_or_traced_anew():
    double = mg.compile(lambda x: x * 2, batch=True)
    pair = mg.compile(lambda x: [x, -x], batch=True)
    f = mg.compile(lambda a, b: a * b[0] if isinstance(b, list) else a * b, batch=True)
    three, four = double(np.ones(3)), double(np.ones(4))
    assert f(three, double(np.ones(3))).data.tolist() == [4.0] * 3
    with pytest.raises(ValueError, match="4 samples"):
        f(three, four)
    assert f(four, four).data.tolist() == [4.0] * 4
    assert f(three, pair(np.ones(3))).data.tolist() == [2.0] * 3
    assert f(three, three).data.tolist() == [4.0] * 3


class Meddler:
    """Two samples; whoever reads them finds an array of another shape."""

    shape, ndim, dtype = (2,), 1, np.dtype(float)

    def __init__(self, array, to):
        self.array, self.to = array, to

    def __array__(self, *_, **__):
        self.array.shape = self.to
        return np.ones(2)


@pytest.mark.parametrize("to", [(3, 2), (2, 3, 1)])
@pytest.mark.parametrize("evaluate", ["__call__", "value_and_grad"])
def test_an_array_that_changes_its_shape_while_the_arguments_are_read_is_refused(evaluate, to):
    f = mg.compile(lambda a, b: a[0] * b, batch=True)
    first = np.ones((2, 3))
    with pytest.raises((TypeError, ValueError)):
        getattr(f, evaluate)(first, Meddler(first, to))
    assert f(np.ones((2, 3)), np.ones(2)).data.tolist() == [1.0, 1.0]


def test_value_and_grad_of_no_samples_has_no_value():
    p = Value(2.0)
    f = mg.compile(lambda x: x * p, batch=True)
    value, gradient = f.value_and_grad(np.zeros(0), params=[p])
    assert np.isnan(value) and gradient.tolist() == [0.0]


def test_a_copy_of_a_local_compiled_function_compiles_it_again():
    f = mg.compile(lambda x: x * 3)
    again = copy.copy(f)
    assert type(again) is type(f)
    assert (f(2.0).data, again(2.0).data) == (6.0, 6.0)
