"""Learning rates that change from epoch to epoch: PyTorch's schedules, to 1e-12.

A schedule sets `lr` in each of its optimizer's param_groups when it is made and at every step(),
which is called after the optimizer's. The formulas are those of torch.optim.lr_scheduler
(https://docs.pytorch.org/docs/stable/optim.html#how-to-adjust-learning-rate): StepLR,
ExponentialLR and CosineAnnealingLR go on from the lr that is there, so that a program may change
it meanwhile; LambdaLR and OneCycleLR compute it anew.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

from micrograd_fast import _types as t
from micrograd_fast.counted import counted
from micrograd_fast.nn.sizes import size
from micrograd_fast.optim.groups import ParamGroup, checked
from micrograd_fast.optim.optimizer import Optimizer

__all__ = [
    "CosineAnnealingLR",
    "ExponentialLR",
    "LRScheduler",
    "LambdaLR",
    "OneCycleLR",
    "StepLR",
]


def __dir__() -> list[str]:
    return __all__


def _for_each(name: str, given: t.Any, n: int) -> list[t.Any]:
    """One for each group: those of a list, or n times the same."""
    if not isinstance(given, (list, tuple)):
        return [given] * n
    if len(given) != n:
        raise ValueError(
            f"{name} has {counted(len(given), 'item')} for {counted(n, 'group')} of parameters"
        )
    return list(given)


class LRScheduler:
    """Base of the schedules: a subclass says in get_lr() what the rates are at self.last_epoch, and
    in `saved` which of its attributes, numbers, texts or lists of them, are part of its state.

    last_epoch: -1 to begin; else the number of steps that were made before, of an optimizer whose
    groups have the 'initial_lr' of that time, as load_state_dict() restores it.

    Raises TypeError for what is no optimizer, KeyError where 'initial_lr' is missing; nothing is
    changed then.
    """

    saved: t.ClassVar[tuple[str, ...]] = ()
    optimizer: Optimizer
    base_lrs: list[float]
    last_epoch: int

    def __init__(self, optimizer: Optimizer, last_epoch: int = -1) -> None:
        groups = _groups_of(optimizer)
        last_epoch = size("last_epoch", last_epoch, -1)
        if last_epoch >= 0:
            for k, group in enumerate(groups):
                if "initial_lr" not in group:
                    raise KeyError(f"param_groups[{k}] has no 'initial_lr', which last_epoch needs")
        self.optimizer = optimizer
        self.base_lrs = self._first_lrs(groups)
        self.last_epoch = last_epoch
        self._is_initial = True
        self.step()
        self._is_initial = False
        for group, lr in zip(groups, self.base_lrs, strict=True):
            group["initial_lr"] = lr

    def _first_lrs(self, groups: list[ParamGroup]) -> list[float]:
        return [group.get("initial_lr", group["lr"]) for group in groups]

    def _check(self, settings: Mapping[str, t.Any]) -> None:
        """Raises ValueError for settings of the right kind that are out of range."""

    def get_lr(self) -> list[float]:
        """The rates of all groups at self.last_epoch."""
        raise NotImplementedError

    def _get_momentum(self) -> list[float]:
        """The momentums of all groups at self.last_epoch, where the schedule changes them."""
        return []

    def get_last_lr(self) -> list[float]:
        """The rates that the last step() set, one for each group."""
        return list(self._last_lr)

    def step(self) -> None:
        """Goes on by an epoch, or whatever the schedule counts, and sets the rates.

        Raises ValueError for a rate that is no finite number from 0 on; nothing is changed then.
        """
        groups = self.optimizer.param_groups
        if len(groups) != len(self.base_lrs):
            raise ValueError(
                f"the schedule was made for {len(self.base_lrs)} groups of parameters, the "
                f"optimizer has {len(groups)}: make the schedule after add_param_group()"
            )
        self.last_epoch += 1
        try:
            rates = [checked("lr", lr) for lr in self.get_lr()]
            momentums = self._get_momentum()
            pairs = list(zip(groups, rates, strict=True))
        except BaseException:
            self.last_epoch -= 1
            raise
        for group, lr in pairs:
            group["lr"] = lr
        for group, momentum in zip(groups, momentums, strict=False):  # none, or one for each
            if "betas" in group:
                group["betas"] = (momentum, *group["betas"][1:])
            else:
                group["momentum"] = momentum
        self._last_lr = rates

    def state_dict(self) -> dict[str, t.Any]:
        """Plain data: the epoch, the rates, and the schedule's own numbers."""
        lists = {"base_lrs": list(self.base_lrs), "last_lr": list(self._last_lr)}
        own = {name: getattr(self, name) for name in self.saved}
        own = {name: list(it) if isinstance(it, list) else it for name, it in own.items()}
        return {"last_epoch": self.last_epoch, **lists, **own}

    def load_state_dict(self, state: Mapping[str, t.Any]) -> None:
        """Takes what state_dict() of such a schedule returned; the optimizer's is another.

        Raises KeyError, TypeError or ValueError for anything else; nothing is changed then.
        """
        expected = {"last_epoch", "base_lrs", "last_lr", *self.saved}
        if set(state) != expected:
            raise KeyError(f"state has {sorted(state)}, {type(self).__name__} {sorted(expected)}")
        last_epoch = size("last_epoch", state["last_epoch"], 0)
        rates = {}
        for name in ("base_lrs", "last_lr"):
            rates[name] = _for_each(name, list(state[name]), len(self.base_lrs))
            rates[name] = [checked(name, lr) for lr in rates[name]]
        own = {name: _like(name, state[name], getattr(self, name)) for name in self.saved}
        self._check(own)
        self.last_epoch = last_epoch
        self.base_lrs, self._last_lr = rates["base_lrs"], rates["last_lr"]
        for name, setting in own.items():
            setattr(self, name, setting)


