"""The recipe for a new op, docs/add-an-op.md, followed in a copy of the tree.

Each step of the page says where a text goes, or which command to run; nothing else is done here.
The tests of the new op pass then, and one fails where a step was left out.
"""

import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

import pytest

from micrograd_fast import _core

ROOT = Path(__file__).resolve().parents[2]
PAGE = ROOT / "docs" / "add-an-op.md"
TREE = ["src", "micrograd_fast", "tests", "tools", "docs", "CHANGELOG.md", "setup.py"]
TREE += ["pyproject.toml", "README.md", "LICENSE"]
BUILD = "setup.py -q build_ext --inplace"
QUICK = {"MF_CFLAGS": "-O0 -w -DMF_PORTABLE_ALONE"}

pytestmark = pytest.mark.slow


class Step(NamedTuple):
    """A text that goes into a file above or below the line with an anchor; or a command."""

    text: str
    file: str = ""
    side: str = ""
    anchor: str = ""

    def apply(self, tree, check=True):
        if not self.file:
            run(tree, self.text, check)
            return
        path = tree / self.file
        lines = path.read_text("utf-8").splitlines(keepends=True)
        [at] = [k for k, line in enumerate(lines) if self.anchor in line]
        lines.insert(at + (self.side == "below"), self.text)
        path.write_text("".join(lines), "utf-8")


def steps():
    """Those of the page, in order. Installing is not among them: the copy is built."""
    page = PAGE.read_text("utf-8")
    place = r"In `(\S+)`, (above|below) (`+)(.+?)\3:\n\n   ```text\n(.*?)^   ```"
    found = [
        Step(re.sub(r"^   ", "", text, flags=re.M), file, side, anchor)
        for file, side, _, anchor, text in re.findall(place, page, re.M | re.S)
    ]
    [commands] = re.findall(r"^   ```sh\n(.*?)^   ```", page, re.M | re.S)
    assert "pip install -e" in commands
    commands = re.findall(r"^   \.venv/bin/python (.+)$", commands, re.M)
    assert len(found) == 4 and len(commands) == 2
    return found + [Step(text) for text in commands]


def run(tree, command, check=True):
    """A command of Python's in the tree; the package is the tree's."""
    env = {**os.environ, **QUICK, "PYTHONPATH": str(tree), "PYTHONDONTWRITEBYTECODE": "1"}
    command = [sys.executable, *shlex.split(command)]
    done = subprocess.run(command, cwd=tree, env=env, capture_output=True, text=True)
    assert done.returncode == 0 or not check, f"{command}\n{done.stdout}{done.stderr}"
    return done


def copied(to, extension):
    ignored = shutil.ignore_patterns("*.so", "*.pyd", "__pycache__", "stranger", "images")
    for name in TREE:
        copy = shutil.copytree if (ROOT / name).is_dir() else shutil.copy
        copy(ROOT / name, to / name, **({"ignore": ignored} if (ROOT / name).is_dir() else {}))
    if extension is not None:
        shutil.copy(extension, to / "micrograd_fast")
    return to


@pytest.fixture(scope="module")
def with_the_row(tmp_path_factory):
    """The extension with the row of the page."""
    pytest.importorskip("Cython")
    if not (ROOT / "src").is_dir() or shutil.which("gcc") is None:
        pytest.skip("no sources, or no gcc")
    tree = copied(tmp_path_factory.mktemp("built"), None)
    steps()[0].apply(tree)
    run(tree, BUILD)
    [extension] = (tree / "micrograd_fast").glob("_core.*.so")
    return extension


def run_tests(tree, words):
    return run(tree, f"-m pytest -n0 -x -p no:cacheprovider {words}", check=False)


def test_the_page_adds_an_op(tmp_path, with_the_row):
    tree = copied(tmp_path, with_the_row)
    for step in steps():
        step.apply(tree)
    done = run_tests(
        tree, "tests/engine tests/compiler/test_vecmath.py -k 'test_table or softplus'"
    )
    assert done.returncode == 0, done.stdout
    assert int(re.search(r"(\d+) passed", done.stdout)[1]) > 40


@pytest.mark.parametrize("left_out", range(6))
def test_a_step_left_out_is_noticed(left_out, tmp_path, with_the_row):
    tree = copied(tmp_path, with_the_row if left_out else _core.__file__)
    for k, step in enumerate(steps()):
        if k != left_out:
            step.apply(tree, check=False)  # a tool may fail for want of another step
    done = run_tests(tree, "tests/engine/test_table.py")
    assert done.returncode == 1, done.stdout
