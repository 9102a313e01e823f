"""CasADi: scalar expression graphs (SX), differentiated once, mapped over the batch.

Row `casadi` evaluates them in CasADi's virtual machine, `casadi (C)` as C code that the system's
compiler builds (its minutes are in the set-up column). Both are called through FunctionBuffer, on
arrays that stay where they are: CasADi's way around its Python conversions.
"""

from itertools import pairwise

import casadi as ca
import numpy as np

from ..layers import flatten_layers
from ..scalar_derivatives import brusselator, lotka_volterra, oscillation
from ..workloads.moons import learning_rate
from ..workloads.names import ADAM
from ._casadi_base import Call, CasadiCase, mapped_gradient, relu
from ._casadi_objectives import (
    BundleAdjustment,
    Functions,
    Gmm,
    KMeans,
    LennardJones,
    Libor,
    Lstm,
    Options,
)

REQUIRES = ("casadi",)
INSTALL = "pip install casadi"
IMPORT = "import casadi"
ROWS = {
    "casadi": {
        "words": "CasADi",
        "why": "Bound to arrays beforehand, a call looks at no argument and makes no result.",
    },
    "casadi (C)": {
        "words": "CasADi, C by gcc",
        "options": {"compiled": True},
        "left_out": {
            "lstm": "millions of lines of C",
            "names": "240,000 lines of C for a length of name",
            "lennard_jones": "a million lines of C",
            "gmm_large": "millions of lines of C",
        },
        "not_quick": ("digits", "mnist_size", "libor", "lotka_volterra", "brusselator"),
        "programs": ("gcc",),
        "why": "Bound to arrays beforehand, a call of C looks at no argument and makes no result.",
    },
}
LEFT_OUT = {"lstm_large": "tens of millions of nodes"}


def tiny(a, b):
    c = a + b
    d = a * b + b**3
    e = c - d
    f = e**2
    return f / 2.0


def small(a, b):
    c = a + b
    d = a * b + b**3
    c += c + 1
    c += 1 + c + (-a)
    d += d * 2 + relu(b + a)
    d += 3 * d + relu(b - a)
    e = c - d
    f = e**2
    return f / 2.0 + 10.0 / f


class Tiny(CasadiCase):
    function = staticmethod(tiny)
    point = (-41.0, 2.0)

    def setup(self):
        x = ca.SX.sym("x", len(self.point))
        f = self.function(*ca.vertsplit(x))
        self.call = Call(ca.Function("f", [x], [f, ca.gradient(f, x)], self.options), [self.point])
        self.run = self.call.run

    def step(self):
        self.run()

    def numbers(self, out):
        value, grad = self.call.results
        return {"value": value.ravel(), "grad": grad.ravel()}


class Small(Tiny):
    function = staticmethod(small)
    point = (-4.0, 2.0)


class Rosenbrock(Tiny):
    def setup(self):
        self.point = self.data["x"]
        super().setup()

    @staticmethod
    def function(*x):
        pairs = pairwise(x)
        return sum(100.0 * (b - a**2) ** 2 + (1.0 - a) ** 2 for a, b in pairs)


def normal_cdf(x):
    return 0.5 + 0.5 * ca.tanh((2 / np.pi) ** 0.5 * (x + 0.044715 * x**3))


def option_price(spot, strike, years, rate, sigma):
    width = sigma * ca.sqrt(years)
    d1 = (ca.log(spot / strike) + (rate + 0.5 * sigma**2) * years) / width
    discounted = strike * ca.exp(-rate * years)
    return spot * normal_cdf(d1) - discounted * normal_cdf(d1 - width)


class BlackScholes(CasadiCase):
    def setup(self):
        option = ca.SX.sym("option", 5)
        price = option_price(*ca.vertsplit(option))
        out = ca.vertcat(price, ca.gradient(price, option))
        one = ca.Function("one", [option], [out], self.options)
        count = len(self.data["options"])
        self.call = Call(one.map(count), [self.data["options"].T])

    def step(self):
        self.call.run()

    def numbers(self, out):
        return {"price and sensitivities": self.call.results[0].ravel(order="F")}


