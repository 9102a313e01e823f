"""A fixed piece of plain Python and NumPy: when this row changes, the machine did, not an engine.

It takes its turns in every workload; it does no automatic differentiation and is in no ratio.
"""

import numpy as np

from ..case import Case

REQUIRES = ()
INSTALL = ""
CONTROL = True
ROWS = {"control": {"words": "control"}}


class Control(Case):
    def __init__(self, data):
        self.matrix = np.linspace(-1.0, 1.0, 64 * 64).reshape(64, 64)

    def step(self):
        total = 0.0
        for i in range(10_000):
            total += i * 0.5
        return total + float((self.matrix @ self.matrix).sum())

    def numbers(self, out):
        return {}


CASES = {"*": Control}
