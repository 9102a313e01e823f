"""micrograd_fast, compiled: the scalar code of the eager rows, traced once by compile().

Losses and prices are functions of one sample; the names GPT takes a name as an array of tokens and
is traced once for each length of name. Optimizers are micrograd_fast.optim.
"""

import os

import numpy as np

import micrograd_fast as mg
from micrograd_fast import Value, functional, nn, optim

from .. import scalar_derivatives, scalar_hand
from ..case import Case
from ..scalar import option_price
from ..scalar_gpt import GPT
from ..scalar_mathematics import call_price, of_all
from ..scalar_objectives import lennard_jones_energy, lstm_loss, mixture, path_value
from ..workloads.moons import learning_rate
from ..workloads.names import ADAM

REQUIRES = ("micrograd_fast",)
INSTALL = "pip install -e ."
IMPORT = "import micrograd_fast"
ROWS = {"compiled": {"words": "ours, compiled"}}

mg.set_num_threads(int(os.environ.get("BENCH_THREADS", "1")))


class CompiledCase(Case):
    def __init__(self, data):
        self.data = data


class Tiny(CompiledCase):
    """Value and gradient of the formula at a point; its two inputs are one array."""

    point = (-41.0, 2.0)

    def setup(self):
        self.inputs = np.array(self.point)
        self.run = mg.compile(self.function).value_and_grad

    @staticmethod
    def function(inputs):
        a, b = inputs
        c = a + b
        d = a * b + b**3
        e = c - d
        return e**2 / 2.0

    def step(self):
        return self.run(self.inputs)

    def numbers(self, out):
        value, grad = out
        return {"value": [value], "grad": grad}


class Small(Tiny):
    point = (-4.0, 2.0)

    @staticmethod
    def function(inputs):
        a, b = inputs
        c = a + b
        d = a * b + b**3
        c += c + 1
        c += 1 + c + (-a)
        d += d * 2 + (b + a).relu()
        d += 3 * d + (b - a).relu()
        f = (c - d) ** 2
        return f / 2.0 + 10.0 / f


class Rosenbrock(Tiny):
    def setup(self):
        super().setup()
        self.inputs = np.array(self.data["x"])

    @staticmethod
    def function(x):
        return sum(
            100.0 * (x[k + 1] - x[k] ** 2) ** 2 + (1.0 - x[k]) ** 2 for k in range(len(x) - 1)
        )


class Training(CompiledCase):
    def build_model(self):
        sizes = self.data["sizes"]
        self.model = nn.MLP(sizes[0], sizes[1:])
        self.parameters = self.model.parameters()
        for p, value in zip(self.parameters, self.data["parameters"].tolist(), strict=True):
            p.data = value
        self.k = 0

    def numbers(self, loss):
        return {"loss": [loss.data], "parameters": [p.data for p in self.parameters]}


class Moons(Training):
    def setup(self):
        self.build_model()
        self.X, self.y = self.data["X"], self.data["y"]
        alpha = self.data["alpha"]
        self.hinge = mg.compile(lambda x, y: (1 + -y * self.model(x)).relu(), batch=True)
        self.penalty = mg.compile(lambda: alpha * sum(p * p for p in self.parameters))
        self.optimizer = optim.SGD(self.parameters, lr=1.0)
        self.step_once()

    def step_once(self):
        """Traces; without the update."""
        (self.hinge(self.X, self.y).mean() + self.penalty()).backward()

    def step(self):
        data_loss = self.hinge(self.X, self.y).mean()
        total_loss = data_loss + self.penalty()
        self.optimizer.zero_grad()
        total_loss.backward()
        self.optimizer.lr = learning_rate(self.k)
        self.optimizer.step()
        self.k += 1
        return data_loss


class Digits(Training):
    make_optimizer = optim.Adam

    def setup(self):
        self.build_model()
        self.batches = self.data["batches"]
        self.optimizer = self.make_optimizer(self.parameters, lr=self.data["lr"])
        self.loss = mg.compile(
            lambda x, target: functional.cross_entropy(self.model(x), target), batch=True
        )
        self.loss(*self.batches[0])

    def step(self):
        loss = self.loss(*self.batches[self.k % len(self.batches)]).mean()
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.k += 1
        return loss


class MnistSize(Digits):
    make_optimizer = optim.SGD


class CompiledGPT(GPT):
    """The scalar GPT; its softmax asks no Value for its number, its embeddings take an input."""

    softmax = staticmethod(functional.softmax)

    def loss(self, tokens):
        keys, values, losses = [], [], []
        for position in range(len(tokens) - 1):
            logits = self(tokens[position], position, keys, values)
            losses.append(functional.cross_entropy(logits, tokens[position + 1]))
        return functional.mean(losses)


class Rows(list):
    """An embedding: rows by a number that is known, or by one that is an input."""

    def __getitem__(self, index):
        return (
            mg.take(list(self), index)
            if isinstance(index, mg.Value)
            else super().__getitem__(index)
        )


