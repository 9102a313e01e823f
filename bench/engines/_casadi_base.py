"""What all cases for CasADi share: a Function bound to arrays, and a loss mapped over a batch."""

import casadi as ca
import numpy as np

from ..case import Case

JIT = {"jit": True, "compiler": "shell", "jit_options": {"flags": ["-O2", "-march=native"]}}


class Call:
    """A Function bound to arrays: args are read and results written where they lie."""

    def __init__(self, function, args):
        self.buffer, self.run = function.buffer()
        self.args = [np.asfortranarray(a, dtype=float) for a in args]
        for i, a in enumerate(self.args):
            self.buffer.set_arg(i, memoryview(a.reshape(-1, order="A")))
        self.results = [np.zeros(function.size_out(i), order="F") for i in range(function.n_out())]
        for i, r in enumerate(self.results):
            self.buffer.set_res(i, memoryview(r.reshape(-1, order="A")))


class CasadiCase(Case):
    def __init__(self, data, compiled=False):
        self.data = data
        self.options = JIT if compiled else {}


def relu(x):
    return ca.if_else(x > 0, x, 0)


def mapped_gradient(loss, parameters, sample, count, options):
    """(parameters, samples) -> summed loss, summed gradient, from one sample's expressions."""
    out = [loss, ca.gradient(loss, parameters)]
    return mapped_sum(out, parameters, sample, count, options)


def mapped_sum(out, parameters, sample, count, options):
    """(parameters, samples) -> sums over the samples of what is computed of one."""
    one = ca.Function("one", [parameters, sample], out, options)
    return one.map("batch", "serial", count, [0], [*range(len(out))], {})
