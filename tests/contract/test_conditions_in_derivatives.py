"""What an arm that is not taken cannot do to derivatives of any order, built either way."""

import subprocess
import sys

import numpy as np
import pytest

import micrograd_fast as mg
from micrograd_fast import Value, functional

NAN, INF = float("nan"), float("inf")

# Of x < 0, where x.log() is nan: what an arm does with it.
ARMS = {
    "abs": lambda v, x: abs(v),
    "relu": lambda v, x: v.relu(),
    "maximum": lambda v, x: v.maximum(x),
    "minimum": lambda v, x: v.minimum(1.0),
    "largest of many": lambda v, x: mg.maximum(v, 1.0, x),
    "smallest of many": lambda v, x: mg.minimum(x, v, v * v),
    "clip": lambda v, x: mg.clip(v, -1.0, 1.0),
    "hinge": lambda v, x: functional.hinge_loss([v], [1.0]),
    "norm": lambda v, x: functional.norm([v, x]),
    "times nan": lambda v, x: v * NAN,
    "plain times nan": lambda v, x: x * NAN,
    "times inf": lambda v, x: x * INF,
    "over 0": lambda v, x: x / 0.0,
    "inf over it": lambda v, x: INF / x,
    "power of a wrong constant": lambda v, x: Value(-3.0) ** x,
    "hypot": lambda v, x: v.hypot(v - v),
    "atan2": lambda v, x: (x - x).atan2(x - x),
    "lgamma": lambda v, x: v.lgamma() + (x - x).digamma(),
    "xlogy": lambda v, x: x.xlogy(x),
    "log_ndtr": lambda v, x: v.log_ndtr() + (x * INF).ndtr(),
    "gelu": lambda v, x: functional.gelu(v) + functional.elu(x * 1e300 * 1e300),
}


@pytest.mark.parametrize("name", ARMS)
def test_it_adds_nothing_by_any_method(name):
    def g(x, y):
        return mg.where(x > 0, ARMS[name](x.log(), x), y * y * y + x * y)

    f, x, y = mg.compile(g), -1.0, 3.0
    both = {"argnums": (0, 1)}
    assert f.grad(x, y, **both) == (3.0, 26.0)
    for mode in ("forward", "reverse"):
        assert np.array(f.jacobian(x, y, mode=mode, **both)).ravel().tolist() == [3.0, 26.0]
    assert f.vjp(x, 1.0, y, **both) == (3.0, 26.0)
    assert f.jvp(x, 1.0, y) == 3.0
    hessian = f.hessian(x, y, **both)
    assert np.array(hessian).reshape(2, 2).tolist() == [[0.0, 1.0], [1.0, 18.0]]
    again = mg.compile(mg.grad(mg.grad(g, argnums=1), argnums=1))
    assert again(x, y).data == 18.0
    third = mg.compile(mg.grad(mg.grad(mg.grad(g, argnums=1), argnums=1), argnums=1), batch=True)
    assert third(np.full(9, x), np.full(9, y)).data.tolist() == [6.0] * 9


@pytest.mark.parametrize("name", ["abs", "relu", "largest of many", "times nan", "hypot"])
def test_nor_when_taken_by_an_index(name):
    f = mg.compile(lambda x, i: mg.take([x * x, ARMS[name](x.log(), x)], i))
    assert f.hessian(-1.0, np.int64(0)) == 2.0
    assert f.vjp(-1.0, 1.0, np.int64(0)) == -2.0


def test_missing_data_in_a_closure():
    data, present = [1.0, NAN, 3.0], np.array([1.0, 0.0, 1.0])
    f = mg.compile(lambda x, m: [mg.where(m[i], x * data[i], 0.0) for i in range(3)])
    assert f.jacobian(2.0, present).tolist() == [1.0, 0.0, 3.0]
    assert f.vjp(2.0, np.ones(3), present) == 4.0
    loss = mg.compile(
        lambda x, m: functional.sum(
            [mg.where(m[i], abs(x * data[i] - 1.0) ** 2, 0.0) for i in range(3)]
        )
    )
    assert loss.hessian(2.0, present) == 20.0


def test_huber_s_loss_of_missing_data():
    def loss(b, a):
        d = a - b * b
        return mg.where(mg.equal(a, a), mg.where(abs(d) < 1, 0.5 * d**2, abs(d) - 0.5), b * b)

    f = mg.compile(loss)
    assert f.hessian(2.0, NAN) == 2.0
    assert f.vjp(2.0, 1.0, NAN) == 4.0


def test_a_network_in_an_arm_is_trained_by_what_was_taken():
    def net(t):
        return (t * w + 0.5).relu() * 2.0

    w = Value(1.5)

    def residual(t):
        return mg.grad(lambda t: mg.where(t > 0, net(t.log()), t * t))(t)

    f = mg.compile(residual, batch=True)
    t = np.array([-1.0, 2.0, -3.0])
    assert f(t).data.tolist() == [-2.0, 1.5, -6.0]
    f(t).sum().backward()
    assert w.grad == 1.0


def test_comparisons_are_traced_as_fast_where_signals_are_handled():
    """Not timed: counted. Each asked Python for the handlers of all signals."""
    code = (
        "import signal, micrograd_fast as mg\n"
        "calls, real = [], signal.getsignal\n"
        "signal.getsignal = lambda n: calls.append(n) or real(n)\n"
        "def f(x):\n"
        "    s = 0.0\n"
        "    for i in range(50): s = s + mg.where(x > i, x, 0.0)\n"
        "    return s\n"
        "mg.compile(f)(1.0)\n"
        "print(len(calls), len(signal.valid_signals()))\n"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    calls, signals = map(int, done.stdout.split())
    assert calls <= signals


def test_conditions_are_joined_with_data():
    x, m = np.array([1.0, 4.0, -1.0]), np.array([True, False, True])
    f = mg.compile(
        lambda x, m: [mg.where(c, x, 0.0) for c in (m & (x > 0), (x > 0) & m, (x < 0) | m)]
    )
    for k, v in enumerate(x):
        held = [bool(m[k] and v > 0), bool(m[k] and v > 0), bool(v < 0 or m[k])]
        assert [out.data for out in f(v, m[k])] == [v if h else 0.0 for h in held]
    batch = mg.compile(lambda x, m: mg.where(m & (x > 0), x.log(), 0.0), batch=True)
    assert batch(x, m).data.tolist() == [0.0, 0.0, 0.0]
    assert batch(x, ~m).data.tolist() == [0.0, pytest.approx(np.log(4.0)), 0.0]
    either = mg.compile(lambda x, m: mg.where(m ^ (x > 0), 1.0, 0.0), batch=True)
    assert either(x, m).data.tolist() == [0.0, 1.0, 1.0]


def test_clip_of_bounds_that_are_turned_round_is_numpys():
    for x in (0.5, 2.0, 4.0):
        assert mg.clip(x, 3.0, 1.0).data == np.clip(x, 3.0, 1.0)


def test_a_constant_divisor_below_the_normal_range():
    f = mg.compile(lambda x: x / 1e-310)
    assert f.values(1e-310) == 1.0
    assert f.values(0.0) == 0.0


@pytest.mark.parametrize("method", ["grad", "value_and_grad", "hessian"])
def test_a_mistake_in_the_function_is_told_without_what_a_number_became(method):
    f = mg.compile(lambda x: mg.where(x > 0, "a", x))
    with pytest.raises(TypeError, match=r"a must be a Value or a number, not 'str'$"):
        getattr(f, method)(2.0)
    with pytest.raises(TypeError, match=r"^<lambda> returned"):
        mg.compile(lambda x: x > 0).grad(2.0)
