"""f.values(*args): results as plain numbers, in the function's structure."""

import collections
import threading

import numpy as np
import pytest

import micrograd_fast as mg
from micrograd_fast import nn
from micrograd_fast.engine import Value

X = np.random.default_rng(5).normal(size=(7, 3))
Pair = collections.namedtuple("Pair", "first second")


def plain(result):
    """A structure with its arrays and Values as lists and floats, and what they were."""
    if isinstance(result, dict):
        return {word: plain(item) for word, item in result.items()}
    if isinstance(result, tuple):
        items = [plain(item) for item in result]
        return type(result)(*items) if hasattr(result, "_make") else tuple(items)
    if isinstance(result, list):
        return [plain(item) for item in result]
    if isinstance(result, np.ndarray):
        assert result.dtype == np.float64
        return result.tolist()
    return result.data if isinstance(result, Value) else result


STRUCTURES = {
    "one": lambda x: x[0] * 2,
    "list": lambda x: [v * 2 for v in x],
    "list of one": lambda x: [x[0] * 2],
    "matrix": lambda x: [[v * w for v in x] for w in x[:2]],
    "cube": lambda x: [[[v * w * u for v in x] for w in x[:2]] for u in x],
    "tuple": lambda x: (x[0] * 2, x[1] * 3),
    "named": lambda x: Pair(x[0] * 2, [x[1], x[2]]),
    "dict": lambda x: {"loss": x[0] * x[1], "probs": [v.exp() for v in x], 3: x[2]},
    "ragged": lambda x: [[x[0]], [x[1], x[2]]],
    "ragged and regular": lambda x: [[[x[0]], [x[1]]], [[x[2]], x[0]]],
    "mixed": lambda x: [x[0] * 2, [x[1]], 1.0, None, "text", (), [], {}],
    "static between": lambda x: ([x[0], x[1]], 5, [x[2]]),
    "same twice": lambda x: [x[0], x[0], (x[0], [x[1]])],
    "tuples in a list": lambda x: [(x[0], x[1]), (x[1], x[2])],
}


@pytest.mark.parametrize("name", STRUCTURES)
def test_the_structure_is_the_function_s_with_arrays_for_lists(name, live_nodes_unchanged):
    f = mg.compile(STRUCTURES[name])
    for x in X:
        expected = plain(f(x))
        assert plain(f.values(x)) == expected
        assert plain(f.values(x.tolist())) == expected


def test_what_is_a_float_and_what_an_array():
    assert type(mg.compile(STRUCTURES["one"]).values(X[0])) is float
    assert mg.compile(STRUCTURES["list of one"]).values(X[0]).shape == (1,)
    assert mg.compile(STRUCTURES["matrix"]).values(X[0]).shape == (2, 3)
    assert mg.compile(STRUCTURES["cube"]).values(X[0]).shape == (3, 2, 3)
    named = mg.compile(STRUCTURES["named"]).values(X[0])
    assert type(named) is Pair
    assert (type(named.first), named.second.shape) == (float, (2,))
    of_dict = mg.compile(STRUCTURES["dict"]).values(X[0])
    assert [type(item) for item in of_dict.values()] == [float, np.ndarray, float]
    ragged = mg.compile(STRUCTURES["ragged"]).values(X[0])
    assert type(ragged) is list
    assert [item.shape for item in ragged] == [(1,), (2,)]
    assert [type(t) for t in mg.compile(STRUCTURES["tuples in a list"]).values(X[0])] == [tuple] * 2


@pytest.mark.parametrize("n", [0, 1, 7])
@pytest.mark.parametrize("name", [*STRUCTURES])
def test_of_a_batched_function_it_is_the_data_of_the_batch(name, n, live_nodes_unchanged):
    f = mg.compile(STRUCTURES[name], batch=True)
    for _ in range(2):
        expected = f(X[:n]).data
        found = f.values(X[:n])
        assert (found.shape, found.tolist()) == (expected.shape, expected.tolist())
        assert found.flags.writeable and found.flags.owndata


