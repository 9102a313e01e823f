"""Equal ones share the gradient of a maximum or minimum of many evenly, eager and compiled."""

import math
import pickle

import numpy as np
import pytest

import micrograd_fast as mg
from micrograd_fast import _core
from micrograd_fast._core import live_nodes
from micrograd_fast.engine import Value

FUNCTIONS = {"maximum": (mg.maximum, np.max, 1.0), "minimum": (mg.minimum, np.min, -1.0)}
BOTH = pytest.mark.parametrize("name", FUNCTIONS)


def shares(numbers, name):
    """What each gets, by NumPy."""
    numbers = np.asarray(numbers, dtype=float)
    tied = numbers == FUNCTIONS[name][1](numbers)
    return tied / tied.sum()


def eager(numbers, name):
    values = [Value(x) for x in numbers]
    out = FUNCTIONS[name][0](*values)
    out.backward()
    return out.data, [v.grad for v in values]


CASES = [
    [1.0, 1.0, 1.0],
    [2.0, 7.0, 7.0, 1.0, 7.0],
    [3.0, 2.0, 1.0],
    [1.0, 2.0, 3.0, 3.0],
    [0.0, -0.0, 0.0],
    [math.inf, math.inf, 1.0, math.inf],
    [-math.inf, -math.inf, -math.inf],
    [5.0] * 7 + [4.0],
]


@BOTH
@pytest.mark.parametrize("numbers", CASES, ids=str)
def test_equal_ones_share_evenly(name, numbers):
    data, grads = eager(numbers, name)
    assert data == FUNCTIONS[name][1](numbers)
    assert grads == shares(numbers, name).tolist()
    assert eager([-x for x in numbers], name)[1] == shares([-x for x in numbers], name).tolist()


@BOTH
def test_two_thousand_equal_ones_share_evenly(name):
    assert eager([0.5] * 2000, name) == (0.5, [1 / 2000] * 2000)


@BOTH
def test_one_value_many_times_gets_every_share(name):
    x, y = Value(2.0), Value(2.0)
    FUNCTIONS[name][0](x, y, x, x).backward()
    assert (x.grad, y.grad) == (0.75, 0.25)
    FUNCTIONS[name][0](x, x, x).backward()
    assert x.grad == pytest.approx(1.75, rel=1e-15)


@BOTH
def test_many_are_one_node_over_all_of_them(name):
    xs = [Value(float(k)) for k in range(4)]
    before = live_nodes()
    out = FUNCTIONS[name][0](*xs, 7)
    assert (out._op, {v.data for v in out._prev}) == (name[:3], {0.0, 1.0, 2.0, 3.0, 7.0})
    assert set(xs) < out._prev
    del out
    assert live_nodes() == before
    assert FUNCTIONS[name][0](xs[0]) is xs[0]
    assert FUNCTIONS[name][0](xs[0], xs[1])._prev == {xs[0], xs[1]}
    with mg.no_grad():
        assert FUNCTIONS[name][0](*xs)._prev == set()


@BOTH
def test_nan_is_the_result_and_the_gradient_of_all(name):
    for numbers in ([1.0, math.nan, 2.0], [math.nan] * 3, [math.nan, 1.0, 1.0]):
        data, grads = eager(numbers, name)
        assert math.isnan(data)
        assert all(map(math.isnan, grads))
        f = mg.compile(lambda v, name=name: FUNCTIONS[name][0](*v), batch=True)
        values, gradients = f.value_and_grad(np.array([numbers, [1.0, 2.0, 2.0]]))
        assert math.isnan(values[0]) and np.isnan(gradients[0]).all()
        assert gradients[1].tolist() == shares([1.0, 2.0, 2.0], name).tolist()


@BOTH
def test_gradients_are_pytorchs_amax(name):
    torch = pytest.importorskip("torch")
    rng = np.random.default_rng(3)
    for n in (3, 4, 9):
        for _ in range(20):
            numbers = rng.integers(0, 3, n).astype(float)
            t = torch.tensor(numbers, requires_grad=True)
            (torch.amax if name == "maximum" else torch.amin)(t).backward()
            assert eager(numbers, name)[1] == pytest.approx(t.grad.tolist(), rel=1e-15)


def test_losing_operands_get_nothing_whatever_stands_behind_them():
    x = Value(0.0)
    f = mg.compile(lambda v: mg.maximum(v.sqrt() - 5.0, v + 1.0, v + 0.5), batch=True)
    assert f.value_and_grad(np.zeros(9))[1].tolist() == [1.0] * 9
    out = mg.maximum(x + 2.0, x, x)
    out.grad = 0.0
    x.data = math.nan
    out._backward()  # nothing reaches it
    assert x.grad == 0.0


