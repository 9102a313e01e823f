"""Memory: every allocation fails once, ids run out, graphs of ten million nodes, flat training.

Two hooks let allocations fail: the store's own (_set_limits) for its arrays, and CPython's
(_testcapi.set_nomemory) for every object. Where a call raised MemoryError the graph is as it was.
"""

import gc
import os
import sys
from pathlib import Path

import numpy as np
import pytest
from conftest import run_fresh

import micrograd_fast as mg
from micrograd_fast import Value, _core, nn, optim
from micrograd_fast._core import live_nodes

try:
    import _testcapi
except ImportError:  # not every build of CPython has it
    _testcapi = None

MAX_ALLOCATIONS = 2000
PATHS = [str(folder) for folder in Path(__file__).resolve().parents[:2]]  # of this, of conftest.py


class Parameter(Value):
    """A subclass: its nodes are preserved."""


def hung(x):
    """A node over one that has an attribute and no name."""
    y = x * 2
    y.number = 1
    return y + 1


class World:
    """A small graph of every kind of node; `looks` is all that can be seen of it."""

    def __init__(self, n_spoilt=5000):
        self.x, self.y, self.p = Value(2.0, label="x"), Value(3.0), Parameter(0.5)
        self.custom = Value(1.0, (self.x, self.y, self.p), "custom")
        self.custom._backward = lambda x=self.x, out=self.custom: None
        self.plain = self.x * self.y
        self.plain.number = 5
        self.out = (self.plain + self.custom * self.p).tanh()
        self.hung = hung(self.x)
        # Uses up the dead Values that are kept for the next op: all are allocated from here on.
        self.spoilt = [Value(float(k)) for k in range(n_spoilt)]
        self.kept = []

    def looks(self):
        nodes, seen = [self.out], []
        for v in nodes:
            seen.append((v.data, v._op, type(v), dict(vars(v)), len(v._prev)))
            nodes += [c for c in v._prev if c not in nodes]
        return sorted(seen, key=repr)


CALLS = {
    "leaf": lambda w: Value(1.0),
    "leaf with a label": lambda w: Value(1.0, label="a"),
    "subclass": lambda w: Parameter(1.0),
    "children": lambda w: Value(1.0, (w.x, w.y, w.x, w.p), "four"),
    "step": lambda w: setattr(w.x * 2, "_backward", w.looks),
    "late step": lambda w: setattr(w.y, "_backward", w.looks),
    "operators": lambda w: (w.x + w.y) * w.p - 2 / w.x + w.y**3 - (-w.x),
    "preserved operators": lambda w: (w.custom - w.p) / w.p * 3 - 1,
    "named": lambda w: w.x.exp().log().maximum(w.y).minimum(3).sqrt(),
    "foreign": lambda w: np.float32(2.0) * w.x + np.int64(3),
    "fractional power": lambda w: w.x**0.25 + w.x ** np.int64(2),
    "refused": lambda w: raises(TypeError, lambda: w.x + "1"),
    "overflow": lambda w: raises(OverflowError, Value(1e4).exp),
    "anomaly": lambda w: raises(FloatingPointError, anomaly),
    "operands": lambda w: [v._prev for v in (w.out, w.plain, w.custom)],
    "stashed": lambda w: w.hung._prev and w.hung._prev and None,
    "attributes": lambda w: setattr(w.x * 2, "history", [w.y]),
    "late attributes": lambda w: setattr(w.plain, "history", [w.out]),
    "dict": lambda w: vars(w.x * 2).update(a=1),
    "affine": lambda w: _core.affine([w.x, w.y], [1.0, w.y], w.x, "tanh"),
    "affine, preserved": lambda w: _core.affine([w.x, w.p], [1.0, w.custom], w.p, "relu"),
    "dot and total": lambda w: _core.dot([w.x], [w.y]) + _core.total([w.x, 1.0, w.y]),
    "backward": lambda w: w.out.backward(),
    "text": lambda w: (repr(w.out), f"{w.out:.3f}", w.out._op, (w.x**2)._op),
    "detach": lambda w: w.out.detach(),
    "copy": lambda w: w.x.__reduce_ex__(2),
    "state": lambda w: Value(0.0).__setstate__((1.0, 2.0, "op", {"label": "a", "b": [1]})),
    "parameters": lambda w: _core.Parameters([w.x, w.y, w.p]).zero_grad(),
    "pullback": lambda w: mg.grad and _core.pullback([of_many(w)], [w.p], [w.x, w.y])[0],
    "pushforward": lambda w: mg.grad and _core.pushforward([w.x], [w.p], [of_many(w), w.y])[0],
    "stand-in": lambda w: _core.stand_in(w.p),
    "rows": lambda w: mg.grad and _core.jacobian_rows([w.x, w.y], [of_many(w), w.x * w.y])[0][0],
    "compile": lambda w: mg.compile(lambda x: x * w.x + w.plain)(w.y),
    "batch": lambda w: mg.compile(lambda x: x * w.x, batch=True)(np.ones(3)).sum().backward(),
}


