"""Compiled functions as methods: whose traces they have, how long those live; and copies."""

import copy
import dataclasses
import functools
import gc
import inspect
import pickle
import threading
import types
import weakref

import numpy as np
import pytest

import micrograd_fast as mg
from micrograd_fast import nn
from micrograd_fast.engine import Value

X = np.array([1.0, 2.0, 3.0])


class Model:
    """Keeps a compiled form of its own method, as people do in __init__."""

    def __init__(self, w):
        self.w = Value(w)
        self.runs = 0
        self.loss = mg.compile(self._loss, batch=True)
        self.single = mg.compile(self._loss)

    def _loss(self, x):
        self.runs += 1
        return self.w * x

    @mg.compile
    def scaled(self, x):
        self.runs += 1
        return self.w * x

    @mg.compile(batch=True)
    def rows(self, x):
        return self.w * x - 1

    other = mg.compile(lambda self, x: self.w * x * 100)

    @classmethod
    @mg.compile
    def outer(cls, x):
        counted.append(cls)
        return x * cls.FACTOR

    @mg.compile
    @classmethod
    def inner(cls, x):
        counted.append(cls)
        return x * cls.FACTOR

    @staticmethod
    @mg.compile
    def outer_static(x):
        counted.append(None)
        return x * 4

    @mg.compile
    @staticmethod
    def inner_static(x):
        counted.append(None)
        return x * 5

    FACTOR = 3.0


class Derived(Model):
    FACTOR = 7.0


counted = []


class Slotted:
    __slots__ = ("w",)

    def __init__(self, w):
        self.w = Value(w)

    @mg.compile
    def scaled(self, x):
        counted.append(self.w)
        return self.w * x


class WeakSlotted(Slotted):
    __slots__ = ("__weakref__",)


class DictOnly(Slotted):
    __slots__ = ("__dict__",)


@dataclasses.dataclass(slots=True)
class SlottedData:
    w: Value

    @mg.compile
    def scaled(self, x):
        counted.append(self.w)
        return self.w * x


@dataclasses.dataclass(frozen=True)
class Frozen:
    w: Value

    @mg.compile
    def scaled(self, x):
        counted.append(self.w)
        return self.w * x


class Alike(Model):
    """Objects that are all equal, and have no hash."""

    def __eq__(self, other):
        return True


KINDS = [Model, Slotted, WeakSlotted, DictOnly, SlottedData, Frozen, Alike]


@pytest.fixture(autouse=True)
def nothing_counted():
    counted.clear()


