"""compile(): what compiles, what is an input, what a trace reads.

Its siblings: test_compile_graph.py (results in the eager graph), test_compile_safety.py (errors,
nested functions), test_compile_bad_input.py, test_compile_threads.py, test_compile_memory.py;
test_compile_properties.py and test_compile_matrices.py (random functions), and
test_compile_training.py compare with eager.
"""

import copy
import functools
import gc
import inspect
import math
import os
import pickle
import subprocess
import sys
import weakref
from pathlib import Path

import numpy as np
import pytest
import traces
from inputs import X, grads

import micrograd_fast as mg
from micrograd_fast import nn
from micrograd_fast.engine import Value


def squared(x):
    """The square."""
    return x * x


class Scale:
    """A user's class with a compiled method."""

    def __init__(self, w):
        self.w = Value(w)
        self.runs = 0

    @mg.compile
    def scaled(self, x):
        """w * x"""
        self.runs += 1
        return self.w * x

    @mg.compile(batch=True)
    def rows(self, x):
        return self.w * x[0] - x[1]

    unnamed = mg.compile(lambda self, x: self._count() * x)

    def _count(self):
        self.runs += 1
        return self.w

    @staticmethod
    @mg.compile
    def three(x):
        return 3 * x

    @classmethod
    @mg.compile
    def four(cls, x):
        return 4 * x


class Slotted:
    __slots__ = ("w",)

    @mg.compile
    def scaled(self, x):
        return self.w * x


@pytest.fixture
def counted():
    """A function and how often Python ran it."""

    def function(*args, **kwargs):
        function.runs += 1
        flat = _flat([args, list(kwargs.values())])
        return sum((v * (k + 1) for k, v in enumerate(flat)), Value(0.0))

    function.runs = 0
    return function


def _flat(nested):
    if isinstance(nested, (list, tuple)):
        return [v for part in nested for v in _flat(part)]
    return [nested] if isinstance(nested, Value) else []


# ---- forms ----


def test_compile_is_a_decorator_with_and_without_arguments():
    @mg.compile
    def single(x):
        return x * 2

    @mg.compile()
    def called(x):
        return x * 3

    @mg.compile(batch=True)
    def rows(x):
        return x * 4

    assert (single(2.0).data, called(2.0).data) == (4.0, 6.0)
    assert rows(np.array([1.0, 2.0])).data.tolist() == [4.0, 8.0]


@pytest.mark.parametrize(
    "function",
    [
        squared,
        lambda x: x * x,
        functools.partial(lambda k, x: x**k, 2),
        type("Square", (), {"__call__": lambda self, x: x * x})(),
        type("Square", (), {"square": lambda self, x: x * x})().square,
    ],
    ids=["function", "lambda", "partial", "object", "bound method"],
)
def test_whatever_can_be_called_compiles(function):
    assert mg.compile(function)(3.0).data == 9.0
    assert mg.compile(function, batch=True)(np.array([3.0])).data.tolist() == [9.0]
    assert mg.compile(batch=True)(function)(np.array([3.0])).data.tolist() == [9.0]


@pytest.mark.parametrize("thing", [3, "f", None, [squared]])
def test_what_cannot_be_called_is_refused(thing):
    with pytest.raises(TypeError, match=type(thing).__name__):
        mg.compile(batch=True)(thing)


def test_a_compiled_function_carries_name_doc_and_signature():
    f = mg.compile(squared)
    assert (f.__name__, f.__doc__, f.__wrapped__) == ("squared", "The square.", squared)
    assert list(inspect.signature(f).parameters) == ["x"]
    assert "squared" in repr(f)


def test_a_module_compiles_over_a_batch():
    model = nn.MLP(2, [4, 4, 1])
    compiled = mg.compile(model, batch=True)
    eager = [model(row).data for row in X]
    assert compiled(X).data == pytest.approx(eager, rel=1e-12)
    compiled(X).mean().backward()
    ours = grads(*model.parameters())
    (sum(model(row) for row in X) * (1 / len(X))).backward()
    assert ours == pytest.approx(grads(*model.parameters()), rel=1e-12)


