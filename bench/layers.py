"""Weights of a multi-layer perceptron, drawn once and handed to every engine alike."""

from itertools import pairwise

import numpy as np


def draw_layers(rng, sizes, scale=None):
    """[(W, b), ...] with W of shape (outputs, inputs), in the order in which micrograd draws.

    rng is a random.Random; scale defaults to 1 / sqrt(inputs), micrograd's own is 1.
    """
    layers = []
    for inputs, outputs in pairwise(sizes):
        s = scale if scale is not None else inputs**-0.5
        w = [[rng.uniform(-1, 1) * s for _ in range(inputs)] for _ in range(outputs)]
        layers.append((np.array(w), np.zeros(outputs)))
    return layers


def flatten_layers(layers):
    """All parameters in one array, in the order of micrograd's parameters()."""
    return np.concatenate([np.column_stack([w, b]).ravel() for w, b in layers])


def training_flops(batch, sizes):
    """Floating-point operations in the matrix products of one training step: forward, gradients of
    weights, gradients of inputs but for those of the first layer."""
    weights = [inputs * outputs for inputs, outputs in pairwise(sizes)]
    return 2 * batch * (3 * sum(weights) - weights[0])