def _groups_of(optimizer: t.Any) -> list[ParamGroup]:
    if not isinstance(optimizer, Optimizer):
        raise TypeError(f"optimizer must be an Optimizer, not {type(optimizer).__name__!r}")
    return optimizer.param_groups


def _like(name: str, given: t.Any, own: t.Any) -> t.Any:
    """A setting of a state, of the kind that the schedule itself has."""
    if isinstance(own, list):
        items = list(given)
        if len(items) != len(own):
            raise ValueError(f"state[{name!r}] has {counted(len(items), 'item')}, not {len(own)}")
        return [_like(name, item, own[0]) for item in items]
    if isinstance(own, (str, bool)):
        if type(given) is not type(own):
            raise TypeError(f"state[{name!r}] must be {own!r} or the like, not {given!r}")
        return given
    return size(name, given, 1) if isinstance(own, int) else checked(name, given)


class LambdaLR(LRScheduler):
    """The first rate times lr_lambda(epoch): a function, or a list of one for each group.

    The functions are not part of the state.
    """

    def __init__(
        self,
        optimizer: Optimizer,
        lr_lambda: Callable[[int], float] | Sequence[Callable[[int], float]],
        last_epoch: int = -1,
    ) -> None:
        self.lr_lambdas: list[t.Any] = _for_each("lr_lambda", lr_lambda, len(_groups_of(optimizer)))
        for function in self.lr_lambdas:
            if not callable(function):
                raise TypeError(f"lr_lambda must be a function, not {type(function).__name__!r}")
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        pairs = zip(self.base_lrs, self.lr_lambdas, strict=True)
        return [lr * function(self.last_epoch) for lr, function in pairs]


class StepLR(LRScheduler):
    """The rate times gamma after every step_size epochs."""

    saved: t.ClassVar[tuple[str, ...]] = ("step_size", "gamma")

    def __init__(
        self, optimizer: Optimizer, step_size: int, gamma: float = 0.1, last_epoch: int = -1
    ) -> None:
        self.step_size: int = size("step_size", step_size, 1)
        self.gamma: float = checked("gamma", gamma)
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        falls = self.last_epoch > 0 and self.last_epoch % self.step_size == 0
        factor = self.gamma if falls else 1.0
        return [group["lr"] * factor for group in self.optimizer.param_groups]


