"""`micrograd-fast run --swap-value`: a program's own Value replaced, or refused with the reason."""

import os
import random
import re
import subprocess
import sys
from pathlib import Path

import own_values
import pytest
from own_values_hidden import ENDLESS, HIDDEN
from own_values_refused import REFUSED

from micrograd_fast.engine import Value
from micrograd_fast.swap_value import limits, replace, side_by_side
from micrograd_fast.swap_value.own_class import Refused


@pytest.fixture(autouse=True)
def empty_folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def python(*argv):
    done = subprocess.run([sys.executable, *argv], capture_output=True, text=True, timeout=120)
    return done.returncode, done.stdout, done.stderr


def run(*argv):
    return python("-m", "micrograd_fast", "run", "--swap-value", *argv)


def write(text, name="program.py"):
    Path(name).write_text(text, "utf-8")


def refusal(text):
    said = []
    with pytest.raises(Refused) as caught:
        replace.code_of(text, "program.py", said.append, folder=".")
    assert said == []
    return caught.value


@pytest.mark.parametrize("name", own_values.SWAPPED)
def test_a_program_prints_the_same_with_its_class_replaced(name):
    text = own_values.SWAPPED[name]
    own = "Scalar" if name == "Scalar" else "Value"
    write(text + f"print({own}.__module__, file=__import__('sys').stderr)\n")
    plain, ours = python("program.py"), run("program.py")
    assert plain[0] == 0, plain[2]
    assert ours[:2] == plain[:2], ours[2]
    assert plain[2] == "__main__\n"
    assert ours[2].endswith("micrograd_fast.engine\n")
    assert re.match(
        rf"micrograd-fast: class {own}, line \d+ of .*program\.py, is replaced by micrograd_fast's"
        r": \d+ expressions agree, the largest difference is \d\.\de-1\d",
        ours[2],
    )


@pytest.mark.parametrize("name", [*REFUSED, *HIDDEN])
def test_a_class_that_computes_something_else_is_refused_with_the_line(name, capfd):
    text, marked, reason = {**REFUSED, **HIDDEN}[name]
    before, drawn = dict(vars(Value)), random.getstate()
    error = refusal(text)
    assert (*capfd.readouterr(), random.getstate(), os.listdir()) == ("", "", drawn, [])
    assert re.search(reason, str(error)), error
    if marked is None:
        assert error.line is None
    else:
        assert error.line == text[: text.index(marked)].count("\n") + 1, (error.line, error)
    assert dict(vars(Value)) == before


def test_the_refused_program_does_not_run_unless_it_may_run_as_it_is():
    text = REFUSED["the lecture's own bug"][0]
    write("print('begins')\n" + text)
    code, printed, said = run("program.py")
    assert (code, printed) == (2, "")
    assert re.fullmatch(
        r"micrograd-fast: the program's own Value is not replaced: .*program\.py, line \d+: "
        r"the gradient of .* needs \+= \(it was not run; --if-possible runs it as it is\)\n",
        said,
    )
    code, printed, said = run("--if-possible", "program.py")
    assert (code, printed) == python("program.py")[:2]
    assert said.endswith("; it runs as it is\n")


def test_the_check_runs_the_class_and_what_it_needs_and_nothing_else():
    write("print('once, by its program')\nprint(__name__)\n", "beside.py")
    write("print('never, for the class does not need it')\nraise SystemExit\n", "unused.py")
    text = changed_head(
        "import beside\nprint('begins', flush=True)\ndef later():\n    import unused\n"
    )
    write(text)
    code, printed, said = run("program.py")
    assert (code, printed) == python("program.py")[:2], said
    assert printed.startswith("once, by its program\nbeside\nbegins\n")
    assert printed.count("begins") == 1


def changed_head(head):
    return head + own_values.SWAPPED["microgpt's"]


def test_random_numbers_are_drawn_as_without_the_check():
    write(
        "import random\nrandom.seed(1)\n" + own_values.LECTURE.replace("math", "__import__('math')")
    )
    assert "calls __import__" in run("program.py")[2]
    write("import math, random\nrandom.seed(1)\n" + own_values.LECTURE + "print(random.random())\n")
    assert run("program.py")[:2] == python("program.py")[:2]


