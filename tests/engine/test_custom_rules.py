"""mg.custom(f, rule): ops whose derivative is written in Values, eager and compiled."""

import copy
import functools
import gc
import math
import pickle
import random
import time
import weakref

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import micrograd_fast as mg
from micrograd_fast import viz
from micrograd_fast._core import live_nodes
from micrograd_fast.engine import Value, no_grad

# Each: the op as the package has it, the formula and the rule, and a number where it is smooth.
CASES = {
    "tanh": (
        lambda x: x.tanh(),
        lambda x: ((2 * x).exp() - 1) / ((2 * x).exp() + 1),
        lambda z, x: 1 - z * z,
    ),
    "exp": (lambda x: x.exp(), lambda x: x.exp(), lambda z, x: z),
    "log": (lambda x: x.log(), lambda x: x.log(), lambda z, x: 1 / x),
    "cube": (lambda x: x**3, lambda x: x * x * x, lambda z, x: 3 * x**2),
    "sine": (lambda x: x.sin(), lambda x: x.sin(), lambda z, x: cosine(x)),
}
cosine = mg.custom(lambda x: x.cos(), lambda z, x: -CASES["sine"][0](x))


def derivatives(f, x, order):
    for _ in range(order):
        f = mg.grad(f)
    return f(Value(x)).data


@pytest.mark.parametrize("name", CASES)
@pytest.mark.parametrize("order", [0, 1, 2, 3])
def test_derivatives_of_every_order(name, order):
    op, f, rule = CASES[name]
    mine = mg.custom(f, rule)
    whole, expected = (
        (lambda g: lambda x: g(x * x) * x + g(x))(mine),
        lambda x: op(x * x) * x + op(x),
    )
    want = derivatives(expected, 0.7, order)
    assert derivatives(whole, 0.7, order) == pytest.approx(want, rel=1e-12)
    made = functools.reduce(lambda f, _: mg.grad(f), range(order), whole)
    want_slope = derivatives(expected, 0.7, order + 1)
    compiled = mg.compile(made)
    assert compiled.value_and_grad(0.7) == pytest.approx((want, want_slope), rel=1e-12)
    batched = mg.compile(made, batch=True)
    x = np.full(37, 0.7)
    values, slopes = batched.value_and_grad(x)
    np.testing.assert_allclose([values, slopes], [[want] * 37, [want_slope] * 37], rtol=1e-12)
    v = Value(0.7)
    made(v).backward()
    assert v.grad == pytest.approx(want_slope, rel=1e-12)


def test_a_rule_may_use_its_own_op():
    sigmoid = mg.custom(lambda x: 1 / (1 + (-x).exp()), lambda z, x: sigmoid(x) * (1 - sigmoid(x)))
    for order in range(5):
        want = derivatives(lambda x: x.sigmoid(), 0.3, order)
        assert derivatives(sigmoid, 0.3, order) == pytest.approx(want, rel=1e-12)
        made = functools.reduce(lambda f, _: mg.grad(f), range(order), sigmoid)
        assert float(mg.compile(made)(0.3).data) == pytest.approx(want, rel=1e-12)


def test_the_rule_counts_and_not_the_formula():
    """Straight through, which no differentiation of f would give."""
    rounded = mg.custom(lambda x: Value(float(round(x.data))), lambda z, x: 1.0)
    x = Value(2.6)
    y = rounded(x) * x
    y.backward()
    assert (y.data, x.grad) == (3 * 2.6, 5.6)
    assert mg.grad(mg.grad(lambda x: rounded(x) * x))(2.6).data == 2.0
    with pytest.raises(mg.TraceError, match=r"reading \.data"):
        mg.compile(rounded)(x)
    reversed_gradient = mg.custom(lambda x: x, lambda z, x: -1.0)
    f = mg.compile(lambda x, y: reversed_gradient(x * y) + x)
    x, y = Value(2.0), Value(3.0)
    f(x, y).backward()
    assert (x.grad, y.grad) == (-2.0, -2.0)
    assert f.values(2.0, 3.0) == 8.0


