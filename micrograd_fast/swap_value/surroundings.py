"""What a class statement needs to run alone: the imports, constants and helpers that it names.

`alone` gives these statements and the class as a program of its own, and says which methods may be
called there. Whatever else a program has at its top level is never run for the check.
"""

from __future__ import annotations

import ast
import builtins
import importlib
import symtable
from collections.abc import Iterator

from micrograd_fast.swap_value.own_class import OwnClass, Refused
from micrograd_fast.swap_value.program import File

# Modules of functions that compute and do nothing else.
PURE = frozenset(
    {
        *("__future__", "abc", "cmath", "collections", "collections.abc", "dataclasses"),
        *("functools", "itertools", "math", "numbers", "numpy", "numpy.typing", "operator"),
        *("scipy", "scipy.special", "typing", "typing_extensions"),
    }
)
_NUMPY = """
exp exp2 expm1 log log2 log10 log1p logaddexp sqrt cbrt square power float_power sin cos tan
arcsin arccos arctan arctan2 sinh cosh tanh arcsinh arccosh arctanh sinc hypot degrees radians
deg2rad rad2deg maximum minimum fmax fmin max min amax amin abs absolute fabs sign signbit
copysign heaviside add subtract multiply divide true_divide floor_divide negative positive
reciprocal mod fmod remainder floor ceil rint round around trunc fix clip where isnan isinf
isfinite isclose allclose isscalar nan_to_num sum prod mean dot array array_equal zeros ones
full finfo iinfo dtype errstate float16 float32 float64 double longdouble int8 int16 int32
int64 int_ intp bool_ number floating integer generic ndarray typing pi e inf nan euler_gamma
newaxis
"""
# Of a module that does more as well, what computes alone: of NumPy no random numbers, no files.
PURE_NAMES = {"scipy": frozenset({"special"}), "numpy": frozenset(_NUMPY.split())}
# Builtins with effects: an op that prints prints no more when it is replaced.
EFFECTS = frozenset(
    {"print", "input", "open", "exec", "eval", "compile", "globals", "locals", "vars", "setattr"}
    | {"delattr", "breakpoint", "exit", "quit", "help", "__import__"}
)


def alone(own: OwnClass, files: list[File]) -> tuple[ast.Module, set[str]]:
    """The class with what it needs, and the methods that may be called. Raises Refused where a
    method that is to be replaced needs more than imports, constants and functions of these."""
    tree = own.file.tree
    scope = _Scope(own, files, symtable.symtable(own.file.source, own.file.path, "exec"))
    needed: set[ast.stmt] = set()
    for part, runs in scope.class_parts():
        names = {n.id for n in ast.walk(part) if isinstance(n, ast.Name)}
        needed |= scope.statements_for(scope.known(names), part, body=runs)
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
        scope.narrowed(node)
        for node in tree.body
        if node is own.node
        or node in needed
        or (isinstance(node, ast.ImportFrom) and node.module == "__future__")
    ]
    return ast.Module(body=chosen, type_ignores=[]), callable_


