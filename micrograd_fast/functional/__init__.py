"""Functions of lists of Values: lists in, Values out, stable for large inputs.

Everything here is made of the ops of the engine, so the results are ordinary graphs: walk them,
draw them, differentiate through them. Items may be Values or numbers. Functions of lists raise
ValueError for an empty list or lists of different lengths; all raise TypeError for what
is no number.
"""

from micrograd_fast.functional.activations import (
    elu,
    gelu,
    layer_norm,
    leaky_relu,
    log_softmax,
    rms_norm,
    silu,
    softmax,
    softplus,
)
from micrograd_fast.functional.lists import (
    dot,
    logsumexp,
    maximum,
    mean,
    minimum,
    norm,
    sum,
    take,
)
from micrograd_fast.functional.losses import (
    binary_cross_entropy,
    binary_cross_entropy_with_logits,
    cross_entropy,
    hinge_loss,
    huber_loss,
    kl_div,
    l1_loss,
    mse_loss,
    nll_loss,
)

__all__ = [
    "binary_cross_entropy",
    "binary_cross_entropy_with_logits",
    "cross_entropy",
    "dot",
    "elu",
    "gelu",
    "hinge_loss",
    "huber_loss",
    "kl_div",
    "l1_loss",
    "layer_norm",
    "leaky_relu",
    "log_softmax",
    "logsumexp",
    "maximum",
    "mean",
    "minimum",
    "mse_loss",
    "nll_loss",
    "norm",
    "rms_norm",
    "silu",
    "softmax",
    "softplus",
    "sum",
    "take",
]


def __dir__() -> list[str]:
    return __all__
