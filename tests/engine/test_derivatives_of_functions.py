"""Derivatives of functions: grad, value_and_grad, jvp, vjp, their structures and their words."""

import copy
import gc
import math
import pickle

import numpy as np
import pytest

import micrograd_fast as mg
from micrograd_fast._core import live_nodes
from micrograd_fast.engine import Value

# ---- functions ----


def test_perturbations_are_not_confused():
    def f(x):
        return x * mg.grad(lambda y: x + y)(1.0)

    assert mg.grad(f)(5.0).data == 1.0
    x = Value(3.0)
    assert mg.grad(lambda a: a * x)(x).data == 3.0
    assert mg.grad(lambda x: x * mg.grad(lambda y: x * y)(x))(x).data == 6.0
    assert mg.grad(lambda a, b: a * b, [0, 1])(x, x)[0].data == 3.0


def test_argument_numbers_and_structures():
    def f(w, x, scale=1.0):
        return scale * (w["a"] * x[0] + w["b"][0] * x[1] ** 2)

    w, x = {"a": 2.0, "b": [3.0]}, (5.0, 7.0)
    d = mg.grad(f)(w, x)
    assert (d["a"].data, d["b"][0].data) == (5.0, 49.0)
    d = mg.grad(f, 1)(w, x, scale=2.0)
    assert type(d) is tuple and [v.data for v in d] == [4.0, 84.0]
    y, (dx, dw) = mg.value_and_grad(f, (-1, 0))(w, x)
    assert y.data == 157.0 and dx[1].data == 42.0 and dw["a"].data == 5.0
    (only,) = mg.grad(f, [1])(w, np.array(x))
    assert [v.data for v in only] == [2.0, 42.0]
    assert mg.grad(lambda x: 3.0)(1.0).data == 0.0


def test_jvp_and_vjp():
    def f(x, ys):
        return {"s": x * ys[0], "t": [ys[1].exp(), x]}

    out, tangent = mg.jvp(f, (2.0, [3.0, 0.0]), (1.0, [10.0, Value(4.0)]))
    assert (out["s"].data, out["t"][0].data, out["t"][1].data) == (6.0, 1.0, 2.0)
    assert (tangent["s"].data, tangent["t"][0].data, tangent["t"][1].data) == (23.0, 4.0, 1.0)
    out, pull = mg.vjp(f, 2.0, [3.0, 0.0])
    dx, dys = pull({"s": 1.0, "t": [5.0, 7.0]})
    assert (dx.data, dys[0].data, dys[1].data) == (10.0, 2.0, 5.0)
    w = Value(2.0)
    dx, _ = pull({"s": w, "t": [0.0, 0.0]})
    assert mg.gradients(dx, w).data == 3.0
    out, tangent = mg.jvp(lambda x: [x, 1.0], [2.0], [3.0])
    assert [t.data for t in tangent] == [3.0, 0.0]


def test_a_compiled_function_and_a_method():
    class Model:
        w = Value(3.0)

        @mg.compile
        def loss(self, x):
            return (self.w * x) ** 2

    model = Model()
    assert mg.grad(model.loss)(2.0).data == 36.0
    assert mg.gradients(mg.grad(model.loss)(2.0), model.w).data == 24.0
    with pytest.raises(TypeError, match="has its gradient by backward"):
        mg.gradients(model.loss(2.0), model.w)
    x = Value(2.0)
    assert mg.gradients(model.loss(2.0) * x, x).data == 36.0  # which the call did not read
    with pytest.raises(TypeError, match="has its gradient by backward"):
        mg.gradients(model.loss(x) * x, x)


def test_gradient_by_captured_leaves_compiles():
    w = Value(3.0)

    @mg.compile(batch=True)
    def slopes(x):
        y = (w * x).sin()
        return [mg.gradients(y, w), mg.gradients(mg.gradients(y, x), x)]

    xs = np.array([0.5, 1.0, 2.0])
    want = np.stack([xs * np.cos(3 * xs), -9 * np.sin(3 * xs)], axis=1)
    np.testing.assert_allclose(slopes(xs).data, want, rtol=1e-12)
    w.data = 1.0
    np.testing.assert_allclose(slopes(xs).data[:, 1], -np.sin(xs), rtol=1e-12)
    sum([b[1] for b in slopes(xs)]).backward()
    assert w.grad == pytest.approx(np.sum(-2 * np.sin(xs) - xs * np.cos(xs)))


