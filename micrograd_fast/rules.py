"""The op table's partial derivatives, read: how each is built of ops.

A row of src/ops.h says its partials as expressions in x, y and the result z. Those of C that call
nothing but ops are Python's too, and Python's own parser reads them; rows whose partials call
something else say the same in ops, in the column `rules`.
"""

from __future__ import annotations

import ast
from typing import TypeAlias

from micrograd_fast import _core

Step: TypeAlias = tuple[str, int, int, float]  # an op or 'x', 'y', 'z', 'number'; operands

BINARY: dict[type[ast.operator], str] = {ast.Add: "add", ast.Mult: "mul", ast.Pow: "vpow"}
C_NAMES = {"fabs": "abs", "pow": "vpow"}  # of ops, as C's library has them
NO_STEPS: list[Step] = []


class Rule(ast.NodeVisitor):
    """The steps of one rule, operands before users, compositions as the engine builds them."""

    def __init__(self, text: str) -> None:
        self.text = text
        self.steps: list[Step] = []
        self.arities: dict[str, int] = {op.name: op.arity for op in _core.OPS}
        self.visit(ast.parse(text, mode="eval").body)

    def step(self, op: str, x: int = 0, y: int = 0, number: float = 0.0) -> int:
        self.steps.append((op, x, y, number))
        return len(self.steps) - 1

    def number(self, number: float) -> int:
        return self.step("number", number=number)

    def power(self, x: int, exponent: float) -> int:
        return self.step("vpow", x, self.number(exponent))

    def visit_BinOp(self, node: ast.BinOp) -> int:
        x, y = self.visit(node.left), self.visit(node.right)
        if isinstance(node.op, ast.Sub):
            return self.step("add", x, self.step("mul", y, self.number(-1.0)))
        if isinstance(node.op, ast.Div):
            return self.step("mul", x, self.power(y, -1.0))
        if type(node.op) not in BINARY:
            return self.generic_visit(node)
        return self.step(BINARY[type(node.op)], x, y)

    def visit_UnaryOp(self, node: ast.UnaryOp) -> int:
        if not isinstance(node.op, ast.USub):
            return self.generic_visit(node)
        return self.step("mul", self.visit(node.operand), self.number(-1.0))

    def visit_Call(self, node: ast.Call) -> int:
        called = getattr(node.func, "id", "").removeprefix("mf_")
        name = C_NAMES.get(called, called)
        if self.arities.get(name) != len(node.args):
            return self.generic_visit(node)
        return self.step(name, *[self.visit(a) for a in node.args])

    def visit_Name(self, node: ast.Name) -> int:
        return self.step(node.id) if node.id in ("x", "y", "z") else self.generic_visit(node)

    def visit_Constant(self, node: ast.Constant) -> int:
        return self.number(float(node.value))  # type: ignore[arg-type]

    def generic_visit(self, node: ast.AST) -> int:
        raise ValueError(f"{ast.unparse(node)!r} in {self.text!r} is made of no ops")


def steps_of(text: str, name: str) -> list[Step]:
    """The steps of a rule of an op; none for 0. Raises ValueError for what is made of no ops."""
    try:
        steps = Rule(text).steps
    except (SyntaxError, ValueError) as error:
        raise ValueError(
            f"a partial of {name} cannot be built of ops ({error}): the row in ops.h lacks a rule"
        ) from None
    return NO_STEPS if steps == [("number", 0, 0, 0.0)] else steps


def read_table() -> None:
    """Gives the core the rules of all ops."""
    _core.set_rules([[steps_of(text, op.name) for text in op.rules] for op in _core.OPS])
