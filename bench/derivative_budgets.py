"""The budgets of derivatives: Jacobians and Hessians of workloads, and the cost of making them."""

import statistics
from time import perf_counter

import numpy as np

import micrograd_fast as mg

from .engines.compiled import CASES
from .registry import load_workload
from .scalar import rosenbrock

MICROSECONDS = {
    "rosenbrock_hessian": 15,
    "oscillator": 15,
    "lotka_volterra": 100,
    "brusselator": 120,
    "hand": 250,
    "hand_large": 450,
    "hand_complicated": 600,
    "ba": 6000,
    "ba_large": 52_000,
}
OF_OTHERS = {
    ("kmeans", "jax"): 0.7,
    ("moons_hvp", "jax"): 0.3,
    ("options", "ddx"): 0.7,
    ("options", "jax"): 0.8,
    ("functions", "jax"): 1.0,
}


def from_run(by_row):
    """The rows that compare engines, as far as a saved run has them."""
    rows = []
    for (workload, peer), limit in OF_OTHERS.items():
        found = [by_row.get((workload, row, None)) for row in ("compiled", peer)]
        if all(found):
            compiled, other = (r["seconds"]["median"] for r in found)
            rows.append((f"{workload}, compiled / {peer}", compiled / other, "<=", limit, ""))
    return rows


def case(name, load):
    workload = load(name)
    made = CASES[name](workload.make(**workload.FULL))
    made.setup()
    return made


def of_workloads(in_turns, load=load_workload):
    """Each by itself: there is nothing to compare it with."""
    rows = []
    for name, limit in MICROSECONDS.items():
        (seconds,) = in_turns(case(name, load).step)
        rows.append((f"{name}: a derivative", seconds * 1e6, "<=", limit, "us"))
    made = case("rosenbrock_hessian", load)
    (seconds,) = in_turns(lambda: made.f.hessian(made.data["x"], sparse=True))
    rows.append(("rosenbrock_hessian, sparse", seconds * 1e6, "<=", 5, "us"))
    return rows


def of_making(n=3000, rounds=5):
    """Trace and compile of second derivatives; the pattern of a large Jacobian is found in it."""
    x = np.linspace(-1.0, 1.0, n)
    times = []
    for _ in range(rounds):
        f = mg.compile(rosenbrock)
        start = perf_counter()
        f.hvp(x, x)
        seconds = perf_counter() - start
        (traces,) = [
            v._traces for key, v in f._traces.derived.items() if key[0] == "second tangent"
        ]
        (trace,) = traces.by_signature.values()
        times.append(seconds / len(trace.traced) * 1e9)
    nanoseconds = statistics.median(times)
    return [("trace and compile, a second derivative", nanoseconds, "<=", 300, "ns a node")]
