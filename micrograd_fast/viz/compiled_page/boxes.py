"""The traced graph as it is drawn: a box an instruction, or where there are too many, a box for all
that are alike and went into the same steps."""

from __future__ import annotations

import linecache
from collections.abc import Iterable
from dataclasses import dataclass
from os.path import basename
from textwrap import shorten
from typing import Any

from micrograd_fast.viz.compiled_page.steps import Call, Line, stem
from micrograd_fast.viz.picture import Box, Picture

MAX_LINES = 3  # of the user's code in a tip
LONGEST = 80  # letters of a line


@dataclass
class Boxes:
    """The picture, and the numbers of the boxes by step: those it computes, those it reads."""

    picture: Picture
    made: list[list[int]]
    taken: list[list[int]]
    says: list[str]  # by box, for who listens


def boxes(call: Call, max_boxes: int) -> Boxes:
    keys = [_key(call, v, len(call.traced) > max_boxes) for v in range(len(call.traced))]
    number: dict[Any, int] = {}
    for key in keys:
        number.setdefault(key, len(number))
    members: list[list[int]] = [[] for _ in number]
    for v, key in enumerate(keys):
        members[number[key]].append(v)
    at = [number[key] for key in keys]
    edges = dict.fromkeys(
        (at[x], at[v])
        for v, instruction in enumerate(call.traced)
        for x in instruction.operands
        if at[x] != at[v]
    )
    drawn = [_box(call, k, group) for k, group in enumerate(members)]
    title = f"The {len(call.traced):,} traced instructions"
    words = f"{len(drawn):,} boxes and {len(edges):,} edges."
    return Boxes(
        Picture(drawn, list(edges), title, words),
        [sorted({at[v] for v in step.made}) for step in call.steps],
        [sorted({at[v] for v in step.taken}) for step in call.steps],
        [_said(call, group) for group in members],
    )


def _key(call: Call, v: int, grouped: bool) -> Any:
    op, _, _, number = call.traced[v]
    if not grouped:
        return v
    if op in ("input", "captured"):
        return op, frozenset(call.readers[v]), _owner(call.names[v])
    if op == "number":
        return op, number, frozenset(call.readers[v])
    return op, frozenset(call.makers[v]), v in call.outputs


def _owner(name: str) -> str:
    """An argument, or what holds a parameter: x of x[3]."""
    return name.partition("[")[0]


def _box(call: Call, k: int, group: list[int]) -> Box:
    op, _, _, number = call.traced[group[0]]
    result = any(v in call.outputs for v in group)
    given = [call.names[v] for v in group]
    if op == "number":
        heading = repr(number)
    elif not given[0]:
        heading = op if len(group) == 1 else f"{len(group):,} {op}"
    elif len(group) == 1:
        heading = given[0]
    else:
        heading = f"{len(group):,} of {stem(given)}"
    return Box(f"n{k}", heading, kind=op, result=result, tip=_code(call.lines[v] for v in group))


def _code(lines: Iterable[Line]) -> str:
    """The user's lines that made some values."""
    found = list(dict.fromkeys(line for line in lines if line is not None))
    texts = [line_text(line) for line in found[:MAX_LINES]]
    return "\n".join(texts + ["..."] * (len(found) > MAX_LINES))


def line_text(line: tuple[str, int]) -> str:
    file, number = line
    text = shorten(linecache.getline(file, number), LONGEST, placeholder=" ...")
    return f"{basename(file)}:{number}: {text}" if text else f"{basename(file)}:{number}"


def _said(call: Call, group: list[int]) -> str:
    """What became of the values of a box."""
    makers = sorted({k for v in group for k in call.makers[v]})
    readers = sorted({k for v in group for k in call.readers[v]})
    op = call.traced[group[0]].op
    if makers:
        return f"computed by {_steps(makers)}"
    if op in ("input", "captured", "number"):
        return f"read by {_steps(readers)}" if readers else "not needed"
    return "a number since the function was compiled, or not needed"


def _steps(ks: list[int]) -> str:
    shown = ", ".join(str(k + 1) for k in ks[:4]) + (", ..." if len(ks) > 4 else "")
    return f"step {shown}" if len(ks) == 1 else f"steps {shown}"
