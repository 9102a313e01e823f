"""The GPT on first names, in scalars: one text for every micrograd-style engine.

The network of Karpathy's microgpt: token and position embeddings, one block of attention and a
ReLU perceptron, RMS norms, no biases, Adam, one name a step.
"""

from .case import Case
from .workloads.names import ADAM


def dot(w, x):
    return sum(wi * xi for wi, xi in zip(w, x, strict=True))


def softmax(logits):
    top = max(z.data for z in logits)
    exps = [(z - top).exp() for z in logits]
    total = sum(exps)
    return [e / total for e in exps]


class GPT:
    """One transformer block over given weights; call it token by token."""

    softmax = staticmethod(softmax)

    def __init__(self, weights, heads):
        self.weights = weights
        self.heads = heads

    def linear(self, x, name):
        return [dot(row, x) for row in self.weights[name]]

    def rmsnorm(self, x):
        mean_square = dot(x, x) / len(x)
        scale = (mean_square + 1e-5) ** -0.5
        return [xi * scale for xi in x]

    def attention(self, q, keys, values):
        size = len(q) // self.heads
        mixed = []
        for start in range(0, len(q), size):
            part = slice(start, start + size)
            scores = [dot(q[part], k[part]) / size**0.5 for k in keys]
            weights = self.softmax(scores)
            columns = zip(*(v[part] for v in values), strict=True)
            mixed += [dot(weights, column) for column in columns]
        return mixed

    def __call__(self, token, position, keys, values):
        """The next token's logits; this token's key and value join those before it."""
        w = self.weights
        x = [t + p for t, p in zip(w["wte"][token], w["wpe"][position], strict=True)]
        x = self.rmsnorm(x)
        h = self.rmsnorm(x)
        keys.append(self.linear(h, "wk"))
        values.append(self.linear(h, "wv"))
        h = self.linear(self.attention(self.linear(h, "wq"), keys, values), "wo")
        x = [a + b for a, b in zip(x, h, strict=True)]
        h = [v.relu() for v in self.linear(self.rmsnorm(x), "fc1")]
        x = [a + b for a, b in zip(x, self.linear(h, "fc2"), strict=True)]
        return self.linear(x, "head")


class Names(Case):
    def __init__(self, data, kit):
        self.data = data
        self.kit = kit
        self.period = len(data["documents"])

    def setup(self):
        Value = self.kit.Value
        weights = {
            name: [[Value(v) for v in row] for row in w.tolist()]
            for name, w in self.data["weights"].items()
        }
        self.parameters = [p for w in weights.values() for row in w for p in row]
        self.model = GPT(weights, self.data["heads"])
        self.optimizer = self.kit.Adam(self.parameters, **ADAM)
        self.k = 0

    def step(self):
        tokens = self.data["documents"][self.k % self.period]
        keys, values, losses = [], [], []
        for position, token in enumerate(tokens[:-1]):
            logits = self.model(token, position, keys, values)
            losses.append(-softmax(logits)[tokens[position + 1]].log())
        loss = sum(losses) * (1 / len(losses))
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.k += 1
        return loss

    def numbers(self, loss):
        return {"loss": [loss.data], "parameters": [p.data for p in self.parameters]}
