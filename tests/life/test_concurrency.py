"""Threads, forks, other processes, other interpreters, interruptions, and the end of the program.

What is promised stands in docs/promises.md: calls are atomic under the interpreter lock, graphs may
be shared, a forked child has a copy of everything.
"""

import gc
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import numpy as np
import pytest
from conftest import run_fresh

import micrograd_fast as mg
from micrograd_fast import Value, nn, optim
from micrograd_fast._core import live_nodes

SECONDS = [0.7, pytest.param(60, marks=pytest.mark.slow)]


def in_threads(work, n=4):
    """Runs work(k) in n threads; the first error of any is raised here."""
    errors = []

    def guarded(k):
        try:
            work(k)
        except BaseException as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(k,)) for k in range(n)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    if errors:
        raise errors[0]


def own_graph(k, shared):
    """Builds, differentiates and drops a graph of its own over shared and own leaves."""
    x = Value(float(k))
    y = x * shared + x**2
    for _ in range(20):
        y = (y + 1.0) * 0.5
    custom = Value(y.data, (y,), "custom")
    custom._backward = lambda: setattr(y, "grad", y.grad + custom.grad)
    custom.label = f"thread {k}"
    (custom * 2.0).backward()
    expected = 2.0 * 0.5**20 * (shared.data + 2.0 * k)
    assert abs(x.grad - expected) <= 1e-12 * abs(expected)
    assert custom.label == f"thread {k}"


@pytest.mark.parametrize("seconds", SECONDS)
@pytest.mark.usefixtures("live_nodes_unchanged", "busy_threads")
def test_threads_build_differentiate_and_drop_graphs(seconds):
    shared = Value(3.0)
    top = [shared * 1.0]
    end = time.monotonic() + seconds

    def work(k):
        while time.monotonic() < end:
            own_graph(k + 1, shared)
            # The one graph that all of them extend, walk, differentiate and cut back.
            top[0] = top[0] + shared
            top[0].backward()
            assert len(top[0]._prev) <= 2
            shared.note = k
            if top[0].data > 600:
                top[0] = shared * 1.0
            with mg.no_grad():
                assert not (shared * 2.0)._prev

    in_threads(work)
    assert (shared * 2.0)._prev
    top.clear()
    del work


@pytest.mark.parametrize("seconds", SECONDS)
@pytest.mark.usefixtures("busy_threads")
def test_threads_call_and_differentiate_one_compiled_function(seconds):
    weight = Value(2.0)
    batched = mg.compile(lambda x: (x * weight + 1.0).tanh(), batch=True)
    single = mg.compile(lambda x: x * weight)
    end = time.monotonic() + seconds

    def work(k):
        rng = np.random.default_rng(k)
        while time.monotonic() < end:
            xs = rng.normal(size=int(rng.integers(1, 300)))
            with mg.no_grad():
                assert np.allclose(batched(xs).data, np.tanh(xs * 2.0 + 1.0), rtol=1e-12)
            batched(xs).mean().backward()
            x = Value(float(k))
            single(x).backward()
            assert x.grad == 2.0
            # A fresh function is traced while the others run eagerly or replay.
            traced = mg.compile(lambda v, k=k: v * float(k) + 1.0)
            assert traced(3.0).data == 3.0 * k + 1.0
            assert (x + 1.0).data == k + 1.0

    in_threads(work)
    assert np.isfinite(weight.grad)
    weight.grad = 0.0
    batched(np.zeros(4)).sum().backward()
    assert weight.grad == 0.0


@pytest.mark.usefixtures("live_nodes_unchanged", "busy_threads")
def test_threads_that_collect_garbage_meanwhile():
    import gc

    def work(k):
        for n in range(20):
            own_graph(n % 7 + 1, Value(2.0))
            if k == 0:
                gc.collect()

    in_threads(work)


def test_a_custom_step_may_let_other_threads_change_its_graph():
    x = Value(1.0)
    y = x * 2.0
    out = [y + 1.0]

    def step():
        def meddle():
            out.clear()
            (x * 5.0).backward()
            y.note = [x]

        thread = threading.Thread(target=meddle)
        thread.start()
        thread.join()
        x.grad += 2.0 * y.grad

    y._backward = step
    out[0].backward()
    assert x.grad == 7.0


# ---- processes ----

