"""Drawings of compiled programs, from the listing that `f.program(...)` prints."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from micrograd_fast.viz import dot as dot_language

if TYPE_CHECKING:
    from graphviz import Digraph

MAX_INSTRUCTIONS = 300

# A line of the listing: the value that the instruction computes, its op, and the op's operands.
_INSTRUCTION = re.compile(r"^v(\d+) = (\S+) ?(.*)$", re.M)
_RETURN = re.compile(r"^return (.*)$", re.M)
_VALUE = re.compile(r"\bv(\d+)")
_COLOURS = {"input": "#cfe8ff", "captured": "#ffe7b8", "take": "#ead9ff", "dot": "#d8f0d0"}


def program_to_dot(
    program: Any, *, rankdir: str = "LR", max_instructions: int = MAX_INSTRUCTIONS
) -> str:
    """A program in Graphviz's language: one box an instruction, edges from operands to results.

    program: what `f.program(*args)` of a compiled function f returned. Inputs are blue, parameters
    ("captured") yellow, dot products green, results framed twice.

    Raises ValueError where the text is no program, or has more than max_instructions.
    """
    return dot_language.document(_body(program, max_instructions), rankdir)


def draw_program(
    program: Any,
    format: str = "svg",
    rankdir: str = "LR",
    *,
    max_instructions: int = MAX_INSTRUCTIONS,
) -> Digraph:
    """The same as a graphviz.Digraph: a notebook shows it, `.render("name")` writes a file.

    Raises what program_to_dot() does, and ImportError where the package graphviz is missing.
    """
    return dot_language.digraph(_body(program, max_instructions), format, rankdir)


def _body(program: Any, limit: int) -> list[str]:
    dot_language.check_count("max_instructions", limit, 1)
    text = program.listing() if hasattr(program, "listing") else program
    if not isinstance(text, str):
        raise TypeError(
            "program must be what f.program(...) of a compiled function returns, "
            f"not {type(program).__name__!r}"
        )
    instructions = _INSTRUCTION.findall(text)
    returned = _RETURN.findall(text)
    if not instructions or not returned:
        raise ValueError("program is no listing of a program: print(f.program(...)) shows one")
    if len(instructions) > limit:
        raise ValueError(
            f"the program has {len(instructions):,} instructions, and max_instructions is "
            f"{limit:,}: draw a program of a smaller shape, or set max_instructions higher"
        )
    results = set(_VALUE.findall(returned[-1]))
    lines = []
    for value, op, operands in instructions:
        lines.append(_box(value, op, operands, value in results))
        lines += [f"v{x} -> v{value}" for x in dict.fromkeys(_VALUE.findall(operands))]
    return lines


def _box(value: str, op: str, operands: str, result: bool) -> str:
    """Instruction `value`: its op, with its number where it has one (input 0), and its name."""
    own = "" if _VALUE.search(operands) else f" {operands}".rstrip()
    attributes = {"shape": "box", "style": '"rounded,filled"'}
    attributes["fillcolor"] = f'"{_COLOURS.get(op, "white")}"'
    if result:
        attributes["peripheries"] = "2"
    return dot_language.node(f"v{value}", dot_language.plain(f"{op}{own}\nv{value}"), **attributes)
