"""microgpt as people run it: a class and a training loop in the shape of Karpathy's.

Its class keeps local gradients in slots and finds the order by a function that calls itself; that
function is a reference cycle which holds the graph, so only the garbage collector frees it.
"""

import math

from ..case import Case
from ..workloads.names import ADAM

REQUIRES = ()
INSTALL = ""
ROWS = {
    "microgpt": {"words": "microgpt's own class"},
    "microgpt (gc off)": {"words": "microgpt's own class, gc off", "collector": False},
}


class Value:
    __slots__ = ("_children", "_local_grads", "data", "grad")

    def __init__(self, data, children=(), local_grads=()):
        self.data = data
        self.grad = 0
        self._children = children
        self._local_grads = local_grads

    def __add__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        return Value(self.data + other.data, (self, other), (1, 1))

    def __mul__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        return Value(self.data * other.data, (self, other), (other.data, self.data))

    def __pow__(self, other):
        return Value(self.data**other, (self,), (other * self.data ** (other - 1),))

    def log(self):
        return Value(math.log(self.data), (self,), (1 / self.data,))

    def exp(self):
        return Value(math.exp(self.data), (self,), (math.exp(self.data),))

    def relu(self):
        return Value(max(0, self.data), (self,), (float(self.data > 0),))

    def __neg__(self):
        return self * -1

    def __radd__(self, other):
        return self + other

    def __sub__(self, other):
        return self + (-other)

    def __rsub__(self, other):
        return other + (-self)

    def __rmul__(self, other):
        return self * other

    def __truediv__(self, other):
        return self * other**-1

    def __rtruediv__(self, other):
        return other * self**-1

    def backward(self):
        order, visited = [], set()

        def visit(v):
            if v not in visited:
                visited.add(v)
                for child in v._children:
                    visit(child)
                order.append(v)

        visit(self)
        self.grad = 1
        for v in reversed(order):
            for child, local_grad in zip(v._children, v._local_grads, strict=True):
                child.grad += local_grad * v.grad


def linear(x, w):
    return [sum(wi * xi for wi, xi in zip(row, x, strict=True)) for row in w]


def softmax(logits):
    largest = max(v.data for v in logits)
    exps = [(v - largest).exp() for v in logits]
    total = sum(exps)
    return [e / total for e in exps]


def rmsnorm(x):
    mean_square = sum(xi * xi for xi in x) / len(x)
    scale = (mean_square + 1e-5) ** -0.5
    return [xi * scale for xi in x]


def gpt(w, n_head, token, position, keys, values):
    x = [t + p for t, p in zip(w["wte"][token], w["wpe"][position], strict=True)]
    x = rmsnorm(x)
    residual, x = x, rmsnorm(x)
    q, k, v = linear(x, w["wq"]), linear(x, w["wk"]), linear(x, w["wv"])
    keys.append(k)
    values.append(v)
    size, mixed = len(q) // n_head, []
    for start in range(0, len(q), size):
        part = slice(start, start + size)
        q_h, k_h, v_h = q[part], [k[part] for k in keys], [v[part] for v in values]
        scores = [sum(q_h[j] * k[j] for j in range(size)) / size**0.5 for k in k_h]
        weights = softmax(scores)
        mixed += [sum(weights[t] * v_h[t][j] for t in range(len(v_h))) for j in range(size)]
    x = [a + b for a, b in zip(linear(mixed, w["wo"]), residual, strict=True)]
    residual, x = x, rmsnorm(x)
    x = linear([xi.relu() for xi in linear(x, w["fc1"])], w["fc2"])
    return linear([a + b for a, b in zip(x, residual, strict=True)], w["head"])


class Names(Case):
    def __init__(self, data):
        self.data = data
        self.period = len(data["documents"])

    def setup(self):
        self.weights = {
            name: [[Value(v) for v in row] for row in w.tolist()]
            for name, w in self.data["weights"].items()
        }
        self.parameters = [p for w in self.weights.values() for row in w for p in row]
        self.m = [0.0] * len(self.parameters)
        self.v = [0.0] * len(self.parameters)
        self.k = 0

    def step(self):
        tokens = self.data["documents"][self.k % self.period]
        keys, values, losses = [], [], []
        for position in range(len(tokens) - 1):
            heads = self.data["heads"]
            logits = gpt(self.weights, heads, tokens[position], position, keys, values)
            losses.append(-softmax(logits)[tokens[position + 1]].log())
        loss = (1 / len(losses)) * sum(losses)
        loss.backward()
        self.k += 1
        self.update()
        return loss

    def update(self):
        (beta1, beta2), m, v = ADAM["betas"], self.m, self.v
        for i, p in enumerate(self.parameters):
            m[i] = beta1 * m[i] + (1 - beta1) * p.grad
            v[i] = beta2 * v[i] + (1 - beta2) * p.grad**2
            m_hat = m[i] / (1 - beta1**self.k)
            v_hat = v[i] / (1 - beta2**self.k)
            p.data -= ADAM["lr"] * m_hat / (v_hat**0.5 + ADAM["eps"])
            p.grad = 0

    def numbers(self, loss):
        return {"loss": [loss.data], "parameters": [p.data for p in self.parameters]}


CASES = {"names": Names}
