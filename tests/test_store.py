"""The node store: growth, limits, failing allocations, reuse of records, bytes a node."""

import gc

import pytest

from micrograd_fast import Value, _core, nn
from micrograd_fast.functional import sum as total


@pytest.fixture
def limits():
    """The test hook that makes memory run out; the real limits come back afterwards."""
    yield _core._set_limits
    _core._set_limits()


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


def test_a_graph_is_laid_out_in_ascending_ids_step_after_step():
    # Seen through memory alone: a walk that needs no order needs no workspace either.
    model = nn.MLP(2, [8, 8, 1])
    before = None
    for _ in range(20):
        loss = total([model([0.1 * k, 0.2]) for k in range(20)])
        loss.backward()
        del loss
        before = before or _core.store_bytes()
    assert _core.store_bytes() == before


def test_a_node_that_no_value_holds_takes_at_most_forty_bytes():
    x = Value(0.5)
    items = [x] * 200_000
    before = _core.store_bytes()
    y = total(items)
    y.backward()
    grown = _core.store_bytes() - before
    # Half as much again is what growing by halves may leave unused.
    assert grown <= 40 * 200_000 * 1.5
    assert x.grad == 200_000


def test_the_id_limit_raises_memory_error_and_leaves_the_graph_intact(limits):
    x, y = Value(2.0), Value(3.0)
    z = x * y
    live = _core.live_nodes()
    limits(max_nodes_to=1)
    with pytest.raises(MemoryError):
        for _ in range(1_000_000):
            z = z + x
            keep = z  # noqa: F841 - the chain must not be freed while it grows
    limits()
    z.backward()
    assert y.grad == 2.0
    del z, keep
    assert _core.live_nodes() == live - 1


OPERATIONS = {
    "leaf": lambda x, y: Value(1.0),
    "add": lambda x, y: x + y,
    "add a number": lambda x, y: x + 1.0,
    "subtract": lambda x, y: x - y,
    "divide": lambda x, y: x / y,
    "power": lambda x, y: x**3,
    "negate": lambda x, y: -x,
    "tanh": lambda x, y: x.tanh(),
    "custom": lambda x, y: Value(1.0, (x, y, x, y, x), "five"),
    "affine": lambda x, y: _core.affine([x, y], [1.0, y], x, "tanh"),
    "dot": lambda x, y: _core.dot([x, y], [y, 2.0]),
    "total": lambda x, y: _core.total([x, y, 1.0, 2]),
    "prev": lambda x, y: (x * 2.0)._prev,
    "detach": lambda x, y: x.detach(),
}


@pytest.mark.parametrize("name", OPERATIONS)
def test_every_failing_allocation_raises_memory_error_and_leaks_nothing(name, limits):
    x, y = Value(2.0), Value(3.0)
    operation = OPERATIONS[name]
    operation(x, y)
    live = _core.live_nodes()
    hold, failures = [], 0
    limits(fail_after=0)  # no allocation succeeds: the store fills what it has, then fails
    try:
        for _ in range(1_000_000):
            hold.append(operation(x, y))
    except MemoryError:
        failures += 1
        inside = _core.live_nodes()
        with pytest.raises(MemoryError):
            for _ in range(10):
                operation(x, y), hold.append(Value(0.0))
    finally:
        limits()
    assert failures == 1 and inside >= live
    hold.clear()
    assert _core.live_nodes() == live
    assert (x.data, y.data, x.grad, y.grad) == (2.0, 3.0, 0.0, 0.0)
    (x * y).backward()
    assert (x.grad, y.grad) == (3.0, 2.0)


def test_backward_without_memory_for_the_order_raises_and_changes_nothing(limits):
    x = Value(1.0)
    y = x * 2.0
    y._backward = lambda: None  # a custom step needs an order
    z = chain(5000) + y
    big = z
    for _ in range(200_000):
        big = big + x
    limits(fail_after=0)
    with pytest.raises(MemoryError):
        big.backward()
    limits()
    assert x.grad == 0.0 and z.grad == 0.0 and big.grad == 0.0
    big.backward()
    assert x.grad == 200_000
