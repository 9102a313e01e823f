"""Derivatives as graphs: right to the third order, and what stands around them is left alone."""

import math
from functools import partial

import mpmath
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from references import REFERENCES, apply, second_operand

import micrograd_fast as mg
from micrograd_fast import _core, rules
from micrograd_fast._core import OPS
from micrograd_fast.engine import Value

EVERY_OP = pytest.mark.parametrize("op", OPS, ids=lambda op: op.name)


def numbers_for(op, n, seed):
    """Operands of n calls, from the row's domain; a row's number is one of some that matter."""
    rng = np.random.default_rng(seed)
    columns = [rng.uniform(op.lo, op.hi, n)]
    if op.kind == "binary":
        columns.append([second_operand(op, rng) for _ in range(n)])
    if op.kind == "param":
        columns.append(rng.choice([2.0, 3.0, -1.0, 0.5, 1.0, 0.0, -2.5], n))
    return np.stack(columns, axis=1).tolist()


def nodes_under(v, seen=None):
    seen = {} if seen is None else seen
    if v not in seen:
        seen[v] = v.grad
        for child in v._prev:
            nodes_under(child, seen)
    return seen


# ---- every op ----


@EVERY_OP
@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
def test_derivatives_up_to_the_third_against_mpmath(op, compiled):
    """In the direction (1, 0.7) of both operands, so that mixed ones are in it."""
    mpmath.mp.dps = 40
    exact = REFERENCES[op.name].exact
    way = (1.0, 0.7) if op.kind == "binary" and not REFERENCES[op.name].orders else (1.0,)

    def along(t, *at):
        operands = [a + t * d for a, d in zip(at, way, strict=False)]
        return apply(op.name, *operands, *at[len(way) :])

    derivatives = [along]
    for _ in range(3):
        derivatives.append(mg.grad(derivatives[-1]))
    for numbers in numbers_for(op, 4, 5):
        fixed = [mpmath.mpf(n) for n in numbers]
        true = mpmath.taylor(
            lambda t, at=fixed: exact(
                *[a + t * d for a, d in zip(at, way, strict=False)], *at[len(way) :]
            ),
            0,
            3,
        )
        for order in (1, 2, 3):
            f = derivatives[order]
            if compiled:
                bound = mg.compile(lambda t, f=f, at=numbers: f(t, *at))
                found = bound(0.0).data
            else:
                found = f(0.0, *numbers).data
            want = float(true[order] * math.factorial(order))
            assert found == pytest.approx(want, rel=1e-10, abs=1e-9), (order, numbers)


@EVERY_OP
def test_a_rule_says_what_the_partial_says(op):
    """Over special numbers too: what the engine's own backward() adds."""
    special = [0.0, 1.0, -1.0, 2.5, -2.5, 1e-3, 30.0, -30.0]
    pairs = [(x, y) for x in special for y in special] if op.arity == 2 else None
    if op.kind == "param":
        pairs = [(x, y) for x in special for y in (2.0, 3.0, -1.0, 0.5, 1.0, 0.0, -2.5, 4.0)]
    for numbers in pairs or [(x,) for x in special]:
        operands = [Value(x) for x in numbers[: op.arity]]
        try:
            z = apply(op.name, *operands, *numbers[op.arity :])
        except (ArithmeticError, ValueError):
            continue
        try:
            z.backward()
        except (ArithmeticError, ValueError) as error:
            with pytest.raises(type(error), match="in the derivative of"):
                mg.gradients(z, operands)
            continue
        found = [v.data for v in mg.gradients(z, operands)]
        near = REFERENCES[op.name].rule_digits
        assert found == pytest.approx([v.grad for v in operands], rel=near, abs=0, nan_ok=True)


@pytest.mark.parametrize("x", [18.0, -18.0, 25.0, -25.0, 300.0, -300.0])
def test_tails_keep_their_digits(x):
    mpmath.mp.dps = 600
    a = mpmath.mpf(x)
    (tanh,) = mg.gradients((v := Value(x)).tanh(), [v])
    (sigmoid,) = mg.gradients((v := Value(x)).sigmoid(), [v])
    assert tanh.data == pytest.approx(float(mpmath.sech(a) ** 2), rel=1e-14)
    e = mpmath.exp(-abs(a))
    assert sigmoid.data == pytest.approx(float(e / (1 + e) ** 2), rel=1e-14)


def test_kinks_follow_the_table():
    x = Value(0.0)
    for y in (x.relu(), abs(x), x.compare(0)):
        (d,) = mg.gradients(y, [x])
        assert (d.data, mg.gradients(d, [x])[0].data) == (0.0, 0.0)
    a, b = Value(1.0), Value(1.0)
    assert [d.data for d in mg.gradients(a.maximum(b), [a, b])] == [0.5, 0.5]


