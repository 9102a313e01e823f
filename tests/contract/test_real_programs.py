"""What public programs written for micrograd do to its classes, engine and graphs."""

import functools
import gc
import itertools
import math
import random
import threading
import weakref

import numpy as np
import pytest
from conftest import load_engine
from inputs import unplaced
from programs import graph_of

from micrograd_fast import nn
from micrograd_fast._core import OPS, live_nodes
from micrograd_fast.engine import Value, no_grad

REFERENCE = load_engine("micrograd")
# By op a number inside of its domain.
UNARY = {op.name: (op.lo + op.hi) / 2 for op in OPS if op.kind == "unary"}


def custom(Value, data, children, step, op="custom"):
    """A custom node as the lecture writes them: `step(out)` is its local backward."""
    out = Value(data, children, op)
    out._backward = lambda: step(out)
    return out


# ---- results and construction ----


@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 5, 9, 80, 1000])
@pytest.mark.parametrize("container", [list, tuple, set, iter])
def test_a_custom_node_takes_any_number_of_children(engine, count, container):
    children = [engine.Value(float(i)) for i in range(count)]

    def step(out):
        for i, child in enumerate(children):
            child.grad += i * out.grad

    mean = custom(engine.Value, 7.0, container(children), step, "mean")
    (mean * 2).backward()
    assert mean._prev == set(children)
    assert {id(v) for v in mean._prev} == {id(v) for v in children}
    assert [child.grad for child in children] == [2.0 * i for i in range(count)]


def test_repeated_children_count_once_as_in_micrograd(engine):
    x, y = engine.Value(1.0), engine.Value(2.0)
    assert engine.Value(3.0, (x, y, x, y, x), "sum")._prev == {x, y}


@pytest.mark.usefixtures("live_nodes_unchanged")
@pytest.mark.parametrize("count", [0, 1, 2, 3, 80])
def test_a_custom_node_keeps_its_children_alive_and_frees_them_with_itself(count):
    before = live_nodes()
    parent = Value(1.0, [Value(float(i)) for i in range(count)], "many")
    assert sorted(v.data for v in parent._prev) == list(range(count))
    assert len(graph_of([parent])[1][0][2]) == count
    del parent
    assert live_nodes() == before


def test_every_result_is_exactly_a_value():
    x, y = Value(0.5), Value(0.25)
    results = [x + y, x - y, x * y, x / y, x**2, x**y, 2**x, -x, 1 + x, 1 - x, 2 * x, 2 / x]
    results += [getattr(Value(number), name)() for name, number in UNARY.items()]
    results += [x.maximum(y), x.minimum(0.0), x.detach(), np.float64(2) * x, sum([x, y])]
    results += [x / np.int64(3), np.mean([x, y]), *(x + y)._prev]
    assert {type(out) for out in results} == {Value}
    assert type(Value(1.0)) is Value


def test_keywords_construct():
    v = Value(data=1.5, label="x")
    out = Value(data=2.0, _children=(v,), _op="twice", label="y")
    assert (v.data, v.grad, v.label, v._op, v._prev) == (1.5, 0.0, "x", "", set())
    assert (out._op, out.label, out._prev) == ("twice", "y", {v})
    assert Value(1.0).label == ""
    out.label = "z"
    assert out.label == "z"


def test_values_are_dict_keys_and_set_members(engine):
    values = [engine.Value(1.0) for _ in range(100)]
    numbers = {v: i for i, v in enumerate(values)}
    for v in values:
        v.data += 1.0
        v.grad = 3.0
    assert [numbers[v] for v in values] == list(range(100))
    assert values.index(values[57]) == 57
    assert values[3] in set(values)
    assert engine.Value(1.0) not in numbers


def test_hasattr_tells_which_ops_there_are():
    assert all(hasattr(Value, name) and hasattr(Value(1.0), name) for name in UNARY)
    assert not hasattr(Value, "no_such_op")
    assert not hasattr(Value(1.0), "no_such_attribute")
    assert not hasattr(Value, "__len__")
    assert not hasattr(Value, "__getitem__")
    assert not hasattr(Value, "__float__")
    assert getattr(Value, "__array_ufunc__", "absent") is not None


# ---- replacing and adding methods ----


def gelu(self):
    x = self.data
    share = 0.5 * (1 + math.erf(x / math.sqrt(2)))
    density = math.exp(-x * x / 2) / math.sqrt(2 * math.pi)

    def step(out):
        self.grad += (share + x * density) * out.grad

    return custom(type(self), x * share, (self,), step, "gelu")


