"""ddx (on PyPI as ddx-ad): expressions of C++, interpreted or compiled through LLVM, in calls that
are bound to buffers.

Samples are points of a batch. What all samples share, weights for one, is a symbol with a row of
the buffer, filled anew before each call; what is of a sample and has no derivative is a parameter.
Left out: names and lstm, hundreds of thousands of operations and more to compile; digits, 2,410
weights for each sample of a batch; brusselator, whose Jacobian would be dense.
"""

from itertools import pairwise
from types import SimpleNamespace

import ddx
import numpy as np

from .. import scalar, scalar_hand
from ..case import Case
from ..layers import flatten_layers
from ..scalar_derivatives import lotka_volterra, observation, oscillation
from ..scalar_mathematics import FUNCTIONS, call_price, of_all
from ..scalar_objectives import path_value
from ..workloads.ba import block_numbers
from ..workloads.moons import learning_rate

REQUIRES = ("ddx",)
INSTALL = "pip install ddx-ad"
IMPORT = "import ddx"
ROWS = {
    "ddx": {
        "words": "ddx, by LLVM",
        "not_quick": ("lotka_volterra", "libor", "hand_large", "moons_hvp"),
        "why": "Bound to arrays beforehand, a call looks at no argument and makes no result.",
    },
    "ddx (interpreted)": {
        "words": "ddx, interpreted",
        "options": {"compiled": False},
        "not_quick": ("*",),
        "why": "Bound to arrays beforehand, a call looks at no argument and makes no result.",
    },
}


def relu(x):
    return ddx.select(x > 0.0, x, 0.0)


ddx.Expression.relu = relu  # methods that the formulas ask for, as micrograd has them
for function in (ddx.exp, ddx.log, ddx.sqrt, ddx.tanh, ddx.sin, ddx.cos):
    setattr(ddx.Expression, function.__name__, lambda x, f=function: f(x))


class DdxCase(Case):
    want = ddx.Want.JACOBIAN
    point = "parameters"

    def __init__(self, data, compiled=True):
        self.data = data
        self.compiled = compiled

    def bind(self, model, point):
        """self.call of a model at a point, or at a column of points for each sample."""
        self.equation = ddx.equation(model)
        if self.compiled:
            count = point.shape[1] if point.ndim > 1 else 1
            self.equation.options = ddx.Options(backend=ddx.Backend.COMPILE, points=count)
        self.call = self.equation.buffer(point, want=self.want)
        self.equation.wait_for_kernel(want=self.want)

    def setup(self):
        self.bind(self.model, self.data[self.point])
        self.step()

    def model(self):
        """The expression, or a tuple of them."""
        raise NotImplementedError

    def symbols(self):
        return [ddx.var(f"x{k}") for k in range(len(self.data[self.point]))]

    def step(self):
        self.call()
        return self.call

    def numbers(self, out):
        return {"jacobian": np.asarray(out.jacobian).ravel()}


class Rosenbrock(DdxCase):
    point = "x"

    def model(self):
        return scalar.rosenbrock(self.symbols())

    def numbers(self, out):
        return {"value": np.ravel(out.value), "grad": np.asarray(out.jacobian).ravel()}


class RosenbrockHessian(Rosenbrock):
    """With value and gradient, which it always gives; the Hessian by colours."""

    want = ddx.Want.HESSIAN

    def numbers(self, out):
        return {"hessian": np.asarray(out.hessian).ravel()}


class Oscillator(DdxCase):
    def model(self):
        p = self.symbols()
        pairs = zip(self.data["times"].tolist(), self.data["seen"].tolist(), strict=True)
        return tuple(oscillation(p, t, ddx.exp, ddx.cos) - y for t, y in pairs)


class LotkaVolterra(DdxCase):
    def model(self):
        start, h, steps = self.data["start"].tolist(), self.data["step"], self.data["steps"]
        return tuple(lotka_volterra(self.symbols(), start, h, steps))