class _Scope:
    """The names at the top level of a program, and by which statements they are bound."""

    def __init__(self, own: OwnClass, files: list[File], table: symtable.SymbolTable) -> None:
        tree = own.file.tree
        self.own = own
        self.imported: dict[ast.stmt, set[str]] = {}  # by import, the names that are needed
        self.tables = {(t.get_name(), t.get_lineno()): t for t in _all_tables(table)}
        self.bindings: dict[str, list[ast.stmt]] = {}
        for node in tree.body:
            for name in _bound_by(node):
                self.bindings.setdefault(name, []).append(node)
        self.rebound = {
            name for n in ast.walk(tree) if isinstance(n, ast.Global) for name in n.names
        }
        self.rebound |= {name for file in files for name in _set_from_afar(file.tree)}
        self.postponed = any(
            isinstance(n, ast.ImportFrom)
            and n.module == "__future__"
            and "annotations" in [a.name for a in n.names]
            for n in tree.body
        )
        self.stars = [n for n in tree.body if isinstance(n, ast.ImportFrom) and _is_star(n)]

    def class_parts(self) -> Iterator[tuple[ast.AST, bool]]:
        """What the class statement itself evaluates, and whether that may be more than types."""
        yield from ((decorator, True) for decorator in self.own.node.decorator_list)
        for statement in self.own.node.body:
            if isinstance(statement, ast.Assign | ast.AnnAssign):
                yield statement, True
        for node in ast.walk(self.own.node):
            if isinstance(node, ast.FunctionDef):
                for default in (*node.args.defaults, *node.args.kw_defaults):
                    if default is not None:
                        yield default, True
                yield from ((decorator, True) for decorator in node.decorator_list)
                if not self.postponed:
                    arguments = [n for n in ast.walk(node.args) if isinstance(n, ast.arg)]
                    for part in (node.returns, *(a.annotation for a in arguments)):
                        if part is not None:
                            yield part, any(isinstance(n, ast.Call) for n in ast.walk(part))

    def known(self, names: set[str]) -> set[str]:
        """Those that the top level binds, or the builtins; others are the class's own."""
        builtin = {name for name in names if hasattr(builtins, name)}
        unbound = set() if not self.stars else names - set(self.own.methods)
        return ((names & set(self.bindings)) | builtin | unbound) - {self.own.name}

    def names_in(self, node: ast.stmt) -> set[str]:
        """The globals that a function's body reads; of an assignment those of its value."""
        for inner in ast.walk(node):
            if isinstance(inner, ast.Import | ast.ImportFrom):
                for alias in inner.names:
                    bound = (alias.asname or alias.name).partition(".")[0]
                    _refuse_effects(inner, alias, bound, node)
        if isinstance(node, ast.FunctionDef):
            return _globals_of(self.table(node), deep=True)
        found = {n.id for n in ast.walk(node) if isinstance(n, ast.Name)}
        return found & (set(self.bindings) | set(dir(builtins)))

    def table(self, node: ast.FunctionDef | ast.ClassDef) -> symtable.SymbolTable:
        # The table's line is that of the statement, or of its first decorator.
        first = node.decorator_list[0].lineno if node.decorator_list else node.lineno
        return self.tables.get((node.name, node.lineno)) or self.tables[node.name, first]

    def statements_for(self, names: set[str], user: ast.AST, *, body: bool = True) -> set[ast.stmt]:
        """The top-level statements that give these names their meaning, transitively.

        `body`: read when a method runs, where only modules that compute are let in.
        """
        found: set[ast.stmt] = set()
        for name in sorted(names - {self.own.name}):
            bound = self.bindings.get(name, [])
            if not bound:
                found |= self.elsewhere(name, user)
            elif len(bound) == 1 and name not in self.rebound and not self.any_set(bound[0]):
                found |= self.statement(name, bound[0], user, body)
            else:
                raise Refused(f"it uses {name}, which changes", _line_of(name, user))
        return found

    def any_set(self, bound: ast.stmt) -> bool:
        """A constant, in a program that sets names which are computed."""
        return "" in self.rebound and isinstance(bound, ast.Assign | ast.AnnAssign)

    def elsewhere(self, name: str, user: ast.AST) -> set[ast.stmt]:
        if hasattr(builtins, name):
            if name in EFFECTS:
                raise Refused(f"it calls {name}", _line_of(name, user))
            # `from numpy import *` has an abs and a max of its own.
            return {n for n in self.stars if n.module in PURE}
        pure = all(n.module in PURE for n in self.stars)
        for n in self.stars if pure else ():
            module = importlib.import_module(n.module or "")
            allowed = PURE_NAMES.get(n.module or "", frozenset({name}))
            pure = pure and (name in allowed or not hasattr(module, name))
        if not pure or not self.stars:
            raise Refused(
                f"it uses {name}, which the program does not define", _line_of(name, user)
            )
        return set(self.stars)

    def statement(self, name: str, bound: ast.stmt, user: ast.AST, body: bool) -> set[ast.stmt]:
        if isinstance(bound, ast.Import | ast.ImportFrom):
            for alias in bound.names:
                if (alias.asname or alias.name).partition(".")[0] == name:
                    module, _ = _imports(bound, alias)
                    if body or module.partition(".")[0] in PURE_NAMES:
                        _refuse_effects(bound, alias, name, user)
            self.imported.setdefault(bound, set()).add(name)
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

    def narrowed(self, node: ast.stmt) -> ast.stmt:
        """An import of several modules, of those that are needed."""
        needed = self.imported.get(node)
        if not isinstance(node, ast.Import | ast.ImportFrom) or not needed:
            return node
        names = [a for a in node.names if (a.asname or a.name).partition(".")[0] in needed]
        if isinstance(node, ast.Import):
            return ast.copy_location(ast.Import(names), node)
        return ast.copy_location(ast.ImportFrom(node.module, names, node.level), node)


