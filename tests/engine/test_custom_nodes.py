"""Custom nodes: `out._backward = f`, whatever cycles f is in, however late it was set."""

import copy
import gc
import math
import pickle
import weakref

import pytest

from micrograd_fast import nn
from micrograd_fast._core import live_nodes
from micrograd_fast.engine import Value


def doubled(x, calls=None):
    """A custom node whose closure holds its input and itself, as the lecture's do."""
    out = type(x)(x.data * 2, (x,), "doubled")

    def _backward():
        x.grad += 2 * out.grad
        if calls is not None:
            calls.append(out.data)

    out._backward = _backward
    return out


@pytest.fixture
def nodes_back(gc_off):
    """`nodes_back()` runs one garbage collection and says whether all new nodes are gone."""
    before = live_nodes()

    def check():
        gc.collect()
        return live_nodes() == before

    return check


def test_a_custom_step_runs_once_at_its_turn_in_the_order(engine):
    calls = []
    x = engine.Value(3.0)
    a = doubled(x, calls)
    b = doubled(a, calls)
    (a * b + b).backward()
    assert calls == [12.0, 6.0]
    assert x.grad == 2 * 12.0 + 4 * (6.0 + 1)


def test_a_builtin_nodes_step_can_be_replaced(engine):
    x = engine.Value(3.0)
    y = x * 2
    z = y + 1
    y._backward = lambda: setattr(x, "grad", x.grad + 100 * y.grad)
    z.backward()
    assert x.grad == 100.0
    y._backward()
    assert x.grad == 200.0


def test_a_step_can_be_wrapped_around_the_built_in_one(engine):
    x = engine.Value(3.0)
    y = x * x
    local = y._backward

    def clipped():
        local()
        x.grad = min(x.grad, 1.0)

    y._backward = clipped
    (y * 5).backward()
    assert x.grad == 1.0


def test_a_leafs_step_runs_too(engine):
    x, seen = engine.Value(3.0), []
    x._backward = lambda: seen.append(x.grad)
    (x * 7).backward()
    assert seen == [7.0]


def test_a_custom_node_without_a_step_stops_the_gradient(engine):
    x = engine.Value(3.0)
    stop = engine.Value(x.data, (x,), "stop")
    (stop * 2 + x).backward()
    assert (stop.grad, x.grad) == (2.0, 1.0)


def test_the_step_is_given_back_as_it_was_set():
    x = Value(1.0)
    y = x + 1

    def step():
        pass

    y._backward = step
    assert y._backward is step
    assert callable(x._backward)
    assert x._backward() is None


# ---- cycles are collected, and nothing in use is ever lost ----


def test_a_dropped_custom_node_is_collected(nodes_back):
    doubled(Value(1.0))
    assert nodes_back()


@pytest.mark.parametrize("links", [1, 2, 7])
def test_custom_nodes_chained_through_built_in_ops_are_collected_at_once(nodes_back, links):
    y = x = Value(1.0)
    for _ in range(links):
        y = doubled(((y + 1).tanh() * x - 0.5) / 2)
    y.backward()
    del x, y
    assert nodes_back()


def test_a_diamond_of_custom_nodes_is_collected_at_once(nodes_back):
    x = Value(1.0)
    a, b = doubled(x), doubled(x + 1)
    top = doubled(a * b) + a + doubled(b)
    top.backward()
    weak = weakref.ref(a)
    del x, a, b, top
    assert nodes_back()
    assert weak() is None


def test_consumers_of_a_dropped_custom_node_keep_it_alive(nodes_back):
    calls = []
    x = Value(1.0)
    out = ((doubled(x, calls) + 1) * 3).relu()
    for _ in range(3):
        gc.collect()
    out.backward()
    assert calls == [2.0]
    assert x.grad == 6.0
    del x, out
    assert nodes_back()


def test_a_whole_dropped_graph_of_custom_nodes_still_backpropagates(nodes_back):
    calls = []
    x = y = Value(1.0)
    for _ in range(20):
        y = doubled(y + 0, calls) * 0.5
        gc.collect()
    gc.collect()
    y.backward()
    assert len(calls) == 20
    assert x.grad == 1.0
    del x, y
    assert nodes_back()


def late_step(calls):
    """A graph whose inner node got its step last: the leaf, the middle and the outer node."""
    x = Value(1.0)
    inner = x * 3
    middle = inner + 1
    outer = (middle * 2).relu()

    def step():
        calls.append(inner.grad)
        x.grad += 50.0

    inner._backward = step
    return x, middle, outer


@pytest.mark.parametrize("keep_middle", [False, True])
def test_a_step_set_after_consumers_exist_survives_and_is_collected(nodes_back, keep_middle):
    calls = []
    x, middle, outer = late_step(calls)
    if not keep_middle:
        del middle
    gc.collect()
    outer.backward()
    assert calls == [2.0]
    assert x.grad == 50.0
    if keep_middle:
        del middle
    del x, outer
    assert nodes_back()


