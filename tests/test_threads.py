"""set_num_threads: batches split over threads give what one thread gives, the same every time."""

import multiprocessing
import os
import threading

import numpy as np
import pytest
from conftest import run_fresh

import micrograd_fast as mg
from micrograd_fast import nn

N = 30_011  # many tiles, the last one not full


@pytest.fixture(autouse=True)
def one_thread_afterwards():
    yield
    mg.set_num_threads(1)


@pytest.fixture
def problem():
    rng = np.random.default_rng(5)
    X = rng.normal(size=(N, 3))
    model = nn.MLP(3, [8, 1])
    loss = mg.compile(lambda x, y: (1 - y * model(x)).relu(), batch=True)
    return model, loss, X, np.sign(X[:, 0])


def value_and_gradient(model, loss, X, y):
    model.zero_grad()
    batch = loss(X, y)
    mean = batch.mean()
    mean.backward()
    return batch.data.tobytes(), mean.data, [p.grad for p in model.parameters()]


@pytest.mark.parametrize("n_threads", [2, 3, 7])
def test_threads_agree_with_one_and_with_themselves(problem, n_threads):
    data, mean, gradient = value_and_gradient(*problem)
    mg.set_num_threads(n_threads)
    assert mg.get_num_threads() == n_threads
    runs = [value_and_gradient(*problem) for _ in range(4)]
    assert all(run == runs[0] for run in runs)  # bit by bit
    assert runs[0][0] == data
    assert runs[0][1] == mean
    assert runs[0][2] == pytest.approx(gradient, rel=1e-12, abs=1e-15)


def test_gradients_of_samples_and_of_single_results_agree(problem):
    _, _, X, _ = problem
    p = mg.Value(0.7)
    f = mg.compile(lambda x: [(x[0] * p).tanh(), x[1] * x[2] + p], batch=True)
    found = []
    for n_threads in (1, 3):
        mg.set_num_threads(n_threads)
        p.grad = 0.0
        first, second = f(X).sum()
        (first * 2.0 + second).backward()
        g = mg.compile(lambda x: x[0] * x[1] * x[2], batch=True)
        found.append((p.grad, g.value_and_grad(X)[1].tobytes()))
    assert found[0][0] == pytest.approx(found[1][0], rel=1e-12)
    assert found[0][1] == found[1][1]


def test_a_bad_index_in_any_share_is_an_index_error():
    values = [mg.Value(1.0), mg.Value(2.0)]
    f = mg.compile(lambda k: mg.take(values, k) * 3.0, batch=True)
    mg.set_num_threads(3)
    for where in (0, 50_000, 99_999):
        index = np.zeros(100_000)
        index[where] = 2.0
        with pytest.raises(IndexError, match="take"):
            f(index)
        assert f(np.zeros(100_000)).data.sum() == 300_000.0


def test_several_callers_share_the_pool(problem):
    mg.set_num_threads(2)
    _, loss, X, y = problem
    with mg.no_grad():
        expected = loss(X, y).data.tobytes()
    results = []

    def work():
        with mg.no_grad():
            results.extend(loss(X, y).data.tobytes() == expected for _ in range(10))

    callers = [threading.Thread(target=work) for _ in range(4)]
    for caller in callers:
        caller.start()
    for k in range(20):  # the pool is exchanged meanwhile
        mg.set_num_threads(1 + k % 3)
    for caller in callers:
        caller.join()
    assert results == [True] * 40


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
@pytest.mark.filterwarnings("ignore:.*fork")  # other libraries of this process warn, too
def test_after_fork_the_child_has_threads_of_its_own(problem):
    mg.set_num_threads(2)
    model, loss, X, y = problem
    expected = value_and_gradient(*problem)
    context = multiprocessing.get_context("fork")
    queue = context.SimpleQueue()
    child = context.Process(target=lambda: queue.put(value_and_gradient(*problem) == expected))
    child.start()
    child.join(60)
    assert child.exitcode == 0
    assert queue.get() is True
    assert value_and_gradient(model, loss, X, y) == expected


@pytest.mark.parametrize(
    ("n", "error"),
    [
        *[(n, ValueError) for n in (0, -1, 1025, 10**30)],
        *[(n, TypeError) for n in (1.0, "2", None, True)],
    ],
)
def test_what_is_no_number_of_threads_is_refused(n, error):
    mg.set_num_threads(2)
    with pytest.raises(error):
        mg.set_num_threads(n)
    assert mg.get_num_threads() == 2


def test_an_error_before_the_threads_start_is_raised():
    table = [mg.Value(1.0), mg.Value(2.0)]
    pick = mg.compile(lambda x, k: x * mg.take(table, k), batch=True)
    mg.set_num_threads(2)
    X = np.ones(2_000_000)
    assert pick(X, mg.Value(1.0)).sum().data == 4e6
    with pytest.raises(IndexError, match="take"):
        pick(X, mg.Value(2.0))
    assert pick(X, mg.Value(0.0)).sum().data == 2e6


# A pool in the place of Python's own, in a fresh interpreter, which has no pool yet.
POOL = """
    import concurrent.futures
    import numpy as np
    import micrograd_fast as mg

    class Pool:
        def __init__(self, *_): pass
        def shutdown(self, *_, **__): pass
        def submit(self, share):
            {submit}

    class Late:
        def __init__(self, share): self.share, self.asked = share, 0
        def done(self): return self.asked > 1
        def exception(self):
            self.asked += 1
            if self.asked == 1: raise KeyboardInterrupt
            self.share()

    concurrent.futures.ThreadPoolExecutor = Pool
    p = mg.Value(3.0)
    loss = mg.compile(lambda x: x * p, batch=True)
    X = np.ones(1_000_000)
    mg.set_num_threads(2)
"""


def test_a_pool_that_takes_nothing_more_costs_no_share():
    run_fresh(
        POOL.format(submit='raise RuntimeError("cannot schedule new futures after shutdown")')
        + """
    total = loss(X).sum()
    total.backward()
    assert (total.data, p.grad) == (3e6, 1e6)
    """
    )


def test_an_interrupt_while_threads_work_waits_for_them_and_is_raised():
    run_fresh(
        POOL.format(submit="return Late(share)")
        + """
    try:
        loss(X)
    except KeyboardInterrupt:
        pass
    else:
        raise AssertionError("no KeyboardInterrupt")
    mg.set_num_threads(1)
    assert loss(X).sum().data == 3e6
    """
    )


def test_threads_without_memory_raise_and_leave_everything_whole():
    run_fresh("""
        import numpy as np
        import micrograd_fast as mg

        model = mg.nn.MLP(2, [8, 1])
        loss = mg.compile(lambda x: model(x), batch=True)
        X = np.ones((100_000, 2))
        mg.set_num_threads(3)
        want = loss(X[:5]).data.sum() * len(X) / 5
        n_failed = 0
        for k in range(100):
            before = _core.live_nodes()
            _core._set_limits(fail_after=k)
            try:
                total = loss(X).sum()
                total.backward()
                break
            except MemoryError:
                n_failed += 1
            finally:
                _core._set_limits()
            total = None
            assert _core.live_nodes() == before
        assert n_failed > 3, n_failed
        assert abs(total.data - want) < 1e-6 * abs(want)
    """)
