"""The GPT on first names, in scalars: one text for every micrograd-style engine.

The network of Karpathy's microgpt: token and position embeddings, one block of attention and a
ReLU perceptron, RMS norms, no biases, Adam, one name a step.
"""

from .case import Case
from .workloads.names import ADAM


def linear(x, w):
    return [sum(wi * xi for wi, xi in zip(row, x, strict=True)) for row in w]


def softmax(logits):
    top = max(z.data for z in logits)
    exps = [(z - top).exp() for z in logits]
    total = sum(exps)
    return [e / total for e in exps]


def rmsnorm(x):
    mean_square = sum(xi * xi for xi in x) / len(x)
    scale = (mean_square + 1e-5) ** -0.5
    return [xi * scale for xi in x]


def attention(q, keys, values, heads):
    size = len(q) // heads
    mixed = []
    for start in range(0, len(q), size):
        part = range(start, start + size)
        scores = [sum(q[j] * k[j] for j in part) / size**0.5 for k in keys]
        weights = softmax(scores)
        mixed += [sum(w * v[j] for w, v in zip(weights, values, strict=True)) for j in part]
    return mixed


def logits_of(token, position, w, keys, values, heads):
    """The next token's logits; this token's key and value join those of the tokens before it."""
    x = [t + p for t, p in zip(w["wte"][token], w["wpe"][position], strict=True)]
    x = rmsnorm(x)
    h = rmsnorm(x)
    keys.append(linear(h, w["wk"]))
    values.append(linear(h, w["wv"]))
    h = linear(attention(linear(h, w["wq"]), keys, values, heads), w["wo"])
    x = [a + b for a, b in zip(x, h, strict=True)]
    h = [v.relu() for v in linear(rmsnorm(x), w["fc1"])]
    x = [a + b for a, b in zip(x, linear(h, w["fc2"]), strict=True)]
    return linear(x, w["head"])


class Names(Case):
    def __init__(self, data, kit):
        self.data = data
        self.kit = kit
        self.period = len(data["documents"])

    def setup(self):
        Value = self.kit.Value
        self.weights = {
            name: [[Value(v) for v in row] for row in w.tolist()]
            for name, w in self.data["weights"].items()
        }
        self.parameters = [p for w in self.weights.values() for row in w for p in row]
        self.optimizer = self.kit.Adam(self.parameters, **ADAM)
        self.k = 0

    def step(self):
        tokens = self.data["documents"][self.k % self.period]
        keys, values, losses = [], [], []
        for position, token in enumerate(tokens[:-1]):
            logits = logits_of(token, position, self.weights, keys, values, self.data["heads"])
            losses.append(-softmax(logits)[tokens[position + 1]].log())
        loss = sum(losses) * (1 / len(losses))
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.k += 1
        return loss

    def numbers(self, loss):
        return {"loss": [loss.data], "parameters": [p.data for p in self.parameters]}