def test_a_function_that_is_known_by_an_equation():
    """z with z**3 + z = x, by Newton's method on numbers: dz/dx = 1 / (3 z**2 + 1)."""

    def solve(x):
        z = 0.0
        for _ in range(60):
            z -= (z**3 + z - x.data) / (3 * z * z + 1)
        return z

    root = mg.custom(solve, lambda z, x: 1 / (3 * z * z + 1))
    for x in (0.5, 2.0, -10.0):
        z = root(Value(x)).data
        slope = 1 / (3 * z * z + 1)
        assert derivatives(root, x, 1) == pytest.approx(slope, rel=1e-12)
        assert derivatives(root, x, 2) == pytest.approx(-6 * z * slope**3, rel=1e-12)


def test_arguments_and_structures():
    seen = []

    def f(w, xs, n, scale=1.0):
        return scale * w["a"] * (xs[0] + xs[1][0]) ** n

    def rule(z, w, xs, n, scale=1.0):
        seen.append((type(n), scale))
        s = xs[0] + xs[1][0]
        d = scale * w["a"] * n * s ** (n - 1)
        return {"a": scale * s**n}, [d, (d,)], None

    op = mg.custom(f, rule)
    w, a, b = Value(2.0), Value(3.0), Value(4.0)
    y = op({"a": w}, [a, (b,)], 3, scale=0.5)
    assert y._prev == {w, a, b} and y._op == "f"
    assert not seen  # nobody has asked for a derivative
    y.backward()
    assert (y.data, w.grad, a.grad, b.grad) == (343.0, 171.5, 147.0, 147.0)
    assert seen == [(int, 0.5)]
    f_ = mg.compile(lambda w, a, b: op({"a": w}, [a, (b,)], 3, scale=0.5))
    w.grad = a.grad = b.grad = 0.0
    f_(w, a, b).backward()
    assert (w.grad, a.grad, b.grad) == (171.5, 147.0, 147.0)


def test_operands_that_are_given_twice_or_are_numbers():
    op = mg.custom(lambda x, y: x * y, lambda z, x, y: (y, x))
    x = Value(3.0)
    op(x, x).backward()
    assert x.grad == 6.0
    assert mg.grad(mg.grad(lambda x: op(x, x)))(3.0).data == 2.0
    assert mg.compile(lambda x: op(x, x)).hessian(3.0) == 2.0
    y = op(2.0, 3.0)
    assert y.data == 6.0 and not y._prev
    assert mg.grad(lambda x: op(x, 5.0))(1.0).data == 5.0
    total = mg.custom(lambda xs: sum(xs), lambda z, xs: [1.0] * len(xs))
    assert [d.data for d in mg.grad(total)([1.0, 2.0, 3.0])] == [1.0] * 3
    assert total([]).data == 0.0


def test_of_parameters_and_inside_each_other():
    w = Value(1.5)
    inner = mg.custom(lambda x: x * x, lambda z, x: 2 * x)
    outer = mg.custom(lambda x: inner(x) * inner(x), lambda z, x: 4 * x * inner(x))
    f = mg.compile(lambda x: outer(inner(w) * x), batch=True)
    x = np.array([1.0, 2.0, 3.0])
    value, (slope,) = f.value_and_grad(x, params=[w])
    assert value == pytest.approx(np.mean((1.5**2 * x) ** 4), rel=1e-14)
    assert slope == pytest.approx(np.mean(8 * 1.5**7 * x**4), rel=1e-13)
    assert f.hvp(np.ones(1), x, params=[w])[0] == pytest.approx(np.mean(56 * 1.5**6 * x**4))
    f(x).mean().backward()
    assert w.grad == pytest.approx(slope, rel=1e-13)