def test_a_step_set_after_all_consumers_lost_their_names_survives(nodes_back):
    calls = []
    x = Value(1.0)
    inner = x * 3
    outer = ((inner + 1) * 2).relu()
    gc.collect()
    inner._backward = lambda calls=calls, node=inner: calls.append(node.grad)
    del inner
    gc.collect()
    outer.backward()
    assert calls == [2.0]
    assert x.grad == 0.0
    del x, outer
    assert nodes_back()


def test_late_steps_on_many_nodes_of_one_graph_are_kept_and_collected(nodes_back):
    calls = []
    values = [Value(1.0)]
    for _ in range(30):
        values.append(values[-1] + values[0])
    for v in values[5::5]:
        v._backward = lambda v=v: calls.append(v.data)
    last = values[-1]
    del values, v
    gc.collect()
    last.backward()
    assert calls == [31.0, 26.0, 21.0, 16.0, 11.0, 6.0]
    del last
    assert nodes_back()


def steps_that_hold_consumers():
    x = Value(1.0)
    inner = x * 2
    outer = inner + x
    inner._backward = lambda: outer.grad
    x._backward = lambda: (inner, outer)
    return outer.tanh()


def test_a_step_that_holds_its_consumer_is_kept_and_collected(nodes_back):
    top = steps_that_hold_consumers()
    gc.collect()
    top.backward()
    (outer,) = top._prev
    assert outer.grad == pytest.approx(1 - math.tanh(3.0) ** 2)
    del top, outer
    assert nodes_back()


def test_replacing_a_step_lets_the_old_one_go(nodes_back):
    class Thing:
        pass

    thing = Thing()
    weak = weakref.ref(thing)
    v = Value(1.0) + 1
    v._backward = lambda thing=thing: None
    del thing
    gc.collect()
    assert weak() is not None
    v._backward = lambda: None
    gc.collect()
    assert weak() is None
    del v
    assert nodes_back()


def test_a_training_loop_with_custom_nodes_holds_what_one_collection_leaves(nodes_back):
    w = Value(0.5)
    for _ in range(200):
        loss = (doubled(w * 1.5) - 1.0) ** 2
        w.grad = 0.0
        loss.backward()
        w.data -= 0.01 * w.grad
    assert w.data == pytest.approx(1 / 3, abs=1e-6)
    del w, loss
    assert nodes_back()


def test_a_finalizer_may_build_and_differentiate_graphs(nodes_back):
    grads = []

    class Last:
        def __del__(self):
            x = Value(2.0)
            (x * x).backward()
            grads.append(x.grad)

    v = Value(1.0) + 1
    v.last = Last()
    out = v * 2
    del v
    gc.collect()
    del out
    gc.collect()
    assert grads == [4.0]
    assert nodes_back()


# ---- what a step may do ----


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, ZeroDivisionError])
def test_a_step_that_raises_ends_backward_with_its_own_error(engine, error):
    x = engine.Value(3.0)
    y = x * 2

    def failing():
        raise error("from the step")

    y._backward = failing
    out = y + 1
    with pytest.raises(error, match="from the step"):
        out.backward()
    assert (out.grad, y.grad, x.grad) == (1.0, 1.0, 0.0)
    y._backward = lambda: None
    (x * 5).backward()
    assert x.grad == 5.0


def test_a_step_may_build_graphs_of_any_size(engine):
    x = engine.Value(3.0)
    y = engine.Value(6.0, (x,), "grows")
    kept = []

    def step():
        extra = sum((engine.Value(float(i)) * x for i in range(5000)), engine.Value(0.0))
        kept.append(extra)
        x.grad += 2 * y.grad

    y._backward = step
    (y * 10).backward()
    assert x.grad == 20.0
    assert kept[0].data == 3.0 * sum(range(5000))


def test_a_step_may_free_graphs_and_collect_garbage(engine):
    x = engine.Value(3.0)
    attic = [engine.Value(float(i)) * x for i in range(1000)]
    y = engine.Value(6.0, (x,), "shrinks")

    def step():
        attic.clear()
        gc.collect()
        x.grad += 2 * y.grad

    y._backward = step
    (y * 10 + x).backward()
    assert x.grad == 21.0


def test_a_step_may_drop_the_last_name_of_the_root():
    x = Value(3.0)
    y = x * 2
    held = [y + 1]

    def step():
        held.clear()
        gc.collect()
        x.grad += 2 * y.grad

    y._backward = step
    held[0].backward()
    assert x.grad == 2.0


def test_a_step_may_call_backward_on_another_graph(engine):
    x, w = engine.Value(3.0), engine.Value(2.0)
    y = engine.Value(6.0, (x,), "nested")

    def step():
        inner = w * w + doubled(w)
        inner.backward()
        x.grad += w.grad * y.grad

    y._backward = step
    (y * 10 + x * w).backward()
    assert w.grad == 3.0 + 4.0 + 2.0 or w.grad == 4.0 + 2.0 + 3.0
    assert x.grad in (2.0 + 6.0 * 10, 2.0 + 9.0 * 10)


def test_a_step_may_call_backward_on_its_own_input_as_in_micrograd(engine):
    x = engine.Value(3.0)
    y = x * x
    z = engine.Value(y.data, (y,), "restarts")
    z._backward = y.backward
    (z * 10).backward()
    assert (y.grad, x.grad) == (1.0, 12.0)


