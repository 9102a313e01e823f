"""A Batch as NumPy's and PyTorch's users take it: slices, lists of samples, masks, arithmetic,
NumPy's functions; gradients against the same done one sample at a time."""

import itertools
import operator

import numpy as np
import pytest

import micrograd_fast as mg
from micrograd_fast import nn
from micrograd_fast.engine import Value, no_grad

N = 7
X = np.random.default_rng(5).uniform(0.5, 1.5, size=(N, 2))
A = np.random.default_rng(6).uniform(0.5, 2.0, N)
W = [Value(0.7), Value(-1.3)]
one = mg.compile(lambda x: (x[0] * W[0] + x[1] * W[1]).tanh() + 2.0, batch=True)
two = mg.compile(lambda x: [x[0] * W[0] * W[1], x[1] * W[1] + x[0]], batch=True)


def grads_of(loss, *values):
    values = [*W, *values]
    for v in values:
        v.grad = 0.0
    loss.backward()
    return [v.grad for v in values]


def flat(result):
    """Values of a structure, in order."""
    return [result] if isinstance(result, Value) else [v for r in result for v in flat(r)]


def total_of(samples):
    return sum((v for s in samples for v in flat(s)), Value(0.0))


# ---- samples ----

SLICES = [
    slice(a, b, c)
    for a, b, c in itertools.product((None, 0, 2, -3, 9), (None, 0, 5, -1), (None, 1, 2, -1, -3))
]
PICKS = [
    *SLICES,
    [],
    [3],
    [5, 0, 5, -1],
    np.array([2, 2, 6]),
    np.array([1, 4], dtype=np.uint8),
    np.arange(N) % 2 == 0,
    [True, False, False, True, True, False, True],
    np.zeros(N, dtype=bool),
]


@pytest.mark.parametrize("function", [one, two], ids=["one", "two"])
@pytest.mark.parametrize("index", PICKS, ids=str)
def test_some_samples_are_a_batch_of_these(function, index):
    batch = function(X)
    some = batch[index]
    chosen = np.arange(N)[
        np.asarray(index, dtype=int) if isinstance(index, list) and not index else index
    ]
    assert isinstance(some, mg.Batch) and len(some) == len(chosen)
    assert some.data.tolist() == batch.data[chosen].tolist()
    assert [v.data for v in flat(list(some))] == some.data.ravel().tolist()
    expected = grads_of(total_of(batch[int(k)] for k in chosen))
    assert grads_of(total_of([some.sum()])) == pytest.approx(expected, rel=1e-12)
    assert grads_of(total_of(some)) == pytest.approx(expected, rel=1e-12)
    if len(chosen):
        mean = total_of([some.mean()])
        assert mean.data == pytest.approx(some.data.mean(axis=0).sum(), rel=1e-14)
        assert grads_of(mean) == pytest.approx([g / len(chosen) for g in expected], rel=1e-12)
        assert grads_of(total_of([some[-1]])) == grads_of(total_of([batch[int(chosen[-1])]]))
    else:
        assert all(np.isnan(v.data) for v in flat(some.mean()))


def test_some_of_some_and_numbers_of_their_own():
    batch = one(X)
    some = batch[1:][::-2][[0, 2]]
    assert some.data.tolist() == [batch.data[6], batch.data[2]]
    assert grads_of(some.sum()) == pytest.approx(grads_of(batch[6] + batch[2]), rel=1e-12)
    assert not np.shares_memory(some.data, batch.data)


@pytest.mark.parametrize("index", [slice(1, 4), [6, 0, 0], np.arange(N) > 3], ids=str)
def test_some_samples_may_be_fed_to_a_batched_function(index):
    v = Value(0.4)
    follow = mg.compile(lambda u, x: u * x[0] * v + u * u, batch=True)
    batch = one(X)
    rows = X[index]
    out = follow(batch[index], rows)
    assert out.data == pytest.approx(follow(batch.data[index], rows).data, rel=1e-14)
    chosen = np.arange(N)[index]
    eager = total_of(batch[int(k)] * X[k, 0] * v + batch[int(k)] * batch[int(k)] for k in chosen)
    expected = grads_of(eager, v)
    assert grads_of(out.sum(), v) == pytest.approx(expected, rel=1e-12)
    assert grads_of(out[::-1].sum(), v) == pytest.approx(expected, rel=1e-12)
    assert grads_of(total_of(out), v) == pytest.approx(expected, rel=1e-12)
    f = mg.compile(lambda u: u * u, batch=True)
    assert f.value_and_grad(batch[index])[1].tolist() == (2 * batch.data[index]).tolist()


