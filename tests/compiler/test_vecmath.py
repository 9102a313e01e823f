"""The lane functions of src/run/vecmath.h through compiled functions, on every kernel variant.

The reference is NumPy's long double where that is longer than float64 (its error is then nothing),
else libm's, which may itself be off by one ulp. Every unary op of the table is tested.
"""

import math
from functools import partial

import mpmath
import numpy as np
import pytest
from conftest import VARIANTS
from programs import bits
from references import REFERENCES, apply

import micrograd_fast as mg
from micrograd_fast import _core
from micrograd_fast.engine import Value

UNARY = [op for op in _core.OPS if op.kind == "unary"]
EXACT = np.longdouble if np.finfo(np.longdouble).eps < 1e-18 else np.float64
LIBM_ULPS = 0.0 if EXACT is np.longdouble else 1.0
N = 2000
# Not a multiple of any vector's length, and more than one tile.
SIZES = [1, 2, 3, 5, 7, 8, 9, 15, 17, 63, 65, 255, 257, 600]

POW_BOUND = 5e-13

SPECIAL = [0.0, -0.0, 1.0, -1.0, 0.5, 2.0, 5e-324, -5e-324, 2.2e-308, 1e308, -1e308]
SPECIAL += [709.0, 710.0, -708.0, -745.0, -746.0, -800.0, math.inf, -math.inf, math.nan]
POW_SPECIAL = [0.0, -0.0, 1.0, -1.0, 2.0, -2.0, 0.5, -0.5, 3.0, -3.0, 1 / 3, 1e300, -1e300]
POW_SPECIAL += [5e-324, -5e-324, 2.0**52 + 1, 2.0**53 + 2, -(2.0**52 + 1), math.inf, -math.inf]
POW_SPECIAL += [math.nan]


def lanes(name):
    """The op over an array, computed in lanes."""
    compiled = mg.compile(lambda x: getattr(x, name)(), batch=True)
    return lambda x: compiled(x).data


def lane_pow(x, y):
    return mg.compile(lambda a, b: a**b, batch=True)(x, y).data


def exact(function, *arrays):
    with np.errstate(all="ignore"):
        return function(*[a.astype(EXACT) for a in arrays])


def ulps(ours, reference):
    """How far apart in units of the last place of the reference."""
    with np.errstate(over="ignore"):
        rounded = reference.astype(np.float64)
    return np.abs(ours - reference) / np.spacing(np.abs(rounded)).astype(EXACT)


def numbers(op):
    """Numbers all over the op's domain, of which libm is not asked, whose results are normal."""
    x = REFERENCES[op.name].numbers(np.random.default_rng(7), N)
    x = x[np.abs(x) < op.libm_beyond]
    z = np.abs(exact(REFERENCES[op.name].numpy, x))
    return x[(z == 0) | ((z > 2.3e-308) & (z < 1.7e308))]


def worst(errors, *arguments):
    """The largest error and where it is, for the message."""
    k = int(np.argmax(errors))
    return f"{float(errors[k]):.3g} at {[float(a[k]) for a in arguments]!r}"


def assert_within_bound(op, x, ours):
    known = REFERENCES[op.name]
    z = exact(known.numpy, x)
    errors = np.abs(ours - z) / np.finfo(np.float64).eps if known.of_one else ulps(ours, z)
    assert np.all(errors <= known.kernel_ulps + LIBM_ULPS), worst(errors, x)


# ---- which variant runs ----


def test_an_unknown_variant_is_refused_and_changes_nothing():
    before = _core.kernel_variant()
    assert not _core._set_kernel_variant("sse9")
    assert _core.kernel_variant() == before
    assert before in VARIANTS


def test_none_chooses_the_best_variant_again():
    before = _core.kernel_variant()
    assert _core._set_kernel_variant("portable")
    assert _core._set_kernel_variant(None)
    assert _core.kernel_variant() == before


# ---- errors ----


@pytest.mark.parametrize("op", UNARY, ids=lambda op: op.name)
def test_unary_ops_keep_their_error_bounds(variant, op):
    x = numbers(op)
    assert_within_bound(op, x, lanes(op.name)(x))


@pytest.mark.parametrize("op", UNARY, ids=lambda op: op.name)
def test_the_bounds_hold_for_every_number_of_lanes(variant, op):
    x = np.random.default_rng(3).permutation(numbers(op))
    run = lanes(op.name)
    for size in SIZES:
        assert_within_bound(op, x[:size], run(x[:size]))


