"""Functions of lists of Values: NumPy's, SciPy's and PyTorch's numbers, stable, ordinary graphs."""

import gc
import itertools
import math
import operator
import subprocess
import sys

import numpy as np
import pytest
from gradcheck import assert_gradients, backward_gradient
from inputs import identity, with_attribute, with_step
from list_functions import FUNCTIONS, N
from programs import bits, graph_of, reachable

import micrograd_fast
import micrograd_fast as mg
from micrograd_fast import _core
from micrograd_fast import functional as F
from micrograd_fast._core import live_nodes
from micrograd_fast.engine import Value, no_grad

HUGE = 1.7e308


def values(numbers):
    return [Value(x) for x in numbers]


def data(out):
    return [v.data for v in out] if isinstance(out, list) else [out.data]


def flat(out, weights=None):
    """One Value of a result: what a list of results sums up to, each with a weight of its own."""
    if not isinstance(out, list):
        return out
    return sum(v * w for v, w in zip(out, weights or range(1, len(out) + 1), strict=True))


EVERY_FUNCTION = pytest.mark.parametrize("name", FUNCTIONS)


@pytest.fixture
def points(rng):
    """Lists of N numbers, no two of which are nearly equal, nor near hinge_loss's kinks."""
    found = []
    while len(found) < 20:
        xs = [rng.gauss(0, 1.5) for _ in range(N)]
        apart = sorted([*xs, -1.0, 1.0])
        if all(b - a > 0.02 for a, b in itertools.pairwise(apart)):
            found.append(xs)
    return found


def test_every_function_is_compared_here():
    deprecated = {"binary_cross_entropy"}
    assert {name.split()[0] for name in FUNCTIONS} == set(F.__all__) - deprecated
    assert micrograd_fast.maximum is F.maximum
    assert micrograd_fast.minimum is F.minimum
    assert micrograd_fast.take is F.take


# ---- values and gradients ----


@EVERY_FUNCTION
def test_the_value_is_numpys(name, points):
    ours, numpys, _ = FUNCTIONS[name]
    for xs in points:
        expected = np.ravel(numpys(np.array(xs)))
        assert data(ours(values(xs))) == pytest.approx(expected, rel=1e-13, abs=1e-15)


@EVERY_FUNCTION
def test_the_gradient_agrees_with_numeric_differences(name, points):
    ours, _, _ = FUNCTIONS[name]
    for xs in points[:8]:
        assert_gradients(lambda *leaves: flat(ours(list(leaves))), xs)


@EVERY_FUNCTION
def test_value_and_gradient_are_pytorchs(name, points):
    torch = pytest.importorskip("torch")
    ours, _, pytorchs = FUNCTIONS[name]
    for xs in points:
        x = torch.tensor(xs, dtype=torch.float64, requires_grad=True)
        out = pytorchs(torch, x)
        assert data(ours(values(xs))) == pytest.approx(
            out.reshape(-1).tolist(), rel=1e-13, abs=1e-15
        )
        if out.ndim:
            out = (out * torch.arange(1, N + 1)).sum()
        out.backward()
        grads = backward_gradient(lambda *leaves: flat(ours(list(leaves))), xs)
        assert grads == pytest.approx(x.grad.tolist(), rel=1e-12, abs=1e-14)


def test_softmax_and_log_softmax_are_scipys(points):
    special = pytest.importorskip("scipy.special")
    for xs in [*points, [1e3, -1e3, 0.0], [-1e300, 1e300, 0.0], [5.0], [-1e3, -1e3 - 1]]:
        assert data(F.softmax(values(xs))) == pytest.approx(special.softmax(xs), rel=1e-13, abs=0)
        expected = special.log_softmax(xs)
        assert data(F.log_softmax(values(xs))) == pytest.approx(expected, rel=1e-12, abs=1e-15)


def test_sums_of_softmax_and_exponentials_of_log_softmax_are_one(points):
    for xs in points:
        assert sum(data(F.softmax(xs))) == pytest.approx(1.0, rel=1e-15, abs=0)
        assert sum(map(math.exp, data(F.log_softmax(xs)))) == pytest.approx(1.0, rel=1e-14, abs=0)


