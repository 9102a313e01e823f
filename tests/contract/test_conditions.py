"""Conditions: comparisons inside compiled functions, mg.where, and what is made of them."""

import math
import operator
from functools import partial, reduce
from itertools import product

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import micrograd_fast as mg
from micrograd_fast.engine import Value, no_grad

SPECIAL = [-math.inf, -2.5, -1.0, -0.0, 0.0, 5e-324, 0.5, 1.0, 2.5, math.inf, math.nan]
COMPARISONS = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "equal": mg.equal,
}


def data(v):
    return v.data if isinstance(v, Value) else v


# ---- comparisons ----


@pytest.mark.parametrize("name", COMPARISONS)
def test_comparisons_of_all_special_numbers(name):
    holds = COMPARISONS[name]
    pairs = np.array(list(product(SPECIAL, SPECIAL)))
    plain = operator.eq if name == "equal" else holds
    want = [float(plain(a, b)) for a, b in pairs.tolist()]
    f = mg.compile(lambda a, b: mg.where(holds(a, b), 1.0, 0.0), batch=True)
    assert f.values(*pairs.T).tolist() == want
    assert [float(holds(Value(a), Value(b))) for a, b in pairs.tolist()] == want
    one = mg.compile(lambda a, b: mg.where(holds(a, b), 1.0, 0.0))
    assert [one.values(a, b) for a, b in pairs.tolist()] == want
    for x in SPECIAL:  # beside a number, on either side
        left = mg.compile(lambda a, x=x: mg.where(holds(x, a), 1.0, 0.0), batch=True)
        right = mg.compile(lambda a, x=x: mg.where(holds(a, x), 1.0, 0.0), batch=True)
        many = np.array(SPECIAL)
        assert left.values(many).tolist() == [float(plain(x, a)) for a in SPECIAL]
        assert right.values(many).tolist() == [float(plain(a, x)) for a in SPECIAL]


def test_connectives():
    tables = {
        "and": lambda p, q: p & q,
        "or": lambda p, q: p | q,
        "xor": lambda p, q: p ^ q,
        "not": lambda p, q: ~p,
        "and true": lambda p, q: p & True,
        "false or": lambda p, q: False | p,
        "np.bool": lambda p, q: p ^ np.True_,
    }
    rows = np.array(list(product([-1.0, 1.0], [-1.0, 1.0])))
    for name, join in tables.items():
        f = mg.compile(lambda x, j=join: mg.where(j(x[0] > 0, x[1] > 0), 1.0, 0.0), batch=True)
        bools = [(np.bool_(a > 0), np.bool_(b > 0)) for a, b in rows]
        assert f.values(rows).tolist() == [float(join(p, q)) for p, q in bools], name


def test_conditions_are_numbers_in_arithmetic():
    f = mg.compile(lambda x: (x > 0) * x + (1 - (x > 1)) + -(x < 0) + (x <= 0) / 2)
    for x in (-1.0, 0.0, 0.5, 2.0):
        assert f.values(x) == (x > 0) * x + (1 - (x > 1)) - (x < 0) + (x <= 0) / 2
    assert f.grad(2.0) == 1.0
    g = mg.compile(lambda x: x * (x > 0) + 2.0 * (x > 1) + (0.5 + (x > 2)) + 1 / (x < 9))
    assert [g.values(x) for x in (-1.0, 0.5, 1.5, 3.0)] == [1.5, 2.0, 5.0, 7.5]
    kept = []
    mg.compile(lambda x: kept.extend([x > 0, x < 1]) or x)(1.0)
    assert len(set(kept)) == 2 and repr(kept[0]) == "Condition(traced)" and kept[0] == kept[0]
    count = mg.compile(lambda x: sum((v > 0) + 0.0 for v in x))
    assert count.values(np.array([1.0, -1.0, 3.0])) == 2.0


