"""A program's own Value replaced by micrograd_fast's: what `micrograd-fast run --swap-value` does.

`code_of` reads the program (`own_class`), runs its class statement alone with what that needs
(`surroundings`), compares it with ours (`agreement`), and gives the program's code with another
class statement in its place: one whose methods, those that stay, are put on our class. Nothing else
of the program runs for it. File name and line numbers are the program's.
"""

from __future__ import annotations

import ast
import importlib.util
from collections.abc import Callable
from types import CodeType
from typing import Any

from micrograd_fast.engine import Value
from micrograd_fast.swap_value import agreement
from micrograd_fast.swap_value.own_calls import fit_calls
from micrograd_fast.swap_value.own_class import OwnClass, Refused, read
from micrograd_fast.swap_value.surroundings import alone

_ABSENT = object()


def code_of(source: bytes, path: str, tell: Callable[[str], None]) -> CodeType:
    """The code of the program with its class replaced; `tell` gets a line for what was done.

    Raises Refused where the program would notice, before anything of it ran.
    """
    tree = ast.parse(source, path)
    own = read(tree)
    small, callable_ = alone(own, tree, importlib.util.decode_source(source), path)
    original = compile(small, path, "exec", dont_inherit=True)
    fit_calls(own, tree)
    stand_in = _stand_in(own)
    _replace(small, own.node, stand_in)
    _replace(tree, own.node, stand_in)
    report = _compare(own, original, compile(small, path, "exec", dont_inherit=True), callable_)
    stays = ", ".join(sorted(own.kept))
    tell(
        f"class {own.name}, line {own.node.lineno} of {path}, is replaced by micrograd_fast's: "
        f"{report.count} expressions agree, the largest difference is {report.largest:.1e}"
        + (f"; {stays} stay" if stays else "")
    )
    for note in report.notes:
        tell(note)
    return compile(tree, path, "exec", dont_inherit=True)


def adopt(*names: str) -> Callable[[type], type[Value]]:
    """A class decorator: put these members of the class on Value, and be Value instead."""

    def put(cls: type) -> type[Value]:
        for name in names:
            setattr(Value, name, vars(cls)[name])
        return Value

    return put


def _stand_in(own: OwnClass) -> ast.ClassDef:
    """The class statement with what stays, decorated by `adopt`."""
    members = own.staying()
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


def _replace(tree: ast.Module, old: ast.stmt, new: ast.stmt) -> None:
    tree.body[tree.body.index(old)] = new


def _compare(
    own: OwnClass, original: CodeType, replaced: CodeType, callable_: set[str]
) -> agreement.Report:
    theirs: dict[str, Any] = {"__name__": "__main__"}
    try:
        exec(original, theirs)
    except Exception as error:
        text = f"alone, it raises {type(error).__name__}: {error}"
        raise Refused(text, own.node.lineno) from None
    names = {*own.kept, *own.constants}
    before = {name: vars(Value).get(name, _ABSENT) for name in names}
    ours: dict[str, Any] = {"__name__": "__main__"}
    try:
        exec(replaced, ours)
        return agreement.check(own, theirs[own.name], ours[own.name], callable_)
    finally:
        # The program puts them there when it comes to its class statement.
        for name, member in before.items():
            if member is not _ABSENT:
                setattr(Value, name, member)
            elif name in vars(Value):
                delattr(Value, name)