def test_the_gradients_of_softmax_and_cross_entropy_sum_to_zero(points):
    for xs in points:
        for f in (lambda *v: F.softmax(v)[1], lambda *v: F.cross_entropy(v, 1)):
            gradient = backward_gradient(f, xs)
            assert sum(gradient) == pytest.approx(0.0, abs=1e-14)
            assert max(map(abs, gradient)) > 1e-6


def test_the_gradient_of_cross_entropy_is_softmax_minus_one_at_the_target(points):
    for xs in points:
        expected = [p - (k == 3) for k, p in enumerate(data(F.softmax(xs)))]
        gradient = backward_gradient(lambda *v: F.cross_entropy(v, 3), xs)
        assert gradient == pytest.approx(expected, rel=1e-12, abs=1e-15)


def test_equal_arguments_of_maximum_and_minimum_share_the_gradient():
    for f in (F.maximum, F.minimum):
        assert backward_gradient(f, [2.0, 2.0]) == [0.5, 0.5]
        assert backward_gradient(f, [2.0, 2.0, 2.0]) == [1 / 3] * 3
        assert math.isnan(f(1.0, math.nan, 2.0).data)
    assert backward_gradient(F.maximum, [2.0, 7.0, 7.0, 1.0]) == [0.0, 0.5, 0.5, 0.0]


def test_the_loss_of_one_logit_is_symmetric():
    for x in (0.0, -0.0, 0.5, 3.0, 30.0):
        for t in (0.0, 0.25, 1.0):
            a, b = (
                F.binary_cross_entropy_with_logits(x, t).data,
                F.binary_cross_entropy_with_logits(-x, 1 - t).data,
            )
            assert a == pytest.approx(b, rel=1e-13, abs=0)
    assert F.binary_cross_entropy_with_logits(0.0, 0.7).data == math.log(2)
    assert backward_gradient(lambda x: F.binary_cross_entropy_with_logits(x, 0.25), [0.0]) == [0.25]


# ---- large numbers ----


@pytest.mark.parametrize("scale", [1e3, 1e10, 1e16, 1e300, HUGE])
def test_softmax_of_large_logits_neither_overflows_nor_divides_by_zero(scale):
    assert data(F.softmax([scale, -scale, 0.0])) == [1.0, 0.0, 0.0]
    assert data(F.softmax([-scale, -scale])) == [0.5, 0.5]
    assert data(F.softmax([-scale])) == [1.0]
    xs = [scale, scale, -scale]
    gradient = backward_gradient(lambda *v: F.softmax(v)[0], xs)
    assert gradient == [0.25, -0.25, 0.0]


@pytest.mark.parametrize("scale", [1e3, 1e10, 1e16, 1e300, HUGE / 4])
def test_log_softmax_and_cross_entropy_of_large_logits_stay_finite(scale):
    assert data(F.log_softmax([scale, -scale])) == [0.0, -2 * scale]
    assert F.cross_entropy([scale, -scale], 0).data == 0.0
    assert F.cross_entropy([scale, -scale], 1).data == 2 * scale
    for target, expected in [(0, [0.0, 0.0]), (1, [1.0, -1.0])]:
        gradient = backward_gradient(lambda *v, t=target: F.cross_entropy(v, t), [scale, -scale])
        assert gradient == expected


@pytest.mark.parametrize("scale", [1e6, 1e10, 1e16, 1e300])
def test_log_softmax_of_equal_large_logits_is_minus_the_logarithm_of_their_number(scale):
    for shift in (scale, -scale):
        xs = [shift] * 3
        assert data(F.log_softmax(xs)) == pytest.approx([-math.log(3)] * 3, rel=1e-14, abs=0)
        assert F.cross_entropy(xs, 1).data == pytest.approx(math.log(3), rel=1e-14, abs=0)


@pytest.mark.parametrize("scale", [1e3, 1e16, 1e300, HUGE / 2])
def test_binary_cross_entropy_of_large_logits_stays_finite(scale):
    for x, t, loss, slope in [
        (scale, 1.0, 0.0, 0.0),
        (scale, 0.0, scale, 1.0),
        (-scale, 1.0, scale, -1.0),
        (-scale, 0.0, 0.0, 0.0),
    ]:
        assert F.binary_cross_entropy_with_logits(x, t).data == loss
        assert backward_gradient(lambda v, t=t: F.binary_cross_entropy_with_logits(v, t), [x]) == [
            slope
        ]


