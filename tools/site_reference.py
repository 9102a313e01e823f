"""The reference of a module as Markdown, from its docstrings.

The signatures of Value come from the stub.
"""

import ast
import importlib
import inspect
import re
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
MADE_BY_OTHERS = ("Batch", "CompiledFunction")  # no user calls these constructors


def reference(name, shown):
    """A module: its text, then each of its public names; `shown` has those that came before."""
    module = importlib.import_module(name)
    parts = [inspect.getdoc(module) or ""]
    for public in dir(module) if "__dir__" in vars(module) else module.__all__:
        item = getattr(module, public)
        if not callable(item):
            continue
        parts.append(f"### {name}.{public}")
        if id(item) in shown:
            parts.append(f"The same as {shown[id(item)]}.")
            continue
        shown[id(item)] = f"{name}.{public}"
        if inspect.isclass(item):
            parts += class_reference(public, item)
        else:
            parts += [signature(public, item), inspect.getdoc(item) or ""]
    return "\n\n".join(escaped(part) for part in parts)


def class_reference(name, item):
    stub = stub_of(name)
    if name not in MADE_BY_OTHERS and "__init__" in vars(item):
        yield signature(name, item)
    yield inspect.getdoc(item) or ""
    for member, value in vars(item).items():
        if member.startswith("_") and member not in ("_prev", "_op", "_backward"):
            continue
        if inspect.isclass(value) or isinstance(value, (str, int, float, tuple)):
            continue
        text = inspect.getdoc(value)
        if text:
            shown = f"`{member}`" if not callable(value) else signature(member, value)
            yield f"{stub.get(member, shown)}\n:   " + text.replace("\n", "\n    ")


def signature(name, item):
    try:
        text = str(inspect.signature(item))
    except (TypeError, ValueError):
        return f"`{name}(...)`"
    # Annotations are texts: without their quotes.
    text = re.sub(r"(: |-> )'([^']*)'", r"\1\2", text)
    text = re.sub(r"\bt\.(?=[A-Z])", "", text)  # names of _types.py
    text = re.sub(r"\(self(, /)?(, )?", "(", text)
    return f"`{name}{text}`"


def stub_of(name):
    """Signatures of a compiled class's methods, from the stub; empty for a class in Python."""
    stubs = sorted((ROOT / "micrograd_fast").glob("_core*.pyi"))
    for node in [node for path in stubs for node in ast.parse(path.read_text("utf-8")).body]:
        if isinstance(node, ast.ClassDef) and node.name == name:
            return {
                f.name: f"`{f.name}({stub_arguments(f)}) -> {ast.unparse(f.returns)}`"
                for f in node.body
                if isinstance(f, ast.FunctionDef) and not f.decorator_list
            }
    return {}


def stub_arguments(function):
    texts = ast.unparse(function.args).removeprefix("self").removeprefix(", ")
    return texts.replace("_Operand", "Value | float")


def escaped(text):
    """Docstrings are plain text: what Markdown would take for emphasis stays as it is."""
    return re.sub(r"(?<!`)(\*\*?)(?=\w)", r"\\\1", text) if "`" not in text else text
