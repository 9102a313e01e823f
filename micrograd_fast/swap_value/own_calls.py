"""Calls of a program's own Value, `Value(2.0, 'x')`, written as ours takes them."""

from __future__ import annotations

import ast

from micrograd_fast._core import OPS
from micrograd_fast.engine import Value
from micrograd_fast.swap_value.own_class import OURS, PLACES, WORDS, OwnClass, Refused
from micrograd_fast.swap_value.program import File

BINARY = frozenset(op.name for op in OPS if op.kind == "binary")


def fit_calls(own: OwnClass, files: list[File]) -> None:
    """Rewrite in place the calls in all that stays. Raises Refused where one cannot be.

    Only the file of the class is changed; in the others calls must be as ours takes them.
    """
    for file in files:
        try:
            for node in file.tree.body:
                if node is not own.node:
                    _Calls(own, fixed=file is not own.file).visit(node)
        except Refused as error:
            error.file = file
            raise
    for node in own.staying():
        _Calls(own, within=True).visit(node)


class _Calls(ast.NodeVisitor):
    """`within`: in the class itself or one derived from it, where self and cls are of its kind;
    `fixed`: calls cannot be changed."""

    def __init__(self, own: OwnClass, *, within: bool = False, fixed: bool = False) -> None:
        self.own = own
        self.within = within
        self.fixed = fixed
        self.same = all(
            role is not None and PLACES[role] == k for k, (_, role) in enumerate(own.parameters)
        )

    def visit_Call(self, node: ast.Call) -> None:
        called = ast.unparse(node.func) if isinstance(node.func, ast.Name | ast.Attribute) else ""
        # The class as an argument is a type (isinstance), or called with one number (map).
        if called in ("isinstance", "issubclass") or (called == "map" and len(node.args) == 2):
            for arg in node.args:
                if not isinstance(arg, ast.Name):
                    self.visit(arg)
            return
        if self.is_class(node.func):
            self.fit(node)
            for child in (*node.args, *node.keywords):
                self.visit(child)
        else:
            if self.within and called.endswith(".__init__"):
                self.require_same(node)
            self.refuse_arguments(node)
            self.generic_visit(node)

    def refuse_arguments(self, call: ast.Call) -> None:
        """`v.relu(0.1)` of a class whose relu takes a slope."""
        name = call.func.attr if isinstance(call.func, ast.Attribute) else ""
        replaced = name in OURS and name in self.own.methods and name not in self.own.kept
        if replaced and not name.startswith("__"):
            if not callable(getattr(Value, name, None)):
                text = f"{name} is an attribute in micrograd_fast, and no method"
                raise Refused(text, call.lineno)
            takes = 1 if name in BINARY else 0
            given = len(call.args) + len(call.keywords)
            if given > takes and _parameters(self.own.methods[name][-1]) > 1 + takes:
                raise Refused(
                    f"{name}() takes {takes or 'no'} arguments in micrograd_fast", call.lineno
                )

    def is_class(self, node: ast.expr) -> bool:
        if isinstance(node, ast.Name):
            return node.id == self.own.name or (self.within and node.id == "cls")
        if isinstance(node, ast.Attribute) and node.attr == self.own.name:  # engine.Value
            return True
        return self.within and ast.unparse(node) in ("type(self)", "self.__class__")

    def require_same(self, node: ast.expr) -> None:
        if not self.same:
            raise Refused(
                f"{self.own.name} takes its arguments in another order in micrograd_fast: this use "
                "of it cannot be followed",
                node.lineno,
            )

    def visit_Name(self, node: ast.Name) -> None:
        if node.id == self.own.name:
            self.require_same(node)

    def visit_Attribute(self, node: ast.Attribute) -> None:
        if not isinstance(node.value, ast.Name):  # Value.cube = f is no use of the constructor
            self.generic_visit(node)

    def visit_Compare(self, node: ast.Compare) -> None:
        for part in (node.left, *node.comparators):
            if not isinstance(part, ast.Name):
                self.visit(part)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        derived = any(self.is_class(base) for base in node.bases)
        inner = _Calls(self.own, within=True, fixed=self.fixed) if derived else self
        for child in node.body:
            inner.visit(child)

    def visit_arg(self, node: ast.arg) -> None:
        """An annotation names the type."""

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self.visit(node.value)

    def visit_FunctionDef(self, node: ast.FunctionDef) -> None:
        for child in (*node.decorator_list, node.args, *node.body):
            self.visit(child)

    def fit(self, call: ast.Call) -> None:
        """Give each argument the place or the word that it has here."""
        if any(isinstance(a, ast.Starred) for a in call.args) or any(
            word.arg is None for word in call.keywords
        ):
            return self.require_same(call)
        if not call.args and "data" not in {self.role(call, w.arg) for w in call.keywords}:
            raise Refused(
                f"{self.own.name}() without a number is none in micrograd_fast", call.lineno
            )
        placed: list[ast.expr] = []
        worded: list[ast.keyword] = []
        for k, arg in enumerate(call.args):
            if k >= len(self.own.parameters):
                return None  # an error in the program, and one here
            role = self.role(call, self.own.parameters[k][0])
            if PLACES[role] == k == len(placed):
                placed.append(arg)
            else:
                worded.append(ast.copy_location(ast.keyword(WORDS[role], arg), arg))
        words = [WORDS[self.role(call, word.arg)] for word in call.keywords]
        if self.fixed and (worded or words != [word.arg for word in call.keywords]):
            text = f"{self.own.name} takes these arguments under other names or in another order"
            raise Refused(text, call.lineno)
        for word, name in zip(call.keywords, words, strict=True):
            word.arg = name
        call.args, call.keywords = placed, [*worded, *call.keywords]
        return None

    def role(self, call: ast.Call, name: str | None) -> str:
        role = dict(self.own.parameters).get(name or "")
        if role is None:
            raise Refused(
                f"the argument {name} of {self.own.name} does not become, as it is, an attribute "
                "that micrograd_fast's Value takes in its call",
                call.lineno,
            )
        return role


def _parameters(method: ast.stmt) -> int:
    """How many arguments a method takes, self included."""
    if not isinstance(method, ast.FunctionDef):
        return 1
    a = method.args
    return len(a.posonlyargs) + len(a.args) + len(a.kwonlyargs) + bool(a.vararg) + bool(a.kwarg)