@pytest.mark.parametrize("first", [False, True])
def test_what_a_rule_shares_with_the_function_keeps_its_gradient(first):
    """A rule whose closure knows a traced result of another op, which is used afterwards. Its rule
    says another thing than its formula."""
    square = mg.custom(lambda x: x * x, lambda z, x: 5 * x)

    def f(x):
        later = []
        times = mg.custom(lambda x: x * 3, lambda z, x: later[0] / x.detach() ** 2 * 3)
        y = times(x)
        later.append(square(x))
        return y + later[0] * 10 if first else later[0] * 10 + y

    assert mg.compile(f).grad(2.0) == derivatives(f, 2.0, 1) == 103.0


def test_programs_compute_no_more_than_they_need():
    square = mg.custom(lambda x: x * x, lambda z, x: 2 * x)
    program = mg.compile(lambda x: square(x)).program(2.0)
    ops = [i.op for i in program.instructions()]
    assert sorted(ops) == ["add", "detach", "detach", "input", "mul", "number", "slope", "square"]


# ---- found by a stranger ----


def test_rules_that_are_no_gradient_have_no_symmetric_hessian():
    """d/dx of (b, 0) for a * b: what mg.grad of mg.grad says, by every way."""
    op = mg.custom(lambda a, b: a * b, lambda z, a, b: (b, 0.0))
    f = mg.compile(lambda x: op(x[0], x[1]) * x[2])
    x = np.array([2.0, 3.0, 5.0])
    slopes = mg.grad(lambda x: op(x[0], x[1]) * x[2])
    want = np.array([[0.0, 5.0, 3.0], [0.0, 0.0, 0.0], [3.0, 0.0, 0.0]])
    np.testing.assert_array_equal(mg.compile(slopes).jacobian(x), want)
    np.testing.assert_array_equal(f.hessian(x), want)
    np.testing.assert_array_equal(f.hessian(x, sparse=True).toarray(), want)
    np.testing.assert_array_equal(np.stack([f.hvp(x, v) for v in np.eye(3)], axis=1), want)
    batched = mg.compile(f.__wrapped__, batch=True)
    np.testing.assert_array_equal(batched.hessian(np.stack([x, x])), [want, want])
    p = [Value(v) for v in x.tolist()]
    for g, taken in [
        (mg.compile(lambda s: op(p[0], p[1]) * p[2] * s), 1.0),
        (mg.compile(lambda s: op(p[0], p[1]) * p[2] * s, batch=True), np.ones(4)),
    ]:
        found = np.stack([g.hvp(v, taken, params=p) for v in np.eye(3)], axis=1)
        np.testing.assert_array_equal(found, want)
        np.testing.assert_array_equal(np.reshape(g.hessian(taken, params=p), (-1, 3, 3))[0], want)


def test_formulas_and_rules_may_differentiate():
    def inner(x):
        return x.sin() * x

    slope, curve = derivatives(inner, 0.7, 1), derivatives(inner, 0.7, 2)
    clipped = mg.custom(inner, lambda z, x: mg.gradients(inner(x), [x])[0])
    x = Value(0.7)
    clipped(x).backward()
    assert x.grad == slope and mg.compile(clipped).grad(0.7) == pytest.approx(slope, rel=1e-14)
    assert derivatives(clipped, 0.7, 2) == pytest.approx(curve, rel=1e-14)
    of_slope = mg.custom(lambda x: mg.gradients(inner(x), [x])[0], lambda z, x: 1.0)
    assert of_slope(Value(0.7)).data == slope
    with no_grad():
        assert of_slope(Value(0.7)).data == slope

    def by_backward(x):
        t = Value(x.data)
        (t * t).backward()
        return t.grad

    assert mg.custom(by_backward, lambda z, x: 2.0)(Value(3.0)).data == 6.0


def test_a_rule_that_asks_for_its_own_derivative():
    op = mg.custom(lambda x: x * x, lambda z, x: mg.gradients(z, [x])[0])
    x = Value(3.0)
    y = op(x)
    for call in (y.backward, lambda: mg.gradients(y, x), lambda: mg.compile(op).hessian(3.0)):
        with pytest.raises(RuntimeError, match="asks for a derivative of its own result"):
            call()
    assert x.grad == 0.0