def split_layers(parameters, sizes):
    """[(W, b), ...] out of one vector in micrograd's order."""
    layers, start = [], 0
    for inputs, outputs in pairwise(sizes):
        end = start + outputs * (inputs + 1)
        both = ca.reshape(parameters[start:end], inputs + 1, outputs)
        layers.append((both[:inputs, :].T, both[inputs, :].T))
        start = end
    return layers


def perceptron(layers, x):
    for i, (w, b) in enumerate(layers):
        if i:
            x = relu(x)
        x = w @ x + b
    return x


class Training(CasadiCase):
    def start(self):
        self.parameters = flatten_layers(self.data["layers"])
        self.p = ca.SX.sym("p", len(self.parameters))
        self.k = 0

    def numbers(self, loss):
        return {"loss": [loss], "parameters": self.parameters.copy()}


class Moons(Training):
    def setup(self):
        self.start()
        sample = ca.SX.sym("sample", 3)
        score = perceptron(split_layers(self.p, self.data["sizes"]), sample[:2])
        samples = np.column_stack([self.data["X"], self.data["y"]]).T
        self.count = samples.shape[1]
        batch = mapped_gradient(
            relu(1 - sample[2] * score), self.p, sample, self.count, self.options
        )
        self.call = Call(batch, [self.parameters, samples])
        self.parameters = self.call.args[0]
        self.loss, self.grad = self.call.results

    def step(self):
        self.call.run()
        lr = learning_rate(self.k)
        self.parameters *= 1 - 2 * self.data["alpha"] * lr
        self.parameters -= lr / self.count * self.grad.ravel()
        self.k += 1
        return self.loss[0, 0] / self.count


class Adam:
    """In place, on the one vector of all parameters."""

    def __init__(self, parameters, lr, betas=(0.9, 0.999), eps=1e-8):
        self.parameters = parameters
        self.lr, self.betas, self.eps = lr, betas, eps
        self.m = np.zeros_like(parameters)
        self.v = np.zeros_like(parameters)
        self.count = 0

    def step(self, grad):
        self.count += 1
        b1, b2 = self.betas
        m, v = self.m, self.v
        m *= b1
        m += (1 - b1) * grad
        v *= b2
        v += (1 - b2) * grad * grad
        root = np.sqrt(v / (1 - b2**self.count))
        root += self.eps
        self.parameters -= self.lr / (1 - b1**self.count) * m / root


class Batches(Training):
    """Samples are columns of inputs and the one-hot target below them."""

    def setup(self):
        self.start()
        batches = self.data["batches"]
        inputs, outputs = self.data["sizes"][0], self.data["sizes"][-1]
        self.columns = [np.vstack([x.T, np.eye(outputs)[y].T]) for x, y in batches]
        self.count = len(batches[0][1])
        self.call = Call(
            self.loss_and_gradient(inputs, outputs), [self.parameters, self.columns[0]]
        )
        self.parameters, self.samples = self.call.args
        self.loss, self.grad = self.call.results
        self.begin()

    def step(self):
        np.copyto(self.samples, self.columns[self.k % len(self.columns)])
        self.k += 1
        self.call.run()
        self.update(self.grad.ravel() / self.count)
        return self.loss[0, 0] / self.count


class Digits(Batches):
    def loss_and_gradient(self, inputs, outputs):
        sample = ca.SX.sym("sample", inputs + outputs)
        logits = perceptron(split_layers(self.p, self.data["sizes"]), sample[:inputs])
        loss = ca.logsumexp(logits) - ca.dot(sample[inputs:], logits)
        return mapped_gradient(loss, self.p, sample, self.count, self.options)

    def begin(self):
        self.update = Adam(self.parameters, self.data["lr"]).step