@pytest.mark.parametrize(
    "decide",
    [
        lambda x: x if x > 0 else -x,
        lambda x: x if 0 < x < 1 else -x,
        lambda x: x > 0 and x < 1,
        lambda x: not x > 0,
        lambda x: max(x, 2 * x),
        lambda x: sorted([x, 2 * x])[0],
        lambda x: next(v for v in [x] if v >= 0),
        lambda x: mg.where((x > 0) == True, x, 0.0),  # noqa: E712
        lambda x: any([x > 1, x < 0]),
    ],
)
def test_what_decides_in_python_says_where(decide):
    with pytest.raises(mg.TraceError, match=r"mg\.where\(condition, a, b\)") as caught:
        mg.compile(decide)(1.0)
    assert "test_conditions.py" in str(caught.value)


def test_outside_of_traces_comparisons_are_bools():
    x, y = Value(1.0), Value(2.0)
    assert (x < y) is True and (x > y) is False and (x >= 1) is True and (x <= 0) is False
    assert mg.equal(x, 1.0) is True and mg.equal(x, y) is False and mg.equal(2, y) is True
    f = mg.compile(lambda a: mg.where(a > x, a, x))
    assert f.values(0.0) == 1.0
    x.data = -5.0  # what is captured is compared at every call
    assert f.values(0.0) == 0.0


# ---- where ----

# An arm that is wrong at 0, the other one, and what is expected there.
POISONED = {
    "log": (lambda x: mg.where(x > 0, x.log(), 0.0), 0.0, [0.0, 0.0, 0.0]),
    "sqrt": (lambda x: mg.where(x > 0, x.sqrt(), 0.0), 0.0, [0.0, 0.0, 0.0]),
    "sqrt, other arm": (lambda x: mg.where(x > 0, x.sqrt(), 3 * x * x), 0.0, [0.0, 0.0, 6.0]),
    "1/x": (lambda x: mg.where(x > 0, 1 / x, x), 0.0, [0.0, 1.0, 0.0]),
    "y/x": (lambda x: mg.where(x > 0, (x + 2) * (3 / x), x * x), 0.0, [0.0, 0.0, 2.0]),
    "power": (lambda x: mg.where(x > 0, x**-0.5, x**3), 0.0, [0.0, 0.0, 0.0]),
    "log of a negative": (lambda x: mg.where(x > 0, x.log(), x.sin()), -1.0, None),
    "overflow": (lambda x: mg.where(x < 700, (x * x).exp(), x * x), 800.0, [640000.0, 1600.0, 2.0]),
    "inside": (
        lambda x: mg.where(x > 0, mg.where(x > -1, x.log(), 1 / x), x),
        0.0,
        [0.0, 1.0, 0.0],
    ),
    "after": (lambda x: (mg.where(x > 0, x.sqrt(), x) * 2).exp() * x, 0.0, [0.0, 1.0, 4.0]),
    "before": (lambda x: mg.where(x > 0, (x * x).sqrt() + (x * 3).log(), x), 0.0, [0.0, 1.0, 0.0]),
    "both arms": (lambda x: mg.where(x > 0, x.log(), x * (x - 1).log()), 2.0, None),
    "relu": (lambda x: mg.where(x > 0, (1 / x).relu(), 2 * x), 0.0, [0.0, 2.0, 0.0]),
    "many": (
        lambda x: sum(mg.where(x > k, (x - k).sqrt(), x * x) for k in range(3)),
        0.0,
        [0, 0, 6],
    ),
}


def derivatives(f, x, order):
    return reduce(lambda g, _: mg.grad(g), range(order), f)(x)


