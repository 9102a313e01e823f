"""Module, Neuron, Layer, MLP: stands where micrograd.nn stands; layers and cells beside them.

Micrograd's constructors, attributes, repr texts and random draws, so that `random.seed(1337)` gives
the network that micrograd gives. A neuron's sum becomes the same nodes in one C call. The three are
in this file, so that what a program puts in the place of one of them is used.
"""

from __future__ import annotations

import random
from collections.abc import Iterable

from micrograd_fast import _types as t
from micrograd_fast._core import affine
from micrograd_fast.engine import Value
from micrograd_fast.nn import utils as utils
from micrograd_fast.nn.cells import GRUCell as GRUCell
from micrograd_fast.nn.cells import LSTMCell as LSTMCell
from micrograd_fast.nn.draws import drawer, for_outputs
from micrograd_fast.nn.files import load as load
from micrograd_fast.nn.files import save as save
from micrograd_fast.nn.layers import Embedding as Embedding
from micrograd_fast.nn.layers import Linear as Linear
from micrograd_fast.nn.layers import Sequential as Sequential
from micrograd_fast.nn.module import Module
from micrograd_fast.nn.walk import KNOWN, Walk, method

# What `from micrograd.nn import *` gives with micrograd: more would hide a program's own names.
__all__ = ["MLP", "Layer", "Module", "Neuron", "Value", "random"]


def __dir__() -> list[str]:
    added = ["Embedding", "GRUCell", "LSTMCell", "Linear", "Sequential"]
    return ["ACTIVATIONS", "MLP", "Layer", "Module", "Neuron", *added, "load", "save", "utils"]


ACTIVATIONS = ("relu", "tanh", "sigmoid", "linear")
_NAMES = {"relu": "ReLU", "tanh": "Tanh", "sigmoid": "Sigmoid", "linear": "Linear"}


class Neuron(Module):
    """activation(b + w[0]*x[0] + w[1]*x[1] + ...), weights drawn from uniform(-1, 1), b = 0.

    init: 'uniform', or another way to draw: 'xavier', 'kaiming', 'normal', or a function of (nin,
    nout) that returns a number. nonlin=False, micrograd's way to say activation='linear', may also
    be set later.
    """

    activation: str = "relu"  # of subclasses that write their own __init__ as micrograd's

    def __init__(
        self, nin: int, nonlin: bool = True, *, activation: str = "relu", init: t.Init = "uniform"
    ) -> None:
        if activation not in ACTIVATIONS:
            raise ValueError(f"activation must be one of {ACTIVATIONS}, not {activation!r}")
        if init == "uniform":
            self.w: list[Value] = [Value(random.uniform(-1, 1)) for _ in range(nin)]
        else:
            draw = drawer(init, nin, 1)
            self.w = [draw() for _ in range(nin)]
        self.b: Value = Value(0)
        self.nonlin: bool = nonlin and activation != "linear"
        self.activation = activation

    def __call__(self, x: Iterable[t.Any]) -> Value:
        activation = self.activation if self.nonlin else "linear"
        return affine(self.w, x, self.b, None if activation == "linear" else activation)

    def parameters(self) -> list[Value]:
        return [*self.w, self.b]

    def __repr__(self) -> str:
        return f"{_NAMES[self.activation if self.nonlin else 'linear']}Neuron({len(self.w)})"


_CALL, _OF_A_NEURON = Neuron.__call__, Neuron.parameters


class Layer(Module):
    """nout neurons over the same nin inputs; one Value instead of a list where nout is 1."""

    def __init__(self, nin: int, nout: int, **kwargs: t.Any) -> None:
        if kwargs.get("init", "uniform") != "uniform":
            drawer(kwargs["init"], nin, nout)  # refuses before anything is drawn
            kwargs["init"] = for_outputs(kwargs["init"], nout)
        self.neurons: list[Neuron] = [Neuron(nin, **kwargs) for _ in range(nout)]

    def __call__(self, x: Iterable[t.Any]) -> t.Any:
        # An array's items are made once for all neurons, where nobody wants to see the array.
        as_written = Neuron.__call__ is _CALL
        if isinstance(x, list) or not hasattr(x, "__iter__"):
            pass  # what is no list at all a neuron refuses in better words
        elif as_written or not hasattr(x, "__len__"):
            x = list(x)
        # Neuron.__call__ in place: Python's calls of it were a tenth of a training step.
        out = [
            affine(n.w, x, n.b, n.activation if n.nonlin and n.activation != "linear" else None)
            if as_written and type(n) is Neuron
            else n(x)
            for n in self.neurons
        ]
        return out[0] if len(out) == 1 else out

    def parameters(self) -> list[Value]:
        found: list[Value] = []
        self._add_parameters(found)
        return found

    def _add_parameters(self, found: list[Value]) -> None:
        """To one list for all, where each neuron's parameters() is Neuron's: a list for each neuron
        and layer took thrice as long."""
        for n in self.neurons:
            if getattr(n.parameters, "__func__", None) is _OF_A_NEURON:
                found += n.w
                found.append(n.b)
            else:
                found += n.parameters()

    def __repr__(self) -> str:
        return f"Layer of [{', '.join(str(n) for n in self.neurons)}]"


