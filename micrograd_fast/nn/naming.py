"""The names of a module's parameters as text: a line for each list of them.

`784\tlayers.0.neurons.0.w` stands for the names layers.0.neurons.0.w.0 to .783, `\tlayers.0.bias`
for the one name. A line of activations has the activation and a tab before that.
"""

from __future__ import annotations

TYPE_CHECKING = False  # typing's own constant costs an import of 4 ms
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from typing import Any

    from micrograd_fast.nn.files import State

__all__: list[str] = []

LONGEST = 255  # a name that is read: many long names would take more memory than their file


def written(names: Sequence[str]) -> str | None:
    """The text, or None where a name does not fit into a line."""
    if any(len(name) > LONGEST or "\t" in name or "\n" in name for name in names):
        return None
    return "\n".join(_lines(names))


def _lines(names: Sequence[str]) -> Iterator[str]:
    k = 0
    while k < len(names):
        stem, dot, last = names[k].rpartition(".")
        n = 0
        if dot and last == "0":
            while k + n < len(names) and names[k + n] == f"{stem}.{n}":
                n += 1
        yield f"{n}\t{stem}" if n else f"\t{names[k]}"
        k += n or 1


def read(text: Any, n: int) -> list[str]:
    """The n names of a text; ValueError for another number of them, or one that is there twice."""
    if not isinstance(text, str):
        raise ValueError(f"{type(text).__name__!r} is no text")
    names: list[str] = []
    for line in text.split("\n") if text else ():
        names += _names_of(line, n - len(names))
    if len(set(names)) != n:
        raise ValueError(f"{len(set(names))} names for {n} numbers")
    return names


def _names_of(line: str, most: int) -> list[str]:
    """The names of a line, at most so many: looked at before room is made for them."""
    count, tab, stem = line.partition("\t")
    is_count = count == "" or (count.isascii() and count.isdecimal() and len(count) < 10)
    if not tab or not is_count or len(stem) > LONGEST:
        raise ValueError(f"{line[:50]!r} is no line of names")
    if int(count or 1) > most:
        raise ValueError("more names than numbers")
    return [f"{stem}.{k}" for k in range(int(count))] if count else [stem]


def written_activations(state: State) -> str:
    lines = []
    for activation in sorted(set(state.activations.values())):
        names = [name for name, kind in state.activations.items() if kind == activation]
        lines += [f"{activation}\t{line}" for line in _lines(names)]
    return "\n".join(lines)


def read_activations(text: Any, state: State) -> dict[str, str]:
    """By the name of the neuron; there are not more neurons than numbers."""
    if not isinstance(text, str):
        raise ValueError(f"{type(text).__name__!r} is no text")
    found: dict[str, str] = {}
    for line in text.split("\n") if text else ():
        activation, _, names = line.partition("\t")
        names_read = _names_of(names, len(state) - len(found))
        found.update(dict.fromkeys(names_read, activation))
    return found
