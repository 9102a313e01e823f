"""Local derivatives as text: the op table's own words, read as Python, simplified where they stand.

A row of the table says a partial in C, or where that calls a helper, its rule says it in ops. What
guards a rule at a point where the formula breaks down (`compare(x, 0.0)`, `equal(z, 0.0)`) is a
number at any other point: it is computed there, and the zeros and ones that it leaves drop out.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Mapping
from functools import cache
from typing import Any

from micrograd_fast import _core, rules
from micrograd_fast.engine import Value, no_grad
from micrograd_fast.viz.backprop_page.texts import shown

__all__ = ["evaluated", "formula", "in_numbers", "simplified", "written"]

OPS = {op.name: op for op in _core.OPS}
# Computed in another way near their limits, for the sake of the last digits; known in this one.
TEXTBOOK = {"tanh": ("1.0 - z**2.0",), "sigmoid": ("z * (1.0 - z)",)}
PYTHON_WORDS = {"&&": " and ", "||": " or ", "(double)": ""}


def formula(op: _core.Op, k: int, x: float, y: float, z: float) -> ast.expr | None:
    """The derivative by operand k, over the names x, y and z: how it reads at these numbers.

    None for what is not Python's grammar: a row that says it in neither way."""
    tree = _parsed(op.name, k)
    if tree is None:
        return None
    if op.kind == "param":
        tree = _Substitution({"y": _constant(y)}).visit(_copy(tree))
    return simplified(tree, {"x": x, "y": y, "z": z})


@cache
def _parsed(name: str, k: int) -> ast.expr | None:
    op = OPS[name]
    texts = [TEXTBOOK[name][k]] if name in TEXTBOOK else [_of_c(op.partials[k]), op.rules[k]]
    for text in texts:
        try:
            tree = ast.parse(text, mode="eval").body
        except SyntaxError:
            continue
        tree = _PythonNames().visit(tree)
        calls = (node for node in ast.walk(tree) if isinstance(node, ast.Call))
        if all(isinstance(c.func, ast.Name) and c.func.id in OPS for c in calls):
            return _counted(tree)
    return None


def _of_c(text: str) -> str:
    for word, python in PYTHON_WORDS.items():
        text = text.replace(word, python)
    return _choices(text)


def _choices(text: str) -> str:
    """`a ? b : c` as `b if a else c`, within parentheses too."""
    text = _inside_parentheses(text)
    condition, question, rest = _split(text, "?")
    if not question:
        return text
    depth = 0
    for k, c in enumerate(rest):
        depth += (c in "(?") - (c == ")")
        if c == ":":
            if depth == 0:
                return f"({_choices(rest[:k])} if {condition} else {_choices(rest[k + 1 :])})"
            depth -= 1
    return text


def _inside_parentheses(text: str) -> str:
    found, depth, start = "", 0, 0
    for k, c in enumerate(text):
        if c == "(":
            depth += 1
            if depth == 1:
                found, start = found + text[start : k + 1], k + 1
        elif c == ")":
            depth -= 1
            if depth == 0:
                found, start = found + _choices(text[start:k]), k
    return found + text[start:]


def _split(text: str, mark: str) -> tuple[str, str, str]:
    """As str.partition(), at a mark outside of parentheses."""
    depth = 0
    for k, c in enumerate(text):
        depth += (c == "(") - (c == ")")
        if c == mark and depth == 0:
            return text[:k], mark, text[k + 1 :]
    return text, "", ""


class _PythonNames(ast.NodeTransformer):
    """The names of C's helpers as those of the ops."""

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.func, ast.Name):
            name = node.func.id.removeprefix("mf_")
            node.func.id = rules.C_NAMES.get(name, name)
            if node.func.id in ("pow", "vpow") and len(node.args) == 2:
                return ast.BinOp(node.args[0], ast.Pow(), node.args[1])
        return node


# ---- simplified at a point ----


def _is_flat(name: str) -> bool:
    """Whether an op's derivative is 0 wherever it has one: it tells cases apart."""
    return set(OPS[name].partials) == {"0.0"}


def _number(node: ast.AST) -> float | None:
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
        number = _number(node.operand)
        return None if number is None else -number
    return node.value if isinstance(node, ast.Constant) else None  # type: ignore[return-value]


def _constant(number: float) -> ast.expr:
    """A negative number as Python writes it, so that it gets its parentheses."""
    number = float(number)
    if number < 0.0:
        return ast.UnaryOp(ast.USub(), ast.Constant(-number))
    return ast.Constant(number)