def test_a_traceback_shows_the_programs_own_lines():
    write(own_values.SWAPPED["with methods of its own"] + "def f():\n    return [1][2]\n\nf()\n")
    ours, plain = run("program.py"), python("program.py")
    assert ours[:2] == plain[:2]
    assert ours[0] == 1
    assert ours[2].endswith(plain[2])
    # In a method that stays, too.
    write(
        own_values.program(
            own_values.with_method(
                own_values.LECTURE, "    def fails(self):\n        return self / 'x'\n"
            ),
            "v[0].fails()",
        )
    )
    line = Path("program.py").read_text().splitlines().index("        return self / 'x'") + 1
    assert f'program.py", line {line}, in fails' in run("program.py")[2]


def test_modules_and_folders_are_read_as_scripts_are():
    text = own_values.SWAPPED["microgpt's"] + "print(Value.__module__, __name__)\n"
    Path("package").mkdir()
    for name in ("module.py", "package/__init__.py", "package/__main__.py"):
        write(text, name)
    for argv in (("-m", "module"), ("-m", "package"), ("package",)):
        code, printed, said = run(*argv)
        assert code == 0, said
        assert printed.endswith("micrograd_fast.engine __main__\n")


def test_a_syntax_error_is_pythons():
    write("x = (\n")
    assert run("program.py") == python("program.py")


@pytest.mark.parametrize(
    ("name", "note"),
    [
        ("microgpt's", "data and grad are floats: Value(2).data is 2.0, where it was 2"),
        ("microgpt's", "data that is written between an op and backward() counts"),
        ("microgpt's", "a.relu() with a = nan gives 0 in the program and nan in micrograd_fast"),
        (
            "the lecture's",
            "a.tanh() with a = 1000.0 gives OverflowError in the program and 1.0 in micrograd_fast",
        ),
        ("ops of another make", "a - b is +(*(leaf, leaf), leaf), -(leaf, leaf) in the program"),
    ],
)
def test_what_differs_without_harm_is_told(name, note):
    said = []
    replace.code_of(own_values.SWAPPED[name], "program.py", said.append, folder=".")
    assert any(note in line for line in said), said


LOG = """
    def log(self):
        if self.data <= 0:
            raise {error}
        return Value(math.log(self.data), (self,), "log")._with(1 / self.data)

    def _with(self, slope):
        (a,) = self._prev

        def _backward():
            a.grad += slope * self.grad

        self._backward = _backward
        return self
"""


@pytest.mark.parametrize(
    ("own", "note"),
    [
        (
            own_values.with_method(own_values.LECTURE, LOG.format(error="SystemExit('no log')")),
            "a.log() with a = 0.0 gives SystemExit in the program and ValueError in",
        ),
        (
            own_values.with_method(own_values.LECTURE, LOG.format(error="KeyboardInterrupt")),
            "a.log() with a = 0.0 gives KeyboardInterrupt in the program and ValueError in",
        ),
        (
            own_values.changed(
                own_values.LECTURE,
                ("self.data = data", "assert data == data, 'nan'\n        self.data = data"),
            ),
            "Value(nan) raises AssertionError in the program and nothing in micrograd_fast",
        ),
        (
            own_values.changed(
                own_values.LECTURE,
                (
                    "        x = self.data\n",
                    "        x = self.data\n        if abs(x) > 30: raise ValueError(x)\n",
                ),
            ),
            "a.tanh() with a = 100.0 gives ValueError in the program and 1.0 in micrograd_fast",
        ),
        (
            own_values.changed(
                own_values.LECTURE,
                ("math.exp(self.data)", "math.exp(self.data) if self.data < 700 else math.inf"),
            ),
            "a.exp() with a = 1000.0 gives inf in the program and OverflowError in micrograd_fast",
        ),
    ],
)
def test_an_op_that_raises_for_some_numbers_is_told(own, note):
    said = []
    text = own_values.program(own)
    replace.code_of(text, "program.py", said.append, folder=".")
    assert [note in line for line in said].count(True) == 1, said


