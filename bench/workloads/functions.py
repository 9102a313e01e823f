"""One formula of twenty functions, its value and gradient at a million points."""

import numpy as np

TITLE = "functions: 20 functions of 1,000,000 samples, value and gradient"
WORDS = "a formula of 20 functions, a million samples"
UNIT = "batch"
FULL = {"count": 1_000_000}
TOY = {"count": 20}


def make(count):
    return {"points": np.random.default_rng(9).uniform(0.1, 0.9, (count, 2))}
