"""Value(data, children, local gradients): microgpt's custom op, with no step in Python."""

import copy
import gc
import math
import pickle
import random

import pytest
from references import second_operand

import micrograd_fast as mg
from micrograd_fast import Value, functional, viz
from micrograd_fast._core import OPS, live_nodes

pytestmark = pytest.mark.usefixtures("live_nodes_unchanged")


class MicrogptValue:
    """The class of microgpt, shortened."""

    def __init__(self, data, children=(), local_grads=()):
        self.data, self.grad = data, 0
        self._children, self._local_grads = children, local_grads

    def __add__(self, other):
        other = other if isinstance(other, MicrogptValue) else MicrogptValue(other)
        return MicrogptValue(self.data + other.data, (self, other), (1, 1))

    def __mul__(self, other):
        other = other if isinstance(other, MicrogptValue) else MicrogptValue(other)
        return MicrogptValue(self.data * other.data, (self, other), (other.data, self.data))

    def __pow__(self, other):
        return MicrogptValue(self.data**other, (self,), (other * self.data ** (other - 1),))

    def log(self):
        return MicrogptValue(math.log(self.data), (self,), (1 / self.data,))

    def exp(self):
        return MicrogptValue(math.exp(self.data), (self,), (math.exp(self.data),))

    def relu(self):
        return MicrogptValue(max(0, self.data), (self,), (float(self.data > 0),))

    def backward(self):
        topo, visited = [], set()

        def build_topo(v):
            if v not in visited:
                visited.add(v)
                for child in v._children:
                    build_topo(child)
                topo.append(v)

        build_topo(self)
        self.grad = 1
        for v in reversed(topo):
            for child, local_grad in zip(v._children, v._local_grads, strict=True):
                child.grad += local_grad * v.grad


def tanh(x):
    t = math.tanh(x.data)
    return type(x)(t, (x,), (1 - t * t,))


def softmax_like(xs):
    """One node over any number of children."""
    total = sum(x.data for x in xs)
    return type(xs[0])(total, tuple(xs), tuple(x.data * 0.5 for x in xs))


def both(build, *numbers):
    """The result and the leaves of a graph in each of the two classes."""
    for kind in (MicrogptValue, Value):
        leaves = [kind(x) for x in numbers]
        out = build(*leaves)
        out.backward()
        yield out, leaves


@pytest.mark.parametrize(
    "build",
    [
        lambda a, b: tanh(a * b + a),
        lambda a, b: tanh(tanh(a) * tanh(b) + a).relu(),
        lambda a, b: softmax_like([a, b, a, a * b, a]) * b,
        lambda a, b: softmax_like([a]) + softmax_like([a, a]),
        lambda a, b: softmax_like([tanh(a * k) for k in range(100)]),
        lambda a, b: (tanh(a).exp() + b) ** 3,
    ],
)
def test_gradients_are_microgpts(build):
    (expected, theirs), (out, ours) = both(build, 0.5, -1.5)
    assert out.data == expected.data
    assert [v.grad for v in ours] == pytest.approx([v.grad for v in theirs], rel=1e-12)


def test_children_and_local_grads_of_what_was_given():
    x, y = Value(2.0), Value(3.0)
    out = Value(7.0, (x, y, x), (0.5, 1, -2))
    assert out._children == (x, y, x)
    assert out._local_grads == (0.5, 1.0, -2.0)
    assert (out._prev, out._op, out.label, out.data) == ({x, y}, "", "", 7.0)
    out._backward()  # nothing yet: its own grad is 0
    assert (x.grad, y.grad) == (0.0, 0.0)
    out.grad = 2.0
    out._backward()
    assert (x.grad, y.grad) == (-3.0, 2.0)


@pytest.mark.parametrize("make", [tuple, list])
@pytest.mark.parametrize("n", [1, 2, 3, 80])
def test_any_number_of_children_in_a_tuple_or_list(make, n):
    xs = [Value(float(k)) for k in range(n)]
    out = Value(1.0, make(xs), make(float(k + 1) for k in range(n)), "name")
    assert out.label == "name"
    (out * 2).backward()
    assert [x.grad for x in xs] == [2.0 * (k + 1) for k in range(n)]
    assert out._children == tuple(xs)
    named = Value(1.0, make(xs), "op", _local_grads=make([1.5] * n))
    assert (named._op, named._local_grads) == ("op", (1.5,) * n)


@pytest.mark.parametrize("op", OPS, ids=lambda op: op.name)
def test_every_built_in_node_shows_children_and_local_grads(op):
    x, y = Value((op.lo + op.hi) / 2), Value(second_operand(op, random.Random(1)))
    if op.kind == "binary":
        operator = {"add": "__add__", "mul": "__mul__", "vpow": "__pow__"}.get(op.name, op.name)
        out = getattr(x, operator)(y)
    else:
        out = x**3 if op.kind == "param" else getattr(x, op.name)()
    children, grads = out._children, out._local_grads
    assert children == ((x, y) if op.kind == "binary" else (x,))
    out.backward()
    assert grads == ((x.grad, y.grad) if op.kind == "binary" else (x.grad,))