def anomaly():
    with mg.detect_anomaly():
        Value(1e200) * Value(1e200)


def of_many(w):
    """Derivatives of it take more room than they have at first."""
    y = w.x
    for _ in range(40):
        y = (y * w.y).tanh() + w.x
    return _core.largest([y, w.y, w.x])


def raises(error, function):
    with pytest.raises(error):
        function()


def failures(call, world, fail_after, restore):
    """Runs the call with the k-th allocation failing, k = 0, 1, ...; how often it failed."""
    for k in range(MAX_ALLOCATIONS):
        looks = world.looks()
        fail_after(k)
        try:
            call(world)
            failed = False
        except MemoryError:
            failed = True
        finally:
            restore()
        assert world.looks() == looks or not failed, f"allocation {k}"
        if not failed:
            return k
    raise AssertionError("the call never succeeded")


# Mostly other code than ours, which has its own ways without memory.
NOT_OURS = ("compile", "batch", "refused", "overflow", "anomaly")


@pytest.mark.skipif(_testcapi is None, reason="this CPython has no _testcapi")
@pytest.mark.parametrize("name", [n for n in CALLS if n not in NOT_OURS])
def test_every_failing_allocation_of_an_object_raises_and_leaves_the_graph(name):
    # In a fresh interpreter: pytest itself does not live without memory on every CPython.
    run_fresh(f"""
        import sys
        sys.path[:0] = {PATHS!r}
        import test_memory
        test_memory.object_failures({name!r})
    """)


@pytest.mark.skipif(_testcapi is None, reason="this CPython has no _testcapi")
@pytest.mark.parametrize("name", ["operators", "named", "children", "affine", "backward"])
def test_every_failing_allocation_in_detect_anomaly_leaves_the_graph(name):
    run_fresh(f"""
        import sys
        sys.path[:0] = {PATHS!r}
        import test_memory
        with test_memory.mg.detect_anomaly():
            test_memory.object_failures({name!r})
    """)


def object_failures(name):
    # An attribute for which there is no room when its Value goes is lost, and Python says so.
    sys.unraisablehook = lambda _: None
    gc.disable()
    before = live_nodes()
    world = World()
    CALLS[name](World())  # imports and caches
    failures(CALLS[name], world, lambda k: _testcapi.set_nomemory(k, 0), _testcapi.remove_mem_hooks)
    world.out.backward()
    del world
    gc.collect()
    assert live_nodes() == before


@pytest.mark.parametrize("name", CALLS)
def test_every_failing_allocation_of_the_store_raises_and_leaves_the_graph(name):
    # In a fresh interpreter the arrays are still small, so they grow under the test's hands.
    run_fresh(f"""
        import sys
        sys.path[:0] = {PATHS!r}
        import test_memory
        test_memory.store_failures({name!r})
    """)


def store_failures(name):
    call = CALLS[name]
    world = World(n_spoilt=0)
    grows = isinstance(call(World(n_spoilt=0)), Value)
    gc.collect()
    n_failed = 0
    for k in range(20):
        before, looks = live_nodes(), world.looks()
        _core._set_limits(fail_after=k)
        try:
            for _ in range(3000):
                world.kept.append(call(world))
        except MemoryError:
            n_failed += 1
        finally:
            _core._set_limits()
        assert world.looks() == looks or name.startswith("late")
        world.kept.clear()
        gc.collect()
        assert live_nodes() == before, name
    world.out.backward()
    assert n_failed or not grows


WEIGHTS = [Value(0.1 * k) for k in range(24)]


def some_of_all(x):
    """Matrices, copies side by side, dots of several kinds, a chain, a choice, common parts."""
    rows = [WEIGHTS[k : k + 4] for k in range(0, 16, 4)]
    hidden = [sum((w * v for w, v in zip(row, x[::-1], strict=True)), 1.0).tanh() for row in rows]
    mixed = WEIGHTS[16] * WEIGHTS[17] + WEIGHTS[18] * x[0] + x[0] * x[1]
    return [mg.maximum(*hidden, mixed), mg.take(hidden, (x[2] * 0).detach()), (mixed - 2) / x[3]]


