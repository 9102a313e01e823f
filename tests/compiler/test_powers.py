"""Powers in compiled code: small exponents by products and roots, derivatives by results. They are
what IEEE's pow gives: over lanes, over uniform numbers side by side, and alone."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from programs import bits

import micrograd_fast as mg
from micrograd_fast.engine import Value

HALVES = [k / 2 for k in range(-40, 41)]  # those computed by products, and some beyond
OTHERS = [1.7, -2.3, 1 / 3, 100.5, -100.25, 1e300, math.inf, -math.inf]
SIZES = [1e-310, 2.0**-1022, 1e-162, 1e-155, 1e-103, 1e-77, 1e-27, 1e-20, 0.3, 0.5, 1.0, 1.5, 2.0]
SIZES += [0.0, 5e-324, 1e20, 1e22, 1e77, 1e103, 1e154, 1e155, 4.6e307, 1e308, 2.0**1023, math.inf]
SPECIAL = np.array([*SIZES, *(-x for x in SIZES), math.nan])
LONG = np.longdouble if np.finfo(np.longdouble).eps < 1e-18 else np.float64
SMALLEST = 9e-308  # compiled derivatives below it are 0, or partly so
TOLERANCE = 1e-12


def exact_power(x, k):
    """IEEE's pow of arrays. NumPy has another one for a single exponent of 0.5."""
    x, k = np.broadcast_arrays(x, k)
    with np.errstate(all="ignore"):
        return np.power(x.astype(LONG), k.astype(LONG))


def exact_slope(x, k):
    """By x. A gradient is a sum from 0.0 on, so that -0.0 is not among them."""
    with np.errstate(all="ignore"):
        slope = np.asarray(k, dtype=LONG) * exact_power(x, np.asarray(k, dtype=LONG) - 1)
    return np.where(np.asarray(k) == 0, 0.0, slope) + 0.0


def is_right(ours, exact, smallest):
    """To 1e-12; zeros, infinities and nan to the bit, what is below `smallest` by its size."""
    rounded = float(exact)
    if math.isnan(rounded):
        return math.isnan(ours)
    if math.isinf(rounded) or rounded == 0.0:
        return bits(ours) == bits(rounded) or (exact != 0 and abs(ours) < 5e-323)
    if abs(rounded) < smallest:
        return abs(ours) < smallest and ours * rounded >= 0.0
    return abs(ours - exact) <= TOLERANCE * abs(exact)


def assert_right(ours, exact, smallest, *operands):
    for k, (a, b) in enumerate(zip(ours, exact, strict=True)):
        where = [float(v[k]) for v in operands]
        assert is_right(a, b, smallest), f"{where}: {a!r}, not {float(b)!r}"


# ---- one exponent ----


@pytest.mark.parametrize("k", [*HALVES, *OTHERS])
def test_powers_and_derivatives_of_special_numbers_are_those_of_pow(variant, k):
    values, slopes = mg.compile(lambda x: x**k, batch=True).value_and_grad(SPECIAL)
    assert_right(values, exact_power(SPECIAL, k), 1e-311, SPECIAL)
    assert_right(slopes, exact_slope(SPECIAL, k), SMALLEST, SPECIAL)


@pytest.mark.parametrize("k", [*HALVES, 1.7, -2.3])
def test_powers_of_any_number_of_samples_are_right(variant, k):
    x = np.random.default_rng(2).uniform(0.1, 3.0, 600) * np.where(k % 1, 1, -1)
    f = mg.compile(lambda x: x**k, batch=True)
    for n in (1, 7, 31, 33, 127, 128, 129, 257, 600):
        values, slopes = f.value_and_grad(x[-n:])
        assert_right(values, exact_power(x[-n:], k), 0.0, x[-n:])
        assert_right(slopes, exact_slope(x[-n:], k), 0.0, x[-n:])


@pytest.mark.parametrize("k", [*HALVES, 1.7])
def test_uniform_numbers_are_raised_as_samples_are(variant, k):
    """Each alone, and all in one step."""
    leaves = [Value(x) for x in SPECIAL]
    for result in mg.compile(lambda: [x**k for x in leaves])():
        result.backward()
    side_by_side = [x.grad for x in leaves]
    assert_right(side_by_side, exact_slope(SPECIAL, k), SMALLEST, SPECIAL)
    alone = mg.compile(lambda x: x**k)
    for x, slope in zip(SPECIAL, exact_slope(SPECIAL, k), strict=True):
        leaf = Value(x)
        result = alone(leaf)
        result.backward()
        assert is_right(result.data, exact_power(x, k), 1e-311), (x, result.data)
        assert is_right(leaf.grad, slope, SMALLEST), (x, leaf.grad)


@pytest.mark.parametrize("k", [0.5, -0.5, 1.5, 2.0, 4.0, -3.0, 1.7])
def test_an_adjoint_of_zero_adds_nothing_however_steep_a_power_is(variant, k):
    f = mg.compile(lambda x: x**k * 0.0 + x * 3.0, batch=True)
    _, slopes = f.value_and_grad(np.array([0.0, -0.0, math.inf, math.nan, 1.0]))
    assert slopes.tolist() == [3.0] * 5


def test_a_power_is_out_of_range_only_where_its_derivative_is(variant):
    """16 x**15 and -2.5 x**-3.5 where the power alone is not a normal number."""
    x = np.array([1.05e-20, 2.8e-21])
    for k, numbers in ((16, x), (-16, 1 / x), (-2.5, np.array([2e88, 1.15e88]))):
        _, slopes = mg.compile(lambda x, k=k: x**k, batch=True).value_and_grad(numbers)
        assert_right(slopes, exact_slope(numbers, k), 2.0**-1020, numbers)


