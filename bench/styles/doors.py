"""The same call by different doors: ways to a gradient, kinds of arrays, signatures in turn."""

import random

import numpy as np

import micrograd_fast as mg
from micrograd_fast import nn, optim


def moons(samples):
    random.seed(1)
    model = nn.MLP(2, [16, 16, 1])
    loss = mg.compile(lambda x, y: (1 - y * model(x)).relu(), batch=True)
    X = np.random.default_rng(1).normal(size=(samples, 2))
    return model, loss, X, np.sign(X[:, 0])


def gradients(samples):
    model, loss, X, y = moons(samples)
    parameters = model.parameters()
    return {
        "mean().backward()": lambda: loss(X, y).mean().backward(),
        "sum().backward()": lambda: loss(X, y).sum().backward(),
        "value_and_grad(params=)": lambda: loss.value_and_grad(X, y, params=parameters),
    }


def clearing(samples):
    model, *_ = moons(samples)
    optimizer = optim.SGD(model.parameters(), lr=0.1)
    return {
        "optimizer.zero_grad()": optimizer.zero_grad,
        "model.zero_grad()": model.zero_grad,
    }


def argument_kinds(samples):
    """100 numbers that a call without a batch is given."""
    f = mg.compile(lambda x: mg.functional.sum(x))
    x = np.random.default_rng(1).normal(size=100).round(2)
    wide = np.zeros((100, 2))
    wide[:, 0] = x
    columns = np.asfortranarray(np.tile(x, (2, 1)))
    kinds = {
        "float64": x,
        "strided": wide[:, 0],
        "a row of an F-ordered array": columns[0],
        "big-endian": x.astype(">f8"),
        "float32": x.astype("f4"),
        "a list of floats": x.tolist(),
    }
    return {name: lambda a=a: f(a) for name, a in kinds.items()}


def batch_kinds(samples):
    _, loss, X, y = moons(samples)
    kinds = {
        "float64": X,
        "strided": np.repeat(X, 2, axis=1)[:, ::2],
        "F-ordered": np.asfortranarray(X),
        "big-endian": X.astype(">f8"),
        "float32": X.astype("f4"),
        "reversed": X[::-1],
    }
    return {name: lambda a=a: loss(a, y) for name, a in kinds.items()}


def signatures(samples):
    """Arguments of other lengths in turn; a turn is 20 calls."""
    f = mg.compile(lambda x: mg.functional.sum(x))

    def call(n):
        inputs = [np.ones(k + 1) for k in range(n)] * (20 // n)
        return lambda: [f(x) for x in inputs]

    return {f"{n} signatures": call(n) for n in (4, 5, 10, 20)}


GROUPS = {
    "gradient of the moons loss": gradients,
    "337 grads made zero": clearing,
    "an array of 100 as argument": argument_kinds,
    "a batch of arrays": batch_kinds,
    "signatures in turn, 20 calls": signatures,
}


def groups(samples):
    return {what: make(samples) for what, make in GROUPS.items()}


# A call with arrays costs a microsecond: what is converted may cost two more.
SLOWER = ("strided", "a row of an F-ordered array", "big-endian", "float32", "a list of floats")
LIMITS = dict.fromkeys((*SLOWER, "F-ordered", "reversed"), 3.0)