@pytest.mark.parametrize("kind", ["lane grad", "uniform grad"])
def test_every_failing_allocation_of_a_compilation_raises_and_loses_nothing(kind):
    arguments = (_core.ArrayKind((4,)),) if kind == "lane grad" else (_core.NumberKind(),) * 4
    signature = _core.Signature(arguments, (), kind == "lane grad")
    before = live_nodes()

    def compiled():
        with _core.Trace() as trace:
            program, captured = trace.program(some_of_all([trace.input() for _ in range(4)]))
        plan = _core.Plan(_core.optimized(program), captured, [kind] * 4)
        _core.Specialization(signature, plan)
        return plan.listing()

    expected, n_failed = compiled(), 0
    while True:
        _core._set_limits(fail_after=n_failed)
        try:
            listing = compiled()
        except MemoryError:
            n_failed += 1
        else:
            break
        finally:
            _core._set_limits()
        gc.collect()
        assert live_nodes() == before
    assert listing == expected
    assert n_failed > 60


def test_ids_run_out_with_memory_error_for_every_call():
    run_fresh(f"""
        import sys
        sys.path[:0] = {PATHS!r}
        import test_memory
        world = test_memory.World()
        for name, call in test_memory.CALLS.items():
            call(test_memory.World())
            gc.collect()
            before, looks = _core.live_nodes(), world.looks()
            for free in range(12):
                _core._set_limits(max_nodes_to=before + free)
                made = []
                try:
                    while len(made) < 100:
                        made.append(call(world))
                except MemoryError:
                    pass
                _core._set_limits()
                made.clear()
                gc.collect()
                assert world.looks() == looks or name.startswith("late"), name
                assert _core.live_nodes() == before, name
        world.out.backward()
    """)


# ---- size ----


@pytest.mark.slow
@pytest.mark.usefixtures("gc_off")
def test_a_fan_of_ten_million_nodes():
    before = live_nodes()
    x = Value(2.0)
    total = _core.total([x] * 10_000_000)
    assert live_nodes() == before + 10_000_000
    total.backward()
    assert (total.data, x.grad) == (2e7, 1e7)
    del total
    products = [x * 2.0 for _ in range(2_500_000)]
    wide = _core.total(products)
    wide.backward()
    assert x.grad == 1e7 + 5e6
    del products, wide
    assert live_nodes() == before + 1


@pytest.mark.usefixtures("gc_off")
def test_a_hundred_thousand_custom_nodes_in_cycles_are_collected():
    before = live_nodes()
    x = Value(1.0)
    nodes = [x]
    for k in range(100_000):
        child = nodes[k // 2]  # a tree: wide, and some seventeen levels deep
        out = Value(child.data, (child, x), "custom")
        out._backward = lambda child=child, out=out: setattr(child, "grad", child.grad + out.grad)
        nodes.append(out)
    top = _core.total(nodes)
    top.backward()
    assert x.grad == 100_001.0
    del nodes, top, out, child
    gc.collect()
    assert live_nodes() == before + 1


def resident_bytes():
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def squashed(v):
    """A custom node, in a cycle with its step."""
    out = Value(v.data * 0.5, (v,), "squash")
    out._backward = lambda: setattr(v, "grad", v.grad + 0.5 * out.grad)
    return out


def training(mode):
    model = nn.MLP(2, [6, 1])
    optimizer = optim.Adam(model.parameters(), lr=1e-3)
    compiled = mg.compile(lambda x, t: (model(x) - t) ** 2, batch=True)
    xs, ts = np.linspace(-1, 1, 32).reshape(16, 2), np.linspace(-1, 1, 16)

    def step():
        if mode == "eager":
            loss = (model([0.5, -1.0]) - 0.25) ** 2
        elif mode == "custom":
            loss = squashed(squashed(model([0.5, -1.0])) - 0.25) ** 2
        else:
            loss = compiled(xs, ts).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()

    return step


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux's /proc")
@pytest.mark.parametrize("mode", ["eager", "custom", "compiled"])
@pytest.mark.parametrize("n_steps", [3000, pytest.param(100_000, marks=pytest.mark.slow)])
def test_training_for_long_takes_no_more_memory(mode, n_steps):
    step = training(mode)
    for _ in range(500):
        step()
    gc.collect()
    nodes, store, resident = live_nodes(), _core.store_bytes(), resident_bytes()
    for _ in range(n_steps):
        step()
    gc.collect()
    assert live_nodes() == nodes
    assert _core.store_bytes() <= 2 * store
    assert resident_bytes() - resident < 2**21
