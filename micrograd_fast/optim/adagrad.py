"""Adagrad."""

from __future__ import annotations

from array import array
from collections.abc import Mapping

from micrograd_fast import _types as t
from micrograd_fast.optim.groups import ParamGroup, checked
from micrograd_fast.optim.optimizer import Optimizer

__all__ = ["Adagrad"]


class Adagrad(Optimizer):
    """Adagrad (Duchi, Hazan and Singer, 2011), as torch.optim.Adagrad.

    g = grad + weight_decay * p;  s += g*g, from initial_accumulator_value on;
    p -= lr / (1 + lr_decay * steps made before) * g / (sqrt(s) + eps).
    """

    hyperparameters: t.ClassVar[tuple[str, ...]] = (
        "lr", "lr_decay", "weight_decay", "initial_accumulator_value", "eps", "maximize"
    )  # fmt: skip
    buffers: t.ClassVar[tuple[str, ...]] = ("sum",)
    lr: float
    lr_decay: float
    weight_decay: float
    initial_accumulator_value: float
    eps: float
    maximize: bool

    def __init__(
        self,
        params: t.Params,
        lr: float = 1e-2,
        lr_decay: float = 0.0,
        weight_decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
        *,
        maximize: bool = False,
    ) -> None:
        settings = (lr, lr_decay, weight_decay, initial_accumulator_value, eps, maximize)
        super().__init__(params, dict(zip(self.hyperparameters, settings, strict=True)))

    def _check(self, **hyper: t.Any) -> None:
        for name in self.hyperparameters[:-1]:
            checked(name, hyper[name])

    def _needed(self, hyper: Mapping[str, t.Any]) -> tuple[str, ...]:
        return self.buffers

    def _check_buffers(self, steps: int, buffers: Mapping[str, array[float]]) -> None:
        if steps and not buffers["sum"]:
            raise ValueError(f"buffer 'sum' is empty after {steps} steps")
        if min(buffers.get("sum", ()), default=0.0) < 0.0:
            raise ValueError("buffer 'sum' holds sums of squares, not negative numbers")

    def _advance(self, group: ParamGroup) -> None:
        lr, lr_decay, weight_decay, initial, eps, maximize = group.settings
        total, ages = group.buffer("sum", initial), group.step_ages(group.n_steps)
        group.parameters.adagrad_step(
            total, ages, group.n_steps + 1, lr, lr_decay, eps, weight_decay, maximize
        )
        group.buffers["sum"] = total
        group.stepped(ages)
