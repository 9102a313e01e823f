"""Optimizers and schedules with PyTorch's names, defaults and formulas, stepping in C.

Hyperparameters are plain attributes: change `opt.lr` between steps at will. The formulas are those
of torch.optim (https://docs.pytorch.org/docs/stable/optim.html), in float64.
What is below 2.2e-308 in a step, a velocity or mean that has faded out above all, becomes 0: such
numbers would make steps fifty times slower.
"""

from __future__ import annotations

from micrograd_fast.optim import lr_scheduler
from micrograd_fast.optim.adagrad import Adagrad
from micrograd_fast.optim.adam import Adam, AdamW
from micrograd_fast.optim.optimizer import Optimizer
from micrograd_fast.optim.rmsprop import RMSprop
from micrograd_fast.optim.sgd import SGD

__all__ = ["SGD", "Adagrad", "Adam", "AdamW", "Optimizer", "RMSprop", "lr_scheduler"]


def __dir__() -> list[str]:
    return __all__
