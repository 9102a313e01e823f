"""Which file of src/ uses which: C by its includes, Cython by names, which its own compiler finds.

    python tools/layers.py             the arrows between folders, with how many names make each
    python tools/layers.py engine/order.pxi     what a file uses, and who uses it

tests/package/test_layers.py holds src/ to the order of FOLDERS.
"""

import argparse
import re
from collections import defaultdict
from pathlib import Path

from Cython.Compiler import Main, Pipeline
from Cython.Compiler.ParseTreeTransforms import AnalyseExpressionsTransform
from Cython.Compiler.Scanning import FileSourceDescriptor
from Cython.Compiler.Visitor import TreeVisitor

SRC = Path(__file__).resolve().parent.parent / "src"
# From the ground up: a folder uses those before it.
FOLDERS = ("ops.h", "base", "engine", "program", "plan", "run", "call", "train")
INCLUDED = re.compile(r'^include "([^"]+)"', re.MULTILINE)
INCLUDE = re.compile(r'^\s*#\s*include\s+"([^"]+)"', re.MULTILINE)


class Types(TreeVisitor):
    """Names of types as they are written: the compiler's analysis takes declarations out."""

    def __init__(self):
        super().__init__()
        self.found = set()

    def visit_Node(self, node):
        if type(node).__name__ == "CSimpleBaseTypeNode" and node.name:
            self.found.add((node.pos, node.name))
        self.visitchildren(node)


class Uses(TreeVisitor):
    """(user, owner, name) for all that is declared in another file than where it is used."""

    def __init__(self, scope, src):
        super().__init__()
        self.scope, self.src, self.found = scope, src, set()

    def note(self, pos, entry, name):
        if entry is None or entry.pos is None or entry.scope.is_builtin_scope or entry.is_builtin:
            return
        user, owner = (Path(p[0].filename).resolve() for p in (pos, entry.pos))
        if user != owner and owner.is_relative_to(self.src):
            user, owner = (p.relative_to(self.src).as_posix() for p in (user, owner))
            self.found.add((user, owner, name))

    def visit_Node(self, node):
        kind, entry = type(node).__name__, getattr(node, "entry", None)
        if kind == "NameNode":
            if entry is None or getattr(entry.scope, "is_module_scope", False) or entry.is_type:
                self.note(node.pos, entry or self.scope.lookup(node.name), node.name)
        elif kind == "AttributeNode":
            self.note(node.pos, entry, node.attribute)
        self.visitchildren(node)


def cython_uses(src: Path = SRC) -> set[tuple[str, str, str]]:
    """What the files of _core.pyx use of one another and of the .pxd beside C headers."""
    src = src.resolve()
    options = Main.CompilationOptions(
        Main.default_options, include_path=[str(src)], language_level=3
    )
    source = Main.CompilationSource(
        FileSourceDescriptor(str(src / "_core.pyx"), "_core.pyx"), "micrograd_fast._core", str(src)
    )
    tree, types = source, None
    for phase in Pipeline.create_pyx_pipeline(Main.Context.from_options(options), options, None):
        if phase is not None:
            tree = phase(tree)
        if types is None:
            types = Types()
            types.visit(tree)
        if isinstance(phase, AnalyseExpressionsTransform):
            break
    uses = Uses(tree.scope, src)
    uses.visit(tree)
    for pos, name in types.found:
        uses.note(pos, tree.scope.lookup(name), name)
    return uses.found


def c_uses(src: Path = SRC) -> set[tuple[str, str, str]]:
    """The includes of C headers, and of the .pxd that declare what is in them."""
    found = set()
    for path in src.rglob("*.h"):
        user = path.relative_to(src).as_posix()
        found |= {(user, owner, owner) for owner in INCLUDE.findall(path.read_text())}
    for path in src.rglob("*.pxd"):
        user = path.relative_to(src).as_posix()
        headers = re.findall(r'^cdef extern from "(\w+/[^"]+)"', path.read_text(), re.MULTILINE)
        found |= {(user, header, header) for header in headers}
    return found


def folder(file: str) -> str:
    """Which of FOLDERS a file is in; _core.pyx, which is in none, is above all."""
    return file.partition("/")[0]


def upward(uses) -> list[str]:
    """Arrows from a folder to one that stands after it in FOLDERS."""
    order = {name: k for k, name in enumerate(FOLDERS)}
    return sorted(
        f"{user} uses {name} of {owner}"
        for user, owner, name in uses
        if user != "_core.pyx" and order[folder(user)] < order[folder(owner)]
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("file", nargs="?", help="a file below src/")
    file = parser.parse_args().file
    arrows = defaultdict(set)
    for user, owner, name in cython_uses() | c_uses():
        if file is None and folder(user) != folder(owner):
            arrows[folder(user), folder(owner)].add((owner, name))
        elif file in (user, owner):
            arrows[user, owner].add(name)
    for (user, owner), names in sorted(arrows.items()):
        shown = len(names) if file is None else " ".join(sorted(names))
        print(f"{user} -> {owner}: {shown}")


if __name__ == "__main__":
    main()