@pytest.mark.parametrize("extreme", [mg.maximum, mg.minimum])
@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
@given(st.lists(st.sampled_from([-1.0, 0.0, 0.5, 2.0]), min_size=1, max_size=6))
def test_ties_of_many_share_evenly(extreme, compiled, numbers):
    values = [Value(x) for x in numbers]
    extreme(*values).backward()
    f = mg.grad(lambda vs: extreme(*vs) ** 2)
    found = mg.compile(f)(values) if compiled else f(values)
    z = max(numbers) if extreme is mg.maximum else min(numbers)
    assert [d.data for d in found] == pytest.approx([2 * z * v.grad for v in values])
    y, tangent = mg.jvp(lambda vs: extreme(*vs), (values,), ([3.0] * len(values),))
    assert (y.data, tangent.data) == (z, pytest.approx(3.0))


def test_what_is_taken_has_its_derivative():
    f = mg.compile(mg.grad(lambda vs, k: mg.take(vs, k) ** 3))
    assert [d.data for d in f([1.0, 2.0, 3.0], np.int64(1))] == [0.0, 12.0, 0.0]
    g = mg.compile(lambda vs, k: mg.jvp(lambda *v: mg.take(v, k), vs, [1.0, 2.0, vs[0]])[1])
    assert [g([5.0, 2.0, 3.0], np.int64(k)).data for k in range(3)] == [1.0, 2.0, 5.0]


def test_the_derivative_of_a_take_is_as_long_as_the_take():
    """Not as its square: an embedding has thousands of choices."""

    def f(w, k):
        return mg.take([v * v for v in w], k)

    slopes = mg.compile(mg.grad(f))
    sizes = []
    for n in (50, 100):
        w = np.arange(1.0, n + 1)
        assert np.flatnonzero([d.data for d in slopes(w, np.int64(3))]).tolist() == [3]
        sizes.append(sum(len(i.operands) for i in slopes.program(w, np.int64(3)).instructions()))
        for mode in ("forward", "reverse"):
            h = mg.compile(f)
            assert np.flatnonzero(h.jacobian(w, np.int64(3), mode=mode)).tolist() == [3]
            (rows,) = [v for k, v in h._traces.derived.items() if k[0] == f"jacobian {mode}"]
            (trace,) = rows._traces.by_signature.values()
            sizes.append(sum(len(i.operands) for i in trace.traced.instructions()))
    assert all(large <= 2.2 * small for small, large in zip(sizes[:3], sizes[3:], strict=True))


# ---- graphs ----

UNARY = ["tanh", "sigmoid", "relu", "sin", "cos", "abs"]
BINARY = ["add", "mul", "maximum", "minimum", "compare"]


@st.composite
def graphs(draw):
    """Steps of a random program over three leaves: (op, operands)."""
    steps = []
    for n in range(draw(st.integers(1, 12))):
        op = draw(st.sampled_from([*UNARY, *BINARY, "square", "scaled"]))
        n_operands = 2 if op in BINARY else 1
        steps.append((op, [draw(st.integers(0, n + 2)) for _ in range(n_operands)]))
    return steps


def run(steps, leaves):
    values = list(leaves)
    for op, operands in steps:
        xs = [values[k] for k in operands]
        if op == "square":
            values.append(xs[0] ** 2)
        elif op == "scaled":
            values.append(-xs[0] / 3 + 0.25)
        else:
            values.append(apply(op, *xs))
    return sum(values[3:])


LEAVES = st.lists(st.floats(-2, 2).map(lambda x: round(x, 3)), min_size=3, max_size=3)


@given(graphs(), LEAVES)
def test_gradients_of_random_graphs(steps, numbers):
    """What backward() says; the directional derivatives agree; second ones are symmetric."""
    leaves = [Value(x) for x in numbers]
    y = run(steps, leaves)
    before = {v: v.grad for v in nodes_under(y)}
    slopes = mg.gradients(y, leaves)
    assert {v: v.grad for v in before} == before and set(nodes_under(y)) == set(before)
    y.backward()
    scale = max(1.0, *[abs(v.grad) for v in leaves])
    assert [d.data for d in slopes] == pytest.approx([v.grad for v in leaves], abs=1e-12 * scale)

    def f(*xs):
        return run(steps, xs)

    for k in range(3):
        way = [float(k == j) for j in range(3)]
        value, tangent = mg.jvp(f, numbers, way)
        assert value.data == y.data
        assert tangent.data == pytest.approx(slopes[k].data, abs=1e-11 * scale)
    rows = [[d.data for d in mg.gradients(s, leaves)] for s in slopes]
    size = max(1.0, *[abs(h) for row in rows for h in row])
    for j in range(3):
        # Forward over reverse, another way to the same number.
        _, column = mg.jvp(mg.grad(f, [0, 1, 2]), numbers, [float(j == k) for k in range(3)])
        for k in range(3):
            assert rows[j][k] == pytest.approx(rows[k][j], abs=1e-10 * size)
            assert column[k].data == pytest.approx(rows[k][j], abs=1e-10 * size)


