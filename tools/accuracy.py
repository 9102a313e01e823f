"""Measures the errors of every op against mpmath and writes the table in docs/accuracy.md.

Usage: accuracy.py [--points N] [--write]

Values and derivatives, eager and compiled (in lanes, on every kernel variant that runs here), over
the whole range of float64: subnormal numbers, the largest ones, near 1, near 0, near poles and
multiples of pi/2. Errors are in units of the last place of the exact result (ulp; of a subnormal
result 5e-324). test_accuracy.py measures fewer points and reads its limits from the table.
"""

import argparse
import math
import re
from pathlib import Path

import mpmath
import numpy as np

import micrograd_fast as mg
from micrograd_fast import _core
from micrograd_fast.engine import Value

PAGE = Path(__file__).resolve().parent.parent / "docs" / "accuracy.md"
VARIANTS = ("portable", "avx2", "avx512")
COLUMNS = ("value, eager", "value, compiled", "derivatives, eager", "derivatives, compiled")
PRECISION = 200
SMALLEST = 2.0**-1022  # of the normal numbers: compiled derivatives below are 0


def _sigmoid(x):
    return 1 / (1 + mpmath.exp(-x))


# The op as Python writes it, its exact value and its exact partial derivatives.
OPS = {
    "x + y": (lambda x, y: x + y, lambda x, y: x + y, (lambda x, y: 1, lambda x, y: 1)),
    "x - y": (lambda x, y: x - y, lambda x, y: x - y, (lambda x, y: 1, lambda x, y: -1)),
    "x * y": (lambda x, y: x * y, lambda x, y: x * y, (lambda x, y: y, lambda x, y: x)),
    "x / y": (lambda x, y: x / y, lambda x, y: x / y, (lambda x, y: 1 / y, lambda x, y: -x / y**2)),
    "x ** -1": (lambda x: x**-1, lambda x: 1 / x, (lambda x: -1 / x**2,)),
    "x ** 2": (lambda x: x**2, lambda x: x**2, (lambda x: 2 * x,)),
    "x ** 3": (lambda x: x**3, lambda x: x**3, (lambda x: 3 * x**2,)),
    "x ** 1.7": (
        lambda x: x**1.7,
        lambda x: x ** mpmath.mpf(1.7),
        (lambda x: mpmath.mpf(1.7) * x ** (mpmath.mpf(1.7) - 1),),
    ),
    "x ** y": (
        lambda x, y: x**y,
        lambda x, y: x**y,
        (lambda x, y: y * x ** (y - 1), lambda x, y: x**y * mpmath.log(x)),
    ),
    "x.exp()": (lambda x: x.exp(), mpmath.exp, (mpmath.exp,)),
    "x.log()": (lambda x: x.log(), mpmath.log, (lambda x: 1 / x,)),
    "x.log1p()": (lambda x: x.log1p(), mpmath.log1p, (lambda x: 1 / (1 + x),)),
    "x.sqrt()": (lambda x: x.sqrt(), mpmath.sqrt, (lambda x: 1 / (2 * mpmath.sqrt(x)),)),
    "x.tanh()": (lambda x: x.tanh(), mpmath.tanh, (lambda x: mpmath.sech(x) ** 2,)),
    "x.sigmoid()": (
        lambda x: x.sigmoid(),
        _sigmoid,
        (lambda x: mpmath.exp(-abs(x)) / (1 + mpmath.exp(-abs(x))) ** 2,),
    ),
    "x.relu()": (lambda x: x.relu(), lambda x: max(x, mpmath.mpf(0)), (lambda x: int(x > 0),)),
    "x.sin()": (lambda x: x.sin(), mpmath.sin, (mpmath.cos,)),
    "x.cos()": (lambda x: x.cos(), mpmath.cos, (lambda x: -mpmath.sin(x),)),
    "abs(x)": (abs, abs, (lambda x: -1 if x < 0 else 1,)),
    "x.maximum(y)": (
        lambda x, y: x.maximum(y),
        max,
        (lambda x, y: int(x > y), lambda x, y: int(y > x)),
    ),
    "x.minimum(y)": (
        lambda x, y: x.minimum(y),
        min,
        (lambda x, y: int(x < y), lambda x, y: int(y < x)),
    ),
}