class Tiny(DdxCase):
    def __init__(self, data, compiled=True):
        super().__init__({"parameters": np.array([-41.0, 2.0])}, compiled)

    def model(self):
        a, b = self.symbols()
        c = a + b
        d = a * b + b**3
        e = c - d
        return e**2 / 2.0

    def numbers(self, out):
        return {"value": np.ravel(out.value), "grad": np.asarray(out.jacobian).ravel()}


class Small(Tiny):
    def __init__(self, data, compiled=True):
        DdxCase.__init__(self, {"parameters": np.array([-4.0, 2.0])}, compiled)

    def model(self):
        a, b = self.symbols()
        c = a + b
        d = a * b + b**3
        c += c + 1
        c += 1 + c + (-a)
        d += d * 2 + (b + a).relu()
        d += 3 * d + (b - a).relu()
        f = (c - d) ** 2
        return f / 2.0 + 10.0 / f


# ---- formulas: the samples are the columns of one buffer ----

MATHEMATICS = SimpleNamespace(
    **{name: getattr(ddx, name, None) for name in FUNCTIONS if name not in ("expm1", "log1p")},
    expm1=lambda x: ddx.exp(x) - 1.0,
    log1p=lambda x: ddx.log(1.0 + x),
    ndtr=lambda x: 0.5 + 0.5 * ddx.erf(x * 0.7071067811865476),
)


class Options(DdxCase):
    samples, name = "options", "price and sensitivities"

    def __init__(self, data, compiled=True):
        super().__init__({"parameters": np.ascontiguousarray(data[self.samples].T)}, compiled)

    def model(self):
        return call_price(self.symbols(), MATHEMATICS)

    def numbers(self, out):
        columns = [np.ravel(out.value), *np.asarray(out.jacobian)]
        return {self.name: np.column_stack(columns).ravel()}


class BlackScholes(Options):
    def model(self):
        return scalar.option_price(*self.symbols())


class Functions(Options):
    samples, name = "points", "value and gradient"

    def model(self):
        return of_all(*self.symbols(), MATHEMATICS)


# ---- what samples share is a row of the buffer that is filled before each call ----


class Shared(DdxCase):
    """model(symbols, parameters) of one sample. shared: the numbers that all samples have in
    common; own: what is of a sample, a row each."""

    def bind_shared(self, shared, own):
        def model():
            symbols = [ddx.var(f"p{k}") for k in range(len(shared))]
            return self.model(symbols, [ddx.param(f"x{k}") for k in range(len(own))])

        self.shared = np.array(shared)
        self.bind(model, np.concatenate([np.zeros((len(shared), own.shape[1])), own]))
        self.run()

    def fill(self):
        self.call.x[: len(self.shared)] = self.shared[:, None]

    def run(self):
        self.fill()
        self.call()
        return self.call


def perceptron(sizes, parameters, x):
    """Parameters in micrograd's order: weights and bias of each neuron."""
    given = iter(parameters)
    for k, (inputs, outputs) in enumerate(pairwise(sizes)):
        if k:
            x = [v.relu() for v in x]
        neurons = [[next(given) for _ in range(inputs + 1)] for _ in range(outputs)]
        x = [sum((a * b for a, b in zip(w, x, strict=False)), w[-1]) for w in neurons]
    return x


class Moons(Shared):
    def model(self, symbols, sample):
        *x, y = sample
        (score,) = perceptron(self.data["sizes"], symbols, x)
        return (1 - y * score).relu()

    def setup(self):
        self.k = 0
        samples = np.column_stack([self.data["X"], self.data["y"]]).T
        self.bind_shared(flatten_layers(self.data["layers"]), samples)

    def step(self):
        call, lr = self.run(), learning_rate(self.k)
        self.k += 1
        self.shared *= 1 - 2 * self.data["alpha"] * lr
        self.shared -= lr * np.asarray(call.jacobian).mean(axis=1)
        return np.mean(call.value)

    def numbers(self, loss):
        return {"loss": [loss], "parameters": self.shared.copy()}


class MoonsHvp(Moons):
    """Its own product, in a direction that is the same for all samples."""

    def setup(self):
        super().setup()
        self.v = np.repeat(self.data["v"][:, None], len(self.data["X"]), axis=1)
        self.step()

    def step(self):
        self.fill()
        return self.equation.hvp(self.v, self.call.x)[2].mean(axis=1)

    def numbers(self, product):
        return {"product": product}


