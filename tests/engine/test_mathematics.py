"""NumPy's and SciPy's functions as ops: their names, limits, both tails, and negative arguments."""

import math

import mpmath
import numpy as np
import pytest
from scipy import special

import micrograd_fast as mg
from micrograd_fast.engine import Value

# NumPy's functions that call a method of each object in an array.
UNARY = ["tan", "arcsin", "arccos", "arctan", "sinh", "cosh", "arcsinh", "arctanh", "expm1", "exp2"]
UNARY += ["log2", "log10", "cbrt", "sin", "cos", "tanh", "exp", "log", "log1p", "sqrt"]


@pytest.mark.parametrize("name", [*UNARY, "arccosh", "arctan2", "hypot"])
def test_numpys_functions_of_object_arrays_are_the_ops(name):
    function, shift = getattr(np, name), 1.0 if name == "arccosh" else 0.0
    numbers = [np.array([0.25, 0.5, 0.75]) + shift, np.array([0.5, -0.25, 2.0])][: function.nin]
    columns = [np.array([Value(x) for x in column]) for column in numbers]
    results = function(*columns)
    assert [v.data for v in results] == pytest.approx(function(*numbers), rel=1e-15)
    results.sum().backward()
    found = [v.grad for v in columns[0]]
    step = 1e-6
    raised, lowered = (function(numbers[0] + s, *numbers[1:]) for s in (step, -step))
    assert found == pytest.approx((raised - lowered) / (2 * step), rel=1e-8)


def test_numpys_names_are_the_same_methods():
    for name in ("sin", "cos", "tan", "sinh", "cosh", "tanh"):
        assert getattr(Value, f"arc{name}") is getattr(Value, f"a{name}")
    assert Value.arctan2 is Value.atan2


def gradient(function, *numbers):
    leaves = [Value(x) for x in numbers]
    function(*leaves).backward()
    return [v.grad for v in leaves]


BOTH = pytest.mark.parametrize("batch", [False, True], ids=["eager", "batch"])


def derivatives(function, numbers, batch, order=1):
    """By all operands, of the first or the second order."""
    for _ in range(order):
        inner = function
        n = len(numbers)

        def function(*xs, inner=inner, n=n):
            slopes = mg.grad(inner, argnums=tuple(range(n)))(*xs)
            return sum(slopes[1:], slopes[0])

    if not batch:
        return function(*map(Value, numbers)).data
    return float(mg.compile(function, batch=True)(*[np.array([x] * 9) for x in numbers]).data[4])


@BOTH
def test_what_people_expect_where_formulas_have_no_number(batch):
    hypot, xlogy = Value.hypot, Value.xlogy
    assert derivatives(hypot, (0.0, 0.0), batch) == 0.0
    assert derivatives(hypot, (0.0, 0.0), batch, order=2) == 0.0
    assert derivatives(hypot, (3.0, 0.0), batch) == 1.0
    assert derivatives(xlogy, (0.0, 0.0), batch) == 0.0
    assert derivatives(xlogy, (0.0, 2.0), batch) == pytest.approx(math.log(2.0))
    assert derivatives(Value.logaddexp, (1.0, 1.0), batch) == 1.0
    assert derivatives(Value.log_ndtr, (-1e4,), batch) == pytest.approx(1e4, rel=1e-7)


def test_backward_says_what_derivatives_of_functions_say_there():
    assert gradient(Value.hypot, 0.0, 0.0) == [0.0, 0.0]
    assert gradient(Value.hypot, -5e-324, 0.0) == [-1.0, 0.0]
    assert gradient(Value.xlogy, 0.0, 0.0) == [0.0, 0.0]
    assert gradient(Value.xlogy, 0.0, -1.0) == [0.0, 0.0]
    assert gradient(Value.logaddexp, -math.inf, -math.inf) == [0.5, 0.5]
    assert gradient(Value.logaddexp, -math.inf, 3.0) == [0.0, 1.0]


@pytest.mark.parametrize(
    ("function", "numbers", "kind"),
    [
        (Value.atan2, (0.0, 0.0), ZeroDivisionError),
        (Value.asin, (1.0,), ZeroDivisionError),
        (Value.acos, (-1.0,), ZeroDivisionError),
        (Value.acosh, (1.0,), ZeroDivisionError),
        (Value.cbrt, (0.0,), ZeroDivisionError),
        (Value.xlogy, (1.0, 0.0), ValueError),
        (Value.polygamma, (1.0, 170.0), ValueError),
    ],
)
def test_an_infinite_derivative_is_refused_and_leaves_the_gradients(function, numbers, kind):
    leaves = [Value(x) for x in numbers]
    with pytest.raises(kind, match=function.__name__):
        function(*leaves).backward()
    assert [v.grad for v in leaves] == [0.0] * len(leaves)


