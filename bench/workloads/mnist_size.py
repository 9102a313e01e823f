"""A network of MNIST's size on random data: large for a scalar engine, small for a tensor one."""

import random

import numpy as np

from ..layers import draw_layers, flatten_layers, training_flops

TITLE = "mnist_size: training step of a 784-128-128-10 classifier (batch 64, SGD, random data)"
WORDS = "training step of a large network (784-128-128-10, 64 samples)"
UNIT = "step"
FULL = {"batch": 64, "inputs": 784, "hidden": 128}
TOY = {"batch": 3, "inputs": 12, "hidden": 5}


def make(batch, inputs, hidden):
    rng = np.random.default_rng(2)
    sizes = [inputs, hidden, hidden, 10]
    layers = draw_layers(random.Random(2), sizes)
    return {
        "batches": [(rng.random((batch, inputs)), rng.integers(10, size=batch)) for _ in range(2)],
        "sizes": sizes,
        "layers": layers,
        "parameters": flatten_layers(layers),
        "lr": 0.01,
    }


def flops(batch, inputs, hidden):
    return training_flops(batch, [inputs, hidden, hidden, 10])