TRAIN = """
    import numpy as np
    import micrograd_fast as mg
    from micrograd_fast import nn, optim
    import random

    random.seed(1)
    model = nn.MLP(2, [4, 1])
    optimizer = optim.Adam(model.parameters(), lr=0.01)
    compiled = mg.compile(lambda x, t: (model(x) - t) ** 2, batch=True)
    X, T = np.linspace(-1, 1, 16).reshape(8, 2), np.linspace(0, 1, 8)

    def train(steps):
        for _ in range(steps):
            loss = compiled(X, T).mean() + (model([0.5, 1.0]) - 1.0) ** 2
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
        return [p.data for p in model.parameters()]
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_fork_in_the_middle_of_training_goes_on_alike_in_both():
    run_fresh(
        textwrap.dedent(TRAIN)
        + textwrap.dedent("""
        import os, pickle

        train(10)
        pending = compiled(X, T).mean()
        custom = Value(1.0, (pending,), "custom")
        custom._backward = lambda: setattr(pending, "grad", pending.grad + custom.grad)
        read, write = os.pipe()
        child = os.fork()
        if child == 0:
            custom.backward()
            os.write(write, pickle.dumps(train(10)))
            os._exit(0)
        custom.backward()
        ours = train(10)
        os.close(write)
        theirs = b""
        while chunk := os.read(read, 65536):
            theirs += chunk
        assert os.waitpid(child, 0)[1] == 0
        assert pickle.loads(theirs) == ours
    """)
    )


WORKER = """
    import multiprocessing, sys
    from micrograd_fast import Value, nn

    def loss_of(model):
        loss = (model([0.5, -1.0]) - 1.0) ** 2
        loss.backward()
        return model, loss.data, [p.grad for p in model.parameters()]

    if __name__ == "__main__":
        import random
        random.seed(3)
        kept = Value(1.0) * 2.0   # a live graph that the children inherit, or do not have
        models = [nn.MLP(2, [3, 1]) for _ in range(6)]
        with multiprocessing.get_context(sys.argv[1]).Pool(2) as pool:
            results = pool.map(loss_of, models)
        for model, (twin, loss, grads) in zip(models, results):
            assert [p.data for p in twin.parameters()] == [p.data for p in model.parameters()]
            assert [p.grad for p in twin.parameters()] == grads
            assert loss_of(model)[1:] == (loss, grads)
        assert kept.data == 2.0
"""


@pytest.mark.parametrize("method", ["spawn", "fork"])
def test_models_travel_through_multiprocessing(method, tmp_path):
    if method == "fork" and not hasattr(os, "fork"):
        pytest.skip("needs fork")
    script = tmp_path / "worker.py"
    script.write_text(textwrap.dedent(WORKER))
    done = subprocess.run([sys.executable, script, method], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr


# ---- the end of the program ----

ENDINGS = {
    "live graphs": """
        x = Value(1.0)
        kept = [x]
        for k in range(1000):
            kept.append(kept[-1] + x)
        x.note = kept
        import builtins
        builtins.kept = kept
    """,
    "custom nodes in cycles": """
        nodes = [Value(1.0)]
        for k in range(1000):
            out = Value(1.0, (nodes[-1],), "custom")
            out._backward = lambda out=out, nodes=nodes: None
            nodes.append(out)
        import sys
        sys.kept = nodes
    """,
    "daemon threads running": """
        import threading, time
        import numpy as np
        import micrograd_fast as mg
        w = Value(2.0)
        f = mg.compile(lambda x: (x * w).tanh(), batch=True)
        def work():
            X = np.ones(20000)
            while True:
                ((w * 2.0).tanh() + w**2).backward()
                f(X).mean().backward()
        for _ in range(3):
            threading.Thread(target=work, daemon=True).start()
        time.sleep(0.2)
    """,
    "from a custom step": """
        import sys
        x = Value(1.0)
        y = x * 2
        y._backward = lambda: sys.exit(0)
        (y + 1).backward()
        raise AssertionError("not reached")
    """,
    "at once from a custom step": """
        import os
        x = Value(1.0)
        y = x * 2
        y._backward = lambda: os._exit(0)
        (y + 1).backward()
    """,
    "inside no_grad and a trace": """
        import sys
        import micrograd_fast as mg
        mg.no_grad().__enter__()
        @mg.compile
        def f(x):
            sys.exit(0)
        f(Value(1.0))
    """,
    "values made by finalizers at exit": """
        import atexit
        class Last:
            def __init__(self): self.v = Value(1.0) * 3
            def __del__(self): (self.v * 2).backward()
        last = Last()
        cycle = [last]
        cycle.append(cycle)
        atexit.register(lambda: Value(1.0).tanh().backward())
    """,
}


@pytest.mark.parametrize("ending", ENDINGS)
def test_the_program_ends_without_a_crash(ending):
    run_fresh(ENDINGS[ending], timeout=60)


def test_a_second_interpreter_is_refused_clearly():
    run_fresh("""
        try:
            import _xxsubinterpreters as interpreters
        except ImportError:
            try:
                import _interpreters as interpreters
            except ImportError:
                raise SystemExit(0)
        x = Value(2.0)
        y = x * 3.0
        code = '''
        try:
            from micrograd_fast import Value
        except ImportError as error:
            assert "use its threads, or processes" in str(error), error
        else:
            raise AssertionError("it was imported")
        '''
        import textwrap
        for _ in range(3):
            other = interpreters.create()
            failed = interpreters.run_string(other, textwrap.dedent(code))
            assert failed is None, failed
            interpreters.destroy(other)
        y.backward()
        assert x.grad == 3.0
    """)


INTERPRETERS = """
import sys
from concurrent import interpreters

