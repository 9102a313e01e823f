"""Products of the Hessian of the loss of micrograd's demo, without the weight penalty."""

import numpy as np

from . import moons

TITLE = "moons_hvp: Hessian times vector of the moons loss, 337 parameters, 100 samples"
WORDS = "Hessian times vector of micrograd's demo"
UNIT = "product"
FULL = moons.FULL
TOY = moons.TOY


def make(**size):
    data = moons.make(**size)
    v = np.random.default_rng(5).normal(size=len(data["parameters"]))
    return {**data, "v": v}
