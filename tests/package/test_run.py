"""`micrograd-fast run` and as_micrograd: programs behave as under plain Python, on this package."""

import os
import re
import signal
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

FACTS = """\
'''What Python sets up for a program.'''
import os, sys
main = sys.modules["__main__"]
print(__name__, __doc__, __file__, __package__, __spec__ and __spec__.name, type(__loader__))
print(sys.argv, sys.path[0], main.__dict__ is globals(), __builtins__)
"""
ENGINE = """\
import micrograd, sys
from micrograd import nn
from micrograd.engine import Value
import micrograd.nn as same
print(Value.__module__, nn.MLP.__module__)
print(same is nn is micrograd.nn, micrograd.engine.Value is Value)
"""


@pytest.fixture(autouse=True)
def empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def python(*argv):
    """The interpreter in a process of its own: exit code, output, complaints."""
    done = subprocess.run([sys.executable, *argv], capture_output=True, text=True, timeout=120)
    return done.returncode, done.stdout, done.stderr


def run(*argv):
    return python("-m", "micrograd_fast", "run", *argv)


def write(name, text):
    path = Path(name)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, "utf-8")


def assert_same(*argv):
    """The same exit code, output and traceback as plain Python; these, for further claims."""
    ours, plain = run(*argv), python(*argv)
    assert ours == plain
    return ours


@pytest.mark.parametrize("arguments", [(), ("-m", "x", "-h", "--lr", "1", "--", "--", "y")])
def test_a_script_sees_what_plain_python_shows_it(arguments):
    write("scripts/facts.py", FACTS)
    code, printed, _ = assert_same("scripts/facts.py", *arguments)
    assert code == 0
    assert repr(["scripts/facts.py", *arguments]) in printed


@pytest.mark.parametrize("name", ["facts", "package", "package.inner"])
def test_a_module_sees_what_plain_python_shows_it(name):
    for path in ("facts.py", "package/__main__.py", "package/inner.py"):
        write(path, FACTS)
    write("package/__init__.py", "")
    code, printed, _ = assert_same("-m", name, "-m", "--lr", "1", "--", "y")
    assert code == 0
    assert "'-m', '--lr', '1', '--', 'y'" in printed


CODE = """\
import sys
main = sys.modules["__main__"]
print(__name__, __doc__, __package__, __spec__, __loader__)
print(sys.argv, repr(sys.path[0]), main.__dict__ is globals(), vars().get("__file__"))
sys.exit(3)
"""


@pytest.mark.parametrize("arguments", [(), ("-m", "x", "-h", "--lr", "1", "-c", "--", "y")])
def test_code_sees_what_plain_python_shows_it(arguments):
    code, printed, _ = assert_same("-c", CODE, *arguments)
    assert code == 3 and repr(["-c", *arguments]) in printed


@pytest.mark.parametrize("arguments", [(), ("-m", "x", "-h", "--lr", "1", "-", "--", "y")])
def test_the_standard_input_sees_what_plain_python_shows_it(arguments):
    def given(*argv):
        command = [sys.executable, *argv, "-", *arguments]
        done = subprocess.run(command, input=CODE, capture_output=True, text=True, timeout=120)
        return done.returncode, done.stdout, done.stderr

    ours = given("-m", "micrograd_fast", "run")
    assert ours == given()
    assert ours[0] == 3 and repr(["-", *arguments]) in ours[1]


def test_code_runs_on_this_package_and_shows_its_error():
    assert run("-c", ENGINE)[1] == "micrograd_fast.engine micrograd_fast.nn\nTrue True\n"
    code, _, complaint = run("-c", "1 / 0")
    assert code == 1 and complaint.startswith("Traceback")
    assert complaint.splitlines()[-1] == "ZeroDivisionError: division by zero"
    assert "runner.py" not in complaint


@pytest.mark.parametrize("argv", [(), ("-c",), ("-m",)])
def test_a_program_is_needed(argv):
    code, _, complaint = run(*argv)
    assert code == 2
    assert "a script is needed, - for the standard input, -m MODULE or -c CODE" in complaint


def test_a_folder_and_a_zip_file_run_by_their_main():
    write("folder/__main__.py", FACTS + "import beside\n")
    write("folder/beside.py", "print('beside')")
    with zipfile.ZipFile("program.zip", "w") as archive:
        archive.write("folder/__main__.py", "__main__.py")
        archive.write("folder/beside.py", "beside.py")
    assert "beside" in assert_same("folder", "x")[1]
    assert "beside" in assert_same("program.zip", "x")[1]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("raise SystemExit(7)", 7),
        ("import sys; sys.exit('why')", 1),
        ("raise SystemExit", 0),
        ("def f():\n    return [1][2]\n\nf()\n", 1),
        ("try:\n    1 / 0\nexcept ZeroDivisionError as e:\n    raise ValueError('x') from e\n", 1),
        ("x = (\n", 1),
        ("x = '\\0'\nimport missing_module\n", 1),
        ("import sys\nsys.excepthook = lambda *e: print('hook', e[0])\n1 / 0\n", 1),
        ("import atexit\natexit.register(print, 'bye')\n1 / 0\n", 1),
    ],
)
def test_exit_code_and_traceback_are_plain_pythons(text, code):
    write("program.py", text)
    assert assert_same("program.py")[0] == code


def test_a_modules_traceback_is_plain_pythons_without_its_machinery():
    write("program.py", "def f():\n    return [1][2]\n\nf()\n")
    ours, plain = run("-m", "program"), python("-m", "program")
    assert ours[:2] == plain[:2] == (1, "")
    assert ours[2] == re.sub(r'  File "[^"]*runpy[^"]*", .*\n(    .*\n)*', "", plain[2])
    assert ours[2].count("  File ") == 2


