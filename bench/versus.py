"""This checkout's build against another one's, in turns: what a change costs or saves.

Usage: python -m bench.versus OTHER_CHECKOUT [-w WORKLOAD ...] [--rounds N]

Each build has a process of its own with micrograd_fast's rows of the bench; they take turns of some
milliseconds, so that a machine's moods hit both alike. Prints the median of the ratios round by
round, this build over the other: below 1 this one is faster. Both must be built in place.
"""

import argparse
import json
import os
import statistics
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
WORKLOADS = (
    "moons",
    "digits",
    "mnist_size",
    "names",
    "black_scholes",
    "rosenbrock",
    "small",
    "tiny",
)
ROWS = (("eager", "eager"), ("compiled", "compiled"))  # engine, row

# Runs in either checkout, so it uses only what both have.
WORKER = """
import json, sys
from time import perf_counter
from bench.registry import load_workload
from importlib import import_module

cases = {}
for line in sys.stdin:
    engine, name, seconds = json.loads(line)
    if (engine, name) not in cases:
        workload = load_workload(name)
        case = import_module(f"bench.engines.{engine}").CASES[name](workload.make(**workload.FULL))
        case.setup()
        start = perf_counter()
        case.turn(case.period)
        once = (perf_counter() - start) / case.period
        cases[engine, name] = case, once
    case, once = cases[engine, name]
    steps = max(1, round(seconds / once / case.period)) * case.period
    once = sum(case.turn(steps).values()) / steps
    cases[engine, name] = case, once
    print(json.dumps(once), flush=True)
"""


def start(checkout):
    env = {**os.environ, "PYTHONPATH": str(checkout)}
    return subprocess.Popen(
        [sys.executable, "-c", WORKER],
        cwd=checkout,
        env=env,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )


def ask(process, *question):
    print(json.dumps(question), file=process.stdin, flush=True)
    line = process.stdout.readline()
    if not line:
        raise SystemExit(f"{process.args[0]} in {question}: exit code {process.wait()}")
    return json.loads(line)


def compared(builds, engine, name, rounds, seconds):
    """Median seconds of this build, and the quartiles of its ratios to the other's."""
    for process in builds:
        ask(process, engine, name, seconds)
    own, ratios = [], []
    for k in range(rounds):
        order = builds if k % 2 else builds[::-1]
        took = {id(process): ask(process, engine, name, seconds) for process in order}
        this, other = (took[id(process)] for process in builds)
        own.append(this)
        ratios.append(this / other)
    low, middle, high = statistics.quantiles(ratios, n=4)
    return statistics.median(own), low, middle, high


def main(argv=None):
    parser = argparse.ArgumentParser(prog="python -m bench.versus", description=__doc__)
    parser.add_argument("other", type=Path, help="the other checkout")
    parser.add_argument("-w", dest="workloads", nargs="+", choices=WORKLOADS, default=WORKLOADS)
    parser.add_argument("-e", dest="engines", nargs="+", choices=[e for e, _ in ROWS])
    parser.add_argument("--rounds", type=int, default=21)
    parser.add_argument("--seconds", type=float, default=0.03, help="a turn (default: 0.03)")
    args = parser.parse_args(argv)
    builds = [start(ROOT), start(args.other.resolve())]
    try:
        for engine in args.engines or [e for e, _ in ROWS]:
            for name in args.workloads:
                if engine == "eager" and name in ("mnist_size", "black_scholes"):
                    continue  # seconds a step
                own, low, middle, high = compared(builds, engine, name, args.rounds, args.seconds)
                print(
                    f"{name:14} {engine:9} {own * 1e6:12.2f} us   "
                    f"{middle:.3f}  ({low:.3f} to {high:.3f})",
                    flush=True,
                )
    finally:
        for process in builds:
            process.kill()


if __name__ == "__main__":
    main()
