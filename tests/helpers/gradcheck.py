"""Numeric differences: what backward() is measured against.

`assert_gradients(f, xs)` is the check; `f` takes one Value a number in xs and returns a Value. It
holds for smooth f only: the caller chooses xs away from kinks and from the ends of domains.
"""

import math

from micrograd_fast.engine import Value

# Richardson's combination of two central differences is off by step**4, rounding by 1e-16 / step:
# the step that balances the two is the fifth root of 1e-16, for arguments near 1.
STEP = 6e-4
TOLERANCE = 1e-9


def central_difference(f, xs, k, step):
    """The slope of f at xs along argument k. The step that float64 really takes divides."""
    above, below = list(xs), list(xs)
    above[k] += step
    below[k] -= step
    return (f(*above) - f(*below)) / (above[k] - below[k])


def numeric_gradient(f, xs):
    """The partial derivatives at xs of f, a function of floats: exact up to the fourth order."""
    gradient = []
    for k, x in enumerate(xs):
        step = STEP * max(1.0, abs(x))
        wide = central_difference(f, xs, k, step)
        narrow = central_difference(f, xs, k, step / 2)
        gradient.append((4 * narrow - wide) / 3)
    return gradient


def backward_gradient(f, xs):
    """The gradient at xs that backward() gives for f, a function of Values."""
    leaves = [Value(x) for x in xs]
    f(*leaves).backward()
    return [leaf.grad for leaf in leaves]


def assert_gradients(f, xs, tolerance=TOLERANCE):
    """Fails unless every partial derivative is within tolerance, relative above 1."""
    numeric = numeric_gradient(lambda *numbers: f(*map(Value, numbers)).data, xs)
    ours = backward_gradient(f, xs)
    for k, (a, b) in enumerate(zip(ours, numeric, strict=True)):
        scale = max(1.0, abs(b))
        assert math.isfinite(a), f"argument {k} of {xs}: backward gives {a}"
        assert abs(a - b) <= tolerance * scale, (
            f"argument {k} of {xs}: backward gives {a!r}, differences give {b!r}"
        )
