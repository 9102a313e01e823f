"""The types that users see: two checkers over typing_examples.py, the stubs against the module."""

import ast
import json
import subprocess
import sys
from pathlib import Path

import pytest

from micrograd_fast import _core, engine

ROOT = Path(__file__).resolve().parents[2]


EXAMPLES = "typing_examples.py"
WRONG = """\
# pyright: standard, reportUnnecessaryTypeIgnoreComment=true, reportUnusedExpression=false
from typing_extensions import assert_type
from micrograd_fast import Value
assert_type(Value(1) + 1, float)
Value(1) + 1  # type: ignore[operator]
"""


def test_typical_code_has_the_types_and_the_type_errors_that_the_examples_state(tmp_path):
    pytest.importorskip("mypy")
    wrong = tmp_path / "wrong_examples.py"
    wrong.write_text(WRONG)
    # In the checkout: mypy does not follow the import hook of an editable install.
    command = [sys.executable, "-m", "mypy", "--strict", f"tests/package/{EXAMPLES}", str(wrong)]
    run = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    assert run.stderr == ""
    assert [line for line in run.stdout.splitlines() if EXAMPLES in line] == []
    errors = [line for line in run.stdout.splitlines() if wrong.name in line]
    assert [line.rpartition(" ")[2] for line in errors] == ["[assert-type]", "[unused-ignore]"]


def test_pyright_says_the_same(tmp_path):
    pytest.importorskip("pyright", reason="pyright is in micrograd-fast[dev]")
    wrong = tmp_path / "wrong_examples.py"
    wrong.write_text(WRONG)
    config = tmp_path / "pyrightconfig.json"
    files = [str(ROOT / "tests" / "package" / EXAMPLES), str(wrong)]
    config.write_text(json.dumps({"include": files, "extraPaths": [str(ROOT)]}))
    command = [sys.executable, "-m", "pyright", "--outputjson", "-p", str(config)]
    command += ["--pythonpath", sys.executable]
    found = json.loads(subprocess.run(command, capture_output=True, text=True).stdout)
    errors = [(Path(d["file"]).name, d.get("rule")) for d in found["generalDiagnostics"]]
    assert sorted(errors) == [
        (wrong.name, "reportAssertTypeFailure"),
        (wrong.name, "reportUnnecessaryTypeIgnoreComment"),
    ], found["generalDiagnostics"]


def stub_names(body):
    """The names that a module's or a class's stub declares."""
    for node in body:
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)):
            yield node.name
        elif isinstance(node, ast.AnnAssign):
            yield node.target.id
        elif isinstance(node, ast.Assign):
            yield node.targets[0].id


@pytest.fixture(scope="module")
def stub():
    """All three, as one."""
    folder = Path(_core.__file__).parent
    return ast.parse("\n".join(path.read_text() for path in sorted(folder.glob("_core*.pyi"))))


def public(names):
    return {name for name in names if not name.startswith("_")}


def test_the_stub_declares_what_the_classes_have(stub):
    classes = {node.name: node for node in stub.body if isinstance(node, ast.ClassDef)}
    for name in ("Value", "Op", "Parameters"):
        declared = set(stub_names(classes[name].body))
        assert public(declared) == public(vars(getattr(_core, name)))
        has = {attribute for attribute in declared if hasattr(getattr(_core, name), attribute)}
        # __getattr__ stands for what programs hang on a Value; __index__ says what to write.
        absent = {*said_to_be_absent(classes[name]), "__getattr__"} - {"__index__"}
        assert declared - has == (absent if name == "Value" else set())


def said_to_be_absent(node):
    """What a class's stub declares as ClassVar[None]."""
    for item in node.body:
        if isinstance(item, ast.AnnAssign) and ast.unparse(item.annotation) == "ClassVar[None]":
            yield item.target.id


def test_the_stub_declares_what_the_package_takes_from_the_module(stub):
    declared = set(stub_names(stub.body))
    aliases = {"_Number", "_Operand", "_Pass", "_Type", "_Open", "_One", "_BatchOperand"}
    aliases |= {"_P", "_Q", "_R", "_S"}
    assert all(hasattr(_core, name) for name in declared - aliases)
    for path in Path(engine.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            if isinstance(node, ast.ImportFrom) and node.module == "micrograd_fast._core":
                assert {alias.name for alias in node.names} <= declared
            if isinstance(node, ast.Attribute) and ast.unparse(node.value) == "_core":
                assert node.attr in declared