@pytest.mark.parametrize(
    ("index", "error", "match"),
    [
        (N, IndexError, "sample 7 is out of range for a batch of 7"),
        (-8, IndexError, "out of range"),
        ([0, 7], IndexError, "sample 7"),
        (np.ones(3, dtype=bool), IndexError, "mask of 3 bools for a batch of 7"),
        ([0.0, 1.0], TypeError, "list or array of ints or bools"),
        (np.zeros((2, 2), dtype=int), TypeError, "shape"),
        ((0, 1), TypeError, "indexed by sample"),
        ((slice(None), 0), TypeError, ".data is an array"),
        ("first", TypeError, "'str'"),
        (None, TypeError, "'NoneType'"),
        (1.0, TypeError, "'float'"),
        (Value(1.0), TypeError, "mg.take"),
        (slice(0.5, 2), TypeError, "slice"),
        (slice(0, 5, 0), ValueError, "zero"),
    ],
)
def test_what_picks_no_samples_is_refused(index, error, match):
    with pytest.raises(error, match=match):
        one(X)[index]


def test_under_no_grad_parts_are_numbers():
    with no_grad():
        some = one(X)[2:4]
        assert some.sum()._prev == set() and not some._has_graph()
        assert (some * 2.0).data.tolist() == (2.0 * some.data).tolist()
    assert (one(X)[2:4]).sum()._prev


# ---- NumPy's functions ----


def test_numpy_takes_a_batch_for_an_array_where_no_gradient_is_lost():
    batch = one(X)
    assert np.asarray(batch) is batch.data
    assert np.array(batch) is not batch.data and np.array(batch).tolist() == batch.data.tolist()
    assert np.asarray(batch, dtype=np.float32).dtype == np.float32
    assert np.asarray(two(X)).shape == (N, 2)
    assert batch.__array__(copy=True) is not batch.data
    with pytest.raises(ValueError, match="must be copied"):
        batch.__array__(np.float32, copy=False)
    for name, own in (("mean", batch.mean()), ("sum", batch.sum())):
        for value in (getattr(np, name)(batch), getattr(np, name)(batch, axis=0)):
            assert isinstance(value, Value) and value.data == own.data
            assert grads_of(value) == grads_of(own)
    assert [v.data for v in np.mean(two(X))] == [v.data for v in two(X).mean()]


@pytest.mark.parametrize(
    ("function", "error", "match"),
    [
        (lambda b: np.mean(b, axis=1), ValueError, "axis 0"),
        (lambda b: np.sum(b, axis=(0, 1)), ValueError, "axis 0"),
        (lambda b: np.mean(b, dtype=np.float32), TypeError, "no dtype"),
        (lambda b: b.sum(out=np.zeros(1)), TypeError, "no out"),
        (lambda b: b.sum(axis=True), ValueError, "axis 0"),
        (lambda b: np.max(b), TypeError, "numpy.a?max"),
        (np.maximum.reduce, TypeError, "maximum.reduce"),
        (lambda b: np.trunc(b), TypeError, "numpy.trunc"),
        (lambda b: np.add(b, 1.0, out=np.zeros(N)), TypeError, "numpy.add"),
        (lambda b: X[:, 0] > b, TypeError, "numpy.greater"),
        (lambda b: b[True], TypeError, "not 'bool'"),
        (lambda b: b[np.ma.masked_array([True] * N, [True] * N)], TypeError, "masked entries"),
        (lambda b: b * np.ma.masked_array(A, [True] * N), TypeError, "masked entries"),
    ],
)
def test_what_would_lose_the_gradient_is_refused(function, error, match):
    with pytest.raises(error, match=match):
        function(one(X))


LOSING = {
    "std": np.std,
    "var": np.var,
    "median": np.median,
    "average": np.average,
    "cumsum": np.cumsum,
    "dot": lambda b: np.dot(A, b),
    "vdot": lambda b: np.vdot(b, A),
    "inner": lambda b: np.inner(b, A),
    "norm": np.linalg.norm,
    "stack": lambda b: np.stack([b, A]),
    "concatenate": lambda b: np.concatenate([A, b]),
    "where": lambda b: np.where(A > 1.0, b, 0.0),
    "clip": lambda b: np.clip(b, 0.0, 1.0),
    "sort": np.sort,
    "percentile": lambda b: np.percentile(b, 50),
    "diff": np.diff,
    "round": np.round,
    "nan_to_num": np.nan_to_num,
    "interp": lambda b: np.interp(A, A, fp=b),
}


