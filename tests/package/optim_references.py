"""The optimizers as PyTorch's documentation has their algorithms, in plain Python: for test_optim.

Each function makes one parameter's step; s is its state between steps.
"""

import math

from micrograd_fast.optim import SGD, Adagrad, Adam, AdamW, RMSprop


def reference_sgd(
    lr, p, g, s, momentum=0.0, dampening=0.0, weight_decay=0.0, nesterov=False, maximize=False
):
    """One parameter's step; s is its state between steps."""
    g = -g if maximize else g
    if weight_decay:
        g = g + weight_decay * p
    if momentum:
        s["b"] = momentum * s["b"] + (1 - dampening) * g if "b" in s else g
        g = g + momentum * s["b"] if nesterov else s["b"]
    return p - lr * g


def reference_adam(
    lr,
    p,
    g,
    s,
    betas=(0.9, 0.999),
    eps=1e-8,
    weight_decay=0.0,
    amsgrad=False,
    maximize=False,
    decoupled=False,
):
    g = -g if maximize else g
    if decoupled:
        p = p - lr * weight_decay * p
    else:
        g = g + weight_decay * p
    s["t"] = s.get("t", 0) + 1
    s["m"] = betas[0] * s.get("m", 0.0) + (1 - betas[0]) * g
    s["v"] = betas[1] * s.get("v", 0.0) + (1 - betas[1]) * g * g
    v = s["v"]
    if amsgrad:
        v = s["top"] = max(s.get("top", 0.0), v)
    mean, square = s["m"] / (1 - betas[0] ** s["t"]), v / (1 - betas[1] ** s["t"])
    return p - lr * mean / (math.sqrt(square) + eps)


def reference_adamw(lr, p, g, s, weight_decay=1e-2, **config):
    return reference_adam(lr, p, g, s, weight_decay=weight_decay, decoupled=True, **config)


def reference_rmsprop(
    lr,
    p,
    g,
    s,
    alpha=0.99,
    eps=1e-8,
    weight_decay=0.0,
    momentum=0.0,
    centered=False,
    maximize=False,
):
    g = (-g if maximize else g) + weight_decay * p
    s["v"] = alpha * s.get("v", 0.0) + (1 - alpha) * g * g
    s["m"] = alpha * s.get("m", 0.0) + (1 - alpha) * g
    square = s["v"] - s["m"] ** 2 if centered else s["v"]
    change = g / (math.sqrt(square) + eps)
    s["b"] = momentum * s.get("b", 0.0) + change
    return p - lr * (s["b"] if momentum else change)


def reference_adagrad(
    lr,
    p,
    g,
    s,
    lr_decay=0.0,
    weight_decay=0.0,
    initial_accumulator_value=0.0,
    eps=1e-10,
    maximize=False,
):
    g = (-g if maximize else g) + weight_decay * p
    s["t"] = s.get("t", 0) + 1
    s["sum"] = s.get("sum", initial_accumulator_value) + g * g
    return p - lr / (1 + (s["t"] - 1) * lr_decay) * g / (math.sqrt(s["sum"]) + eps)


REFERENCES = {
    SGD: reference_sgd,
    Adam: reference_adam,
    AdamW: reference_adamw,
    RMSprop: reference_rmsprop,
    Adagrad: reference_adagrad,
}


def reference_path(kind, config, start, grads, rates):
    """The parameters after each step: a row of gradients and a learning rate each."""
    data, states, path = list(start), [{} for _ in start], []
    for row, lr in zip(grads, rates, strict=True):
        step = REFERENCES[kind]
        data = [step(lr, p, g, s, **config) for p, g, s in zip(data, row, states, strict=True)]
        path.append(data)
    return path
