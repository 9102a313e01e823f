"""HIPS autograd: vectorised NumPy, whole batches, gradients by value_and_grad."""

import autograd.numpy as np
from autograd import make_vjp, value_and_grad

from ..case import Case, GraphCase
from ..layers import flatten_layers
from ..scalar import chain_graph, fan_graph
from ..workloads.moons import learning_rate
from ..workloads.names import ADAM

REQUIRES = ("autograd",)
INSTALL = "pip install autograd"
IMPORT = "import autograd, autograd.numpy"
ROWS = {
    "autograd": {
        "words": "HIPS autograd",
        "why": "NumPy over whole arrays: few operations, each in machine code.",
    },
}


def tiny(a, b):
    c = a + b
    d = a * b + b**3
    e = c - d
    f = e**2
    return f / 2.0


def relu(x):
    # np.maximum(0.0, x) would pass half of the gradient on where x is exactly 0.
    return np.where(x > 0, x, 0.0)


def small(a, b):
    c = a + b
    d = a * b + b**3
    c = c + (c + 1)
    c = c + (1 + c + (-a))
    d = d + d * 2 + relu(b + a)
    d = d + 3 * d + relu(b - a)
    e = c - d
    f = e**2
    return f / 2.0 + 10.0 / f


class AutogradCase(Case):
    def __init__(self, data):
        self.data = data


class Tiny(AutogradCase):
    function = staticmethod(tiny)
    point = (-41.0, 2.0)

    def setup(self):
        self.run = value_and_grad(self.function, argnum=(0, 1))

    def step(self):
        return self.run(*self.point)

    def numbers(self, out):
        value, grads = out
        return {"value": [value], "grad": grads}


class Small(Tiny):
    function = staticmethod(small)
    point = (-4.0, 2.0)


def perceptron(parameters, x):
    for i in range(0, len(parameters), 2):
        if i:
            x = relu(x)
        x = np.dot(x, parameters[i]) + parameters[i + 1]
    return x


def hinge_loss(parameters, X, y):
    return np.mean(relu(1 - y * perceptron(parameters, X)[:, 0]))


def cross_entropy(logits, targets):
    shifted = logits - np.max(logits, axis=1, keepdims=True)
    chosen = shifted[np.arange(len(targets)), targets]
    return np.mean(np.log(np.sum(np.exp(shifted), axis=1)) - chosen)


def class_loss(parameters, X, y):
    return cross_entropy(perceptron(parameters, X), y)


class Training(AutogradCase):
    def build_model(self):
        self.parameters = [a.copy() for w, b in self.data["layers"] for a in (w.T, b)]

    def numbers(self, loss):
        p = self.parameters
        layers = [(p[i].T, p[i + 1]) for i in range(0, len(p), 2)]
        return {"loss": [loss], "parameters": flatten_layers(layers)}


class Moons(Training):
    """The penalty's gradient is 2 alpha p: it is added to the update instead of traced."""

    def setup(self):
        self.build_model()
        self.run = value_and_grad(hinge_loss)
        self.k = 0

    def step(self):
        loss, grads = self.run(self.parameters, self.data["X"], self.data["y"])
        lr = learning_rate(self.k)
        shrink = 1 - 2 * self.data["alpha"] * lr
        for p, g in zip(self.parameters, grads, strict=True):
            p *= shrink
            p -= lr * g
        self.k += 1
        return loss


class Batches(Training):
    def setup(self):
        self.build_model()
        self.run = value_and_grad(class_loss)
        self.k = 0
        self.start()

    def start(self):
        pass

    def step(self):
        batches = self.data["batches"]
        loss, grads = self.run(self.parameters, *batches[self.k % len(batches)])
        self.k += 1
        self.update(grads)
        return loss


class MnistSize(Batches):
    def update(self, grads):
        for p, g in zip(self.parameters, grads, strict=True):
            p -= self.data["lr"] * g


class Adam:
    """In place, array by array."""

    def __init__(self, parameters, lr, betas=(0.9, 0.999), eps=1e-8):
        self.parameters = parameters
        self.lr, self.betas, self.eps = lr, betas, eps
        self.m = [np.zeros_like(p) for p in parameters]
        self.v = [np.zeros_like(p) for p in parameters]
        self.count = 0

    def step(self, grads):
        self.count += 1
        b1, b2 = self.betas
        scale1, scale2 = 1 - b1**self.count, 1 - b2**self.count
        for p, g, m, v in zip(self.parameters, grads, self.m, self.v, strict=True):
            m *= b1
            m += (1 - b1) * g
            v *= b2
            v += (1 - b2) * g * g
            p -= self.lr / scale1 * m / (np.sqrt(v / scale2) + self.eps)


class Digits(Batches):
    def start(self):
        self.update = Adam(self.parameters, self.data["lr"]).step


