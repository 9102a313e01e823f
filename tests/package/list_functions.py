"""The functions of functional: ours over n numbers, NumPy's over the same, PyTorch's over torch
and a tensor."""

import numpy as np
from scipy import special

from micrograd_fast import functional as F


def np_softmax(x):
    e = np.exp(np.asarray(x) - np.max(x))
    return e / e.sum()


N = 6
LABELS = [1.0, -1.0, 1.0]
WEIGHTS = [0.5, 2.0, 1.5, 0.25, 1.0, 3.0]
FUNCTIONS = {
    "sum": (F.sum, np.sum, lambda torch, x: x.sum()),
    "mean": (F.mean, np.mean, lambda torch, x: x.mean()),
    "dot": (
        lambda x: F.dot(x[:3], x[3:]),
        lambda x: np.dot(x[:3], x[3:]),
        lambda torch, x: torch.dot(x[:3], x[3:]),
    ),
    "dot with numbers": (
        lambda x: F.dot(x, range(N)),
        lambda x: np.dot(x, np.arange(N)),
        lambda torch, x: torch.dot(x, torch.arange(N, dtype=torch.float64)),
    ),
    "maximum": (lambda x: F.maximum(*x), np.max, lambda torch, x: x.max()),
    "minimum": (lambda x: F.minimum(*x), np.min, lambda torch, x: x.min()),
    "take": (lambda x: F.take(x, 2), lambda x: x[2], lambda torch, x: x[2]),
    "softmax": (F.softmax, np_softmax, lambda torch, x: torch.softmax(x, 0)),
    "log_softmax": (
        F.log_softmax,
        lambda x: np.log(np_softmax(x)),
        lambda torch, x: torch.log_softmax(x, 0),
    ),
    "cross_entropy": (
        lambda x: F.cross_entropy(x, 4),
        lambda x: -np.log(np_softmax(x)[4]),
        lambda torch, x: torch.nn.functional.cross_entropy(x, torch.tensor(4)),
    ),
    "binary_cross_entropy_with_logits": (
        lambda x: F.binary_cross_entropy_with_logits(x[0], 0.3),
        lambda x: np.log1p(np.exp(x[0])) - 0.3 * x[0],
        lambda torch, x: torch.nn.functional.binary_cross_entropy_with_logits(
            x[0], torch.tensor(0.3, dtype=torch.float64)
        ),
    ),
    "mse_loss": (
        lambda x: F.mse_loss(x[:3], x[3:]),
        lambda x: np.mean((x[:3] - x[3:]) ** 2),
        lambda torch, x: torch.nn.functional.mse_loss(x[:3], x[3:]),
    ),
    "hinge_loss": (
        lambda x: F.hinge_loss(x[:3], LABELS),
        lambda x: np.mean(np.maximum(0, 1 - np.array(LABELS) * x[:3])),
        lambda torch, x: (1 - torch.tensor(LABELS, dtype=torch.float64) * x[:3]).relu().mean(),
    ),
    "logsumexp": (F.logsumexp, special.logsumexp, lambda torch, x: torch.logsumexp(x, 0)),
    "norm": (F.norm, np.linalg.norm, lambda torch, x: torch.linalg.norm(x)),
    "softplus": (
        lambda x: F.softplus(x[0]),
        lambda x: np.logaddexp(0, x[0]),
        lambda torch, x: torch.nn.functional.softplus(x[0]),
    ),
    "softplus beyond its threshold": (
        lambda x: [F.softplus(v * 10, beta=2, threshold=5.0) for v in x],
        lambda x: [v if v > 2.5 else np.logaddexp(0, 2 * v) / 2 for v in x * 10],
        lambda torch, x: torch.nn.functional.softplus(x * 10, beta=2, threshold=5.0),
    ),
    "gelu": (
        lambda x: [F.gelu(v) for v in x],
        lambda x: x * special.ndtr(x),
        lambda torch, x: torch.nn.functional.gelu(x),
    ),
    "gelu by tanh": (
        lambda x: [F.gelu(v, approximate="tanh") for v in x],
        lambda x: 0.5 * x * (1 + np.tanh(np.sqrt(2 / np.pi) * (x + 0.044715 * x**3))),
        lambda torch, x: torch.nn.functional.gelu(x, approximate="tanh"),
    ),
    "silu": (
        lambda x: [F.silu(v) for v in x],
        lambda x: x / (1 + np.exp(-x)),
        lambda torch, x: torch.nn.functional.silu(x),
    ),
    "leaky_relu": (
        lambda x: [F.leaky_relu(v, 0.2) for v in x],
        lambda x: np.where(x > 0, x, 0.2 * x),
        lambda torch, x: torch.nn.functional.leaky_relu(x, 0.2),
    ),
    "elu": (
        lambda x: [F.elu(v, alpha=1.5) for v in x],
        lambda x: np.where(x > 0, x, 1.5 * np.expm1(x)),
        lambda torch, x: torch.nn.functional.elu(x, alpha=1.5),
    ),
    "layer_norm": (
        lambda x: F.layer_norm(x, WEIGHTS, range(N)),
        lambda x: (x - x.mean()) / np.sqrt(x.var() + 1e-5) * WEIGHTS + np.arange(N),
        lambda torch, x: torch.nn.functional.layer_norm(
            x,
            (N,),
            torch.tensor(WEIGHTS, dtype=torch.float64),
            torch.arange(N, dtype=torch.float64),
        ),
    ),
    "rms_norm": (
        lambda x: F.rms_norm(x, WEIGHTS),
        lambda x: x / np.sqrt(np.mean(x * x) + 2.0**-52) * WEIGHTS,
        lambda torch, x: torch.nn.functional.rms_norm(
            x, (N,), torch.tensor(WEIGHTS, dtype=torch.float64)
        ),
    ),
    "cross_entropy with weights": (
        lambda x: F.cross_entropy(x, 2, weight=WEIGHTS),
        lambda x: -WEIGHTS[2] * np.log(np_softmax(x)[2]),
        lambda torch, x: torch.nn.functional.cross_entropy(
            x,
            torch.tensor(2),
            torch.tensor(WEIGHTS, dtype=torch.float64),
            reduction="sum",
        ),
    ),
    "cross_entropy with smoothed labels": (
        lambda x: F.cross_entropy(x, 2, label_smoothing=0.1),
        lambda x: -0.9 * np.log(np_softmax(x)[2]) - 0.1 * np.mean(np.log(np_softmax(x))),
        lambda torch, x: torch.nn.functional.cross_entropy(x, torch.tensor(2), label_smoothing=0.1),
    ),
    "cross_entropy with both": (
        lambda x: F.cross_entropy(x, 0, WEIGHTS, 0.3),
        lambda x: (
            -0.7 * WEIGHTS[0] * np.log(np_softmax(x)[0])
            - 0.3 * np.mean(WEIGHTS * np.log(np_softmax(x)))
        ),
        lambda torch, x: torch.nn.functional.cross_entropy(
            x,
            torch.tensor(0),
            torch.tensor(WEIGHTS, dtype=torch.float64),
            label_smoothing=0.3,
            reduction="sum",
        ),
    ),
    "nll_loss": (
        lambda x: F.nll_loss(x, 3),
        lambda x: -x[3],
        lambda torch, x: torch.nn.functional.nll_loss(x, torch.tensor(3)),
    ),
    "nll_loss with weights": (
        lambda x: F.nll_loss(F.log_softmax(x), 3, WEIGHTS),
        lambda x: -WEIGHTS[3] * np.log(np_softmax(x)[3]),
        lambda torch, x: torch.nn.functional.nll_loss(
            torch.log_softmax(x, 0),
            torch.tensor(3),
            torch.tensor(WEIGHTS, dtype=torch.float64),
            reduction="sum",
        ),
    ),
    "kl_div": (
        lambda x: F.kl_div(F.log_softmax(x[:3]), F.softmax(x[3:])),
        lambda x: special.rel_entr(np_softmax(x[3:]), np_softmax(x[:3])).sum(),
        lambda torch, x: torch.nn.functional.kl_div(
            torch.log_softmax(x[:3], 0), torch.softmax(x[3:], 0), reduction="sum"
        ),
    ),
    "kl_div of logarithms": (
        lambda x: F.kl_div(F.log_softmax(x[:3]), F.log_softmax(x[3:]), log_target=True),
        lambda x: special.rel_entr(np_softmax(x[3:]), np_softmax(x[:3])).sum(),
        lambda torch, x: torch.nn.functional.kl_div(
            torch.log_softmax(x[:3], 0),
            torch.log_softmax(x[3:], 0),
            reduction="sum",
            log_target=True,
        ),
    ),
    "l1_loss": (
        lambda x: F.l1_loss(x[:3], x[3:]),
        lambda x: np.mean(np.abs(x[:3] - x[3:])),
        lambda torch, x: torch.nn.functional.l1_loss(x[:3], x[3:]),
    ),
    "huber_loss": (
        lambda x: F.huber_loss(x[:3], x[3:], delta=0.7),
        lambda x: special.huber(0.7, x[:3] - x[3:]).mean(),
        lambda torch, x: torch.nn.functional.huber_loss(x[:3], x[3:], delta=0.7),
    ),
}
