"""What each op is, said again: formulas that know nothing of src/ops.h, and what may differ.

One entry an op: test_table.py fails where one is missing. `sub` and `div`, compositions for the
eager engine, are ops of programs.
"""

import decimal
import math
import operator

import mpmath
import numpy as np
from reference import (
    Reference,
    above_minus_one,
    where_exp_is_finite,
    with_quarter_turns,
)
from references_mathematics import MATHEMATICS

# Ops that Python spells with an operator; every other op is a method of its own name.
OPERATORS = {"add": "__add__", "sub": "__sub__", "mul": "__mul__", "div": "__truediv__"}
OPERATORS |= {"pow": "__pow__", "vpow": "__pow__"}


def apply(name, x, *y):
    """The op in Python's spelling. At least one operand is a Value."""
    if name in OPERATORS:
        return getattr(operator, OPERATORS[name])(x, *y)
    return getattr(x, name)(*y)


TORCH_NAMES = {"vpow": "pow", "rint": "round", "equal": "eq"}


def torch_function(name):
    """PyTorch's function of an op, or None."""
    import torch

    name = TORCH_NAMES.get(name, name)
    if name in REFERENCES and REFERENCES[name].orders:
        return None  # there they are ints and come first
    places = [p for p in (torch, torch.special, torch.nn.functional) if hasattr(p, name)]
    return getattr(places[0], name) if places else None


def second_operand(op, rng):
    """One from the row's domain, or of those that there are."""
    orders = REFERENCES[op.name].orders
    return float(rng.choice(orders)) if orders else rng.uniform(op.lo, op.hi)


# ---- the table ----


def real_power(x, y):
    """Python's, but ValueError where the result is complex."""
    z = x**y
    if isinstance(z, complex):
        raise ValueError("no real result")
    return z


def decimal_sigmoid(x):
    """By decimal arithmetic with forty digits; beyond 800 it is 0 or 1 to the last bit."""
    if x != x:
        return x
    with decimal.localcontext() as context:
        context.prec = 40
        exact = decimal.Decimal(min(max(x, -800.0), 800.0))
        return float(1 / (1 + (-exact).exp()))


def ones(x, *_):
    return np.ones_like(x)


def truth(holds):
    """A comparison: 1 or 0, which is constant."""
    return Reference(
        python=lambda x, y: float(holds(x, y)),
        numpy=lambda x, y: holds(x, y).astype(x.dtype),
        slopes=(lambda x, y, z: 0 * z, lambda x, y, z: 0 * z),
        exact=lambda x, y: int(holds(x, y)),
        exact_slopes=(lambda x, y: 0, lambda x, y: 0),
    )


def whole(numpy, exact):
    """A rounding to whole numbers, between which it is constant."""
    return Reference(
        python=lambda x: float(numpy(x)),
        numpy=numpy,
        slopes=(lambda x, z: 0 * x,),
        exact=exact,
        exact_slopes=(lambda x: 0,),
        kernel_ulps=0,
    )