def rms_norm(x):
    return x * (np.mean(x * x, axis=-1, keepdims=True) + 1e-5) ** -0.5


def softmax(x):
    exps = np.exp(x - np.max(x, axis=-1, keepdims=True))
    return exps / np.sum(exps, axis=-1, keepdims=True)


def gpt_loss(parameters, tokens, targets, heads):
    """Attention over a whole name at once; queries, keys and values come from one matrix."""
    wte, wpe, qkv, wo, fc1, fc2, head = parameters
    n, width = len(tokens), wte.shape[1]
    x = rms_norm(wte[tokens] + wpe[:n])
    mixed = np.reshape(np.dot(rms_norm(x), qkv.T), (n, 3, heads, width // heads))
    q, k, v = np.transpose(mixed, (1, 2, 0, 3))
    scores = np.matmul(q, np.transpose(k, (0, 2, 1))) / (width // heads) ** 0.5
    scores = np.where(np.tril(np.ones((n, n), bool)), scores, -np.inf)
    h = np.transpose(np.matmul(softmax(scores), v), (1, 0, 2))
    x = x + np.dot(np.reshape(h, (n, width)), wo.T)
    x = x + np.dot(relu(np.dot(rms_norm(x), fc1.T)), fc2.T)
    return cross_entropy(np.dot(x, head.T), targets)


class Names(AutogradCase):
    def setup(self):
        w = self.data["weights"]
        qkv = np.concatenate([w["wq"], w["wk"], w["wv"]])
        arrays = [w["wte"], w["wpe"], qkv, w["wo"], w["fc1"], w["fc2"], w["head"]]
        self.parameters = [a.copy() for a in arrays]
        self.documents = [(np.array(d[:-1]), np.array(d[1:])) for d in self.data["documents"]]
        self.period = len(self.documents)
        self.optimizer = Adam(self.parameters, **ADAM)
        self.run = value_and_grad(gpt_loss)
        self.k = 0

    def step(self):
        tokens, targets = self.documents[self.k % self.period]
        self.k += 1
        loss, grads = self.run(self.parameters, tokens, targets, self.data["heads"])
        self.optimizer.step(grads)
        return loss

    def numbers(self, loss):
        return {
            "loss": [loss],
            "parameters": np.concatenate([p.ravel() for p in self.parameters]),
        }


def rosenbrock(x):
    return np.sum(100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2)


class Rosenbrock(AutogradCase):
    def setup(self):
        self.run = value_and_grad(rosenbrock)

    def step(self):
        return self.run(self.data["x"])

    def numbers(self, out):
        value, grad = out
        return {"value": [value], "grad": grad}


def normal_cdf(x):
    return 0.5 + 0.5 * np.tanh((2 / np.pi) ** 0.5 * (x + 0.044715 * x**3))


def option_prices(inputs):
    spot, strike, years, rate, sigma = inputs
    width = sigma * np.sqrt(years)
    d1 = (np.log(spot / strike) + (rate + 0.5 * sigma**2) * years) / width
    discounted = strike * np.exp(-rate * years)
    return spot * normal_cdf(d1) - discounted * normal_cdf(d1 - width)


class BlackScholes(AutogradCase):
    def setup(self):
        self.columns = tuple(c.copy() for c in self.data["options"].T)
        self.ones = np.ones(len(self.data["options"]))

    def step(self):
        backward, prices = make_vjp(option_prices)(self.columns)
        return prices, backward(self.ones)

    def numbers(self, out):
        prices, grads = out
        return {"price and sensitivities": np.column_stack([prices, *grads]).ravel()}


class GraphOfFloats(GraphCase):
    """chain and fan: make_vjp records the graph, the function that it returns goes back."""

    def __init__(self, data):
        self.leaves = data["leaves"]
        self.derive = make_vjp(lambda leaves: self.graph(leaves, data["nodes"]))

    def build(self):
        return self.derive(self.leaves)

    def backward(self, out):
        backward, _ = out
        self.grads = backward(1.0)

    def numbers(self, out):
        _, value = out
        return {"value": [value], "grad": self.grads}


class Chain(GraphOfFloats):
    graph = staticmethod(chain_graph)


class Fan(GraphOfFloats):
    @staticmethod
    def graph(leaves, nodes):
        # autograd records an indexing for each use of a list: take the numbers out once.
        return fan_graph([leaves[i] for i in range(len(leaves))], nodes)


CASES = {
    "tiny": Tiny,
    "small": Small,
    "moons": Moons,
    "digits": Digits,
    "mnist_size": MnistSize,
    "names": Names,
    "rosenbrock": Rosenbrock,
    "black_scholes": BlackScholes,
    "chain": Chain,
    "fan": Fan,
}