@given(graphs(), LEAVES)
def test_second_derivatives_of_random_graphs_compiled(steps, numbers):
    def second(*xs):
        (row,) = [mg.gradients(run(steps, xs), xs)]
        return [mg.gradients(d, xs) for d in row]

    eager = [[h.data for h in row] for row in second(*[Value(x) for x in numbers])]
    compiled = mg.compile(second).values(*numbers)
    size = max(1.0, np.abs(eager).max())
    np.testing.assert_allclose(compiled, eager, rtol=0, atol=1e-11 * size)


@settings(max_examples=40)
@given(graphs(), LEAVES, LEAVES, st.integers(1, 3))
def test_every_method_says_the_same_of_random_programs(steps, numbers, direction, n_results):
    """The eager Jacobian and Hessian, and all that compiled functions have of them."""

    def results(xs):
        nodes = [xs[0] + xs[1] * xs[2]]
        for k in range(1, n_results):
            nodes.append(run(steps[:-k] or steps, xs) * xs[k % 3])
        return [*nodes, run(steps, xs)]

    def value(xs):
        return run(steps, xs) + xs[0] * xs[1] ** 2

    leaves, x, v = [Value(n) for n in numbers], np.array(numbers), np.array(direction)
    rows = np.array([[d.data for d in mg.gradients(y, leaves)] for y in results(leaves)])
    slopes = mg.gradients(value(leaves), leaves)
    second = np.array([[h.data for h in mg.gradients(d, leaves)] for d in slopes])
    f, g = mg.compile(results), mg.compile(value)
    w = np.linspace(-1, 1, len(rows))
    size, scale = (max(1.0, np.abs(table).max()) for table in (rows, second))
    close = partial(np.testing.assert_allclose, rtol=0, atol=1e-11 * size)
    for mode in (None, "forward", "reverse"):
        close(f.jacobian(x, mode=mode), rows)
    close(f.jvp(x, v), rows @ v)
    close(f.vjp(x, w), w @ rows)
    close = partial(np.testing.assert_allclose, rtol=0, atol=1e-11 * scale)
    close(g.hessian(x), second)
    np.testing.assert_array_equal(g.hessian(x), g.hessian(x).T)
    close(g.hvp(x, v), second @ v)
    close(g.grad(x), [d.data for d in slopes])
    many = np.stack([x, v, x])
    close(mg.compile(value, batch=True).hessian(many)[::2], [second, second])
    batched = mg.compile(results, batch=True)
    np.testing.assert_allclose(batched.jacobian(many)[2], rows, rtol=0, atol=1e-11 * size)
    products = [batched.jvp(many, many)[0], batched.jacobian(many)[0] @ x]
    np.testing.assert_allclose(*products, rtol=0, atol=1e-10 * size)


def test_a_derivative_is_simplified():
    x, y = Value(3.0), Value(4.0)
    (dx,) = mg.gradients(x * y, [x])
    assert dx is y
    (dx,) = mg.gradients(x + y, [x])
    assert dx.data == 1.0 and not dx._prev
    (dx,) = mg.gradients(x - y * 0 + 5, [y])
    assert dx.data == 0.0 and not dx._prev
    (dx,) = mg.gradients(-(x * -1), [x])
    assert dx.data == 1.0 and not dx._prev
    (dx,) = mg.gradients(x**2, [x])
    assert dx._op == "*" and {v.data for v in dx._prev} == {3.0, 2.0} and x in dx._prev
    (dx,) = mg.gradients(2.0**x, [x])  # the logarithm is a number
    assert dx._op == "*" and math.log(2) in {v.data for v in dx._prev}


def test_derivatives_are_total_and_stop_at_nothing():
    x = Value(2.0)
    a = x * 1.0
    y = a * a
    assert [d.data for d in mg.gradients(y, [x, a])] == [4.0, 4.0]
    (da,) = mg.gradients(y, [a])
    assert [d.data for d in mg.gradients(da, [x, a])] == [2.0, 2.0]
    # A factor of one that is asked for is not passed over.
    b = x * -1
    (d,) = mg.gradients((b * -1).exp(), [b])
    assert mg.gradients(d, [b])[0].data == pytest.approx(math.exp(2.0))


def test_of_itself_twice_and_of_a_leaf():
    x = Value(2.0)
    assert [d.data for d in mg.gradients(x, [x, x])] == [1.0, 1.0]
    assert mg.gradients(x * 3, {"a": [x], "b": (x,)})["b"][0].data == 3.0
    assert mg.gradients(x * 3, []) == []
    assert mg.gradients(Value(1.0), x).data == 0.0


