"""SGD, Adam and AdamW with PyTorch's names, defaults and formulas, stepping in C.

Hyperparameters are plain attributes: change `opt.lr` between steps at will. The formulas are those
of torch.optim (https://docs.pytorch.org/docs/stable/optim.html), in float64.
What is below 2.2e-308 in a step, a velocity or mean that has faded out above all, becomes 0: such
numbers would make steps fifty times slower.
"""

from __future__ import annotations

from array import array

from micrograd_fast._core import Parameters, check_not_tracing
from micrograd_fast.engine import Value

TYPE_CHECKING = False  # typing's own constant costs an import of 4 ms
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from typing import Any, ClassVar

__all__ = ["SGD", "Adam", "AdamW", "Optimizer"]


def __dir__() -> list[str]:
    return __all__


def _checked(name: str, number: float, low: float = 0.0, below: float = float("inf")) -> float:
    """A hyperparameter within [low, below), else ValueError."""
    try:
        number = Value(number).data  # a number of any kind
    except TypeError:
        raise TypeError(f"{name} must be a number, not {type(number).__name__!r}") from None
    if not low <= number < below:
        raise ValueError(f"{name} must be in [{low}, {below}), not {number}")
    return number


class Optimizer:
    """Base of the optimizers: parameters, hyperparameters by name, and per-parameter buffers.

    A subclass names its hyperparameters, which load_state_dict() restores, and its buffers, one
    float64 a parameter; says in _needed() which buffers its settings ask for, in _check() which
    settings are valid; and its step() calls the loop of _core.Parameters that does the arithmetic.

    params: leaf Values, all different. Raises TypeError for what is no Value or no list,
    ValueError for an empty list, a duplicate or a result of an op; the message gives the position.
    """

    hyperparameters: ClassVar[tuple[str, ...]] = ()
    buffers: ClassVar[tuple[str, ...]] = ()
    _checked: tuple[Any, ...] | None = None  # the hyperparameters of the last step

    def __init__(self, params: Iterable[Value]) -> None:
        if hasattr(params, "parameters"):
            kind = type(params).__name__
            raise TypeError(f"params must be a list of Values, not {kind!r}: give its parameters()")
        self._params = Parameters(params)
        self._n_steps = 0
        self._buffers: dict[str, array[float]] = {}

    @property
    def params(self) -> list[Value]:
        """The parameters, in the order given."""
        return list(self._params.values)

    def zero_grad(self) -> None:
        """Sets every parameter's grad to 0."""
        self._params.zero_grad()

    def step(self) -> None:
        """Changes every parameter's data by its grad."""
        raise NotImplementedError

    def _ready(self, *hyper: Any) -> None:
        """Checks hyperparameters, in their order, where they were changed after the last step."""
        if hyper != self._checked:
            check_not_tracing("an optimizer's step()")
            self._check(**dict(zip(self.hyperparameters, hyper, strict=True)))
            self._checked = hyper

    def _buffer(self, name: str) -> array[float]:
        """That buffer, or zeros, which a step that succeeds keeps."""
        buffer = self._buffers.get(name)
        return array("d", bytes(8 * len(self._params))) if buffer is None else buffer

    def _needed(self, hyper: Mapping[str, Any]) -> tuple[str, ...]:
        """The buffers that steps with these hyperparameters use."""
        return ()

    def state_dict(self) -> dict[str, Any]:
        """Plain data: the number of steps, hyperparameters, and buffers as lists of floats, empty
        where a buffer that is needed has not been used yet."""
        hyper = {name: getattr(self, name) for name in self.hyperparameters}
        buffers: dict[str, list[float]] = {name: [] for name in self._needed(hyper)}
        buffers.update((name, list(buffer)) for name, buffer in self._buffers.items())
        return {"steps": self._n_steps, "hyperparameters": hyper, "buffers": buffers}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Takes what state_dict() of the same optimizer over as many parameters returned.

        Raises KeyError, TypeError or ValueError for anything else; nothing is changed then.
        """
        steps, hyper, buffers = state["steps"], state["hyperparameters"], state["buffers"]
        if not isinstance(steps, int) or isinstance(steps, bool) or not 0 <= steps < 2**53:
            raise ValueError(f"state['steps'] must be a count of steps, not {steps!r}")
        if set(hyper) != set(self.hyperparameters):
            raise KeyError(
                f"state is for hyperparameters {sorted(hyper)}, "
                f"{type(self).__name__} has {sorted(self.hyperparameters)}"
            )
        if not set(buffers) <= set(self.buffers):
            raise KeyError(f"state has buffers {sorted(buffers)}, known are {sorted(self.buffers)}")
        if any(isinstance(numbers, (bytes, bytearray, str)) for numbers in buffers.values()):
            raise TypeError("the buffers of a state are lists of numbers, not bytes or text")
        self._check(**hyper)
        missing = [name for name in self._needed(hyper) if steps and name not in buffers]
        if missing:
            raise KeyError(f"a state after {steps} steps needs the buffers {missing}")
        arrays = {name: array("d", numbers) for name, numbers in buffers.items()}
        self._check_buffers(steps, arrays)
        for name, numbers in arrays.items():
            if numbers and len(numbers) != len(self._params):
                raise ValueError(
                    f"buffer {name!r} holds {len(numbers)} numbers "
                    f"for {len(self._params)} parameters"
                )
        for name in self.hyperparameters:
            setattr(self, name, hyper[name])
        self._n_steps = steps
        self._buffers = {name: numbers for name, numbers in arrays.items() if numbers}

    def _check(self, **hyper: Any) -> None:
        """Raises for hyperparameters out of range."""

    def _check_buffers(self, steps: int, buffers: Mapping[str, array[float]]) -> None:
        """Raises ValueError for buffers that no steps can have left."""


class SGD(Optimizer):
    """Stochastic gradient descent with momentum, Nesterov momentum and weight decay.

    g = grad + weight_decay * p;  v = momentum * v + (1 - dampening) * g (the first time v = g);
    p -= lr * (g + momentum * v if nesterov else v).
    """

    hyperparameters = ("lr", "momentum", "dampening", "weight_decay", "nesterov", "maximize")
    buffers = ("momentum_buffer",)

    def __init__(
        self,
        params: Iterable[Value],
        lr: float = 1e-3,
        momentum: float = 0.0,
        dampening: float = 0.0,
        weight_decay: float = 0.0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(params)
        self._check(
            lr=lr,
            momentum=momentum,
            dampening=dampening,
            weight_decay=weight_decay,
            nesterov=nesterov,
        )
        self.lr, self.momentum, self.dampening = lr, momentum, dampening
        self.weight_decay, self.nesterov, self.maximize = weight_decay, nesterov, maximize

    def _check(self, **hyper: Any) -> None:
        _checked("lr", hyper["lr"])
        momentum = _checked("momentum", hyper["momentum"])
        dampening = _checked("dampening", hyper["dampening"], low=float("-inf"))
        _checked("weight_decay", hyper["weight_decay"])
        if hyper["nesterov"] and (momentum <= 0 or dampening != 0):
            raise ValueError("nesterov needs momentum > 0 and dampening = 0")

    def _needed(self, hyper: Mapping[str, Any]) -> tuple[str, ...]:
        return self.buffers if hyper["momentum"] else ()

    def step(self) -> None:
        lr, momentum, dampening = self.lr, self.momentum, self.dampening
        weight_decay, nesterov, maximize = self.weight_decay, self.nesterov, self.maximize
        self._ready(lr, momentum, dampening, weight_decay, nesterov, maximize)
        velocity = self._buffer("momentum_buffer") if momentum else None
        self._params.sgd_step(
            velocity,
            "momentum_buffer" in self._buffers,
            lr,
            momentum,
            dampening,
            weight_decay,
            nesterov,
            maximize,
        )
        if velocity is not None:
            self._buffers["momentum_buffer"] = velocity
        self._n_steps += 1


class Adam(Optimizer):
    """Adam (Kingma and Ba, 2015), as torch.optim.Adam: weight_decay is added to the gradient.

    m and v are the running means of g and g*g, divided by 1 - beta**steps;
    p -= lr * m / (sqrt(v) + eps).
    """

    hyperparameters = ("lr", "betas", "eps", "weight_decay", "amsgrad", "maximize")
    buffers = ("exp_avg", "exp_avg_sq", "max_exp_avg_sq")
    _decoupled = False

    def __init__(
        self,
        params: Iterable[Value],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(params)
        self._check(lr=lr, betas=betas, eps=eps, weight_decay=weight_decay)
        self.lr, self.betas, self.eps = lr, betas, eps
        self.weight_decay, self.amsgrad, self.maximize = weight_decay, amsgrad, maximize

    def _check(self, **hyper: Any) -> None:
        _checked("lr", hyper["lr"])
        try:
            beta1, beta2 = hyper["betas"]
        except (TypeError, ValueError) as error:
            text = f"betas must be two numbers, (0.9, 0.999), not {hyper['betas']!r}"
            raise type(error)(text) from None
        _checked("betas[0]", beta1, below=1.0)
        _checked("betas[1]", beta2, below=1.0)
        _checked("eps", hyper["eps"])
        _checked("weight_decay", hyper["weight_decay"])

    def _needed(self, hyper: Mapping[str, Any]) -> tuple[str, ...]:
        return self.buffers if hyper["amsgrad"] else self.buffers[:2]

    def _check_buffers(self, steps: int, buffers: Mapping[str, array[float]]) -> None:
        for name in self.buffers[:2]:
            if steps and not buffers[name]:
                raise ValueError(f"buffer {name!r} is empty after {steps} steps")
        for name in self.buffers[1:]:
            if min(buffers.get(name, ()), default=0.0) < 0.0:
                raise ValueError(f"buffer {name!r} holds means of squares, not negative numbers")

    def step(self) -> None:
        lr, betas, eps = self.lr, self.betas, self.eps
        if not isinstance(betas, tuple):
            betas = tuple(betas)  # a list may have been changed since the last step
        weight_decay, amsgrad, maximize = self.weight_decay, self.amsgrad, self.maximize
        self._ready(lr, betas, eps, weight_decay, amsgrad, maximize)
        mean, square = self._buffer("exp_avg"), self._buffer("exp_avg_sq")
        largest = self._buffer("max_exp_avg_sq") if amsgrad else None
        self._params.adam_step(
            mean,
            square,
            largest,
            self._n_steps + 1,
            lr,
            betas[0],
            betas[1],
            eps,
            weight_decay,
            self._decoupled,
            maximize,
        )
        self._buffers["exp_avg"], self._buffers["exp_avg_sq"] = mean, square
        if largest is not None:
            self._buffers["max_exp_avg_sq"] = largest
        self._n_steps += 1


class AdamW(Adam):
    """Adam with decoupled weight decay (Loshchilov and Hutter, 2019).

    p *= 1 - lr * weight_decay comes before Adam's step.
    """

    _decoupled = True

    def __init__(
        self,
        params: Iterable[Value],
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        amsgrad: bool = False,
        *,
        maximize: bool = False,
    ) -> None:
        super().__init__(params, lr, betas, eps, weight_decay, amsgrad, maximize=maximize)
