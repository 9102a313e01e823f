"""micrograd's demo.ipynb: its data, its network, its training step on the whole batch.

The demo's accuracy line is left out everywhere: it is no part of the training step.
"""

import random

import numpy as np

from ..layers import draw_layers, flatten_layers, training_flops

TITLE = "moons: full-batch training step of micrograd's demo (2-16-16-1, 100 samples, SGD)"
WORDS = "training step of micrograd's demo (2-16-16-1 network, 100 samples)"
UNIT = "step"
FULL = {"samples": 100, "hidden": 16}
TOY = {"samples": 10, "hidden": 3}
SEED = 1337


def learning_rate(k):
    """The demo's schedule, taken up again after its hundred steps."""
    return 1.0 - 0.9 * (k % 100) / 100


def make_moons(samples, noise, rng):
    """sklearn.datasets.make_moons, number for number, without its second of importing."""
    outer = np.linspace(0, np.pi, samples // 2)
    inner = np.linspace(0, np.pi, samples - samples // 2)
    X = np.vstack(
        [
            np.column_stack([np.cos(outer), np.sin(outer)]),
            np.column_stack([1 - np.cos(inner), 1 - np.sin(inner) - 0.5]),
        ]
    )
    y = np.repeat([0, 1], [len(outer), len(inner)])
    order = np.arange(samples)
    rng.shuffle(order)
    return X[order] + rng.normal(scale=noise, size=X.shape), y[order]


def make(samples, hidden):
    X, y = make_moons(samples, 0.1, np.random.RandomState(SEED))
    sizes = [2, hidden, hidden, 1]
    layers = draw_layers(random.Random(SEED), sizes, scale=1.0)
    return {
        "X": X,
        "y": y * 2.0 - 1.0,
        "sizes": sizes,
        "layers": layers,
        "parameters": flatten_layers(layers),
        "alpha": 1e-4,
    }


def flops(samples, hidden):
    return training_flops(samples, [2, hidden, hidden, 1])