def test_random_numbers_and_clocks_in_rules_warn():
    for rule in (lambda z, x: random.random(), lambda z, x: time.perf_counter()):
        with pytest.warns(mg.TraceWarning, match="random numbers|the time"):
            mg.compile(mg.custom(lambda x: x * 1, rule)).grad(1.0)
    counter = iter(range(100))
    op = mg.custom(lambda x: x * 1, lambda z, x: float(next(counter)))
    for call in (lambda f: f.grad(1.0), lambda f: f.values(1.0), lambda f: f.hessian(1.0)):
        with pytest.raises(mg.TraceError, match="traced twice"):
            call(mg.compile(op, check=True))


def test_values_by_keyword_go_to_their_places():
    softplus = mg.custom(lambda x: (1 + x.exp()).log(), lambda z, x: x.sigmoid())
    v = Value(1.0)
    softplus(x=v).backward()
    assert v.grad == v.sigmoid().data
    assert mg.compile(lambda t: softplus(x=t)).grad(1.0) == pytest.approx(v.grad, rel=1e-15)
    op = mg.custom(lambda x, *, y=2.0: x * y, lambda z, x, *, y=2.0: y)
    assert mg.grad(lambda x: op(x, y=3.0))(1.0).data == 3.0
    with pytest.raises(TypeError, match="y holds a Value and has no place"):
        op(v, y=v)
    several = mg.custom(lambda xs: xs[0] * xs[1], lambda z, xs: [xs[1], xs[0]])
    for taken, words in [
        (np.array([v, v], object), "ndarray' of Values: give a list"),
        ({v, Value(2.0)}, "'set' of Values"),
    ]:
        with pytest.raises(TypeError, match=words):
            several(taken)


def test_places_that_are_not_looked_at():
    poly = mg.custom(
        lambda x, c: sum(a * x**k for k, a in enumerate(c)),
        lambda z, x, c: (sum(k * a * x ** (k - 1) for k, a in enumerate(c) if k), None),
    )
    assert mg.grad(lambda x: poly(x, [1.0, 2.0, 3.0]))(2.0).data == 14.0
    assert mg.grad(lambda x: poly(x, (1.0, 2.0)))(2.0).data == 2.0
    chosen = mg.custom(lambda xs, k: mg.take(xs, k) * 1, lambda z, xs, k: ([1.0, 2.0], None))
    assert [d.data for d in mg.grad(lambda xs: chosen(xs, 1))([3.0, 4.0])] == [1.0, 2.0]
    assert mg.compile(chosen).grad([3.0, 4.0], np.int64(1)).tolist() == [1.0, 2.0]
    for number in (np.float32(2.0), np.int64(2), np.array(2.0)):
        assert mg.custom(lambda x, n=number: n, lambda z, x: 1.0)(Value(1.0)).data == 2.0


# ---- how it lives ----


def test_graphs_go_at_once():
    op = mg.custom(lambda x: x * x, lambda z, x: 2 * x)
    x = Value(3.0)
    gc.collect()
    before = live_nodes()
    gc.disable()
    try:
        for _ in range(100):
            y = op(op(x) + op(x))
            y.backward()
            mg.gradients(y, x)
            del y
        assert live_nodes() == before
        f = mg.compile(lambda x: op(x) * x)
        f(x)
        assert live_nodes() == before
    finally:
        gc.enable()


def test_a_rule_that_knows_the_graph_is_collected():
    class Mark:
        pass

    mark = Mark()
    x = Value(3.0)

    def build(kept):
        op = mg.custom(lambda x: x * x, lambda z, x: 2 * x + 0 * len(kept))
        kept.append(op(x) + 1)

    build([mark])
    gone = weakref.ref(mark)
    del mark
    gc.collect()
    assert gone() is None