def test_methods_compile_per_object():
    a, b = Scale(2.0), Scale(10.0)
    assert (a.scaled(3.0).data, b.scaled(3.0).data, a.scaled(4.0).data) == (6.0, 30.0, 8.0)
    assert (a.runs, b.runs) == (1, 1)
    assert a.rows(X).data == pytest.approx(2 * X[:, 0] - X[:, 1])
    assert Scale.scaled.__doc__ == "w * x"


def test_a_compiled_method_replays_whatever_it_is_called():
    a = Scale(2.0)
    assert [a.unnamed(x).data for x in (1.0, 2.0, 3.0)] == [2.0, 4.0, 6.0]
    assert a.runs == 1


def test_static_and_class_methods_compile():
    assert Scale.three(2.0).data == Scale(1.0).three(2.0).data == 6.0
    assert Scale.four(2.0).data == Scale(1.0).four(2.0).data == 8.0


def test_a_compiled_module_or_partial_may_be_a_class_attribute():
    class Holder:
        net = mg.compile(nn.Neuron(2))
        power = mg.compile(functools.partial(lambda k, x: x**k, 2))

    assert Holder().power(3.0).data == 9.0
    assert isinstance(Holder().net([1.0, 2.0]), Value)


def test_a_method_of_a_class_with_slots_compiles():
    a = Slotted()
    a.w = Value(2.0)
    assert a.scaled(3.0).data == 6.0


@pytest.mark.parametrize("call", ["scaled", "rows", "value_and_grad"])
def test_an_object_with_compiled_methods_goes_without_the_collector(call):
    """Nothing that a trace keeps may hold the object whose method it is."""
    a = Scale(2.0)
    gc.collect()
    gc.disable()
    try:
        if call == "value_and_grad":
            a.rows.value_and_grad(X, params=[a.w])
        else:
            getattr(a, call)(X if call == "rows" else 1.0)
        alive, w = weakref.ref(a), weakref.ref(a.w)
        del a
        assert (alive(), w()) == (None, None)
    finally:
        gc.enable()


def test_an_overridden_method_may_call_the_one_it_overrides():
    class Doubled(Scale):
        @mg.compile
        def scaled(self, x):
            return super().scaled(x) * 2

    b = Doubled(5.0)
    assert [b.scaled(1.0).data for _ in range(3)] == [10.0, 10.0, 10.0]


def test_a_method_and_its_compiled_form_stand_side_by_side():
    class Both:
        def slow(self, x):
            return x[0] * 2 + x[1]

        fast = mg.compile(slow, batch=True)

    a = Both()
    assert a.slow([1.0, 2.0]) == 4.0
    assert a.fast(X).data == pytest.approx(2 * X[:, 0] + X[:, 1])
    assert a.slow([1.0, 2.0]) == 4.0


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy], ids=["copy", "deepcopy"])
def test_a_copied_object_s_method_reads_the_copy(copied):
    a = Scale(2.0)
    assert a.scaled(3.0).data == 6.0
    b = copied(a)
    b.w = Value(10.0)
    assert b.scaled(3.0).data == 30.0
    assert a.scaled(3.0).data == 6.0


def test_an_object_whose_method_was_called_pickles():
    a = Scale(2.0)
    a.scaled(3.0)
    b = pickle.loads(pickle.dumps(a))
    b.w.data = 5.0
    assert (a.scaled(1.0).data, b.scaled(1.0).data) == (2.0, 5.0)


@mg.compile
def decorated(x):
    return x * traces.P[0] + 1


undecorated = mg.compile(traces.shared_terms)


@pytest.mark.parametrize("which", ["decorated", "undecorated"])
def test_a_compiled_module_level_function_pickles(which):
    f = globals()[which]
    args = (0.7,) if which == "decorated" else (0.7, 1.3)
    again = pickle.loads(pickle.dumps(f))
    expected, ours = f(*args), again(*args)
    assert [v.data for v in _flat(ours)] == [v.data for v in _flat(expected)]


