"""A slotted pure-Python Value that keeps local gradients: the best that plain Python offers.

The style of newer scalar GPT scripts (Karpathy's microgpt): no closures, no sets, no reference
cycles, so graphs go away by themselves; the order is found without recursion.
"""

import math
from itertools import pairwise

from .. import scalar, scalar_gpt, scalar_objectives
from ..scalar import Kit

REQUIRES = ()
INSTALL = ""
ROWS = {"pure": {"words": "plain Python, with slots"}}
LEFT_OUT = {
    "mnist_size": "15 million Values: about a minute and 4 GB a step",
    "lstm_large": "7 million Values a step",
    "gmm": "44 million Values a step",
    "gmm_large": "105 million Values a step",
    "libor": "20 million Values a step",
}


class Value:
    __slots__ = ("_children", "_local_grads", "data", "grad")

    def __init__(self, data, children=(), local_grads=()):
        self.data = data
        self.grad = 0.0
        self._children = children
        self._local_grads = local_grads

    def __add__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        return Value(self.data + other.data, (self, other), (1.0, 1.0))

    def __mul__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        return Value(self.data * other.data, (self, other), (other.data, self.data))

    def __pow__(self, k):
        return Value(self.data**k, (self,), (k * self.data ** (k - 1),))

    def exp(self):
        e = math.exp(self.data)
        return Value(e, (self,), (e,))

    def log(self):
        return Value(math.log(self.data), (self,), (1.0 / self.data,))

    def sqrt(self):
        root = math.sqrt(self.data)
        return Value(root, (self,), (0.5 / root,))

    def tanh(self):
        t = math.tanh(self.data)
        return Value(t, (self,), (1.0 - t * t,))

    def relu(self):
        return Value(max(0.0, self.data), (self,), (float(self.data > 0.0),))

    def __neg__(self):
        return self * -1.0

    def __radd__(self, other):
        return self + other

    def __sub__(self, other):
        return self + (-other)

    def __rsub__(self, other):
        return other + (-self)

    def __rmul__(self, other):
        return self * other

    def __truediv__(self, other):
        return self * other**-1

    def __rtruediv__(self, other):
        return other * self**-1

    def backward(self):
        self.grad = 1.0
        for v in reversed(self.order()):
            grad = v.grad
            for child, local in zip(v._children, v._local_grads, strict=True):
                child.grad += local * grad

    def order(self):
        """Every node after its children; a node enters the stack once to open, once to close."""
        order = []
        seen = set()
        stack = [self]
        while stack:
            v = stack.pop()
            if v is None:
                order.append(stack.pop())
            elif v not in seen:
                seen.add(v)
                if v._children:
                    stack += (v, None, *v._children)
        return order


class MLP:
    """micrograd's network, in plain lists."""

    def __init__(self, inputs, outputs):
        sizes = [inputs, *outputs]
        self.layers = [
            [([Value(0.0) for _ in range(nin)], Value(0.0)) for _ in range(nout)]
            for nin, nout in pairwise(sizes)
        ]

    def __call__(self, x):
        last = self.layers[-1]
        for layer in self.layers:
            x = [sum((wi * xi for wi, xi in zip(w, x, strict=True)), b) for w, b in layer]
            if layer is not last:
                x = [v.relu() for v in x]
        return x[0] if len(x) == 1 else x

    def parameters(self):
        return [p for layer in self.layers for w, b in layer for p in (*w, b)]


KIT = Kit(Value, MLP)


def on_kit(case, **extra):
    return lambda data: case(data, KIT, **extra)


CASES = {
    "tiny": on_kit(scalar.Tiny),
    "small": on_kit(scalar.Small),
    "moons": on_kit(scalar.Moons),
    "digits": on_kit(scalar.Digits),
    "mnist_size": on_kit(scalar.MnistSize),
    "names": on_kit(scalar_gpt.Names),
    "rosenbrock": on_kit(scalar.Rosenbrock),
    "black_scholes": on_kit(scalar.BlackScholes, share=0.05),
    "chain": on_kit(scalar.Chain),
    "fan": on_kit(scalar.Fan),
    "lstm": on_kit(scalar_objectives.Lstm),
    "lstm_large": on_kit(scalar_objectives.Lstm),
    "gmm": on_kit(scalar_objectives.Gmm),
    "gmm_large": on_kit(scalar_objectives.Gmm),
    "libor": on_kit(scalar_objectives.Libor),
    "lennard_jones": on_kit(scalar_objectives.LennardJones),
}