class ExponentialLR(LRScheduler):
    """The rate times gamma after every epoch."""

    saved: t.ClassVar[tuple[str, ...]] = ("gamma",)

    def __init__(self, optimizer: Optimizer, gamma: float, last_epoch: int = -1) -> None:
        self.gamma: float = checked("gamma", gamma)
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        factor = 1.0 if self._is_initial else self.gamma
        return [group["lr"] * factor for group in self.optimizer.param_groups]


class CosineAnnealingLR(LRScheduler):
    """From the first rate along half a cosine to eta_min at epoch T_max, and back.

    eta_min + (first - eta_min) * (1 + cos(pi * epoch / T_max)) / 2 (Loshchilov and Hutter, 2017,
    without restarts), computed from the rate before.
    """

    saved: t.ClassVar[tuple[str, ...]] = ("T_max", "eta_min")

    def __init__(
        self, optimizer: Optimizer, T_max: int, eta_min: float = 0.0, last_epoch: int = -1
    ) -> None:
        self.T_max: int = size("T_max", T_max, 1)
        self.eta_min: float = checked("eta_min", eta_min)
        super().__init__(optimizer, last_epoch)

    def get_lr(self) -> list[float]:
        rates = [group["lr"] for group in self.optimizer.param_groups]
        if self._is_initial:
            return rates
        turn, low = math.pi / self.T_max, self.eta_min
        if (self.last_epoch - 1 - self.T_max) % (2 * self.T_max) == 0:  # the rate before is eta_min
            rises = [(base - low) * (1 - math.cos(turn)) / 2 for base in self.base_lrs]
            return [lr + rise for lr, rise in zip(rates, rises, strict=True)]
        now = 1 + math.cos(math.pi * self.last_epoch / self.T_max)
        before = 1 + math.cos(math.pi * (self.last_epoch - 1) / self.T_max)
        return [now / before * (lr - low) + low for lr in rates]


