"""Claims that few programs come to: each is a line that no other test reaches."""

import copy
import pickle

import numpy as np
import pytest

import micrograd_fast as mg
from micrograd_fast import Value, _core


def test_a_copied_leaf_keeps_the_op_text_that_it_was_given():
    v = Value(2.0)
    v._op = "weight"
    twin = copy.copy(v)
    assert (twin._op, twin.data) == ("weight", 2.0)
    state = v.__getstate__()
    assert state["_op"] == "weight"


class Labelled(Value):
    def __getnewargs__(self):
        return (0.0,)


class Tripled(Value):
    """What __new__ gives after the first time is a result, not a leaf."""

    makes_results = False

    def __new__(cls, *args):
        return Value(1.0) * 3 if cls.makes_results else super().__new__(cls)

    def __getnewargs__(self):
        return ()

    def __getstate__(self):
        return None


def test_a_copy_by_new_arguments_keeps_the_op_text():
    v = Labelled(2.0)
    v._op = "weight"
    for twin in (copy.copy(v), pickle.loads(pickle.dumps(v))):
        assert (type(twin), twin._op, twin.data) == (Labelled, "weight", 2.0)


def test_a_copy_whose_new_gives_a_result_is_refused(monkeypatch):
    v = Tripled(2.0)
    monkeypatch.setattr(Tripled, "makes_results", True)
    with pytest.raises(TypeError, match="only a leaf Value can take a state"):
        copy.copy(v)


def test_a_result_takes_no_state():
    x = Value(2.0)
    result = x * 3
    state = (1.0, 0.0, "", {})
    with pytest.raises(TypeError, match="only a leaf Value can take a state"):
        result.__setstate__(state)
    assert (result.data, result._op) == (6.0, "*")


def test_several_results_have_no_gradient_in_a_run_of_their_own():
    f = mg.compile(lambda x: (x, x * 2.0))
    f(1.0)
    (specialization,) = f._traces.by_signature.values()
    with pytest.raises(TypeError, match="only a function of one result has a gradient"):
        _core._numbers(specialization, (1.0,), {}, gradient=True)


def test_other_params_of_the_same_number_are_other_params():
    p, q = Value(2.0), Value(3.0)
    f = mg.compile(lambda x: x * p + x * x * q)
    assert f.value_and_grad(5.0, params=[p])[1].tolist() == [5.0]
    assert f.value_and_grad(5.0, params=[q])[1].tolist() == [25.0]
    assert f.value_and_grad(5.0, params=[p])[1].tolist() == [5.0]


def test_a_dict_with_another_number_of_items_is_traced_anew():
    f = mg.compile(lambda d: sum(d.values()))
    assert f({"a": 1.0}).data == 1.0
    assert f({"a": 1.0, "b": 2.0}).data == 3.0
    assert f.cache_info().currsize == 2


def test_matrices_that_begin_alike_and_go_on_otherwise_are_two():
    params = [Value(0.1 * k) for k in range(12)]

    def dot(start, xs):
        return sum(w * x for w, x in zip(params[start : start + 4], xs, strict=True))

    def f(x, y):
        return [dot(0, x), dot(4, x), dot(0, y), dot(8, y)]

    x, y = np.arange(4.0), np.arange(4.0) + 5
    w = np.array([p.data for p in params]).reshape(3, 4)
    expected = [w[0] @ x, w[1] @ x, w[0] @ y, w[2] @ y]
    assert [v.data for v in mg.compile(f)(x, y)] == pytest.approx(expected, rel=1e-12)


def test_a_class_that_was_replaced_is_named():
    names = {"__name__": "somebody_s_program"}
    exec("class A:\n k = 2.0\ndef f(x): return x * A.k", names)
    f = mg.compile(names["f"])
    assert f(1.0).data == 2.0
    exec("class A:\n k = 3.0", names)
    assert f(1.0).data == 3.0
    assert "class A" in f.program(1.0)
