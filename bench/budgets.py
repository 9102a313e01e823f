"""The budgets of speed and memory: what each asks for, what was measured, whether it is met.

Usage: python -m bench.budgets [RUN.json]

Ratios to other engines are those of a saved run (python -m bench --json RUN.json; the newest in
bench/results if none is named). What compiled code is measured against itself by is measured here,
in turns, on one core but for the row about threads; a minute. Exits with 1 where one is missed.
"""

import argparse
import json
import os
import random
import resource
import statistics
import subprocess
import sys
from itertools import pairwise
from pathlib import Path
from time import perf_counter

import numpy as np
from rich.console import Console
from rich.table import Table

import micrograd_fast as mg
from micrograd_fast import nn, optim
from micrograd_fast.engine import Value

from . import custom_ops, derivative_budgets, styles
from .engines.compiled import CASES
from .registry import load_workload
from .scalar import option_price
from .texts import short

RESULTS = Path(__file__).parent / "results"
SIZES = (784, 128, 128, 1)
ROWS = 10_000_000  # of options, for the memory of a call


def in_turns(*calls, rounds=30, seconds=0.01):
    """The median seconds of each call; they take turns, so that drift hits all alike."""
    repeats = []
    for call in calls:
        call()
        start = perf_counter()
        call()
        repeats.append(max(1, int(seconds / (perf_counter() - start))))
    times = [[] for _ in calls]
    for _ in range(rounds):
        for call, n, found in zip(calls, repeats, times, strict=True):
            start = perf_counter()
            for _ in range(n):
                call()
            found.append((perf_counter() - start) / n)
    return [statistics.median(found) for found in times]


# ---- from a saved run ----


def from_run(run):
    """[(what, measured, "<=" or ">=", limit, unit)] of the budgets that compare engines."""
    by_row = {(r["workload"], r["row"], r["size"]): r for r in run["results"]}

    def seconds(workload, row):
        return by_row[workload, row, None]["seconds"]["median"]

    def ratio(workload, slow, fast):
        return seconds(workload, slow) / seconds(workload, fast)

    def per_node(phase, sizes):
        chains = [by_row["chain", "eager", n]["phases"][phase] / n for n in sizes]
        return max(chains) * 1e9

    cached, all_sizes = (1000, 10_000, 100_000), (1000, 10_000, 100_000, 1_000_000, 10_000_000)
    own = "eager (micrograd's nn)"
    return [
        ("moons, eager: micrograd / ours", ratio("moons", "micrograd", "eager"), ">=", 600, ""),
        ("the same with micrograd's nn.py", ratio("moons", "micrograd", own), ">=", 250, ""),
        ("names, eager: pure Python / ours", ratio("names", "pure", "eager"), ">=", 40, ""),
        ("backward, graph in cache", per_node("backward", cached), "<=", 8, "ns a node"),
        ("backward, 10 million nodes", per_node("backward", all_sizes[-1:]), "<=", 20, "ns a node"),
        ("freeing", per_node("free", all_sizes), "<=", 5, "ns a node"),
        ("import, over bare Python", seconds("import", "eager") * 1e3, "<=", 15, "ms"),
        ("moons, compiled / JAX", ratio("moons", "compiled", "jax"), "<=", 0.5, ""),
        ("moons, compiled / PyTorch", ratio("moons", "compiled", "torch"), "<=", 0.1, ""),
        ("names: pure Python / compiled", ratio("names", "pure", "compiled"), ">=", 3000, ""),
        ("names, compiled / JAX", ratio("names", "compiled", "jax"), "<=", 0.5, ""),
        ("names, compiled", seconds("names", "compiled") * 1e6, "<=", 60, "us"),
        ("mnist_size, compiled / PyTorch", ratio("mnist_size", "compiled", "torch"), "<=", 1.0, ""),
        *derivative_budgets.from_run(by_row),
    ]


# ---- measured here ----


def hinge_loss(sizes=(2, 16, 16, 1), activation="relu"):
    random.seed(1)
    model = nn.MLP(sizes[0], list(sizes[1:]), activation=activation)
    return model, mg.compile(lambda x, y: (1 - y * model(x)).relu(), batch=True)


def samples(n, width=2):
    X = np.random.default_rng(1).normal(size=(n, width))
    return X, np.sign(X[:, 0])


def without_gradient(function, *args):
    with mg.no_grad():
        return function(*args)


def call_costs():
    p, x = mg.Value(2.0), np.ones((1, 2))
    alone = mg.compile(lambda: p * 2.0)
    arrays = mg.compile(lambda a, b: a[0] * b[1], batch=True)
    model, _ = hinge_loss()
    q = mg.Value(1.5)
    loss = (q * 2.0 + 1.0) * q + q
    sgd = optim.SGD(model.parameters(), lr=0.01)
    found = in_turns(alone, lambda: arrays(x, x), loss.backward, sgd.zero_grad, sgd.step)
    names = (
        ("a call without arguments", 1.5),
        ("a call with two arrays", 1.5),
        ("backward() over a handful of nodes", 0.5),
        ("zero_grad(), 337 parameters", 1.0),
        ("SGD's step(), 337 parameters", 1.0),
    )
    return [
        (name, s * 1e6, "<=", limit, "us") for (name, limit), s in zip(names, found, strict=True)
    ]


