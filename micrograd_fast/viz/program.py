"""Drawings of compiled programs, of what `f.program(...)` returns."""

from __future__ import annotations

from typing import Any

from micrograd_fast import _core
from micrograd_fast import _types as t
from micrograd_fast.viz import dot as dot_language
from micrograd_fast.viz.drawing import Drawing, drawing
from micrograd_fast.viz.picture import Box, Picture, check_count

MAX_INSTRUCTIONS = 300


def program_to_dot(
    program: Any, *, rankdir: str = "LR", max_instructions: int = MAX_INSTRUCTIONS
) -> str:
    """A program in Graphviz's language: one box an instruction, edges from operands to results.

    program: what `f.program(*args)` of a compiled function f returned. Inputs are blue, parameters
    ("captured") yellow, dot products green, results framed twice.

    Raises ValueError where the program is empty, or has more than max_instructions, or where no
    more than its text is given.
    """
    return dot_language.document(_picture(program, rankdir, max_instructions))


def draw_program(
    program: Any,
    format: str = "svg",
    rankdir: str = "LR",
    *,
    max_instructions: int = MAX_INSTRUCTIONS,
    graphviz: bool | None = None,
) -> t.Digraph | Drawing:
    """The graph of program_to_dot() as a picture: a notebook shows it, its render() writes a file.

    graphviz: as in draw_dot().

    Raises what program_to_dot() does, and ImportError where the package graphviz is missing and
    another format than "svg" is wanted.
    """
    return drawing(_picture(program, rankdir, max_instructions), format, graphviz)


def _picture(program: Any, rankdir: str, limit: int) -> Picture:
    check_count("max_instructions", limit, 1)
    instructions = program.instructions() if hasattr(program, "instructions") else []
    if not instructions:
        if isinstance(program, (str, _core.Program)):
            raise ValueError(
                "program is empty, or no more than a text: draw what f.program(...) returned itself"
            )
        raise TypeError(
            "program must be what f.program(...) of a compiled function returns, "
            f"not {type(program).__name__!r}"
        )
    if len(instructions) > limit:
        raise ValueError(
            f"the program has {len(instructions):,} instructions, and max_instructions is "
            f"{limit:,}: draw a program of a smaller shape, or set max_instructions higher"
        )
    results = set(program.outputs)
    boxes = [box(value, made, value in results) for value, made in enumerate(instructions)]
    edges = [
        (x, value) for value, made in enumerate(instructions) for x in dict.fromkeys(made.operands)
    ]
    words = f"{len(boxes):,} instructions, {len(results):,} of them results."
    return Picture(boxes, edges, "A compiled program", words, rankdir)


def box(value: int, instruction: _core.Instruction, result: bool) -> Box:
    """An instruction: its op, with its position where it has one (input 0), and its value."""
    op, _, position, number = instruction
    name = repr(number) if op == "number" else op if position is None else f"{op} {position}"
    return Box(f"v{value}", name, (("", f"v{value}"),), kind=op, result=result)
