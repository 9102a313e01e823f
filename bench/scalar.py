"""The workloads as micrograd's users write them: one text for every micrograd-style engine.

A Kit says which Value, multi-layer perceptron and optimizers the text runs on. A Value here has
micrograd's operators and the methods relu, exp, log, sqrt and tanh.
"""

from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from .case import Case, GraphCase
from .workloads.moons import learning_rate


class PlainSGD:
    """The update loop of micrograd's demo."""

    def __init__(self, parameters, lr):
        self.parameters = parameters
        self.lr = lr

    def zero_grad(self):
        for p in self.parameters:
            p.grad = 0

    def step(self):
        for p in self.parameters:
            p.data -= self.lr * p.grad


class PlainAdam:
    """Adam as scalar scripts write it, over plain lists."""

    def __init__(self, parameters, lr, betas=(0.9, 0.999), eps=1e-8):
        self.parameters = parameters
        self.lr, self.betas, self.eps = lr, betas, eps
        self.m = [0.0] * len(parameters)
        self.v = [0.0] * len(parameters)
        self.t = 0

    def zero_grad(self):
        for p in self.parameters:
            p.grad = 0

    def step(self):
        self.t += 1
        b1, b2 = self.betas
        m, v = self.m, self.v
        scale1, scale2 = 1 - b1**self.t, 1 - b2**self.t
        for i, p in enumerate(self.parameters):
            g = p.grad
            m[i] = b1 * m[i] + (1 - b1) * g
            v[i] = b2 * v[i] + (1 - b2) * g * g
            p.data -= self.lr * (m[i] / scale1) / ((v[i] / scale2) ** 0.5 + self.eps)


def plain_cross_entropy(rows, targets):
    """Mean of -log softmax(row)[target]; the largest logit is taken off so that exp stays small."""
    losses = []
    for row, target in zip(rows, targets, strict=True):
        top = max(z.data for z in row)
        total = sum((z - top).exp() for z in row)
        losses.append(total.log() + top - row[target])
    return sum(losses) * (1.0 / len(losses))


def plain_log_sum_exp(values):
    """log(sum(exp(v))); the largest is taken off so that exp stays small."""
    top = max(v.data for v in values)
    return sum((v - top).exp() for v in values).log() + top


@dataclass
class Kit:
    Value: Any
    MLP: Any = None
    SGD: Any = PlainSGD
    Adam: Any = PlainAdam
    cross_entropy: Any = plain_cross_entropy
    log_sum_exp: Any = plain_log_sum_exp
    collect: Any = lambda: None


class ScalarCase(Case):
    def __init__(self, data, kit):
        self.data = data
        self.kit = kit
        self.Value = kit.Value


class Tiny(ScalarCase):
    def step(self):
        a = self.Value(-41.0)
        b = self.Value(2.0)
        c = a + b
        d = a * b + b**3
        e = c - d
        f = e**2
        g = f / 2.0
        g.backward()
        return g, a, b

    def numbers(self, out):
        g, a, b = out
        return {"value": [g.data], "grad": [a.grad, b.grad]}


class Small(Tiny):
    def step(self):
        a = self.Value(-4.0)
        b = self.Value(2.0)
        c = a + b
        d = a * b + b**3
        c += c + 1
        c += 1 + c + (-a)
        d += d * 2 + (b + a).relu()
        d += 3 * d + (b - a).relu()
        e = c - d
        f = e**2
        g = f / 2.0
        g += 10.0 / f
        g.backward()
        return g, a, b


class Training(ScalarCase):
    """What the three perceptrons share: the model with the given weights."""

    def build_model(self):
        sizes = self.data["sizes"]
        self.model = self.kit.MLP(sizes[0], sizes[1:])
        self.parameters = self.model.parameters()
        for p, value in zip(self.parameters, self.data["parameters"].tolist(), strict=True):
            p.data = value

    def numbers(self, loss):
        return {"loss": [loss.data], "parameters": [p.data for p in self.parameters]}