def test_a_class_without_one_of_the_operators_is_compared():
    for gone, used in (("__mul__", "a + a"), ("__add__", "a * a")):
        own = own_values.changed(own_values.LECTURE, (f"def {gone}", "def other"))
        write(f"import math\n{own}\na = Value(3.0)\nc = {used}\nc.backward()\nprint(c, a)\n")
        ours, plain = run("program.py"), python("program.py")
        assert plain[0] == 0 and ours[:2] == plain[:2], ours[2]


def test_an_op_that_does_not_end_is_refused(monkeypatch):
    monkeypatch.setattr(limits, "SECONDS", 2.0)
    own = own_values.LECTURE.replace("def exp(", "def old_exp(")
    error = refusal(own_values.program(own_values.with_method(own, ENDLESS)))
    assert "a.exp() with a = nan does not end: the check gave it up after 2 seconds" in str(error)


@pytest.mark.skipif(sys.platform == "win32", reason="signals are sent as on POSIX")
def test_ctrl_c_ends_the_check():
    own = own_values.LECTURE.replace("def exp(", "def old_exp(")
    own = own_values.with_method(own, ENDLESS)
    write(own_values.program(own))
    code = (
        "import os, signal, sys, threading\n"
        "from micrograd_fast import __main__\n"
        "threading.Timer(2, os.kill, (os.getpid(), signal.SIGINT)).start()\n"
        "sys.exit(__main__.main(['run', '--swap-value', 'program.py']))\n"
    )
    code, printed, said = python("-c", code)
    assert (code, printed) == (-2, "") and said.endswith("KeyboardInterrupt\n"), said


@pytest.mark.parametrize("argv", [("-c", "print(1)"), ("-",)])
def test_a_program_that_is_no_file_is_a_usage_error(argv):
    code, printed, said = run(*argv)
    assert (code, printed) == (2, "")
    assert "--swap-value reads a program's file: it needs a script, or -m MODULE" in said


def test_methods_that_nothing_uses_are_not_put_on_the_class():
    text = own_values.program(
        own_values.with_method(
            own_values.LECTURE,
            "    def used(self):\n        return self._half()\n\n"
            "    def _half(self):\n        return self * 0.5\n\n"
            "    def unused(self):\n        return self\n",
        ),
        "print(v[0].used())",
    )
    said = []
    replace.code_of(text, "program.py", said.append, folder=".")
    assert said[0].endswith("; __repr__, _half, used stay")


def test_a_method_of_its_own_must_work_on_our_nodes():
    wrong = "    def twice(self):\n        return Value(2 * self.data, (self,), (lambda: 2.0,))\n"
    text = own_values.program(own_values.with_method(own_values.MICROGPT, wrong), "v[0].twice()")
    assert "a.twice() with a = 0.4" in str(refusal(text)) or "twice" in str(refusal(text))


# ---- programs of several files ----

NETWORK = """
class Module:
    def parameters(self):
        return []


class Neuron(Module):
    def __init__(self, n):
        super().__init__()
        self.w = [Value(random.uniform(-1, 1)) for _ in range(n)]

    def __call__(self, x):
        return sum(wi * xi for wi, xi in zip(self.w, x)).relu()

    def parameters(self):
        return self.w
"""
TRAIN = """
neurons = [Neuron(3) for _ in range(2)]
y = sum(n([0.5, -1.0, 2.0]) for n in neurons)
y.backward()
print(y, [p.grad for n in neurons for p in n.parameters()])
print(Value.__module__, file=__import__('sys').stderr)
"""