@pytest.fixture
def no_collector():
    """What goes without the garbage collector."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def make(kind, w=2.0):
    return kind(Value(w)) if dataclasses.is_dataclass(kind) else kind(w)


# ---- which function, which object ----


def test_functions_of_one_name_in_a_class_stay_two():
    class A:
        pass

    A.f = mg.compile(lambda self, x: x * 2)
    A.g = mg.compile(lambda self, x: x * 3)
    a = A()
    for _ in range(2):
        assert (a.f(1.0).data, a.g(1.0).data) == (2.0, 3.0)


def test_a_subclass_of_the_same_name_calls_the_method_that_it_overrides():
    def twice(base):
        class Model(base):
            @mg.compile
            def scaled(self, x):
                return super().scaled(x) * 2

        return Model

    a = twice(twice(Model))(5.0)
    assert [a.scaled(1.0).data for _ in range(3)] == [20.0] * 3


def test_another_class_means_another_method():
    def with_factor(k):
        class A:
            @mg.compile
            def f(self, x):
                return x * k

        return A

    a = with_factor(2)()
    assert a.f(1.0).data == 2.0
    a.__class__ = with_factor(3)
    assert a.f(1.0).data == 3.0


def test_a_method_that_is_replaced_is_another():
    class A:
        @mg.compile
        def f(self, x):
            return x * 2

    a = A()
    assert a.f(1.0).data == 2.0
    A.f = mg.compile(lambda self, x: x * 3)
    assert a.f(1.0).data == 3.0


@pytest.mark.parametrize("kind", KINDS)
def test_every_object_has_traces_of_its_own_and_keeps_them(kind):
    a, b = make(kind, 2.0), make(kind, 10.0)
    for _ in range(3):
        assert (a.scaled(3.0).data, b.scaled(3.0).data) == (6.0, 30.0)
    assert len(counted) == 2 or (a.runs, b.runs) == (1, 1)
    assert a.scaled.cache_info()[:2] == (2, 1)


@pytest.mark.parametrize("name", ["outer", "inner"])
def test_class_methods_trace_once_for_each_class(name):
    for _ in range(3):
        assert getattr(Model, name)(2.0).data == getattr(Model(1.0), name)(2.0).data == 6.0
        assert getattr(Derived, name)(2.0).data == getattr(Derived(1.0), name)(2.0).data == 14.0
    assert counted == [Model, Derived]


@pytest.mark.parametrize(("name", "factor"), [("outer_static", 4), ("inner_static", 5)])
def test_static_methods_trace_once(name, factor):
    for _ in range(3):
        assert getattr(Model, name)(2.0).data == getattr(Derived(1.0), name)(2.0).data == 2 * factor
    assert counted == [None]


def test_classes_that_are_equal_are_different_arguments():
    kind = type("Meta", (type,), {"__eq__": lambda a, b: True, "__hash__": lambda a: 1})
    a, b = kind("A", (), {"n": 2}), kind("B", (), {"n": 3})
    f = mg.compile(lambda c, x: x * c.n)
    for _ in range(2):
        assert (f(a, 1.0).data, f(b, 1.0).data) == (2.0, 3.0)


def test_objects_that_lie_about_their_dict_trace_once():
    class Odd:
        def __init__(self):
            self.w = Value(2.0)

        @property
        def __dict__(self):
            return {}

        @mg.compile
        def scaled(self, x):
            counted.append(1)
            return self.w * x

    a = Odd()
    assert [a.scaled(3.0).data for _ in range(3)] == [6.0] * 3
    assert len(counted) == 1


def test_a_bound_method_looks_like_the_method():
    a = Model(2.0)
    assert (a.scaled.__name__, a.scaled.__wrapped__.__self__) == ("scaled", a)
    assert list(inspect.signature(a.scaled).parameters) == ["x"]
    assert repr(a.rows) == "<batched compiled function rows, 0 signatures>"
    assert isinstance(a.rows, type(Model.rows))
    assert a.rows.value_and_grad(X)[1].tolist() == [2.0] * 3
    assert a.rows.cache_info().currsize == 1


def test_threads_find_one_trace_for_an_object():
    a, found, start = Model(2.0), [], threading.Barrier(8)

    def work():
        start.wait()
        found.extend(a.scaled(float(k)).data for k in range(50))

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == sorted([2.0 * k for k in range(50)] * 8)
    info = a.scaled.cache_info()
    assert (info.currsize, info.hits + info.misses) == (1, 400)


# ---- how long things live ----


class Net(nn.Module):
    def __init__(self, w):
        self.w = Value(w)

    def parameters(self):
        return [self.w]

    @mg.compile
    def scaled(self, x):
        return self.w * x


@pytest.mark.parametrize("kind", [Model, WeakSlotted, Frozen, Alike, Net])
def test_an_object_whose_methods_were_called_goes_at_once(kind, no_collector):
    a = make(kind)
    if hasattr(a, "loss"):
        del (
            a.loss,
            a.single,
        )  # what it made of its own bound method is a cycle, as bound methods are
    a.scaled(3.0).backward()
    if hasattr(a, "rows"):
        a.rows(X).mean().backward()
        a.rows.value_and_grad(X, params=[a.w])
        a.other(1.0)
    alive, w = weakref.ref(a), weakref.ref(a.w)
    counted.clear()
    del a
    assert (alive(), w()) == (None, None)


def test_a_class_whose_methods_were_called_can_go():
    class Gone(Model):
        pass

    Gone.inner(1.0)
    alive = weakref.ref(Gone)
    counted.clear()
    del Gone
    gc.collect()
    assert alive() is None


def test_a_cycle_of_an_object_and_its_parameter_is_collected():
    a = Model(2.0)
    a.w.owner = a
    a.scaled(1.0)
    alive = weakref.ref(a)
    del a
    gc.collect()
    assert alive() is None


def test_objects_without_weak_references_are_kept_in_a_bounded_number():
    traces = [weakref.ref(Slotted(float(k)).scaled._traces) for k in range(5)]
    assert all(t() is not None for t in traces)
    for k in range(130):
        assert Slotted(float(k)).scaled(1.0).data == float(k)
    assert all(t() is None for t in traces)


def test_an_address_that_is_used_again_is_another_object():
    for k in range(200):
        assert WeakSlotted(float(k)).scaled(1.0).data == float(k)
        assert Slotted(float(k)).scaled(1.0).data == float(k)


def test_copies_of_copies_that_have_no_weak_reference_are_told_apart():
    for k in range(100):
        a = DictOnly(float(k))
        a.scaled(1.0)
        b = copy.copy(a)
        b.w = Value(k + 0.5)
        del a
        assert copy.copy(b).scaled(1.0).data == k + 0.5


# ---- copies ----

COPIES = {
    "deepcopy": copy.deepcopy,
    "pickle": lambda thing: pickle.loads(pickle.dumps(thing)),
    "old pickle": lambda thing: pickle.loads(pickle.dumps(thing, protocol=0)),
}
EVERY_COPY = pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)


@EVERY_COPY
@pytest.mark.parametrize("called", [False, True])
def test_a_copied_object_s_compiled_method_is_compiled_and_its_own(copied, called):
    a = Model(2.0)
    if called:
        a.loss(X), a.single(1.0), a.scaled(1.0)
    b = copied(a)
    b.w.data = 10.0
    assert b.loss(X).data.tolist() == [10.0, 20.0, 30.0]
    assert b.single(1.5).data == 15.0
    assert b.scaled(1.0).data == 10.0
    assert a.loss(X).data.tolist() == [2.0, 4.0, 6.0]
    assert b.loss.__wrapped__.__self__ is b
    b.loss(X).mean().backward()
    assert (a.w.grad, b.w.grad) == (0.0, 2.0)


@EVERY_COPY
def test_a_copy_may_begin_at_the_compiled_method(copied):
    a = Model(2.0)
    loss = copied(a.loss)
    b = loss.__wrapped__.__self__
    assert b.loss is loss and b is not a
    assert loss(X).data.tolist() == [2.0, 4.0, 6.0]
    assert copied([a, a.loss, a])[1](X).data.tolist() == [2.0, 4.0, 6.0]


@EVERY_COPY
@pytest.mark.parametrize("name", ["scaled", "rows", "other", "outer", "inner"])
def test_a_copied_bound_method_is_that_of_the_copy(copied, name):
    a = Model(2.0)
    method = copied(getattr(a, name))
    # Since Python 3.13 classmethod() makes a plain method of whatever it holds.
    owner = getattr(method, "__self__", None) or method.__wrapped__.__self__
    assert type(owner) is Model or owner is Model
    args = (X,) if name == "rows" else (1.0,)
    expected, ours = getattr(a, name)(*args), method(*args)
    assert np.array_equal(ours.data, expected.data)
    assert type(ours) is type(expected)


class Overridden(Model):
    @mg.compile
    def scaled(self, x):
        return super().scaled(x) * 2

    def base(self):
        return super().scaled


@EVERY_COPY
def test_a_copied_method_that_is_overridden_stays_the_one_that_it_was(copied):
    a = Overridden(2.0)
    assert copied(a.base())(1.0).data == 2.0
    assert copied(a.scaled)(1.0).data == 4.0


def test_a_shallow_copy_shares_what_a_bound_method_shares():
    a = Model(2.0)
    plain, b = a._loss, copy.copy(a)
    b.w = Value(10.0)
    assert copy.copy(plain).__self__ is a
    assert copy.copy(a.loss)(X).data.tolist() == b.loss(X).data.tolist() == [2.0, 4.0, 6.0]
    assert b.scaled(1.0).data == 10.0


@EVERY_COPY
def test_a_compiled_module_is_copied_with_its_parameters(copied):
    net = nn.Neuron(2)
    f = mg.compile(net, batch=True)
    f.note = "kept"
    g = copied(f)
    assert (type(g), g.note, g.__name__, g.__doc__) == (type(f), "kept", f.__name__, f.__doc__)
    assert g.__wrapped__ is not net
    rows = np.ones((4, 2))
    assert g(rows).data.tolist() == f(rows).data.tolist()
    g.__wrapped__.b.data += 100.0
    assert g(rows).data[0] > f(rows).data[0] + 50


def test_a_lambda_travels_by_cloudpickle_with_its_options():
    cloudpickle = pytest.importorskip("cloudpickle")
    w = Value(3.0)
    f = mg.compile(lambda x: x * w, batch=True)
    g = pickle.loads(cloudpickle.dumps(f))
    assert g(X).data.tolist() == [3.0, 6.0, 9.0]
    partial = mg.compile(functools.partial(lambda k, x: x * k, 2.0))
    assert pickle.loads(cloudpickle.dumps(partial))(2.0).data == 4.0


def test_copies_of_an_object_hold_no_traces_of_the_original():
    a = Model(2.0)
    a.scaled(1.0)
    state = pickle.dumps(a)
    assert b"Traces" not in state
    b = copy.deepcopy(a)
    assert b.scaled.cache_info() == (0, 0, 128, 0)
    c = copy.copy(a)
    assert c.scaled.cache_info().currsize == 0
    assert a.scaled.cache_info().currsize == 1


def test_an_object_that_is_only_half_made_says_so():
    bare = type(Model.scaled).__new__(type(Model.scaled))
    with pytest.raises((TypeError, AttributeError)):
        bare(1.0)
    assert "compiled" in type(bare).__name__.lower()


def test_a_method_of_another_s_bound_form_is_left_alone():
    a = Model(2.0)

    class Holder:
        method = mg.compile(a._loss)
        again = mg.compile(types.MethodType(lambda self, x: self.w * x, a))

    assert (Holder().method(3.0).data, Holder().again(3.0).data) == (6.0, 6.0)
