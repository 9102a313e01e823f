"""What the garbage collector finds of the graph: cycles through steps, whoever refers to whom.

Steps refer to nodes above, to results of compiled calls, to Values that were initialised again;
what is in use stays, what is not goes in one collection.
"""

import gc
import math
import weakref

import pytest

import micrograd_fast as mg
from micrograd_fast import Value, _core
from micrograd_fast._core import live_nodes

pytestmark = pytest.mark.usefixtures("gc_off")


class Own(Value):
    """A subclass with a step of its own."""

    def step(self):
        self.steps = getattr(self, "steps", 0) + 1


def consumers_step():
    x = Value(1.0)
    y = x * 2
    y.label = "l"
    x._backward = y.backward


def step_of_a_subclass():
    x = Own(1.0)
    y = x * 2
    y.label = "l"
    x._backward = x.step
    return y + 1


def far_above():
    x = Value(1.0)
    y = (x + 1).tanh()
    x._backward = lambda: top.grad
    for _ in range(20):
        y = y * 2 + x
    top = y
    return y.relu()


def initialised_again():
    x = Value(1.0)
    y = x * 2
    x._backward = y.backward
    with pytest.raises(TypeError):
        y.__init__(2.0)
    x.__init__(3.0)


def initialised_over_operands():
    x = Value.__new__(Value)
    z = Value(2.0)
    y = x * 2
    x._backward = y.backward
    x.__init__(2.0, (z,))
    return x + 1


def initialised_with_a_step():
    x = Value.__new__(Value)
    z = Own(2.0)
    x._backward = z.step
    z.user = x
    x.__init__(2.0, (z, z, z))
    return x * 3


def through_a_compiled_call():
    x = Value(1.0)
    f = mg.compile(lambda a: (a * 2, a + 1))
    a, b = f(x)
    x._backward = lambda: (a, b, f)
    return a * b


def a_function_that_captures():
    x = Value(1.0)
    f = mg.compile(lambda: x * 2)
    out = f()
    x._backward = lambda: out  # runs too: the call has read x
    x.function = f
    return out + 1


def an_attribute_above():
    x = Value(1.0)
    y = x.exp()
    x.users = [y]
    y.operand = {"x": x}
    return y - x


def many_users():
    x = Value(1.0)
    layer = [x * k for k in range(10)]
    for _ in range(3):
        layer = [sum((v * w for v in layer[:3]), x) for w in layer]
    x._backward = lambda: layer
    return sum(layer)


GRAPHS = [
    consumers_step,
    step_of_a_subclass,
    far_above,
    initialised_again,
    initialised_over_operands,
    initialised_with_a_step,
    through_a_compiled_call,
    a_function_that_captures,
    an_attribute_above,
    many_users,
]


@pytest.mark.parametrize("keep", [False, True])
@pytest.mark.parametrize("graph", GRAPHS)
def test_a_cycle_is_collected_at_once(graph, keep):
    for _ in range(3):
        before = live_nodes()
        result = graph()
        if keep and result is not None:
            gc.collect()
            result.backward()
            gc.collect()
        del result
        gc.collect()
        assert live_nodes() == before


@pytest.mark.parametrize("generation", [0, 1, 2])
def test_what_a_node_in_use_needs_survives_every_generation(generation):
    before = live_nodes()
    calls = []
    x = Value(1.0)
    y = Value(x.data, (x,), "custom")
    y._backward = lambda y=y: calls.append(y.grad)
    y.label = "inner"
    z = y * 3
    z.label = "outer"
    del y
    top = z.tanh() + 1
    del z
    for _ in range(4):
        gc.collect(generation)
        (z,) = (v for v in next(v for v in top._prev if v._prev)._prev)
        (y,) = (v for v in z._prev if v._prev)
        assert (z.label, y.label, y._op) == ("outer", "inner", "custom")
        del y, z
    top.backward()
    assert len(calls) == 1
    del top, x
    gc.collect()
    assert live_nodes() == before


def test_a_step_given_to_a_value_that_was_found_below_a_collected_graph_survives():
    calls = []
    x = Value(1.0)
    y = Value(x.data, (x,), "custom")
    y._backward = lambda y=y, x=x: setattr(x, "grad", x.grad + y.grad)
    top = ((y + 1) * 2).exp()
    del y
    gc.collect()  # top has its references now: they went past the sum and the product
    (product,) = top._prev
    (total,) = (v for v in product._prev if v._prev)
    total._backward = lambda total=total: calls.append(total.grad)
    total.label = "found"
    del product, total
    for generation in (0, 1, 2, 2):
        gc.collect(generation)
    top.backward()
    assert len(calls) == 1
    before = live_nodes()
    del top, x
    gc.collect()
    assert live_nodes() < before


