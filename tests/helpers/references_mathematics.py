"""References of the ops that NumPy and SciPy have functions for: see references.py."""

import math

import mpmath
import numpy as np
import scipy.special
from reference import (
    Reference,
    anywhere,
    near_zero,
    of_every_size,
    where_exp_is_finite,
    with_quarter_turns,
)

LOG_2 = math.log(2)

# ---- mpmath's functions, of arrays and of floats ----


def number(function, *numbers):
    """mpmath's function as a longdouble, as nan where it has no real value."""
    with mpmath.workprec(120):
        try:
            z = function(*[mpmath.mpf(float(x)) for x in numbers])
        except (ValueError, ZeroDivisionError):
            return np.longdouble("nan")
        if isinstance(z, mpmath.mpc) or not mpmath.isfinite(z):
            return np.longdouble("nan" if isinstance(z, mpmath.mpc) else float(z))
        high = float(z) if abs(z) < 1e400 else math.copysign(math.inf, z)
        low = float(z - high) if math.isfinite(high) else 0.0
    return np.longdouble(high) + np.longdouble(low)


def elementwise(exact, quick):
    """A function of arrays: mpmath's for long doubles, once for each number, SciPy's for others."""
    known = {}

    def at(*xs):
        if xs[0] == 0:  # of which mpmath has one
            return quick(*map(np.float64, xs))
        if xs not in known:
            known[xs] = number(exact, *xs)
        return known[xs]

    def function(*arrays):
        arrays = np.broadcast_arrays(*arrays)
        if arrays[0].dtype != np.longdouble or np.longdouble is np.float64:
            return quick(*arrays)
        points = zip(*[a.ravel() for a in arrays], strict=True)
        found = [at(*xs) for xs in points]
        return np.array(found, np.longdouble).reshape(arrays[0].shape)

    return function


def python_like(function, is_outside=lambda *xs: False):
    """A function of floats that raises as those of `math` do."""

    def wrapped(*xs):
        if is_outside(*xs):
            raise ValueError("math domain error")
        with np.errstate(all="ignore"):
            z = float(function(*map(np.float64, xs)))
        if math.isinf(z) and all(map(math.isfinite, xs)):
            raise OverflowError("math range error")
        return z

    return wrapped


def rounded(exact):
    return lambda *xs: float(number(exact, *xs))


# ---- numbers ----


def inside_one(rng, n):
    near = near_zero(rng, n)
    far = np.sign(near) * (1 - np.abs(near))
    return np.concatenate([rng.uniform(-1, 1, 2 * n), near, far, 2.0 ** rng.uniform(-1074, 0, n)])


def above_one(rng, n):
    wide = np.abs(of_every_size(rng, 2 * n))
    return np.concatenate([wide[wide >= 1], 1 + np.abs(near_zero(rng, n)), rng.uniform(1, 9, n)])


def positive(rng, n):
    wide = np.abs(of_every_size(rng, n))
    return np.concatenate([wide, rng.uniform(0, 40, 2 * n), 1 + near_zero(rng, n) / 2])


def gamma_numbers(rng, n):
    return np.concatenate([rng.uniform(1e-3, 40, 2 * n), 10 ** rng.uniform(-300, 300, n)])


def normal_numbers(rng, n):
    far = [rng.uniform(-limit, limit, n) for limit in (40, 9, 3)]
    return np.concatenate([*far, near_zero(rng, n), of_every_size(rng, n)])


def exponents_of_two(rng, n):
    return np.concatenate([rng.uniform(-1080, 1030, n), rng.normal(0, 3, n), near_zero(rng, n)])


def pairs_of_sums(rng, n):
    """Logarithms, the sum of whose exponentials is not near 1."""
    x, y = rng.uniform(-330, 330, (2, n)), rng.normal(0, 3, (2, n))
    columns = np.concatenate([x, y], axis=1)
    return columns[:, np.abs(np.logaddexp(*columns)) > 1]


def pairs_with_logarithms(rng, n):
    y = np.concatenate([np.abs(of_every_size(rng, n)), rng.uniform(0, 9, n)])
    return np.concatenate([of_every_size(rng, n) * 1e-3, rng.normal(0, 3, n)]), y


def pairs_with_orders(rng, n):
    return rng.uniform(0.1, 40, n), rng.integers(0, 9, n).astype(float)