def test_a_step_that_is_held_keeps_its_result():
    """Of results of compiled functions and of custom ops: their steps know nodes by number."""
    for f in (mg.compile(lambda x: x * x), mg.custom(lambda x: x * x, lambda z, x: 2 * x)):
        x = Value(2.0)
        y = f(x)
        y.grad = 1.0
        step = y._backward
        del y
        others = [Value(5.0) for _ in range(100)]
        for v in others:
            v.grad = 7.0
        step()
        assert x.grad == 4.0
        y = f(x)
        old = y._backward
        y._backward = lambda old=old: old()  # as a program that looks on would
        x.grad = 0.0
        (y * 3).backward()
        assert x.grad == 12.0


def test_a_step_that_is_put_back_is_the_step():
    """`y._backward = y._backward` changes nothing: what it is differentiated by neither."""
    op = mg.custom(lambda x: x * x, lambda z, x: 2 * x)
    x = Value(3.0)
    y = op(x)
    y._backward = y._backward
    assert mg.gradients(y * 2, x).data == 12.0
    call = mg.compile(lambda x: x * x)(x)
    call._backward = call._backward
    (y + call * 10).backward()
    assert x.grad == 66.0
    v = Value(5.0)
    other = op(v)
    other._backward = y._backward  # another one's: a step in Python
    with pytest.raises(TypeError, match="_backward in Python"):
        mg.gradients(other, [v])
    other.backward()
    assert (x.grad, v.grad) == (72.0, 0.0)


def test_under_no_grad_and_where_nothing_is_asked():
    calls = []
    op = mg.custom(lambda x: x * x, lambda z, x: calls.append(1) or 2 * x)
    x = Value(3.0)
    with no_grad():
        y = op(x)
        assert y.data == 9.0 and not y._prev
        assert mg.grad(op)(3.0).data == 6.0
    calls.clear()
    y = op(x) + op(4.0)
    other = Value(1.0)
    assert mg.gradients(y, other).data == 0.0 and not calls
    assert y.detach().data == 25.0


def test_an_error_in_a_rule_leaves_the_graph():
    def rule(z, x):
        raise ZeroDivisionError("no slope here")

    op = mg.custom(lambda x: x * x, rule)
    x = Value(3.0)
    y = op(x)
    for call in (y.backward, lambda: mg.gradients(y, x), lambda: mg.compile(op)(x)):
        with pytest.raises(ZeroDivisionError, match="no slope here"):
            call()
    assert (x.grad, y.data) == (0.0, 9.0)
    assert mg.gradients(x * 2, x).data == 2.0
    assert mg.compile(lambda x: x * 2)(x).data == 6.0


scale = 2.0


def scaled(x):
    return x * scale


def scaled_rule(z, x):
    return scale


def test_what_a_rule_reads_is_watched(monkeypatch):
    op = mg.custom(lambda x: x * 2.0, scaled_rule)
    f = mg.compile(lambda x: op(x) * 1.0)
    assert f.grad(3.0) == 2.0
    monkeypatch.setitem(globals(), "scale", 5.0)
    assert f.grad(3.0) == 5.0


def test_ops_copy_pickle_and_have_names():
    op = mg.custom(scaled, scaled_rule)
    assert op.__name__ == "scaled"
    for other in (copy.copy(op), copy.deepcopy(op), pickle.loads(pickle.dumps(op))):
        assert mg.grad(other)(3.0).data == 2.0
    assert "scaled" in viz.draw_dot(op(Value(1.0))).source
    with pytest.raises(TypeError, match="'scaled'"):
        copy.copy(op(Value(1.0)))


def test_a_compiled_function_as_formula_and_rule():
    op = mg.custom(mg.compile(lambda x: x.sin()), mg.compile(lambda z, x: x.cos()))
    assert derivatives(op, 0.4, 2) == pytest.approx(-math.sin(0.4), rel=1e-14)
    assert mg.compile(op).hessian(0.4) == pytest.approx(-math.sin(0.4), rel=1e-14)