def test_data_rewritten_before_backward_decides():
    x, y, z = Value(1.0), Value(2.0), Value(3.0)
    out = mg.maximum(x, y, z)
    x.data = 9.0
    out.backward()
    assert (x.grad, y.grad, z.grad) == (1.0, 0.0, 0.0)


# ---- compiled ----


@BOTH
@pytest.mark.parametrize("n_rows", [1, 7, 8, 300])
@pytest.mark.parametrize("n", [2, 3, 4, 5, 17])
def test_compiled_maxima_of_rows_numbers_and_parameters_share_as_eager_ones(
    variant, name, n_rows, n
):
    f = FUNCTIONS[name][0]
    rng = np.random.default_rng(n)
    x = rng.integers(0, 3, (n_rows, n)).astype(float)
    p, q = Value(1.0), Value(2.0)

    def function(row):
        return f(*row) * 3.0 + f(p, *row, q) + f(1.0, *row[:2], p) + f(p, q, 1.5) + f(q, q, p)

    values, gradient = mg.compile(function, batch=True).value_and_grad(x)
    rows = [[Value(v) for v in row] for row in x]
    outs = [function(row) for row in rows]
    for out in outs:
        out.backward()
    assert values.tolist() == [out.data for out in outs]
    assert gradient == pytest.approx(np.array([[v.grad for v in r] for r in rows]), rel=1e-14)
    expected = p.grad, q.grad
    p.grad = q.grad = 0.0
    mg.compile(function, batch=True)(x).sum().backward()
    assert (p.grad, q.grad) == pytest.approx(expected, rel=1e-13)


@BOTH
def test_compiled_calls_without_a_batch_share_evenly(name):
    xs = [Value(1.0), Value(1.0), Value(1.0)]
    mg.compile(lambda v: FUNCTIONS[name][0](*v))(xs).backward()
    assert [v.grad for v in xs] == [1 / 3] * 3


def test_a_program_with_a_maximum_of_many_prints_pickles_and_shares_what_is_common():
    f = mg.compile(lambda v: mg.maximum(*v) * mg.maximum(*v) + mg.minimum(*v), batch=True)
    x = np.array([[1.0, 2.0, 2.0]])
    text = f.program(x)
    assert text.count("= largest [") >= 1 and "= smallest [" in text
    assert "'largest': 2" in text and text.count("= largest [") == 1  # traced, and computed
    assert f(x).data.tolist() == [5.0]
    with _core.Trace() as trace:
        inputs = [trace.input() for _ in range(3)]
        out = mg.maximum(*inputs) + mg.minimum(*inputs)
    program, _ = trace.program([out])
    same = pickle.loads(pickle.dumps(program))
    assert same.listing() == program.listing()
    assert program.counts()["largest"] == program.counts()["smallest"] == 1


def test_a_chain_of_binary_maxima_keeps_its_halves():
    x, y, z = Value(1.0), Value(1.0), Value(1.0)
    x.maximum(y).maximum(z).backward()
    assert (x.grad, y.grad, z.grad) == (0.25, 0.25, 0.5)
    f = mg.compile(lambda v: v[0].maximum(v[1]).maximum(v[2]), batch=True)
    assert f.value_and_grad(np.ones((3, 3)))[1].tolist() == [[0.25, 0.25, 0.5]] * 3


def test_a_method_that_a_subclass_replaced_is_asked():
    class Loud(Value):
        def maximum(self, other):
            asked.append(self.data)
            return Value.maximum(self, other)

    asked = []
    assert mg.maximum(Loud(1.0), 2.0, 3.0).data == 3.0
    assert asked == [1.0]


def test_values_that_must_live_are_kept_by_a_maximum():
    class Kept(Value):
        pass

    out = mg.maximum(Kept(1.0), Kept(5.0), 2.0)
    assert {type(v) for v in out._prev} == {Kept, Value}
    out.backward()
    assert {v.data: v.grad for v in out._prev} == {1.0: 0.0, 5.0: 1.0, 2.0: 0.0}


def test_what_is_no_value_is_refused():
    for f in (_core.largest, _core.smallest):
        with pytest.raises(TypeError, match="must be Values, one is 'str'"):
            f([Value(1.0), "2"])
        with pytest.raises(ValueError, match="at least one"):
            f([])


def test_a_detached_maximum_is_a_leaf():
    xs = [Value(1.0), Value(3.0), Value(2.0)]
    before = live_nodes()
    out = _core.largest(xs, detached=True)
    assert (out.data, out._op, out._prev, live_nodes()) == (3.0, "", set(), before + 1)
    assert _core.largest(xs[:1], True) is not xs[0]
