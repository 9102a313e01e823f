"""The Brusselator on a ring of cells: the sparse Jacobian that a stiff solver asks for."""

import numpy as np

TITLE = "brusselator: sparse Jacobian of 2 x 32 x 32 equations, 2,048 x 2,048"
WORDS = "sparse Jacobian of a reaction, 2,048 x 2,048"
UNIT = "Jacobian"
FULL = {"cells": 32}
TOY = {"cells": 4}


def make(cells):
    rng = np.random.default_rng(0)
    size = 2 * cells * cells
    return {"cells": cells, "u": rng.uniform(0, 2, size), "probe": rng.normal(size=size)}