def test_a_wrong_number_is_named_with_the_op():
    with pytest.raises(ValueError, match=r"polygamma\(1.5, 0.5\): math domain error"):
        Value(1.5).polygamma(0.5)
    with pytest.raises(ValueError, match=r"xlogy\(2.0, -1.0\): math domain error"):
        Value(2.0).xlogy(Value(-1.0))
    with pytest.raises(ValueError, match=r"lgamma\(-3.0\): math domain error"):
        Value(-3.0).lgamma()
    with pytest.raises(OverflowError, match=r"erfcx\(-30.0\): the result is too large"):
        Value(-30.0).erfcx()


def test_a_trace_has_ieee_numbers_where_eager_code_raises():
    names = ["asin", "acos", "acosh", "atanh", "log2", "log10", "lgamma", "digamma"]
    f = mg.compile(lambda x: [getattr(x, name)() for name in names], batch=True)
    found = [v.data for v in f(np.array([-3.0]))[0]]
    assert [math.isnan(z) for z in found] == [True] * 6 + [False, True]
    assert found[6] == math.inf


# ---- gamma functions ----


@BOTH
@pytest.mark.parametrize("x", [-0.5, -1.25, -7.9, -33.3, -1e-3, -3456.75, 0.5, 1.4616, 8.25, 1e5])
def test_gamma_functions_of_negative_numbers_too(batch, x):
    """Errors beside the terms at the nearest pole: between any two poles there are zeros."""

    def f(v):
        return [v.lgamma(), v.digamma(), *[v.polygamma(n) for n in (0, 1, 2, 3, 6)]]

    if batch:
        found = [v.data for v in mg.compile(f, batch=True)(np.array([x] * 5))[2]]
    else:
        found = [out.data for out in f(Value(x))]
    with mpmath.workprec(200):
        exact = [mpmath.log(abs(mpmath.gamma(x))) if x < 1e4 else mpmath.loggamma(x)]
        exact += [mpmath.polygamma(n, mpmath.mpf(x)) for n in (0, 0, 1, 2, 3, 6)]
    near = min(x - math.floor(x), math.ceil(x) - x) if x < 0 else 1.0
    for z, true, n in zip(found, exact, (-1, 0, 0, 1, 2, 3, 6), strict=True):
        terms = math.factorial(max(n, 0)) / near ** (n + 1)
        assert z == pytest.approx(float(true), rel=2e-15, abs=3e-15 * terms), n


def test_polygamma_functions_of_high_orders_are_scipys():
    for n in (10, 40, 100, 169):
        for x in (1.25, 3.5, 60.0, 400.0):
            expected = pytest.approx(float(mpmath.polygamma(n, x)), rel=1e-13)
            assert Value(x).polygamma(n).data == expected
    assert Value(2.5).polygamma(Value(3)).data == pytest.approx(special.polygamma(3, 2.5))


def test_derivatives_of_lgamma_go_on():
    f = mg.compile(mg.grad(mg.grad(mg.grad(mg.grad(Value.lgamma)))))
    assert f(2.5).data == pytest.approx(special.polygamma(3, 2.5), rel=1e-13)


# ---- tails ----


@pytest.mark.parametrize("x", [-35.0, -8.5, -1.0, 0.0, 1.0, 8.25])
def test_both_tails_of_the_normal_distribution(x):
    with mpmath.workprec(300):
        z = mpmath.erfc(-mpmath.mpf(x) / mpmath.sqrt(2)) / 2
        density = mpmath.exp(-(mpmath.mpf(x) ** 2) / 2) / mpmath.sqrt(2 * mpmath.pi)
        log = mpmath.log(z)
    v = Value(x)
    assert v.ndtr().data == pytest.approx(float(z), rel=1e-15)
    assert v.log_ndtr().data == pytest.approx(float(log), rel=1e-15)
    assert gradient(Value.ndtr, x) == pytest.approx([float(density)], rel=1e-15)
    assert gradient(Value.log_ndtr, x) == pytest.approx([float(density / z)], rel=2e-15)