def test_a_value_found_below_keeps_its_label():
    x = Value(1.0)
    y = Value(x.data, (x,), "custom")
    y._backward = lambda y=y: None
    top = ((y + 1) * 2).exp()
    gc.collect()
    (product,) = top._prev
    product.label = "found"
    y.seen = [product]  # a cycle: product is above y
    gc.collect()
    del product, y
    gc.collect()
    (product,) = top._prev
    assert product.label == "found"


def test_without_its_callback_the_collector_keeps_too_much_and_loses_nothing():
    before = live_nodes()
    consumers_step()
    callbacks, gc.callbacks[:] = gc.callbacks[:], []
    try:
        calls = []
        x = Value(1.0)
        y = Value(x.data, (x,), "custom")
        y._backward = lambda y=y: calls.append(y.grad)
        top = y * 2
        del y
        gc.collect()
        gc.collect()
        top.backward()
        assert calls == [2.0]
    finally:
        gc.callbacks[:] = callbacks
    del x, top
    gc.collect()
    assert live_nodes() == before


def test_values_made_by_callbacks_of_the_collector_are_not_lost():
    before = live_nodes()
    calls, kept = [], []
    x = Value(1.0)
    y = Value(x.data, (x,), "custom")
    y._backward = lambda y=y: calls.append(y.grad)
    box = [y]
    del y

    def build(phase, info):
        if box:
            kept.append(box.pop() * 2)

    gc.callbacks.append(build)  # after the one that shows the graph
    try:
        gc.collect()
    finally:
        gc.callbacks.remove(build)
    gc.collect()
    kept[0].backward()
    assert calls == [2.0]
    kept.clear()
    del x
    gc.collect()
    assert live_nodes() == before


def test_a_finalizer_in_the_middle_of_a_collection_may_use_what_is_garbage():
    before = live_nodes()
    kept = []

    class Last:
        def __init__(self, node):
            self.node = node

        def __del__(self):
            kept.append(self.node * 2 + 1)

    x = Value(1.0)
    y = Value(x.data, (x,), "custom")
    y._backward = lambda y=y, x=x: setattr(x, "grad", x.grad + 10 * y.grad)
    y.last = Last(y)
    top = y + 0
    del y, top
    gc.collect()
    gc.collect()
    kept[0].backward()
    assert x.grad == 20.0
    kept.clear()
    del x
    gc.collect()
    assert live_nodes() == before


def test_a_long_chain_of_steps_in_c_is_dropped_without_recursion():
    f = mg.compile(lambda a: a * 1.0)
    y = f(Value(1.0))
    before = live_nodes()
    for _ in range(20_000):
        y = f(y)
    del y
    gc.collect()
    assert live_nodes() <= before


def test_a_chain_of_values_above_a_step_is_walked_once():
    x = Value(1.0)
    y = Value(x.data, (x,), "custom")
    y._backward = lambda y=y: None
    chain = [y]
    for _ in range(100_000):  # a walk from each to the bottom would take minutes
        chain.append(chain[-1] + 1)
    gc.collect()
    chain[-1].backward()
    assert y.grad == 1.0
    before = live_nodes()
    del x, y, chain
    gc.collect()
    assert live_nodes() < before - 200_000


def test_noted_values_that_come_and_go_need_no_memory():
    x = Value(1.0)
    y = Value(x.data, (x,), "custom")
    y._backward = lambda y=y: None
    z = y * 2
    before = _core.store_bytes()
    for _ in range(100_000):
        assert len(z._prev) == 2
        assert (z * 3).data == 6.0
    assert _core.store_bytes() < before + 100_000


def test_many_steps_on_leaves_in_use_are_one_pass_for_the_collector():
    before = live_nodes()
    leaves = [Value(float(k)) for k in range(2000)]
    out = sum(v * v for v in leaves)
    calls = []
    for v in leaves:
        v._backward = lambda v=v: calls.append(v.grad)
    gc.collect(0)
    out.backward()
    assert sorted(calls) == [2.0 * k for k in range(2000)]
    del leaves, out, v
    gc.collect()
    assert live_nodes() == before


# ---- steps that are set while something runs ----