def test_powers_of_usual_numbers_are_within_the_stated_bound(variant):
    rng = np.random.default_rng(11)
    x, y = rng.uniform(0.05, 20, N), rng.uniform(-20, 20, N)
    reference = exact(np.power, x, y)
    errors = np.abs(lane_pow(x, y) / reference - 1)
    assert np.all(errors <= POW_BOUND), worst(errors, x, y)


def test_powers_up_to_the_largest_floats_are_within_the_stated_bound(variant):
    rng = np.random.default_rng(12)
    x = np.exp(rng.uniform(-5, 5, 10 * N))
    y = rng.uniform(-700, 700, 10 * N) / np.maximum(np.abs(np.log(x)), 1e-3)
    errors = np.abs(lane_pow(x, y) / exact(np.power, x, y) - 1)
    assert np.all(errors <= POW_BOUND), worst(errors, x, y)


def test_negative_numbers_to_whole_powers_are_within_the_bound(variant):
    rng = np.random.default_rng(13)
    x, y = -rng.uniform(0.1, 5, N), rng.integers(-30, 31, N).astype(float)
    errors = np.abs(lane_pow(x, y) / exact(np.power, x, y) - 1)
    assert np.all(errors <= POW_BOUND), worst(errors, x, y)


@pytest.mark.parametrize("exponent", [-3, -2, -1, -0.5, 0, 0.5, 1, 2, 3, 7, 1.7, -2.3])
def test_fixed_powers_are_within_the_bound(variant, exponent):
    x = np.random.default_rng(14).uniform(0.01, 30, N)
    ours = mg.compile(lambda v: v**exponent, batch=True)(x).data
    errors = np.abs(ours / exact(lambda v: v ** EXACT(exponent), x) - 1)
    assert np.all(errors <= POW_BOUND), worst(errors, x)


BY_LIBM = [op for op in UNARY if op.libm_beyond < math.inf]


@pytest.mark.parametrize("op", BY_LIBM, ids=lambda op: op.name)
def test_numbers_beyond_the_kernels_agree_with_eager(variant, op):
    rng = np.random.default_rng(15)
    magnitudes = 10.0 ** np.repeat([7, 9, 12, 15, 18, 22, 100, 300], 50)
    x = rng.uniform(-1, 1, magnitudes.size) * magnitudes
    ours = lanes(op.name)(x)
    eager = np.array([getattr(Value(v), op.name)().data for v in x])
    errors = np.abs(ours - eager)
    assert np.all(errors <= 1e-12), worst(errors, x)


