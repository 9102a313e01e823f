"""What of the core knows no Python, by itself: each program of this folder, with the sanitizers."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

HERE = Path(__file__).resolve().parent
SRC = HERE.parent.parent / "src"
PROGRAMS = sorted(HERE.glob("*.c"))
pytestmark = pytest.mark.skipif(not SRC.is_dir(), reason="the tests run without the sources")

# Unoptimised: the kernels take three times as long to be compiled as to run.
FLAGS = ["-std=c11", "-O0", "-g", "-Wall", "-Wextra", "-Werror", "-fopenmp-simd"]
# A program uses a part of what is in a header.
FLAGS += ["-Wno-unused-function", "-Wno-unused-variable", "-Wno-unused-const-variable"]
SANITIZE = ["-fsanitize=address,undefined", "-fno-sanitize-recover=undefined"]
# The core's own flags of floating point (setup.py).
EXACT = ["-ffp-contract=off", "-fno-math-errno", "-fno-trapping-math", "-fno-builtin-pow"]


def compiled(source, program):
    """Whether it could be; what the compiler said."""
    command = ["gcc", *FLAGS, *EXACT, *SANITIZE, f"-I{SRC}", str(source), "-lm", "-o", str(program)]
    done = subprocess.run(command, capture_output=True, text=True)
    return done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def sanitizers(tmp_path_factory):
    if shutil.which("gcc") is None:
        pytest.skip("no gcc")
    folder = tmp_path_factory.mktemp("none")
    (folder / "none.c").write_text("int main(void) { return 0; }\n")
    if not compiled(folder / "none.c", folder / "none")[0]:
        pytest.skip("gcc has no sanitizers")


@pytest.mark.usefixtures("sanitizers")
@pytest.mark.parametrize("source", PROGRAMS, ids=lambda path: path.stem)
def test_the_program_finds_nothing_wrong(source, tmp_path):
    program = tmp_path / source.stem
    done, said = compiled(source, program)
    assert done, said
    # `make sanitize` preloads a sanitizer of its own into Python.
    ours = {"LD_PRELOAD", "ASAN_OPTIONS", "UBSAN_OPTIONS"}
    env = {name: text for name, text in os.environ.items() if name not in ours}
    ran = subprocess.run([program], capture_output=True, text=True, env=env, timeout=300)
    assert ran.returncode == 0, ran.stderr


def test_there_are_programs():
    assert PROGRAMS