def test_a_step_that_a_finalizer_sets_in_the_middle_of_an_op_is_kept():
    # A collection starts where an object is allocated: between the operands' check and the node.
    operations = [
        lambda a, b: a - b,
        lambda a, b: a / b,
        lambda a, b: a * b,
        lambda a, b: -b,
        lambda a, b: b**2,
        lambda a, b: _core.affine([a], [b], a, "tanh"),
        lambda a, b: _core.dot([a], [b]),
        lambda a, b: _core.total([a, b]),
        lambda a, b: Value(1.0, (a, b), "custom"),
        lambda a, b: Value(1.0, (a, b), (2.0, 3.0)),
    ]

    class Setter:
        def __init__(self, node):
            self.node, self.myself = node, self

        def __del__(self):
            node = self.node
            node._backward = lambda: calls.append(node.grad)

    for operation in operations:
        spares = [Value(0.0) for _ in range(5000)]  # more than are kept for the next op
        calls, set_at = [], 0
        for n_objects in range(1, 40):
            a, b = Value(2.0), Value(3.0)
            spares.append(None)
            Setter(b)
            gc.set_threshold(n_objects)
            gc.enable()
            results = [operation(a, b) for _ in range(3)]
            gc.disable()
            gc.collect()
            calls.clear()
            for result in results:
                result.backward()
                gc.collect()
            set_at += 1
            assert len(calls) == 3, (operation, n_objects)
        gc.set_threshold(700, 10, 10)
        assert set_at


def test_a_step_set_on_a_leaf_during_backward_runs_if_its_turn_has_not_come(engine):
    x, late = engine.Value(3.0), engine.Value(2.0)
    calls = []
    y = engine.Value(6.0, (x, late), "sets")

    def step():
        x.grad += 2 * y.grad
        late.grad += 5 * y.grad
        for leaf in (x, late):
            leaf._backward = lambda leaf=leaf: calls.append((leaf.data, leaf.grad))

    y._backward = step
    ((y * 10).relu() + x * late).backward()
    assert sorted(calls) == [(2.0, 53.0), (3.0, 22.0)]
    calls.clear()
    x.grad = late.grad = 0.0
    (x * late).backward()
    assert sorted(calls) == [(2.0, 3.0), (3.0, 2.0)]


def test_steps_that_set_steps_on_many_leaves_run_each_once(engine):
    calls = []
    leaves = [engine.Value(float(k)) for k in range(50)]
    total = leaves[0]
    for leaf in leaves[1:]:
        out = engine.Value(0.0, (total, leaf), "sets")

        def step(out=out, total=total, leaf=leaf):
            total.grad += out.grad
            leaf.grad += 2 * out.grad
            leaf._backward = lambda: calls.append((leaf.data, leaf.grad))

        out._backward = step
        total = out
    total.backward()
    assert sorted(calls) == [(float(k), 2.0) for k in range(1, 50)]


def test_a_step_set_on_a_leaf_after_its_turn_waits_for_the_next_backward():
    a, b = Value(1.0), Value(2.0)
    calls = []
    b._backward = lambda: setattr(a, "_backward", lambda: calls.append(a.grad))
    top = (a * 3) + (b * 2).tanh()
    top.backward()
    ran = list(calls)
    top.backward()
    assert len(calls) == len(ran) + 1


# ---- what goes without a collection ----


def lecture_tanh(x):
    t = math.tanh(x.data)
    out = Value(t, (x,), "tanh")

    def _backward():
        x.grad += (1 - t**2) * out.grad

    out._backward = _backward
    return out


def by_default(x):
    out = Value(x.data, (x,), "default")
    out._backward = lambda x=x, out=out: setattr(x, "grad", x.grad + out.grad)
    return out


@pytest.mark.parametrize("op", [lecture_tanh, by_default])
def test_a_dropped_graph_of_the_lectures_ops_needs_no_collection(op):
    before = live_nodes()
    x = y = Value(0.5)
    for _ in range(500):
        y = op(y * 2 + x) + op(x)
    y.backward()
    assert x.grad != 0.0
    del y
    assert live_nodes() == before + 1


def test_a_step_that_somebody_else_refers_to_stays():
    x = Value(0.5)
    out = lecture_tanh(x)
    step, weak = out._backward, weakref.ref(out)
    top = out + 1
    del top, out
    assert weak() is not None  # through the step
    assert weak()._backward is step
    del step
    gc.collect()
    assert weak() is None
    out = lecture_tanh(x)
    held = [out]
    top = out * 2
    del out, top
    held[0].grad = 1.0
    held[0]._backward()
    assert x.grad == 1 - math.tanh(0.5) ** 2