# ---- what mpmath has not as SciPy has it ----


def exact_erfcx(x):
    if x < -1e5:
        return mpmath.inf
    if x < 1e5:
        with mpmath.workprec(mpmath.mp.prec + 80):
            return mpmath.exp(x * x) * mpmath.erfc(x)
    return sum(c / x**k for k, c in ((1, 1), (3, -0.5), (5, 0.75), (7, -1.875))) / mpmath.sqrt(
        mpmath.pi
    )


def exact_erfcx_slope(x):
    if x < 1e5:
        with mpmath.workprec(mpmath.mp.prec + 120):
            return 2 * x * exact_erfcx(x) - 2 / mpmath.sqrt(mpmath.pi)
    return -sum(c / x**k for k, c in ((2, 1), (4, -1.5), (6, 3.75))) / mpmath.sqrt(mpmath.pi)


def exact_erfc(x):
    if abs(x) > 1e5:
        return mpmath.mpf(0 if x > 0 else 2)
    return mpmath.erfc(x)


def exact_ndtr(x):
    with mpmath.workprec(mpmath.mp.prec + 60):
        return exact_erfc(-x / mpmath.sqrt(2)) / 2


def exact_log_ndtr(x):
    with mpmath.workprec(mpmath.mp.prec + 60):
        if x < 0:
            return mpmath.log(exact_erfcx(-x / mpmath.sqrt(2)) / 2) - x * x / 2
        return mpmath.log1p(-exact_erfc(x / mpmath.sqrt(2)) / 2)


def exact_log_ndtr_slope(x):
    with mpmath.workprec(mpmath.mp.prec + 60):
        return mpmath.sqrt(2 / mpmath.pi) / exact_erfcx(-x / mpmath.sqrt(2))


def exact_density(x):
    if abs(x) > 1e5:
        return mpmath.mpf(0)
    with mpmath.workprec(mpmath.mp.prec + 60):
        return mpmath.exp(-x * x / 2) / mpmath.sqrt(2 * mpmath.pi)


def exact_bell(x):
    if abs(x) > 1e5:
        return mpmath.mpf(0)
    with mpmath.workprec(mpmath.mp.prec + 60):
        return 2 * mpmath.exp(-x * x) / mpmath.sqrt(mpmath.pi)


def log_of_gamma(x):
    if x <= 0 and x == mpmath.floor(x):
        return mpmath.inf
    return mpmath.log(abs(mpmath.gamma(x))) if x < 1e4 else mpmath.loggamma(x)


def exact_polygamma(x, n):
    if x == -mpmath.inf:
        return mpmath.nan
    return mpmath.polygamma(int(n), x)


def exact_cbrt(x):
    return mpmath.sign(x) * mpmath.cbrt(abs(x))


def is_pole(x):
    return -math.inf < x <= 0 and x == math.floor(x)


def softplus(x):
    return np.logaddexp(x.dtype.type(0), x)


def sigmoid(x):
    return np.where(x < 0, np.exp(-np.abs(x)), 1) / (1 + np.exp(-np.abs(x)))


def exact_sigmoid(x):
    return 1 / (1 + mpmath.exp(-x))


def python_softplus(x):
    return float(np.logaddexp(0.0, x))


def bell(x):
    return 2 / np.sqrt(np.pi) * np.exp(-x * x)


def density(x):
    return np.exp(-x * x / 2) / np.sqrt(2 * np.pi)


def log_ndtr_slope(x):
    return np.sqrt(2 / np.pi) / scipy.special.erfcx(-x / np.sqrt(2))


def real(function, lo, hi):
    """mpmath's function between lo and hi, where it is real."""

    def wrapped(x):
        if not lo <= x <= hi:
            raise ValueError("no real result")
        return function(x)

    return wrapped


def unary(name, numpy, slope, exact, exact_slope, numbers=anywhere, **more):
    """One whose Python function is math's."""
    return Reference(
        python=more.pop("python", getattr(math, name, None)),
        numpy=numpy,
        slopes=(slope,),
        exact=exact,
        exact_slopes=(exact_slope,),
        kernel_ulps=more.pop("kernel_ulps", 4),
        numbers=numbers,
        **more,
    )


