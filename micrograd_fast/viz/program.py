"""Drawings of compiled programs, of what `f.program(...)` returns."""

from __future__ import annotations

from typing import Any

from micrograd_fast import _core
from micrograd_fast import _types as t
from micrograd_fast.viz import dot as dot_language

MAX_INSTRUCTIONS = 300

_COLOURS = {"input": "#cfe8ff", "captured": "#ffe7b8", "take": "#ead9ff", "dot": "#d8f0d0"}


def program_to_dot(
    program: Any, *, rankdir: str = "LR", max_instructions: int = MAX_INSTRUCTIONS
) -> str:
    """A program in Graphviz's language: one box an instruction, edges from operands to results.

    program: what `f.program(*args)` of a compiled function f returned. Inputs are blue, parameters
    ("captured") yellow, dot products green, results framed twice.

    Raises ValueError where the program is empty, or has more than max_instructions, or where no
    more than its text is given.
    """
    return dot_language.document(_body(program, max_instructions), rankdir)


def draw_program(
    program: Any,
    format: str = "svg",
    rankdir: str = "LR",
    *,
    max_instructions: int = MAX_INSTRUCTIONS,
) -> t.Digraph:
    """The graph of program_to_dot() as a graphviz.Digraph: a notebook shows it, its render() writes
    a file.

    Raises what program_to_dot() does, and ImportError where the package graphviz is missing.
    """
    return dot_language.digraph(_body(program, max_instructions), format, rankdir)


def _body(program: Any, limit: int) -> list[str]:
    dot_language.check_count("max_instructions", limit, 1)
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
    lines = []
    for value, instruction in enumerate(instructions):
        lines.append(_box(value, instruction, value in results))
        lines += [f"v{x} -> v{value}" for x in dict.fromkeys(instruction.operands)]
    return lines


def _box(value: int, instruction: _core.Instruction, result: bool) -> str:
    """An instruction: its op, with its position where it has one (input 0), and its value."""
    op, _, position, number = instruction
    name = repr(number) if op == "number" else op if position is None else f"{op} {position}"
    attributes = {"shape": "box", "style": '"rounded,filled"'}
    attributes["fillcolor"] = f'"{_COLOURS.get(op, "white")}"'
    if result:
        attributes["peripheries"] = "2"
    return dot_language.node(f"v{value}", dot_language.plain(f"{name}\nv{value}"), **attributes)