def test_a_method_added_to_the_class_works_and_can_be_removed(engine):
    engine.Value.gelu = gelu
    try:
        x = engine.Value(0.7)
        y = (x * 2).gelu() + x
        y.backward()
        assert x.grad == pytest.approx(1 + 2 * 1.1288617926, rel=1e-6)
    finally:
        del engine.Value.gelu
    assert not hasattr(x, "gelu")


def test_a_replaced_method_is_called_and_the_old_one_comes_back(monkeypatch):
    x = Value(0.5)
    original = x.tanh().data
    for name, number in UNARY.items():
        x = Value(number)
        with monkeypatch.context() as patch:
            patch.setattr(Value, name, lambda self: "replaced")
            assert getattr(x, name)() == "replaced"
        assert type(getattr(x, name)()) is Value
    assert Value(0.5).tanh().data == original == math.tanh(0.5)


DUNDERS = [
    "__add__",
    "__radd__",
    "__mul__",
    "__rmul__",
    "__neg__",
    "__sub__",
    "__rsub__",
    "__truediv__",
    "__rtruediv__",
    "__pow__",
]


def logged_expressions(Value, name):
    """Every operator used once while the dunder is replaced by one that logs its calls."""
    original, log = getattr(Value, name), []

    def replacement(self, *others):
        log.append([self.data, *(float(getattr(other, "data", other)) for other in others)])
        return original(self, *others)

    setattr(Value, name, replacement)
    try:
        x, y = Value(3.0), Value(4.0)
        values = [x + y, x + 1, 2 + x, x - y, x - 1, 2 - x, x * y, x * 5, 6 * x, -x]
        values += [x / y, x / 7, 8 / x, x**2, x**-1, sum([x, y, x])]
        return [v.data for v in values], log
    finally:
        setattr(Value, name, original)


@pytest.mark.parametrize("name", DUNDERS)
def test_a_replaced_operator_is_honoured_wherever_micrograd_would_call_it(name):
    data, log = logged_expressions(REFERENCE.Value, name)
    our_data, our_log = logged_expressions(Value, name)
    assert our_data == data
    assert our_log == log
    assert log


@pytest.mark.parametrize("name", DUNDERS)
def test_a_restored_operator_builds_the_same_nodes_as_before(name):
    logged_expressions(Value, name)
    x, y = Value(3.0), Value(4.0)
    z = (x - y) / (x * 2 - 1) + 3 / y
    a, b = REFERENCE.Value(3.0), REFERENCE.Value(4.0)
    c = (a - b) / (a * 2 - 1) + 3 / b
    assert graph_of([x, y, z]) == graph_of([a, b, c])
    before = live_nodes()
    del z
    assert live_nodes() < before


def test_total_ordering_of_the_class_is_allowed(monkeypatch):
    class Ordered(Value):
        def __lt__(self, other):
            return self.data > other.data

    assert functools.total_ordering(Value) is Value
    monkeypatch.setattr(Value, "__ge__", lambda self, other: "replaced")
    assert (Value(1.0) >= Value(2.0)) == "replaced"
    monkeypatch.undo()
    assert (Value(1.0) >= Value(2.0)) is False
    assert Ordered(2.0) < Ordered(1.0)


class Parameter(Value):
    """A user's subclass, with state of its own."""

    def __init__(self, data, name="w"):
        super().__init__(data)
        self.name = name

    def doubled(self):
        return self * 2


def test_ops_on_a_subclass_give_plain_values_and_the_subclass_is_kept_in_the_graph():
    p = Parameter(3.0, name="bias")
    q = Parameter(1.0)
    results = [p + q, p - 1, 2 * p, p / q, -p, p**2, p.relu(), p.tanh(), p.doubled()]
    assert {type(out) for out in results} == {Value}
    (p * q).backward()
    assert (p.grad, q.grad, p.name) == (1.0, 3.0, "bias")
    out = p + 1
    assert p in out._prev
    assert issubclass(Parameter, Value)


def test_a_dropped_subclass_instance_comes_back_as_what_it_was():
    out = Parameter(3.0, name="bias") * 2
    gc.collect()
    (p,) = (v for v in out._prev if v.data == 3.0)
    assert type(p) is Parameter
    assert p.name == "bias"


def test_a_subclass_may_override_operators_and_methods():
    class Loud(Value):
        def __add__(self, other):
            return "loud"

        def relu(self):
            return "quiet"

    assert Loud(1.0) + 1 == "loud"
    assert Loud(1.0) - 1 == "loud"
    assert Loud(1.0).relu() == "quiet"
    assert (Value(1.0) + Value(1.0)).data == 2.0


