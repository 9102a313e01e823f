"""The package as a newcomer meets it: its names, its messages, `micrograd-fast info`."""

import importlib
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import micrograd_fast as mg
from micrograd_fast import Value, functional, nn, optim
from micrograd_fast.__main__ import main


def test_dir_of_the_package_shows_what_is_public():
    assert set(dir(mg)) == {*mg.__all__, "engine", "viz"}
    assert set(dir(importlib.import_module("micrograd_fast.viz"))) >= set(mg.viz.__all__)
    for module in (functional, optim):
        assert set(dir(module)) == set(module.__all__)
    assert set(dir(mg.engine)) == {"Value", "no_grad"}


def test_star_imports_give_what_micrograd_s_give(tmp_path):
    """And nothing more: a program's own load, save or utils stays."""
    for module in ("nn", "engine"):
        ours, theirs = {}, {}
        exec(f"from micrograd_fast.{module} import *", ours)
        exec(f"from micrograd.{module} import *", theirs)
        assert set(ours) == set(theirs)
    assert {"load", "save", "utils", "ACTIVATIONS"} <= set(dir(nn))


def test_viz_is_imported_when_it_is_used_first():
    text = (
        "import sys, micrograd_fast as mg\n"
        "assert 'micrograd_fast.viz' not in sys.modules\n"
        "assert mg.viz.to_dot(mg.Value(1)) and mg.viz is sys.modules['micrograd_fast.viz']"
    )
    done = subprocess.run([sys.executable, "-c", text], capture_output=True, text=True)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("exp", ": it is a method, Value.exp"),
        ("MLP", ": it is in micrograd_fast.nn"),
        ("Adam", ": it is in micrograd_fast.optim"),
        ("cross_entropy", ": it is in micrograd_fast.functional"),
        ("nope", ""),
        ("_backward", ""),
    ],
)
def test_a_name_that_is_elsewhere_is_said_where(name, hint):
    with pytest.raises(AttributeError) as e:
        getattr(mg, name)
    assert str(e.value) == f"module 'micrograd_fast' has no attribute {name!r}{hint}"


@pytest.mark.parametrize(
    ("mistake", "message"),
    [
        (lambda: nn.MLP(2, 3), "nouts must be a list of sizes, such as [16, 1], not 'int'"),
        (
            lambda: optim.SGD(nn.MLP(2, [1])),
            "params must be a list of Values, not 'MLP': give its parameters()",
        ),
        (lambda: optim.SGD([Value(1)], lr="high"), "lr must be a number, not 'str'"),
        (
            lambda: functional.cross_entropy([Value(1), Value(2)], 0.5),
            "the index must be a whole number, not 'float'",
        ),
    ],
)
def test_a_newcomers_mistake_is_named(mistake, message):
    with pytest.raises(TypeError) as e:
        mistake()
    assert str(e.value) == message


def test_info_shows_build_kernels_and_versions(capsys):
    assert main(["info"]) == 0
    found = dict(re.split("  +", line, maxsplit=1) for line in capsys.readouterr().out.splitlines())
    assert found["micrograd-fast"].startswith(f"{mg.__version__}, in ")
    assert "_core." in found["compiled module"]
    assert "chosen for this processor" in found["kernels"]
    assert f" {sys.version.split()[0]}, {sys.executable}" in found["python"]
    import numpy

    assert (
        next(text for name, text in found.items() if name == "numpy").strip() == numpy.__version__
    )


def test_info_says_what_is_not_installed(monkeypatch, tmp_path):
    from micrograd_fast import info

    monkeypatch.setenv("PATH", str(tmp_path))
    assert dict(info.lines())["dot"] == "not installed"
    assert info.version("no-such-package-anywhere") == "not installed"


def test_info_says_which_extras_lack_what(monkeypatch):
    from email.message import Message

    from micrograd_fast import info

    told = Message()
    for name in ("demo", "examples", "viz", "other"):
        told["Provides-Extra"] = name
    for text in (
        "numpy>=1.23",
        "numpy>=1.23; extra == 'demo'",
        'no-such.one[x]>=2; extra == "viz"',
    ):
        told["Requires-Dist"] = text
    told["Requires-Dist"] = 'micrograd-fast[demo,viz]; extra == "examples"'
    told["Requires-Dist"] = 'no-such; python_version < "3" and extra == "other"'
    monkeypatch.setattr(info.metadata, "metadata", lambda name: told)
    assert dict(info.extras()) == {
        "demo": [],
        "examples": ["no-such.one"],
        "viz": ["no-such.one"],
        "other": [],
    }
    lines = dict(info.lines())
    assert lines["extra demo"] == "installed"
    assert lines["extra viz"] == "lacks no-such.one: pip install 'micrograd-fast[viz]'"


def test_info_without_the_package_s_metadata_has_no_extras(monkeypatch):
    from micrograd_fast import info

    def missing(name):
        raise info.metadata.PackageNotFoundError(name)

    monkeypatch.setattr(info.metadata, "metadata", missing)
    assert info.extras() == []


def test_info_says_what_does_not_run(monkeypatch, tmp_path):
    from micrograd_fast import info

    def refuse(*_, **__):
        raise PermissionError("not for you")

    monkeypatch.setattr(info.shutil, "which", lambda name: f"/somewhere/{name}")
    monkeypatch.setattr(info.subprocess, "run", refuse)
    assert info.graphviz_version() == "/somewhere/dot does not run: not for you"


def test_without_dask_the_cure_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "distributed", None)
    monkeypatch.setitem(sys.modules, "cloudpickle", None)
    monkeypatch.delitem(sys.modules, "micrograd_fast.distributed", raising=False)
    with pytest.raises(ImportError, match=r"pip install 'micrograd-fast\[dask\]'"):
        importlib.import_module("micrograd_fast.distributed")


def test_the_source_folder_without_its_compiled_module_says_so(tmp_path):
    source = Path(mg.__file__).parent
    shutil.copytree(
        source, tmp_path / "micrograd_fast", ignore=shutil.ignore_patterns("_core.*", "__pycache__")
    )
    # -S: an editable install would find the compiled module of the checkout.
    done = subprocess.run(
        [sys.executable, "-S", "-c", "import micrograd_fast"],
        cwd=tmp_path,
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "has no compiled module for this Python: it is the source folder" in done.stderr
    assert "pip install -e ." in done.stderr


def test_item_gives_the_number_and_none_in_a_trace():
    assert Value(2).item() == 2.0 and type(Value(2).item()) is float
    with pytest.raises(mg.TraceError, match=r"reading \.data"):
        mg.compile(lambda x: x * x.item())(1.0)