def test_numbers_that_people_know_are_exact(variant):
    assert Value(0.0).ndtr().data == 0.5
    assert Value(0.0).erfc().data == Value(0.0).erfcx().data == 1.0
    assert [Value(2.0**k).log2().data for k in (-1074, -3, 0, 10)] == [-1074.0, -3.0, 0.0, 10.0]
    lanes = mg.compile(
        lambda x: [x.log2(), (x * 0 + 1e3).log10(), x.exp2(), x.ndtr(), x.cbrt(), x.erfc()],
        batch=True,
    )
    x = np.array([8.0, 2.0**-20, 2.0**60, 0.0])
    log2, log10, exp2, ndtr, cbrt, erfc = zip(
        *([v.data for v in row] for row in lanes(x)), strict=True
    )
    assert log2[:3] == (3.0, -20.0, 60.0)
    assert log10 == (3.0,) * 4
    assert (exp2[0], ndtr[3], cbrt[0], erfc[3]) == (256.0, 0.5, 2.0, 1.0)
    assert Value(3.0).hypot(4.0).data == 5.0


# ---- lanes ----

PAIRS = [0.0, -0.0, 1.0, -1.0, 5e-324, -3e-310, 2e-308, 1e-160, 1e160, -1.7e308, 1.7e308, 8e307]
PAIRS += [math.inf, -math.inf, math.nan, 0.66, 2.4]


@pytest.mark.parametrize("name", ["atan2", "hypot"])
def test_pairs_of_every_size_give_what_libm_gives(variant, name):
    x, y = (a.ravel() for a in np.meshgrid(PAIRS, PAIRS))
    with np.errstate(all="ignore"):
        exact = {"atan2": np.arctan2, "hypot": np.hypot}[name](x, y)
        ours = mg.compile(lambda a, b: getattr(a, name)(b), batch=True)(x, y).data
        near = (ours == exact) | (np.abs(ours - exact) <= 2 * np.spacing(np.abs(exact)))
    right = near & (np.signbit(ours) == np.signbit(exact)) | np.isnan(ours) & np.isnan(exact)
    assert right.all(), [*zip(x[~right], y[~right], strict=True)]


@pytest.mark.parametrize("name", ["asin", "acos"])
def test_angles_near_one_are_rounded_as_well_as_those_near_zero(variant, name):
    x = np.linspace(-0.999, 0.999, 801)
    ours = mg.compile(lambda v: getattr(v, name)(), batch=True)(x).data
    with mpmath.workprec(120):
        for v, z in zip(x.tolist(), ours.tolist(), strict=True):
            exact = getattr(mpmath, name)(v)
            assert abs(z - exact) < 0.9 * math.ulp(float(exact)), v


# ---- what a stranger found ----


@BOTH
@pytest.mark.parametrize("x", [-30.0, -1.0, 0.0, 1.0, 12.0, 27.5, 37.0])
def test_second_derivatives_of_log_ndtr_in_both_tails(batch, x):
    with mpmath.workprec(4000):
        a = mpmath.mpf(x)
        tail = mpmath.erfc(-a / mpmath.sqrt(2)) / 2
        slope = mpmath.exp(-a * a / 2) / mpmath.sqrt(2 * mpmath.pi) / tail
        exact = float(-slope * (a + slope))
    assert derivatives(Value.log_ndtr, (x,), batch, order=2) == pytest.approx(exact, rel=1e-9)
    assert derivatives(Value.log_ndtr, (40.0,), batch, order=2) == 0.0
    assert math.isnan(derivatives(Value.log_ndtr, (math.nan,), batch))


@pytest.mark.parametrize("numbers", [(1e-170, 3e-170), (1e160, 1e160), (0.0, 1e-200), (3.0, 4.0)])
def test_derivatives_of_atan2_as_graphs_are_those_of_backward(numbers):
    found = mg.grad(lambda a, b: a.atan2(b), argnums=(0, 1))(*numbers)
    assert [d.data for d in found] == pytest.approx(gradient(Value.atan2, *numbers), rel=1e-14)


@pytest.mark.parametrize(
    ("x", "n"), [(18.3, 15), (23.78184972618639, 26), (458.0, 26), (855.0, 20), (179.0, 150)]
)
def test_polygamma_functions_where_zeta_alone_has_no_digits(x, n):
    assert Value(x).polygamma(n).data == pytest.approx(float(mpmath.polygamma(n, x)), rel=1e-14)


def test_trigamma_next_to_its_overflow(variant):
    f = mg.compile(lambda x: x.digamma(), batch=True)
    for x in (1e-154, 8e-155):
        assert f.value_and_grad(np.full(9, x))[1][4] == pytest.approx(1 / x**2, rel=1e-14)