def trace_cost():
    """Tracing and compiling the largest network of the bench."""
    workload = load_workload("mnist_size")
    sizes = workload.make(**workload.FULL)["sizes"]
    X = np.ones((1, sizes[0]))
    model = nn.MLP(sizes[0], list(sizes[1:]))
    seconds = []
    for _ in range(5):
        loss = mg.compile(lambda x: mg.functional.cross_entropy(model(x), 3), batch=True)
        start = perf_counter()
        loss(X)
        seconds.append(perf_counter() - start)
    n_nodes = 2 * sum(a * b for a, b in pairwise(sizes))  # a product and a sum for each weight
    cost = statistics.median(seconds) / n_nodes * 1e9
    return [("trace and compile, mnist_size", cost, "<=", 300, "ns a node")]


def doors():
    """The same numbers by another way of calling."""
    found = []
    for name, sizes, batch in (("moons", (2, 16, 16, 1), 100), ("784-128-128-1", SIZES, 64)):
        model, loss = hinge_loss(sizes)
        params, (X, y) = model.parameters(), samples(batch, sizes[0])
        graph, array = in_turns(
            lambda loss=loss, X=X, y=y: loss(X, y).mean().backward(),
            lambda loss=loss, X=X, y=y, params=params: loss.value_and_grad(X, y, params=params),
        )
        found.append(
            (f"{name}: value_and_grad(params=) / backward()", array / graph, "<=", 1.2, "")
        )
    product = mg.compile(lambda x: x[0] * x[1])
    total = mg.compile(lambda x: sum(x))
    squares = mg.compile(lambda x: [v * v for v in x])
    rows = mg.compile(lambda x: x[0] * x[1] + x[2], batch=True)
    columns, numbers = samples(100, 3)[0].copy(order="F"), samples(1000, 1)[0][:, 0].tolist()
    widths = [np.ones(n) for n in range(2, 10)]
    measured = in_turns(
        lambda: product.value_and_grad(widths[0]),
        lambda: [total(x) for x in widths],
        lambda: rows(columns),
        lambda: total(numbers),
        lambda: squares.values(numbers[:300]),
    )
    limits = (
        ("value and gradient of an array of 2", 1, 1.0),
        ("a call, 8 signatures in turn", len(widths), 1.5),
        ("a batch of 100 rows, Fortran order", 1, 3.0),
        ("a list of 1,000 floats", 1, 8.0),
        ("300 results as an array", 1, 5.0),
    )
    return found + [
        (name, 1e6 * s / n, "<=", limit, "us")
        for (name, n, limit), s in zip(limits, measured, strict=True)
    ]


def activations():
    X, y = samples(100)

    def step(loss):
        return lambda: loss(X, y).mean().backward()

    relu, tanh = in_turns(step(hinge_loss()[1]), step(hinge_loss(activation="tanh")[1]))
    return [("moons: tanh / ReLU network", tanh / relu, "<=", 1.5, "")]


def ways_to_write_powers():
    """Each over its best form, with gradient."""
    x = np.random.default_rng(1).uniform(0.5, 2.0, (10_000, 16))

    def over(of_one):
        f = mg.compile(lambda row: sum(of_one(v) for v in row), batch=True)
        return lambda: f.value_and_grad(x)

    forms = (
        ("x**4 / x*x*x*x", lambda v: v**4, lambda v: v * v * v * v),
        ("x**-2 / (1/(x*x))", lambda v: v**-2, lambda v: 1 / (v * v)),
        ("x**-0.5 / (1/x.sqrt())", lambda v: v**-0.5, lambda v: 1 / v.sqrt()),
    )
    found = []
    for name, power, best in forms:
        slow, fast = in_turns(over(power), over(best), rounds=10)
        found.append((name, slow / fast, "<=", 1.5, ""))
    return found


def numbers_out_of_the_way():
    """What samples far from the others cost: numbers below the normal ones, sines of large ones."""
    means = [Value(m) for m in np.linspace(-1, 1, 25)]

    def log_density(x, far):
        logs = [-0.5 * (x - m) ** 2 - far * (k > 0) for k, m in enumerate(means)]
        top = mg.maximum(*logs)
        return top + sum((a - top).exp() for a in logs).log()

    density, sine = mg.compile(log_density, batch=True), mg.compile(lambda x: x.sin(), batch=True)
    rng = np.random.default_rng(1)
    x, near, far = rng.normal(size=4000), np.full(4000, 5.0), rng.uniform(690, 736, 4000)
    angles = rng.uniform(-3, 3, 100_000)
    some_large = np.where(rng.random(angles.size) < 0.005, 1e9, angles)
    usual, faded = in_turns(
        lambda: density.value_and_grad(x, near), lambda: density.value_and_grad(x, far)
    )
    small, large = in_turns(
        lambda: sine.value_and_grad(angles), lambda: sine.value_and_grad(some_large)
    )
    return [
        ("mixture: components of 1e-310 / of 1e-3", faded / usual, "<=", 1.2, ""),
        ("sin: one in 200 beyond a million / none", large / small, "<=", 2.0, ""),
    ]