def mixed(rng, n):
    """Numbers that a kernel is for, and the same with one in ten beyond, nan and inf among them."""
    usual = rng.uniform(-3, 3, n)
    far = rng.choice([1.000001e6, -3e7, 1e22, 1e300, math.inf, math.nan], n)
    is_far = rng.random(n) < 0.1
    is_far[n // 3 : n // 3 + 70] = False  # a block without any
    return usual, np.where(is_far, far, usual), is_far


@pytest.mark.parametrize("op", BY_LIBM, ids=lambda op: op.name)
@pytest.mark.parametrize("n", [1, 63, 64, 65, 600])
def test_only_numbers_beyond_the_kernels_are_left_to_libm(variant, op, n):
    usual, x, is_far = mixed(np.random.default_rng(n), n)
    f = mg.compile(lambda x: getattr(x, op.name)() * 3.0 + x * 0.5, batch=True)
    (values, slopes), (own_values, own_slopes) = f.value_and_grad(x), f.value_and_grad(usual)
    assert values[~is_far].tolist() == own_values[~is_far].tolist()
    assert slopes[~is_far].tolist() == own_slopes[~is_far].tolist()
    for v, value, slope in zip(x[is_far], values[is_far], slopes[is_far], strict=True):
        if not math.isfinite(v):
            assert math.isnan(value)
            assert math.isnan(slope)
            continue
        leaf = Value(v)
        (getattr(leaf, op.name)() * 3.0).backward()
        assert value == pytest.approx(getattr(math, op.name)(v) * 3.0 + v * 0.5, rel=1e-15)
        assert slope == pytest.approx(leaf.grad + 0.5, abs=1e-15)


@pytest.mark.parametrize("op", BY_LIBM, ids=lambda op: op.name)
def test_uniform_numbers_beyond_the_kernels_are_left_to_libm(variant, op):
    leaves = [Value(v) for v in (0.5, 2e6, -1e300, 0.25, 1e9, -0.5)]
    results = mg.compile(lambda: [getattr(v, op.name)() for v in leaves])()
    sum(results).backward()
    for leaf, result in zip(leaves, results, strict=True):
        eager = Value(leaf.data)
        getattr(eager, op.name)().backward()
        assert result.data == pytest.approx(getattr(math, op.name)(leaf.data), abs=1e-15)
        assert leaf.grad == pytest.approx(eager.grad, abs=1e-15)


# ---- special numbers ----


@pytest.mark.parametrize("op", UNARY, ids=lambda op: op.name)
def test_special_numbers_give_what_libm_gives(variant, op):
    x = np.array([v for v in SPECIAL if not op.libm_beyond < abs(v) < math.inf])
    ours = lanes(op.name)(x)
    with np.errstate(all="ignore"):
        reference = np.asarray(REFERENCES[op.name].numpy(x.astype(EXACT)), dtype=np.float64)
    for v, a, b in zip(x, ours, reference, strict=True):
        same = bits(a) == bits(b) or abs(a - b) <= 4 * np.spacing(abs(b)) or a == b == 0.0
        assert same, f"{op.name}({v!r}) is {a!r}, libm says {b!r}"


@pytest.mark.parametrize("op", UNARY, ids=lambda op: op.name)
def test_zeros_have_the_sign_that_libm_gives_them(variant, op):
    x = np.array([0.0, -0.0])
    ours = lanes(op.name)(x)
    with np.errstate(all="ignore"):
        reference = np.asarray(REFERENCES[op.name].numpy(x.astype(EXACT)), dtype=np.float64)
    if op.name == "relu":
        reference = x  # x < 0 ? 0 : x
    reference = np.where(np.isnan(reference), ours, reference)
    assert np.signbit(ours).tolist() == np.signbit(reference).tolist()


@pytest.mark.parametrize("name", ["exp", "sigmoid"])
def test_results_below_the_normal_range_fade_out(variant, name):
    x = np.linspace(-745.1, -708.0, 500)
    ours = lanes(name)(x)
    reference = np.exp(x)
    assert np.all(np.abs(ours - reference) <= 4 * np.spacing(reference))


def test_exp_below_the_normal_range_is_rounded_to_the_nearest(variant):
    x = np.concatenate(
        [np.linspace(-746.0, -707.9, 3000), -708.3964185322641 + np.arange(-9, 9) * 1e-13]
    )
    exact = [mpmath.exp(v) for v in x.tolist()]
    for v, ours, z in zip(x.tolist(), lanes("exp")(x).tolist(), exact, strict=True):
        assert abs(mpmath.mpf(ours) - z) <= 0.501 * 5e-324 + 2.0**-52 * z, v


def test_exp_overflows_where_libm_does(variant):
    x = np.array([709.782712893383, 709.782712893384, 709.79, 1e5])
    assert np.isfinite(lanes("exp")(x)).tolist() == [True, True, False, False]
    with np.errstate(over="ignore"):
        assert np.isfinite(np.exp(x)).tolist() == [True, True, False, False]


def test_special_powers_give_what_libm_gives(variant):
    x, y = (a.ravel() for a in np.meshgrid(POW_SPECIAL, POW_SPECIAL))
    with np.errstate(all="ignore"):
        reference = np.power(x, y)
    for base, exponent, a, b in zip(x, y, lane_pow(x, y), reference, strict=True):
        close = math.isfinite(b) and abs(a - b) <= POW_BOUND * abs(b)
        same = bits(a) == bits(b) or (close and math.copysign(1, a) == math.copysign(1, b))
        assert same, f"{base!r} ** {exponent!r} is {a!r}, libm says {b!r}"


# ---- derivatives, and every form of operands ----


def eager_gradient(function, rows):
    """Per sample the gradient of one Value over a row's Values, by the eager engine."""
    gradients = []
    for row in rows:
        leaves = [Value(v) for v in row]
        function(leaves).backward()
        gradients.append([v.grad for v in leaves])
    return np.array(gradients)


def smooth(op, rng, shape):
    return rng.uniform(op.lo + 1e-3, op.hi, shape)


@pytest.mark.parametrize("op", UNARY, ids=lambda op: op.name)
def test_derivatives_agree_with_eager(variant, op):
    x = smooth(op, np.random.default_rng(21), (77, 1))

    def function(row):
        return getattr(row[0], op.name)()

    outputs, gradient = mg.compile(function, batch=True).value_and_grad(x)
    assert outputs == pytest.approx([function([Value(v)]).data for v in x[:, 0]], rel=1e-13)
    assert gradient == pytest.approx(eager_gradient(function, x), rel=1e-12, abs=1e-13)


# The sub and div of compiled functions among them, which eagerly are compositions. vpow: see pow.
BINARY = [op.name for op in _core.OPS if op.kind != "unary" and not REFERENCES[op.name].orders]
BINARY = [name for name in BINARY if name != "vpow"] + ["sub", "div"]


@pytest.mark.parametrize("name", BINARY)
def test_rows_and_uniform_operands_agree_with_eager(variant, name):
    op = partial(apply, name)
    rng = np.random.default_rng(31)
    x = rng.uniform(0.3, 2.5, (77, 2))
    u = Value(1.3)

    def function(row):
        a, b = row
        return op(a, b) * 0.5 + op(a, u) * 0.25 + op(u, b) * 2.0 + op(a, a)

    outputs, gradient = mg.compile(function, batch=True).value_and_grad(x)
    assert u.grad == 0.0
    expected = [function([Value(v) for v in row]).data for row in x]
    assert outputs == pytest.approx(expected, rel=1e-12)
    assert gradient == pytest.approx(eager_gradient(function, x), rel=1e-12, abs=1e-12)
    eager_u, u.grad = u.grad, 0.0
    mg.compile(function, batch=True)(x).sum().backward()
    assert u.grad == pytest.approx(eager_u, rel=1e-12)


@pytest.mark.parametrize("name", ["sin", "cos", "exp", "tanh"])
def test_ops_on_uniform_numbers_are_computed_once_and_agree(variant, name):
    u = Value(0.7)
    f = mg.compile(lambda x: x * getattr(u, name)(), batch=True)
    x = np.linspace(-1.0, 1.0, 33)
    assert f(x).data == pytest.approx(x * getattr(np, name)(0.7), rel=1e-14)
    (once,) = [step for step in f.program(x).steps() if step.op == name]
    assert not once.lanes
    f(x).mean().backward()
    leaf = Value(0.7)
    (getattr(leaf, name)() * float(x.mean())).backward()
    assert u.grad == pytest.approx(leaf.grad, abs=1e-15)


@pytest.mark.parametrize("k", [0.5, 1.0, 2.0, 3.0, -1.0, 1.5])
def test_the_power_s_derivative_at_zero_flows_as_ieee_says(variant, k):
    f = mg.compile(lambda x: x**k, batch=True)
    _, gradient = f.value_and_grad(np.array([0.0, 1.0, 2.0]))
    with np.errstate(all="ignore"):
        expected = k * np.array([0.0, 1.0, 2.0]) ** (k - 1)
    assert np.abs(gradient) == pytest.approx(np.abs(expected), rel=1e-12)


def test_ties_share_the_gradient_evenly(variant):
    x = np.ones((9, 2))
    for name in ("maximum", "minimum"):
        f = mg.compile(lambda row, op=name: getattr(row[0], op)(row[1]), batch=True)
        _, gradient = f.value_and_grad(x)
        assert gradient.tolist() == [[0.5, 0.5]] * 9


def test_variants_agree_with_each_other():
    before = _core.kernel_variant()
    x = np.random.default_rng(41).uniform(-2, 2, (300, 2))
    f = mg.compile(lambda r: (r[0].tanh() * r[1].exp() + r[0].sin() ** 2).sigmoid(), batch=True)
    results = []
    for name in VARIANTS:
        if _core._set_kernel_variant(name):
            results.append(f.value_and_grad(x))
    _core._set_kernel_variant(before)
    for outputs, gradient in results[1:]:
        assert outputs == pytest.approx(results[0][0], rel=1e-14)
        assert gradient == pytest.approx(results[0][1], rel=1e-12, abs=1e-14)


def test_exp_has_every_digit_that_subnormal_numbers_have(variant):
    x = np.linspace(-745.9, -700.0, 4001)
    found = mg.compile(lambda x: x.exp(), batch=True).values(x)
    exact = np.array([math.exp(v) for v in x])
    assert np.all(np.abs(found - exact) <= np.maximum(5e-324, 4e-16 * exact))
