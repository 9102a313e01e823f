"""The node store: growth, limits, failing allocations, reuse of records, bytes a node."""

import gc
import math

import pytest
from conftest import run_fresh

from micrograd_fast import Value, _core


def chain(n):
    x = Value(1.0)
    y = x
    for _ in range(n):
        y = y + x
    return y


def test_a_dropped_graph_is_freed_at_once_without_the_collector():
    gc.disable()
    try:
        before = _core.live_nodes()
        y = chain(1000)
        assert _core.live_nodes() == before + 1001
        del y
        assert _core.live_nodes() == before
    finally:
        gc.enable()


def test_records_are_reused_so_that_a_loop_holds_constant_memory():
    chain(5000)
    before = _core.store_bytes()
    for _ in range(50):
        chain(5000).backward()
    assert _core.store_bytes() == before


@pytest.mark.parametrize("samples", [20, 300])
def test_a_graph_is_laid_out_in_ascending_ids_step_after_step(samples):
    # Seen through memory alone: a walk that needs no order needs no workspace either. The sum is
    # freed from its end: of 300 samples it is far from the networks that it adds up.
    run_fresh(f"""
        from micrograd_fast import nn
        model = nn.MLP(2, [8, 8, 1])
        before = None
        for _ in range(20):
            loss = _core.total([model([0.1 * k, 0.2]) for k in range({samples})])
            loss.backward()
            del loss
            before = before or _core.store_bytes()
        assert _core.store_bytes() == before
    """)


def test_a_graph_that_replaces_the_one_before_is_laid_out_in_ascending_ids_too():
    run_fresh("""
        from micrograd_fast import nn
        model = nn.MLP(2, [8, 8, 1])
        bytes_held = []
        for _ in range(20):
            loss = _core.total([model([0.1 * k, 0.2]) for k in range(300)])
            loss.backward()
            bytes_held.append(_core.store_bytes())
        assert bytes_held[1:] == bytes_held[1:2] * 19
    """)


def test_a_node_that_no_value_holds_takes_at_most_forty_bytes():
    run_fresh("""
        n = 1_000_000
        x = Value(0.5)
        before = _core.store_bytes()
        y = _core.total([x] * n)
        y.backward()
        # What growing by halves leaves unused is never touched, so it takes no memory: count that
        # part out by the worst case.
        assert (_core.store_bytes() - before) / 1.5 <= 40 * n
        assert x.grad == n
    """)


def test_the_id_limit_raises_memory_error_and_leaves_the_graph_intact():
    run_fresh("""
        x, y = Value(2.0), Value(3.0)
        z = x * y
        live = _core.live_nodes()
        _core._set_limits(max_nodes_to=5000)
        chain = []
        try:
            while True:
                chain.append(x + y)
        except MemoryError:
            pass
        assert len(chain) == 5000 - live
        z.backward()
        assert (x.grad, y.grad) == (3.0, 2.0)
        chain.clear()
        assert _core.live_nodes() == live
        _core._set_limits()
        assert (z + x).data == 8.0
    """)


OPERATIONS = {
    "leaf": "Value(1.0)",
    "add": "x + y",
    "add a number": "x + 1.0",
    "subtract": "x - y",
    "divide": "x / y",
    "power": "x**3",
    "negate": "-x",
    "tanh": "x.tanh()",
    "custom": "Value(1.0, (x, y, x, y, x), 'five')",
    "local grads": "Value(1.0, (x, y, x), (2.0, 3.0, 4.0))",
    "affine": "_core.affine([x, y], [1.0, y], x, 'tanh')",
    "dot": "_core.dot([x, y], [y, 2.0])",
    "total": "_core.total([x, y, 1.0, 2])",
    "operands": "(x * 2.0)._prev",
    "detach": "x.detach()",
}


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS.keys())
def test_every_failing_allocation_raises_memory_error_and_leaks_nothing(operation):
    # n allocations succeed, the next one fails: every allocation on the way fails once.
    run_fresh(f"""
        x, y = Value(2.0), Value(3.0)
        live = _core.live_nodes()
        failures = 0
        for n in range(12):
            held = []
            _core._set_limits(fail_after=n)
            try:
                for _ in range(5000):
                    held.append({operation})
            except MemoryError:
                failures += 1
            for _ in range(20):
                try:
                    held.append({operation})
                except MemoryError:
                    failures += 1
            _core._set_limits()
            assert (x.data, y.data, x.grad, y.grad) == (2.0, 3.0, 0.0, 0.0)
            held.clear()
            assert _core.live_nodes() == live
        assert failures > 0
        (x * y).backward()
        assert (x.grad, y.grad) == (3.0, 2.0)
    """)