class Moons(Training):
    """micrograd's demo.ipynb, one pass of its training loop."""

    def setup(self):
        self.build_model()
        self.X = self.data["X"].tolist()
        self.y = self.data["y"].tolist()
        self.optimizer = self.kit.SGD(self.parameters, lr=1.0)
        self.k = 0

    def step(self):
        inputs = [list(map(self.Value, row)) for row in self.X]
        scores = list(map(self.model, inputs))
        losses = [(1 + -yi * score).relu() for yi, score in zip(self.y, scores, strict=True)]
        data_loss = sum(losses) * (1.0 / len(losses))
        reg_loss = self.data["alpha"] * sum(p * p for p in self.parameters)
        total_loss = data_loss + reg_loss
        self.optimizer.zero_grad()
        total_loss.backward()
        self.optimizer.lr = learning_rate(self.k)
        self.optimizer.step()
        self.k += 1
        return data_loss


class Batches(Training):
    """A classifier on one mini-batch after the other."""

    optimizer_name = "Adam"

    def setup(self):
        self.build_model()
        self.batches = [(x.tolist(), y.tolist()) for x, y in self.data["batches"]]
        make = getattr(self.kit, self.optimizer_name)
        self.optimizer = make(self.parameters, lr=self.data["lr"])
        self.k = 0

    def step(self):
        X, y = self.batches[self.k % len(self.batches)]
        inputs = [list(map(self.Value, row)) for row in X]
        loss = self.kit.cross_entropy([self.model(x) for x in inputs], y)
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.k += 1
        return loss


class Digits(Batches):
    pass


class MnistSize(Batches):
    optimizer_name = "SGD"


def rosenbrock(x):
    return sum(100.0 * (b - a**2) ** 2 + (1.0 - a) ** 2 for a, b in pairwise(x))


class Rosenbrock(ScalarCase):
    def setup(self):
        self.point = self.data["x"].tolist()

    def step(self):
        x = [self.Value(v) for v in self.point]
        f = rosenbrock(x)
        f.backward()
        return f, x

    def numbers(self, out):
        f, x = out
        return {"value": [f.data], "grad": [v.grad for v in x]}


def normal_cdf(x):
    return 0.5 + 0.5 * (0.7978845608028654 * (x + 0.044715 * x**3)).tanh()


def option_price(spot, strike, years, rate, sigma):
    width = sigma * years.sqrt()
    d1 = ((spot / strike).log() + (rate + sigma * sigma / 2.0) * years) / width
    d2 = d1 - width
    return spot * normal_cdf(d1) - strike * (-rate * years).exp() * normal_cdf(d2)


class BlackScholes(ScalarCase):
    """One graph an option; share lets a slow engine do the first part of the options only."""

    rows, result = "options", "price and sensitivities"

    def __init__(self, data, kit, share=1.0):
        super().__init__(data, kit)
        rows = data[self.rows]
        count = max(10, round(share * len(rows)))
        self.share = min(1.0, count / len(rows))
        self.options = rows[:count].tolist()

    def price(self, inputs):
        return option_price(*inputs)

    def step(self):
        Value = self.Value
        results = []
        for option in self.options:
            inputs = [Value(v) for v in option]
            price = self.price(inputs)
            price.backward()
            results.append([price.data] + [v.grad for v in inputs])
        return results

    def numbers(self, results):
        return {self.result: [v for row in results for v in row]}


class GraphWorkload(GraphCase):
    no_grad = 0.0

    def __init__(self, data, kit):
        self.nodes = data["nodes"]
        self.kit = kit
        self.collect = kit.collect
        self.leaves = [kit.Value(v) for v in data["leaves"]]

    def build(self):
        for leaf in self.leaves:
            leaf.grad = self.no_grad
        return self.graph(self.leaves, self.nodes)

    def backward(self, out):
        out.backward()

    def numbers(self, out):
        return {"value": [float(out.data)], "grad": [float(v.grad) for v in self.leaves]}


def chain_graph(leaves, nodes):
    """v * a + b again and again: as deep as it is long."""
    v, a, b = leaves
    for _ in range(nodes // 2):
        v = v * a
        v = v + b
    return v


def fan_graph(leaves, nodes):
    """Half of the nodes use one leaf, the other half adds them up in pairs: wide and flat."""
    x, weights = leaves[0], leaves[1:]
    n = len(weights)
    terms = [x * weights[i % n] for i in range(nodes // 2)]
    while len(terms) > 1:
        odd = terms[len(terms) & ~1 :]
        terms = [a + b for a, b in zip(terms[::2], terms[1::2], strict=False)] + odd
    return terms[0]


class Chain(GraphWorkload):
    graph = staticmethod(chain_graph)


class Fan(GraphWorkload):
    graph = staticmethod(fan_graph)
