"""Whether the tests notice small faults: `python tools/mutations.py [NAME...]`; --list shows them.

Each mutant of tools/mutants.py is a change of one expression or statement in src/. One build below
build/mutations holds all of them as switches, `mf_mutant == 7 ? instead : text`, of which the
environment variable MF_MUTANT turns one on; 0 is the code as it is. The quick tests run on each,
those of the changed file first, until one fails, crashes or hangs. The exit status says whether any
mutant survived. Needs what the tests need, and os.fork().
"""

import argparse
import contextlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parent.parent
WHERE = ROOT / "build" / "mutations"
SWITCH = """\
extern char *getenv(const char *);
extern int atoi(const char *);
static int mf_mutant;
__attribute__((constructor)) static void mf_mutant_read(void) {
    const char *text = getenv("MF_MUTANT");
    mf_mutant = text ? atoi(text) : 0;
}
"""
DECLARATION = """
cdef extern from *:
    int mf_mutant


def _set_mutant(number):
    global mf_mutant
    mf_mutant = number

"""

# The tests that know most about a file come first.
PLANS = ["passes", "plan", "plan_verify", "compile_row_and_numbers", "compile_unreached",
         "compile_graph", "compile_matrices", "compile_every_expression"]  # fmt: skip
RUNS = ["compile_steps", "compile_matrices", "compile_unreached", "compile_calls",
        "compile_row_and_numbers", "compile_every_expression", "compile_deferred",
        "compile_properties"]  # fmt: skip
CALLS = ["compile_calls", "batches", "compile_arguments", "compile_contract", "seal",
         "compile_safety", "compile_threads", "threads", "compile_deferred"]  # fmt: skip
EAGER = ["ops", "custom_nodes", "lifecycle", "store", "cycles", "finalizers", "conformance",
         "no_grad", "local_grads"]  # fmt: skip
