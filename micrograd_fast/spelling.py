"""Ops as Python writes them, for what is said of a nan."""

from __future__ import annotations

from micrograd_fast import _core

__all__ = ["symbol", "written"]

# Those of the op table that are no names, and what programs have beside it.
OPERATORS = {op.name: op.label for op in _core.OPS if not op.label.isidentifier()}
OPERATORS |= {"sub": "-", "div": "/", "neg": "-"}
FUNCTIONS = {"largest": "maximum", "smallest": "minimum"}


def symbol(op: str) -> str:
    """The operator, or the name of the function or method."""
    return OPERATORS.get(op) or FUNCTIONS.get(op, op)


def written(op: str, operands: tuple[float, ...]) -> str:
    """The op on these numbers. op: as symbol() has it."""
    if op not in OPERATORS.values():
        return f"{op}({', '.join(map(repr, operands))})"
    if len(operands) == 1:
        return f"{op}({operands[0]!r})"
    return f" {op} ".join(f"({x!r})" if str(x).startswith("-") else repr(x) for x in operands)
