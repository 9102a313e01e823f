"""Module, Neuron, Layer, MLP: stands where micrograd.nn stands.

The same constructors, attributes, repr texts and random draws, so that `random.seed(1337)` gives
the network that micrograd gives. A neuron's sum becomes the same nodes in one C call.
"""

from __future__ import annotations

import random

from micrograd_fast._core import affine, clear_grads, data_of, write_data
from micrograd_fast.engine import Value
from micrograd_fast.nn import utils as utils
from micrograd_fast.nn.files import load as load
from micrograd_fast.nn.files import positions
from micrograd_fast.nn.files import save as save

TYPE_CHECKING = False  # typing's own constant costs an import of 4 ms
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any

# What `from micrograd.nn import *` gives with micrograd: more would hide a program's own names.
__all__ = ["MLP", "Layer", "Module", "Neuron", "Value", "random"]


def __dir__() -> list[str]:
    return ["ACTIVATIONS", "MLP", "Layer", "Module", "Neuron", "load", "save", "utils"]


ACTIVATIONS = ("relu", "tanh", "sigmoid", "linear")
_NAMES = {"relu": "ReLU", "tanh": "Tanh", "sigmoid": "Sigmoid", "linear": "Linear"}


class Module:
    """What has parameters. Subclasses return theirs, in a fixed order, from parameters()."""

    def zero_grad(self) -> None:
        """Sets the grad of every parameter to 0."""
        clear_grads(self.parameters())

    def parameters(self) -> list[Value]:
        """The leaf Values that training changes."""
        return []

    def state_dict(self) -> dict[str, float]:
        """The parameters' data by position: {'0': ..., '1': ...}, in the order of parameters()."""
        numbers = data_of([*self.parameters()])
        return dict(zip(positions(len(numbers)), numbers, strict=True))

    def load_state_dict(self, state: Mapping[str, float]) -> None:
        """Writes data that state_dict() of a module of the same shape returned.

        Raises KeyError for missing or unexpected names and TypeError for what is no number;
        the module is unchanged then.
        """
        parameters = [*self.parameters()]
        expected = positions(len(parameters))
        if len(state) != len(expected) or not all(map(state.__contains__, expected)):
            missing = [k for k in expected if k not in state][:5]
            unexpected = [k for k in state if k not in set(expected)][:5]
            raise KeyError(
                f"state of {len(state)} numbers for {len(expected)} parameters: "
                f"missing {missing}, unexpected {unexpected}"
            )
        write_data(parameters, [state[k] for k in expected])  # all checked before one is written


class Neuron(Module):
    """activation(b + w[0]*x[0] + w[1]*x[1] + ...), weights drawn from uniform(-1, 1), b = 0.

    nonlin=False, micrograd's way to say activation='linear', may also be set later.
    """

    activation = "relu"  # of subclasses that write their own __init__ as micrograd's

    def __init__(self, nin: int, nonlin: bool = True, *, activation: str = "relu") -> None:
        if activation not in ACTIVATIONS:
            raise ValueError(f"activation must be one of {ACTIVATIONS}, not {activation!r}")
        self.w = [Value(random.uniform(-1, 1)) for _ in range(nin)]
        self.b = Value(0)
        self.nonlin = nonlin and activation != "linear"
        self.activation = activation

    def __call__(self, x: Iterable[Any]) -> Value:
        activation = self.activation if self.nonlin else "linear"
        return affine(self.w, x, self.b, None if activation == "linear" else activation)

    def parameters(self) -> list[Value]:
        return [*self.w, self.b]

    def __repr__(self) -> str:
        return f"{_NAMES[self.activation if self.nonlin else 'linear']}Neuron({len(self.w)})"


_CALL, _OF_A_NEURON = Neuron.__call__, Neuron.parameters


class Layer(Module):
    """nout neurons over the same nin inputs; one Value instead of a list where nout is 1."""

    def __init__(self, nin: int, nout: int, **kwargs: Any) -> None:
        self.neurons = [Neuron(nin, **kwargs) for _ in range(nout)]

    def __call__(self, x: Iterable[Any]) -> Any:
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

    def __init__(self, nin: int, nouts: list[int], *, activation: str = "relu") -> None:
        if not hasattr(nouts, "__iter__"):
            raise TypeError(
                f"nouts must be a list of sizes, such as [16, 1], not {type(nouts).__name__!r}"
            )
        sz = [nin, *nouts]
        self.layers = [
            Layer(sz[i], sz[i + 1], nonlin=i != len(nouts) - 1, activation=activation)
            for i in range(len(nouts))
        ]

    def __call__(self, x: Iterable[Any]) -> Any:
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
