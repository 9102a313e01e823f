"""The inputs of a compiled function by name: its arguments, and the Values that it uses."""

from __future__ import annotations

import inspect
from collections import deque, namedtuple
from contextlib import suppress
from functools import partial
from math import prod
from types import FunctionType, MethodType

from micrograd_fast import _core, watch
from micrograd_fast.engine import Value

TYPE_CHECKING = False  # typing's own constant costs an import of 4 ms
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

__all__ = ["Part", "name_of_value", "names_of_values", "parts"]

MOST = 1_000_000  # objects that are looked at for a Value: about a second
FUNCTIONS = (FunctionType, MethodType, partial, _core.Dispatcher)


class Part(namedtuple("Part", ["name", "first", "shape", "numbers", "per_sample"])):
    """An argument, or a part of one, that takes some inputs in a row, from number `first` on.

    shape: of one sample. numbers: an array of that shape, or where per_sample samples first."""

    @property
    def size(self) -> int:
        return prod(self.shape)

    def name_of(self, k: int) -> str:
        """Of input k, which is one of these."""
        place = k - self.first
        index: list[int] = []
        for n in reversed(self.shape):
            index.insert(0, place % n)
            place //= n
        return f"{self.name}[{', '.join(map(str, index))}]" if index else self.name


def parts(
    function: Any, signature: _core.Signature, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> list[Part]:
    """What the inputs are, in order. args, kwargs: as arguments.Reader made them."""
    names = _positions(function, len(args))
    found: list[Part] = []
    for kind, arg, name in zip(signature.args, args, names, strict=True):
        _add(found, kind, arg, name, signature.batch)
    for word, kind in signature.kwargs:
        _add(found, kind, kwargs[word], word, signature.batch)
    return found


def _positions(function: Any, n: int) -> list[str]:
    """The names of n arguments that are given by their place."""
    try:
        known = list(inspect.signature(function).parameters.values())
    except (TypeError, ValueError):
        known = []
    names = []
    for p in known:
        if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD):
            names.append(p.name)
        elif p.kind == p.VAR_POSITIONAL:
            names += [f"{p.name}[{k}]" for k in range(n - len(names))]
    return names[:n] + [f"argument {k}" for k in range(len(names), n)]


def _add(found: list[Part], kind: _core.Kind, arg: Any, name: str, batch: bool) -> None:
    import numpy as np

    first = found[-1].first + found[-1].size if found else 0
    if isinstance(kind, _core.NumberKind):
        found.append(Part(name, first, (), np.asarray(float(arg)), False))
    elif isinstance(kind, _core.ValueKind):
        found.append(Part(name, first, (), np.asarray(arg.data), False))
    elif isinstance(kind, _core.ArrayKind):
        found.append(Part(name, first, kind.shape, arg, batch and not kind.shared))
    elif isinstance(kind, _core.BatchKind):
        found.append(Part(name, first, kind.shape, arg.data, True))
    elif isinstance(kind, _core.DictKind):
        for word, item in zip(kind.words, kind.items, strict=True):
            _add(found, item, arg[word], f"{name}[{word!r}]", batch)
    elif isinstance(kind, _core.NestedKind):
        for k, item in enumerate(kind.items):
            _add(found, item, arg[k], f"{name}[{k}]", batch)


# ---- Values that a function uses ----


def name_of_value(function: Any, value: Value) -> str:
    """Its label, or the way to it from what the function's code names; '' where there is none."""
    return names_of_values(function, [value])[0]


def names_of_values(function: Any, values: list[Value]) -> list[str]:
    """The same for several, which are looked for together."""
    names = {v: v.label if isinstance(v.label, str) else "" for v in values}
    missing = {id(v) for v, name in names.items() if not name}
    seen: set[int] = set()
    todo: deque[tuple[Any, str]] = deque(_named_in(function))
    while missing and todo and len(seen) < MOST:
        thing, path = todo.popleft()
        if id(thing) in missing:
            missing.remove(id(thing))
            names[thing] = path
        elif id(thing) not in seen:
            seen.add(id(thing))
            todo.extend(_inside(thing, path))
    return [names[v] for v in values]


def _inside(thing: Any, path: str) -> Iterator[tuple[Any, str]]:
    """What a container, an object of the user's or of nn, or a function holds."""
    if isinstance(thing, (list, tuple)):
        yield from ((item, f"{path}[{k}]") for k, item in enumerate(thing))
    elif isinstance(thing, dict):
        yield from ((item, f"{path}[{word!r}]") for word, item in thing.items())
    elif isinstance(thing, FUNCTIONS):
        yield from _named_in(thing)
    elif not isinstance(thing, (Value, type)) and not watch.is_opaque_class(type(thing)):
        held = getattr(thing, "__dict__", None)
        if type(held) is dict:
            yield from ((item, f"{path}.{word}") for word, item in held.items())


def _named_in(function: Any) -> Iterator[tuple[Any, str]]:
    """What the code of a function names, beside its arguments and locals."""
    function = getattr(function, "__wrapped__", function)
    owner = getattr(function, "__self__", None)
    if owner is not None:
        yield owner, "self"
    function = getattr(function, "__func__", getattr(function, "func", function))
    code = getattr(function, "__code__", None)
    if code is None:  # an object that is called
        yield from _inside(function, "self")
        return
    found: list[tuple[Any, str]] = []
    for word, cell in zip(code.co_freevars, function.__closure__ or (), strict=True):
        with suppress(ValueError):  # not filled yet
            found.append((cell.cell_contents, word))
    yield from found
    for word in watch.reads(code)[0]:
        if word in function.__globals__:
            yield function.__globals__[word], word
