"""What a class statement needs to run alone: the imports, constants and helpers that it names.

`alone` gives these statements and the class as a program of its own, and says which methods may be
called there. Whatever else a program has at its top level is never run for the check.
"""

from __future__ import annotations

import ast
import builtins
import symtable
from collections.abc import Iterator

from micrograd_fast.swap_value.own_class import OwnClass, Refused

# Modules of functions that compute and do nothing else.
PURE = frozenset(
    {
        "__future__",
        "cmath",
        "collections",
        "dataclasses",
        "functools",
        "itertools",
        "math",
        "numbers",
    }
    | {"numpy", "operator", "scipy", "typing"}
)
# Builtins with effects: an op that prints prints no more when it is replaced.
EFFECTS = frozenset(
    {"print", "input", "open", "exec", "eval", "compile", "globals", "locals", "vars", "setattr"}
    | {"delattr", "breakpoint", "exit", "quit", "help", "__import__"}
)


def alone(own: OwnClass) -> tuple[ast.Module, set[str]]:
    """The class with what it needs, and the methods that may be called. Raises Refused where a
    method that is to be replaced needs more than imports, constants and functions of these."""
    tree = own.file.tree
    scope = _Scope(own, tree, symtable.symtable(own.file.source, own.file.path, "exec"))
    needed = scope.statements_for(scope.class_names(), own.node, body=False)
    callable_ = set()
    for name, nodes in own.methods.items():
        for node in nodes:
            try:
                needed |= scope.statements_for(scope.names_in(node), node)
            except Refused:
                if name not in own.kept:
                    raise
                break
        else:
            callable_.add(name)
    chosen = [
        node
        for node in tree.body
        if node is own.node
        or node in needed
        or (isinstance(node, ast.ImportFrom) and node.module == "__future__")
    ]
    return ast.Module(body=chosen, type_ignores=[]), callable_


class _Scope:
    """The names at the top level of a program, and by which statements they are bound."""

    def __init__(self, own: OwnClass, tree: ast.Module, table: symtable.SymbolTable) -> None:
        self.own = own
        self.tables = {(t.get_name(), t.get_lineno()): t for t in _all_tables(table)}
        self.bindings: dict[str, list[ast.stmt]] = {}
        for node in tree.body:
            for name in _bound_by(node):
                self.bindings.setdefault(name, []).append(node)
        self.rebound = {
            name for n in ast.walk(tree) if isinstance(n, ast.Global) for name in n.names
        }
        self.postponed = any(
            isinstance(n, ast.ImportFrom)
            and n.module == "__future__"
            and "annotations" in [a.name for a in n.names]
            for n in tree.body
        )
        self.stars = [n for n in tree.body if isinstance(n, ast.ImportFrom) and _is_star(n)]

    def class_names(self) -> set[str]:
        """What the class statement itself reads: defaults, decorators, annotations."""
        names = _globals_of(self.table(self.own.node), deep=False)
        parts: list[ast.AST | None] = [*self.own.node.decorator_list]
        for node in ast.walk(self.own.node):
            if isinstance(node, ast.FunctionDef):
                parts += [*node.decorator_list, *node.args.defaults, *node.args.kw_defaults]
                if not self.postponed:
                    arguments = [n for n in ast.walk(node.args) if isinstance(n, ast.arg)]
                    parts += [node.returns, *(a.annotation for a in arguments)]
        for part in parts:
            names |= {n.id for n in ast.walk(part) if isinstance(n, ast.Name)} if part else set()
        return {name for name in names if name in self.bindings or self.stars} - {self.own.name}

    def names_in(self, node: ast.stmt) -> set[str]:
        """The globals that a function's body reads; of an assignment those of its value."""
        if isinstance(node, ast.FunctionDef):
            return _globals_of(self.table(node), deep=True)
        found = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
        return found & (set(self.bindings) | set(dir(builtins)))

    def table(self, node: ast.FunctionDef | ast.ClassDef) -> symtable.SymbolTable:
        # The table's line is that of the statement, or of its first decorator.
        first = node.decorator_list[0].lineno if node.decorator_list else node.lineno
        return self.tables.get((node.name, node.lineno)) or self.tables[node.name, first]

    def statements_for(
        self, names: set[str], user: ast.stmt, *, body: bool = True
    ) -> set[ast.stmt]:
        """The top-level statements that give these names their meaning, transitively.

        `body`: read when a method runs, where only modules that compute are let in.
        """
        found: set[ast.stmt] = set()
        for name in sorted(names - {self.own.name}):
            bound = self.bindings.get(name, [])
            if not bound:
                found |= self.elsewhere(name, user)
            elif len(bound) == 1 and name not in self.rebound:
                found |= self.statement(name, bound[0], user, body)
            else:
                raise Refused(f"it uses {name}, which changes", _line_of(name, user))
        return found

    def elsewhere(self, name: str, user: ast.stmt) -> set[ast.stmt]:
        if hasattr(builtins, name):
            if name in EFFECTS:
                raise Refused(f"it calls {name}", _line_of(name, user))
            return set()
        if not all(n.module in PURE for n in self.stars) or not self.stars:
            raise Refused(
                f"it uses {name}, which the program does not define", _line_of(name, user)
            )
        return set(self.stars)

    def statement(self, name: str, bound: ast.stmt, user: ast.stmt, body: bool) -> set[ast.stmt]:
        if isinstance(bound, ast.Import | ast.ImportFrom):
            module = bound.module if isinstance(bound, ast.ImportFrom) else bound.names[0].name
            if body and (module or ".").partition(".")[0] not in PURE:
                text = f"it uses {name} of the module {module}, which may do more than compute"
                raise Refused(text, _line_of(name, user))
            return {bound}
        if isinstance(bound, ast.FunctionDef):
            inner = {name for name in self.names_in(bound) if name != bound.name}
            for decorator in bound.decorator_list:
                inner |= {n.id for n in ast.walk(decorator) if isinstance(n, ast.Name)}
            return {bound} | self.statements_for(inner, bound)
        value = bound.value if isinstance(bound, ast.Assign | ast.AnnAssign) else None
        if value is not None and _is_formula(value):
            inner = {n.id for n in ast.walk(value) if isinstance(n, ast.Name)}
            return {bound} | self.statements_for(inner, bound)
        raise Refused(
            f"it uses {name} of line {bound.lineno}, which is no constant, function or import",
            _line_of(name, user),
        )