def test_a_loss_with_a_second_derivative_trains():
    """u'' in the loss: its gradient by the weights is the third order."""
    w = [Value(0.3), Value(-0.7)]

    @mg.compile(batch=True)
    def residual(t):
        u = lambda t: (w[0] * t).tanh() * w[1]  # noqa: E731
        return (mg.grad(mg.grad(u))(t) + u(t)) ** 2

    ts = np.linspace(-1, 1, 9)
    residual(ts).mean().backward()
    step, found = 1e-5, [v.grad for v in w]
    for v, g in zip(w, found, strict=True):
        at = v.data
        v.data = at + step
        up = residual(ts).data.mean()
        v.data = at - step
        down = residual(ts).data.mean()
        v.data = at
        assert g == pytest.approx((up - down) / (2 * step), rel=1e-7)


# ---- custom nodes ----


def test_local_gradients_are_constants_of_first_order():
    x = Value(3.0)
    y = Value(9.0, (x,), (6.0,))
    (d,) = mg.gradients(y * x, [x])
    assert d.data == 27.0
    assert mg.gradients(d, [x])[0].data == 12.0  # 6 and 6; that 6 is 2x nobody knows
    _, tangent = mg.jvp(lambda x: Value(9.0, (x,), (6.0,)), [3.0], [2.0])
    assert tangent.data == 12.0


def test_steps_in_python_are_refused():
    x = Value(3.0)
    y = Value(9.0, (x,), "square")
    y._backward = lambda: None
    with pytest.raises(TypeError, match="_backward in Python"):
        mg.gradients(y + x, [x])
    assert mg.gradients(y + x * 2, [z := Value(1.0)])[0].data == 0.0 and z.grad == 0.0
    clipped = x * 2
    clipped._backward = lambda: None
    with pytest.raises(TypeError, match="_backward in Python"):
        mg.gradients(clipped * 3, [x])
    x._backward = lambda: None  # of a leaf: nothing is asked of it
    assert mg.gradients(x * 2, [x])[0].data == 2.0


# ---- no_grad ----


def test_under_no_grad():
    x = Value(3.0)
    y = x * x
    with mg.no_grad():
        d = mg.gradients(y, x)
        assert d.data == 6.0 and not d._prev
        value, g = mg.value_and_grad(lambda x: x**3)(x)
        assert (value.data, g.data) == (27.0, 27.0) and not value._prev and not g._prev
        assert mg.grad(mg.grad(lambda x: x**3))(2.0).data == 12.0
        out, tangent = mg.jvp(lambda x: x.exp(), [x], [1.0])
        assert not out._prev and not tangent._prev and tangent.data == math.exp(3.0)
        with pytest.raises(KeyError):
            mg.grad({}.__getitem__)(2.0)
        assert not (x * x)._prev
    assert (x * x)._prev


# ---- bad input ----


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda x: mg.gradients(3.0, x), TypeError, "y must be a Value"),
        (lambda x: mg.gradients(x, 3.0), TypeError, "xs must be a Value"),
        (lambda x: mg.gradients(x, [x, [2]]), TypeError, r"xs\[1\]\[0\] must be a Value"),
        (lambda x: mg.grad(3.0), TypeError, "f must be a function"),
        (lambda x: mg.grad(abs, "a"), TypeError, "argnums must be an int"),
        (lambda x: mg.grad(abs, True), TypeError, "argnums must be an int"),
        (lambda x: mg.grad(abs, []), ValueError, "argnums must name"),
        (lambda x: mg.grad(abs, 1)(x), IndexError, "argnums is 1, but 1 argument"),
        (lambda x: mg.grad(abs, -2)(x), IndexError, "argnums is -2"),
        (lambda x: mg.grad(max, (0, -2))(x, x), ValueError, "argnums names argument 0 twice"),
        (lambda x: mg.grad(abs)(2), TypeError, "argument 0 is 'int', which has no derivative"),
        (lambda x: mg.grad(sum)([x, 2]), TypeError, r"argument 0\[1\] is 'int'"),
        (lambda x: mg.grad(sum)(np.arange(3)), TypeError, "argument 0 is 'int64'"),
        (lambda x: mg.grad(sum)(["a"]), TypeError, r"argument 0\[0\] is 'str'"),
        (lambda x: mg.grad(list)([x]), TypeError, "list returned 'list'"),
        (lambda x: mg.grad(lambda x: None)(x), TypeError, "returned 'NoneType'"),
        (lambda x: mg.grad(mg.compile(abs, batch=True)), TypeError, "is batched"),
        (lambda x: mg.jvp(abs, x, (1.0,)), TypeError, "primals must be a list or tuple"),
        (lambda x: mg.jvp(abs, (x,), 1.0), TypeError, "tangents must be a list or tuple"),
        (lambda x: mg.jvp(abs, (x,), (1.0, 2.0)), ValueError, "tangents must have 1 item"),
        (lambda x: mg.jvp(sum, ([x],), (1.0,)), ValueError, r"tangents\[0\] must have 1 item"),
        (lambda x: mg.jvp(abs, (x,), ("a",)), TypeError, r"tangents\[0\] must be a number"),
        (lambda x: mg.jvp(lambda x: "a", (x,), (1.0,)), TypeError, "returned 'str'"),
        (lambda x: mg.vjp(abs, x)[1]([1.0]), TypeError, "w must be a number or a Value"),
        (lambda x: mg.vjp(list, [x])[1]([1.0, 2.0]), ValueError, "w must have 1 item"),
        (lambda x: mg.vjp(dict, {"a": x})[1]({"b": 1.0}), ValueError, r"w must have keys \['a'\]"),
    ],
)
def test_bad_input(call, error, words):
    x = Value(2.0)
    gc.collect()
    before = live_nodes()
    with pytest.raises(error, match=words):
        call(x)
    gc.collect()
    assert (live_nodes(), x.grad, x.data) == (before, 0.0, 2.0)


