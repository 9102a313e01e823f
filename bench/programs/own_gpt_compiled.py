"""own_gpt.py with micrograd_fast's Value, its loss compiled, and its Adam."""

import random
import sys

import numpy as np

import micrograd_fast as mg
from micrograd_fast import Value, functional, optim

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


softmax = functional.softmax
surprise = functional.cross_entropy


def row_of(name, index):
    return mg.take(w[name], index)


def attend(query, keys, values):
    size, mixed = WIDTH // HEADS, []
    for start in range(0, WIDTH, size):
        part = slice(start, start + size)
        shares = softmax([dot(query[part], k[part]) / size**0.5 for k in keys])
        mixed += [dot(shares, column) for column in zip(*(v[part] for v in values), strict=True)]
    return mixed


@mg.compile
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
optimizer = optim.Adam(parameters, lr=0.01, betas=(0.85, 0.99))
for step in range(steps):
    name = names[step % len(names)][: CONTEXT - 1]
    loss = loss_of(np.array([END, *map(letters.index, name), END]))
    optimizer.zero_grad()
    loss.backward()
    optimizer.lr = 0.01 * (1 - step / steps)
    optimizer.step()
    print(f"step {step + 1} loss {loss.data:.6f}")
