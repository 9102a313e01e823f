"""scikit-learn's handwritten digits: softmax classifier, mini-batches of 64 in a fixed cycle."""

import random

from ..layers import draw_layers, flatten_layers

TITLE = "digits: training step of a 64-32-10 classifier (batch 64, Adam)"
WORDS = "training step on digits (64-32-10 network, 64 samples, Adam)"
UNIT = "step"
REQUIRES = ("sklearn",)
INSTALL = "pip install scikit-learn"
FULL = {"batch": 64, "hidden": 32, "count": 8}
TOY = {"batch": 4, "hidden": 4, "count": 2}


def make(batch, hidden, count):
    from sklearn.datasets import load_digits

    X, y = load_digits(return_X_y=True)
    X = X / 16.0
    sizes = [64, hidden, 10]
    layers = draw_layers(random.Random(1), sizes)
    starts = range(0, batch * count, batch)
    return {
        "batches": [(X[i : i + batch], y[i : i + batch]) for i in starts],
        "sizes": sizes,
        "layers": layers,
        "parameters": flatten_layers(layers),
        "lr": 0.01,
    }