def adjoint_factors():
    found = []
    for name, sizes, batch in (
        ("moons", (2, 16, 16, 1), 100),
        ("64-32-1", (64, 32, 1), 64),
        ("784-128-128-1", (784, 128, 128, 1), 64),
    ):
        _, loss = hinge_loss(sizes)
        X, y = samples(batch, sizes[0])
        value, both = in_turns(
            lambda loss=loss, X=X, y=y: without_gradient(loss, X, y),
            lambda loss=loss, X=X, y=y: loss(X, y).mean().backward(),
        )
        found.append((f"{name}: with gradient / value", both / value, "<=", 3.0, ""))
    price = mg.compile(lambda option: option_price(*option), batch=True)
    options = draw_options(100_000)
    value, both = in_turns(
        lambda: without_gradient(price, options), lambda: price.value_and_grad(options), rounds=15
    )
    found.append(("black_scholes: with gradient / value", both / value, "<=", 2.5, ""))
    return found


def objectives():
    """ADBench's, against themselves: what the gradient costs over the value."""
    found = []
    for name in ("lstm", "gmm"):
        workload = load_workload(name)
        case = CASES[name](workload.make(**workload.FULL))
        case.setup()
        value, both = in_turns(lambda case=case: without_gradient(case.value), case.step, rounds=9)
        found.append((f"{name}: with gradient / value", both / value, "<=", 3.5, ""))
    return found


def threads():
    """Two threads over one, in turns; nothing where there is one core."""
    if (os.cpu_count() or 1) < 2:
        return []
    _, loss = hinge_loss()
    X, y = samples(2_000_000)

    def step(n):
        def run():
            mg.set_num_threads(n)
            loss(X, y).mean().backward()

        return run

    one, two = in_turns(step(1), step(2), rounds=10)
    mg.set_num_threads(1)
    return [("2,000,000 samples: one thread / two", one / two, ">=", 1.7, "")]


def draw_options(n):
    rng = np.random.default_rng(1)
    low, high = (80.0, 80.0, 0.1, 0.0, 0.1), (120.0, 120.0, 2.0, 0.05, 0.5)
    return rng.uniform(low, high, size=(n, 5))


def peak():
    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return size if sys.platform == "darwin" else size * 1024


def report_memory():
    """In a process of its own: bytes above inputs and outputs that pricing ROWS options takes."""
    price = mg.compile(lambda option: option_price(*option), batch=True)
    options = draw_options(ROWS)
    price.value_and_grad(options[:1000])
    before = peak()
    values, gradients = price.value_and_grad(options)
    print(peak() - before - values.nbytes - gradients.nbytes)


def memory():
    done = subprocess.run(
        [sys.executable, "-m", "bench.budgets", "--memory"],
        capture_output=True, text=True, check=True, cwd=Path(__file__).parents[1],
    )  # fmt: skip
    used = max(0, int(done.stdout)) / 2**20
    return [("black_scholes, 10 million rows, memory", used, "<=", 64, "MiB")]


def ops_on_results():
    return custom_ops.ops_on_results(in_turns)


def derivatives():
    return derivative_budgets.of_workloads(in_turns, load_workload)


MEASURED = (
    call_costs,
    doors,
    custom_ops.moons,
    ops_on_results,
    trace_cost,
    activations,
    ways_to_write_powers,
    numbers_out_of_the_way,
    adjoint_factors,
    objectives,
    styles.budgets,
    derivatives,
    derivative_budgets.of_making,
    threads,
    memory,
)


def show(rows):
    """Prints the rows; how many budgets were missed."""
    table = Table("budget", "measured", "limit", "met")
    for column in table.columns[1:3]:
        column.justify = "right"
    missed = 0
    for what, measured, sense, limit, unit in rows:
        met = measured <= limit if sense == "<=" else measured >= limit
        missed += not met
        figure = f"{short(measured)} {unit}".strip()
        table.add_row(what, figure, f"{sense} {limit}", "yes" if met else "NO")
    Console().print(table)
    return missed


def main():
    parser = argparse.ArgumentParser("python -m bench.budgets", description=__doc__.split("\n")[0])
    parser.add_argument("run", nargs="?", type=Path, help="saved by python -m bench --json")
    parser.add_argument("--memory", action="store_true", help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.memory:
        return report_memory()
    path = args.run or max(RESULTS.glob("*.json"))
    print(f"ratios to other engines: {path}")
    rows = from_run(json.loads(path.read_text()))
    for measure in MEASURED:
        rows += measure()
    return 1 if show(rows) else 0


if __name__ == "__main__":
    sys.exit(main())