@pytest.mark.parametrize("x", [15.0, 25.0, 40.0, 200.0])
def test_binary_cross_entropy_keeps_the_digits_of_a_small_loss(x):
    expected = pytest.approx(math.log1p(math.exp(-x)), rel=1e-12, abs=0)
    assert F.binary_cross_entropy_with_logits(x, 1.0).data == expected
    assert F.binary_cross_entropy_with_logits(-x, 0.0).data == expected


def test_sums_and_hinges_of_large_numbers_follow_float64():
    assert F.sum([1e308, -1e308, 1.0]).data == 1.0
    assert F.sum([HUGE, HUGE]).data == math.inf
    assert F.mean([1e300, 3e300]).data == 2e300
    assert F.dot([1e300, 1.0], [1e-300, 2.0]).data == 3.0
    assert F.hinge_loss([1e300, -1e300], [1, -1]).data == 0.0
    assert F.hinge_loss([-1e300], [1]).data == 1e300
    with pytest.raises(OverflowError):
        F.mse_loss([1e300], [0.0])


def test_a_logit_of_minus_infinity_has_probability_zero():
    assert data(F.softmax([0.0, -math.inf, 0.0])) == [0.5, 0.0, 0.5]
    assert data(F.log_softmax([0.0, -math.inf]))[1] == -math.inf
    assert all(math.isnan(p) for p in data(F.softmax([math.nan, 1.0])))


# ---- what is built ----


def test_sums_and_products_are_the_graphs_of_the_operators():
    x, y = values([1.5, -2.0, 0.5, 3.0]), values([0.25, 7.0, -1.0, 2.0])
    known = [*x, *y]
    left_to_right = x[0] * y[0] + x[1] * y[1] + x[2] * y[2] + x[3] * y[3]
    for ours, expected in [
        (F.sum(x), x[0] + x[1] + x[2] + x[3]),
        (F.mean(x), (x[0] + x[1] + x[2] + x[3]) / 4),
        (F.dot(x, y), left_to_right),
        (F.dot(x, [2, 0.5, True, -1]), x[0] * 2 + x[1] * 0.5 + x[2] * True + x[3] * -1),
        (F.maximum(x[0], 2), x[0].maximum(2)),
        (F.minimum(*x[:2]), x[0].minimum(x[1])),
        (F.mse_loss(x[:2], y[:2]), ((x[0] - y[0]) ** 2 + (x[1] - y[1]) ** 2) / 2),
        (F.hinge_loss(x[:1], [-1]), (1 + -Value(-1.0) * x[0]).relu() / 1),
    ]:
        assert graph_of([*known, ours]) == graph_of([*known, expected])


@pytest.mark.parametrize("make", [type("Sub", (Value,), {}), with_attribute, with_step])
@pytest.mark.parametrize("position", [0, 1, 2])
def test_special_values_give_the_same_graphs(make, position):
    x, y = values([1.5, -2.0, 0.5]), values([0.25, 7.0, -1.0])
    x[position] = make(x[position].data)
    known = [*x, *y]
    for ours, expected in [
        (F.sum(x), x[0] + x[1] + x[2]),
        (F.dot(x, y), x[0] * y[0] + x[1] * y[1] + x[2] * y[2]),
        (F.dot(y, x), y[0] * x[0] + y[1] * x[1] + y[2] * x[2]),
    ]:
        assert graph_of([*known, ours]) == graph_of([*known, expected])
        assert type(ours) is Value


def test_a_custom_node_that_nobody_else_holds_keeps_its_step():
    for f in (
        lambda v: F.sum([v, 1.0, 2.0]),
        lambda v: F.dot([v, 1.0], [1.0, 2.0]),
        lambda v: F.dot([1.0, 2.0], [1.0, v]) / 2,
    ):
        child = Value(3.0)
        out = f(identity(child))
        gc.collect()
        out.backward()
        assert child.grad == 1.0


