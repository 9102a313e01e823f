"""What hangs on a module: its parameters, their names, the activations of its neurons."""

from __future__ import annotations

from micrograd_fast._core import add_leaves, is_leaf_value, without_repeats
from micrograd_fast.engine import Value
from micrograd_fast.nn.files import positions

TYPE_CHECKING = False  # typing's own constant costs an import of 4 ms
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__: list[str] = []

# By the function that is a module's parameters(): what finds the same, in that order, with names.
# Of a module whose parameters() somebody wrote anew only the positions are known.
KNOWN: dict[Any, Callable[[Walk, Any, str], None]] = {}


def method(module: Any) -> Any:
    """The function that is called as module.parameters()."""
    return getattr(module.parameters, "__func__", None)


class Walk:
    """Goes over what hangs on modules: lists, tuples, dicts and arrays of objects, in order."""

    def __init__(self, kind: type, named: bool) -> None:
        self.kind: Any = kind  # Module, which is made of this
        self.named = named
        self.found: list[Any] = []
        self.names: list[str] = []
        self.activations: dict[str, str] = {}
        self.seen: set[int] = set()  # modules and containers, by id(): rings, and what is shared
        self.held: list[Any] = []  # what was seen, so that no other object gets its id()

    def add(self, parameters: list[Any], prefix: str) -> None:
        """Parameters that are named by their positions."""
        self.found += parameters
        if self.named:
            self.names += map(prefix.__add__, positions(len(parameters)))

    def module(self, module: Any, prefix: str) -> None:
        """A module's parameters, as its parameters() gives them. The prefix ends with a dot."""
        function = method(module)
        # Without names what has its own parameters() is faster asked for them.
        if function in KNOWN and (self.named or function is self.kind.parameters):
            KNOWN[function](self, module, prefix)
        else:
            self.add([*module.parameters()], prefix)

    def attributes(self, module: Any, own: dict[str, Any], prefix: str) -> None:
        """All that is an attribute of the module, in the order in which they were set."""
        self.seen.add(id(module))
        for name, thing in list(own.items()):
            self.visit(thing, f"{prefix}{name}")

    def visit(self, thing: Any, name: str) -> None:
        if isinstance(thing, Value):
            if is_leaf_value(thing):
                self.found.append(thing)
                self.names.append(name)
            return
        if getattr(getattr(thing, "dtype", None), "kind", "") == "O":  # an array of objects
            self.visit(thing.tolist(), name)
            return
        if not isinstance(thing, (self.kind, list, tuple, dict)) or id(thing) in self.seen:
            return
        self.seen.add(id(thing))
        self.held.append(thing)
        if isinstance(thing, self.kind):
            self.module(thing, f"{name}.")
        elif isinstance(thing, dict):
            for key, item in thing.items():
                self.visit(item, f"{name}.{key}")
        else:
            self.items(thing, name)

    def items(self, items: list[Any] | tuple[Any, ...], name: str) -> None:
        before = len(self.found)
        if not add_leaves(self.found, items):
            for k, item in enumerate(items):
                self.visit(item, f"{name}.{k}")
        elif self.named and len(self.found) - before == len(items):
            self.names += map(f"{name}.".__add__, positions(len(items)))
        elif self.named:
            leaves = (isinstance(item, Value) and is_leaf_value(item) for item in items)
            self.names += (f"{name}.{k}" for k, is_leaf in enumerate(leaves) if is_leaf)

    def without_repeats(self) -> None:
        """Leaves of what is there twice the first, under its first name."""
        once = without_repeats(self.found)
        if self.named and len(once) != len(self.found):
            first: dict[int, str] = {}
            for p, name in zip(self.found, self.names, strict=True):
                first.setdefault(id(p), name)
            self.names = [first[id(p)] for p in once]
        self.found = once
