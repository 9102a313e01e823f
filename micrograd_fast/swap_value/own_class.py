"""A program's own Value, read in the syntax tree: what it defines and what the rest asks of it.

Nothing is executed here. `read` finds the class, sorts its methods into those that micrograd_fast's
Value replaces and those that stay, and raises Refused where the program would notice the change.
That both compute the same is checked in agreement.py.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import dataclass, field

from micrograd_fast.engine import Value
from micrograd_fast.swap_value.program import File

OURS = frozenset(dir(Value)) | {"label"}
SHOWN = frozenset({"__repr__", "__str__", "__format__"})  # how a program prints stays its own
ATTRIBUTES = frozenset(
    {"data", "grad", "_prev", "_op", "label", "_backward", "_children", "_local_grads"}
)
# A class with one of these does what no replacement can be held to.
ODD = frozenset(
    f"__{name}__"
    for name in (
        *("new", "getattr", "getattribute", "setattr", "delattr", "del", "init_subclass"),
        *("index", "class_getitem", "set_name", "get", "array", "array_ufunc", "array_function"),
        *("reduce", "reduce_ex", "getstate", "setstate", "deepcopy", "copy"),
    )
)
ARRAYS = frozenset(
    {"zeros_like", "ones_like", "asarray", "shape", "reshape", "ndim", "broadcast_to", "matmul"}
)
LOOKED_UP = frozenset({"getattr", "hasattr", "setattr", "delattr", "attrgetter", "methodcaller"})
ROLES = {
    "data": "data",
    "_prev": "children",
    "prev": "children",
    "_children": "children",
    "children": "children",
    "parents": "children",
    "_parents": "children",
    "_op": "op",
    "op": "op",
    "label": "label",
    "_local_grads": "local_grads",
}
PLACES = {"data": 0, "children": 1, "op": 2, "local_grads": 2, "label": 3}
WORDS = {
    "data": "data",
    "children": "_children",
    "op": "_op",
    "local_grads": "_local_grads",
    "label": "label",
}
Function = ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda


class Refused(Exception):
    """The class cannot be replaced; the text says why, `line` where in the program.

    `file` is the file of that line; None: that of the class, or the script where there is none.
    """

    def __init__(self, text: str, line: int | None = None, file: File | None = None) -> None:
        super().__init__(text)
        self.line = line
        self.file = file


@dataclass
class OwnClass:
    """The class statement, its members by name, and which of them stay.

    `parameters` are those of `__init__` after self, in order, with the role that each plays (a key
    of PLACES, or None); `derived` whether the program derives classes from it;
    `mentions` the attributes that what stays names, with a place of each;
    `indexed` those of them that are more than gone through in a loop, `called` those called.
    """

    file: File
    node: ast.ClassDef
    methods: dict[str, list[ast.stmt]] = field(default_factory=dict)
    constants: dict[str, ast.stmt] = field(default_factory=dict)
    state: dict[str, ast.stmt] = field(default_factory=dict)
    parameters: list[tuple[str, str | None]] = field(default_factory=list)
    kept: set[str] = field(default_factory=set)
    derived: bool = False
    mentions: dict[str, str] = field(default_factory=dict)
    indexed: set[str] = field(default_factory=set)
    called: set[str] = field(default_factory=set)

    @property
    def name(self) -> str:
        return self.node.name

    def line(self, method: str) -> int:
        return self.methods[method][0].lineno if method in self.methods else self.node.lineno

    def dropped(self) -> Iterator[tuple[str, ast.stmt]]:
        for name, nodes in self.methods.items():
            if name not in self.kept:
                yield from ((name, node) for node in nodes)

    def staying(self) -> list[ast.stmt]:
        """The members that stay, in their order."""
        members = [n for name in self.kept for n in self.methods.get(name, [])]
        members += [n for name, n in self.constants.items() if name in self.mentions]
        return sorted(members, key=lambda n: n.lineno)


def read(files: list[File]) -> OwnClass:
    """The class of the program that takes the place of a Value. Raises Refused."""
    own = _find(files)
    try:
        _refuse_kind(own.node)
        _read_body(own)
        _refuse_arrays(own)
        _keep(own, files)
        _read_constructor(own)
        _refuse_what_is_lacking(own)
        for file in files:
            _refuse_bindings(own, file)
    except Refused as error:
        error.file = error.file or own.file
        raise
    return own


def _find(files: list[File]) -> OwnClass:
    found = [
        OwnClass(file, node)
        for file in files
        for node in ast.walk(file.tree)
        if isinstance(node, ast.ClassDef) and _is_a_value(node)
    ]
    if not found:
        raise Refused(
            "there is no class of its own to replace: one with __init__, backward, and __add__ or "
            "__mul__"
        )
    own = found[0]
    if len(found) > 1:
        names = ", ".join(f"{o.name} in {o.file.place(o.node.lineno)}" for o in found)
        text = f"there are several classes that it could be: {names}"
        raise Refused(text, found[1].node.lineno, found[1].file)
    if own.node not in own.file.tree.body:
        text = "the class does not stand at the top level of the program"
        raise Refused(text, own.node.lineno, own.file)
    return own


def _refuse_kind(node: ast.ClassDef) -> None:
    for base in node.bases:
        if not (isinstance(base, ast.Name) and base.id == "object"):
            raise Refused(f"it is derived from {ast.unparse(base)}", node.lineno)
    if node.keywords:
        raise Refused("it has a metaclass or arguments", node.lineno)
    for decorator in node.decorator_list:
        if ast.unparse(decorator) not in ("total_ordering", "functools.total_ordering"):
            raise Refused(f"it is decorated by {ast.unparse(decorator)}", node.lineno)


def _is_a_value(node: ast.ClassDef) -> bool:
    names = {n.name for n in node.body if isinstance(n, ast.FunctionDef)}
    return {"__init__", "backward"} <= names and not names.isdisjoint({"__add__", "__mul__"})


def _read_body(own: OwnClass) -> None:
    """Sort the statements of the class into methods, constants and state."""
    for node in own.node.body:
        if isinstance(node, ast.FunctionDef):
            own.methods.setdefault(node.name, []).append(node)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            for target in targets:
                if not isinstance(target, ast.Name):
                    raise Refused("its body assigns to more than names", node.lineno)
                if node.value is not None:
                    _read_assignment(own, target.id, node, node.value)
        elif not (
            isinstance(node, ast.Pass)
            or (isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant))
        ):
            raise Refused("its body does more than define methods", node.lineno)
    for name, nodes in own.methods.items():
        if name in ODD:
            raise Refused(f"it has a {name} of its own", nodes[0].lineno)


def _read_assignment(own: OwnClass, name: str, node: ast.stmt, value: ast.expr) -> None:
    if isinstance(value, ast.Lambda) or (isinstance(value, ast.Name) and value.id in own.methods):
        own.methods.setdefault(name, []).append(node)
        return
    try:
        literal = ast.literal_eval(value)
    except (ValueError, TypeError, SyntaxError, MemoryError, RecursionError):
        literal = []
    if name == "__slots__":
        words = [literal] if isinstance(literal, str) else literal
        if not words or not all(isinstance(word, str) for word in words):
            raise Refused("its __slots__ are computed", node.lineno)
    elif isinstance(literal, list | dict | set):
        own.state[name] = node
    elif name not in ("__array_priority__", "__hash__"):
        own.constants[name] = node
        if name in OURS:
            raise Refused(
                f"{name} is a constant of the class, not what it is in micrograd_fast", node.lineno
            )


def _refuse_arrays(own: OwnClass) -> None:
    """Matrices agree with scalars on scalars: they have to be seen in the text."""
    if "__matmul__" in own.methods:
        raise Refused("it computes with arrays: it has a __matmul__", own.line("__matmul__"))
    for node in ast.walk(own.node):
        if isinstance(node, ast.Attribute) and node.attr in ARRAYS:
            raise Refused(f"it computes with arrays: .{node.attr}", node.lineno)


# ---- what stays, and what it names ----


def _keep(own: OwnClass, files: list[File]) -> None:
    """Methods beyond ours stay where something that stays names them, directly or by another."""
    extra = {name for name in own.methods if name not in OURS or name in SHOWN}
    own.kept = {name for name in extra if name.startswith("__") and name.endswith("__")}
    waiting: list[tuple[File, ast.AST]] = [
        (file, node) for file in files for node in file.tree.body if node is not own.node
    ]
    waiting += [(own.file, node) for name in own.kept for node in own.methods[name]]
    while waiting:
        file, root = waiting.pop()
        looped = _loops_over(root)
        calls = (n.func for n in ast.walk(root) if isinstance(n, ast.Call))
        own.called |= {f.attr for f in calls if isinstance(f, ast.Attribute)}
        own.indexed |= {
            n.attr for n in ast.walk(root) if isinstance(n, ast.Attribute) and n not in looped
        }
        for name, line in _names_attributes(root):
            own.mentions.setdefault(name, file.place(line))
            if name in extra and name not in own.kept:
                own.kept.add(name)
                waiting += [(own.file, node) for node in own.methods[name]]


def _loops_over(root: ast.AST) -> set[ast.AST]:
    """What stands after `in` of loops and comprehensions."""
    return {n.iter for n in ast.walk(root) if isinstance(n, ast.For | ast.comprehension)}


def _names_attributes(root: ast.AST) -> Iterator[tuple[str, int]]:
    for node in ast.walk(root):
        if isinstance(node, ast.Attribute):
            yield node.attr, node.lineno
        elif isinstance(node, ast.MatchClass):
            yield from ((name, node.lineno) for name in node.kwd_attrs)
        elif isinstance(node, ast.Call):
            yield from _looked_up(node)


def _looked_up(call: ast.Call) -> Iterator[tuple[str, int]]:
    """The attributes that a call of getattr and the like names in strings."""
    if getattr(call.func, "id", getattr(call.func, "attr", "")) in LOOKED_UP:
        for arg in call.args:
            if isinstance(arg, ast.Constant) and isinstance(arg.value, str):
                yield from ((name, call.lineno) for name in arg.value.split("."))


def _refuse_what_is_lacking(own: OwnClass) -> None:
    """What goes away must not be missed: attributes that it sets, state, ops told apart."""
    for name, stated in own.state.items():
        used = [n for n in ast.walk(own.node) if isinstance(n, ast.Attribute) and n.attr == name]
        if used or name in own.mentions:
            text = f"{name} of line {stated.lineno} is state of the class"
            raise Refused(text, used[0].lineno if used else stated.lineno)
    modules = {
        (a.asname or a.name).partition(".")[0]
        for n in ast.walk(own.file.tree)
        if isinstance(n, ast.Import | ast.ImportFrom)
        for a in n.names
    }
    for _, method in own.dropped():
        # Functions that are called are no attributes of nodes; v._backward is one, and known.
        others = {n.func for n in ast.walk(method) if isinstance(n, ast.Call)}
        for node in ast.walk(method):
            if isinstance(node, ast.Global):
                raise Refused(f"it writes the global {node.names[0]}", node.lineno)
            if isinstance(node, ast.Attribute) and node not in others:
                if not (isinstance(node.value, ast.Name) and node.value.id in modules):
                    _refuse_attribute(own, node)
            elif isinstance(node, ast.Call):
                _refuse_looked_up(own, node)


def _refuse_attribute(own: OwnClass, node: ast.Attribute) -> None:
    writes = isinstance(node.ctx, ast.Store | ast.Del)
    if writes and isinstance(node.value, ast.Name) and node.value.id == own.name:
        raise Refused(f"{own.name}.{node.attr} is state of the class", node.lineno)
    known = ATTRIBUTES if writes else ATTRIBUTES | set(own.methods)
    lacks = "has with a meaning of its own" if node.attr in OURS else "does not have"
    if node.attr not in known and node.attr in own.mentions:
        raise Refused(
            f"it {'sets' if writes else 'reads'} .{node.attr}, which {own.mentions[node.attr]} "
            f"uses and which micrograd_fast's Value {lacks}",
            node.lineno,
        )
    if not writes and ROLES.get(node.attr) == "op":
        raise Refused(
            f"it chooses by .{node.attr}: a node of another op would pass no gradient on",
            node.lineno,
        )


def _refuse_looked_up(own: OwnClass, call: ast.Call) -> None:
    """`getattr(self, "frozen", False)` asks for what the program may set."""
    for name, line in _looked_up(call):
        if name not in ATTRIBUTES and name in own.mentions:
            text = f"it asks for .{name}, which {own.mentions[name]} uses"
            raise Refused(text, line)


# ---- the constructor ----


def _read_constructor(own: OwnClass) -> None:
    init = own.methods["__init__"][-1]
    assert isinstance(init, ast.FunctionDef)
    names = [a.arg for a in (*init.args.posonlyargs, *init.args.args)][1:]
    roles: dict[str, str] = {}
    for statement in init.body:
        targets = _set_by(statement)
        if targets is None:
            raise Refused("its __init__ does more than set attributes", statement.lineno)
        for attribute, value in targets:
            name = _passed_on(value)
            if attribute == "data" and not name:  # np.float64(data), data or 0.0
                used = [n.id for n in ast.walk(value) if isinstance(n, ast.Name) and n.id in names]
                name = used[0] if used else None
            if name and attribute in ROLES:
                roles.setdefault(name, ROLES[attribute])
    own.parameters = [(name, roles.get(name)) for name in names]
    own.parameters += [(a.arg, roles.get(a.arg)) for a in init.args.kwonlyargs]
    if not own.parameters or own.parameters[0][1] != "data":
        raise Refused("the first argument of its __init__ does not become .data", init.lineno)


def _set_by(statement: ast.stmt) -> list[tuple[str, ast.expr]] | None:
    """The attributes of self that a statement of `__init__` sets; None where it does else."""
    if isinstance(statement, ast.Assign | ast.AnnAssign):
        targets = statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        if statement.value is not None and all(
            isinstance(t, ast.Attribute) and isinstance(t.value, ast.Name) for t in targets
        ):
            return [(t.attr, statement.value) for t in targets if isinstance(t, ast.Attribute)]
        return None
    checks = isinstance(statement, ast.Assert | ast.Pass) or (
        isinstance(statement, ast.If)
        and not statement.orelse
        and all(isinstance(s, ast.Raise) for s in statement.body)
    )
    says = isinstance(statement, ast.Expr) and (
        isinstance(statement.value, ast.Constant)
        or ast.unparse(statement.value) == "super().__init__()"
    )
    return [] if checks or says else None


def _passed_on(value: ast.expr) -> str | None:
    """The parameter that an attribute gets as it is, or as a set, tuple, list or float of it."""
    if isinstance(value, ast.IfExp):  # set(children) if children else set()
        value = value.body
    if (
        isinstance(value, ast.Call)
        and isinstance(value.func, ast.Name)
        and value.func.id in ("set", "tuple", "list", "float", "frozenset")
        and len(value.args) == 1
    ):
        value = value.args[0]
    return value.id if isinstance(value, ast.Name) else None


def _refuse_bindings(own: OwnClass, file: File) -> None:
    """The name means this class throughout, and no subclass changes what it computes."""
    for node in ast.walk(file.tree):
        line = getattr(node, "lineno", None)
        if isinstance(node, ast.Name) and node.id == own.name:
            if not isinstance(node.ctx, ast.Load):
                raise Refused(f"the name {own.name} is given to something else", line, file)
        elif isinstance(node, ast.ImportFrom):
            for alias in node.names:
                _refuse_import(own, file, node, alias)
        elif isinstance(node, ast.FunctionDef | ast.ClassDef) and node is not own.node:
            if node.name == own.name:
                raise Refused(f"{own.name} is defined again", line, file)
            bases = map(ast.unparse, node.bases) if isinstance(node, ast.ClassDef) else ()
            if isinstance(node, ast.ClassDef) and any(
                base.rpartition(".")[2] == own.name for base in bases
            ):
                own.derived = True
                _refuse_overrides(own, file, node)


def _refuse_import(own: OwnClass, file: File, node: ast.ImportFrom, alias: ast.alias) -> None:
    """A file that imports the class does so under its name, from the file that defines it."""
    own_module = own.file.name.rpartition(".")[2]
    from_own = bool(own.file.name) and (node.module or "").rpartition(".")[2] == own_module
    if from_own and alias.name == own.name and alias.asname not in (None, own.name):
        raise Refused(f"{own.name} has another name in this file", node.lineno, file)
    if (alias.asname or alias.name) == own.name and (not from_own or alias.name != own.name):
        package = own.file.name.rpartition(".")[0]
        if not package or file is own.file:  # a package may pass it on
            raise Refused(f"{own.name} is imported from elsewhere as well", node.lineno, file)


def _refuse_overrides(own: OwnClass, file: File, derived: ast.ClassDef) -> None:
    replaced = {name for name in own.methods if name not in own.kept}
    for member in derived.body:
        names = {getattr(member, "name", "")}
        names |= {n.id for n in getattr(member, "targets", []) if isinstance(n, ast.Name)}
        for name in names & ((replaced | OURS) - SHOWN - {"__init__"}):
            text = f"{derived.name} is derived from it and has a {name} of its own"
            raise Refused(text, member.lineno, file)