@pytest.mark.skipif(sys.platform == "win32", reason="no signals there")
def test_ctrl_c_ends_a_program_as_in_plain_python():
    write(
        "program.py",
        "import atexit, os, signal\natexit.register(print, 'bye')\n"
        # A shell's background jobs are started with the signal ignored.
        "signal.signal(signal.SIGINT, signal.default_int_handler)\n"
        "os.kill(os.getpid(), signal.SIGINT)\n",
    )
    code, printed, complaint = assert_same("program.py")
    assert code == -signal.SIGINT
    assert printed == "bye\n"
    assert "KeyboardInterrupt" in complaint


def test_what_is_not_there_is_said_in_one_line():
    assert run("missing.py") == (
        2,
        "",
        f"micrograd-fast: can't open file {os.path.abspath('missing.py')!r}: "
        "No such file or directory\n",
    )
    assert run("-m", "missing") == (1, "", "micrograd-fast: No module named missing\n")
    assert run("-m", "missing.inner")[0] == 1
    write("package/__init__.py", "")
    assert "is a package and cannot be executed" in run("-m", "package")[2]
    code, _, complaint = run("-m", "_imp")
    assert code == 1 and "No code object available for _imp" in complaint
    write("needy/__init__.py", "import not_there")
    code, _, complaint = run("-m", "needy.inner")
    assert code == 1 and "No module named 'not_there'" in complaint


def test_micrograd_is_this_package_even_beside_one_of_that_name():
    write("program.py", ENGINE)
    write("micrograd/engine.py", "1 / 0")
    ours = "micrograd_fast.engine micrograd_fast.nn\nTrue True\n"
    assert run("program.py") == (0, ours, "")
    assert run("-m", "program") == (0, ours, "")
    write("notebook.py", "import micrograd_fast.as_micrograd\n" + ENGINE)
    assert python("notebook.py") == (0, ours, "")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "from micrograd.engine import Value, Tensor",
            "ImportError: cannot import name 'Tensor' from 'micrograd.engine': micrograd_fast "
            "stands in for micrograd 0.1.0, micrograd.engine has Value, no_grad",
        ),
        ("from micrograd import optim", "cannot import name 'optim' from 'micrograd': "),
        ("from micrograd.nn import Conv", "micrograd.nn has ACTIVATIONS, Embedding, GRUCell, LS"),
        (
            "import micrograd.tensor",
            "ModuleNotFoundError: No module named 'micrograd.tensor': micrograd_fast stands in "
            "for micrograd 0.1.0, which has micrograd.engine and micrograd.nn. ",
        ),
        (
            "import micrograd.nn\nmicrograd.nn.Conv",
            "AttributeError: module 'micrograd.nn' has no attribute 'Conv'",
        ),
    ],
)
def test_what_micrograd_does_not_have_is_refused_with_what_there_is(text, message):
    write("program.py", f"import micrograd.nn\nassert not hasattr(micrograd.nn, 'Conv')\n{text}\n")
    code, _, complaint = run("program.py")
    assert code == 1
    assert message in complaint


def test_replacing_a_class_of_micrograd_nn_changes_what_is_built():
    write(
        "program.py",
        "from micrograd import nn\nclass Neuron(nn.Neuron): pass\nnn.Neuron = Neuron\n"
        "print(type(nn.MLP(2, [1]).layers[0].neurons[0]) is Neuron)\n",
    )
    assert run("program.py")[1] == "True\n"


def test_after_the_real_micrograd_it_is_too_late():
    pytest.importorskip("micrograd")
    write("late.py", "import micrograd\nimport micrograd_fast.as_micrograd\n")
    code, _, complaint = python("late.py")
    assert code == 1
    assert "ImportError: micrograd has been imported already" in complaint
    write("twice.py", "import micrograd_fast.as_micrograd\nimport micrograd_fast.as_micrograd\n")
    assert python("twice.py") == (0, "", "")


def test_the_real_micrograd_prints_the_same_numbers():
    pytest.importorskip("micrograd")
    write(
        "program.py",
        "import random\nfrom micrograd.nn import MLP\nrandom.seed(1)\nmodel = MLP(2, [4, 1])\n"
        "y = model([1.0, -2.0])\ny.backward()\n"
        "print(y.data, [p.grad * 1.0 for p in model.parameters()])\n",
    )
    assert assert_same("program.py")[0] == 0


def test_help_shows_examples():
    code, printed, _ = run("-h")
    assert code == 0
    assert re.search(r"micrograd-fast run -m pytest", printed)


@pytest.mark.parametrize("arguments", [("go.py",), ("-m", "go")])
def test_a_micrograd_of_the_program_is_replaced_aloud_or_kept(arguments):
    write("micrograd/__init__.py", "")
    write("micrograd/engine.py", "class Value:\n    pass\n")
    write("go.py", "from micrograd.engine import Value\nprint(Value.__module__)\n")
    code, out, complaints = run(*arguments)
    assert (code, out) == (0, "micrograd_fast.engine\n")
    own = os.path.realpath("micrograd/__init__.py")
    assert complaints == (
        f"micrograd-fast: {own} is replaced by micrograd_fast; "
        "run --local keeps the program's own\n"
    )
    assert run("--local", *arguments) == (0, "micrograd.engine\n", "")


def test_local_replaces_a_micrograd_that_is_only_installed():
    write("go.py", "from micrograd.engine import Value\nprint(Value.__module__)\n")
    assert run("--local", "go.py") == (0, "micrograd_fast.engine\n", "")
