"""Optimizer: what all optimizers share, parameter groups, hyperparameters and states."""

from __future__ import annotations

from array import array
from collections.abc import Callable, Mapping
from itertools import chain
from operator import itemgetter

from micrograd_fast import _types as t
from micrograd_fast._core import check_not_tracing
from micrograd_fast.engine import Value
from micrograd_fast.optim.groups import ParamGroup, checked

__all__: list[str] = []

_BESIDE = ("initial_lr", "name")  # what a group may have beside params and hyperparameters
_AGES = "steps"  # the buffer of a state with the number of steps of each parameter


class Setting:
    """A hyperparameter as an attribute: opt.lr is the one of all groups, setting it sets all.

    Reading it raises ValueError where groups differ.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.__doc__ = None  # of each hyperparameter: the class says what it is

    def __get__(self, optimizer: Optimizer | None, kind: type | None = None) -> t.Any:
        if optimizer is None:
            return self
        found = [group[self.name] for group in optimizer.param_groups if self.name in group]
        if not found:
            raise AttributeError(f"{type(optimizer).__name__!r} has no {self.name!r} yet")
        if any(number != found[0] for number in found):
            raise ValueError(
                f"the groups have {self.name} = {found}: read opt.param_groups[k][{self.name!r}]"
            )
        return found[0]

    def __set__(self, optimizer: Optimizer, number: t.Any) -> None:
        for group in optimizer.param_groups:
            group[self.name] = number


class Optimizer:
    """Base of the optimizers: groups of parameters, hyperparameters by name, buffers.

    A subclass names its hyperparameters, which become attributes and are restored by
    load_state_dict(), and its buffers, one float64 a parameter; says in _needed() which buffers its
    settings ask for, in _check() which settings are valid; and its _advance() calls the loop of
    _core.Parameters that does the arithmetic. It may replace step() instead.

    params: leaf Values, all different; or dicts {"params": [...], "lr": ...}, a group each, whose
    other hyperparameters are the constructor's. Raises TypeError for what is no Value or no list,
    or an unknown setting; ValueError for an empty list, a duplicate or a result of an op; the
    message gives the position.

    `param_groups` is the list of groups, dicts whose settings may be changed between steps. With
    several groups `opt.lr` is what all of them have, else reading it raises ValueError; setting it
    sets it in all.

    A grad of 0 is a gradient: velocities go on, weights decay. As PyTorch leaves out `None`, a step
    leaves out, with all that is kept of it, a parameter whose `p.requires_grad = False`, and after
    zero_grad(set_to_none=True) one to which no backward() has come since (a compiled call comes to
    all that its function reads) and whose grad nobody has set. That is not the default here, where
    a parameter is one number: PyTorch's embeddings have a gradient in all rows once one is used.
    """

    hyperparameters: t.ClassVar[tuple[str, ...]] = ()
    buffers: t.ClassVar[tuple[str, ...]] = ()
    _settings: t.ClassVar[t.Any] = itemgetter("params", "params")
    param_groups: list[ParamGroup]
    defaults: dict[str, t.Any]

    def __init_subclass__(cls, **kwargs: t.Any) -> None:
        super().__init_subclass__(**kwargs)
        for name in cls.hyperparameters:
            if not hasattr(cls, name):
                setattr(cls, name, Setting(name))
        # With params there are two, so that it gives a tuple.
        cls._settings = itemgetter("params", *(cls.hyperparameters or ("params",)))

    def __init__(self, params: t.Params, defaults: Mapping[str, t.Any] | None = None) -> None:
        if hasattr(params, "parameters"):
            kind = type(params).__name__
            raise TypeError(f"params must be a list of Values, not {kind!r}: give its parameters()")
        if isinstance(params, Value):
            raise TypeError("params must be a list of Values, not one Value")
        given: list[t.Any] = list(params)
        before = vars(self).copy()
        self.defaults, self.param_groups = dict(defaults or {}), []
        try:
            if given and all(hasattr(group, "items") for group in given):
                for group in given:
                    self.add_param_group(group)
            else:
                self.add_param_group({"params": given})
        except BaseException:  # made again it stays what it was
            vars(self).clear()
            vars(self).update(before)
            raise

    def __repr__(self) -> str:
        """As PyTorch's: the settings of every group."""
        lines = [f"{type(self).__name__} ("]
        for k, group in enumerate(self.param_groups):
            lines.append(f"Parameter Group {k}")
            lines += [f"    {name}: {group[name]}" for name in sorted(group) if name != "params"]
        return "\n".join([*lines, ")"])

    def add_param_group(self, param_group: Mapping[str, t.Any]) -> None:
        """One more group, {"params": [...], "lr": ...}; what it lacks is the constructor's.

        Raises what the constructor raises, KeyError without "params"; nothing is changed then.
        """
        if not hasattr(param_group, "items"):
            raise TypeError(f"param_group must be a dict, not {type(param_group).__name__!r}")
        number, settings = len(self.param_groups), dict(param_group)
        if "params" not in settings:
            raise KeyError(f"group {number} has no 'params', only {sorted(settings)}")
        params = settings.pop("params")
        checked("initial_lr", settings.get("initial_lr", 0.0))
        if hasattr(params, "parameters"):
            kind = type(params).__name__
            raise TypeError(f"params must be a list of Values, not {kind!r}: give its parameters()")
        known = {*self.defaults, *self.hyperparameters, *_BESIDE}
        unknown = sorted(set(settings) - known)
        if unknown:
            raise TypeError(f"group {number} has {unknown}, known settings are {sorted(known)}")
        if isinstance(params, Value):
            params = [params]
        for name, default in self.defaults.items():
            settings.setdefault(name, list(default) if isinstance(default, list) else default)
        group = ParamGroup(params, settings)
        self._refuse_shared(group, number)
        if all(name in group for name in self.hyperparameters):
            self._check(**{name: group[name] for name in self.hyperparameters})
        self.param_groups.append(group)

    def _refuse_shared(self, group: ParamGroup, number: int) -> None:
        taken = {id(p): k for k, other in enumerate(self.param_groups) for p in other["params"]}
        for k, p in enumerate(group["params"] if taken else ()):
            if id(p) in taken:
                raise ValueError(
                    f"params[{k}] of group {number} is in group {taken[id(p)]} already"
                )

    @property
    def params(self) -> list[Value]:
        """The parameters of all groups, in the order given."""
        return [*chain.from_iterable(group["params"] for group in self.param_groups)]

    def zero_grad(self, set_to_none: bool = False) -> None:
        """Sets every parameter's grad to 0. set_to_none: and steps leave it out until backward()
        comes to it."""
        for group in self.param_groups:
            group.parameters.zero_grad(set_to_none)

    def step(self, closure: Callable[[], t.Any] | None = None) -> t.Any:
        """Changes every parameter's data by its grad.

        closure: computes the loss anew, with its gradients, and returns it; called first. Returns
        what it returned, or None. Raises ValueError or TypeError for settings out of range, before
        anything is changed.
        """
        loss = None
        if closure is not None:
            check_not_tracing("an optimizer's step()")
            loss = closure()
        for group in self.param_groups:  # all are checked before any is stepped
            if type(group) is not ParamGroup or self._settings(group) != group.accepted:
                self._accept(group)
        for group in self.param_groups:
            self._advance(group)
        return loss

    def _advance(self, group: ParamGroup) -> None:
        """A step of one group, with the hyperparameters in group.settings, in their order."""
        raise NotImplementedError

    def _accept(self, group: ParamGroup) -> None:
        """Checks a group that was changed after the last step."""
        check_not_tracing("an optimizer's step()")
        if type(group) is not ParamGroup:
            raise TypeError(
                f"param_groups holds a {type(group).__name__!r}: add a group by add_param_group()"
            )
        group.check_params()
        settings = tuple(group[name] for name in self.hyperparameters)
        self._check(**dict(zip(self.hyperparameters, settings, strict=True)))
        group.settings = settings
        # What a list holds may be changed in place: it is looked at before every step.
        is_fixed = not any(isinstance(setting, list) for setting in settings)
        group.accepted = self._settings(group) if is_fixed else None

    def _needed(self, hyper: Mapping[str, t.Any]) -> tuple[str, ...]:
        """The buffers that steps with these hyperparameters use."""
        return ()

    def _check(self, **hyper: t.Any) -> None:
        """Raises for hyperparameters out of range."""

    def _check_buffers(self, steps: int, buffers: Mapping[str, array[float]]) -> None:
        """Raises ValueError for buffers that no steps can have left."""

    def state_dict(self) -> dict[str, t.Any]:
        """Plain data: the number of steps, hyperparameters, and buffers as lists of floats, empty
        where a buffer that is needed has not been used yet. With several groups such a dict of
        each, {'group0': ..., 'group1': ...}."""
        states = [self._state_of(group) for group in self.param_groups]
        if len(states) == 1:
            return states[0]
        return {f"group{k}": state for k, state in enumerate(states)}

    def _state_of(self, group: ParamGroup) -> dict[str, t.Any]:
        hyper = {name: group[name] for name in self.hyperparameters}
        buffers: dict[str, list[float]] = {name: [] for name in self._needed(hyper)}
        buffers.update((name, list(buffer)) for name, buffer in group.buffers.items())
        if group.ages is not None:
            buffers[_AGES] = list(group.ages)
        if "initial_lr" in group:
            hyper["initial_lr"] = group["initial_lr"]
        return {"steps": group.n_steps, "hyperparameters": hyper, "buffers": buffers}

    def load_state_dict(self, state: Mapping[str, t.Any]) -> None:
        """Takes what state_dict() of the same optimizer over as many parameters, in as many groups,
        returned.

        Raises KeyError, TypeError or ValueError for anything else; nothing is changed then.
        """
        groups, states = self.param_groups, [state]
        n = len(groups)
        names = [f"group{k}" for k in range(n)] if n != 1 else []
        if names or "group0" in state:
            if set(state) != set(names):
                raise KeyError(f"state is of {sorted(state)}, this optimizer has {n} groups")
            states = [state[name] for name in names]
        found = [self._checked_state(*pair) for pair in zip(groups, states, strict=True)]
        for group, (steps, hyper, arrays) in zip(groups, found, strict=True):
            group.update(hyper)
            group.n_steps = steps
            group.ages = arrays.pop(_AGES, None)
            group.buffers = {name: numbers for name, numbers in arrays.items() if numbers}

    def _checked_state(
        self, group: ParamGroup, state: Mapping[str, t.Any]
    ) -> tuple[int, dict[str, t.Any], dict[str, array[float]]]:
        """A group's state, its buffers as arrays."""
        steps, hyper, buffers = state["steps"], dict(state["hyperparameters"]), state["buffers"]
        if not isinstance(steps, int) or isinstance(steps, bool) or not 0 <= steps < 2**53:
            raise ValueError(f"state['steps'] must be a count of steps, not {steps!r}")
        if set(hyper) - {"initial_lr"} != set(self.hyperparameters):
            raise KeyError(
                f"state is for hyperparameters {sorted(hyper)}, "
                f"{type(self).__name__} has {sorted(self.hyperparameters)}"
            )
        if not set(buffers) <= {*self.buffers, _AGES}:
            raise KeyError(f"state has buffers {sorted(buffers)}, known are {sorted(self.buffers)}")
        if any(isinstance(numbers, (bytes, bytearray, str)) for numbers in buffers.values()):
            raise TypeError("the buffers of a state are lists of numbers, not bytes or text")
        self._check(**{name: hyper[name] for name in self.hyperparameters})
        checked("initial_lr", hyper.get("initial_lr", 0.0))
        missing = [name for name in self._needed(hyper) if steps and name not in buffers]
        if missing:
            raise KeyError(f"a state after {steps} steps needs the buffers {missing}")
        arrays = {name: array("d", numbers) for name, numbers in buffers.items()}
        self._check_buffers(steps, arrays)
        for name, numbers in arrays.items():
            if numbers and len(numbers) != len(group.parameters):
                raise ValueError(
                    f"buffer {name!r} holds {len(numbers)} numbers "
                    f"for {len(group.parameters)} parameters"
                )
        _check_ages(steps, arrays)
        return steps, hyper, arrays


def _check_ages(steps: int, arrays: dict[str, array[float]]) -> None:
    if _AGES not in arrays:
        return
    if not arrays[_AGES]:
        del arrays[_AGES]
    elif not all(0 <= age <= steps and age == int(age) for age in arrays[_AGES]):
        raise ValueError(f"buffer {_AGES!r} holds counts of steps, 0 to {steps}")