def test_a_pickled_function_gives_the_same_numbers_in_another_process():
    code = (
        "import pickle, sys\n"
        f"f = pickle.loads({pickle.dumps(undecorated)!r})\n"
        "print([v.data for v in f(0.7, 1.3)])"
    )
    path = os.pathsep.join([str(Path(traces.__file__).parent), os.environ.get("PYTHONPATH", "")])
    env = {**os.environ, "PYTHONPATH": path}
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, env=env)
    assert out.returncode == 0, out.stderr
    assert out.stdout.strip() == repr([v.data for v in undecorated(0.7, 1.3)])


# ---- signatures ----


@pytest.mark.parametrize(
    ("first", "second", "runs"),
    [
        ((1.0,), (2.0,), 1),
        ((1.0,), (math.nan,), 1),
        ((1.0,), (np.float64(2.0),), 1),
        ((1.0,), (np.float32(2.0),), 1),
        ((np.int64(1),), (np.int64(2),), 1),
        ((np.zeros(3),), (np.ones(3),), 1),
        ((np.zeros(3),), (np.ones(3, dtype=np.int32),), 1),
        ((np.zeros((2, 3)),), (np.ones((2, 3)),), 1),
        ((Value(1.0),), (Value(2.0),), 1),
        (([1.0, 2.0],), ([3.0, 4.0],), 1),
        ((1.0, 3), (2.0, 3), 1),
        ((1.0, "a", None, True), (2.0, "a", None, True), 1),
        ((1.0, 3), (1.0, 4), 2),
        ((1.0, 1), (1.0, True), 2),
        ((1.0, 0), (1.0, None), 2),
        ((1.0, "a"), (1.0, "b"), 2),
        ((1.0,), (1.0, 2.0), 2),
        ((np.zeros(3),), (np.zeros(4),), 2),
        ((np.zeros((2, 3)),), (np.zeros((3, 2)),), 2),
        (([1.0],), ((1.0,),), 2),
        (([[1.0], 2.0],), ([1.0, [2.0]],), 2),
        (([1.0, 3],), ([1.0, 4],), 2),
    ],
    ids=str,
)
def test_only_a_new_structure_shape_or_static_value_traces_again(counted, first, second, runs):
    f = mg.compile(counted)
    for args in (first, second, first, second):
        f(*args)
    assert counted.runs == runs


def test_another_batch_size_replays(counted):
    f = mg.compile(counted, batch=True)
    for n in (1, 2, 100, 0, 7):
        assert len(f(np.ones((n, 2)), 1.5)) == n
    assert counted.runs == 1
    f(np.ones((3, 3)), 1.5)
    assert counted.runs == 2


def test_keyword_arguments_are_inputs_in_any_order():
    f = mg.compile(lambda x, *, a, b=10.0, flip=False: (x - a if flip else x + a) / b)
    assert f(1.0, a=2.0).data == pytest.approx(0.3)
    assert f(1.0, b=2.0, a=5.0).data == f(1.0, a=5.0, b=2.0).data == 3.0
    assert f(1.0, a=2.0, flip=True).data == pytest.approx(-0.1)
    f(1.0, a=Value(3.0)).backward()
    assert f.cache_info().currsize == 4


def test_what_a_static_argument_is_reaches_the_function():
    seen = []
    f = mg.compile(lambda x, *static: (seen.append(static), x)[1])
    f(1.0, 3, True, "relu", None)
    assert seen == [(3, True, "relu", None)]
    assert [type(s) for s in seen[0]] == [int, bool, str, type(None)]


# ---- what arrives and what comes back ----


def structure(thing):
    if isinstance(thing, (list, tuple)):
        return type(thing)(structure(t) for t in thing)
    return "v" if isinstance(thing, Value) else thing


