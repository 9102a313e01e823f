"""Python code that runs at moments of its own choosing: finalizers, weak reference callbacks.

The collector may start wherever an object is allocated, so this code meets the core in the middle
of its work. Each script here runs in an interpreter of its own: what it looks for is a crash.
"""

import gc
import pickle
import weakref

import pytest
from conftest import run_fresh

from micrograd_fast import Value
from micrograd_fast._core import live_nodes


def test_a_weak_reference_callback_does_not_find_the_dying_value():
    run_fresh("""
        import weakref
        for attribute in (None, "plain"):
            v = Value(1.0)
            w = v * 2
            if attribute is not None:
                v.note = attribute
            kept = []
            weak = weakref.ref(v, lambda _: kept.extend(w._prev))
            address = id(v)  # not free yet when the callback runs, so no other Value has it
            del v
            assert len(kept) == 2 and address not in map(id, kept)
            gc.collect()
            for k in range(100):
                assert sorted(c.data for c in w._prev) == [1.0, 2.0]
            kept.clear()
            others = [Value(float(k)) for k in range(5000)]
            assert sorted(c.data for c in w._prev) == [1.0, 2.0]
            assert [o.data for o in others] == list(range(5000))
            for child in w._prev:
                assert getattr(child, "note", None) == (attribute if child.data == 1.0 else None)
    """)


def test_a_finalizer_does_not_find_a_value_that_waits_to_be_freed():
    run_fresh("""
        kept = []

        class Finder:
            def __init__(self, node):
                self.node = node

            def __del__(self):
                kept.extend(self.node._prev)

        for depth in range(220):
            v = Value(1.0)
            w = v * 2
            v.number = 5
            # Python puts off freeing what is nested too deep (50 levels, or 200): v waits there.
            nest = [Finder(w), v]
            del v
            for _ in range(depth):
                nest = [nest]
            del nest
            others = [Value(float(k)) for k in range(200)]
            assert sorted((c.data, getattr(c, "number", 0)) for c in kept) == [(1.0, 5), (2.0, 0)]
            kept.clear()
            assert [o.data for o in others] == list(range(200))
            del others, w
        assert _core.live_nodes() == 0, _core.live_nodes()
    """)


@pytest.mark.parametrize(
    "call", ["affine(ws, xs, b)", "affine(ws, xs, b, 'tanh')", "dot(ws, xs)", "total(ws)"]
)
def test_a_finalizer_may_empty_the_lists_that_a_call_works_on(call):
    run_fresh(f"""
        values = [Value(1.0) for _ in range(3000)]
        ws, xs, b = [], [], Value(0.0)

        class Emptier:
            def __del__(self):
                ws.clear()
                xs.clear()
                others.extend([Value(5.0), 7.0] * 100)

        gc.collect()
        gc.set_threshold(1)
        results, others = [], []
        for k in range(300):
            ws[:], xs[:] = values, [1.0] * 3000
            emptier = Emptier()
            emptier.myself = emptier
            del emptier
            try:
                results.append(_core.{call})
            except ValueError:
                pass  # dot() and total() of empty lists
            del results[:-5]
        gc.set_threshold(700)
        assert {{r.data for r in results}} <= {{0.0, 0.99, 1.0, 3000.0}}
    """)


def test_attributes_set_through_the_dict_of_a_value_are_collected():
    gc.collect()
    before = live_nodes()
    v = Value(1.0)
    w = v * 2
    vars(v)["user"] = [w]
    del v, w
    gc.collect()
    assert live_nodes() == before


def test_the_dict_of_a_value_stays_the_same_object_while_the_node_lives():
    v = Value(1.0, label="x")
    w = v * 2
    attributes = vars(v)
    del v
    (v,) = (c for c in w._prev if c.data == 1.0)
    assert vars(v) is attributes
    attributes["m"] = 0.5
    assert (v.label, v.m) == ("x", 0.5)


class Parameter(Value):
    """A subclass that pickles by its module's name."""


class Lazy(Value):
    """A subclass whose __init__ leaves everything to its base's __new__."""

    def __init__(self):
        self.note = "lazy"


@pytest.mark.parametrize(
    "made", [lambda: pickle.loads(pickle.dumps(Parameter(3.0))), Lazy, lambda: Parameter(3.0)]
)
def test_an_operand_of_a_subclass_comes_back_as_itself(made):
    p = made()
    kind, weak = type(p), weakref.ref(p)
    w = p.tanh()
    del p
    gc.collect()
    (child,) = w._prev
    assert type(child) is kind
    assert child is weak()


def test_a_step_given_before_the_constructor_ran_is_kept():
    x, calls = Value(2.0), []
    v = Value.__new__(Value)
    v._backward = lambda: calls.append(v.grad)
    v.__init__(1.0, (x,))
    (v * 3).backward()
    assert calls == [3.0]


def test_weak_callbacks_in_the_middle_of_backward():
    x = Value(3.0)
    y = x * 2
    seen = []
    held = [y + 1]
    inner = Value(1.0)
    inner_user = inner * 4
    weak = weakref.ref(inner, lambda _: seen.append(sorted(c.data for c in inner_user._prev)))
    box = [inner]
    del inner

    def step():
        box.clear()
        x.grad += 2 * y.grad

    y._backward = step
    held.pop().backward()
    assert weak() is None
    assert seen == [[1.0, 4.0]]
    assert x.grad == 2.0


def test_a_collection_leaves_labels_and_attributes_on_nodes_in_use():
    x = Value(2.0, label="x")
    y = Value(3.0)
    y.number, y._op = 7, "input"
    out = x + y
    cycle = Value(0.0, (x, y), "custom")
    cycle._backward = lambda operands=(cycle, x, y): None  # all that holds x and y by now
    del x, y, cycle
    gc.collect()
    y, x = sorted(out._prev, key=lambda v: v.label)
    assert (x.label, x.data) == ("x", 2.0)
    assert (y.number, y._op, y.data) == (7, "input", 3.0)


def test_the_dict_of_a_value_may_be_replaced_and_is_collected():
    before = live_nodes()
    for _ in range(5):
        x = Value(1.0)
        x.__dict__ = {"label": "x", "me": x}
        assert (x.label, x.me, vars(x)["label"]) == ("x", x, "x")
        with pytest.raises(TypeError):
            x.__dict__ = 5
        assert x.label == "x"
    del x
    gc.collect()
    assert live_nodes() == before


def test_a_collection_that_asks_for_the_value_that_is_being_made():
    # Up to CPython 3.11 a collection runs in the middle of making an object; later ones wait.
    root = (Value(1.0) * 2.0) + 1.0  # nobody holds the product
    spares = [Value(0.0) for _ in range(5000)]
    found = []

    def look(phase, _):
        if phase == "start" and not found:
            found.append(next(v for v in root._prev if v._op))

    gc.callbacks.append(look)
    threshold = gc.get_threshold()
    try:
        for n_objects in range(60):  # made before the next collection
            gc.set_threshold(0)
            gc.collect()
            found.clear()
            gc.set_threshold(n_objects + 1)
            products = [v for v in root._prev if v._op]
            found += products
            assert len({id(v) for v in found}) == 1
            spares.append(Value(0.0))
            del products
    finally:
        gc.set_threshold(*threshold)
        gc.callbacks.remove(look)
    root.backward()
    assert root.grad == 1.0