@pytest.mark.parametrize("name", LOSING)
def test_numpy_s_functions_of_a_graph_are_refused_and_work_without_one(name):
    with pytest.raises(TypeError, match="does not go through the graph of a Batch"):
        LOSING[name](one(X))
    with no_grad():
        assert np.array_equal(LOSING[name](one(X)), LOSING[name](one(X).data))


def test_numpy_s_functions_that_only_tell_something_work(tmp_path):
    batch = one(X)
    assert (np.shape(batch), np.ndim(batch), np.size(batch)) == ((N,), 1, N)
    assert np.argmax(batch) == np.argmax(batch.data)
    assert np.allclose(batch, batch.data) and np.array_equal(batch.data, batch)
    np.testing.assert_allclose(batch, batch.data)
    np.save(tmp_path / "batch.npy", batch)
    assert np.array_equal(np.load(tmp_path / "batch.npy"), batch.data)


@pytest.mark.parametrize("make", [one, two, no_grad()(one), lambda X: one(X)[1:3]])
def test_the_numbers_of_a_batch_cannot_be_written(make):
    batch = make(X)
    before = batch.data.copy()
    for array in (batch.data, np.asarray(batch)):
        with pytest.raises(ValueError, match="read-only"):
            array[:] = 0.0
    copy = np.array(batch)
    copy[:] = 0.0
    assert np.array_equal(batch.data, before) and not copy.any()


# ---- arithmetic ----

V = Value(1.7)
BINARY = [operator.add, operator.sub, operator.mul, operator.truediv, operator.pow]
OTHERS = {
    "float": lambda: 2.5,
    "int": lambda: 3,
    "bool": lambda: True,
    "numpy": lambda: np.float64(0.5),
    "numpy int": lambda: np.int8(2),
    "array": lambda: A,
    "ints": lambda: np.arange(1, N + 1),
    "list": lambda: A.tolist(),
    "Value": lambda: V,
    "Batch": lambda: one(X[::-1].copy()),
    "some": lambda: one(np.concatenate([X, X]))[N:],
    "without a graph": lambda: no_grad()(one)(X),
}


def item(other, k):
    if isinstance(other, (Value, int, float, np.generic)):
        return other
    return other[k]


@pytest.mark.parametrize("op", BINARY)
@pytest.mark.parametrize("kind", OTHERS)
def test_arithmetic_is_that_of_the_samples(op, kind):
    for swapped in (False, True):
        batch, other = one(X), OTHERS[kind]()
        out = op(other, batch) if swapped else op(batch, other)
        pairs = [(batch[k], item(other, k)) for k in range(N)]
        samples = [op(b, a) if swapped else op(a, b) for a, b in pairs]
        assert isinstance(out, mg.Batch)
        assert out.data == pytest.approx([v.data for v in samples], rel=1e-13)
        scale = np.random.default_rng(7).normal(size=N)
        expected = grads_of(sum(s * c for s, c in zip(samples, scale, strict=True)), V)
        assert grads_of((out * scale).sum(), V) == pytest.approx(expected, rel=1e-11)
        pair = batch[3], item(other, 3)
        single = grads_of(op(*pair[::-1]) if swapped else op(*pair), V)
        assert grads_of(out[3], V) == pytest.approx(single, rel=1e-11)


@pytest.mark.parametrize(
    ("of_batch", "of_value"),
    [
        (operator.neg, operator.neg),
        (operator.pos, lambda v: v * 1.0),
        (abs, abs),
        (np.negative, operator.neg),
        (np.abs, abs),
        (np.exp, Value.exp),
        (np.log, Value.log),
        (np.log1p, Value.log1p),
        (np.sqrt, Value.sqrt),
        (np.tanh, Value.tanh),
        (np.sin, Value.sin),
        (np.cos, Value.cos),
        (np.square, lambda v: v**2),
        (lambda b: np.maximum(b, 2.0), lambda v: v.maximum(2.0)),
        (lambda b: np.minimum(2.0, b), lambda v: v.minimum(2.0)),
        (lambda b: np.multiply(A[0], b), lambda v: v * A[0]),
    ],
)
def test_ops_of_one_batch(of_batch, of_value):
    batch = one(X)
    out, samples = of_batch(batch), [of_value(v) for v in batch]
    assert out.data == pytest.approx([v.data for v in samples], rel=1e-13)
    assert grads_of(out.sum()) == pytest.approx(grads_of(total_of(samples)), rel=1e-11)


