"""src/ has floors: a folder uses those below it, and every header stands on its own."""

import shutil
import subprocess
import sys
import sysconfig
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SRC = ROOT / "src"
MULTIPLE = {"ops.h", "run/no_isa.h"}  # included for what they expand to, or undo

ONWARDS = {
    # A class has one body: what Value's methods do stands in several files.
    ("engine/constructed.pxi", "engine/operators.pxi"),
    ("engine/copies.pxi", "engine/operators.pxi"),
    ("engine/custom.pxi", "engine/operators.pxi"),
    ("engine/cycles.pxi", "engine/value.pxi"),
    ("engine/order.pxi", "engine/value.pxi"),
    ("engine/state.pxi", "engine/value.pxi"),
    ("engine/value.pxi", "engine/constructed.pxi"),
    ("engine/value.pxi", "engine/conditions.pxi"),
    ("engine/value.pxi", "engine/copies.pxi"),
    ("engine/value.pxi", "engine/custom.pxi"),
    ("engine/value.pxi", "engine/operators.pxi"),
    ("engine/value.pxi", "engine/views.pxi"),
}


@pytest.fixture(scope="module")
def layers():
    pytest.importorskip("Cython")
    sys.path.insert(0, str(ROOT / "tools"))
    try:
        import layers
    finally:
        sys.path.pop(0)
    return layers


@pytest.fixture(scope="module")
def uses(layers):
    return layers.cython_uses() | layers.c_uses()


def test_no_folder_uses_one_above_it(layers, uses):
    assert {layers.folder(user) for user, _, _ in uses} > {"base", "engine", "plan", "run", "call"}
    assert layers.upward(uses) == []


def test_an_arrow_that_runs_upwards_is_seen(layers, uses):
    """Among them one of each kind that there is: an include, a name, an attribute."""
    wrong = {
        ("base/eval.h", "engine/node.h", "engine/node.h"),
        ("engine/order.pxi", "call/call.pxi", "n"),
    }
    assert len(layers.upward(uses | wrong)) == 2
    turned = {(owner, user, name) for user, owner, name in uses if user != "_core.pyx"}
    assert len(layers.upward(turned)) > 100


def test_every_file_is_in_a_folder_of_the_design(layers):
    files = {
        p.relative_to(SRC) for p in SRC.rglob("*") if p.suffix in {".h", ".pxd", ".pxi", ".pyx"}
    }
    assert {layers.folder(p.as_posix()) for p in files} == {*layers.FOLDERS, "_core.pyx"}


def test_files_use_what_is_included_before_them(layers, uses):
    """Among Cython's files. Arrows that run on are listed: a new one is a knot in the making."""
    order = layers.INCLUDED.findall((SRC / "_core.pyx").read_text())
    place = {file: k for k, file in enumerate(order)}
    assert {p.relative_to(SRC).as_posix() for p in SRC.rglob("*.pxi")} == set(order)
    onwards = {
        (user, owner)
        for user, owner, _ in uses
        if user in place and owner in place and place[user] < place[owner]
    }
    assert onwards == ONWARDS


@pytest.mark.parametrize("room", ["base", "program", "plan", "run"])
def test_the_compiler_and_the_executor_know_no_python_and_no_node(layers, uses, room):
    files = [p for p in (SRC / room).rglob("*") if p.is_file()]
    assert {p.suffix for p in files} == {".h", ".pxd"}
    for path in files:
        assert "Python.h" not in path.read_text(), path
    used = {layers.folder(owner) for user, owner, _ in uses if layers.folder(user) == room}
    assert used <= {"ops.h", "base", "program", "plan", "run"}


@pytest.mark.parametrize("header", sorted(p.relative_to(SRC).as_posix() for p in SRC.rglob("*.h")))
def test_each_header_compiles_alone(header):
    if header in MULTIPLE:
        pytest.skip("a list that others expand")
    compiler = shutil.which("gcc")
    if compiler is None:
        pytest.skip("no gcc")
    flags = ["-std=c11", "-Wall", "-Wextra", "-Werror", "-fopenmp-simd", "-fsyntax-only", "-xc"]
    flags += ["-Wno-unused-function", "-Wno-unused-variable", "-Wno-unused-const-variable"]
    if "avx" in header:
        flags += ["-mavx2", "-mfma", "-mavx512f"]
    include = [f"-I{SRC}", f"-I{sysconfig.get_path('include')}"]
    source = f'#include "{header}"\n'
    subprocess.run([compiler, *flags, *include, "-"], input=source, text=True, check=True)