class OneCycleLR(LRScheduler):
    """Up to max_lr and down again within total_steps (Smith and Topin, 2018), a step a batch.

    From max_lr / div_factor up for the part pct_start of the steps, then down to that rate divided
    by final_div_factor; along cosines, or lines. With three_phase down to the first rate as long as
    up, then to the last. total_steps is epochs * steps_per_epoch where it is not given. Unless
    cycle_momentum is false, `momentum` or `betas[0]` goes the other way, from max_momentum to
    base_momentum and back. max_lr and the two momentums may be lists, one for each group.

    Raises ValueError for settings out of range, for an optimizer that has no momentum to cycle, and
    by the step() after the last.
    """

    saved: t.ClassVar[tuple[str, ...]] = (
        "total_steps", "pct_start", "anneal_strategy", "three_phase", "cycle_momentum",
        "first_lrs", "max_lrs", "min_lrs", "max_momentums", "base_momentums",
    )  # fmt: skip

    def __init__(
        self,
        optimizer: Optimizer,
        max_lr: float | Sequence[float],
        total_steps: int | None = None,
        epochs: int | None = None,
        steps_per_epoch: int | None = None,
        pct_start: float = 0.3,
        anneal_strategy: str = "cos",
        cycle_momentum: bool = True,
        base_momentum: float | Sequence[float] = 0.85,
        max_momentum: float | Sequence[float] = 0.95,
        div_factor: float = 25.0,
        final_div_factor: float = 1e4,
        three_phase: bool = False,
        last_epoch: int = -1,
    ) -> None:
        n = len(_groups_of(optimizer))
        self.total_steps: int = _total(total_steps, epochs, steps_per_epoch)
        self.pct_start: float = checked("pct_start", pct_start)
        self.anneal_strategy: str = anneal_strategy
        self.optimizer = optimizer
        self.three_phase: bool = bool(three_phase)
        self.cycle_momentum: bool = bool(cycle_momentum)
        for name, factor in (("div_factor", div_factor), ("final_div_factor", final_div_factor)):
            if not checked(name, factor):
                raise ValueError(f"{name} must be above 0")
        if self.cycle_momentum and not {"momentum", "betas"} & set(optimizer.hyperparameters):
            kind = type(optimizer).__name__
            raise ValueError(f"cycle_momentum needs momentum or betas, which {kind} has not")
        self.max_lrs: list[float] = [checked("max_lr", lr) for lr in _for_each("max_lr", max_lr, n)]
        self.first_lrs: list[float] = [lr / div_factor for lr in self.max_lrs]
        self.min_lrs: list[float] = [lr / final_div_factor for lr in self.first_lrs]
        self.max_momentums: list[float] = _for_each("max_momentum", max_momentum, n)
        self.base_momentums: list[float] = _for_each("base_momentum", base_momentum, n)
        self._check(vars(self))
        self.max_momentums = [checked("max_momentum", m) for m in self.max_momentums]
        self.base_momentums = [checked("base_momentum", m) for m in self.base_momentums]
        super().__init__(optimizer, last_epoch)

    def _check(self, settings: Mapping[str, t.Any]) -> None:
        if settings["pct_start"] > 1.0:
            raise ValueError(f"pct_start must be between 0 and 1, not {settings['pct_start']}")
        if settings["anneal_strategy"] not in ("cos", "linear"):
            strategy = settings["anneal_strategy"]
            raise ValueError(f"anneal_strategy must be 'cos' or 'linear', not {strategy!r}")
        below = 1.0 if "betas" in self.optimizer.hyperparameters else math.inf
        for name in ("max_momentum", "base_momentum"):
            for momentum in settings[f"{name}s"]:
                checked(name, momentum, below=below)

    def _first_lrs(self, groups: list[ParamGroup]) -> list[float]:
        return self.first_lrs

    def _phase(self) -> tuple[int, float]:
        """Which phase the step is in, and how far in it, from 0 to 1."""
        if self.last_epoch > self.total_steps:
            raise ValueError(
                f"step() number {self.last_epoch} of a schedule of total_steps={self.total_steps}"
            )
        up = self.pct_start * self.total_steps
        ends = [up - 1, 2 * up - 2] if self.three_phase else [up - 1]
        start = 0.0
        for k, end in enumerate((*ends, self.total_steps - 1)):
            if self.last_epoch <= end or k == len(ends):
                break
            start = end
        if end == start:
            raise ValueError(
                f"a phase of the cycle has no step: pct_start={self.pct_start} of "
                f"total_steps={self.total_steps}"
            )
        return k, (self.last_epoch - start) / (end - start)

    def _along(self, turns: list[list[float]]) -> list[float]:
        """For each group the number between those where the phase starts and ends."""
        phase, part = self._phase()
        pairs = zip(turns[phase], turns[phase + 1], strict=True)
        if self.anneal_strategy == "linear":
            return [(end - start) * part + start for start, end in pairs]
        cosine = math.cos(math.pi * part) + 1
        return [end + (start - end) / 2.0 * cosine for start, end in pairs]

    def get_lr(self) -> list[float]:
        between = [self.first_lrs] if self.three_phase else []
        rates = self._along([self.first_lrs, self.max_lrs, *between, self.min_lrs])
        # After the last batch PyTorch's line goes on: below 0 here would be refused.
        return rates if self.last_epoch < self.total_steps else [max(lr, 0.0) for lr in rates]

    def _get_momentum(self) -> list[float]:
        if not self.cycle_momentum:
            return []
        most, least = self.max_momentums, self.base_momentums
        return self._along([most, least, most, most])


def _total(total_steps: t.Any, epochs: t.Any, steps_per_epoch: t.Any) -> int:
    if total_steps is not None:
        return size("total_steps", total_steps, 1)
    if epochs is None or steps_per_epoch is None:
        raise ValueError("total_steps is needed, or epochs and steps_per_epoch")
    return size("epochs", epochs, 1) * size("steps_per_epoch", steps_per_epoch, 1)
