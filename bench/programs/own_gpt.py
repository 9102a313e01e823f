"""A GPT on first names in plain Python, with a Value of its own: the kind of program that
Karpathy's microgpt is. `python own_gpt.py NAMES.txt STEPS` trains it, one name a step."""

import math
import random
import sys


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

    def __pow__(self, k):
        return Value(self.data**k, (self,), (k * self.data ** (k - 1),))

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

    def __rmul__(self, other):
        return self * other

    def __truediv__(self, other):
        return self * other**-1

    def backward(self):
        order, seen = [], set()

        def visit(v):
            if v not in seen:
                seen.add(v)
                for child in v._children:
                    visit(child)
                order.append(v)

        visit(self)
        self.grad = 1
        for v in reversed(order):
            for child, local in zip(v._children, v._local_grads, strict=True):
                child.grad += local * v.grad


WIDTH, HEADS, CONTEXT = 16, 4, 16
random.seed(42)
with open(sys.argv[1]) as lines:
    names = lines.read().split()
random.shuffle(names)
letters = sorted(set("".join(names)))
END = len(letters)


def matrix(rows, columns):
    return [[Value(random.gauss(0, 0.08)) for _ in range(columns)] for _ in range(rows)]


sizes = {"token": (END + 1, WIDTH), "position": (CONTEXT, WIDTH), "head": (END + 1, WIDTH)}
sizes |= dict.fromkeys(("query", "key", "value", "out"), (WIDTH, WIDTH))
sizes |= {"up": (4 * WIDTH, WIDTH), "down": (WIDTH, 4 * WIDTH)}
w = {name: matrix(*size) for name, size in sizes.items()}
parameters = [p for rows in w.values() for row in rows for p in row]


def dot(a, b):
    return sum(x * y for x, y in zip(a, b, strict=True))


def linear(name, x):
    return [dot(row, x) for row in w[name]]


def add(a, b):
    return [x + y for x, y in zip(a, b, strict=True)]


def norm(x):
    scale = (dot(x, x) / len(x) + 1e-5) ** -0.5
    return [v * scale for v in x]


def softmax(logits):
    top = max(v.data for v in logits)
    exps = [(v - top).exp() for v in logits]
    total = sum(exps)
    return [e / total for e in exps]


def row_of(name, index):
    return w[name][index]


def surprise(logits, target):
    return -softmax(logits)[target].log()


def attend(query, keys, values):
    size, mixed = WIDTH // HEADS, []
    for start in range(0, WIDTH, size):
        part = slice(start, start + size)
        shares = softmax([dot(query[part], k[part]) / size**0.5 for k in keys])
        mixed += [dot(shares, column) for column in zip(*(v[part] for v in values), strict=True)]
    return mixed


def loss_of(tokens):
    keys, values, losses = [], [], []
    for place in range(len(tokens) - 1):
        x = norm(add(row_of("token", tokens[place]), row_of("position", place)))
        h = norm(x)
        keys.append(linear("key", h))
        values.append(linear("value", h))
        x = add(x, linear("out", attend(linear("query", h), keys, values)))
        x = add(x, linear("down", [v.relu() for v in linear("up", norm(x))]))
        losses.append(surprise(linear("head", x), tokens[place + 1]))
    return sum(losses) * (1 / len(losses))


steps = int(sys.argv[2])
first = [0.0] * len(parameters)
second = [0.0] * len(parameters)
for step in range(steps):
    name = names[step % len(names)][: CONTEXT - 1]
    loss = loss_of([END, *map(letters.index, name), END])
    loss.backward()
    rate = 0.01 * (1 - step / steps)
    for i, p in enumerate(parameters):
        first[i] = 0.85 * first[i] + 0.15 * p.grad
        second[i] = 0.99 * second[i] + 0.01 * p.grad**2
        size = (second[i] / (1 - 0.99 ** (step + 1))) ** 0.5 + 1e-8
        p.data -= rate * first[i] / (1 - 0.85 ** (step + 1)) / size
        p.grad = 0
    print(f"step {step + 1} loss {loss.data:.6f}")