MATHEMATICS = {
    "tan": unary(
        "tan",
        np.tan,
        lambda x, z: 1 + z * z,
        mpmath.tan,
        lambda x: mpmath.sec(x) ** 2,
        with_quarter_turns,
    ),
    "asin": unary(
        "asin",
        np.arcsin,
        lambda x, z: 1 / np.sqrt((1 - x) * (1 + x)),
        real(mpmath.asin, -1, 1),
        lambda x: 1 / mpmath.sqrt(1 - x * x),
        inside_one,
    ),
    "acos": unary(
        "acos",
        np.arccos,
        lambda x, z: -1 / np.sqrt((1 - x) * (1 + x)),
        real(mpmath.acos, -1, 1),
        lambda x: -1 / mpmath.sqrt(1 - x * x),
        inside_one,
    ),
    "atan": unary(
        "atan",
        np.arctan,
        lambda x, z: 1 / (1 + x * x),
        mpmath.atan,
        lambda x: 1 / (1 + x * x),
    ),
    "atan2": Reference(
        python=math.atan2,
        numpy=np.arctan2,
        slopes=(lambda x, y, z: y / (x * x + y * y), lambda x, y, z: -x / (x * x + y * y)),
        exact=mpmath.atan2,
        exact_slopes=(lambda x, y: y / (x * x + y * y), lambda x, y: -x / (x * x + y * y)),
    ),
    "sinh": unary(
        "sinh", np.sinh, lambda x, z: np.cosh(x), mpmath.sinh, mpmath.cosh, where_exp_is_finite
    ),
    "cosh": unary(
        "cosh", np.cosh, lambda x, z: np.sinh(x), mpmath.cosh, mpmath.sinh, where_exp_is_finite
    ),
    "asinh": unary(
        "asinh",
        np.arcsinh,
        lambda x, z: 1 / np.hypot(x, 1),
        mpmath.asinh,
        lambda x: 1 / mpmath.sqrt(1 + x * x),
    ),
    "acosh": unary(
        "acosh",
        np.arccosh,
        lambda x, z: 1 / (np.sqrt(x - 1) * np.sqrt(x + 1)),
        real(mpmath.acosh, 1, mpmath.inf),
        lambda x: 1 / mpmath.sqrt(x * x - 1),
        above_one,
    ),
    "atanh": unary(
        "atanh",
        np.arctanh,
        lambda x, z: 1 / ((1 - x) * (1 + x)),
        real(mpmath.atanh, -1, 1),
        lambda x: 1 / (1 - x * x),
        inside_one,
    ),
    "expm1": unary(
        "expm1",
        np.expm1,
        lambda x, z: np.exp(x),
        mpmath.expm1,
        mpmath.exp,
        where_exp_is_finite,
    ),
    "exp2": unary(
        "exp2",
        np.exp2,
        lambda x, z: z * LOG_2,
        lambda x: mpmath.mpf(2) ** x,
        lambda x: mpmath.mpf(2) ** x * mpmath.log(2),
        exponents_of_two,
        python=python_like(np.exp2),
        eager_ulps=1,
    ),
    "log2": unary(
        "log2",
        np.log2,
        lambda x, z: 1 / (x * LOG_2),
        lambda x: mpmath.log(x, 2),
        lambda x: 1 / (x * mpmath.log(2)),
    ),
    "log10": unary(
        "log10",
        np.log10,
        lambda x, z: 1 / (x * math.log(10)),
        mpmath.log10,
        lambda x: 1 / (x * mpmath.log(10)),
    ),
    "cbrt": unary(
        "cbrt",
        np.cbrt,
        lambda x, z: 1 / (3 * z * z),
        exact_cbrt,
        lambda x: 1 / (3 * mpmath.cbrt(abs(x)) ** 2),
        python=lambda x: x if x == 0 or x - x != 0 else rounded(exact_cbrt)(x),
        eager_ulps=1,
    ),
    "hypot": Reference(
        python=math.hypot,
        numpy=np.hypot,
        slopes=(lambda x, y, z: x / np.hypot(x, y), lambda x, y, z: y / np.hypot(x, y)),
        exact=mpmath.hypot,
        exact_slopes=(lambda x, y: x / mpmath.hypot(x, y), lambda x, y: y / mpmath.hypot(x, y)),
        eager_ulps=1,
    ),
    "erf": unary(
        "erf",
        elementwise(mpmath.erf, scipy.special.erf),
        lambda x, z: bell(x),
        mpmath.erf,
        exact_bell,
        normal_numbers,
        eager_ulps=1,
    ),
    "erfc": unary(
        "erfc",
        elementwise(exact_erfc, scipy.special.erfc),
        lambda x, z: -bell(x),
        exact_erfc,
        lambda x: -exact_bell(x),
        normal_numbers,
        eager_ulps=1,
    ),
    "erfcx": unary(
        "erfcx",
        elementwise(exact_erfcx, scipy.special.erfcx),
        lambda x, z: 2 * x * z - 2 / np.sqrt(np.pi),
        exact_erfcx,
        exact_erfcx_slope,
        normal_numbers,
        python=python_like(scipy.special.erfcx),
        eager_ulps=4,
        rule_digits=1e-11,
    ),
    "ndtr": unary(
        "ndtr",
        elementwise(exact_ndtr, scipy.special.ndtr),
        lambda x, z: density(x),
        exact_ndtr,
        exact_density,
        normal_numbers,
        python=rounded(exact_ndtr),
        eager_ulps=4,
    ),
    "log_ndtr": unary(
        "log_ndtr",
        elementwise(exact_log_ndtr, scipy.special.log_ndtr),
        lambda x, z: log_ndtr_slope(x),
        exact_log_ndtr,
        exact_log_ndtr_slope,
        normal_numbers,
        python=python_like(rounded(exact_log_ndtr)),
        eager_ulps=4,
        rule_digits=1e-12,
    ),
    "lgamma": unary(
        "lgamma",
        elementwise(log_of_gamma, scipy.special.gammaln),
        lambda x, z: scipy.special.psi(x),
        log_of_gamma,
        mpmath.digamma,
        gamma_numbers,
        python=python_like(rounded(log_of_gamma), is_pole),
        eager_ulps=4,
    ),
    "digamma": unary(
        "digamma",
        elementwise(mpmath.digamma, scipy.special.psi),
        lambda x, z: scipy.special.polygamma(1, x),
        mpmath.digamma,
        lambda x: mpmath.polygamma(1, x),
        gamma_numbers,
        python=python_like(rounded(mpmath.digamma), is_pole),
        eager_ulps=8,
    ),
    "polygamma": Reference(
        python=python_like(
            rounded(exact_polygamma), lambda x, n: is_pole(x) or n not in range(171)
        ),
        numpy=elementwise(exact_polygamma, lambda x, n: scipy.special.polygamma(n.astype(int), x)),
        slopes=(
            lambda x, y, z: scipy.special.polygamma(np.asarray(y + 1).astype(int), x),
            lambda x, y, z: 0 * z,
        ),
        exact=exact_polygamma,
        exact_slopes=(lambda x, n: exact_polygamma(x, n + 1), lambda x, n: 0),
        eager_ulps=8,
        pairs=pairs_with_orders,
        orders=(0, 1, 2, 3, 5),
    ),
    "softplus": unary(
        "softplus",
        softplus,
        lambda x, z: sigmoid(x),
        lambda x: mpmath.log1p(mpmath.exp(x)),
        exact_sigmoid,
        where_exp_is_finite,
        python=python_softplus,
        eager_ulps=2,
    ),
    "logaddexp": Reference(
        python=lambda x, y: float(np.logaddexp(x, y)),
        numpy=np.logaddexp,
        slopes=(lambda x, y, z: sigmoid(x - y), lambda x, y, z: sigmoid(y - x)),
        exact=lambda x, y: mpmath.log(mpmath.exp(x) + mpmath.exp(y)),
        exact_slopes=(lambda x, y: exact_sigmoid(x - y), lambda x, y: exact_sigmoid(y - x)),
        eager_ulps=2,
        pairs=pairs_of_sums,
    ),
    "xlogy": Reference(
        python=lambda x, y: y if x == 0 and y != y else 0.0 if x == 0 else x * math.log(y),
        numpy=scipy.special.xlogy,
        slopes=(lambda x, y, z: np.log(y), lambda x, y, z: x / y),
        exact=lambda x, y: x * mpmath.log(y),
        exact_slopes=(lambda x, y: mpmath.log(y), lambda x, y: x / y),
        pairs=pairs_with_logarithms,
    ),
}
