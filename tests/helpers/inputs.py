"""What several tests start from: arrays of samples, Values off the usual path, gradients read."""

import re

import numpy as np

from micrograd_fast.engine import Value

X = np.array([[0.5, -1.0], [2.0, 0.25], [-0.75, 1.5], [1.0, 1.0], [0.1, -0.2]])
X3 = np.array([[0.5, -1.0, 2.0], [2.0, 0.25, -3.0], [-0.75, 1.5, 0.125], [1.0, 1.0, 1.0]])


def unplaced(thing):
    """Its repr without an address: the same name of a test in every process."""
    return re.sub(r" at 0x[0-9A-Fa-f]+", "", repr(thing))


def unaligned(x):
    """The same array where no number of its kind would stand."""
    room = np.zeros(x.nbytes + 1, np.uint8)
    out = room[1:].view(x.dtype).reshape(x.shape)
    out[...] = x
    return out


def read_only(x):
    x = x.copy()
    x.flags.writeable = False
    return x


def grads(*values):
    """The grads, set back to 0."""
    found = [v.grad for v in values]
    for v in values:
        v.grad = 0.0
    return found


def with_attribute(x):
    """A leaf that carries an attribute."""
    v = Value(x)
    v.notes = ["input"]
    return v


def with_step(x):
    """A leaf with a custom step, which counts its calls."""
    v = Value(x)
    v.calls = 0

    def _backward():
        v.calls += 1

    v._backward = _backward
    return v


def identity(v):
    """A custom node of that value and gradient."""
    out = Value(v.data, (v,), "identity")

    def _backward():
        v.grad += out.grad

    out._backward = _backward
    return out