# ---- attributes ----


def test_any_attribute_may_be_set_changed_and_deleted(engine):
    p = engine.Value(1.0)
    p.m, p.v, p.history = 0.0, 0.5, [1, 2]
    p.m += 1.5
    assert (p.m, p.v, p.history) == (1.5, 0.5, [1, 2])
    del p.m
    assert not hasattr(p, "m")
    assert {"v", "history"} <= set(vars(p))


@pytest.mark.usefixtures("live_nodes_unchanged")
@pytest.mark.parametrize(
    "mark", [1.5, "text", None, [1, 2], {"a": 1}, object(), (1, [2])], ids=unplaced
)
def test_an_attribute_of_a_dropped_value_is_seen_again_through_prev(mark):
    inner = Value(2.0, label="inner") * 3
    inner.mark, inner.label = mark, "middle"
    outer = inner + 1
    del inner
    gc.collect()
    (again,) = (v for v in outer._prev if v._op == "*")
    assert again.mark is mark
    assert again.label == "middle"
    assert {v.label for v in again._prev} == {"inner", ""}
    del again
    gc.collect()
    assert any(getattr(v, "mark", "gone") is mark for v in outer._prev)


@pytest.mark.usefixtures("live_nodes_unchanged")
def test_attributes_set_after_the_consumer_was_made_stay_too():
    inner = Value(2.0) * 3
    outer = (inner + 1).relu()
    inner.notes = ["late"]
    del inner
    gc.collect()
    (sum_,) = outer._prev
    (again,) = (v for v in sum_._prev if v._op == "*")
    assert again.notes == ["late"]


def test_an_attribute_lives_as_long_as_the_node_and_no_longer():
    class Thing:
        pass

    inner = Value(2.0) * 3
    inner.thing = Thing()
    alive = weakref.ref(inner.thing)
    outer = inner + 1
    del inner
    gc.collect()
    assert alive() is not None
    del outer
    gc.collect()
    assert alive() is None


CYCLES = {
    "leaf names the loss": lambda x, mid, loss: setattr(x, "loss", loss),
    "middle names the loss": lambda x, mid, loss: setattr(mid, "loss", [loss]),
    "loss names itself": lambda x, mid, loss: setattr(loss, "me", {"loss": loss}),
    "each names all": lambda x, mid, loss: [
        setattr(v, "graph", (x, mid, loss)) for v in (x, mid, loss)
    ],
    "a method is bound": lambda x, mid, loss: setattr(x, "run", loss.backward),
    "a label is a cycle": lambda x, mid, loss: setattr(x, "label", [loss]),
}


@pytest.mark.usefixtures("gc_off")
@pytest.mark.parametrize("kind", CYCLES)
@pytest.mark.parametrize("used_before", [False, True])
def test_attributes_that_refer_back_into_the_graph_are_collected(kind, used_before):
    before = live_nodes()
    x = Value(2.0)
    mid = (x * 3 + 1).tanh()
    loss = mid * mid - x
    if used_before:
        loss.backward()
    CYCLES[kind](x, mid, loss)
    further = loss + 1
    del x, mid, loss
    gc.collect()
    further.backward()
    assert live_nodes() > before
    del further
    gc.collect()
    assert live_nodes() == before


# ---- weak references, copies ----


def test_weak_references_work():
    v = Value(1.0)
    ref, died = weakref.ref(v), []
    weakref.finalize(v, died.append, True)
    table = weakref.WeakKeyDictionary({v: "entry"})
    assert ref() is v
    assert table[v] == "entry"
    del v
    gc.collect()
    assert ref() is None
    assert died == [True]
    assert len(table) == 0


# ---- NumPy ----


def test_object_arrays_of_values_compute_and_differentiate():
    w = np.array([[Value(0.5), Value(-1.0)], [Value(2.0), Value(0.25)]])
    x = np.array([Value(1.0), Value(3.0)])
    out = np.dot(w, x)
    assert [v.data for v in out] == [-2.5, 2.75]
    total = np.sum(np.tanh(out) + np.exp(out) * 2.0)
    assert type(total) is Value
    total.backward()
    slope = [1 - math.tanh(z) ** 2 + 2 * math.exp(z) for z in (-2.5, 2.75)]
    assert w[0, 1].grad == pytest.approx(3.0 * slope[0], rel=1e-12)
    assert x[0].grad == pytest.approx(0.5 * slope[0] + 2.0 * slope[1], rel=1e-12)