class _Simplifier(ast.NodeTransformer):
    def __init__(self, point: Mapping[str, float]) -> None:
        self.point = point

    def visit_Call(self, node: ast.Call) -> ast.AST:
        self.generic_visit(node)
        name = getattr(node.func, "id", "")
        if name == "reached":  # x * y, whatever x is where y is 0
            factor = _number(node.args[1])
            if factor in (0.0, 1.0):
                return node.args[0] if factor else ast.Constant(0.0)
        elif _is_flat(name):
            return ast.Constant(evaluated(node, self.point))
        return node

    def visit_IfExp(self, node: ast.IfExp) -> ast.AST:
        self.generic_visit(node)
        test = node.test
        if isinstance(test, ast.Compare) and len(test.ops) == 1:
            sides = [ast.unparse(side) for side in (test.left, test.comparators[0])]
            if isinstance(test.ops[0], ast.Eq) and sides[0] == sides[1]:  # asks for a nan
                return node.body
        return node

    def visit_UnaryOp(self, node: ast.UnaryOp) -> ast.AST:
        self.generic_visit(node)
        if isinstance(node.op, ast.USub) and _number(node.operand) == 0.0:
            return node.operand
        return node

    def visit_BinOp(self, node: ast.BinOp) -> ast.AST:
        self.generic_visit(node)
        x, y = _number(node.left), _number(node.right)
        if x is not None and y is not None and not (isinstance(node.op, ast.Div) and y == 0.0):
            return _constant(evaluated(node, {}))
        if isinstance(node.op, ast.Mult):
            return _product(node, x, y)
        if isinstance(node.op, ast.Add):
            return node.right if x == 0.0 else node.left if y == 0.0 else node
        if isinstance(node.op, ast.Sub):
            return node.left if y == 0.0 else node
        if isinstance(node.op, ast.Div):
            return node.left if y == 1.0 else ast.Constant(0.0) if x == 0.0 else node
        if isinstance(node.op, ast.Pow):
            return node.left if y == 1.0 else ast.Constant(1.0) if y == 0.0 else node
        return node


def _product(node: ast.BinOp, x: float | None, y: float | None) -> ast.expr:
    if 0.0 in (x, y):
        return ast.Constant(0.0)
    if x == 1.0 or y == 1.0:
        return node.right if x == 1.0 else node.left
    if x == -1.0:
        return ast.UnaryOp(ast.USub(), node.right)
    other = node.right
    if isinstance(other, ast.BinOp) and isinstance(other.op, ast.Div) and _is_1(other.left):
        return ast.BinOp(node.left, ast.Div(), other.right)  # of a * (1 / b)
    return node


def _is_1(node: ast.expr) -> bool:
    return _number(node) == 1.0


def _copy(tree: ast.expr) -> ast.expr:
    return ast.parse(ast.unparse(tree), mode="eval").body


def simplified(tree: ast.expr, point: Mapping[str, float]) -> ast.expr:
    """With what only tells cases apart as the numbers that it is at this point."""
    return _Simplifier(point).visit(_copy(tree))  # type: ignore[no-any-return]


# ---- numbers ----


def _op_function(name: str) -> Any:
    def call(x: float, *others: float) -> float:
        with no_grad():
            method = getattr(Value(x), name)
            return method(*others).data  # type: ignore[no-any-return]

    return call


FUNCTIONS = {op.name: _op_function(op.name) for op in _core.OPS if hasattr(Value, op.name)}


def evaluated(tree: ast.expr, point: Mapping[str, float]) -> float:
    """The number of an expression over the names in `point`. Raises what the ops raise."""
    code = compile(ast.fix_missing_locations(ast.Expression(_copy(tree))), "<op table>", "eval")
    return float(eval(code, {"__builtins__": {}, **FUNCTIONS}, dict(point)))


class _Substitution(ast.NodeTransformer):
    def __init__(self, point: Mapping[str, ast.expr]) -> None:
        self.point = point

    def visit_Name(self, node: ast.Name) -> ast.AST:
        return self.point.get(node.id, node)

    def visit_Call(self, node: ast.Call) -> ast.AST:
        node.args = [self.visit(a) for a in node.args]
        return node


class _Taken(ast.NodeTransformer):
    """Of a choice what is chosen."""

    def __init__(self, point: Mapping[str, float]) -> None:
        self.point = point

    def visit_IfExp(self, node: ast.IfExp) -> ast.AST:
        return self.visit(node.body if evaluated(node.test, self.point) else node.orelse)  # type: ignore[no-any-return]


def in_numbers(tree: ast.expr, point: Mapping[str, float]) -> ast.expr:
    """With the numbers of a point in place of the names; of a choice what is chosen."""
    tree = _Taken(point).visit(_copy(tree))
    return _Substitution({name: _constant(v) for name, v in point.items()}).visit(tree)  # type: ignore[no-any-return]


def written(tree: ast.expr, names: Mapping[str, str] | None = None) -> str:
    """As a person would write it: `2 * a`, with these names in place of x, y and z."""
    tree = _Substitution({n: ast.Name(text) for n, text in (names or {}).items()}).visit(
        _Plain().visit(_copy(tree))
    )
    return re.sub(r" \*\* ", "**", ast.unparse(tree))


class _Plain(ast.NodeTransformer):
    """Numbers as the page shows them."""

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        return ast.Name(shown(float(node.value)))  # type: ignore[arg-type]


def _counted(tree: ast.expr) -> ast.expr:
    """`z > 0` as `1 if z > 0 else 0`."""
    if isinstance(tree, ast.Compare):
        return ast.IfExp(tree, ast.Constant(1.0), ast.Constant(0.0))
    return tree
