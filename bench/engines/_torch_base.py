"""What all cases for PyTorch share."""

import os

import torch

from ..case import Case

torch.set_num_threads(int(os.environ.get("BENCH_THREADS", "1")))


class TorchCase(Case):
    def __init__(self, data, dtype="float64", compiled=False):
        self.data = data
        self.dtype = getattr(torch, dtype)
        self.compiled = compiled

    def tensor(self, array, requires_grad=False):
        return torch.tensor(array, dtype=self.dtype, requires_grad=requires_grad)


def perceptron(parameters, x):
    """parameters are W1, b1, W2, b2, ...; each W is (inputs, outputs)."""
    for i in range(0, len(parameters), 2):
        if i:
            x = torch.relu(x)
        x = torch.addmm(parameters[i + 1], x, parameters[i])
    return x


def rosenbrock(x):
    return (100.0 * (x[1:] - x[:-1] ** 2) ** 2 + (1.0 - x[:-1]) ** 2).sum()