@pytest.mark.parametrize(
    ("engine", "nn", "train", "argv"),
    [
        ("engine.py", "nn.py", "train.py", ("train.py",)),
        ("lib/value.py", "lib/nn.py", "train.py", ("train.py",)),
        ("lib/value.py", "lib/nn.py", "lib/train.py", ("-m", "lib.train")),
    ],
)
def test_the_class_may_stand_in_a_module_of_the_program(engine, nn, train, argv):
    names = [Path(p).with_suffix("").as_posix().replace("/", ".") for p in (engine, nn)]
    if train.startswith("lib/"):
        names = [name.replace("lib", "") for name in names]
    if "/" in engine:
        Path("lib").mkdir()
        write("", "lib/__init__.py")
    write("import math\n" + own_values.LECTURE + "print('engine')\n", engine)
    imports = f"import random\nfrom {names[0]} import Value\n"
    write(imports + NETWORK, nn)
    write(imports + f"from {names[1]} import Neuron\nrandom.seed(1)\n" + TRAIN, train)
    ours, plain = run(*argv), python(*argv)
    assert plain[0] == 0, plain[2]
    assert ours[:2] == plain[:2], ours[2]
    assert ours[2].endswith("micrograd_fast.engine\n")
    assert re.search(
        rf"class Value, line \d+ of .*{re.escape(os.path.normpath(engine))}, is", ours[2]
    )


@pytest.mark.parametrize(
    ("text", "place", "reason"),
    [
        (
            "from engine import Value\nprint(Value(1.0).uses)\n",
            "engine.py, line 8",
            "line 2 of train.py",
        ),
        ("import plot, engine\n", "engine.py, line 8", "sets .uses, which line 1 of plot.py uses"),
        (
            "import engine\nengine.Value(1.0, name='x')\n",
            "train.py, line 2",
            "argument name of Value",
        ),
        ("from engine import Value as V\n", "train.py, line 1", "has another name in this file"),
        ("from other import Value\nimport engine\n", "train.py, line 1", "imported from elsewhere"),
        (
            "import engine\nclass Loud(engine.Value):\n    __add__ = max\n",
            "train.py, line 3",
            "Loud is derived from it and has a __add__",
        ),
    ],
)
def test_what_other_files_ask_of_the_class_is_seen(text, place, reason):
    own = own_values.changed(
        own_values.LECTURE,
        ('label=""):', 'label="", name=""):'),
        ("        self.data = data\n", "        self.data = data\n        self.uses = 0\n"),
    )
    write("import math\n" + own, "engine.py")
    write("def f(v): return v.uses\n", "plot.py")
    write(text, "train.py")
    code, printed, said = run("train.py")
    assert (code, printed) == (2, "")
    assert place in said and reason in said, said


def test_calls_in_other_files_are_not_rewritten():
    write("import math\n" + own_values.SECOND_LABEL, "engine.py")
    write("from engine import Value\nprint(Value(2.0, label='x').label)\n", "train.py")
    assert run("train.py")[:2] == (0, "x\n")
    write("from engine import Value\nprint(Value(2.0, 'x').label)\n", "train.py")
    code, _, said = run("train.py")
    assert code == 2 and "train.py, line 2: Value takes these arguments under other names" in said


def test_a_module_that_is_there_before_the_program_is_not_replaced():
    Path("lib").mkdir()
    write("from .value import Value\n", "lib/__init__.py")
    write("import math\n" + own_values.LECTURE, "lib/value.py")
    write("from lib import Value\nprint(Value.__module__)\n", "lib/train.py")
    code, printed, said = run("-m", "lib.train")
    assert (code, printed) == (2, "")
    assert "lib.value is imported before the program begins" in said
    write("from lib import Value\nprint(Value.__module__)\n", "train.py")
    code, printed, said = run("train.py")
    assert (code, printed) == (0, "micrograd_fast.engine\n"), said


def test_a_program_without_source_is_refused():
    write("print(1)\n", "program.py")
    subprocess.run([sys.executable, "-m", "compileall", "-q", "-b", "."], check=True, timeout=60)
    Path("program.py").unlink()
    code, printed, said = run("-m", "program")
    assert (code, printed) == (2, "")
    assert "there is no source to read" in said


# ---- --compare ----


def test_both_ways_are_run_and_compared():
    write(own_values.SWAPPED["microgpt's"])
    code, printed, said = run("--compare", "program.py")
    assert (code, printed) == python("program.py")[:2]
    assert re.search(
        r"with micrograd_fast's Value: \d+\.\d\d s; now as it is \.\.\.\n"
        r".*as it is: \d+\.\d\d s\n.*: \S+ times as fast, the check included",
        said,
    )
    assert said.endswith("the outputs are the same: 9 lines\n")


