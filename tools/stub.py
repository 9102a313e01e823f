"""Writes into the stubs what the compiled module says: `python tools/stub.py`, after a build.

The methods of the op table stand between two comments in micrograd_fast/_core.pyi; the docstrings
are those of PUBLIC, which editors show. All else is written by hand. tests/engine/test_table.py and
tests/package/test_typing.py compare the stubs with the module.
"""

import ast
import inspect
from pathlib import Path
from textwrap import indent

from micrograd_fast import _core
from micrograd_fast._core import OPS, Value

PACKAGE = Path(__file__).resolve().parent.parent / "micrograd_fast"
STUBS = (PACKAGE / "_core.pyi", PACKAGE / "_core_calls.pyi")
BEGIN = "    # ---- from src/ops.h, by tools/stub.py ----\n"
END = "    # ---- until here ----\n"
# What users meet of the module: CompiledFunction is a Dispatcher.
PUBLIC = ("Value", "Batch", "Dispatcher", "TraceError", "TraceWarning")
PUBLIC += ("get_num_threads", "set_num_threads")


def methods() -> str:
    """The stub's text for the ops that are methods, in the table's order, then NumPy's names."""
    names = {op.name for op in OPS if op.doc}
    again = {
        name: method.__name__
        for name, method in vars(Value).items()
        if getattr(method, "__name__", name) in names - {name}
    }
    return "".join(
        f"    def {op.name}(self{', other: _Operand' if op.arity == 2 else ''}) -> Value:\n"
        f'        """{op.doc}"""\n'
        for op in OPS
        if op.doc
    ) + "".join(f"    {name} = {of}\n" for name, of in again.items())


def with_ops(text: str) -> str:
    """A stub's text with the table's methods between the comments, where it has these."""
    before, begin, rest = text.partition(BEGIN)
    _, end, after = rest.partition(END)
    return f"{before}{begin}{methods()}{end}{after}" if begin else text


def documented(text: str) -> list[tuple[ast.AST, str]]:
    """The definitions in a stub that get a docstring, and which."""
    found, seen = [], set()

    def look(node: ast.AST, owner: object, path: str) -> None:
        thing = vars(owner).get(node.name)
        doc = inspect.getdoc(thing) if not node.name.startswith("__") else None
        if doc and path not in seen:  # of overloads, and of a getter and a setter, the first
            found.append((node, doc))
        seen.add(path)
        for inner in node.body if isinstance(node, ast.ClassDef) else ():
            if isinstance(inner, ast.FunctionDef):
                look(inner, thing, f"{path}.{inner.name}")

    for node in ast.parse(text).body:
        if getattr(node, "name", None) in PUBLIC:
            look(node, _core, node.name)
    return found


def with_docstrings(text: str) -> str:
    """A stub's text with the docstrings of what is public."""
    lines = text.splitlines()
    for node, doc in reversed(documented(text)):
        first = node.body[0]
        space = " " * (node.col_offset + 4)
        block = indent(f'"""{doc}"""' if "\n" not in doc else f'"""{doc}\n"""', space).rstrip(" ")
        has_one = ast.get_docstring(node) is not None
        if first.lineno == first.end_lineno and isinstance(first, ast.Expr) and not has_one:
            before = lines[first.lineno - 1][: first.col_offset].rstrip()
            if isinstance(node, ast.ClassDef) and not before.endswith(":"):
                lines.insert(first.lineno - 1, block)
            else:
                lines[first.lineno - 1 : first.lineno] = [before, block]
        elif has_one:
            lines[first.lineno - 1 : first.end_lineno] = [block]
        else:
            lines.insert(min([first.lineno, *decorators(first)]) - 1, block)
    return "\n".join(line for line in lines if line.strip() or line == "") + "\n"


def decorators(node: ast.AST) -> list[int]:
    return [d.lineno for d in getattr(node, "decorator_list", [])]


def rewritten(text: str) -> str:
    return with_docstrings(with_ops(text))


if __name__ == "__main__":
    for stub in STUBS:
        stub.write_text(rewritten(stub.read_text("utf-8")), "utf-8")