def _imports(node: ast.Import | ast.ImportFrom, alias: ast.alias) -> tuple[str, str | None]:
    """The module that a name stands for; or the module and what of it."""
    if isinstance(node, ast.Import):
        return (alias.name if alias.asname else alias.name.partition(".")[0]), None
    module = "." * node.level + (node.module or "")
    if f"{module}.{alias.name}" in PURE:  # from scipy import special
        return f"{module}.{alias.name}", None
    return module, alias.name


def _refuse_effects(
    node: ast.Import | ast.ImportFrom, alias: ast.alias, name: str, user: ast.AST
) -> None:
    """Raise Refused where what is imported as `name` may do more than compute in `user`."""
    module, member = _imports(node, alias)
    if module not in PURE:
        text = f"it uses {name} of the module {module}, which may do more than compute"
        raise Refused(text, _line_of(name, user))
    allowed = PURE_NAMES.get(module)
    if allowed is None:
        return
    if member is not None:
        if member not in allowed:
            text = f"it uses {member} of the module {module}, which may do more than compute"
            raise Refused(text, _line_of(name, user))
        return
    parents = {n.value: n for n in ast.walk(user) if isinstance(n, ast.Attribute)}
    for use in ast.walk(user):
        if isinstance(use, ast.Name) and use.id == name:
            parent = parents.get(use)
            if parent is None or parent.attr not in allowed:
                shown = f"{name}.{parent.attr}" if parent else name
                text = f"it uses {shown} of the module {module}, which may do more than compute"
                raise Refused(text, use.lineno)


def _set_from_afar(tree: ast.Module) -> Iterator[str]:
    """Names of a module's top level that are set otherwise than by an assignment there:
    `globals()["EPS"] = 2`, `setattr(engine, "EPS", 2)`, `engine.EPS = 2`; "" for any name."""
    modules = {
        name
        for n in ast.walk(tree)
        if isinstance(n, ast.Import | ast.ImportFrom)
        for name in _bound_by(n)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Subscript) and not isinstance(node.ctx, ast.Load):
            if _is_namespace(node.value):
                key = node.slice
                yield str(key.value) if isinstance(key, ast.Constant) else ""
        elif isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Load):
            value = node.value
            if getattr(value, "id", "") in modules or "sys.modules" in ast.unparse(value):
                yield node.attr
                yield getattr(value, "id", node.attr)  # math.exp = f changes math
        elif isinstance(node, ast.Call):
            called = node.func
            if isinstance(called, ast.Attribute) and _is_namespace(called.value):
                if called.attr not in ("get", "keys", "values", "items", "copy"):
                    yield ""
            elif isinstance(called, ast.Name) and called.id == "exec" and len(node.args) == 1:
                yield ""
            elif isinstance(called, ast.Name) and called.id in ("setattr", "delattr"):
                first = node.args[0] if node.args else called
                if "sys.modules" in ast.unparse(first) or getattr(first, "id", "") in modules:
                    key = node.args[1] if len(node.args) > 1 else called
                    yield str(key.value) if isinstance(key, ast.Constant) else ""


def _is_namespace(node: ast.expr) -> bool:
    """The dictionary of a module: globals(), or vars() and locals() at the top level."""
    text = ast.unparse(node)
    return text in ("globals()", "vars()", "locals()") or (
        "sys.modules" in text and (text.startswith("vars(") or text.endswith(".__dict__"))
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
