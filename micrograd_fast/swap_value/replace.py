"""A program's own Value replaced by micrograd_fast's: what `micrograd-fast run --swap-value` does.

`code_of` reads the program (`own_class`), runs its class statement alone with what that needs
(`surroundings`), compares it with ours (`agreement`), and gives the program's code with another
class statement in its place: one whose methods, those that stay, are put on our class. Nothing else
of the program runs for it. File name and line numbers are the program's.
"""

from __future__ import annotations

import ast
import importlib.util
import sys
from collections.abc import Callable
from importlib.abc import MetaPathFinder
from importlib.machinery import ModuleSpec, SourceFileLoader
from types import CodeType
from typing import Any

from micrograd_fast.engine import Value
from micrograd_fast.swap_value import agreement, limits
from micrograd_fast.swap_value.both import Report
from micrograd_fast.swap_value.own_calls import fit_calls
from micrograd_fast.swap_value.own_class import OwnClass, Refused, read
from micrograd_fast.swap_value.program import File, files_of
from micrograd_fast.swap_value.surroundings import alone

_ABSENT = object()
LARGEST_POWER = 1000


def code_of(
    source: str,
    path: str,
    tell: Callable[[str], None],
    *,
    folder: str,
    package: str | None = None,
) -> CodeType:
    """The code of the script, with the class replaced in it or in a module that it imports.

    folder: where its modules are, sys.path[0]; package: that of a script run by -m. `tell` gets a
    line for what was done. Raises Refused where the program would notice, before anything ran.
    """
    files = files_of(source, path, folder, package)
    own = read(files)
    if own.file.name and own.file.name in sys.modules:
        text = f"{own.file.name} is imported before the program begins"
        raise Refused(text, own.node.lineno, own.file)
    try:
        report = _replace(own, files)
    except Refused as error:
        error.file = error.file or own.file
        raise
    if own.file.name:
        code = compile(own.file.tree, own.file.path, "exec", dont_inherit=True)
        sys.meta_path.insert(0, _Finder(_Loader(own.file.name, own.file.path, code)))
    stays = ", ".join(sorted(own.kept))
    tell(
        f"class {own.name}, line {own.node.lineno} of {own.file.path}, is replaced by "
        f"micrograd_fast's: {report.count} expressions agree, the largest difference is "
        f"{report.largest:.1e}" + (f"; {stays} stay" if stays else "")
    )
    for note in report.notes:
        tell(note)
    return compile(files[0].tree, path, "exec", dont_inherit=True)


def _replace(own: OwnClass, files: list[File]) -> Report:
    """Put another class statement into the tree of its file, once both agree."""
    small, callable_ = alone(own, files)
    original = compile(small, own.file.path, "exec", dont_inherit=True)
    exponents = _exponents(files)
    fit_calls(own, files)
    stand_in = _stand_in(own)
    for tree in (small, own.file.tree):
        tree.body[tree.body.index(own.node)] = stand_in
    replaced = compile(small, own.file.path, "exec", dont_inherit=True)
    try:
        with limits.limited():
            return _compare(own, original, replaced, callable_, exponents)
    except limits.TimeUp:  # outside of what agreement tells
        raise Refused("what it needs does not end", own.node.lineno) from None


def _exponents(files: list[File]) -> set[float]:
    """The powers that the program writes as numbers, `x ** 5`."""
    found: set[float] = set()
    for file in files:
        for node in ast.walk(file.tree):
            if isinstance(node, ast.BinOp | ast.AugAssign) and isinstance(node.op, ast.Pow):
                power = node.right if isinstance(node, ast.BinOp) else node.value
                sign = -1 if isinstance(power, ast.UnaryOp) else 1
                power = power.operand if isinstance(power, ast.UnaryOp) else power
                number = power.value if isinstance(power, ast.Constant) else None
                if isinstance(number, int | float) and abs(number) <= LARGEST_POWER:
                    found.add(sign * number)
    return found


class _Loader(SourceFileLoader):
    """Loads the module with the class from its code with the class replaced."""

    def __init__(self, name: str, path: str, code: CodeType) -> None:
        super().__init__(name, path)
        self.code = code

    def get_code(self, fullname: str) -> CodeType:
        return self.code


class _Finder(MetaPathFinder):
    """Finds that one module."""

    def __init__(self, loader: _Loader) -> None:
        self.loader = loader

    def find_spec(self, fullname: str, path: object, target: object = None) -> ModuleSpec | None:
        if fullname != self.loader.name:
            return None
        return importlib.util.spec_from_file_location(
            fullname, self.loader.path, loader=self.loader
        )


def adopt(*names: str) -> Callable[[type], type[Value]]:
    """A class decorator: put these members of the class on Value, and be Value instead."""

    def put(cls: type) -> type[Value]:
        for name in names:
            name = _mangled(cls.__name__, name)
            setattr(Value, name, vars(cls)[name])
        return Value

    return put


def _mangled(cls: str, name: str) -> str:
    """A private name as it stands in a class."""
    private = name.startswith("__") and not name.endswith("__")
    return f"_{cls.lstrip('_')}{name}" if private else name


def _stand_in(own: OwnClass) -> ast.ClassDef:
    """The class statement with what stays, decorated by `adopt`."""
    members = [_of_ours(own, member) for member in own.staying()]
    names = sorted({*own.kept, *(n for n in own.constants if n in own.mentions)})
    decorator = ast.parse(
        f"__import__('micrograd_fast.swap_value.replace', fromlist=['adopt']).adopt(*{names!r})",
        mode="eval",
    ).body
    node = ast.ClassDef(own.name, [], [], members or [ast.Pass()], [decorator])
    vars(node).setdefault("type_params", [])  # since 3.12
    for inner in (node, *ast.walk(decorator)):
        ast.copy_location(inner, own.node)
    return ast.fix_missing_locations(node)


def _of_ours(own: OwnClass, member: ast.stmt) -> ast.stmt:
    """`ReLU = relu` in the class, where relu is replaced: our relu."""
    if isinstance(member, ast.Assign) and isinstance(member.value, ast.Name):
        name = member.value.id
        if name in own.methods and name not in own.kept:
            ours = f"__import__('micrograd_fast.engine', fromlist=['Value']).Value.{name}"
            value = ast.parse(ours, mode="eval").body
            for node in ast.walk(value):
                ast.copy_location(node, member)
            return ast.copy_location(ast.Assign(member.targets, value), member)
    return member


def _compare(
    own: OwnClass,
    original: CodeType,
    replaced: CodeType,
    callable_: set[str],
    exponents: set[float],
) -> Report:
    package = own.file.name.rpartition(".")[0]
    theirs: dict[str, Any] = {"__name__": own.file.name or "__main__", "__package__": package}
    ours = dict(theirs)
    try:
        exec(original, theirs)
    except (Exception, SystemExit) as error:
        text = f"alone, it raises {type(error).__name__}: {error}"
        raise Refused(text, own.node.lineno) from None
    names = {_mangled(own.name, name) for name in (*own.kept, *own.constants)}
    before = {name: vars(Value).get(name, _ABSENT) for name in names}
    try:
        try:
            exec(replaced, ours)
        except (Exception, SystemExit) as error:
            text = f"what stays of it raises {type(error).__name__} alone: {error}"
            raise Refused(text, own.node.lineno) from None
        return agreement.check(own, theirs[own.name], ours[own.name], callable_, exponents)
    finally:
        # The program puts them there when it comes to its class statement.
        for name, member in before.items():
            if member is not _ABSENT:
                setattr(Value, name, member)
            elif name in vars(Value):
                delattr(Value, name)
