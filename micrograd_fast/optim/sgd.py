"""Stochastic gradient descent."""

from __future__ import annotations

from collections.abc import Mapping

from micrograd_fast import _types as t
from micrograd_fast.optim.groups import ParamGroup, checked
from micrograd_fast.optim.optimizer import Optimizer

__all__ = ["SGD"]


class SGD(Optimizer):
    """Stochastic gradient descent with momentum, Nesterov momentum and weight decay.

    g = grad + weight_decay * p;  v = momentum * v + (1 - dampening) * g (the first time v = g);
    p -= lr * (g + momentum * v if nesterov else v).
    """

    hyperparameters: t.ClassVar[tuple[str, ...]] = (
        "lr",
        "momentum",
        "dampening",
        "weight_decay",
        "nesterov",
        "maximize",
    )
    buffers: t.ClassVar[tuple[str, ...]] = ("momentum_buffer",)
    lr: float
    momentum: float
    dampening: float
    weight_decay: float
    nesterov: bool
    maximize: bool

    def __init__(
        self,
        params: t.Params,
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        settings = (lr, momentum, dampening, weight_decay, nesterov, maximize)
        super().__init__(params, dict(zip(self.hyperparameters, settings, strict=True)))

    def _check(self, **hyper: t.Any) -> None:
        checked("lr", hyper["lr"])
        momentum = checked("momentum", hyper["momentum"])
        dampening = checked("dampening", hyper["dampening"], low=float("-inf"))
        checked("weight_decay", hyper["weight_decay"])
        if hyper["nesterov"] and (momentum <= 0 or dampening != 0):
            raise ValueError("nesterov needs momentum > 0 and dampening = 0")

    def _needed(self, hyper: Mapping[str, t.Any]) -> tuple[str, ...]:
        return self.buffers if hyper["momentum"] else ()

    def _advance(self, group: ParamGroup) -> None:
        if not group.settings[1]:
            group.parameters.sgd_step(None, None, False, *group.settings)
            group.stepped(group.ages)
            return
        started, velocity = "momentum_buffer" in group.buffers, group.buffer("momentum_buffer")
        ages = group.step_ages(float(group.n_steps if started else 0))
        group.parameters.sgd_step(velocity, ages, started, *group.settings)
        group.buffers["momentum_buffer"] = velocity
        group.stepped(ages)
