"""The Rosenbrock function and its gradient at one point: what optimizers call all the time."""

import numpy as np

TITLE = "rosenbrock: value and gradient of the 100-dimensional Rosenbrock function"
WORDS = "Rosenbrock's function of 100 variables"
UNIT = "call"
FULL = {"dimensions": 100}
TOY = {"dimensions": 5}


def make(dimensions):
    return {"x": np.random.default_rng(4).uniform(-1, 1, dimensions)}