def test_what_differs_between_both_ways_is_said():
    write(own_values.SWAPPED["microgpt's"] + "raise SystemExit(isinstance(Value(2).data, int))\n")
    code, _, said = run("--compare", "program.py")
    assert code == 0
    assert "the exit codes differ: 1 as it is and 0" in said
    assert "times as fast" not in said
    write(own_values.SWAPPED["microgpt's"] + "print(Value(2).data)\n")
    said = run("--compare", "program.py")[2]
    assert "but for how numbers are written: line 10 has '2' and '2.0'" in said


def test_a_refusal_ends_the_comparison_before_anything_runs():
    write("print('begins')\n" + REFUSED["a leaky relu"][0])
    code, printed, said = run("--compare", "program.py")
    assert (code, printed) == (2, "")
    assert "is not replaced" in said and "as it is:" not in said


@pytest.mark.parametrize(
    ("one", "other", "words"),
    [
        ("a 1.0\nb\n", "a 1.0\nb", "the same: 2 lines"),
        ("\rloss 1.5\rloss 2.5", "\rloss 1.5\rloss 2.5", "the same: 3 lines"),
        ("x\nloss 0.1234567890123", "x\nloss 0.1234567890124", "rounding: from line 2 on"),
        ("loss 0.12", "loss 0.13", "differ in line 1: 'loss 0.12' and 'loss 0.13'"),
        ("loss nan", "loss 0.1", "differ in line 1"),
        ("a 1", "b 1", "differ in line 1"),
        ("a 1", "a 1\nb", "1 and 2 lines"),
        ("x1 0.5", "x2 0.5", "differ in line 1"),
    ],
)
def test_outputs_are_the_same_but_for_rounding_or_differ_in_a_line(one, other, words):
    assert words in side_by_side.difference(one.encode(), other.encode())


def test_options_that_do_not_go_together_are_refused():
    write("print(1)\n")
    for options, words in (
        (["--compare"], "--compare goes with --swap-value"),
        (["--if-possible"], "--if-possible goes with --swap-value, and without --compare"),
        (["--if-possible", "--swap-value", "--compare"], "--if-possible goes with --swap-value"),
    ):
        code, printed, said = python("-m", "micrograd_fast", "run", *options, "program.py")
        assert (code, printed) == (2, "")
        assert words in said


# ---- a whole program, and what the documents say of it ----

ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = ROOT / "bench" / "programs"


def test_a_gpt_with_a_class_of_its_own_learns_the_same_in_three_ways():
    write("\n".join(["emma", "bo", "ada", "zoe", "mia"] * 4), "names.txt")
    own, compiled = (str(PROGRAMS / f"{name}.py") for name in ("own_gpt", "own_gpt_compiled"))
    plain = python(own, "names.txt", "4")
    assert plain[0] == 0, plain[2]
    assert plain[1].count("loss") == 4
    assert run(own, "names.txt", "4")[:2] == plain[:2]
    assert python(compiled, "names.txt", "4")[:2] == plain[:2]


def test_the_page_on_microgpt_shows_the_lines_that_differ():
    page = (ROOT / "docs" / "microgpt.md").read_text("utf-8")
    block = page.split("```text\n")[1].split("```")[0]
    own, compiled = (
        (PROGRAMS / f"{name}.py").read_text().splitlines()
        for name in ("own_gpt", "own_gpt_compiled")
    )
    signs = {"-": (own, compiled), "+": (compiled, own), " ": (own, [])}
    for line in filter(str.strip, block.splitlines()):
        there, gone = signs[line[0]]
        text = re.split(r" {4,}(?=\w)", line[1:].rstrip())[0] or line[1:].rstrip()
        text = line[1:].rstrip() if line[1:].startswith("    ") else text
        assert text in there and text not in gone, line


def test_first_run_measures_all_three_ways():
    pytest.importorskip("names")
    pytest.importorskip("resource")
    code = "from bench import first_run; print(sorted(first_run.measure(1, 1)))"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=120, cwd=ROOT
    )
    assert done.stdout == "['as it is', 'compiled', 'swapped']\n", done.stderr