def test_a_deep_graph():
    x = Value(1.0)
    y = x
    for _ in range(100_000):
        y = y * 1.00001
    (d,) = mg.gradients(y, [x])
    assert d.data == pytest.approx(1.00001**100_000)


def test_nothing_is_left_behind(live_nodes_unchanged):
    x = Value(0.5)
    y = (x.tanh() * x.exp()).log()
    mg.gradients(mg.gradients(y, [x])[0], [x])
    z = x.sqrt()
    x.data = 0.0
    z.data = 0.0
    with pytest.raises(ZeroDivisionError):
        mg.gradients(z * y, [x])


def test_detached_parts_do_not_count():
    x = Value(3.0)
    assert mg.gradients(x * x.detach(), [x])[0].data == 3.0
    f = mg.compile(mg.grad(lambda x: x * x.detach()))
    assert f(3.0).data == 3.0


@pytest.mark.parametrize("y", [-1.0, 0.0, 0.5, 1.0, 2.0, 3.0])
@pytest.mark.parametrize("x", [0.5, 1.0, 2.0])
def test_powers_of_two_values_at_whole_exponents(x, y):
    """The rule's exception at x = y = 0 must not be seen beside it, in derivatives of it either."""
    mpmath.mp.dps = 60
    orders = [(1, 0), (0, 1), (2, 0), (1, 1), (0, 2), (3, 0), (2, 1), (1, 2), (0, 3)]
    for n, m in orders:
        true = float(mpmath.diff(lambda a, b: a**b, (x, y), (n, m)))
        f = lambda a, b: a**b  # noqa: E731
        for argnum in [0] * n + [1] * m:
            f = mg.grad(f, argnum)
        assert f(x, y).data == pytest.approx(true, rel=1e-11, abs=1e-11), (n, m)
        g = lambda a, b: a**b  # noqa: E731
        for argnum in [1] * m + [0] * n:
            g = mg.grad(g, argnum)
        assert mg.compile(g)(x, y).data == pytest.approx(true, rel=1e-11, abs=1e-11), (n, m)


@pytest.mark.parametrize("x", [0.0, 1e-9, -1e-9, 2.0, -3.0, 40.0, -40.0])
@pytest.mark.parametrize("target", [0.3, 0.0, 1.0])
def test_a_loss_of_logits_is_smooth_at_0(x, target):
    loss = mg.functional.binary_cross_entropy_with_logits
    first = mg.grad(lambda x: loss(x, target))
    e = math.exp(-abs(x))
    slope = e / (1 + e) ** 2
    assert mg.grad(first)(x).data == pytest.approx(slope, rel=1e-12)
    third = mg.grad(mg.grad(first))(x).data
    assert third == pytest.approx(-slope * math.tanh(x / 2), rel=1e-12, abs=1e-15)


def test_what_is_nan_has_nan_for_derivatives():
    a, b = Value(math.nan), Value(1.0)
    for y in (mg.maximum(a, b, Value(0.0)), a.maximum(b), a.minimum(b), a.relu()):
        assert math.isnan(mg.gradients(y, a).data)


def test_results_of_calls_and_custom_nodes_are_starting_points():
    r = mg.compile(lambda t: t**3)(Value(2.0))
    assert mg.gradients(r * r, r).data == 16.0
    c = Value(9.0, (Value(3.0),))
    c._backward = lambda: None
    assert mg.gradients(c * c, c).data == 18.0


# ---- rules ----


@pytest.mark.parametrize(
    "text",
    ["mf_pow_dx(x, y)", "(double)(z > 0.0)", "x < y", "x % y", "+x", "w", "exp(x, y)", "'a'"],
)
def test_what_is_no_rule_is_refused(text):
    with pytest.raises(ValueError, match="a partial of new cannot be built of ops"):
        rules.steps_of(text, "new")


def test_rules_are_of_some_length():
    steps = [("x", 0, 0, 0.0)] * 49
    with pytest.raises(ValueError, match="over 48 steps"):
        _core.set_rules([[steps]])


def test_a_compiled_derivative_follows_what_its_function_reads():
    power = [2]

    def f(x):
        return x ** power[0]

    slope, curve = mg.compile(mg.grad(f)), mg.compile(mg.grad(mg.grad(f)))
    assert (slope(3.0).data, curve(3.0).data) == (6.0, 2.0)
    power[0] = 3
    assert (slope(3.0).data, curve(3.0).data) == (27.0, 18.0)
    inside = mg.compile(lambda x: mg.jvp(f, [x], [1.0])[1])
    assert inside(3.0).data == 27.0
    power[0] = 2
    assert inside(3.0).data == 6.0