def everywhere(rng, n):
    """Numbers of every size, subnormal ones included, of either sign."""
    return 2.0 ** rng.uniform(-1074, 1023.99, n) * rng.choice([-1, 1], n)


def near_quarter_turns(rng, n):
    """The floats next to multiples of pi/2, up to a million, and some beyond."""
    turns = np.concatenate([np.arange(1, n // 4), rng.integers(1, 636_000, n)]).astype(float)
    near = turns * (np.pi / 2)
    steps = rng.integers(-3, 4, near.size) * np.spacing(near)
    return (near + steps) * rng.choice([-1, 1], near.size)


def one_operand(text, rng, n):
    wide = everywhere(rng, n)
    usual = rng.normal(0, 3, n)
    near = 2.0 ** rng.uniform(-60, 0, n) * rng.choice([-1, 1], n)
    if "exp" in text or "tanh" in text or "sigmoid" in text:
        far = [rng.uniform(-limit, limit, n) for limit in (750, 750, 40, 6, 6)]
        return np.concatenate([*far, usual, near])
    if "log1p" in text:
        return np.concatenate([np.abs(wide), near, -1 + np.abs(near), usual])
    if "sin" in text or "cos" in text:
        return np.concatenate([wide, usual, near, near_quarter_turns(rng, n)])
    return np.concatenate([wide, usual, near, 1 + near])


def two_operands(text, rng, n):
    x, y = everywhere(rng, 2 * n), everywhere(rng, 2 * n)
    if text == "x ** y":
        x = np.abs(np.concatenate([x, 1 + 2.0 ** rng.uniform(-52, 0, n), rng.uniform(0, 9, n)]))
        y = rng.uniform(-745, 710, x.size) / np.where(x == 1, 1, np.log(x))
        x = np.concatenate([x, -rng.uniform(0, 9, n)])
        return x, np.concatenate([y, rng.integers(-300, 300, n)])
    if text == "x / y":  # eager, it is x * y**-1
        size = rng.uniform(-1, 1, 2 * n)
        x, y = 2.0 ** (500 * size) * np.sign(x), 2.0 ** (500 * rng.permutation(size)) * np.sign(y)
    usual = rng.normal(0, 3, (2, n))
    return np.concatenate([x, usual[0]]), np.concatenate([y, usual[1]])


def operands(text, n):
    rng = np.random.default_rng(sum(map(ord, text)))
    binary = len(OPS[text][2]) == 2
    columns = two_operands(text, rng, n) if binary else (one_operand(text, rng, n),)
    order = np.argsort(np.abs(columns[0]))  # lanes compute small ones among themselves otherwise
    return tuple(c[order] for c in columns)


def exact_results(text, columns):
    """Per point (value, partials) as mpmath has them; None where there is no real result."""
    _, value, partials = OPS[text]
    results = []
    for point in zip(*(c.tolist() for c in columns), strict=True):
        numbers = [mpmath.mpf(x) for x in point]
        with mpmath.workprec(PRECISION):
            try:
                found = [value(*numbers), *(d(*numbers) for d in partials)]
            except (ZeroDivisionError, ValueError):
                found = [mpmath.mpc(1j)]
            real = [None if isinstance(v, mpmath.mpc) else mpmath.mpf(v) for v in found]
        results.append(real)
    return results


def ulps(ours, exact):
    """How far off, in units of the last place of the exact result."""
    if exact is None:
        return 0.0
    rounded = float(exact)  # beyond the largest float: inf
    if ours == rounded and math.isinf(rounded):
        return 0.0
    if math.isinf(rounded) or not math.isfinite(ours):
        largest = math.copysign(2.0**1023 * (2 - 2.0**-52), exact)
        ours = largest if math.isinf(ours) and ours * largest > 0 else ours
        rounded = largest if math.isinf(rounded) else rounded
        if not math.isfinite(ours):
            return math.inf
    with mpmath.workprec(PRECISION):
        return float(abs(mpmath.mpf(ours) - exact) / mpmath.mpf(math.ulp(rounded)))


def eager_results(text, columns):
    """Per point [value, partials ...], None where Python raises."""
    function = OPS[text][0]
    results = []
    for point in zip(*(c.tolist() for c in columns), strict=True):
        leaves = [Value(x) for x in point]
        found = [None] * (1 + len(point))
        try:
            out = function(*leaves)
            found[0] = out.data
            out.backward()
            found[1:] = [v.grad for v in leaves]
        except (ArithmeticError, ValueError):
            pass
        results.append(found)
    return results


def compiled_results(text, columns):
    function = OPS[text][0]
    compiled = mg.compile(lambda *xs: function(*xs), batch=True)
    values, gradients = compiled.value_and_grad(*columns)
    gradients = gradients if isinstance(gradients, tuple) else (gradients,)
    return np.column_stack([values, *gradients]).tolist()


def worst(found, exact, columns, flushed):
    """(error, operands) of the worst value and of the worst partial derivative."""
    value, slope = (0.0, ()), (0.0, ())
    points = zip(*(c.tolist() for c in columns), strict=True)
    for ours, right, point in zip(found, exact, points, strict=True):
        if right[0] is None or ours[0] is None:
            continue
        value = max(value, (ulps(ours[0], right[0]), point))
        for z, d in zip(ours[1:], right[1:], strict=True):
            if z is None or d is None:
                continue
            if flushed and abs(d) < SMALLEST:
                continue
            slope = max(slope, (ulps(z, d), point))
    return value, slope


def measure(text, n):
    """{column: (error, operands)}, of the compiled ones the worst variant."""
    columns = operands(text, n)
    exact = exact_results(text, columns)
    found = dict.fromkeys(COLUMNS, (0.0, ()))
    found[COLUMNS[0]], found[COLUMNS[2]] = worst(
        eager_results(text, columns), exact, columns, flushed=False
    )
    before = _core.kernel_variant()
    try:
        for variant in VARIANTS:
            if _core._set_kernel_variant(variant):
                value, slope = worst(compiled_results(text, columns), exact, columns, flushed=True)
                found[COLUMNS[1]] = max(found[COLUMNS[1]], value)
                found[COLUMNS[3]] = max(found[COLUMNS[3]], slope)
    finally:
        _core._set_kernel_variant(before)
    return found


def bound(error):
    """What the page promises: the next half ulp, with something to spare."""
    if error <= 0.5:
        return math.ceil(2 * error) / 2
    if error > 10:  # 1 - z where z is close to 1: the worst is rare
        return math.ceil(error * 1.2 / 50) * 50.0
    return math.ceil(2 * (error * 1.02 + 0.05)) / 2


def table(n):
    lines = ["| op | " + " | ".join(COLUMNS) + " |", "|---|---|---|---|---|"]
    for text in OPS:
        found = measure(text, n)
        for column, (error, point) in found.items():
            print(f"{text:14} {column:22} {error:10.3f}  at {point}")
        lines.append(
            f"| `{text}` | " + " | ".join(f"{bound(found[c][0]):g}" for c in COLUMNS) + " |"
        )
    return "\n".join(lines)


def stated_bounds():
    """{op: {column: ulp}} as the table in docs/accuracy.md has them."""
    rows = re.findall(
        r"^\| `(.+?)` \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \| ([\d.]+) \|$",
        PAGE.read_text("utf-8"),
        re.M,
    )
    return {text: dict(zip(COLUMNS, map(float, numbers), strict=True)) for text, *numbers in rows}


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--points", type=int, default=3000, help="of each kind of numbers")
    parser.add_argument("--write", action="store_true", help="into docs/accuracy.md")
    options = parser.parse_args()
    made = table(options.points)
    print(made)
    if options.write:
        before, _, rest = PAGE.read_text("utf-8").partition("| op |")
        after = rest.partition("\n\n")[2]
        PAGE.write_text(before + made + "\n\n" + after, "utf-8")


if __name__ == "__main__":
    main()