def test_the_numbers_are_those_of_eager_code_and_no_grad_changes(live_nodes_unchanged):
    model = nn.MLP(3, [5, 4], activation="tanh")
    f, rows = mg.compile(model), mg.compile(model, batch=True)
    eager = np.array([[v.data for v in model(list(map(float, x)))] for x in X])
    assert np.array([f.values(x) for x in X]) == pytest.approx(eager, rel=1e-12)
    assert rows.values(X) == pytest.approx(eager, rel=1e-12)
    assert {p.grad for p in model.parameters()} == {0.0}
    model.parameters()[0].data += 1.0
    assert f.values(X[0]) == pytest.approx(
        [v.data for v in model(list(map(float, X[0])))], rel=1e-12
    )


def test_what_comes_back_is_the_caller_s():
    f = mg.compile(STRUCTURES["dict"])
    first = f.values(X[0])
    first["probs"][:] = 7.0
    assert plain(f.values(X[0])) == plain(f(X[0]))
    again = f.values(X[1])
    assert first["probs"].tolist() == [7.0] * 3
    assert plain(again) == plain(f(X[1]))


def test_arguments_are_those_of_a_call():
    p = Value(2.0)
    f = mg.compile(lambda v, k, *, scale: [v * p * k * scale["by"][0], v])
    v = Value(3.0) * 1
    for _ in range(2):
        assert f.values(v, 5, scale={"by": [np.float32(2.0)]}).tolist() == [60.0, 3.0]
        with mg.no_grad():
            assert f.values(v, 5, scale={"by": [2.0]}).tolist() == [60.0, 3.0]
    assert f.cache_info().misses == 1
    assert (p.grad, v.grad) == (0.0, 0.0)


def test_a_batch_as_argument_is_its_numbers_and_keeps_its_graph():
    p = Value(2.0)
    inner = mg.compile(lambda r: [r[0] * p, r[1]], batch=True)(X)
    f = mg.compile(lambda r: r[0] * r[1], batch=True)
    for _ in range(2):
        assert f.values(inner).tolist() == (inner.data[:, 0] * inner.data[:, 1]).tolist()
    f(inner).sum().backward()
    assert p.grad == pytest.approx((X[:, 0] * X[:, 1]).sum())


def test_bad_arguments_are_named_at_every_call():
    f = mg.compile(lambda x, k: mg.take(x, k))
    rows = mg.compile(lambda x: x[0], batch=True)
    for _ in range(2):
        assert f.values(X[0], 1.0) == X[0, 1]
        with pytest.raises(TypeError, match="argument 1 is 'object'"):
            f.values(X[0], object())
        with pytest.raises(IndexError, match=r"index 3 is out of range for 3 values"):
            f.values(X[0], 3.0)
        with pytest.raises(ValueError, match="at least one argument must be an array"):
            rows.values(1.0)
        with pytest.raises(ValueError, match="at least one argument"):
            rows.values()


def test_inside_a_trace_it_is_refused():
    f = mg.compile(lambda x: x * 2)
    with pytest.raises(mg.TraceError, match=r"values.*outside"):
        mg.compile(lambda x: x * f.values(x))(1.0)


def test_a_change_that_the_trace_has_read_is_seen():
    scale = [2.0]
    f = mg.compile(lambda x: [x * scale[0]])
    assert f.values(3.0).tolist() == [6.0]
    scale[0] = 5.0
    assert f.values(3.0).tolist() == [15.0]


def test_methods_have_it_too():
    class A:
        def __init__(self, k):
            self.k = k

        @mg.compile
        def f(self, x):
            return [x * self.k, x]

    assert [A(k).f.values(2.0).tolist() for k in (3.0, 4.0)] == [[6.0, 2.0], [8.0, 2.0]]


def test_threads_get_their_own_numbers():
    f = mg.compile(lambda x: {"a": [v.tanh() for v in x], "b": x[0] * x[1]})
    expected = [plain(f.values(x)) for x in X]
    wrong = []

    def work(k):
        wrong.extend(n for n in range(200) if plain(f.values(X[k])) != expected[k])

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert wrong == []