class MnistSize(Batches):
    """In matrix expressions (MX): CasADi's own advice for products of this size."""

    def loss_and_gradient(self, inputs, outputs):
        p = ca.MX.sym("p", len(self.parameters))
        samples = ca.MX.sym("samples", inputs + outputs, self.count)
        x = samples[:inputs, :]
        for i, (w, b) in enumerate(split_layers(p, self.data["sizes"])):
            if i:
                x = ca.fmax(x, 0)
            x = w @ x + ca.repmat(b, 1, self.count)
        totals = ca.log(ca.sum1(ca.exp(x)))
        loss = ca.sum2(totals) - ca.dot(samples[inputs:, :], x)
        return ca.Function("batch", [p, samples], [loss, ca.gradient(loss, p)], self.options)

    def begin(self):
        pass

    def update(self, grad):
        self.parameters -= self.data["lr"] * grad


def rms_norm(x):
    return x / ca.sqrt(ca.sumsqr(x) / x.numel() + 1e-5)


def gpt_loss(x, targets, w, heads):
    """x: a column of embeddings for each token; attention token by token, as SX is scalar."""
    size = x.shape[0] // heads
    x = ca.horzcat(*map(rms_norm, ca.horzsplit(x)))
    h = ca.horzcat(*map(rms_norm, ca.horzsplit(x)))
    q, k, v = w["wq"] @ h, w["wk"] @ h, w["wv"] @ h
    mixed = []
    for t in range(x.shape[1]):
        parts = []
        for head in range(heads):
            part = slice(head * size, (head + 1) * size)
            exps = ca.exp(k[part, : t + 1].T @ q[part, t] / size**0.5)
            parts.append(v[part, : t + 1] @ exps / ca.sum1(exps))
        mixed.append(ca.vertcat(*parts))
    x = x + w["wo"] @ ca.horzcat(*mixed)
    h = ca.horzcat(*map(rms_norm, ca.horzsplit(x)))
    logits = w["head"] @ (x + w["fc2"] @ relu(w["fc1"] @ h))
    return ca.sum2(ca.log(ca.sum1(ca.exp(logits)))) - ca.dot(targets, logits)


class Names(CasadiCase):
    """A function for each length of name; embeddings are picked, and their gradients added, here.

    Exponentials need no shift by the largest: logits stay small.
    """

    def setup(self):
        self.weights = {name: w.copy() for name, w in self.data["weights"].items()}
        inner = {name: w for name, w in self.weights.items() if name not in ("wte", "wpe")}
        self.n_wte, self.n_wpe = self.weights["wte"].size, self.weights["wpe"].size
        self.start = self.n_wte + self.n_wpe
        self.parameters = np.concatenate([w.ravel() for w in self.weights.values()])
        self.wte = self.parameters[: self.n_wte].reshape(self.weights["wte"].shape)
        self.wpe = self.parameters[self.n_wte : self.start].reshape(self.weights["wpe"].shape)
        self.grad = np.zeros_like(self.parameters)
        calls = {}
        self.documents = []
        for d in self.data["documents"]:
            length = len(d) - 1
            if length not in calls:
                calls[length] = self.bind(inner, length)
            targets = np.eye(self.data["vocabulary"])[d[1:]].T
            self.documents.append((np.array(d[:-1]), targets, calls[length]))
        self.period = len(self.documents)
        self.optimizer = Adam(self.parameters, **ADAM)
        self.k = 0

    def bind(self, inner, length):
        p = ca.SX.sym("p", len(self.parameters) - self.start)
        x = ca.SX.sym("x", len(inner["wq"]), length)
        targets = ca.SX.sym("targets", self.data["vocabulary"], length)
        w, at = {}, 0
        for name, array in inner.items():
            rows, columns = array.shape
            w[name] = ca.reshape(p[at : at + array.size], columns, rows).T
            at += array.size
        loss = gpt_loss(x, targets, w, self.data["heads"]) / length
        out = [loss, ca.gradient(loss, p), ca.gradient(loss, x)]
        function = ca.Function(f"name{length}", [p, x, targets], out, self.options)
        zeros = [np.zeros(x.shape), np.zeros(targets.shape)]
        return Call(function, [self.parameters[self.start :], *zeros])

    def step(self):
        tokens, targets, call = self.documents[self.k % self.period]
        self.k += 1
        n = len(tokens)
        np.copyto(call.args[1], (self.wte[tokens] + self.wpe[:n]).T)
        np.copyto(call.args[2], targets)
        call.run()
        loss, inner, embedded = call.results
        grad = self.grad
        grad[: self.start] = 0.0
        np.add.at(grad[: self.n_wte].reshape(self.wte.shape), tokens, embedded.T)
        grad[self.n_wte : self.start].reshape(self.wpe.shape)[:n] = embedded.T
        grad[self.start :] = inner.ravel()
        self.optimizer.step(grad)
        return loss[0, 0]

    def numbers(self, loss):
        return {"loss": [loss], "parameters": self.parameters.copy()}