def test_several_results_a_sample_are_computed_one_by_one():
    batch, weights = two(X), one(X)
    table = np.random.default_rng(8).normal(size=(N, 2))
    out = (batch * 2.0 - table) * V + weights * batch / batch
    assert out.data.shape == (N, 2)
    samples = [
        [
            (v * 2.0 - float(t)) * V + weights[k] * v / v
            for v, t in zip(batch[k], table[k], strict=True)
        ]
        for k in range(N)
    ]
    assert out.data.ravel() == pytest.approx([v.data for v in flat(samples)], rel=1e-13)
    first, second = out.mean()
    eager = total_of(samples) * (1 / N)
    assert grads_of(first + second, V) == pytest.approx(grads_of(eager, V), rel=1e-10)


def test_a_loss_written_outside_is_the_one_written_inside():
    model = nn.MLP(2, [4, 1], activation="tanh")
    y = np.sign(X[:, 0] - 1.0)
    score = mg.compile(model, batch=True)
    loss = mg.compile(lambda x, y: (model(x) - y) ** 2, batch=True)

    def gradients(value):
        model.zero_grad()
        value.backward()
        return [p.grad for p in model.parameters()]

    outside = ((score(X) - y) ** 2).mean()
    inside = loss(X, y).mean()
    assert outside.data == pytest.approx(inside.data, rel=1e-13)
    assert gradients(outside) == pytest.approx(gradients(inside), rel=1e-10)


@pytest.mark.parametrize(
    ("compute", "error", "match"),
    [
        (lambda b: b + "1", TypeError, "not 'str'"),
        (lambda b: None * b, TypeError, "not 'NoneType'"),
        (lambda b: b * 1j, TypeError, "not 'complex'"),
        (lambda b: b + [Value(1.0)] * N, TypeError, "not 'list'"),
        (lambda b: b + np.ones(3), ValueError, r"shape \(3,\) beside a Batch of shape \(7,\)"),
        (lambda b: b + np.ones((N, 1)), ValueError, "one number a sample"),
        (lambda b: b * two(X)[:3], ValueError, "Batches of shapes"),
        (lambda b: b + b[1:], ValueError, "Batches of shapes"),
        (lambda b: two(X) * np.ones(N), ValueError, "beside a Batch of shape"),
        (lambda b: pow(b, 2, 3), TypeError, "modulus"),
        (lambda b: b @ b, TypeError, "unsupported|numpy.matmul"),
        (lambda b: b % 2, TypeError, "unsupported"),
        (lambda b: b + 10**400, OverflowError, "too large"),
        (lambda b: mg.compile(lambda x: x * b)(1.0), mg.TraceError, "arithmetic on a Batch"),
    ],
)
def test_arithmetic_says_what_it_takes(compute, error, match):
    batch = one(X)
    with pytest.raises(error, match=match):
        compute(batch)
    assert len(batch) == N and (batch + 1.0).data.tolist() == (batch.data + 1.0).tolist()


def test_other_numbers_trace_nothing_anew():
    from micrograd_fast import batches

    batch = one(X)
    _ = batch * 2.0
    misses = batches._compiled["multiply"].cache_info().misses
    for k in range(30):
        assert (batch * float(k)).data.tolist() == (batch.data * k).tolist()
    assert batches._compiled["multiply"].cache_info().misses == misses


def test_item_is_the_number_of_a_batch_of_one():
    found = one(X[:1]).item()
    assert type(found) is float and found == one(X).data[0]
    assert two(X)[0][1].item() == two(X).data[0, 1]  # of a Value
    pair = mg.compile(lambda x: [x[0]], batch=True)
    assert pair(X[:1]).item() == X[0, 0]
    for several, n in ((one(X), N), (two(X[:1]), 2), (one(X)[:0], 0)):
        with pytest.raises(ValueError, match=rf"item\(\) of a Batch of {n} numbers: of one alone"):
            several.item()