@pytest.mark.parametrize("name", POISONED)
def test_the_arm_that_is_not_taken_does_not_count(name):
    f, x, want = POISONED[name]
    if want is None:  # the taken arm's, by numbers alone
        taken = {"log of a negative": Value.sin, "both arms": Value.log}[name]
        want = [data(derivatives(taken, Value(x), order)) for order in range(3)]
    c, batched = mg.compile(f), mg.compile(f, batch=True)
    assert c.values(x) == pytest.approx(want[0], rel=1e-14)
    assert c.value_and_grad(x) == pytest.approx(tuple(want[:2]), rel=1e-14)
    for found in (
        c.jacobian(x),
        c.jacobian(x, mode="reverse"),
        c.jacobian(x, mode="forward"),
        c.jvp(x, 1.0),
        c.vjp(x, 1.0),
    ):
        assert found == pytest.approx(want[1], rel=1e-14)
    second = mg.compile(mg.grad(f))
    for found in (c.hessian(x), c.hvp(x, 1.0), second.grad(x), second.jacobian(x)):
        assert found == pytest.approx(want[2], rel=1e-14)
    for order in range(4):
        made = mg.compile(partial(derivatives, f, order=order))
        assert not math.isnan(made.values(x)), order
        if order < 3:
            assert made.values(x) == pytest.approx(want[order], rel=1e-14)
            many = mg.compile(partial(derivatives, f, order=order), batch=True)
            assert many.values(np.full(9, x)) == pytest.approx(want[order], rel=1e-14)
    _, slopes = batched.value_and_grad(np.full(9, x))
    assert slopes == pytest.approx(want[1], rel=1e-14)
    p = Value(x)
    by_param = mg.compile(lambda: f(p))
    by_param().backward()
    assert p.grad == pytest.approx(want[1], rel=1e-14)
    assert by_param.hessian(params=[p])[0, 0] == pytest.approx(want[2], rel=1e-14)


@pytest.mark.parametrize("name", ["sqrt", "1/x", "relu"])
def test_eager_code_takes_one_arm(name):
    x = Value(4.0)
    f, _, _ = POISONED[name]
    taken = {"sqrt": Value.sqrt, "1/x": lambda x: 1 / x, "relu": lambda x: (1 / x).relu()}[name]
    for order in range(3):
        assert data(derivatives(f, x, order)) == data(derivatives(taken, x, order))
    with no_grad():
        assert not mg.where(x > 0, x * 2, x)._prev


def test_eager_sqrt_at_0_has_gradient_0():
    x = Value(0.0)
    y = mg.where(x > 0, x.sqrt(), 0.0) + x * 3
    y.backward()
    assert x.grad == 3.0


# ---- random programs: compiled code computes both arms, eager code has one ----

UNARY = ["tanh", "sin", "relu", "square", "sqrt", "log", "reciprocal", "exp"]


@st.composite
def programs(draw):
    steps = []
    for n in range(draw(st.integers(1, 10))):
        op = draw(st.sampled_from([*UNARY, "add", "mul", "where", "where", "where"]))
        steps.append((op, [draw(st.integers(0, n + 1)) for _ in range(4)]))
    return steps


def inverse(condition):
    return not condition if isinstance(condition, bool) else ~condition


def run(steps, leaves):
    """Of arms that raise eagerly nothing is asked: domains are kept by conditions."""
    values = list(leaves)
    for op, operands in steps:
        a, b, c, d = [values[k] for k in operands]
        if op == "add":
            values.append(a + b * 0.5)
        elif op == "mul":
            values.append(a * b)
        elif op == "where":
            values.append(mg.where((a < b) | (c >= 0.25) & inverse(d > a), c * 1.5, d - a))
        elif op == "square":
            values.append(a**2)
        elif op in ("sqrt", "log", "reciprocal"):
            safe = mg.where(a > 0.1, a, 1.0 - a * 0.1)
            safe = mg.where(safe > 0.05, safe, 2.0)
            made = {"sqrt": Value.sqrt, "log": Value.log, "reciprocal": lambda v: 1 / v}[op](safe)
            values.append(mg.where(a > 0.1, made, a * 0.3))
        elif op == "exp":
            values.append(mg.clip(a, -2.0, 2.0).exp())
        else:
            values.append(getattr(a, op)())
    return sum(values[2:])


