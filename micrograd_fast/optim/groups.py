"""A group of parameters: its settings, which programs change, and what its steps keep."""

from __future__ import annotations

from array import array
from collections.abc import Iterable

from micrograd_fast import _types as t
from micrograd_fast._core import Parameters
from micrograd_fast.engine import Value

__all__: list[str] = []


def checked(name: str, number: float, low: float = 0.0, below: float = float("inf")) -> float:
    """A number within [low, below), else ValueError; TypeError for what is no number."""
    try:
        number = Value(number).data  # a number of any kind
    except TypeError:
        raise TypeError(f"{name} must be a number, not {type(number).__name__!r}") from None
    if not low <= number < below:
        raise ValueError(f"{name} must be in [{low}, {below}), not {number}")
    return number


class ParamGroup(dict[str, "t.Any"]):
    """{'params': a tuple of Values, 'lr': ..., ...}: an item of an optimizer's param_groups.

    A program may read and set all but 'params' between steps; steps check what was set.
    """

    def __init__(self, params: Iterable[Value], settings: dict[str, t.Any]) -> None:
        self.parameters: Parameters = Parameters(params)
        super().__init__(params=self.parameters.values, **settings)
        self.n_steps: int = 0
        self.buffers: dict[str, array[float]] = {}
        self.ages: array[float] | None = None  # steps of each parameter, where they differ
        # Params and hyperparameters that were checked.
        self.accepted: tuple[t.Any, ...] | None = None
        self.settings: tuple[t.Any, ...] = ()  # these hyperparameters

    def check_params(self) -> None:
        """Raises ValueError where the list of parameters is another one."""
        values, params = self.parameters.values, self["params"]
        if list(map(id, params)) != list(map(id, values)):
            raise ValueError(
                "the params of a group cannot be changed: make another optimizer, or add what is "
                "new by add_param_group()"
            )

    def buffer(self, name: str, number: float = 0.0) -> array[float]:
        """That buffer, or one full of that number, which a step that succeeds keeps."""
        kept = self.buffers.get(name)
        return array("d", [number]) * len(self.parameters) if kept is None else kept

    def step_ages(self, age: float) -> array[float] | None:
        """The number of steps of each parameter so far, where they differ or will after this one;
        `age` is that of all until now."""
        if self.ages is None and self.parameters.leaves_out():
            return array("d", [age]) * len(self.parameters)
        return self.ages

    def stepped(self, ages: array[float] | None = None) -> None:
        """After a step that succeeded."""
        self.n_steps += 1
        self.ages = ages
