"""`python -m bench.first_run`: a GPT with a Value of its own, as it is, swapped and compiled.

Runs `programs/own_gpt.py` with plain Python, the same with `micrograd-fast run --swap-value`, and
`programs/own_gpt_compiled.py`, in turns, each for as many names, and checks that they print the
same losses. A step is what a whole run takes more than a run of no steps, over the steps: the
traces of the compiled one are in it. Times are processor time, which other programs disturb less.
"""

import argparse
import statistics
import subprocess
import sys
import tempfile
from pathlib import Path

from .machine import cpu_model
from .workloads.names import first_names

PROGRAMS = Path(__file__).parent / "programs"
OWN = [str(PROGRAMS / "own_gpt.py")]
WAYS = {
    "as it is": OWN,
    "swapped": ["-m", "micrograd_fast", "run", "--swap-value", *OWN],
    "compiled": [str(PROGRAMS / "own_gpt_compiled.py")],
}


def processor_time():
    """Of all child processes that have ended, in seconds."""
    import resource  # not on Windows

    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def run(way, names, steps):
    """Seconds and what was printed."""
    before = processor_time()
    command = [sys.executable, *WAYS[way], str(names), str(steps)]
    # Elsewhere: in a checkout `-m micrograd_fast` would find the sources.
    folder = Path(names).parent
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=True)
    return processor_time() - before, done.stdout


def measure(steps, turns):
    """{way: (seconds of a step, of a run)}, medians. SystemExit where losses differ."""
    times = {way: [] for way in WAYS}
    with tempfile.TemporaryDirectory() as folder:
        names = Path(folder) / "names.txt"
        names.write_text("\n".join(first_names()))
        for _ in range(turns):
            printed = {}
            for way in WAYS:
                empty, _ = run(way, names, 0)
                whole, printed[way] = run(way, names, steps)
                times[way].append(((whole - empty) / steps, whole))
            if len(set(printed.values())) > 1:
                sys.exit("the losses differ")
    return {
        way: tuple(map(statistics.median, zip(*pairs, strict=True))) for way, pairs in times.items()
    }


def main():
    parser = argparse.ArgumentParser(prog="python -m bench.first_run", description=__doc__)
    parser.add_argument("--steps", type=int, default=200, help="names to train on (default: 200)")
    parser.add_argument("--turns", type=int, default=3, help="of each, medians (default: 3)")
    args = parser.parse_args()
    figures = measure(args.steps, args.turns)
    print(
        f"{cpu_model()}, CPython {sys.version.split()[0]}, {args.steps} steps, {args.turns} turns"
    )
    for way, (step, whole) in figures.items():
        ratio = figures["as it is"][0] / step
        print(
            f"{way:9} {step * 1e3:8.3f} ms a step {whole:8.2f} s a run {ratio:6.1f} times as fast"
        )


if __name__ == "__main__":
    main()