@pytest.mark.parametrize("n", range(3))
def test_a_collection_without_memory_leaves_garbage_to_the_next(n):
    # The collection fills three lists, whose first memory it has to ask for.
    run_fresh(f"""
        def preserved(*children):
            out = Value(1.0, children, "custom")
            out.history = [out]
            return out

        gc.disable()
        x = Value(2.0)
        live = _core.live_nodes()
        preserved(preserved(x * 2 + x) * 3, preserved(x).tanh()) + 1
        _core._set_limits(fail_after={n})
        gc.collect()
        assert _core.live_nodes() > live
        _core._set_limits()
        gc.collect()
        assert _core.live_nodes() == live
    """)


def test_backward_without_memory_for_the_order_raises_and_changes_nothing():
    run_fresh("""
        x = Value(1.0)
        y = x * 2.0
        y._backward = lambda: None  # a custom step needs an order
        z = y
        for _ in range(5000):
            z = z + x
        _core._set_limits(fail_after=0)
        try:
            z.backward()
        except MemoryError:
            pass
        else:
            raise AssertionError("no MemoryError")
        assert (x.grad, y.grad, z.grad) == (0.0, 0.0, 0.0)
        _core._set_limits()
        z.backward()
        assert x.grad == 5000.0
    """)


@pytest.mark.parametrize("operation", OPERATIONS.values(), ids=OPERATIONS.keys())
def test_the_id_limit_at_every_node_of_an_operation_leaks_nothing(operation):
    run_fresh(f"""
        x, y = Value(2.0), Value(3.0)
        failures = 0
        for room in range(8):
            fillers = []
            _core._set_limits(max_nodes_to=5000)
            try:
                while True:
                    fillers.append(Value(0.0))
            except MemoryError:
                del fillers[len(fillers) - room:]
            live = _core.live_nodes()
            assert live == 5000 - room
            try:
                made = {operation}
            except MemoryError:
                failures += 1
            made = None
            assert _core.live_nodes() == live
            fillers.clear()
        assert failures > 0
        _core._set_limits()
        (x * y).backward()
        assert (x.grad, y.grad) == (3.0, 2.0)
    """)


# What runs before the limit; what has no room for all of its nodes then.
RARE = {
    "an exponent, where a program has replaced the constructor": (
        "init = Value.__init__; Value.__init__ = lambda self, *a, **k: init(self, *a, **k)",
        "x**3",
    ),
    "an input of a subclass": ("trace = _core.Trace()", "trace.__enter__().input(Mine)"),
    "a custom node of a subclass": ("", "Mine(1.0, (x, x), 'custom')"),
    "local gradients of a subclass": ("", "Mine(1.0, (x, x), (2.0, 3.0))"),
}


@pytest.mark.parametrize("room", [0, 1])
@pytest.mark.parametrize("before, operation", RARE.values(), ids=RARE.keys())
def test_the_id_limit_raises_memory_error_on_rare_ways_too(before, operation, room):
    run_fresh(f"""
class Mine(Value): pass
x, fillers = Value(2.0), []
_core._set_limits(max_nodes_to=5000)
try:
    while True:
        fillers.append(Value(0.0))
except MemoryError:
    del fillers[len(fillers) - {room}:]
{before}
try:
    {operation}
except MemoryError:
    pass
else:
    raise AssertionError("no MemoryError")
assert _core.live_nodes() == 5000 - {room}
    """)


def test_backward_over_records_that_were_used_before():
    """Results with smaller ids than their operands: descending ids are no order there."""
    spare = [Value(0.0) for _ in range(5000)]
    x = Value(2.0)
    product = x * 2
    bent = product.tanh()
    del spare
    total = product * 3 + bent
    total.backward()
    assert x.grad == pytest.approx(6 + 2 * (1 - math.tanh(4.0) ** 2))
    y = Value(1.0) + bent  # the second operand is the newer one
    x.grad = product.grad = bent.grad = 0.0
    y.backward()
    assert x.grad == pytest.approx(2 * (1 - math.tanh(4.0) ** 2))
