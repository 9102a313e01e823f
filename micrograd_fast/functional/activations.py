"""What stands between layers: activations of one Value, normalisations of a list."""

from __future__ import annotations

import math
from collections.abc import Iterable

from micrograd_fast import _core
from micrograd_fast import _types as t
from micrograd_fast.conditions import value_of, where
from micrograd_fast.engine import Value
from micrograd_fast.functional.lists import listed, mean, paired, shift_of


def softplus(x: t.Scalar, beta: float = 1.0, threshold: float = 20.0) -> Value:
    """log(1 + exp(beta*x)) / beta, x where beta*x is above the threshold, as PyTorch has it;
    Value.softplus() is exact there too. Raises ValueError for a beta of 0 or nan."""
    if not beta < 0.0 and not beta > 0.0:
        raise ValueError(f"beta must not be {beta}")
    v = value_of(x, "x")
    scaled = v if beta == 1.0 else v * beta
    smooth = scaled.softplus() if beta == 1.0 else scaled.softplus() / beta
    chosen: Value = where(scaled > threshold, v, smooth)
    return chosen


def gelu(x: t.Scalar, approximate: str = "none") -> Value:
    """x * ndtr(x) (Hendrycks and Gimpel, 2016); with approximate='tanh' their formula by tanh.

    Raises ValueError for another word.
    """
    v = value_of(x, "x")
    if approximate == "none":
        return v * v.ndtr()
    if approximate != "tanh":
        raise ValueError(f"approximate must be 'none' or 'tanh', not {approximate!r}")
    inner = (v + v * v * v * 0.044715) * math.sqrt(2.0 / math.pi)
    return v * 0.5 * (inner.tanh() + 1.0)


def silu(x: t.Scalar) -> Value:
    """x * sigmoid(x), also called swish."""
    v = value_of(x, "x")
    return v * v.sigmoid()


def leaky_relu(x: t.Scalar, negative_slope: float = 0.01) -> Value:
    """x where it is positive, else negative_slope * x; at 0 the derivative is negative_slope."""
    v = value_of(x, "x")
    chosen: Value = where(v > 0.0, v, v * value_of(negative_slope, "negative_slope"))
    return chosen


def elu(x: t.Scalar, alpha: float = 1.0) -> Value:
    """x where it is positive, else alpha * (exp(x) - 1); at 0 the derivative is alpha."""
    v = value_of(x, "x")
    low: Value = where(v > 0.0, 0.0, v)  # whose exponential is in range
    return v.relu() + low.expm1() * value_of(alpha, "alpha")


def softmax(logits: Iterable[t.Scalar]) -> list[Value]:
    """exp(x_i) / (exp(x_0) + exp(x_1) + ...), of logits shifted by their maximum."""
    items = listed(logits, "logits")
    shift = shift_of(items)
    exps = [(x - shift).exp() for x in items]
    scale = _core.total(exps) ** -1
    return [e * scale for e in exps]


def shifted_of(logits: Iterable[t.Scalar]) -> tuple[list[Value], Value]:
    """The logits less their maximum, and the log of the sum of their exponentials."""
    items = listed(logits, "logits")
    shift = shift_of(items)
    shifted = [x - shift for x in items]
    return shifted, _core.total([x.exp() for x in shifted]).log()


def log_softmax(logits: Iterable[t.Scalar]) -> list[Value]:
    """x_i - log(exp(x_0) + exp(x_1) + ...), without leaving the logarithmic scale."""
    shifted, total = shifted_of(logits)
    return [x - total for x in shifted]


def layer_norm(
    x: Iterable[t.Scalar],
    weight: Iterable[t.Scalar] | None = None,
    bias: Iterable[t.Scalar] | None = None,
    eps: float = 1e-5,
) -> list[Value]:
    """(x - mean) / sqrt(variance + eps) * weight + bias, the variance being the mean square (Ba,
    Kiros and Hinton, 2016).

    Raises ValueError where weight or bias are not as many as x, and for an eps below 0 or nan.
    """
    _check_eps(eps)
    items = listed(x, "x")
    middle = mean(items)
    centred = [v - middle for v in items]
    scale = (_core.dot(centred, centred) / len(items) + eps) ** -0.5
    return _affine([v * scale for v in centred], weight, bias)


def rms_norm(
    x: Iterable[t.Scalar], weight: Iterable[t.Scalar] | None = None, eps: float = 2.0**-52
) -> list[Value]:
    """x / sqrt(mean of x**2 + eps) * weight (Zhang and Sennrich, 2019).

    Raises ValueError where weight are not as many as x, and for an eps below 0 or nan.
    """
    _check_eps(eps)
    items = listed(x, "x")
    scale = (_core.dot(items, items) / len(items) + eps) ** -0.5
    return _affine([v * scale for v in items], weight, None)


def _check_eps(eps: float) -> None:
    if not eps >= 0.0:
        raise ValueError(f"eps must be 0 or more, not {eps}")


def _affine(
    items: list[Value], weight: Iterable[t.Scalar] | None, bias: Iterable[t.Scalar] | None
) -> list[Value]:
    if weight is not None:
        items = [v * w for v, w in zip(*paired(items, weight, "x", "weight"), strict=True)]
    if bias is not None:
        items = [v + b for v, b in zip(*paired(items, bias, "x", "bias"), strict=True)]
    return items