REFERENCES = {
    "add": Reference(
        python=operator.add,
        numpy=np.add,
        slopes=(ones, ones),
        exact=operator.add,
        exact_slopes=(lambda x, y: 1, lambda x, y: 1),
    ),
    "sub": Reference(
        python=operator.sub,
        numpy=np.subtract,
        slopes=(ones, lambda x, y, z: -np.ones_like(y)),
        exact=operator.sub,
        exact_slopes=(lambda x, y: 1, lambda x, y: -1),
    ),
    "mul": Reference(
        python=operator.mul,
        numpy=np.multiply,
        slopes=(lambda x, y, z: y, lambda x, y, z: x),
        exact=operator.mul,
        exact_slopes=(lambda x, y: y, lambda x, y: x),
    ),
    "div": Reference(
        python=operator.truediv,
        numpy=np.divide,
        slopes=(lambda x, y, z: 1 / y, lambda x, y, z: -z / y),
        exact=operator.truediv,
        exact_slopes=(lambda x, y: 1 / y, lambda x, y: -x / y**2),
    ),
    "pow": Reference(
        python=real_power,
        numpy=np.power,
        slopes=(lambda x, y, z: y * x ** (y - 1),),
        exact=operator.pow,
        exact_slopes=(lambda x, y: y * x ** (y - 1),),
    ),
    "vpow": Reference(
        python=real_power,
        numpy=np.power,
        slopes=(lambda x, y, z: y * x ** (y - 1), lambda x, y, z: z * np.log(x)),
        exact=operator.pow,
        exact_slopes=(lambda x, y: y * x ** (y - 1), lambda x, y: x**y * mpmath.log(x)),
    ),
    "exp": Reference(
        python=math.exp,
        numpy=np.exp,
        slopes=(lambda x, z: z,),
        exact=mpmath.exp,
        exact_slopes=(mpmath.exp,),
        kernel_ulps=4,
        numbers=where_exp_is_finite,
    ),
    "log": Reference(
        python=math.log,
        numpy=np.log,
        slopes=(lambda x, z: 1 / x,),
        exact=mpmath.log,
        exact_slopes=(lambda x: 1 / x,),
        kernel_ulps=4,
    ),
    "log1p": Reference(
        python=math.log1p,
        numpy=np.log1p,
        slopes=(lambda x, z: 1 / (1 + x),),
        exact=mpmath.log1p,
        exact_slopes=(lambda x: 1 / (1 + x),),
        kernel_ulps=4,
        numbers=above_minus_one,
    ),
    "sqrt": Reference(
        python=math.sqrt,
        numpy=np.sqrt,
        slopes=(lambda x, z: 0.5 / z,),
        exact=mpmath.sqrt,
        exact_slopes=(lambda x: 1 / (2 * mpmath.sqrt(x)),),
        kernel_ulps=0.5,
    ),
    "tanh": Reference(
        python=math.tanh,
        numpy=np.tanh,
        slopes=(lambda x, z: 1 - z * z,),
        exact=mpmath.tanh,
        exact_slopes=(lambda x: mpmath.sech(x) ** 2,),
        kernel_ulps=4,
        numbers=where_exp_is_finite,
    ),
    "sigmoid": Reference(
        python=decimal_sigmoid,
        numpy=lambda x: np.where(x < 0, np.exp(x), 1) / (1 + np.exp(-np.abs(x))),
        slopes=(lambda x, z: z * (1 - z),),
        exact=lambda x: 1 / (1 + mpmath.exp(-x)),
        exact_slopes=(lambda x: mpmath.exp(-abs(x)) / (1 + mpmath.exp(-abs(x))) ** 2,),
        kernel_ulps=4,
        eager_ulps=1,
        numbers=where_exp_is_finite,
    ),
    "relu": Reference(
        python=lambda x: 0.0 if x < 0 else x,
        numpy=lambda x: np.where(x < 0, x.dtype.type(0), x),
        slopes=(lambda x, z: np.where(x > 0, 1.0, 0.0),),
        exact=lambda x: max(x, mpmath.mpf(0)),
        exact_slopes=(lambda x: int(x > 0),),
        kernel_ulps=0,
    ),
    "sin": Reference(
        python=math.sin,
        numpy=np.sin,
        slopes=(lambda x, z: np.cos(x),),
        exact=mpmath.sin,
        exact_slopes=(mpmath.cos,),
        kernel_ulps=4,
        of_one=True,
        numbers=with_quarter_turns,
    ),
    "cos": Reference(
        python=math.cos,
        numpy=np.cos,
        slopes=(lambda x, z: -np.sin(x),),
        exact=mpmath.cos,
        exact_slopes=(lambda x: -mpmath.sin(x),),
        kernel_ulps=4,
        of_one=True,
        numbers=with_quarter_turns,
    ),
    "abs": Reference(
        python=abs,
        numpy=np.abs,
        slopes=(lambda x, z: np.sign(x),),
        exact=abs,
        exact_slopes=(lambda x: -1 if x < 0 else 1,),
        kernel_ulps=0,
    ),
    "maximum": Reference(
        python=np.maximum,
        numpy=np.maximum,
        slopes=(
            lambda x, y, z: (np.sign(x - y) + 1) / 2,
            lambda x, y, z: (np.sign(y - x) + 1) / 2,
        ),
        exact=max,
        exact_slopes=(lambda x, y: int(x > y), lambda x, y: int(y > x)),
    ),
    "minimum": Reference(
        python=np.minimum,
        numpy=np.minimum,
        slopes=(
            lambda x, y, z: (np.sign(y - x) + 1) / 2,
            lambda x, y, z: (np.sign(x - y) + 1) / 2,
        ),
        exact=min,
        exact_slopes=(lambda x, y: int(x < y), lambda x, y: int(y < x)),
    ),
    "compare": Reference(
        python=lambda x, y: math.nan if x != x or y != y else float((x > y) - (x < y)),
        numpy=lambda x, y: np.where(x == y, x.dtype.type(0), np.sign(np.where(x > y, 1, x - y))),
        slopes=(lambda x, y, z: 0 * z, lambda x, y, z: 0 * z),
        exact=lambda x, y: mpmath.sign(x - y),
        exact_slopes=(lambda x, y: 0, lambda x, y: 0),
    ),
    "less": truth(operator.lt),
    "less_equal": truth(operator.le),
    "equal": truth(operator.eq),
    "floor": whole(np.floor, mpmath.floor),
    "ceil": whole(np.ceil, mpmath.ceil),
    "rint": whole(np.rint, mpmath.nint),
    "reached": Reference(
        python=lambda x, y: 0.0 if y == 0.0 else x * y,
        numpy=lambda x, y: np.where(y == 0, x.dtype.type(0), x * y),
        slopes=(lambda x, y, z: y, lambda x, y, z: x),
        exact=operator.mul,
        exact_slopes=(lambda x, y: y, lambda x, y: x),
    ),
    **MATHEMATICS,
}
