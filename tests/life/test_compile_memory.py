"""Memory of compiled batches: inputs, outputs and a workspace that no batch size changes."""

import subprocess
import sys

import pytest

pytest.importorskip("resource")  # not on Windows

# Prints by how many bytes the peak rose over what inputs and outputs take.
PEAK = """
import resource
import numpy as np
import micrograd_fast as mg
from micrograd_fast import nn

def peak():
    try:  # Linux: getrusage there starts from the peak of the process that started this one
        with open("/proc/self/status") as lines:
            return next(int(line.split()[1]) << 10 for line in lines if "VmHWM" in line)
    except OSError:
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss

model = nn.MLP(2, [16, 16, 1])
f = mg.compile(FUNCTION, batch=True)
X = np.empty((N, 2))
np.random.default_rng(0).random(out=X)

def run(x):
    CALL

run(X[:100_000])  # traces, makes the workspace, touches what the first call touches
before = peak()
out = run(X)
print(peak() - before - out.nbytes)
"""
FORWARD = """
    with mg.no_grad():
        return f(x).data
"""
MEAN = """
    batch = f(x)
    batch.mean().backward()
    return batch.data
"""
BOTH_SUMS = """
    batch = f(x)
    first, second = batch.sum()
    (first * 2 + second).backward()
    return batch.data
"""
CASES = {
    "forward": ("model", FORWARD),
    "forward of two results": ("lambda x: [model(x), x[0]]", FORWARD),
    "backward of the mean": ("model", MEAN),
    "backward of two sums": ("lambda x: [model(x), x[0] * x[1]]", BOTH_SUMS),
}
WORKSPACE = 4 << 20


def excess(which, n_samples):
    function, call = CASES[which]
    code = PEAK.replace("FUNCTION", function).replace("    CALL\n", call.lstrip("\n"))
    code = code.replace("N, 2", f"{n_samples}, 2")
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-800:]
    return int(done.stdout)


EVERY_CASE = pytest.mark.parametrize("which", CASES)


@EVERY_CASE
def test_a_million_rows_take_a_fixed_workspace(which):
    assert excess(which, 1_000_000) < WORKSPACE


@pytest.mark.slow
@EVERY_CASE
def test_ten_million_rows_take_a_fixed_workspace(which):
    assert excess(which, 10_000_000) < WORKSPACE
