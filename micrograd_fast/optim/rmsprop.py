"""RMSprop."""

from __future__ import annotations

from array import array
from collections.abc import Mapping

from micrograd_fast import _types as t
from micrograd_fast.optim.groups import ParamGroup, checked
from micrograd_fast.optim.optimizer import Optimizer

__all__ = ["RMSprop"]


class RMSprop(Optimizer):
    """RMSprop (Tieleman and Hinton, 2012), as torch.optim.RMSprop.

    g = grad + weight_decay * p;  s = alpha * s + (1 - alpha) * g*g, less the square of the running
    mean of g where centered;  v = momentum * v + g / (sqrt(s) + eps);  p -= lr * v.
    """

    hyperparameters: t.ClassVar[tuple[str, ...]] = (
        "lr",
        "alpha",
        "eps",
        "weight_decay",
        "momentum",
        "centered",
        "maximize",
    )
    buffers: t.ClassVar[tuple[str, ...]] = ("square_avg", "grad_avg", "momentum_buffer")
    lr: float
    alpha: float
    eps: float
    weight_decay: float
    momentum: float
    centered: bool
    maximize: bool

    def __init__(
        self,
        params: t.Params,
        lr: float = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        momentum: float = 0.0,
        centered: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        settings = (lr, alpha, eps, weight_decay, momentum, centered, maximize)
        super().__init__(params, dict(zip(self.hyperparameters, settings, strict=True)))

    def _check(self, **hyper: t.Any) -> None:
        for name in ("lr", "alpha", "eps", "weight_decay", "momentum"):
            checked(name, hyper[name])

    def _needed(self, hyper: Mapping[str, t.Any]) -> tuple[str, ...]:
        used = (True, hyper["centered"], hyper["momentum"])
        return tuple(name for name, needs in zip(self.buffers, used, strict=True) if needs)

    def _check_buffers(self, steps: int, buffers: Mapping[str, array[float]]) -> None:
        if steps and not buffers["square_avg"]:
            raise ValueError(f"buffer 'square_avg' is empty after {steps} steps")
        if min(buffers.get("square_avg", ()), default=0.0) < 0.0:
            raise ValueError("buffer 'square_avg' holds means of squares, not negative numbers")

    def _advance(self, group: ParamGroup) -> None:
        lr, alpha, eps, weight_decay, momentum, centered, maximize = group.settings
        square = group.buffer("square_avg")
        mean = group.buffer("grad_avg") if centered else None
        velocity = group.buffer("momentum_buffer") if momentum else None
        group.parameters.rmsprop_step(
            square, mean, velocity, lr, alpha, eps, weight_decay, momentum, maximize
        )
        buffers = zip(self.buffers, (square, mean, velocity), strict=True)
        group.buffers.update((name, kept) for name, kept in buffers if kept is not None)
        group.stepped()
