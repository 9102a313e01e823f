"""The examples run, and each notebook is its script."""

import ast
import importlib.util
import json
import runpy
import sys
import warnings
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SCRIPTS = sorted((ROOT / "examples").glob("*.py"))


def load_tool():
    spec = importlib.util.spec_from_file_location("notebooks", ROOT / "tools" / "notebooks.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


tool = load_tool()


@pytest.fixture(params=SCRIPTS, ids=lambda path: path.stem)
def script(request):
    return request.param


def test_the_notebook_is_its_script(script):
    made = tool.notebook(script.read_text("utf-8"))["cells"]
    there = json.loads(script.with_suffix(".ipynb").read_text("utf-8"))["cells"]
    assert [cell["source"] for cell in there] == [cell["source"] for cell in made]
    assert [cell["cell_type"] for cell in there] == [cell["cell_type"] for cell in made]
    errors = [out for cell in there for out in cell.get("outputs", ()) if "ename" in out]
    assert not errors


def packages_of(script):
    """What the script imports, and plots: top-level names."""
    tree = ast.parse(script.read_text("utf-8"))
    nodes = list(ast.walk(tree))
    found = {
        name.name.partition(".")[0] for n in nodes if isinstance(n, ast.Import) for name in n.names
    }
    found |= {n.module.partition(".")[0] for n in nodes if isinstance(n, ast.ImportFrom)}
    return found - {"micrograd", "micrograd_fast"} - set(sys.stdlib_module_names)


def test_the_script_runs_with_small_numbers(script, tmp_path, monkeypatch, capsys):
    for name in packages_of(script):
        pytest.importorskip(name)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MPLBACKEND", "Agg")
    found = [
        (tags, text) for kind, tags, text in tool.cells(script.read_text("utf-8")) if kind == "code"
    ]
    small = [tool.shrink(text) if tags else text for tags, text in found]
    if any(tags for tags, _ in found):  # else it is quick as it is
        assert small[0] != found[0][1]
    program = tmp_path / script.name
    # as_micrograd is for a process of its own: here the tests need the real one as well.
    text = "\n\n".join(small).replace("import micrograd_fast.as_micrograd", "")
    program.write_text(text.replace("from micrograd.", "from micrograd_fast."), "utf-8")
    with warnings.catch_warnings():
        warnings.simplefilter("default")  # those of other packages are not ours to end on
        runpy.run_path(str(program), run_name="__main__")
    assert capsys.readouterr().out


def test_of_progress_bars_the_last_state_is_kept():
    text = "  0%|   | 0/5\r 60%|█  | 3/5\r100%|███| 5/5 [00:01]\nsomewhere.py:1: Warning\n  0%|\r\n"
    kept = tool.ended({"name": "stderr", "output_type": "stream", "text": text})
    assert kept == {"name": "stderr", "output_type": "stream", "text": "100%|███| 5/5 [00:01]\n"}
    assert tool.ended({"name": "stderr", "text": "a warning\n"}) is None
    printed = {"name": "stdout", "text": "a\rb"}
    assert tool.ended(printed) is printed


@pytest.mark.slow
def test_every_notebook_runs_in_a_kernel():
    pytest.importorskip("nbclient")
    pytest.importorskip("ipykernel")
    for name in ("matplotlib", "names", "scipy", "sklearn", "tqdm"):
        pytest.importorskip(name)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert tool.main(["--tiny"]) == 0