class Names(CompiledCase):
    def __init__(self, data):
        super().__init__(data)
        self.period = len(data["documents"])

    def setup(self):
        weights = {
            name: Rows([mg.Value(v) for v in row] for row in w.tolist())
            for name, w in self.data["weights"].items()
        }
        self.parameters = [p for w in weights.values() for row in w for p in row]
        self.documents = [np.array(tokens) for tokens in self.data["documents"]]
        model = CompiledGPT(weights, self.data["heads"])
        self.loss = mg.compile(model.loss)
        for tokens in self.documents:
            self.loss(tokens)
        self.optimizer = optim.Adam(self.parameters, **ADAM)
        self.k = 0

    def step(self):
        loss = self.loss(self.documents[self.k % self.period])
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.k += 1
        return loss

    def numbers(self, loss):
        return {"loss": [loss.data], "parameters": [p.data for p in self.parameters]}


class BlackScholes(CompiledCase):
    """Price and sensitivities of every option, one call for the portfolio."""

    def setup(self):
        self.options = self.data["options"]
        self.run = mg.compile(lambda option: option_price(*option), batch=True).value_and_grad
        self.run(self.options[:1])

    def step(self):
        return self.run(self.options)

    def numbers(self, out):
        prices, sensitivities = out
        return {"price and sensitivities": np.column_stack([prices, sensitivities]).ravel()}


class Options(BlackScholes):
    def setup(self):
        self.options = self.data["options"]
        self.run = mg.compile(lambda option: call_price(option, Value), batch=True).value_and_grad
        self.run(self.options[:1])


class Functions(CompiledCase):
    def setup(self):
        points = self.data["points"]
        self.run = mg.compile(lambda point: of_all(*point, Value), batch=True).value_and_grad
        self.run(points[:1])

    def step(self):
        return self.run(self.data["points"])

    def numbers(self, out):
        values, gradients = out
        return {"value and gradient": np.column_stack([values, gradients]).ravel()}


class Lstm(CompiledCase):
    def setup(self):
        self.inputs = [self.data[name] for name in ("parameters", "state", "sequence")]
        self.loss = mg.compile(lstm_loss)
        self.step()

    def value(self):
        return self.loss(*self.inputs)

    def step(self):
        return self.loss.value_and_grad(*self.inputs)

    def numbers(self, out):
        value, grad = out
        return {"value": [value], "grad": np.ravel(grad)}


class LennardJones(Lstm):
    def setup(self):
        self.inputs = [self.data["positions"]]
        self.loss = mg.compile(lennard_jones_energy)
        self.step()


def log_sum_exp(values):
    largest = mg.maximum(*values)
    return sum((v - largest).exp() for v in values).log() + largest


class Gmm(Lstm):
    """The points are samples; the prior is a function of its own."""

    def setup(self):
        model = mixture(self.data, mg.Value, log_sum_exp)
        self.points = self.data["points"]
        self.parameters = model.parameters()
        self.likelihood = mg.compile(model.log_likelihood, batch=True)
        self.prior = mg.compile(model.log_prior)
        self.step()

    def value(self):
        return self.likelihood(self.points).sum() + self.prior()

    def step(self):
        value, grad = self.likelihood.value_and_grad(self.points, params=self.parameters)
        prior, prior_grad = self.prior.value_and_grad(params=self.parameters)
        count = len(self.points)
        return count * value + prior, count * grad + prior_grad


class Libor(Lstm):
    """Paths are samples."""

    def setup(self):
        rates, volatilities = (
            [mg.Value(v) for v in self.data[name].tolist()] for name in ("rates", "volatilities")
        )
        self.parameters = rates + volatilities
        self.path_value = mg.compile(lambda z: path_value(rates, volatilities, z), batch=True)
        self.step()

    def step(self):
        z = self.data["z"]
        value, grad = self.path_value.value_and_grad(z, params=self.parameters)
        return len(z) * value, len(z) * grad


class RosenbrockHessian(CompiledCase):
    def setup(self):
        self.f = mg.compile(Rosenbrock.function)
        self.step()

    def step(self):
        return self.f.hessian(self.data["x"])

    def numbers(self, out):
        return {"hessian": out.ravel()}


class JacobianCase(CompiledCase):
    def step(self):
        return self.f.jacobian(self.data["parameters"])

    def numbers(self, out):
        return {"jacobian": out.ravel()}


class Oscillator(JacobianCase):
    def setup(self):
        def residuals(p, times, seen):
            return [
                scalar_derivatives.oscillation(p, t, Value.exp, Value.cos) - y
                for t, y in zip(times, seen, strict=True)
            ]

        self.f = mg.compile(residuals)
        self.step()

    def step(self):
        return self.f.jacobian(self.data["parameters"], self.data["times"], self.data["seen"])