@pytest.mark.parametrize(
    ("arg", "batch", "arrives"),
    [
        (np.zeros(2), False, ["v", "v"]),
        (np.zeros((2, 1)), False, [["v"], ["v"]]),
        (np.zeros((1, 2, 1)), False, [[["v"], ["v"]]]),
        (np.zeros(0), False, []),
        (np.array(1.5), False, "v"),
        (np.float32(1.5), False, "v"),
        (np.int8(3), False, "v"),
        (np.bool_(True), False, "v"),
        ([1.0, (2.0, [3, Value(4.0)], "s")], False, ["v", ("v", [3, "v"], "s")]),
        ([], False, []),
        ((), False, ()),
        (np.zeros(5), True, "v"),
        (np.zeros((5, 2)), True, ["v", "v"]),
        (np.zeros((5, 2, 1)), True, [["v"], ["v"]]),
        (np.zeros(5, dtype=np.uint8), True, "v"),
        ([np.zeros(5), (1.0, np.zeros((5, 1)))], True, ["v", ("v", ["v"])]),
    ],
    ids=str,
)
def test_arguments_arrive_as_nested_lists_of_values(arg, batch, arrives):
    seen = []
    f = mg.compile(lambda a, b: (seen.append(structure(a)), b)[1], batch=batch)
    f(arg, np.ones(5) if batch else 1.0)
    assert seen == [arrives]


def test_inputs_reach_their_places_in_order():
    def function(a, b, c, d):
        return [a[0][1], a[1][0], b[0], b[1][0], c, d[2]]

    out = mg.compile(function)(
        np.arange(4.0).reshape(2, 2), [10.0, (Value(11.0),)], 12.0, np.array([13, 14, 15])
    )
    assert [v.data for v in out] == [1.0, 2.0, 10.0, 11.0, 12.0, 15.0]
    rows = mg.compile(function, batch=True)(
        np.arange(12.0).reshape(3, 2, 2),
        [np.arange(3.0), (Value(11.0),)],
        12.0,
        np.arange(9).reshape(3, 3),
    )
    assert rows.data.tolist() == [[4 * k + 1, 4 * k + 2, k, 11, 12, 3 * k + 2] for k in range(3)]


def test_results_have_the_structure_that_the_function_returned():
    def function(x):
        return [x, (x * 2, [x * 3]), None, 7, "text"]

    single = mg.compile(function)(1.0)
    assert structure(single) == ["v", ("v", ["v"]), None, 7, "text"]
    assert [v.data for v in _flat(single)] == [1.0, 2.0, 3.0]
    rows = mg.compile(function, batch=True)(np.array([1.0, 2.0]))
    assert rows.data.tolist() == [[1.0, 2.0, 3.0], [2.0, 4.0, 6.0]]
    for summary in (rows.sum(), rows.mean(), rows[1]):
        assert structure(summary) == ["v", ("v", ["v"]), None, 7, "text"]


def test_results_of_one_call_do_not_share_lists_with_the_next():
    f = mg.compile(lambda x: [x, [x]])
    first = f(1.0)
    first[1].clear()
    assert structure(f(2.0)) == ["v", ["v"]]


def test_inputs_parameters_and_constants_may_be_results():
    p = Value(3.0)
    x, same, constant, again = mg.compile(lambda v: (v, p, Value(7.0), v))(2.0)
    assert [v.data for v in (x, same, constant, again)] == [2.0, 3.0, 7.0, 2.0]
    (same * 5 + constant).backward()
    assert p.grad == 5.0
    rows = mg.compile(lambda v: (v, p, Value(7.0)), batch=True)(np.array([1.0, 2.0]))
    assert rows.data.tolist() == [[1.0, 3.0, 7.0], [2.0, 3.0, 7.0]]
    p.grad = 0.0
    rows.sum()[1].backward()
    assert p.grad == 2.0


# ---- index inputs ----


