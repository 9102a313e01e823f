"""Measures the errors of ops against mpmath and writes the table in docs/accuracy.md.

Usage: accuracy.py [--points N] [--write] [OP...]

All ops, or those named, each with the formulas of tests/helpers/references.py.

Values and derivatives, eager and compiled (in lanes, on every kernel variant that runs here), over
the whole range of float64: subnormal numbers, the largest ones, near 1, near 0, near poles and
multiples of pi/2. Errors are in units of the last place of the exact result (ulp; of a subnormal
result 5e-324). test_accuracy.py measures fewer points and reads its limits from the table.
"""

import argparse
import math
import re
import sys
from pathlib import Path
from typing import NamedTuple

import mpmath
import numpy as np

import micrograd_fast as mg
from micrograd_fast import _core
from micrograd_fast.engine import Value

ROOT = Path(__file__).resolve().parent.parent
sys.path.insert(0, str(ROOT / "tests" / "helpers"))
from reference import of_every_size  # noqa: E402
from references import REFERENCES, apply  # noqa: E402

PAGE = ROOT / "docs" / "accuracy.md"
VARIANTS = ("portable", "avx2", "avx512")
COLUMNS = ("value, eager", "value, compiled", "derivatives, eager", "derivatives, compiled")
PRECISION = 200
# Compiled derivatives below 2**-1022 are 0, and so may be a part of one that is just above.
SMALLEST = 2.0**-1020


class Row(NamedTuple):
    """name: of the op; k: the fixed exponent of a power, else None."""

    name: str
    k: float | None = None

    def apply(self, *xs):
        """The op on Values."""
        return apply(self.name, *self.operands(*xs))

    def operands(self, *xs):
        return xs if self.k is None else (*xs, self.k)


def rows():
    """What the table's rows, as Python writes them, are about: operators, then methods."""
    found = {"x + y": Row("add"), "x - y": Row("sub"), "x * y": Row("mul"), "x / y": Row("div")}
    found |= {f"x ** {k}": Row("pow", k) for k in (-1, 2, 3, 12, 0.5, -2.5, 1.7)}
    found["x ** y"] = Row("vpow")
    for op in _core.OPS:
        if op.doc:
            found[f"x.{op.name}({'y' if op.arity == 2 else ''})"] = Row(op.name)
    return found


OPS = rows()


def two_operands(text, rng, n):
    pairs = REFERENCES[OPS[text].name].pairs
    if pairs is not None:
        return pairs(rng, n)
    x, y = of_every_size(rng, 2 * n), of_every_size(rng, 2 * n)
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
    op = REFERENCES[OPS[text].name]
    binary = len(op.slopes) == 2
    columns = two_operands(text, rng, n) if binary else (op.numbers(rng, n),)
    order = np.argsort(np.abs(columns[0]))  # lanes compute small ones among themselves otherwise
    return tuple(c[order] for c in columns)


def exact_results(text, columns):
    """Per point (value, partials) as mpmath has them; None where there is no real result."""
    row, op = OPS[text], REFERENCES[OPS[text].name]
    results = []
    for point in zip(*(c.tolist() for c in columns), strict=True):
        numbers = [mpmath.mpf(x) for x in row.operands(*point)]
        with mpmath.workprec(PRECISION):
            try:
                found = [op.exact(*numbers), *(d(*numbers) for d in op.exact_slopes)]
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
    function = OPS[text].apply
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
    function = OPS[text].apply
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


def measured(text, n):
    """{column: bound}; prints where the worst is."""
    found = measure(text, n)
    for column, (error, point) in found.items():
        print(f"{text:14} {column:22} {error:10.3f}  at {point}")
    return {column: bound(error) for column, (error, _) in found.items()}


def table(n, names):
    """The page's table, the rows of the named ops measured anew."""
    lines = ["| op | " + " | ".join(COLUMNS) + " |", "|---|---|---|---|---|"]
    stated = stated_bounds()
    for text, row in OPS.items():
        if not names or row.name in names:
            stated[text] = measured(text, n)
        if text in stated:
            bounds = " | ".join(f"{stated[text][column]:g}" for column in COLUMNS)
            lines.append(f"| `{text}` | {bounds} |")
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
    parser.add_argument("ops", nargs="*", metavar="OP", help="names in src/ops.h; none: all")
    options = parser.parse_args()
    made = table(options.points, options.ops)
    print(made)
    if options.write:
        before, _, rest = PAGE.read_text("utf-8").partition("| op |")
        after = rest.partition("\n\n")[2]
        PAGE.write_text(before + made + "\n\n" + after, "utf-8")


if __name__ == "__main__":
    main()
