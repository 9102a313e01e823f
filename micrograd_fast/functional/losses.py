"""Losses: one Value, the mean over a list or that of one sample, with PyTorch's names."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from micrograd_fast import _core
from micrograd_fast import _types as t
from micrograd_fast.conditions import value_of
from micrograd_fast.engine import Value
from micrograd_fast.functional.activations import shifted_of
from micrograd_fast.functional.lists import listed, mean, paired, sum, take


def cross_entropy(
    logits: Iterable[t.Scalar],
    target: int,
    weight: Sequence[t.Scalar] | None = None,
    label_smoothing: float = 0.0,
) -> Value:
    """-log_softmax(logits)[target]: the loss of one sample whose class is target.

    weight: a factor a class; PyTorch's mean over a batch divides by the sum of the targets'.
    label_smoothing: the share of the target's probability, within [0, 1], that is given to all
    classes alike (Szegedy et al., 2016). Raises ValueError for another share and for weights that
    are not as many as the logits.
    """
    shifted, total = shifted_of(logits)
    if weight is None and label_smoothing == 0.0:
        picked: Value = take(shifted, target)
        return total - picked
    if not 0.0 <= label_smoothing <= 1.0:
        raise ValueError(f"label_smoothing must be between 0 and 1, not {label_smoothing}")
    losses = [total - x for x in shifted]
    if weight is not None:
        losses = [x * w for x, w in zip(*paired(losses, weight, "logits", "weight"), strict=True)]
    chosen: Value = take(losses, target)
    if label_smoothing == 0.0:
        return chosen
    return chosen * (1.0 - label_smoothing) + mean(losses) * label_smoothing


def nll_loss(
    log_probs: Iterable[t.Scalar], target: int, weight: Sequence[t.Scalar] | None = None
) -> Value:
    """-log_probs[target], times weight[target]: the loss of one sample whose class is target.

    Raises ValueError for weights that are not as many as the probabilities.
    """
    items = listed(log_probs, "log_probs")
    if weight is not None:
        pairs = zip(*paired(items, weight, "log_probs", "weight"), strict=True)
        items = [x * w for x, w in pairs]
    picked: Value = take(items, target)
    return -picked


def kl_div(
    log_probs: Iterable[t.Scalar], targets: Iterable[t.Scalar], log_target: bool = False
) -> Value:
    """The sum of target * (log(target) - log_prob): how far a distribution, given by its logarithms
    as PyTorch's function takes it, is from the targets. log_target: these are logarithms too."""
    xs, ys = paired(log_probs, targets, "log_probs", "targets")
    if log_target:
        return sum([y.exp() * (y - x) for x, y in zip(xs, ys, strict=True)])
    return sum([y.xlogy(y) - y * x for x, y in zip(xs, ys, strict=True)])


def binary_cross_entropy_with_logits(logit: t.Scalar, target: t.Scalar) -> Value:
    """The loss of one sample from its logit (not a probability), PyTorch's function of that name.

    max(x, 0) - x*target + log(1 + exp(-|x|)), which neither overflows nor loses digits. A target
    that is the number 0 or 1 is right for an infinite logit too; a target that is a Value is nan
    there. Raises ValueError for a target that is not between 0 and 1, where it has a number.
    """
    x = value_of(logit, "logit")
    is_value = isinstance(target, Value)
    t = target if isinstance(target, Value) else Value(target)
    if not is_value or not _core.tracing():
        number = target.data if isinstance(target, Value) else float(target)
        if not 0.0 <= number <= 1.0:
            raise ValueError(f"target must be between 0 and 1, not {number}")
        if not is_value and number in (0.0, 1.0):
            # Without x * target, which is nan at infinity.
            return (-x if number else x).softplus()
    return x.softplus() - x * t


def binary_cross_entropy(logit: t.Scalar, target: t.Scalar) -> Value:
    """The old name of binary_cross_entropy_with_logits: a logit, not a probability.

    PyTorch's function of this name takes probabilities, and so will this one from 0.3.0 on.
    """
    import warnings

    warnings.warn(
        "binary_cross_entropy takes a logit and will take a probability, as PyTorch's does, from "
        "0.3.0 on: write binary_cross_entropy_with_logits",
        DeprecationWarning,
        stacklevel=2,
    )
    return binary_cross_entropy_with_logits(logit, target)


def mse_loss(predictions: Iterable[t.Scalar], targets: Iterable[t.Scalar]) -> Value:
    """The mean of (prediction - target)**2."""
    xs, ys = paired(predictions, targets, "predictions", "targets")
    return mean([(x - y) ** 2 for x, y in zip(xs, ys, strict=True)])


def hinge_loss(scores: Iterable[t.Scalar], targets: Iterable[t.Scalar]) -> Value:
    """The mean of relu(1 - target * score): the SVM max-margin loss, targets -1 or 1."""
    xs, ys = paired(scores, targets, "scores", "targets")
    return mean([(1 + -y * x).relu() for x, y in zip(xs, ys, strict=True)])


def l1_loss(predictions: Iterable[t.Scalar], targets: Iterable[t.Scalar]) -> Value:
    """The mean of abs(prediction - target)."""
    xs, ys = paired(predictions, targets, "predictions", "targets")
    return mean([abs(x - y) for x, y in zip(xs, ys, strict=True)])


def huber_loss(
    predictions: Iterable[t.Scalar], targets: Iterable[t.Scalar], delta: float = 1.0
) -> Value:
    """The mean of d**2 / 2 where d = abs(prediction - target) is at most delta, else of
    delta * (d - delta / 2) (Huber, 1964). Raises ValueError for a delta that is not positive."""
    if not delta > 0.0:
        raise ValueError(f"delta must be positive, not {delta}")
    xs, ys = paired(predictions, targets, "predictions", "targets")
    losses = []
    for x, y in zip(xs, ys, strict=True):
        d = x - y
        near = d.minimum(delta).maximum(-delta)
        losses.append(near * (d - near * 0.5))
    return mean(losses)
