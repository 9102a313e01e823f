"""micrograd_fast, eager: the text of micrograd's users on this project's Value.

Row `eager` takes networks, losses and optimizers from micrograd_fast. `eager (micrograd's nn)` runs
micrograd's own nn.py, unchanged, and plain Python loops for all else.
"""

import importlib.util
import sys
from pathlib import Path
from types import ModuleType

import numpy as np

import micrograd_fast as mg
from micrograd_fast import engine, functional, nn, optim

from .. import scalar, scalar_derivatives, scalar_gpt, scalar_hand, scalar_objectives
from ..case import Case
from ..scalar import Kit
from ..scalar_mathematics import call_price, of_all

REQUIRES = ("micrograd_fast",)
INSTALL = "pip install -e ."
IMPORT = "import micrograd_fast"
ROWS = {
    "eager": {
        "words": "ours, eager",
        "left_out": {
            "gmm_large": "105 million Values a step",
            "ba_large": "the graphs of ba, seven times as many",
        },
    },
    "eager (micrograd's nn)": {
        "words": "ours, eager, micrograd's own nn.py",
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


def on_kit(case, **extra):
    def make(data, own_nn=True):
        return case(data, KIT if own_nn else Kit(engine.Value, micrograd_nn().MLP), **extra)

    return make


# ---- derivatives as graphs, made anew each time ----


class RosenbrockHessian(Case):
    def __init__(self, data):
        self.data = data

    def step(self):
        x = [engine.Value(v) for v in self.data["x"].tolist()]
        slopes = mg.gradients(scalar.rosenbrock(x), x)
        return [mg.gradients(s, x) for s in slopes]

    def numbers(self, out):
        return {"hessian": [h.data for row in out for h in row]}


class LotkaVolterra(Case):
    """A direction a parameter, by forward mode."""

    def __init__(self, data):
        self.data = data

    def function(self, *parameters):
        start, h, steps = self.data["start"].tolist(), self.data["step"], self.data["steps"]
        return scalar_derivatives.lotka_volterra(parameters, start, h, steps)

    def step(self):
        parameters = self.data["parameters"].tolist()
        ways = np.eye(len(parameters)).tolist()
        return [mg.jvp(self.function, parameters, way)[1] for way in ways]

    def numbers(self, out):
        return {"jacobian": [d.data for row in zip(*out, strict=True) for d in row]}


class Oscillator(LotkaVolterra):
    def function(self, *parameters):
        exp, cos = engine.Value.exp, engine.Value.cos
        return [
            scalar_derivatives.oscillation(parameters, t, exp, cos) - y
            for t, y in zip(self.data["times"].tolist(), self.data["seen"].tolist(), strict=True)
        ]


class Brusselator(Case):
    def __init__(self, data):
        self.data = data

    def step(self):
        u = [engine.Value(v) for v in self.data["u"].tolist()]
        rates = scalar_derivatives.brusselator(u, self.data["cells"])
        product, entries = [], 0
        for rate in rates:
            slopes = mg.gradients(rate, u)
            entries += sum(s.data != 0.0 for s in slopes)
            product.append(sum(s.data * v for s, v in zip(slopes, self.data["probe"], strict=True)))
        return entries, product

    def numbers(self, out):
        return {"entries": [out[0]], "product": out[1]}


class MoonsHvp(Case):
    def __init__(self, data):
        self.data = data

    def step(self):
        data = self.data
        model = nn.MLP(data["sizes"][0], data["sizes"][1:])
        parameters = model.parameters()
        for p, value in zip(parameters, data["parameters"].tolist(), strict=True):
            p.data = value
        scores = [model(row) for row in data["X"].tolist()]
        losses = [(1 + -y * s).relu() for y, s in zip(data["y"].tolist(), scores, strict=True)]
        slopes = mg.gradients(functional.mean(losses), parameters)
        return mg.gradients(functional.dot(slopes, data["v"].tolist()), parameters)

    def numbers(self, out):
        return {"product": [h.data for h in out]}


class KMeans(Case):
    def __init__(self, data):
        self.data = data

    def step(self):
        centres = [[engine.Value(c) for c in row] for row in self.data["centres"].tolist()]
        losses = [
            mg.minimum(*[sum((a - c) ** 2 for a, c in zip(x, row, strict=True)) for row in centres])
            for x in self.data["points"].tolist()
        ]
        parameters = [c for row in centres for c in row]
        gradient = mg.gradients(functional.sum(losses), parameters)
        return gradient, mg.gradients(functional.sum(gradient), parameters)

    def numbers(self, out):
        gradient, diagonal = out
        return {"gradient": [g.data for g in gradient], "diagonal": [h.data for h in diagonal]}


class Hand(Case):
    """A sweep of reverse mode for each residual."""

    def __init__(self, data):
        self.data = data

    def step(self):
        data = self.data
        theta = [engine.Value(t) for t in data["theta"].tolist()]
        bones = scalar_hand.transforms(theta, data["relatives"].tolist(), data["inverses"].tolist())
        rows = []
        for k, point in enumerate(data["points"].tolist()):
            skin, own = self.skin(k)
            found = scalar_hand.place(theta, bones, skin)
            for p, q in zip(point, found, strict=True):
                rows.append(mg.gradients(p - q, theta + own))
        return rows

    def skin(self, k):
        return self.data["skin"][self.data["at"][k]].tolist(), []

    def numbers(self, out):
        return {"jacobian": [d.data for row in out for d in row]}


class HandComplicated(Hand):
    def skin(self, k):
        u = [engine.Value(v) for v in self.data["u"][k].tolist()]
        return scalar_hand.between(u, self.data["skin"][self.data["at"][k]].tolist()), u


class BundleAdjustment(Case):
    def __init__(self, data):
        self.data = data

    def step(self):
        data, entries, product = self.data, 0, []
        sizes = data["cameras"].size, data["points"].size
        for k, seen in enumerate(data["seen"].tolist()):
            i, j = data["camera_of"][k], data["point_of"][k]
            camera = [engine.Value(v) for v in data["cameras"][i].tolist()]
            point = [engine.Value(v) for v in data["points"][j].tolist()]
            weight = engine.Value(data["weights"][k])
            at = [11 * i + m for m in range(11)] + [sizes[0] + 3 * j + m for m in range(3)]
            probe = data["probe"][[*at, sum(sizes) + k]]
            for y in scalar_derivatives.observation(camera, point, weight, seen):
                slopes = mg.gradients(y, [*camera, *point, weight])
                entries += sum(s.data != 0.0 for s in slopes)
                product.append(sum(s.data * v for s, v in zip(slopes, probe, strict=True)))
        return entries, product

    def numbers(self, out):
        return {"entries": [out[0]], "product": out[1]}


class Options(scalar.BlackScholes):
    def price(self, inputs):
        return call_price(inputs, self.Value)


class Functions(Options):
    rows, result = "points", "value and gradient"

    def price(self, inputs):
        return of_all(*inputs, self.Value)


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
    "options": on_kit(Options),
    "functions": on_kit(Functions, share=0.05),
    "rosenbrock_hessian": RosenbrockHessian,
    "oscillator": Oscillator,
    "lotka_volterra": LotkaVolterra,
    "brusselator": Brusselator,
    "moons_hvp": MoonsHvp,
    "kmeans": KMeans,
    "hand": Hand,
    "hand_large": Hand,
    "hand_complicated": HandComplicated,
    "ba": BundleAdjustment,
    "ba_large": BundleAdjustment,
}