@settings(max_examples=80)
@given(programs(), st.lists(st.floats(-2, 2).map(lambda x: round(x, 2)), min_size=2, max_size=2))
def test_random_programs_with_conditions(steps, numbers):
    leaves = [Value(x) for x in numbers]
    slopes = mg.gradients(run(steps, leaves), leaves)
    second = np.array([[h.data for h in mg.gradients(s, leaves)] for s in slopes])
    run(steps, leaves).backward()
    first = np.array([v.grad for v in leaves])
    f, x = mg.compile(partial(run, steps)), np.array(numbers)
    size = max(1.0, np.abs(first).max(), np.abs(second).max())
    if size > 1e6:
        return
    close = partial(np.testing.assert_allclose, rtol=1e-10, atol=1e-10 * size)
    close(f.values(x), run(steps, leaves).data)
    close([s.data for s in slopes], first)
    close(f.grad(x), first)
    for mode in ("forward", "reverse"):
        close(f.jacobian(x, mode=mode), first)
    close(f.hessian(x), second)
    close(f.hvp(x, np.array([1.0, -2.0])), second @ [1.0, -2.0])
    close(mg.compile(mg.grad(partial(run, steps)))(x)[0].data, first[0])
    batched = mg.compile(partial(run, steps), batch=True)
    rows = np.stack([x, x * 0.5, x])
    close(batched.value_and_grad(rows)[1][2], first)
    close(batched.hessian(rows)[0], second)


@pytest.mark.filterwarnings("ignore:Bitwise inversion:DeprecationWarning")
def test_bools_that_were_inverted_are_what_was_meant():
    for p, q in product([False, True], repeat=2):
        x, y = Value(float(p)), Value(float(q))
        for join in (
            lambda a, b: ~(a > 0) & (b > 0),
            lambda a, b: ~(a > 0) | (b > 0),
            lambda a, b: ~(~(a > 0) ^ (b > 0)),
            lambda a, b: ~(a > 0),
        ):
            compiled = mg.compile(lambda a, b, j=join: mg.where(j(a, b), 1.0, 0.0))
            assert mg.where(join(x, y), 1.0, 0.0).data == compiled.values(x.data, y.data)


# ---- conditions that are data, structures ----


@pytest.mark.parametrize("compiled", [False, True])
def test_conditions_that_are_data(compiled):
    def numbers(f, *args):
        out = mg.compile(f)(*args) if compiled else f(*args)
        return [data(v) for v in out] if isinstance(out, list) else data(out)

    x = [1.0, 2.0, 3.0]
    for mask in (
        [True, False, True],
        np.array([True, False, True]),
        [1.0, 0.0, math.nan],
        [1, 0, 2],
    ):
        assert numbers(lambda x, m: mg.where(m, x, 0.0), x, mask) == [1.0, 0.0, 3.0]
    assert numbers(lambda x: mg.where(np.array([[True, False]]), [[x, x]], 5.0)[0], 1.0) == [
        1.0,
        5.0,
    ]
    assert numbers(lambda x: mg.where(x, 10.0, 20.0), 0.0) == 20.0
    assert numbers(lambda x, k: mg.where(k, x, -x), 3.0, 0) == -3.0
    assert numbers(lambda x: mg.where(np.True_, x, -x), 3.0) == 3.0
    flags = mg.compile(lambda x, m: mg.where(m, x, -x), batch=True)
    assert flags.values(np.array([1.0, 2.0]), np.array([True, False])).tolist() == [1.0, -2.0]


def test_arrays_as_conditions_are_numpys():
    """-2 is no inverted bool there."""
    for mask in ([1, -2, 0, -1], [1.0, -2.0, 0.0, math.nan], [True, False, True, False]):
        array = np.array(mask)
        assert [v.data for v in mg.where(array, 1.0, 0.0)] == np.where(array, 1.0, 0.0).tolist()
        f = mg.compile(lambda x, array=array: mg.where(array, x, 0.0))
        assert f.values(1.0).tolist() == np.where(array, 1.0, 0.0).tolist()
        grid = array.reshape(2, 2)
        found = [[v.data for v in row] for row in mg.where(grid, 1.0, 0.0)]
        assert found == np.where(grid, 1.0, 0.0).tolist()


