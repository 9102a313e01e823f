"""Whole trainings, compiled: the same losses as eager, step by step."""

import random
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest

import micrograd_fast as mg
from micrograd_fast import functional, optim
from micrograd_fast.engine import Value

# Last on the path, so that the micrograd_fast under test is the installed one.
sys.path.append(str(Path(__file__).parents[2]))
ENGINES = {name: import_module(f"bench.engines.{name}") for name in ("eager", "compiled")}
moons, digits, names = (
    import_module(f"bench.workloads.{name}") for name in ("moons", "digits", "names")
)

N_STEPS = 50
FIRST_NAMES = ["emma", "li", "christopher", "maria", "bo", "james", "elizabeth", "noah"]


def losses_of(engine, workload, data):
    """The losses of the first steps of a benchmark's training on one of its engines."""
    case = ENGINES[engine].CASES[workload](data)
    case.setup()
    return [case.step().data for _ in range(N_STEPS)]


def assert_trains_alike(workload, data):
    eager, compiled = (losses_of(engine, workload, data) for engine in ENGINES)
    assert np.isfinite(eager).all() and np.mean(eager[-8:]) < np.mean(eager[:8])
    assert compiled == pytest.approx(eager, rel=1e-9)


def test_the_moons_demo_trains_to_the_same_losses():
    assert_trains_alike("moons", moons.make(**moons.FULL))


def test_digits_train_to_the_same_losses():
    pytest.importorskip("sklearn")
    assert_trains_alike("digits", digits.make(**{**digits.FULL, "batch": 32}))


def test_the_gpt_on_names_trains_to_the_same_losses(monkeypatch):
    monkeypatch.setattr(names, "first_names", lambda: list(FIRST_NAMES))
    assert_trains_alike("names", names.make(**names.FULL))


class TinyGPT:
    """One block of one head over three characters; embeddings are taken by an index input."""

    def __init__(self, n_tokens, length, width):
        def matrix(n, m):
            return [[Value(random.gauss(0, 0.4)) for _ in range(m)] for _ in range(n)]

        self.tokens, self.places = matrix(n_tokens, width), matrix(length, width)
        self.query, self.key, self.value = (matrix(width, width) for _ in range(3))
        self.up, self.down = matrix(2 * width, width), matrix(width, 2 * width)
        self.head = matrix(n_tokens, width)

    def parameters(self):
        return [p for m in vars(self).values() for row in m for p in row]

    def block(self, xs):
        """The last position's vector."""
        q = linear(self.query, xs[-1])
        keys = [linear(self.key, x) for x in xs]
        values = [linear(self.value, x) for x in xs]
        scores = [functional.dot(q, k) * len(q) ** -0.5 for k in keys]
        weights = functional.softmax(scores)
        mixed = [functional.dot(weights, column) for column in zip(*values, strict=True)]
        x = [a + b for a, b in zip(xs[-1], mixed, strict=True)]
        hidden = [h.relu() for h in linear(self.up, normed(x))]
        return [a + b for a, b in zip(x, linear(self.down, hidden), strict=True)]

    def loss(self, characters, targets):
        """The mean loss of predicting each target from the characters up to it."""
        xs = [
            [a + b for a, b in zip(mg.take(self.tokens, c), place, strict=True)]
            for c, place in zip(characters, self.places, strict=True)
        ]
        losses = [
            functional.cross_entropy(linear(self.head, normed(self.block(xs[: k + 1]))), target)
            for k, target in enumerate(targets)
        ]
        return functional.mean(losses)


def linear(matrix, x):
    return [functional.dot(row, x) for row in matrix]


def normed(x):
    scale = (functional.mean([v * v for v in x]) + 1e-5) ** -0.5
    return [v * scale for v in x]


def test_a_gpt_over_a_batch_of_texts_trains_to_the_same_losses():
    text = np.random.default_rng(9).integers(0, 5, (6, 4))
    characters, targets = text[:, :3], text[:, 1:]
    courses = []
    for compiled in (False, True):
        random.seed(7)
        model = TinyGPT(n_tokens=5, length=3, width=4)
        optimizer = optim.Adam(model.parameters(), lr=0.02)
        rows = mg.compile(model.loss, batch=True)
        courses.append([])
        for _ in range(N_STEPS):
            if compiled:
                loss = rows(characters, targets).mean()
            else:
                loss = sum(map(model.loss, characters.tolist(), targets.tolist())) / len(text)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            courses[-1].append(loss.data)
    eager, compiled = courses
    assert eager[-1] < eager[0]
    assert compiled == pytest.approx(eager, rel=1e-9)