REPLACED_OPERATORS = """
from micrograd_fast.engine import Value
from micrograd_fast.functional import dot, sum

calls = []
add, mul = Value.__add__, Value.__mul__
Value.__add__ = lambda self, other: calls.append("+") or add(self, other)
Value.__mul__ = lambda self, other: calls.append("*") or mul(self, other)
xs, ys = [Value(1.0), Value(2.0), Value(3.0)], [Value(4.0), Value(5.0), Value(6.0)]
print(dot(xs, ys).data, *calls)
calls.clear()
print(sum(xs).data, *calls)
"""


def test_replaced_operators_are_used():
    """In an interpreter of its own: here the operators' C paths are to be tested."""
    run = [sys.executable, "-c", REPLACED_OPERATORS]
    lines = subprocess.run(run, capture_output=True, text=True, check=True).stdout.splitlines()
    assert lines == ["32.0 * * + * +", "6.0 + +"]


@EVERY_FUNCTION
def test_results_are_ordinary_graphs_over_the_arguments(name):
    ours, _, _ = FUNCTIONS[name]
    xs = values([0.5, -1.5, 2.5, 0.25, -0.75, 1.75])
    out = ours(xs)
    roots = out if isinstance(out, list) else [out]
    assert all(type(v) is Value for v in roots)
    nodes = reachable(roots)
    labels = {"", "+", "*", "**-1", "**2", "**-0.5"} | {op.label for op in _core.OPS}
    assert {v._op for v in nodes} <= labels
    assert set(xs) & set(nodes)
    # What keeps exp() within range is a constant, not a way for gradients.
    assert ("max" in {v._op for v in nodes}) == (name in ("maximum", "huber_loss"))
    further = flat(out) * 2
    further.backward()
    first = [v.grad for v in xs]
    assert any(first)
    further.backward()  # as in any graph, a second pass adds
    assert [v.grad for v in xs] != first


@EVERY_FUNCTION
def test_without_gradients_the_numbers_are_the_same_and_nothing_is_recorded(name):
    ours, _, _ = FUNCTIONS[name]
    xs = values([0.5, -1.5, 2.5, 0.25, -0.75, 1.75])
    expected = [bits(z) for z in data(ours(xs))]
    with no_grad():
        out = ours(xs)
    assert [bits(z) for z in data(out)] == expected
    assert all(v._prev == set() for v in (out if isinstance(out, list) else [out]))


@pytest.mark.usefixtures("gc_off")
def test_a_dropped_result_leaves_no_node_behind():
    xs = values([0.5, -1.5, 2.5, 0.25, -0.75, 1.75])
    before = live_nodes()
    for name, (ours, _, _) in FUNCTIONS.items():
        flat(ours(xs)).backward()
        assert live_nodes() == before, name


# ---- arguments ----

LISTED = {
    "sum": F.sum,
    "mean": F.mean,
    "softmax": F.softmax,
    "log_softmax": F.log_softmax,
    "cross_entropy": lambda x: F.cross_entropy(x, 0),
    "maximum": lambda x: F.maximum(*x),
    "minimum": lambda x: F.minimum(*x),
    "dot": lambda x: F.dot(x, x),
    "mse_loss": lambda x: F.mse_loss(x, x),
    "hinge_loss": lambda x: F.hinge_loss(x, x),
}
PAIRED = [F.dot, F.mse_loss, F.hinge_loss]


@pytest.mark.parametrize("name", LISTED)
def test_any_iterable_of_values_and_numbers_is_taken(name):
    f, numbers = LISTED[name], [0.5, 2.0, -1.5, 1.0]
    expected = [bits(z) for z in data(f(values(numbers)))]
    mixed = [Value(0.5), 2, np.float64(-1.5), True]
    for xs in (mixed, tuple(mixed), numbers, np.array(numbers), np.array(values(numbers))):
        assert [bits(z) for z in data(f(xs))] == expected


@pytest.mark.parametrize("name", ["sum", "mean", "softmax", "log_softmax", "cross_entropy"])
def test_a_generator_is_taken(name):
    f, numbers = LISTED[name], [0.5, 2.0, -1.5, 1.0]
    assert data(f(x for x in numbers)) == data(f(numbers))