def told():
    try:
        import micrograd_fast
    except ImportError as error:
        return str(error)
    return "it was imported"

if __name__ == "__main__":
    if sys.argv[1] == "main first":
        import micrograd_fast
    for _ in range(3):
        other = interpreters.create()
        assert "use its threads, or processes" in other.call(told)
        other.close()
    import micrograd_fast
    x = micrograd_fast.Value(2.0)
    (x * 3.0).backward()
    assert x.grad == 3.0
"""


@pytest.mark.skipif(sys.version_info < (3, 14), reason="concurrent.interpreters came with 3.14")
@pytest.mark.parametrize("order", ["main first", "main last"])
def test_interpreters_of_concurrent_interpreters_are_refused_clearly(order, tmp_path):
    program = tmp_path / "program.py"
    program.write_text(INTERPRETERS)
    command = [sys.executable, str(program), order]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")


# ---- interruptions ----


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs POSIX timers")
def test_an_interruption_leaves_a_usable_state(gc_off):
    gc.collect()
    before = live_nodes()
    x, model = Value(1.5), nn.MLP(2, [4, 1])
    optimizer = optim.SGD(model.parameters(), lr=0.01)

    def interrupt(number, frame):
        raise KeyboardInterrupt

    def work():
        while True:
            y = x
            for _ in range(50):
                y = (y * x).tanh() + 1
                out = Value(y.data, (y,), "custom")
                out._backward = lambda y=y, out=out: setattr(y, "grad", y.grad + out.grad)
                y = out
            y.backward()
            with mg.no_grad():
                model([1.0, 2.0])
            loss = (model([1.0, 2.0]) - 1.0) ** 2
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()

    old = signal.signal(signal.SIGALRM, interrupt)
    try:
        for k in range(60):
            with pytest.raises(KeyboardInterrupt):
                signal.setitimer(signal.ITIMER_REAL, 0.001 + 0.0002 * k)
                work()
            x.grad = 0.0
            (x * x).backward()
            assert x.grad == 3.0
            assert (x * 2)._prev, "no_grad was left"
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, old)
    x = model = optimizer = None
    gc.collect()
    assert live_nodes() == before


INTERRUPTED = {
    "a block": "with mg.no_grad(): pass",
    "a function": "nothing()",
    "a trace": "mg.compile(lambda x: x * 2)(1.0)",
}


@pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="needs POSIX timers")
@pytest.mark.parametrize("work", INTERRUPTED)
def test_an_interruption_at_any_moment_leaves_no_mode_on(work):
    """From 3.14 on CPython can be interrupted between __enter__ and the block. What comes while it
    runs a finalizer or a callback is not raised: the timer goes on."""
    run_fresh(f"""
        import signal, sys
        import micrograd_fast as mg

        def interrupt(number, frame):
            raise KeyboardInterrupt

        @mg.no_grad()
        def nothing():
            pass

        x = Value(1.0)
        signal.signal(signal.SIGALRM, interrupt)
        for k in range(300):
            try:
                signal.setitimer(signal.ITIMER_REAL, 0.0003 + 1e-6 * (k % 100), 0.2)
                while True:
                    {INTERRUPTED[work]}
            except KeyboardInterrupt:
                signal.setitimer(signal.ITIMER_REAL, 0)
            assert not _core.tracing()
            assert (x * 2)._prev, "no_grad was left on"
            assert sys.getprofile() is None
        assert not [c for c in gc.callbacks if type(c).__name__ == "Rest"]  # a trace's
    """, timeout=100)  # fmt: skip


def test_no_grad_that_is_entered_by_hand_stays_until_it_is_left():
    x = Value(1.0)
    mg.no_grad().__enter__()
    assert not (x * 2)._prev
    mg.no_grad().__exit__()
    assert (x * 2)._prev


def test_an_interruption_on_the_way_into_or_out_of_no_grad_does_not_leave_it_on():
    x = Value(1.0)

    events, before = [], sys.gettrace()  # a debugger's, or that of a measurement of coverage

    def tracer(frame, event, argument):
        if frame.f_code.co_name in ("__enter__", "__exit__"):
            events.append(event)
            if len(events) == last:
                raise KeyboardInterrupt
        return tracer

    for last in range(1, 9):  # noqa: B007 (the tracer reads it)
        events.clear()
        sys.settrace(tracer)
        try:
            with mg.no_grad():
                x.relu()
        except KeyboardInterrupt:
            pass
        finally:
            sys.settrace(before)
        assert (x * 2)._prev
