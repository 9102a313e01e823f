"""Adam and AdamW."""

from __future__ import annotations

from array import array
from collections.abc import Mapping

from micrograd_fast import _types as t
from micrograd_fast.optim.groups import ParamGroup, checked
from micrograd_fast.optim.optimizer import Optimizer

__all__ = ["Adam", "AdamW"]


class Adam(Optimizer):
    """Adam (Kingma and Ba, 2015), as torch.optim.Adam: weight_decay is added to the gradient.

    m and v are the running means of g and g*g, divided by 1 - beta**steps;
    p -= lr * m / (sqrt(v) + eps).
    """

    hyperparameters: t.ClassVar[tuple[str, ...]] = (
        "lr",
        "betas",
        "eps",
        "weight_decay",
        "amsgrad",
        "maximize",
    )
    buffers: t.ClassVar[tuple[str, ...]] = ("exp_avg", "exp_avg_sq", "max_exp_avg_sq")
    lr: float
    betas: tuple[float, float]
    eps: float
    weight_decay: float
    amsgrad: bool
    maximize: bool
    _decoupled = False

    def __init__(
        self,
        params: t.Params,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        settings = (lr, betas, eps, weight_decay, amsgrad, maximize)
        super().__init__(params, dict(zip(self.hyperparameters, settings, strict=True)))

    def _check(self, **hyper: t.Any) -> None:
        checked("lr", hyper["lr"])
        try:
            beta1, beta2 = hyper["betas"]
        except (TypeError, ValueError) as error:
            text = f"betas must be two numbers, (0.9, 0.999), not {hyper['betas']!r}"
            raise type(error)(text) from None
        checked("betas[0]", beta1, below=1.0)
        checked("betas[1]", beta2, below=1.0)
        checked("eps", hyper["eps"])
        checked("weight_decay", hyper["weight_decay"])

    def _needed(self, hyper: Mapping[str, t.Any]) -> tuple[str, ...]:
        return self.buffers if hyper["amsgrad"] else self.buffers[:2]

    def _check_buffers(self, steps: int, buffers: Mapping[str, array[float]]) -> None:
        for name in self.buffers[:2]:
            if steps and not buffers[name]:
                raise ValueError(f"buffer {name!r} is empty after {steps} steps")
        for name in self.buffers[1:]:
            if min(buffers.get(name, ()), default=0.0) < 0.0:
                raise ValueError(f"buffer {name!r} holds means of squares, not negative numbers")

    def _advance(self, group: ParamGroup) -> None:
        lr, betas, eps, weight_decay, amsgrad, maximize = group.settings
        mean, square = group.buffer("exp_avg"), group.buffer("exp_avg_sq")
        largest = group.buffer("max_exp_avg_sq") if amsgrad else None
        ages = group.step_ages(group.n_steps)
        group.parameters.adam_step(
            mean,
            square,
            largest,
            ages,
            group.n_steps + 1,
            lr,
            betas[0],
            betas[1],
            eps,
            weight_decay,
            self._decoupled,
            maximize,
        )
        group.buffers["exp_avg"], group.buffers["exp_avg_sq"] = mean, square
        if largest is not None:
            group.buffers["max_exp_avg_sq"] = largest
        group.stepped(ages)


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter, 2019).

    p *= 1 - lr * weight_decay comes before Adam's step.
    """

    _decoupled = True

    def __init__(
        self,
        params: t.Params,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, maximize=maximize)