class DerivativeCase(CasadiCase):
    """One sparse matrix, evaluated at a point."""

    name = "jacobian"

    def matrix(self):
        """(point, symbols, matrix)"""
        raise NotImplementedError

    def setup(self):
        point, x, matrix = self.matrix()
        function = ca.Function("f", [x], [matrix], self.options)
        self.pattern = function.sparsity_out(0)
        buffer, self.run = function.buffer()
        self.point, self.values = np.array(point, dtype=float), np.zeros(self.pattern.nnz())
        buffer.set_arg(0, memoryview(self.point))
        buffer.set_res(0, memoryview(self.values))
        self.buffer = buffer
        self.run()

    def step(self):
        self.run()

    def dense(self):
        found = np.zeros(self.pattern.shape)
        rows, columns = self.pattern.get_triplet()
        found[rows, columns] = self.values
        return found

    def numbers(self, out):
        return {self.name: self.dense().ravel()}


class RosenbrockHessian(DerivativeCase):
    name = "hessian"

    def matrix(self):
        x = ca.SX.sym("x", len(self.data["x"]))
        return self.data["x"], x, ca.hessian(Rosenbrock.function(*ca.vertsplit(x)), x)[0]


class Oscillator(DerivativeCase):
    def matrix(self):
        p = ca.SX.sym("p", 4)
        found = oscillation(ca.vertsplit(p), ca.DM(self.data["times"]), ca.exp, ca.cos)
        return self.data["parameters"], p, ca.jacobian(found - ca.DM(self.data["seen"]), p)


class LotkaVolterra(DerivativeCase):
    def matrix(self):
        p = ca.SX.sym("p", 4)
        start, h, steps = self.data["start"].tolist(), self.data["step"], self.data["steps"]
        found = lotka_volterra(ca.vertsplit(p), start, h, steps)
        return self.data["parameters"], p, ca.jacobian(ca.vertcat(*found), p)


class Brusselator(DerivativeCase):
    def matrix(self):
        u = ca.SX.sym("u", len(self.data["u"]))
        found = ca.vertcat(*brusselator(ca.vertsplit(u), self.data["cells"]))
        return self.data["u"], u, ca.jacobian(found, u)

    def numbers(self, out):
        product = self.dense() @ self.data["probe"]
        return {"entries": [self.pattern.nnz()], "product": product}


CASES = {
    "tiny": Tiny,
    "small": Small,
    "moons": Moons,
    "digits": Digits,
    "mnist_size": MnistSize,
    "names": Names,
    "rosenbrock": Rosenbrock,
    "black_scholes": BlackScholes,
    "rosenbrock_hessian": RosenbrockHessian,
    "oscillator": Oscillator,
    "lotka_volterra": LotkaVolterra,
    "brusselator": Brusselator,
    "options": Options,
    "functions": Functions,
    "lstm": Lstm,
    "lstm_large": Lstm,
    "gmm": Gmm,
    "gmm_large": Gmm,
    "libor": Libor,
    "lennard_jones": LennardJones,
    "kmeans": KMeans,
    "ba": BundleAdjustment,
    "ba_large": BundleAdjustment,
}