def test_operands_that_are_one_node_or_a_number():
    x = Value(3.0)
    assert (x * x)._children == (x, x)
    assert (x * x)._local_grads == (3.0, 3.0)
    product = 5 * x
    assert sorted(c.data for c in product._children) == [3.0, 5.0]
    assert x._children == x._local_grads == ()


def test_a_node_with_a_step_in_python_has_no_local_grads():
    x = Value(1.0)
    out = Value(1.0, (x,), "custom")
    assert out._children == (x,)
    assert not hasattr(out, "_local_grads")
    with pytest.raises(AttributeError, match="_backward"):
        _ = out._local_grads
    called = mg.compile(lambda v: v * 2)(x)
    with pytest.raises(AttributeError, match="_backward"):
        _ = called._local_grads


@pytest.mark.parametrize("form", ["third", "named"])
@pytest.mark.parametrize(
    ("grads", "error", "match"),
    [
        ((), ValueError, "_local_grads must have a number for each of the 2 _children, not 0"),
        ((1.0,), ValueError, "2 _children, not 1"),
        ((1.0, 2.0, 3.0), ValueError, "2 _children, not 3"),
        ((1.0, "2"), TypeError, r"_local_grads\[1\] must be a number, not 'str'"),
        ((None, 1.0), TypeError, r"_local_grads\[0\] must be a number, not 'NoneType'"),
        ((Value(1.0), 1.0), TypeError, r"_local_grads\[0\] must be a number, not a Value"),
        ((1.0, 10**400), OverflowError, "int too large"),
        (5.0, TypeError, "_op must be a str|_local_grads must be a tuple"),
    ],
)
def test_bad_local_grads_are_named_and_nothing_is_made(form, grads, error, match):
    x, y = Value(1.0), Value(2.0)
    before = live_nodes()
    with pytest.raises(error, match=match):
        if form == "third":
            Value(1.0, (x, y), grads)
        else:
            Value(1.0, (x, y), "", _local_grads=grads)
    assert live_nodes() == before


def test_grads_without_children_and_both_forms_at_once():
    with pytest.raises(ValueError, match="0 _children, not 1"):
        Value(1.0, (), (1.0,))
    assert Value(1.0, (), ())._children == ()
    with pytest.raises(TypeError, match="_op must be a str"):
        Value(1.0, (Value(1.0),), (1.0,), _local_grads=(1.0,))
    with pytest.raises(TypeError, match="_children must be Values"):
        Value(1.0, (1.0,), (1.0,))
    v = Value(1.0)
    with pytest.raises(AttributeError):
        v._local_grads = (1.0,)
    with pytest.raises(AttributeError):
        del v._children


def test_no_grad_makes_a_leaf():
    x = Value(1.0)
    with mg.no_grad():
        out = Value(2.0, (x,), (3.0,))
    assert (out._children, out._local_grads, out.data) == ((), (), 2.0)


def test_a_trace_refuses_numbers_that_would_freeze():
    def frozen(v):
        return Value(1.0, (v,), (2.0,))

    with pytest.raises(mg.TraceError):
        mg.compile(frozen)(1.0)
    before = Value(1.0, (Value(2.0),), (3.0,))
    f = mg.compile(lambda v: v * before)
    out = f(Value(5.0))
    out.backward()
    (x,) = before._children
    assert (before.grad, x.grad) == (5.0, 15.0)


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, pickle.dumps])
def test_such_a_node_is_not_copied(copied):
    with pytest.raises(TypeError, match="detach"):
        copied(tanh(Value(1.0)))


def test_such_a_node_takes_a_step_and_attributes_and_is_drawn():
    x = Value(1.0)
    out = tanh(x)
    out.note = "kept"
    local = out._backward
    calls = []

    def step(out=out, local=local):
        calls.append(out.grad)
        local()

    out._backward = step
    (out * 3).backward()
    assert calls == [3.0]
    assert x.grad == 3 * (1 - math.tanh(1.0) ** 2)
    assert "1.0000" in viz.to_dot(Value(1.0, (x,), (2.0,)) * 3)
    del out, local, step
    gc.collect()


def test_a_subclass_with_local_grads():
    class Own(Value):
        pass

    x = Own(0.5)
    out = tanh(x)
    assert type(out) is Own
    out.backward()
    assert x.grad == 1 - math.tanh(0.5) ** 2


def test_it_mixes_with_everything_else():
    xs = [Value(0.1 * k) for k in range(5)]
    loss = functional.cross_entropy([tanh(x) for x in xs], 2)
    loss.backward()
    grads = [x.grad for x in xs]
    for x in xs:
        x.grad = 0.0
    functional.cross_entropy([x.tanh() for x in xs], 2).backward()
    assert grads == pytest.approx([x.grad for x in xs], rel=1e-12)


def test_children_stand_as_written_where_a_subclass_stands_on_the_right():
    class Parameter(Value):
        """Overrides nothing of what is asked here."""

        def relu(self):
            return super().relu() * 2

    x, p = Value(2.0), Parameter(3.0)
    assert (x * p)._children == (x, p)
    assert (x + p)._children == (x, p)
    assert (x * p)._local_grads == (3.0, 2.0)
    assert (p * x)._children == (p, x)