def test_a_step_may_set_steps_and_data_of_other_nodes(engine):
    calls = []
    x = engine.Value(3.0)
    y = x * 2
    z = engine.Value(y.data, (y,), "meddles")

    def step():
        y.grad += z.grad
        y._backward = lambda: calls.append(y.grad)
        x.data = 100.0

    z._backward = step
    z.backward()
    assert calls == [1.0]
    assert x.grad == 0.0


# ---- pickle, copy, deepcopy ----

COPIES = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    **{
        f"pickle {protocol}": lambda v, p=protocol: pickle.loads(pickle.dumps(v, p))
        for protocol in range(2, pickle.HIGHEST_PROTOCOL + 1)
    },
}


@pytest.mark.parametrize("kind", COPIES)
def test_a_leaf_is_copied_with_data_grad_label_and_attributes(kind):
    v = Value(1.25, label="w")
    v.grad, v.m, v.history = -0.5, 0.75, [1, 2]
    twin = COPIES[kind](v)
    assert type(twin) is Value
    assert twin is not v
    assert (twin.data, twin.grad, twin.label, twin.m) == (1.25, -0.5, "w", 0.75)
    assert twin.history == [1, 2]
    assert (twin.history is v.history) == (kind == "copy")
    assert (twin._prev, twin._op) == (set(), "")
    twin.data, twin.m = 9.0, 9.0
    assert (v.data, v.m) == (1.25, 0.75)
    (twin * 2).backward()
    assert (twin.grad, v.grad) == (1.5, -0.5)


@pytest.mark.parametrize("number", [math.inf, -0.0, 5e-324, 0.1, math.nan], ids=repr)
@pytest.mark.parametrize("kind", COPIES)
def test_a_copy_has_the_very_number(kind, number):
    v = Value(number)
    v.grad = number
    twin = COPIES[kind](v)
    assert repr(twin) == repr(v)


@pytest.mark.parametrize("kind", COPIES)
def test_a_result_is_not_copied_and_the_error_says_detach(kind):
    x = Value(1.0)
    for v in (x + 1, x.tanh(), x**2, doubled(x), Value(1.0, (x,), "custom")):
        with pytest.raises(TypeError, match="detach"):
            COPIES[kind](v)
        twin = COPIES[kind](v.detach())
        assert (twin.data, twin._prev) == (v.data, set())


@pytest.mark.parametrize("kind", [k for k in COPIES if k != "copy"])
def test_shared_leaves_stay_shared_in_the_copy(kind):
    v = Value(1.0)
    v.partner = [v]
    a, b, c = COPIES[kind]([v, Value(1.0), v])
    assert a is c
    assert a is not b
    assert a.partner[0] is a


class Parameter(Value):
    """A subclass that pickles by its module's name."""


@pytest.mark.parametrize("kind", COPIES)
def test_a_subclass_is_copied_as_itself(kind):
    p = Parameter(3.0)
    p.name = "bias"
    twin = COPIES[kind](p)
    assert type(twin) is Parameter
    assert (twin.data, twin.name) == (3.0, "bias")


@pytest.mark.parametrize("kind", [k for k in COPIES if k != "copy"])
def test_a_model_is_copied_while_its_graph_lives(kind):
    model = nn.MLP(3, [4, 2])
    loss = sum(v * v for v in model([1.0, -0.5, 2.0]))
    for p in model.parameters():
        p.grad = 0.5
    model.parameters()[0].m = 0.25
    twin = COPIES[kind](model)
    pairs = list(zip(model.parameters(), twin.parameters(), strict=True))
    assert all(a is not b and (a.data, a.grad) == (b.data, b.grad) for a, b in pairs)
    assert twin.parameters()[0].m == 0.25
    assert repr(twin) == repr(model)
    twin.zero_grad()
    assert all(p.grad == 0.5 for p in model.parameters())
    model.zero_grad()
    twin_loss = sum(v * v for v in twin([1.0, -0.5, 2.0]))
    loss.backward()
    twin_loss.backward()
    assert twin_loss.data == loss.data
    assert [b.grad for _, b in pairs] == [a.grad for a, _ in pairs]


@pytest.mark.usefixtures("live_nodes_unchanged")
def test_a_refused_or_broken_copy_leaves_no_node_behind():
    for v in (Value(1.0) + 1, doubled(Value(1.0))):
        with pytest.raises(TypeError):
            copy.deepcopy([Value(2.0), v])
    leaf = Value(1.0)
    leaf.lock = (i for i in ())
    with pytest.raises(TypeError):
        pickle.dumps(leaf)


def test_detach_is_a_new_leaf_with_the_same_data(live_nodes_unchanged):
    x = Value(3.0)
    y = x * x
    cut = y.detach()
    (cut * x).backward()
    assert (cut.data, cut.grad, cut._prev, cut._op) == (9.0, 3.0, set(), "")
    assert (y.grad, x.grad) == (0.0, 9.0)
    assert cut is not y
    assert x.detach() is not x