def test_a_structure_that_holds_itself():
    items = [Value(1.0)]
    items.append(items)
    with pytest.raises(ValueError, match="over 256 deep"):
        mg.grad(sum)(items)
    with pytest.raises(ValueError, match="over 256 deep"):
        mg.gradients(items[0], items)


def test_arguments_of_a_subclass_keep_their_class():
    class Times10(Value):
        def __mul__(self, other):
            return Value.__mul__(self, other) * 10

        def cube(self):
            return self.exp() * self.sin()

    x = Times10(2.0)
    assert mg.grad(lambda x: x.sin())(x).data == pytest.approx(math.cos(2.0))
    assert mg.grad(lambda x: x * x)(x).data == 40.0
    assert mg.grad(Times10.cube)(x).data == pytest.approx(math.exp(2) * (math.sin(2) + math.cos(2)))
    assert type(mg.jvp(lambda x: x, [x], [1.0])[0]) is Times10
    compiled = mg.compile(mg.grad(lambda x: x.cube() * 1.0))
    assert compiled(x).data == pytest.approx(math.exp(2) * (math.sin(2) + math.cos(2)))


def test_argument_numbers_of_other_types():
    f = lambda x, y: x * y**2  # noqa: E731
    assert mg.grad(f, np.int64(1))(2.0, 3.0).data == 12.0
    with pytest.raises(TypeError, match="argnums must be an int or ints, not 'ndarray'"):
        mg.grad(f, np.array([0, 1]))


class Net:
    def __init__(self):
        self.w = Value(2.0)
        self.slope = mg.compile(mg.grad(self.loss))

    def loss(self, x):
        return self.w * x * x


def test_derivatives_copy_and_pickle_with_their_owner():
    net = Net()
    assert net.slope(1.0).data == 4.0
    for twin in (copy.deepcopy(net), pickle.loads(pickle.dumps(net))):
        twin.w.data = 10.0
        assert (twin.slope(1.0).data, net.slope(1.0).data) == (20.0, 4.0)
    net.w = Value(5.0)
    assert net.slope(1.0).data == 10.0
    slope = pickle.loads(pickle.dumps(mg.grad(Value.exp)))
    assert slope(0.0).data == 1.0 and slope.__name__ == "exp_gradient"


def test_what_a_derivative_kept_elsewhere_reads_is_watched():
    scale, parts = [2.0], [Value(1.0)]
    slope = mg.grad(lambda x: scale[0] * sum(p * x for p in parts))
    inside = mg.compile(lambda x: slope(x) * 1.0)
    both = mg.compile(mg.value_and_grad(lambda x: scale[0] * x))
    assert (inside(3.0).data, both(3.0)[1].data) == (2.0, 2.0)
    scale[0] = 5.0
    assert (inside(3.0).data, both(3.0)[1].data) == (5.0, 5.0)
    parts.append(Value(3.0))
    assert inside(3.0).data == 20.0
