"""micrograd_fast, eager: the text of micrograd's users on this project's Value.

Row `eager` takes networks, losses and optimizers from micrograd_fast. `eager (micrograd's nn)` runs
micrograd's own nn.py, unchanged, and plain Python loops for all else.
"""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

from micrograd_fast import engine, functional, nn, optim

from .. import scalar, scalar_gpt, scalar_objectives
from ..scalar import Kit

REQUIRES = ("micrograd_fast",)
INSTALL = "pip install -e ."
IMPORT = "import micrograd_fast"
ROWS = {
    "eager": {},
    "eager (micrograd's nn)": {
        "options": {"own_nn": False},
        "only": ("moons", "digits", "mnist_size"),
        "requires": ("micrograd",),
    },
}


def micrograd_nn():
    """micrograd/nn.py, executed with this project's engine where it imports micrograd's."""
    spec = importlib.util.find_spec("micrograd")
    path = Path(spec.submodule_search_locations[0], "nn.py")
    module = ModuleType("micrograd_nn_on_micrograd_fast")
    before = sys.modules.get("micrograd.engine")
    sys.modules["micrograd.engine"] = engine
    try:
        exec(compile(path.read_text(), str(path), "exec"), module.__dict__)
    finally:
        if before is None:
            del sys.modules["micrograd.engine"]
        else:
            sys.modules["micrograd.engine"] = before
    return module


def cross_entropy(rows, targets):
    losses = [functional.cross_entropy(row, t) for row, t in zip(rows, targets, strict=True)]
    return functional.mean(losses)


KIT = Kit(engine.Value, nn.MLP, optim.SGD, optim.Adam, cross_entropy)


def on_kit(case):
    def make(data, own_nn=True):
        return case(data, KIT if own_nn else Kit(engine.Value, micrograd_nn().MLP))

    return make


CASES = {
    "tiny": on_kit(scalar.Tiny),
    "small": on_kit(scalar.Small),
    "moons": on_kit(scalar.Moons),
    "digits": on_kit(scalar.Digits),
    "mnist_size": on_kit(scalar.MnistSize),
    "names": on_kit(scalar_gpt.Names),
    "rosenbrock": on_kit(scalar.Rosenbrock),
    "black_scholes": on_kit(scalar.BlackScholes),
    "chain": on_kit(scalar.Chain),
    "fan": on_kit(scalar.Fan),
    "lstm": on_kit(scalar_objectives.Lstm),
    "lstm_large": on_kit(scalar_objectives.Lstm),
    "gmm": on_kit(scalar_objectives.Gmm),
    "gmm_large": on_kit(scalar_objectives.Gmm),
    "libor": on_kit(scalar_objectives.Libor),
    "lennard_jones": on_kit(scalar_objectives.LennardJones),
}
