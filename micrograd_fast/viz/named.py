"""What the Values of a picture are called: by their labels, or by their place in a model."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from micrograd_fast.engine import Value
from micrograd_fast.nn import Module


class Names:
    """The names of a picture's leaves, and the part of the model that each belongs to.

    names: a Module, whose parameters are called as in named_parameters(); a dict of Values by
    name, in which a list or tuple of them stands for name[0], name[1], ...; or None.

    Raises TypeError, naming `names`, for anything else.
    """

    def __init__(self, names: Module | Mapping[str, Any] | None) -> None:
        self.parts: dict[Value, str] = {}
        self.units: dict[Value, str] = {}
        self.names: dict[Value, str] = {}
        self.sizes: dict[str, int] = {}
        if isinstance(names, Module):
            for name, value in names.named_parameters():
                self._add(value, name, _part(names, name), re.sub(r"\.(w\.\d+|b|\d+)$", "", name))
        elif isinstance(names, Mapping):
            for name, thing in names.items():
                self._add_all(str(name), thing)
        elif names is not None:
            raise TypeError(
                "names must be a Module, a dict of Values by name, or None, "
                f"not {type(names).__name__!r}"
            )

    def _add_all(self, name: str, thing: Any) -> None:
        todo = [(name, thing)]
        while todo:
            path, item = todo.pop()
            if isinstance(item, Value):
                self._add(item, path, name, path.rpartition("[")[0] or path)
            elif isinstance(item, (list, tuple)):
                todo += [(f"{path}[{k}]", inner) for k, inner in enumerate(item)]
            else:
                raise TypeError(
                    f"names[{name!r}] must be a Value or a list of Values, "
                    f"not {type(item).__name__!r}"
                )

    def _add(self, value: Value, name: str, part: str, unit: str) -> None:
        if value not in self.names:
            self.names[value], self.parts[value], self.units[value] = name, part, unit
            self.sizes[unit] = self.sizes.get(unit, 0) + 1

    def of(self, value: Value) -> str:
        """A Value's own label, or its name; "" where it has neither."""
        return own_label(value) or self.names.get(value, "")


def own_label(value: Value) -> str:
    """Labels are anything that a program hangs on a node; None is none."""
    return "" if value.label is None else str(value.label)


def _part(model: Module, name: str) -> str:
    """The part of the model that a parameter belongs to: an attribute that is a Module, or a Module
    in a list that is one; the model itself of what it holds directly."""
    first, _, rest = name.partition(".")
    held = getattr(model, first, None)
    if isinstance(held, Module):
        return first
    place = rest.partition(".")[0]
    if (
        isinstance(held, (list, tuple))
        and place.isdecimal()
        and isinstance(held[int(place)], Module)
    ):
        inner = held[int(place)]
        return f"{first}.{place}" if _has_parts(inner) else type(model).__name__
    return type(model).__name__


def _has_parts(module: Module) -> bool:
    """A Neuron is no part of its own: a Layer is drawn whole."""
    return not (hasattr(module, "w") and isinstance(getattr(module, "b", None), Value))