@pytest.mark.parametrize("name", LISTED)
@pytest.mark.parametrize("empty", [[], (), iter(()), np.array([])], ids=lambda e: type(e).__name__)
def test_an_empty_list_raises_value_error(name, empty):
    with pytest.raises(ValueError, match="at least one"):
        LISTED[name](empty)


@pytest.mark.parametrize("name", LISTED)
@pytest.mark.parametrize("wrong", ["a", None, 1j, [1.0], np.zeros(2)], ids=repr)
def test_what_is_no_number_raises_type_error_and_the_type_is_named(name, wrong):
    for xs in ([wrong, 1.0], [Value(1.0), wrong]):
        with pytest.raises(TypeError, match=type(wrong).__name__):
            LISTED[name](xs)


@pytest.mark.parametrize("name", ["sum", "mean", "softmax", "log_softmax", "cross_entropy"])
def test_what_is_no_list_raises_type_error(name):
    for wrong in (Value(1.0), "abc", "", b"abc", b""):
        with pytest.raises(
            TypeError, match=f"must be a list of Values, not '{type(wrong).__name__}"
        ):
            LISTED[name](wrong)
    for wrong in (5, None):
        with pytest.raises(TypeError, match=type(wrong).__name__):
            LISTED[name](wrong)


@pytest.mark.parametrize("f", PAIRED)
def test_lists_of_different_lengths_raise_value_error_and_the_lengths_are_named(f):
    for n, m in [(1, 2), (3, 2), (2, 0), (0, 2)]:
        with pytest.raises(ValueError, match=f"{n} items?,.* {m}|at least one"):
            f(values([1.0] * n), values([1.0] * m))
    for wrong in (Value(1.0), "ab", b"ab"):
        with pytest.raises(TypeError, match=type(wrong).__name__):
            f(values([1.0, 2.0]), wrong)


@pytest.mark.parametrize("f", [F.maximum, F.minimum])
def test_maximum_and_minimum_take_arguments_and_no_list(f):
    assert f(3).data == 3.0
    v = Value(1.0)
    assert f(v) is v
    with pytest.raises(TypeError, match="'list'"):
        f([v, v])
    with pytest.raises(ValueError, match="at least one"):
        f()


@pytest.mark.parametrize("index", [4, 5, -1, -4, 10**30])
def test_an_index_out_of_range_raises_index_error(index):
    xs = values([1.0, 2.0, 3.0, 4.0])
    with pytest.raises(IndexError, match=str(index)):
        F.take(xs, index)
    with pytest.raises(IndexError, match=str(index)):
        F.cross_entropy(xs, index)


def test_nothing_is_taken_of_no_values():
    with pytest.raises(ValueError, match="at least one"):
        F.take([], 0)


@pytest.mark.parametrize("index", [1.0, "1", None, [1], np.float64(1.0)], ids=repr)
def test_an_index_that_is_no_whole_number_raises_type_error(index):
    xs = values([1.0, 2.0, 3.0, 4.0])
    for f in (F.take, F.cross_entropy):
        with pytest.raises(TypeError):
            f(xs, index)


def test_take_gives_the_very_value():
    xs = values([1.0, 2.0, 3.0])
    for k, index in enumerate([0, np.int64(1), np.array(2)]):
        assert F.take(xs, index) is xs[k]
    assert F.take(xs, True) is xs[operator.index(True)]
    assert F.take((5, 6), 1) == 6


@pytest.mark.parametrize("wrong", ["1", None, 1j, [1.0]], ids=repr)
def test_binary_cross_entropy_takes_two_numbers(wrong):
    for args in [(wrong, 1.0), (0.5, wrong), (Value(0.5), wrong)]:
        with pytest.raises(TypeError):
            F.binary_cross_entropy_with_logits(*args)
    target = Value(0.25)
    F.binary_cross_entropy_with_logits(2.0, target).backward()
    assert target.grad == -2.0