SQUARE = mg.custom(lambda x: x * x, lambda z, x: 2 * x)
PRODUCT = mg.custom(lambda x, y: x * y, lambda z, x, y: (y, x))


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(
            st.sampled_from(["square", "product", "add"]), st.integers(0, 9), st.integers(0, 9)
        ),
        min_size=1,
        max_size=7,
    ),
    st.lists(st.floats(-1.5, 1.5), min_size=3, max_size=3),
)
def test_random_graphs_with_custom_ops(steps, numbers):
    """The same as with the ops that they are."""

    def build(square, product):
        def f(xs):
            nodes = list(xs)
            for op, i, j in steps:
                a, b = nodes[i % len(nodes)], nodes[j % len(nodes)]
                made = square(a) if op == "square" else product(a, b) if op == "product" else a + b
                nodes.append(made * 0.5)
            return nodes[-1] + nodes[len(nodes) // 2]

        return f

    mine, plain = build(SQUARE, PRODUCT), build(lambda x: x * x, lambda x, y: x * y)
    xs = [Value(n) for n in numbers]
    mine(xs).backward()
    want = [d.data for d in mg.grad(plain)(numbers)]
    np.testing.assert_allclose([x.grad for x in xs], want, rtol=1e-12, atol=1e-12)
    array = np.array(numbers)
    f, g = mg.compile(mine), mg.compile(plain)
    np.testing.assert_allclose(f.grad(array), want, rtol=1e-12, atol=1e-12)
    np.testing.assert_allclose(f.hessian(array), g.hessian(array), rtol=1e-11, atol=1e-11)
    batched = mg.compile(mine, batch=True)
    rows = np.stack([array, array * 0.5])
    _, slopes = batched.value_and_grad(rows)
    np.testing.assert_allclose(slopes, [g.grad(r) for r in rows], rtol=1e-12, atol=1e-12)


# ---- bad input ----

BAD = {
    "f is no function": (
        lambda: mg.custom(3, SQUARE),
        TypeError,
        "f must be a function, not 'int'",
    ),
    "rule is no function": (lambda: mg.custom(scaled, 2.0), TypeError, "rule must be a function"),
    "a batched function": (
        lambda: mg.custom(mg.compile(scaled, batch=True), scaled_rule),
        TypeError,
        "batched",
    ),
    "several results": (
        lambda: mg.custom(lambda x: [x, x], scaled_rule)(Value(1.0)),
        TypeError,
        "returned 'list': an op has one result",
    ),
    "no result": (
        lambda: mg.custom(lambda x: None, scaled_rule)(Value(1.0)),
        TypeError,
        "returned 'NoneType'",
    ),
    "one partial for two": (
        lambda: mg.custom(lambda x, y: x, lambda z, x, y: 1.0)(Value(1.0), Value(1.0)),
        TypeError,
        "for each of 2 arguments, in a tuple, not 'float'",
    ),
    "three partials for two": (
        lambda: mg.custom(lambda x, y: x, lambda z, x, y: (1.0, 2.0, 3.0))(Value(1.0), Value(1.0)),
        ValueError,
        "for each of 2 arguments, not 3",
    ),
    "a partial that is a text": (
        lambda: mg.custom(lambda x: x, lambda z, x: "1")(Value(1.0)),
        TypeError,
        "must be a number or a Value, not 'str'",
    ),
    "a partial that is missing": (
        lambda: mg.custom(lambda x: x, lambda z, x: None)(Value(1.0)),
        TypeError,
        "must be a number or a Value, not 'NoneType'",
    ),
    "a list as long as another": (
        lambda: mg.custom(lambda xs: xs[0], lambda z, xs: [1.0])([Value(1.0), Value(2.0)]),
        ValueError,
        "2 items",
    ),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input(case, live_nodes_unchanged):
    call, error, words = BAD[case]
    x = Value(1.0)

    def all_of_it():
        y = call() * x
        y.backward()

    with pytest.raises(error, match=words):
        all_of_it()
    assert x.grad in (0.0, 1.0)