def _all_tables(table: symtable.SymbolTable) -> Iterator[symtable.SymbolTable]:
    for child in table.get_children():
        yield child
        yield from _all_tables(child)


def _globals_of(table: symtable.SymbolTable, *, deep: bool) -> set[str]:
    names = {s.get_name() for s in table.get_symbols() if s.is_global() and s.is_referenced()}
    for child in table.get_children() if deep else ():
        if child.get_name() == "__annotate__":  # since 3.14, run by who asks for it
            continue
        names |= _globals_of(child, deep=True)
    return names


def _bound_by(node: ast.stmt) -> set[str]:
    """The names that a statement at the top level binds, in whatever is nested in it too."""
    if isinstance(node, ast.FunctionDef | ast.ClassDef | ast.AsyncFunctionDef):
        return {node.name}
    names: set[str] = set()
    for inner in ast.walk(node):
        if isinstance(inner, ast.Name) and not isinstance(inner.ctx, ast.Load):
            names.add(inner.id)
        elif isinstance(inner, ast.Import | ast.ImportFrom):
            names |= {(a.asname or a.name).partition(".")[0] for a in inner.names}
        elif isinstance(inner, ast.FunctionDef | ast.ClassDef):
            names.add(inner.name)
    return names


def _is_star(node: ast.ImportFrom) -> bool:
    return any(a.name == "*" for a in node.names)


def _is_formula(value: ast.expr) -> bool:
    """Arithmetic on numbers, strings and what modules offer: it has no effects."""
    allowed = (
        ast.Constant,
        ast.BinOp,
        ast.UnaryOp,
        ast.operator,
        ast.unaryop,
        ast.Name,
        ast.Attribute,
        ast.Call,
        ast.Tuple,
        ast.Subscript,  # a type's, as in Union[int, float]
        ast.expr_context,
    )
    return all(
        isinstance(n, allowed) and (not isinstance(n, ast.Call) or _is_mathematics(n.func))
        for n in ast.walk(value)
    )


def _is_mathematics(function: ast.expr) -> bool:
    return ast.unparse(function).partition(".")[0] in ("math", "cmath", "np", "numpy")


def _line_of(name: str, node: ast.AST) -> int | None:
    lines = [n.lineno for n in ast.walk(node) if isinstance(n, ast.Name) and n.id == name]
    return lines[0] if lines else getattr(node, "lineno", None)
