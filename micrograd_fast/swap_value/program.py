"""The files of a program: the script, and those modules beside it that it imports, in any depth.

They are found by the text of the import statements; nothing is imported. Only what stands below the
program's folder belongs to it.
"""

from __future__ import annotations

import ast
import importlib.util
import os
from collections.abc import Iterator
from dataclasses import dataclass


@dataclass
class File:
    """One of them. `name` is what it is imported by, "" for the script itself."""

    name: str
    path: str
    source: str
    tree: ast.Module

    def place(self, line: int) -> str:
        """How a message names a line."""
        return f"line {line} of {os.path.basename(self.path)}"


def files_of(source: str, path: str, folder: str, package: str | None) -> list[File]:
    """The script first. folder: sys.path[0]; package: that of the script, run by -m.

    Raises SyntaxError for the script; a module that does not parse is left to its import.
    """
    files = [File("", path, source, ast.parse(source, path))]
    seen = {os.path.realpath(path)}
    for file in files:  # it grows
        parent = package if not file.name else file.name
        if file.name and os.path.basename(file.path) != "__init__.py":
            parent = file.name.rpartition(".")[0]
        for name in sorted(_imported(file.tree, parent or "")):
            found = _find(name, folder)
            if found is None or os.path.realpath(found) in seen:
                continue
            seen.add(os.path.realpath(found))
            try:
                with open(found, "rb") as module:
                    text = importlib.util.decode_source(module.read())
                files.append(File(name, found, text, ast.parse(text, found)))
            except (OSError, SyntaxError, ValueError):
                continue
    return files


def _imported(tree: ast.Module, package: str) -> Iterator[str]:
    """The modules, and the packages around them, that import statements anywhere may mean."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            for alias in node.names:
                yield from _with_parents(alias.name)
        elif isinstance(node, ast.ImportFrom):
            parts = package.split(".") if node.level else []
            base = parts[: len(parts) - (node.level - 1)] if node.level else []
            name = ".".join([*base, *([node.module] if node.module else [])])
            yield from _with_parents(name)
            yield from (f"{name}.{alias.name}" if name else alias.name for alias in node.names)


def _with_parents(name: str) -> Iterator[str]:
    parts = [part for part in name.split(".") if part]
    yield from (".".join(parts[:k]) for k in range(1, len(parts) + 1))


def _find(name: str, folder: str) -> str | None:
    stem = os.path.join(folder, *name.split("."))
    for path in (os.path.join(stem, "__init__.py"), stem + ".py"):
        if os.path.isfile(path):
            return path
    return None