class Libor(Shared):
    def model(self, symbols, z):
        n = len(self.data["rates"])
        return path_value(symbols[:n], symbols[n:], z)

    def setup(self):
        both = np.concatenate([self.data["rates"], self.data["volatilities"]])
        self.bind_shared(both, self.data["z"].T)

    def step(self):
        call = self.run()
        return np.sum(call.value), np.asarray(call.jacobian).sum(axis=1)

    def numbers(self, out):
        return {"value": [out[0]], "grad": out[1]}


class KMeans(Shared):
    def model(self, symbols, x):
        n = len(x)
        rows = [symbols[k : k + n] for k in range(0, len(symbols), n)]
        squares = [sum((c - v) ** 2 for c, v in zip(row, x, strict=True)) for row in rows]
        least = squares[0]
        for square in squares[1:]:
            least = ddx.min(least, square)
        return least

    def setup(self):
        centres = self.data["centres"].ravel()
        self.bind_shared(centres, self.data["points"].T)
        self.ones = np.ones((len(centres), len(self.data["points"])))
        self.step()

    def step(self):
        self.fill()
        _, gradient, diagonal = self.equation.hvp(self.ones, self.call.x)
        return gradient.sum(axis=1), diagonal.sum(axis=1)

    def numbers(self, out):
        return {"gradient": out[0], "diagonal": out[1]}


class Hand(Shared):
    def model(self, theta, own):
        relatives, inverses = self.data["relatives"].tolist(), self.data["inverses"].tolist()
        point, flat = own[:3], own[3:]
        skin = [flat[k : k + 4] for k in range(0, len(flat), 4)]
        bones = scalar_hand.transforms(theta, relatives, inverses)
        found = scalar_hand.place(theta, bones, skin)
        return tuple(p - q for p, q in zip(point, found, strict=True))

    def setup(self):
        data = self.data
        skin = data["skin"][data["at"]].reshape(len(data["points"]), -1)
        self.bind_shared(data["theta"], np.concatenate([data["points"], skin], axis=1).T)

    def step(self):
        return self.run()

    def numbers(self, out):
        return {"jacobian": np.moveaxis(np.asarray(out.jacobian), 2, 0).ravel()}


class BundleAdjustment(DdxCase):
    """The blocks, which a sparse matrix is made of afterwards, untimed."""

    def setup(self):
        data = self.data
        self.at = data["camera_of"], data["point_of"]
        first = np.concatenate([np.zeros((15, len(self.at[0]))), data["seen"].T])
        self.bind(self.model, first)
        self.step()

    def model(self):
        x = [ddx.var(f"x{k}") for k in range(15)]
        seen = [ddx.param(f"y{k}") for k in range(2)]
        return tuple(observation(x[:11], x[11:14], x[14], seen))

    def step(self):
        x, (i, j) = self.call.x, self.at
        x[:11], x[11:14] = self.data["cameras"].T[:, i], self.data["points"].T[:, j]
        x[14] = self.data["weights"]
        self.call()
        return self.call

    def numbers(self, out):
        blocks = np.moveaxis(np.asarray(out.jacobian), 2, 0)
        by_camera, by_point, by_weight = np.split(blocks[:, :2], (11, 14), axis=2)
        return block_numbers(self.data, by_camera, by_point, by_weight[:, :, 0], blocks[:, 2, 14])


CASES = {
    "tiny": Tiny,
    "small": Small,
    "moons": Moons,
    "rosenbrock": Rosenbrock,
    "black_scholes": BlackScholes,
    "options": Options,
    "functions": Functions,
    "libor": Libor,
    "rosenbrock_hessian": RosenbrockHessian,
    "oscillator": Oscillator,
    "lotka_volterra": LotkaVolterra,
    "moons_hvp": MoonsHvp,
    "kmeans": KMeans,
    "hand": Hand,
    "hand_large": Hand,
    "ba": BundleAdjustment,
    "ba_large": BundleAdjustment,
}