class LotkaVolterra(JacobianCase):
    def setup(self):
        start, h, steps = self.data["start"].tolist(), self.data["step"], self.data["steps"]
        self.f = mg.compile(lambda p: scalar_derivatives.lotka_volterra(p, start, h, steps))
        self.step()


class Brusselator(CompiledCase):
    def setup(self):
        cells = self.data["cells"]
        self.f = mg.compile(lambda u: scalar_derivatives.brusselator(u, cells))
        self.step()

    def step(self):
        return self.f.jacobian(self.data["u"], sparse=True)

    def numbers(self, out):
        return {"entries": [out.nnz], "product": out @ self.data["probe"]}


class MoonsHvp(Moons):
    def setup(self):
        self.build_model()
        self.hinge = mg.compile(lambda x, y: (1 + -y * self.model(x)).relu(), batch=True)
        self.step()

    def step(self):
        data = self.data
        return self.hinge.hvp(data["v"], data["X"], data["y"], params=self.parameters)

    def numbers(self, out):
        return {"product": out}


class Hand(CompiledCase):
    """What the pose alone decides is computed once a call, with its derivatives: mode forward."""

    def setup(self):
        relatives, inverses = self.data["relatives"].tolist(), self.data["inverses"].tolist()
        self.theta = [Value(t) for t in self.data["theta"].tolist()]

        def residuals(skin, point):
            bones = scalar_hand.transforms(self.theta, relatives, inverses)
            found = scalar_hand.place(self.theta, bones, skin)
            return [p - q for p, q in zip(point, found, strict=True)]

        self.residuals = residuals
        self.compile()
        self.step()

    def compile(self):
        self.f = mg.compile(self.residuals, batch=True)
        self.skin = self.data["skin"][self.data["at"]]

    def step(self):
        by_pose = self.f.jacobian(self.skin, self.data["points"], params=self.theta, mode="forward")
        return [by_pose]

    def numbers(self, out):
        return {"jacobian": np.concatenate(out, axis=2).ravel()}


class HandComplicated(Hand):
    def compile(self):
        def residuals(u, corners, point):
            return self.residuals(scalar_hand.between(u, corners), point)

        self.f = mg.compile(residuals, batch=True)
        self.corners = self.data["skin"][self.data["at"]]

    def step(self):
        given = self.data["u"], self.corners, self.data["points"]
        return [
            self.f.jacobian(*given, params=self.theta, mode="forward"),
            self.f.jacobian(*given, mode="forward"),
        ]


class BundleAdjustment(CompiledCase):
    def setup(self):
        self.f = mg.compile(scalar_derivatives.observation, batch=True)
        data = self.data
        self.given = [data[name] for name in ("cameras", "points", "weights", "seen")]
        self.options = {"argnums": (0, 1, 2), "sparse": True}
        self.options["index"] = data["camera_of"], data["point_of"], None
        self.options["out"] = self.f.jacobian(*self.given, **self.options)

    def step(self):
        return self.f.jacobian(*self.given, **self.options)

    def numbers(self, out):
        return {"entries": [out.nnz], "product": out @ self.data["probe"]}


class KMeans(CompiledCase):
    def setup(self):
        self.centres = [[Value(c) for c in row] for row in self.data["centres"].tolist()]
        self.parameters = [c for row in self.centres for c in row]

        def nearest(x):
            return mg.minimum(
                *[sum((a - c) ** 2 for a, c in zip(x, row, strict=True)) for row in self.centres]
            )

        self.f = mg.compile(nearest, batch=True)
        self.ones = np.ones(len(self.parameters))
        self.step()

    def step(self):
        points = self.data["points"]
        gradient = self.f.grad(points, params=self.parameters)
        diagonal = self.f.hvp(self.ones, points, params=self.parameters)
        return len(points) * gradient, len(points) * diagonal

    def numbers(self, out):
        return {"gradient": out[0], "diagonal": out[1]}


CASES = {
    "tiny": Tiny,
    "small": Small,
    "moons": Moons,
    "digits": Digits,
    "mnist_size": MnistSize,
    "names": Names,
    "rosenbrock": Rosenbrock,
    "black_scholes": BlackScholes,
    "lstm": Lstm,
    "lstm_large": Lstm,
    "gmm": Gmm,
    "gmm_large": Gmm,
    "libor": Libor,
    "lennard_jones": LennardJones,
    "rosenbrock_hessian": RosenbrockHessian,
    "oscillator": Oscillator,
    "lotka_volterra": LotkaVolterra,
    "brusselator": Brusselator,
    "moons_hvp": MoonsHvp,
    "options": Options,
    "functions": Functions,
    "kmeans": KMeans,
    "hand": Hand,
    "hand_large": Hand,
    "hand_complicated": HandComplicated,
    "ba": BundleAdjustment,
    "ba_large": BundleAdjustment,
}
