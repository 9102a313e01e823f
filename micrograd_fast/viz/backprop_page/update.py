"""What one step of an optimizer would make of the parameters: computed on copies."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from micrograd_fast.engine import Value
from micrograd_fast.optim.groups import checked
from micrograd_fast.optim.optimizer import Optimizer

__all__ = ["Update", "of_optimizer", "of_rate"]


@dataclass
class Update:
    """name: of what makes the step; rule: how the optimizer's class says it; new: data by the id()
    of the Value; lr: where the step is lr * grad and nothing else."""

    name: str
    rule: str
    new: dict[int, float]
    lr: float | None = None


def of_rate(lr: float, params: Iterable[Value], grads: Mapping[int, float]) -> Update:
    """p.data -= lr * p.grad. grads: by the id() of the Value."""
    checked("lr", lr)
    new = {id(p): p.data - lr * grads[id(p)] for p in params if id(p) in grads}
    return Update(f"p.data -= {lr!r} * p.grad", "", new, float(lr))


def of_optimizer(optimizer: Optimizer, grads: Mapping[int, float]) -> Update:
    """A step of a copy, on copies of the parameters; those outside of the graph keep their grad.

    Raises what optimizer.step() raises."""
    twin = copy.deepcopy(optimizer)
    params = optimizer.params
    for p, q in zip(params, twin.params, strict=True):
        q.grad = grads.get(id(p), p.grad)
    twin.step()
    new = {id(p): q.data for p, q in zip(params, twin.params, strict=True) if id(p) in grads}
    return Update(_name(optimizer), _rule(optimizer), new)


def _name(optimizer: Optimizer) -> str:
    rates = {group["lr"] for group in optimizer.param_groups if "lr" in group}
    rate = f"(lr={rates.pop()!r})" if len(rates) == 1 else ""
    return f"{type(optimizer).__name__}{rate}"


def _rule(optimizer: Optimizer) -> str:
    """The paragraph of the class's docstring that says the step."""
    for kind in type(optimizer).__mro__:
        for paragraph in (kind.__dict__.get("__doc__") or "").split("\n\n"):
            if "p -=" in paragraph:
                return " ".join(paragraph.split())
    return ""