_OF_A_LAYER = Layer.parameters


class MLP(Module):
    """Layers of nin -> nouts[0] -> nouts[1] -> ...; the last one is linear."""

    def __init__(
        self, nin: int, nouts: list[int], *, activation: str = "relu", init: t.Init = "uniform"
    ) -> None:
        if not hasattr(nouts, "__iter__"):
            raise TypeError(
                f"nouts must be a list of sizes, such as [16, 1], not {type(nouts).__name__!r}"
            )
        sz = [nin, *nouts]
        others = {} if init == "uniform" else {"init": init}  # Layer may be a program's own
        self.layers: list[Layer] = [
            Layer(sz[i], sz[i + 1], nonlin=i != len(nouts) - 1, activation=activation, **others)
            for i in range(len(nouts))
        ]

    def __call__(self, x: Iterable[t.Any]) -> t.Any:
        for layer in self.layers:
            x = layer(x)
        return x

    def parameters(self) -> list[Value]:
        found: list[Value] = []
        for layer in self.layers:
            if getattr(layer.parameters, "__func__", None) is _OF_A_LAYER:
                layer._add_parameters(found)
            else:
                found += layer.parameters()
        return found

    def __repr__(self) -> str:
        return f"MLP of [{', '.join(str(layer) for layer in self.layers)}]"


# ---- what parameters() finds, with names ----


def _walk_neuron(walk: Walk, neuron: t.Any, prefix: str) -> None:
    walk.add([*neuron.w], f"{prefix}w.")
    walk.found.append(neuron.b)
    walk.names.append(f"{prefix}b")
    if hasattr(neuron, "nonlin"):
        walk.activations[prefix[:-1]] = neuron.activation if neuron.nonlin else "linear"


def _walk_layer(walk: Walk, layer: t.Any, prefix: str) -> None:
    neurons = layer.neurons
    if any(type(n) is not Neuron or method(n) is not _OF_A_NEURON for n in neurons):
        for k, neuron in enumerate(neurons):
            walk.module(neuron, f"{prefix}neurons.{k}.")
        return
    # The usual case: names that all states of such layers share.
    names, of_neurons = _names_of_layer(prefix, tuple([len(n.w) for n in neurons]))
    layer._add_parameters(walk.found)
    walk.names += names
    kinds = [n.activation if n.nonlin else "linear" for n in neurons]
    walk.activations.update(zip(of_neurons, kinds, strict=True))


_NAMES_KEPT = 64
_names_known: dict[tuple[str, tuple[int, ...]], tuple[list[str], list[str]]] = {}


def _names_of_layer(prefix: str, widths: tuple[int, ...]) -> tuple[list[str], list[str]]:
    """Those of the parameters, and those of the neurons; kept, for they take longest."""
    found = _names_known.get((prefix, widths))
    if found is not None:
        return found
    if len(_names_known) >= _NAMES_KEPT:
        _names_known.clear()
    neurons = [f"{prefix}neurons.{k}" for k in range(len(widths))]
    names = []
    for neuron, width in zip(neurons, widths, strict=True):
        names += [f"{neuron}.w.{k}" for k in range(width)]
        names.append(f"{neuron}.b")
    _names_known[prefix, widths] = names, neurons
    return names, neurons


def _walk_mlp(walk: Walk, mlp: t.Any, prefix: str) -> None:
    for k, layer in enumerate(mlp.layers):
        walk.module(layer, f"{prefix}layers.{k}.")


KNOWN.update({_OF_A_NEURON: _walk_neuron, _OF_A_LAYER: _walk_layer, MLP.parameters: _walk_mlp})