def test_structures():
    def f(c, a, b):
        return mg.where(c > 0, {"w": [a, (b, a)], "b": 1.0}, {"w": [b, (a, b)], "b": a})

    for out in (f(Value(1.0), 2.0, 3.0), mg.compile(f)(1.0, 2.0, 3.0)):
        assert type(out["w"][1]) is tuple
        assert [data(out["w"][0]), *map(data, out["w"][1]), data(out["b"])] == [2.0, 3.0, 2.0, 1.0]
    out = mg.compile(f)(-1.0, 2.0, 3.0)
    assert [data(out["w"][0]), *map(data, out["w"][1]), data(out["b"])] == [3.0, 2.0, 3.0, 2.0]
    assert [data(v) for v in mg.where(False, 1.0, [2.0, 3.0])] == [2.0, 3.0]
    assert [data(v) for v in mg.where(True, np.array([2.0, 3.0]), 0.0)] == [2.0, 3.0]


def test_where_inside_a_compiled_function_that_another_calls():
    inner = mg.compile(lambda x: mg.where(x > 0, x, 0.1 * x))
    outer = mg.compile(lambda x: inner(x) + inner(-x), batch=True)
    np.testing.assert_allclose(outer.values(np.array([-2.0, 3.0])), [1.8, 2.7])


# ---- sign, floor, ceil, round, clip ----


def test_steps_and_their_derivatives():
    many = np.array(
        [-math.inf, -2.5, -1.5, -0.5, -0.0, 0.0, 0.5, 1.5, 2.5, 7.0, math.inf, math.nan]
    )
    for mine, numpy in [
        (mg.sign, np.sign),
        (mg.floor, np.floor),
        (mg.ceil, np.ceil),
        (mg.round, np.rint),
    ]:
        f = mg.compile(mine, batch=True)
        np.testing.assert_array_equal(f.values(many), numpy(many))
        np.testing.assert_array_equal([data(mine(x)) for x in many.tolist()], numpy(many))
        np.testing.assert_array_equal(f.value_and_grad(many)[1], 0.0)
        assert [data(mg.grad(mine)(x)) for x in many.tolist()] == [0.0] * len(many)
        x = Value(1.25)
        (mine(x) * x).backward()
        assert x.grad == numpy(1.25)
    values = np.array([Value(1.5), Value(-0.5)], object)
    for numpy in (np.floor, np.ceil, np.rint):
        assert [v.data for v in numpy(values)] == numpy([1.5, -0.5]).tolist()
    assert (math.floor(x).data, math.ceil(x).data, round(x).data) == (1.0, 2.0, 1.0)


def test_clip_is_clamp():
    """PyTorch 2.13's: torch.clamp(x, -1, 2) and its gradient."""
    many = np.array([-3.0, -1.0, -0.5, 0.0, 2.0, 2.5, math.inf, -math.inf, math.nan])
    f = mg.compile(lambda x: mg.clip(x, -1.0, 2.0), batch=True)
    values, slopes = f.value_and_grad(many)
    np.testing.assert_array_equal(values, np.clip(many, -1.0, 2.0))
    np.testing.assert_array_equal(slopes[:-1], [0, 1, 1, 1, 1, 0, 0, 0])
    for x, slope in zip(many[:-1].tolist(), slopes, strict=False):
        v = Value(x)
        mg.clip(v, -1, 2).backward()
        assert v.grad == slope
    low = Value(1.0)
    mg.clip(0.5, low, 3.0).backward()
    assert low.grad == 1.0
    assert mg.compile(lambda a, b: mg.clip(5.0, a, b)).grad(0.0, 2.0, argnums=(0, 1)) == (0.0, 1.0)


# ---- bad input ----