TOPICS = {
    "passes.h": [*PLANS, "powers"], "sums.h": ["sums", *PLANS],
    "facts.h": [*PLANS, "compile_choices"],
    "separate.h": PLANS, "layout.h": PLANS,
    "stretches.h": PLANS, "grouping.h": PLANS,
    "finish.h": [*PLANS, "compile_threads", "compile_safety"],
    "deferred.pxi": ["compile_deferred", *PLANS],
    "value.pxi": ["optim_groups", "custom_rules", "custom_nodes"],
    "operators.pxi": ["ops", "mathematics"],
    "trace.pxi": ["custom_rules", "compile", "compile_safety", "compile_contract",
                  "compile_bad_input", "compile_calls"],
    "program.h": ["program", "hostile_bytes", *PLANS],
    "program.pxi": ["program", "instructions", "hostile_bytes"],
    "workspace.pxi": [*PLANS, "compile_threads", "compile_safety"],
    "errors.pxi": ["compile", "compile_safety", "compile_contract", "compile_bad_input"],
    "reuse.h": ["plan_values"], "verify_values.h": ["plan_values"],
    "verify.h": ["plan_verify"], "tile.h": ["compile", *RUNS],
    "replay.h": ["compile", "vecmath", "denormals", *RUNS],
    "replay_matrix.h": [*RUNS, "optim_none"],
    "matrix.h": RUNS,
    "lanes.h": ["conditions", "vecmath", *RUNS, "powers", "optim", "optim_states", "accuracy"],
    "replay_lanes.h": ["vecmath", *RUNS], "powers.h": ["powers", "accuracy", *RUNS],
    "vectrig.h": ["vecmath", "accuracy", "mathematics"],
    "vecexp.h": ["vecmath", "accuracy", "mathematics"],
    "normal.h": ["vecmath", "accuracy", "mathematics", "ops"],
    "gamma.h": ["accuracy", "mathematics", "ops"],
    "vecmath.h": ["vecmath", "accuracy", "powers", "denormals", "compile_steps"],
    "replay_extremes.h": ["ties"], "extremes.h": ["ties"],
    "reach.h": ["compile_unreached"],
    "nonfinite.h": ["find_nan"], "spelled.h": ["find_nan"], "nonfinite.pxi": ["find_nan"],
    "anomaly.pxi": ["anomaly"],
    "ops.h": ["ops", "table", "gradcheck", "vecmath", "compile_unreached", "derivatives"],
    "eval.h": ["ops", "local_grads", "gradcheck", "accuracy"],
    "node_backward.h": ["ops", "local_grads", "gradcheck", "optim_none"],
    "derivatives.pxi": ["derivatives", "derivatives_of_functions", "conditions",
                        "conditions_in_derivatives", "optim_none"],
    "jacobian_rows.pxi": ["compile_derivatives", "compile_sparse", "conditions"],
    "conditions.pxi": ["conditions"],
    "seal.h": ["seal"],
    "shares.h": ["compile_threads", "threads"], "threads.pxi": ["compile_threads", "threads"],
    "arguments.pxi": CALLS, "run.pxi": ["anomaly", *CALLS, "compile_memory"],
    "gradient.pxi": ["anomaly", *CALLS, "compile_unreached", "optim_none"],
    "dependence.pxi": [*CALLS, "compile_steps"], "numbers.pxi": ["compile_numbers", *CALLS],
    "reached.pxi": ["compile_single_results", "optim_none"],
    "param_gradient.pxi": ["compile_numbers", *CALLS],
    "call_memory.pxi": [*PLANS, "compile_threads", "compile_safety"],
    "results.pxi": CALLS, "seeds.pxi": [*CALLS, "compile_single_results"], "batch.pxi": CALLS,
    "kinds.pxi": ["compile_arguments", *CALLS], "specialization.pxi": ["compile_values", *CALLS],
    "arrays.pxi": ["compile_arrays", *CALLS], "elements.h": ["compile_arrays"],
    "watch.h": ["compile_watch", "compile_methods"],
    "watch.pxi": ["compile_watch", "compile_watch_objects", "compile_methods"],
    "order.pxi": ["anomaly", *EAGER], "order.h": [*EAGER, "optim_none"],
    "state.pxi": [*EAGER, "memory", "concurrency"], "clip.pxi": ["clip", "optim_none"],
    "store.h": ["anomaly", *EAGER, "optim", "modules"], "modules.pxi": ["named", "modules"],
    "params.pxi": ["optim", "optim_states", "optim_groups", "optim_none"],
    "runs.pxi": ["optim", "compile_deferred", "compile_calls"],
}  # fmt: skip
# About sources, other interpreters and documents: no number of the core's is tested there.
ELSEWHERE = ["mutations", "sources", "typing", "bench", "bench_figures", "demo", "package", "docs",
             "readme", "examples", "notebooks", "distributed", "viz"]  # fmt: skip
DESELECTED: list[str] = []


class Mutant(NamedTuple):
    """One change; number: the value of MF_MUTANT that makes it."""

    number: int
    name: str
    file: str
    breaks: str
    start: int  # of what is replaced, in the file
    old: str
    new: str


def source(root: Path, file: str) -> Path:
    """The one file of that name below src/."""
    [path] = (root / "src").rglob(file)
    return path


def mutants() -> list[Mutant]:
    """The list, looked up in the sources. Raises ValueError for a text that is not there once."""
    sys.path.insert(0, str(ROOT / "tools"))
    try:
        from mutants import MUTANTS
    finally:
        sys.path.pop(0)
    found: list[Mutant] = []
    for number, (name, file, breaks, marked, new) in enumerate(MUTANTS, 1):
        before, old, after = marked.replace("}@", "@{").split("@{")
        text = source(ROOT, file).read_text()
        if text.count(before + old + after) != 1:
            times = text.count(before + old + after)
            raise ValueError(f"mutant {name}: its text occurs {times} times in src/{file}")
        start = text.index(before + old + after) + len(before)
        found.append(Mutant(number, name, file, breaks, start, old, new))
    if len({m.name for m in found}) != len(found):
        raise ValueError("two mutants have one name")
    return found


