"""ADBench's mixture of Gaussians: log-likelihood of some points, a prior, and the gradient."""

import numpy as np

TITLE = "gmm: ADBench's mixture, 10 Gaussians of dimension 20, 10,000 points"
WORDS = "mixture of 10 Gaussians, 10,000 points"
UNIT = "gradient"
FULL = {"dimension": 20, "components": 10, "count": 10_000}
TOY = {"dimension": 3, "components": 2, "count": 4}


def make(dimension, components, count):
    rng = np.random.default_rng(2)
    return {
        "logits": rng.normal(size=components),
        "means": rng.random((components, dimension)),
        "log_diagonals": rng.normal(size=(components, dimension)),
        "below": rng.normal(size=(components, dimension * (dimension - 1) // 2)),
        "points": rng.normal(size=(count, dimension)),
    }
