"""Whatever is public can be asked: completion, help(), inspect.signature(), get_type_hints()."""

import importlib
import inspect
import pydoc
import re
import subprocess
import sys
import typing
from pathlib import Path

import numpy as np
import pytest

import micrograd_fast as mg

ROOT = Path(__file__).resolve().parents[2]
MODULES = re.findall(r"<!-- api ([\w.]+) -->", (ROOT / "docs" / "api.md").read_text("utf-8"))
# dir() shows what a star import leaves out, so that it is micrograd's, or what is imported late.
BESIDE_ALL = {
    "micrograd_fast": {"engine", "viz"},
    "micrograd_fast.engine": {"no_grad"},
    "micrograd_fast.nn": {"ACTIVATIONS", "Embedding", "GRUCell", "LSTMCell", "Linear", "Sequential"}
    | {"load", "save", "utils"},
}
ONLY_IN_ALL = {"micrograd_fast.nn": {"Value", "random"}}  # micrograd's star import gives these


def module_of(name):
    if name == "micrograd_fast.distributed":
        pytest.importorskip("distributed", reason="Dask is not installed")
    return importlib.import_module(name)


def public(module):
    """(name, thing) for what a module shows, and for the members of classes that are ours."""
    for name in dir(module):
        thing = getattr(module, name)
        if not callable(thing):
            continue
        yield name, thing
        if inspect.isclass(thing):
            members = [
                member
                for kind in thing.__mro__
                if kind.__module__.startswith("micrograd_fast")
                for member in vars(kind)
                if not member.startswith("_") or member in ("__init__", "__call__")
            ]
            yield from ((f"{name}.{member}", getattr(thing, member)) for member in members)


def has_signature(thing):
    """Python's exceptions and str have none; a CompiledFunction, which compile() makes, its own."""
    return not (
        thing is mg.compiler.CompiledFunction
        or (inspect.isclass(thing) and issubclass(thing, (BaseException, str)))
    )


@pytest.mark.parametrize("name", MODULES)
def test_completion_shows_what_is_public_and_nothing_else(name):
    module = module_of(name)
    shown = {n for n in dir(module) if not re.fullmatch("__(?!version).*__", n)}
    assert shown == {*module.__all__, *BESIDE_ALL.get(name, ())} - ONLY_IN_ALL.get(name, set())


@pytest.mark.parametrize("name", MODULES)
def test_every_public_name_has_help_a_signature_and_types(name):
    silent = []
    for path, thing in public(module_of(name)):
        if not callable(thing):
            continue
        if has_signature(thing):
            inspect.signature(thing)
        typing.get_type_hints(thing)
        assert pydoc.render_doc(thing)
        if not inspect.getdoc(thing) and not path.endswith(("__init__", "__call__")):
            silent.append(path)
    assert silent == []


def test_types_are_those_of_the_annotations():
    assert typing.get_type_hints(mg.functional.mean)["return"] is mg.Value
    assert typing.get_type_hints(mg.custom)["f"] == typing.get_type_hints(mg.grad)["f"]
    hints = typing.get_type_hints(mg.nn.Module.load_state_dict)
    assert hints["return"] is type(None) and typing.get_args(hints["state"]) == (str, float)
    assert typing.get_type_hints(mg.optim.Adam)["lr"] is float
    assert typing.get_type_hints(mg.compile)["batch"] is bool


def test_without_matplotlib_the_types_of_pictures_are_any(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib.axes", None)
    assert typing.get_type_hints(mg.viz.spy)["return"] is typing.Any


def test_signatures_of_what_the_compiled_module_has():
    assert str(inspect.signature(mg.Value)) == (
        "(data, _children=(), _op='', label='', *, _local_grads=None)"
    )
    assert list(inspect.signature(mg.Value.backward).parameters) == ["self"]
    assert list(inspect.signature(mg.Batch.mean).parameters) == ["self", "axis", "dtype", "out"]
    assert str(inspect.signature(mg.set_num_threads)) == "(n)"
    assert mg.Value.__doc__.startswith("One scalar and its gradient")


def test_a_compiled_function_has_the_signature_of_its_function():
    @mg.compile
    def f(x: list[mg.Value], scale: float = 2.0) -> mg.Value:
        """Says so."""
        return scale * x[0]

    assert str(inspect.signature(f)).startswith("(x: ")
    assert list(inspect.signature(f).parameters) == ["x", "scale"]
    assert "Says so." in pydoc.render_doc(f)
    assert type(f)[[int], mg.Value].__origin__ is type(f)
    assert mg.Batch[mg.Value].__args__ == (mg.Value,)


def test_the_package_is_imported_without_typing():
    """And the types are found when they are asked for after that."""
    code = (
        "import sys; had = set(sys.modules); import micrograd_fast as mg\n"
        "new = set(sys.modules) - had\n"
        "assert not new & {'typing', 'numpy', 'micrograd_fast.typed'}, new\n"
        "import typing; print(typing.get_type_hints(mg.functional.softmax)['return'])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert (done.stderr, "list[" in done.stdout) == ("", True)


def test_what_is_public_shows_what_it_is():
    """repr: in a notebook and in a debugger."""
    f = mg.compile(lambda x: x * 2, batch=True)
    batch = f(np.arange(100.0))
    assert repr(f) == "<batched compiled function <lambda>, 1 signature>"
    g = mg.compile(lambda x, doubled: 2 * x if doubled else x * 1)
    assert [g(1.0, True).data, g(1.0, False).data] == [2.0, 1.0]
    assert repr(g) == "<compiled function <lambda>, 2 signatures>"
    assert repr(batch) == (
        "Batch of 100 samples, data of shape (100,):\n[  0.,   2.,   4., ..., 194., 196., 198.]"
    )
    assert repr(batch[:1]) == "Batch of 1 sample, data of shape (1,):\n[0.]"
    program = f.program(np.ones(2))
    assert repr(program) == str(program)
    assert repr(program._program).splitlines() == [
        "Program of 3 instructions:",
        "v0 = input 0",
        "v1 = 2.0",
        "v2 = mul v0 v1",
        "return v2",
    ]
