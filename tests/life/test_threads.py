"""set_num_threads: batches split over threads give what one thread gives, the same every time."""

import multiprocessing
import os
import sys
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


# A loss that takes some 300 us, split over three threads, and what it gives.
SPLIT = """
    import os, signal, threading, time
    import numpy as np
    import micrograd_fast as mg

    p = mg.Value(0.7)
    loss = mg.compile(lambda x: [(x * p).tanh(), x * p], batch=True)
    X = np.linspace(-1.0, 1.0, 200_000)
    mg.set_num_threads(3)

    def once():
        p.grad = 0.0
        first, second = loss(X).sum()
        (first + second).backward()
        return first.data, second.data, p.grad

    expected = once()
"""


def test_no_interrupt_ends_a_call_before_its_threads_are_done():
    """They used to write on through the caller's stack: a segfault or a hang within six."""
    out = run_fresh(
        SPLIT
        + """
    armed = []  # one interrupt each time, and none outside of the try

    def interrupt(*_):
        if armed:
            armed.clear()
            raise KeyboardInterrupt

    signal.signal(signal.SIGINT, interrupt)
    main, n_calls, n_interrupts, over = threading.get_ident(), 0, 0, threading.Event()

    def meddle():
        while not over.wait(0.0005):
            signal.pthread_kill(main, signal.SIGINT)

    meddler = threading.Thread(target=meddle)
    meddler.start()
    while n_interrupts < 250 or n_calls < 250:
        try:
            n_calls += 1
            armed.append(True)
            once()
            armed.clear()
        except KeyboardInterrupt:
            n_interrupts += 1
    over.set()
    meddler.join()
    assert once() == expected
    print("done")
    """,
        timeout=100,
    )
    assert out == "done\n"


def test_threads_that_cannot_be_started_cost_no_share_and_no_bit():
    run_fresh(
        SPLIT
        + """
    assert _core._num_workers() == (2, 2)
    for n_starts in (0, 1, 0, 2, 1):
        mg.set_num_threads(1)  # they end
        assert _core._num_workers() == (0, 0)
        mg.set_num_threads(3)
        _core._set_thread_starts(n_starts)
        assert [once() for _ in range(5)] == [expected] * 5
        assert _core._num_workers() == (n_starts, n_starts)
    _core._set_thread_starts()
    assert once() == expected
    assert _core._num_workers() == (2, 2)
    """
    )


@pytest.mark.skipif(sys.platform != "linux" or sys.maxsize < 2**32, reason="a stack of 64 TB")
def test_threads_that_the_system_refuses_cost_nothing():
    run_fresh(
        SPLIT
        + """
    mg.set_num_threads(1)
    threading.stack_size(1 << 46)
    mg.set_num_threads(3)
    try:
        threading.Thread(target=print).start()
    except RuntimeError:
        assert [once() for _ in range(5)] == [expected] * 5
        assert _core._num_workers() == (0, 0)
    threading.stack_size(0)
    assert once() == expected
    assert _core._num_workers() == (2, 2)
    """
    )


def test_calls_of_several_threads_share_the_workers_and_lose_no_bit():
    """Also while the number of threads changes: a call keeps the one that it began with."""
    run_fresh(
        SPLIT
        + """
    want = {3: loss(X).data.tobytes()}
    errors, over = [], threading.Event()

    def work():
        with mg.no_grad():
            while not over.is_set():
                if loss(X).data.tobytes() != want[3]:
                    errors.append("another result")

    callers = [threading.Thread(target=work) for _ in range(4)]
    for c in callers:
        c.start()
    for k in range(60):
        mg.set_num_threads(1 + k % 5)
        time.sleep(0.005)
        n, n_idle = _core._num_workers()
        assert 0 <= n_idle <= n <= 4
    over.set()
    for c in callers:
        c.join()
    mg.set_num_threads(3)
    assert not errors and once() == expected
    mg.set_num_threads(1)
    assert _core._num_workers() == (0, 0)
    """
    )


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork here")
def test_fork_while_another_thread_is_in_a_split_call():
    run_fresh(
        SPLIT
        + """
    import warnings

    warnings.simplefilter("ignore", DeprecationWarning)  # fork beside threads
    other = mg.compile(lambda x: (x * 0.5).exp() * p, batch=True)
    over = threading.Event()

    def work():
        while not over.is_set():
            with mg.no_grad():
                other(X)

    caller = threading.Thread(target=work)
    caller.start()
    for _ in range(20):
        child = os.fork()
        if child == 0:
            signal.alarm(20)
            os._exit(0 if once() == expected and once() == expected else 1)
        assert os.waitpid(child, 0)[1] == 0
    over.set()
    caller.join()
    assert once() == expected
    """,
        timeout=100,
    )


@pytest.mark.parametrize("where", ["in a call", "between calls"])
def test_the_program_may_end_while_threads_are_there(where):
    run_fresh(
        SPLIT
        + f"""
    def work():
        while True:
            with mg.no_grad():
                loss(X)

    if {where == "in a call"}:
        for _ in range(3):
            threading.Thread(target=work, daemon=True).start()
        time.sleep(0.05)
    """,
        timeout=60,
    )


@pytest.mark.skipif(not os.path.isdir("/proc/self/task"), reason="where Linux lists threads")
def test_signals_are_for_pythons_threads():
    """A worker that took one would leave the thread that waits for it asleep."""
    run_fresh(
        SPLIT
        + """
    mg.set_num_threads(1)
    others = set(os.listdir("/proc/self/task"))
    mg.set_num_threads(3)
    once()
    workers = set(os.listdir("/proc/self/task")) - others
    assert len(workers) == 2
    for task in workers:
        status = open(f"/proc/self/task/{task}/status").read()
        blocked = int(status.split("SigBlk:")[1].split()[0], 16)
        assert blocked >> (signal.SIGINT - 1) & 1
        assert not blocked >> (signal.SIGSEGV - 1) & 1
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
        total = loss(X).sum()
        total.backward()
        want, gradient = total.data, [p.grad for p in model.parameters()]
        total, n_failed = None, 0
        mg.set_num_threads(1)  # threads, too, are started anew while memory fails
        for k in range(100):
            before = _core.live_nodes()
            model.zero_grad()
            mg.set_num_threads(3)
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
            mg.set_num_threads(1)
            assert _core.live_nodes() == before
        assert n_failed > 3, n_failed
        assert (total.data, [p.grad for p in model.parameters()]) == (want, gradient)
    """)
