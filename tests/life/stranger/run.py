"""Runs many drawn programs, in processes of their own so that a crash is caught and shrunk too.

    python tests/life/stranger/run.py --programs 20000 --seed 1 --variant avx2 --features

Written from the documentation alone; keep it so. generator.py and its pieces draw, referee*.py and
pulling.py compute, judge.py compares, shrink.py makes failures small.
"""

import argparse
import functools
import json
import os
import pathlib
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE))

import generator  # noqa: E402
import judge  # noqa: E402
import shrink  # noqa: E402


def set_variant(name):
    """Whether the kernels of that name can run here; from then on they do."""
    if name is None:
        return True
    from micrograd_fast import _core

    return _core._set_kernel_variant(name) is not False


class Tally:
    """What many programs gave together."""

    def __init__(self):
        self.programs = self.real = 0
        self.mostly_real = 0  # programs in which most comparisons were real ones
        self.excused, self.features = Counter(), Counter()
        self.faults = []  # (seed, messages)

    def add(self, seed, verdict, features):
        self.programs += 1
        self.real += verdict.real
        self.excused += verdict.excused
        self.features += features
        self.mostly_real += verdict.real > sum(verdict.excused.values())
        if verdict.faults:
            self.faults.append((seed, verdict.faults))

    def text(self):
        lines = [
            f"{self.programs} programs, {self.real} numbers compared, {len(self.faults)} faults"
        ]
        lines += [f"  excused {n}: {why}" for why, n in self.excused.most_common()]
        lines.append(f"  mostly real: {self.mostly_real} programs")
        return "\n".join(lines)


def check(seeds, budget=1.0, tally=None, begin=None):
    """Draws and judges the programs of these seeds."""
    tally = tally or Tally()
    for seed in seeds:
        if begin:
            begin(seed)
        source, features = generator.program(seed, budget)
        tally.add(seed, judge.judge(source), features)
    return tally


def kind(fault):
    """What a shrunk program must go on showing: the sort of a fault, not its numbers."""
    return "number" if " is np.float64" in fault else fault.split(":")[0]


def minimal(source, seconds=60.0):
    """The shrunk program, and what it shows."""
    first = judge.judge(source).faults
    wanted = kind(first[0])

    def late(*_):
        raise TimeoutError

    def fails(text):
        if "default_rng()" in text:  # without a seed it shows something else every time
            return False
        signal.setitimer(signal.ITIMER_REAL, 3.0)  # an edited loop may run for ever
        try:
            faults = judge.judge(text).faults
        except Exception:
            return False
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
        return bool(faults) and kind(faults[0]) == wanted

    before = signal.signal(signal.SIGALRM, late)
    try:
        small = shrink.shrink(source, fails, seconds)
    finally:
        signal.signal(signal.SIGALRM, before)
    return small, judge.judge(small).faults


def report(seed, source, faults):
    return "\n".join([f"seed {seed}: " + "; ".join(faults), judge.pasted(source)])


def _worker(arguments):
    """Judges programs and prints a line for each: JSON, flushed, so that a crash names its seed."""
    if not set_variant(arguments.variant):
        return 3
    for seed in range(arguments.seed, arguments.seed + arguments.programs):
        print(json.dumps({"begin": seed}), flush=True)
        tally = check([seed], arguments.budget)
        line = {"seed": seed, "real": tally.real, "excused": tally.excused}
        line |= {"features": tally.features, "faults": tally.faults}
        print(json.dumps(line), flush=True)
    return 0


def _source_worker(arguments):
    """Judges the program on standard input."""
    set_variant(arguments.variant)
    verdict = judge.judge(sys.stdin.read())
    print(verdict)
    return 4 if verdict.faults else 0


def _command(arguments, *more):
    command = [sys.executable, str(HERE / "run.py"), *more, "--budget", str(arguments.budget)]
    return command + (["--variant", arguments.variant] if arguments.variant else [])


def crash_of(source, variant):
    """The signal that ends a process which runs the program; 0 if none does."""
    set_variant(variant)
    child = os.fork()
    if not child:
        try:
            signal.alarm(5)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
            judge.run_package(source)
        finally:
            os._exit(0)
    status = os.waitpid(child, 0)[1]
    return os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0


def crashes_here(source, variant):
    """Whether a process that runs the program ends by a signal; not by the alarm."""
    return crash_of(source, variant) not in (0, signal.SIGALRM)


def run(arguments):
    """All programs, in child processes of `--piece` programs each; crashes do not end it."""
    tally, crashes = Tally(), []
    seed, end = arguments.seed, arguments.seed + arguments.programs
    start = time.monotonic()
    while seed < end:
        count = min(arguments.piece, end - seed)
        worker = ["--worker", "--seed", str(seed), "--programs", str(count)]
        at = seed
        with (
            tempfile.TemporaryFile("w+") as errors,
            subprocess.Popen(
                _command(arguments, *worker), stdout=subprocess.PIPE, stderr=errors, text=True
            ) as child,
        ):
            for line in child.stdout:
                entry = json.loads(line)
                if "begin" in entry:
                    at = entry["begin"]
                    continue
                verdict = judge.Verdict(entry["real"], Counter(entry["excused"]))
                verdict.faults = [f for _, faults in entry["faults"] for f in faults]
                tally.add(entry["seed"], verdict, Counter(entry["features"]))
                if verdict.faults:
                    print(f"fault {entry['seed']}: {verdict.faults[0]}", flush=True)
            code = child.wait()
            errors.seek(0)
            error = errors.read()
        if code == 3:
            print(f"{arguments.variant}: these kernels cannot run here")
            return tally, crashes
        if code:
            crashes.append((at, code))
            print(f"crash {at}: exit {code}\n{error[-1500:]}", flush=True)
            seed = at + 1
        else:
            seed += count
        done = seed - arguments.seed
        if done % (10 * arguments.piece) < arguments.piece:
            print(f"{done} done, {time.monotonic() - start:.0f} s", flush=True)
    return tally, crashes


def main(argv=None):
    parser = argparse.ArgumentParser()
    parser.add_argument("--programs", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--variant", choices=["portable", "avx2", "avx512"])
    parser.add_argument("--piece", type=int, default=200, help="programs in one process")
    parser.add_argument("--budget", type=float, default=1.0, help="below 0.5: small programs")
    parser.add_argument("--shrink", type=int, default=3, help="how many faults are made small")
    parser.add_argument("--features", action="store_true", help="print what was drawn, how often")
    parser.add_argument("--worker", action="store_true", help=argparse.SUPPRESS)
    parser.add_argument("--source", action="store_true", help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    if arguments.worker:
        return _worker(arguments)
    if arguments.source:
        return _source_worker(arguments)
    tally, crashes = run(arguments)
    print(tally.text())
    if arguments.features:
        for name, n in sorted(tally.features.items()):
            print(f"  {n:7d} {name}")
    for seed, code in crashes[: arguments.shrink]:
        source = generator.program(seed, arguments.budget)[0]
        if crashes_here(source, variant=arguments.variant):
            fails = functools.partial(crashes_here, variant=arguments.variant)
            source = shrink.shrink(source, fails, 120.0)
            print(report(seed, source, [f"the process ends with {code}"]))
        else:
            print(f"seed {seed} ends with {code} only after the programs before it")
    set_variant(arguments.variant)
    for seed, _ in tally.faults[: arguments.shrink]:
        small, faults = minimal(generator.program(seed, arguments.budget)[0])
        print(report(seed, small, faults))
    return 1 if tally.faults or crashes else 0


if __name__ == "__main__":
    sys.exit(main())