# ---- an exponent for each sample, and Values ----

ANY = [*SPECIAL, 3.0, 1e139, 1e-139, 1e141, 1e-141]
EXPONENTS = [2.0, 3.0, 0.5, 1.0, 0.0, -1.0, 1.7, 0.9, -1.1, 2.5, 30.0]


def exact_slope_by_exponent(x, k):
    """x**k log(x), 0 where x is 0 and k >= 0."""
    with np.errstate(all="ignore"):
        slope = exact_power(x, k) * np.log(x.astype(LONG))
    return np.where((x == 0) & (k >= 0), 0.0, slope) + 0.0


def test_derivatives_by_base_and_exponent_are_right_beside_numbers_of_any_size(variant):
    x, k = (a.ravel() for a in np.meshgrid(ANY, EXPONENTS))
    order = np.random.default_rng(5).permutation(x.size)
    x, k = x[order], k[order]
    f = mg.compile(lambda x, k: x**k, batch=True)
    for first in range(3):  # other neighbours
        values, (dx, dk) = f.value_and_grad(x[first:], k[first:])
        assert_right(values, exact_power(x, k)[first:], 1e-311, x[first:], k[first:])
        assert_right(dx, exact_slope(x, k)[first:], SMALLEST, x[first:], k[first:])
        assert_right(dk, exact_slope_by_exponent(x, k)[first:], SMALLEST, x[first:], k[first:])


@pytest.mark.parametrize("k", [2.0, 4.0, 0.5, -1.5, -1.0, 1.0, 0.0, 1.7])
def test_an_exponent_that_is_a_parameter_may_be_small(variant, k):
    p, x = Value(k), np.array([0.5, 1.0, 2.0, 3.0] * 20)
    f = mg.compile(lambda x: x**p, batch=True)
    values, slopes = f.value_and_grad(x)
    assert_right(values, exact_power(x, k), 0.0, x)
    assert_right(slopes, exact_slope(x, k), 0.0, x)
    f(x).sum().backward()
    by_exponent = exact_slope_by_exponent(x, np.full_like(x, k)).sum()
    assert p.grad == pytest.approx(float(by_exponent), rel=TOLERANCE)


BASES = [2.0, 0.3, 1.0, 1 + 2.0**-52, 0.0, -2.0, 1e-310, 1e300, math.inf, math.nan]


@pytest.mark.parametrize("base", BASES)
def test_powers_of_one_base_are_right(variant, base):
    usual = [0.0, 0.5, 1.0, 2.0, -1.5, -0.0, 1 / 3, -2.0]  # blocks of them, and others
    far = [400.0, 700.0, -400.0, 1100.0, -1100.0, 1e300, -1e300, math.inf, -math.inf, math.nan]
    b, k = Value(base), np.array([*usual * 8, *far, *usual * 3, math.nan, *usual * 6])
    f = mg.compile(lambda k: b**k, batch=True)
    values, slopes = f.value_and_grad(k)
    bases = np.full_like(k, base)
    assert_right(values, exact_power(bases, k), 1e-311, k)
    assert_right(slopes, exact_slope_by_exponent(bases, k), SMALLEST, k)


@pytest.mark.parametrize("base", [2.0, 10.0, 0.3, 1 + 2.0**-52, 1e300, 1e-300])
def test_powers_of_one_base_lose_no_digits_to_its_logarithm(variant, base):
    """exp(k * log(base)) would be off by k * log(base) roundings, up to 700."""
    k = np.random.default_rng(3).uniform(-690, 690, 400) / abs(math.log(base))
    found = mg.compile(lambda k: base**k, batch=True).values(k)
    exact = exact_power(np.full_like(k, base), k)
    assert np.abs(found / exact - 1).max() < 4 * 2.0**-53


# ---- in formulas ----

# None whose adjoints fade out below the normal numbers, where gradients are 0.
COEFFICIENTS = st.floats(-3, 3).map(lambda c: c if abs(c) > 1e-250 else 0.0)
TERMS = st.lists(
    st.tuples(COEFFICIENTS, st.sampled_from([*HALVES, 1.7, -0.3])), min_size=1, max_size=6
)


@given(TERMS, st.lists(st.floats(0.2, 4.0), min_size=1, max_size=40))
def test_sums_of_powers_agree_with_eager_code(terms, xs):
    def polynomial(x):
        return sum(c * x**k for c, k in terms)

    values, slopes = mg.compile(polynomial, batch=True).value_and_grad(np.array(xs))
    for x, value, slope in zip(xs, values, slopes, strict=True):
        size = sum(abs(c) * x**k for c, k in terms)
        steepness = sum(abs(c * k) * x ** (k - 1) for c, k in terms)
        leaf = Value(x)
        result = leaf * 0.0 + polynomial(leaf)
        result.backward()
        assert abs(value - result.data) <= TOLERANCE * size + 1e-311
        assert abs(slope - leaf.grad) <= TOLERANCE * steepness + SMALLEST


def test_second_derivatives_of_powers_agree(variant):
    x = np.linspace(0.5, 2.0, 40)
    f = mg.compile(lambda x: x**4 + x**-2 + x**1.5, batch=True)
    expected = 12 * x**2 + 6 * x**-4 + 0.75 * x**-0.5
    step = 1e-6
    _, above = f.value_and_grad(x + step)
    _, below = f.value_and_grad(x - step)
    assert (above - below) / (2 * step) == pytest.approx(expected, rel=1e-6)