@pytest.mark.parametrize(
    ("call", "error", "words"),
    [
        (lambda: mg.where("yes", 1.0, 2.0), TypeError, "condition must be a bool, .* not 'str'"),
        (
            lambda: mg.where(None, 1.0, 2.0),
            TypeError,
            "condition must be a bool, .* not 'NoneType'",
        ),
        (lambda: mg.where(True, "a", 2.0), TypeError, "a must be a Value or a number, not 'str'"),
        (lambda: mg.where(True, 1.0, None), TypeError, "b must be a Value or a number, not 'None"),
        (
            lambda: mg.where(True, [1.0, 2.0], [1.0]),
            ValueError,
            "b has 1 item, a list beside it 2",
        ),
        (
            lambda: mg.where([True], [1.0, 2.0], 0.0),
            ValueError,
            "a has 2 items, a list beside it 1",
        ),
        (lambda: mg.where(True, {"x": 1.0}, {"y": 1.0}), ValueError, "b has keys"),
        (
            lambda: mg.where(True, {"x": 1.0}, [1.0]),
            TypeError,
            "b is a list beside a dict|dict beside",
        ),
        (lambda: mg.where([True], {"x": 1.0}, 1.0), TypeError, "a is a dict beside a list of 1"),
        (lambda: mg.equal("a", 1.0), TypeError, "a must be a Value or a number"),
        (lambda: mg.clip(1.0, None, 2.0), TypeError, "low must be a Value or a number"),
        (lambda: mg.sign("a"), TypeError, "x must be a Value or a number"),
        (lambda: mg.compile(lambda x: (x > 0) & 2)(1.0), TypeError, "unsupported operand"),
        (lambda: mg.compile(lambda x: x > "a")(1.0), TypeError, "not supported between"),
        (lambda: mg.compile(lambda x: x > 0)(1.0), TypeError, "returned 'Condition'"),
    ],
)
def test_bad_input(call, error, words):
    with pytest.raises(error, match=words):
        call()


def test_a_list_that_holds_itself():
    endless = [True]
    endless.append(endless)
    with pytest.raises(ValueError, match="does one hold itself"):
        mg.where(endless, 1.0, 2.0)


# ---- choices in lanes ----


@pytest.mark.parametrize("n_choices", [1, 2, 3, 4, 5, 7])
def test_takes_of_few_and_of_many(variant, n_choices):
    """Few are blended, many are fetched: values, gradients and bad indices are the same."""
    w = Value(3.0)

    def f(x, k):
        values = [x[0], w, x[1] * w, 2.5, x[0].log(), x[2], w * w][:n_choices]
        return mg.take(values, k) * x[2]

    compiled = mg.compile(f, batch=True)
    rng = np.random.default_rng(1)
    for n in (1, 7, 8, 9, 70):
        x, k = rng.uniform(0.5, 2, (n, 3)), rng.integers(0, n_choices, n)
        x[k != 4, 0] *= -1.0  # what is not chosen may be nan
        chosen = np.stack([x[:, 0], np.full(n, 3.0), x[:, 1] * 3, np.full(n, 2.5)], axis=1)
        with np.errstate(invalid="ignore"):
            chosen = np.column_stack([chosen, np.log(x[:, 0]), x[:, 2], np.full(n, 9.0)])
        want = chosen[np.arange(n), k] * x[:, 2]
        np.testing.assert_allclose(compiled.values(x, k), want, rtol=1e-13)
        _, (slopes, _) = compiled.value_and_grad(x, k)
        by_first = np.where(k == 0, x[:, 2], 0) + np.where(k == 4, x[:, 2] / x[:, 0], 0)
        np.testing.assert_allclose(slopes[:, 0], by_first, rtol=1e-13)
        np.testing.assert_allclose(slopes[:, 1], np.where(k == 2, 3 * x[:, 2], 0), rtol=1e-13)
        _, (by_w,) = compiled.value_and_grad(x, k, params=[w])
        share = np.where(k == 1, 1, 0) + np.where(k == 2, x[:, 1], 0) + np.where(k == 6, 6, 0)
        np.testing.assert_allclose(by_w, np.mean(share * x[:, 2]), rtol=1e-13, atol=1e-15)
        for bad in (-1, n_choices):
            k[n // 2] = bad
            with pytest.raises(IndexError, match=f"index {bad} of sample {n // 2} is out of range"):
                compiled.values(x, k)
