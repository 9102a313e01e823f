"""Threads: tracing, calling and differentiating compiled functions at once."""

import builtins
import math
import sys
import threading

import numpy as np
import pytest

import micrograd_fast as mg
from micrograd_fast import _core, nn
from micrograd_fast.engine import Value, no_grad


def in_threads(*functions):
    """Runs each in a thread of its own; raises what one of them raised."""
    errors = []

    def guarded(function):
        try:
            function()
        except builtins.BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(f,)) for f in functions]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def test_two_threads_trace_at_once():
    together = threading.Barrier(2, timeout=20)
    results = {}

    def trace_in_step(name, p):
        def function(x):
            y = x * p
            together.wait()
            z = y + Value(float(name))
            together.wait()
            return z.tanh()

        v = Value(0.25)
        out = mg.compile(function)(v)
        out.backward()
        results[name] = (out.data, v.grad, p.grad)

    p, q = Value(0.5), Value(-2.0)
    in_threads(lambda: trace_in_step(1, p), lambda: trace_in_step(2, q))
    for name, w in ((1, 0.5), (2, -2.0)):
        t = math.tanh(0.25 * w + name)
        slope = 1 - t * t
        assert results[name] == pytest.approx((t, slope * w, slope * 0.25), rel=1e-12)


def test_a_thread_that_does_not_trace_goes_on_eagerly_meanwhile():
    inside, done = threading.Event(), threading.Event()
    seen = []
    p = Value(2.0)

    def function(x):
        y = x * p
        inside.set()
        assert done.wait(20)
        return y

    def eager():
        assert inside.wait(20)
        v = Value(3.0)
        out = (v * p + 1).relu()
        seen.extend([out.data, v > 2, bool(out), _core.tracing(), p.data])
        with no_grad():
            seen.append((v * 2)._prev)
        v.grad = 0.0
        seen.append(mg.compile(lambda x: x + v)(1.0).data)
        done.set()

    f = mg.compile(function)
    in_threads(lambda: f(1.0), eager)
    assert seen == [7.0, True, True, False, 2.0, set(), 4.0]
    assert f(4.0).data == 8.0


@pytest.mark.parametrize("batch", [False, True])
def test_two_threads_may_call_one_compiled_function(batch, busy_threads):
    model = nn.MLP(2, [8, 1])
    f = mg.compile(model, batch=batch)
    data = [np.random.default_rng(k).normal(size=(700, 2) if batch else 2) for k in range(4)]
    expected = [f(x).data for x in data]

    def work(k):
        for _ in range(30):
            assert np.array_equal(f(data[k]).data, expected[k])

    in_threads(*[lambda k=k: work(k) for k in range(4)])


def test_gradients_of_calls_in_two_threads_add_up(busy_threads):
    p = Value(0.5)
    f = mg.compile(lambda x: x * p, batch=True)

    def work():
        for _ in range(50):
            f(np.ones(1000)).sum().backward()

    in_threads(work, work)
    assert p.grad == 100_000.0


@pytest.mark.parametrize("batch", [False, True])
def test_two_threads_get_their_own_gradients(batch, busy_threads):
    model = nn.MLP(2, [8, 1], activation="tanh")
    f = mg.compile(model, batch=batch)
    data = [np.random.default_rng(k).normal(size=(700, 2) if batch else 2) for k in range(4)]
    expected = [f.value_and_grad(x) for x in data]

    def work(k):
        for _ in range(30):
            value, gradient = f.value_and_grad(data[k])
            assert np.array_equal(value, expected[k][0])
            assert np.array_equal(gradient, expected[k][1])

    in_threads(*[lambda k=k: work(k) for k in range(4)])


def test_gradients_of_several_results_and_batch_arguments_in_two_threads_add_up(busy_threads):
    p = Value(0.5)
    f = mg.compile(lambda x: [x * p, x * x * p], batch=True)
    g = mg.compile(lambda u: u[0] * u[1], batch=True)
    x = np.full(500, 2.0)

    def work():
        for _ in range(30):
            first, second = f(x).sum()
            (first + second + g(f(x)).sum()).backward()

    in_threads(work, work)
    once = 500 * (2.0 + 4.0 + 2 * 0.5 * 8.0)
    assert p.grad == 60 * once


def test_first_calls_of_one_function_in_several_threads_agree(busy_threads):
    p = Value(2.0)
    for _ in range(20):
        f = mg.compile(lambda x: [(x * p).tanh() + k for k in range(20)])
        results = []
        in_threads(*[lambda f=f, r=results: r.append([v.data for v in f(0.5)]) for _ in range(3)])
        assert results == [results[0]] * 3


def test_the_gil_is_released_while_a_batch_runs():
    p = Value(2.0)
    f = mg.compile(lambda x: (x * p).tanh().exp().sin(), batch=True)
    x = np.ones(200_000)
    f(x)
    gate, passed = threading.Lock(), []
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e6)  # nobody takes the GIL away: it must be given
    try:
        gate.acquire()
        thread = threading.Thread(target=lambda: (gate.acquire(), passed.append(True)))
        thread.start()
        gate.release()
        for _ in range(300):
            f(x)
            if passed:
                break
        assert passed
    finally:
        sys.setswitchinterval(interval)
        thread.join()


def test_samples_of_one_call_go_backward_in_threads_as_they_do_in_turns(busy_threads):
    """Each runs the call again, without the GIL; both read what the call computed once for all."""
    model = nn.MLP(60, [200, 200, 200, 1])
    parameters, once_for_all = model.parameters(), [Value(0.01 * k) for k in range(60)]
    function = mg.compile(lambda x: model(once_for_all) * x, batch=True)
    batch = function(np.linspace(-1.0, 1.0, 50))
    together = threading.Barrier(2, timeout=20)

    def gradients():
        grads = np.array([p.grad for p in parameters])
        model.zero_grad()
        return grads

    def backward(sample):
        together.wait()
        for _ in range(40):
            batch[sample].backward()

    batch[0].backward()
    batch[40].backward()
    expected = 40 * gradients()
    for _ in range(20):
        in_threads(lambda: backward(0), lambda: backward(40))
        np.testing.assert_allclose(gradients(), expected, rtol=1e-10, atol=1e-12)
