"""micrograd 0.1.0 from PyPI, as it is; once more with Python's cycle collector switched off.

micrograd has no exp, log, sqrt and tanh: they are added here as custom operations, the way the
micrograd lecture adds them. Its graphs are reference cycles, so only the collector frees them.
"""

import gc
import math

from micrograd.engine import Value
from micrograd.nn import MLP

from .. import scalar, scalar_gpt, scalar_objectives
from ..scalar import Kit

REQUIRES = ("micrograd",)
INSTALL = "pip install micrograd==0.1.0"
IMPORT = "import micrograd.engine, micrograd.nn"
ROWS = {
    "micrograd": {"words": "micrograd", "not_quick": ("digits",)},
    "micrograd (gc off)": {"words": "micrograd, gc off", "collector": False},
}
LEFT_OUT = {
    "mnist_size": "15 million Values: minutes and about 13 GB a step",
    "lstm": "a graph deeper than Python's recursion limit",
    "lstm_large": "7 million Values a step",
    "gmm": "44 million Values a step",
    "gmm_large": "105 million Values a step",
    "libor": "20 million Values a step",
}


def exp(self):
    out = Value(math.exp(self.data), (self,), "exp")

    def _backward():
        self.grad += out.data * out.grad

    out._backward = _backward
    return out


def log(self):
    out = Value(math.log(self.data), (self,), "log")

    def _backward():
        self.grad += out.grad / self.data

    out._backward = _backward
    return out


def sqrt(self):
    out = Value(math.sqrt(self.data), (self,), "sqrt")

    def _backward():
        self.grad += 0.5 / out.data * out.grad

    out._backward = _backward
    return out


def tanh(self):
    out = Value(math.tanh(self.data), (self,), "tanh")

    def _backward():
        self.grad += (1 - out.data**2) * out.grad

    out._backward = _backward
    return out


for method in (exp, log, sqrt, tanh):
    setattr(Value, method.__name__, method)

KIT = Kit(Value, MLP, collect=gc.collect)


class Chain(scalar.Chain):
    """The rest of Python's heap is set aside, so that collecting costs what the graph costs."""

    def setup(self):
        gc.freeze()


class Fan(scalar.Fan):
    def setup(self):
        gc.freeze()


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
    "black_scholes": on_kit(scalar.BlackScholes, share=0.02),
    "chain": on_kit(Chain),
    "fan": on_kit(Fan),
    "lstm": on_kit(scalar_objectives.Lstm),
    "lstm_large": on_kit(scalar_objectives.Lstm),
    "gmm": on_kit(scalar_objectives.Gmm),
    "gmm_large": on_kit(scalar_objectives.Gmm),
    "libor": on_kit(scalar_objectives.Libor),
    "lennard_jones": on_kit(scalar_objectives.LennardJones),
}