def switched(text: str, m: Mutant) -> str:
    """What stands in the build for the text that a mutant replaces."""
    if not m.file.endswith(".pxi"):
        return f"(mf_mutant == {m.number} ? ({m.new}) : ({m.old}))"
    line = text[text.rfind("\n", 0, m.start) + 1 : m.start]
    if m.new in ("True", "False"):  # types that Cython mixes without Python objects
        change = "mf_mutant == {} or" if m.new == "True" else "mf_mutant != {} and"
        return f"({change.format(m.number)} ({m.old}))"
    if line.strip():
        return f"(({m.new}) if mf_mutant == {m.number} else ({m.old}))"
    return f"if mf_mutant == {m.number}:\n{line}    {m.new}\n{line}else:\n{line}    {m.old}"


def build(chosen: list[Mutant]) -> None:
    """The package with all mutants in it, in build/mutations/lib."""
    tree = WHERE / "tree"
    shutil.rmtree(tree, ignore_errors=True)
    for name in ("src", "micrograd_fast"):
        shutil.copytree(ROOT / name, tree / name, ignore=shutil.ignore_patterns("*.so", "__py*"))
    for name in ("setup.py", "pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, tree / name)
    for m in sorted(chosen, key=lambda m: -m.start):
        path = source(tree, m.file)
        text = path.read_text()
        path.write_text(text[: m.start] + switched(text, m) + text[m.start + len(m.old) :])
    core = tree / "src" / "_core.pyx"
    head, separator, rest = core.read_text().partition("\ninclude ")
    core.write_text(f"{head}\n{DECLARATION}{separator}{rest}")
    (WHERE / "switch.h").write_text(SWITCH)
    flags = f"-O1 -w -include {WHERE / 'switch.h'}"
    command = [sys.executable, "setup.py", "-q", "build", "--build-base", str(WHERE),
               "--build-lib", str(WHERE / "lib")]  # fmt: skip
    subprocess.run(command, cwd=tree, env={**os.environ, "MF_CFLAGS": flags}, check=True)


def preload(tests: list[str]) -> None:
    """Imports the package with the mutants, and the tests: what is forked starts at once."""
    os.chdir(WHERE / "lib")
    sys.path[:0] = [str(WHERE / "lib"), str(ROOT)]
    sys.dont_write_bytecode = True
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    os.environ["PYTHONPATH"] = f"{WHERE / 'lib'}{os.pathsep}{ROOT}"
    from micrograd_fast import _core

    assert _core.__file__.startswith(str(WHERE)), _core.__file__
    with Path(os.devnull).open("w") as null, contextlib.redirect_stdout(null):
        pytest.main(["--collect-only", "-q", "-n0", *paths_of(tests)])


def path_of(test: str) -> Path:
    """The one test file of that name, in whichever folder."""
    [path] = (ROOT / "tests").rglob(f"test_{test}.py")
    return path


def paths_of(tests: list[str]) -> list[str]:
    return ["-p", "no:cacheprovider", *(str(path_of(t)) for t in tests)]


def start(number: int, tests: list[str], to: int) -> int:
    """A process that runs the tests on a mutant."""
    pid = os.fork()
    if pid:
        return pid
    os.setsid()
    os.dup2(to, 1)
    os.dup2(to, 2)
    os.environ["MF_MUTANT"] = str(number)
    from micrograd_fast import _core

    _core._set_mutant(number)
    stop = ["-x"] if number else []
    code = pytest.main(["-q", "-n0", "--tb=no", *stop, *DESELECTED, *paths_of(tests)])
    sys.stdout.flush()
    os._exit(code)


class Run:
    """The tests of one mutant under way: those of its topic, then the others."""

    def __init__(self, m: Mutant, stages: list[list[str]], seconds: float) -> None:
        self.m, self.stages, self.seconds = m, stages, seconds
        self.next()

    def next(self) -> None:
        self.out = tempfile.TemporaryFile("w+")  # noqa: SIM115
        self.pid = start(self.m.number, self.stages.pop(0), self.out.fileno())
        self.end = time.monotonic() + self.seconds

    def look(self) -> str | None:
        """How the mutant was noticed, "" if it was not; None: not known yet."""
        done, status = os.waitpid(self.pid, os.WNOHANG)
        if not done:
            if time.monotonic() < self.end:
                return None
            os.killpg(self.pid, signal.SIGKILL)
            os.waitpid(self.pid, 0)
            return "hangs"
        self.out.seek(0)
        text = self.out.read()
        self.out.close()
        if status == 0 and self.stages:
            self.next()
            return None
        return failure(status, text)


def failure(status: int, text: str) -> str:
    """The test that failed, in words; "": none."""
    if status == 0:
        return ""
    lines = [k for k in text.splitlines() if k.startswith(("FAILED", "ERROR"))]
    if lines:
        return ", ".join(k.split(" - ")[0].rpartition("/")[2] for k in lines)
    code = os.waitstatus_to_exitcode(status)
    return f"crash, signal {-code}" if code < 0 else f"status {code}: {text[-200:]}"


def rest_of(tests: list[str]) -> list[str]:
    """The quick tests beside these."""
    every = sorted(p.stem.removeprefix("test_") for p in (ROOT / "tests").rglob("test_*.py"))
    return [name for name in every if name not in tests and name not in ELSEWHERE]


def leave_out(tests: list[str]) -> None:
    """Runs the tests without a mutant: what fails then is not asked."""
    r = Run(Mutant(0, "none", "", "", 0, "", ""), [tests], 1e9)
    while (how := r.look()) is None:
        time.sleep(0.05)
    for test in filter(None, how.split(", test_")):
        file, _, rest = test.removeprefix("test_").partition(".py::")
        print(f"fails without a mutant, left out: test_{file}.py::{rest}", flush=True)
        # As pytest names tests: a path that is absolute deselects nothing.
        DESELECTED.append(f"--deselect={path_of(file).relative_to(ROOT).as_posix()}::{rest}")


def run(chosen: list[Mutant], args: argparse.Namespace) -> int:
    """Prints a line a mutant as it is decided; how many survived."""
    topics = sorted({name for m in chosen for name in TOPICS[m.file]})
    preload(topics if args.topics else topics + rest_of(topics))
    if not args.unchecked:  # slow, but what fails anyway would notice everything
        leave_out(topics if args.topics else topics + rest_of(topics))
    waiting = [(m, [TOPICS[m.file]], args.timeout) for m in chosen]
    if not args.topics:
        waiting = [(m, [t, rest_of(t)], seconds) for m, [t], seconds in waiting]
    survivors, running = 0, set()
    while waiting or running:
        while waiting and len(running) < args.jobs:
            running.add(Run(*waiting.pop(0)))
        time.sleep(0.05)
        for r in list(running):
            how = r.look()
            if how is None:
                continue
            running.remove(r)
            survivors += not how
            print(f"{r.m.file:16} {r.m.name:24} {how or 'SURVIVED: ' + r.m.breaks}", flush=True)
    print(f"{len(chosen)} mutants, {survivors} survived")
    return survivors


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("names", nargs="*", help="of mutants, or of files in src/; none: all")
    parser.add_argument("--list", action="store_true", help="only list the mutants")
    parser.add_argument("--topics", action="store_true", help="only the tests of the changed file")
    parser.add_argument("--built", action="store_true", help="use the build that is there")
    parser.add_argument("--unchecked", action="store_true", help="do not run the tests without one")
    parser.add_argument("--deselect", action="append", default=[], help="a test's name to pytest")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1)
    parser.add_argument("--timeout", type=float, default=600.0, help="seconds; more is a hang")
    args = parser.parse_args()
    DESELECTED.extend(f"--deselect={test}" for test in args.deselect)
    every = mutants()
    chosen = [m for m in every if not args.names or {m.name, m.file} & set(args.names)]
    unknown = set(args.names) - {m.name for m in every} - {m.file for m in every}
    if unknown:
        parser.error(f"no mutant is called {', '.join(sorted(unknown))}")
    if args.list:
        print("\n".join(f"{m.file:16} {m.name:24} {m.breaks}" for m in chosen))
        return 0
    if not args.built:
        build(every)
    return run(chosen, args) > 0


if __name__ == "__main__":
    sys.exit(main())