@pytest.mark.parametrize("name", ["exp", "log", "sqrt", "tanh", "sin", "cos"])
def test_a_numpy_function_calls_the_method_of_its_name(name):
    array = np.array([Value(0.3), Value(0.9)])
    result = getattr(np, name)(array)
    assert [v._op for v in result] == [name, name]
    assert [v.data for v in result] == pytest.approx(getattr(np, name)([0.3, 0.9]).tolist())


def test_numpy_reductions_and_matrix_products_take_values():
    values = [Value(float(i)) for i in range(1, 5)]
    array = np.array(values).reshape(2, 2)
    assert np.mean(values).data == 2.5
    assert (np.array(values) @ np.array([1, 2, 3, 4])).data == 30.0
    assert np.dot(np.array([1.0, 2.0]), array)[0].data == 7.0
    assert [v.data for v in array.sum(axis=0)] == [4.0, 6.0]
    assert np.prod(values).data == 24.0
    assert np.max(values) is values[3]
    assert np.argmax(values) == 3
    assert array.dtype == object
    mean = np.mean(values)
    mean.backward()
    assert [v.grad for v in values] == [0.25] * 4


def test_max_min_and_sorted_go_by_data():
    values = [Value(x) for x in (2.0, -1.0, 5.0, 3.0)]
    assert max(values) is values[2]
    assert min(values) is values[1]
    assert [v.data for v in sorted(values, reverse=True)] == [5.0, 3.0, 2.0, -1.0]
    assert max([*values, 4.0]) is values[2]


# ---- no_grad ----


def recorded():
    """Whether an op records its operands now."""
    x = Value(2.0)
    return (x * 3)._prev != set()


@pytest.mark.usefixtures("live_nodes_unchanged")
def test_no_grad_computes_data_and_records_nothing():
    x, y = Value(2.0), Value(3.0)
    before = live_nodes()
    with no_grad():
        results = [x + y, x * 3, x - y, x / y, 2 / x, x**2, x**y, 3**x, -x, x.tanh(), x.maximum(y)]
        results += [sum([x, y, x]), nn.MLP(2, [3, 1])([x, y])]
        assert [v.data for v in results[:6]] == [5.0, 6.0, -1.0, 2 * 3.0**-1, 1.0, 4.0]
    assert all(v._prev == set() for v in results)
    results[0].backward()
    assert x.grad == y.grad == 0.0
    assert live_nodes() == before + len(results)
    assert recorded()


def test_no_grad_nests_and_ends_with_its_block_even_on_an_error():
    with no_grad():
        with no_grad():
            assert not recorded()
        assert not recorded()
        with pytest.raises(ZeroDivisionError), no_grad():
            Value(1.0) / 0
        assert not recorded()
    assert recorded()


def test_one_no_grad_object_can_be_entered_again_and_again():
    block = no_grad()
    for _ in range(2):
        with block:
            assert not recorded()
            with block:
                assert not recorded()
            assert not recorded()
        assert recorded()


def test_no_grad_decorates_functions():
    @no_grad()
    def evaluate(x, *, fail=False):
        """Says what it does."""
        if fail:
            raise KeyError("in the function")
        return x * 2, recorded()

    out, was_recorded = evaluate(Value(4.0))
    assert (out.data, out._prev, was_recorded) == (8.0, set(), False)
    assert recorded()
    with pytest.raises(KeyError):
        evaluate(Value(4.0), fail=True)
    assert recorded()
    assert (evaluate.__name__, evaluate.__doc__) == ("evaluate", "Says what it does.")


def test_no_grad_holds_in_its_own_thread_only():
    seen = []
    with no_grad():
        thread = threading.Thread(target=lambda: seen.append(recorded()))
        thread.start()
        thread.join()
        assert not recorded()
    assert seen == [True]
    assert recorded()


# ---- threads ----


def test_threads_build_and_differentiate_their_own_graphs(busy_threads):
    def work(seed, results):
        draw = random.Random(seed)
        for _ in range(30):
            xs = [Value(draw.uniform(-1, 1)) for _ in range(20)]
            out = sum((x * y + x).tanh() for x, y in itertools.pairwise(xs))
            out.backward()
        results[seed] = [x.grad for x in xs]

    alone, together = {}, {}
    for seed in range(6):
        work(seed, alone)
    gc.collect()
    before = live_nodes()
    threads = [threading.Thread(target=work, args=(seed, together)) for seed in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert together == alone
    assert live_nodes() == before
