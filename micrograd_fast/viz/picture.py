"""What a picture of a graph shows, whoever draws it: Graphviz by dot.py, or svg.py without it."""

from __future__ import annotations

import operator
from collections.abc import Sequence
from dataclasses import dataclass

DIRECTIONS = ("LR", "TB")


@dataclass(frozen=True)
class Box:
    """A node of a picture.

    name: an identifier, of which no two are equal. heading: what it is called. rows: (what, text).
    op: what made it, drawn as an oval in front. cut: more that is not drawn leads to it. tint: from
    -1 to 1, how strong its colour is and which. kind: "value", "fold", or the op of an
    instruction: what it looks like. result: framed twice. tip: shown where the mouse rests.
    """

    name: str
    heading: str = ""
    rows: tuple[tuple[str, str], ...] = ()
    op: str = ""
    cut: bool = False
    tint: float = 0.0
    kind: str = "value"
    result: bool = False
    tip: str = ""


@dataclass(frozen=True)
class Picture:
    """Boxes, the edges between them by number, and the words for who does not see them."""

    boxes: Sequence[Box]
    edges: Sequence[tuple[int, int]]
    title: str = "A graph"
    description: str = ""
    rankdir: str = "LR"

    def __post_init__(self) -> None:
        if self.rankdir not in DIRECTIONS:
            raise ValueError(f"rankdir must be one of {DIRECTIONS}, not {self.rankdir!r}")


def check_count(name: str, count: int, least: int) -> None:
    """Raises TypeError or ValueError, with the argument's name, for what is no such number."""
    try:
        number = operator.index(count)
    except TypeError:
        raise TypeError(f"{name} must be a whole number, not {type(count).__name__!r}") from None
    if number < least:
        raise ValueError(f"{name} must be at least {least}, not {number}")


def printable(text: str) -> str:
    """Control characters as the pictures that Unicode has of them, what is no text as '?'."""
    text = "".join(chr(0x2400 + ord(c)) if c < " " and c != "\n" else c for c in text)
    text = "".join("?" if c in "\x7f\ufffe\uffff" else c for c in text)
    return text.encode("utf-8", "replace").decode("utf-8")