def test_binary_cross_entropy_refuses_an_array_as_target():
    with pytest.raises(TypeError, match="shape"):
        F.binary_cross_entropy_with_logits(Value(0.5), np.array([0.0, 1.0]))


@pytest.mark.parametrize("logit", [math.inf, -math.inf])
@pytest.mark.parametrize("target", [0, 1, 0.0, 1.0, True])
@pytest.mark.parametrize("traced", [False, True])
def test_binary_cross_entropy_of_an_infinite_logit(logit, target, traced):
    loss = F.binary_cross_entropy_with_logits
    if traced:
        loss = micrograd_fast.compile(lambda x, t=target: F.binary_cross_entropy_with_logits(x, t))
        found = loss(logit).data
    else:
        found = loss(logit, target).data
    assert found == (0.0 if (logit > 0) == bool(target) else math.inf)


@pytest.mark.parametrize("target", [2, -0.1, 1.0000001, math.nan, Value(2.0), Value(-1.0)])
def test_binary_cross_entropy_refuses_a_target_that_is_no_probability(target):
    with pytest.raises(ValueError, match="target must be between 0 and 1, not"):
        F.binary_cross_entropy_with_logits(Value(0.5), target)


def test_the_old_name_says_what_to_write():
    with pytest.warns(DeprecationWarning, match="write binary_cross_entropy_with_logits") as caught:
        old = F.binary_cross_entropy(0.5, 1.0).data
    assert caught[0].filename == __file__
    assert old == F.binary_cross_entropy_with_logits(0.5, 1.0).data


@pytest.mark.parametrize("rows", [[[1.0, 2.0], [3.0, 4.0]], np.ones((2, 2)), [(1.0, 2.0)]])
@pytest.mark.parametrize("name", ["softmax", "log_softmax", "sum", "mean"])
def test_rows_instead_of_a_row_are_refused_with_what_to_write(name, rows):
    what = "logits" if "softmax" in name else "values"
    with pytest.raises(TypeError, match=rf"{what}\[0\] is '\w+', not a number: give one sample"):
        getattr(F, name)(rows)


# ---- kinks and ends of activations and losses ----


def slope(f, x):
    return backward_gradient(f, [x])[0]


def test_slopes_at_kinks_are_pytorchs():
    """As torch 2.13 has them."""
    assert slope(F.leaky_relu, 0.0) == 0.01
    assert slope(lambda x: F.elu(x, 1.5), 0.0) == 1.5
    assert slope(lambda x: F.softplus(x, threshold=3.0), 3.0) < 1.0
    assert slope(lambda x: F.softplus(x, threshold=3.0), 3.1) == 1.0
    assert slope(lambda x: F.huber_loss([x], [0.0], 2.0), 2.0) == 2.0
    assert slope(lambda x: F.huber_loss([x], [0.0], 2.0), -2.0) == -2.0
    assert slope(lambda x: F.l1_loss([x], [1.0]), 1.0) == 0.0
    assert backward_gradient(lambda *v: F.norm(v), [0.0, 0.0]) == [0.0, 0.0]
    assert backward_gradient(lambda *v: F.norm(v), [0.0, -2.0]) == [0.0, -1.0]


def test_activations_of_large_numbers_stay_finite():
    for x in (-800.0, 800.0, -1e300, 1e300):
        top = max(x, 0.0)
        for f, expected in [
            (F.softplus, top),
            (F.gelu, top),
            (F.silu, top),
            (F.elu, top or -1.0),
            (F.leaky_relu, top or x * 0.01),
        ]:
            assert f(x).data == expected
            assert math.isfinite(slope(f, x))
    assert F.softplus(-40.0).data == pytest.approx(math.exp(-40), rel=1e-15)
    assert F.gelu(-20.0).data == pytest.approx(-5.507248237212467e-88, rel=1e-13)


@pytest.mark.parametrize("compiled", [False, True], ids=["eager", "compiled"])
def test_logsumexp_of_infinite_numbers(compiled):
    f = mg.compile(lambda x: F.logsumexp(x)) if compiled else F.logsumexp
    inf = math.inf
    assert f([-inf, -inf, -inf]).data == -inf
    assert f([-inf, 2.0, -inf]).data == 2.0
    assert f([inf, 2.0, -inf]).data == inf
    assert math.isnan(f([math.nan, 2.0, 1.0]).data)
    assert f([1000.0, 1000.0, -1e300]).data == pytest.approx(1000 + math.log(2), rel=1e-15)