def test_take_chooses_a_value_by_an_index_input():
    table = [Value(float(k)) for k in (10, 20, 30)]
    f = mg.compile(lambda k: mg.take(table, k) * 2)
    for k in range(3):
        f(np.int64(k)).backward()
        assert f(np.int64(k)).data == 20.0 * (k + 1)
        assert grads(*table) == [2.0 * (j == k) for j in range(3)]
    assert f.cache_info().currsize == 1


def test_take_chooses_rows_by_an_index_column():
    table = [[Value(r + c / 10) for c in range(2)] for r in range(4)]
    index = np.array([3, 0, 3, 1], dtype=np.uint8)

    @mg.compile(batch=True)
    def row(k, x):
        a, b = mg.take(table, k)
        return a * x + b

    x = np.arange(1.0, 5.0)
    assert row(index, x).data == pytest.approx(
        [table[k][0].data * v + table[k][1].data for k, v in zip(index, x, strict=True)]
    )
    row(index, x).sum().backward()
    assert [grads(*pair) for pair in table] == [[2.0, 1.0], [4.0, 1.0], [0.0, 0.0], [4.0, 2.0]]


def test_index_inputs_work_in_arithmetic_and_take_of_inputs():
    f = mg.compile(lambda k, x: mg.take(x, k + 1) * k + mg.take([1.0, x[0], 3], k))
    x = [Value(5.0), Value(6.0), Value(7.0)]
    out = f(np.int32(1), x)
    assert out.data == 7.0 * 1 + 5.0
    out.backward()
    assert grads(*x) == [1.0, 0.0, 1.0]


@pytest.mark.parametrize("index", [3, -1, 100])
def test_an_index_out_of_range_raises_and_the_function_works_on(index):
    f = mg.compile(lambda k, x: mg.take([x, x * 2, x * 3], k))
    with pytest.raises(IndexError, match="take"):
        f(np.int64(index), 1.0)
    rows = mg.compile(lambda k, x: mg.take([x, x * 2, x * 3], k), batch=True)
    with pytest.raises(IndexError, match="take"):
        rows(np.array([0] * 300 + [index]), np.ones(301))
    assert f(np.int64(2), 1.0).data == 3.0
    assert rows(np.array([1]), np.ones(1)).data.tolist() == [2.0]


@pytest.mark.parametrize("index", [0.5, math.nan, math.inf])
def test_an_index_that_is_no_whole_number_raises(index):
    with pytest.raises(IndexError, match="take"):
        mg.compile(lambda k, x: mg.take([x, x], k))(index, 1.0)


# ---- parameters and constants ----


def test_parameters_are_read_at_every_call_and_given_gradient():
    p, q = Value(2.0), Value(5.0)
    f = mg.compile(lambda x: p * x + q)
    out = f(3.0)
    p.data, q.data = 4.0, 1.0
    later = f(3.0)
    assert (out.data, later.data) == (11.0, 13.0)
    (out + later * 10).backward()
    assert (p.grad, q.grad) == (33.0, 11.0)


def test_values_made_in_the_trace_are_constants():
    f = mg.compile(lambda x: x * Value(3.0) + 2)
    assert "captured" not in f.program(1.0)
    assert (f(1.0).data, f(2.0).data) == (5.0, 8.0)


def test_gradient_flows_on_through_what_was_computed_before():
    a = Value(2.0)
    b = a * 3
    f = mg.compile(lambda x: b * x)
    f(5.0).backward()
    assert (a.grad, b.grad) == (15.0, 5.0)


def test_detach_stops_the_gradient_and_keeps_the_number():
    p = Value(2.0)
    f = mg.compile(lambda x: x.detach() * p + p.detach() * x)
    x = Value(3.0)
    out = f(x)
    out.backward()
    assert (out.data, x.grad, p.grad) == (12.0, 2.0, 3.0)


def test_a_parameter_with_an_attribute_keeps_it():
    p = Value(2.0, label="p")
    p.m = 0.5
    mg.compile(lambda x: x * p)(1.0).backward()
    assert (p.m, p.label, p.grad) == (0.5, "p", 1.0)
