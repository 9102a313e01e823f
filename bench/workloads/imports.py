"""Seconds and memory of the bare import, over those of a bare Python that starts."""

import json
import subprocess
import sys

from ..case import Case
from ..process import PATH, ROOT

NAME = "import"
TITLE = "import: time and memory of the bare import, in a fresh process"
WORDS = "the import"
UNIT = "import"
FULL = TOY = {}

PROGRAM = """
import time
def memory():
    try:
        with open("/proc/self/status") as lines:
            return next(int(line.split()[1]) * 1024 for line in lines if "VmRSS" in line)
    except OSError:
        import resource
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
before = memory()
start = time.perf_counter()
exec(sys.argv[2])
seconds = time.perf_counter() - start
print([seconds, memory() - before])
"""


class Import(Case):
    """Times inside the child: what is reported is the import alone, not the start of Python."""

    has_setup = False
    phases = ("import",)

    def __init__(self, statement):
        self.statement = statement
        self.memory = 0

    def step(self):
        command = [sys.executable, "-c", PATH + PROGRAM, str(ROOT), self.statement]
        text = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        seconds, memory = json.loads(text.splitlines()[-1])
        self.memory = max(self.memory, memory)
        return seconds

    def turn(self, steps):
        return {"import": sum(self.step() for _ in range(steps))}

    def numbers(self, out):
        return {}


def make():
    return {}


def case(engine):
    """The same case for every engine that names its import."""
    return Import(engine.IMPORT)