def test_a_target_without_probability_adds_nothing_to_kl_div():
    assert F.kl_div([math.log(0.25), math.log(0.75)], [0.0, 1.0]).data == -math.log(0.75)


def test_targets_and_weights_may_be_inputs_of_a_compiled_function():
    f = mg.compile(lambda x, w, t: F.cross_entropy(x, t, w, 0.2))
    x, w = [0.5, -1.0, 2.0], [1.0, 2.0, 0.5]
    for t in range(3):
        assert f(x, w, np.int64(t)).data == pytest.approx(F.cross_entropy(x, t, w, 0.2).data)
    g = mg.compile(lambda x, t: F.nll_loss(F.log_softmax(x), t, w))
    assert g(x, np.int64(1)).data == pytest.approx(F.nll_loss(F.log_softmax(x), 1, w).data)


@pytest.mark.parametrize(
    ("call", "kind", "words"),
    [
        (
            lambda: F.gelu(1.0, approximate="erf"),
            ValueError,
            "approximate must be 'none' or 'tanh'",
        ),
        (lambda: F.silu("1"), TypeError, "x must be a Value or a number, not 'str'"),
        (lambda: F.elu([1.0]), TypeError, "x must be a Value or a number, not 'list'"),
        (lambda: F.huber_loss([1.0], [2.0], delta=0.0), ValueError, "delta must be positive"),
        (lambda: F.layer_norm([1.0, 2.0], [1.0]), ValueError, "x has 2 items, weight has 1"),
        (lambda: F.rms_norm([1.0, 2.0], [1.0]), ValueError, "x has 2 items, weight has 1"),
        (lambda: F.nll_loss([1.0, 2.0], 0, [1.0]), ValueError, "log_probs has 2 items, weight has"),
        (lambda: F.cross_entropy([1.0], 0, [1.0, 2.0]), ValueError, "logits has 1 item, weight"),
        (
            lambda: F.cross_entropy([1.0, 2.0], 0, label_smoothing=1.5),
            ValueError,
            "label_smoothing must be between 0 and 1, not 1.5",
        ),
        (lambda: F.norm([]), ValueError, "values must hold at least one Value"),
        (lambda: F.leaky_relu(1.0, "a"), TypeError, "negative_slope must be a Value or a number"),
        (lambda: F.elu(1.0, "a"), TypeError, "alpha must be a Value or a number"),
        (lambda: F.softplus(1.0, beta=0.0), ValueError, "beta must not be 0.0"),
        (lambda: F.layer_norm([1.0, 2.0], eps=-1.0), ValueError, "eps must be 0 or more, not -1"),
        (lambda: F.rms_norm([1.0], eps=math.nan), ValueError, "eps must be 0 or more, not nan"),
        (lambda: F.binary_cross_entropy_with_logits("a", 1), TypeError, "logit must be a Value"),
        (lambda: F.logsumexp(Value(1.0)), TypeError, "values must be a list of Values"),
    ],
)
def test_bad_arguments_are_named(call, kind, words):
    with pytest.raises(kind, match=words):
        call()


def test_second_derivatives_of_huber_s_loss():
    f = mg.compile(lambda x: F.huber_loss([x], [0.0], 2.0), batch=True)
    assert f.hessian(np.array([0.0, 1e-300, -0.5, 3.0])).ravel().tolist() == [1.0, 1.0, 1.0, 0.0]


@pytest.mark.parametrize("numbers", [[-math.inf] * 2, [math.inf, 1.0], [math.inf] * 2])
def test_infinite_numbers_share_the_gradient_of_logsumexp(numbers):
    n = numbers.count(max(numbers))
    share = [1.0 / n if x == max(numbers) else 0.0 for x in numbers]
    assert backward_gradient(lambda *v: F.logsumexp(v), numbers) == share
    f = mg.compile(F.logsumexp)
    assert f.grad(np.array(numbers)).tolist() == share
