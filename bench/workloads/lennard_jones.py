"""The energy of atoms under the Lennard-Jones potential, and the forces on them."""

import math

import numpy as np

TITLE = "lennard_jones: energy and forces of 200 atoms, every pair"
WORDS = "forces between 200 atoms"
UNIT = "gradient"
FULL = {"atoms": 200}
TOY = {"atoms": 5}


def make(atoms):
    rng = np.random.default_rng(4)
    side = range(math.ceil(atoms ** (1 / 3)))
    grid = np.array([(i, j, k) for i in side for j in side for k in side])[:atoms]
    return {"positions": 1.1 * grid + rng.uniform(-0.05, 0.05, (atoms, 3))}
