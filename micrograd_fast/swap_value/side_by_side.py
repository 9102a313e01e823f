"""A program as it is and with its own Value replaced: both times, and whether both print the same.

What `micrograd-fast run --swap-value --compare` does. Each runs in a process of its own, one after
the other; what the first prints, with our Value, is passed on while it runs.
"""

from __future__ import annotations

import math
import os
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from time import perf_counter

NUMBER = re.compile(r"(?<![\w.])[-+]?(?:\d+\.?\d*(?:[eE][-+]?\d+)?|inf|nan)(?![\w])")
REFUSED = 2  # the exit code of a program whose class is not replaced
ROUNDING = 1e-9  # relative: what rounding can grow to over a training


@dataclass
class Run:
    seconds: float
    code: int
    output: bytes


def compare(program: Sequence[str], *, local: bool) -> int:
    """Run the program with --swap-value and then as `python` does; the exit code of the first.

    program: the words after `run`, from the script or `-m` on. Its standard input is empty. A
    program that is refused, or that ends with that code without a word, runs no second time.
    """
    run = ["-m", "micrograd_fast", "run", *(["--local"] if local else []), "--swap-value"]
    swapped = _timed([sys.executable, *run, *program], show=True)
    if swapped.code == REFUSED and not swapped.output:
        return REFUSED
    _tell(f"with micrograd_fast's Value: {swapped.seconds:.2f} s; now as it is ...")
    plain = _timed([sys.executable, *program], show=False)
    _tell(f"as it is: {plain.seconds:.2f} s")
    if plain.code != swapped.code:
        _tell(f"the exit codes differ: {plain.code} as it is and {swapped.code}")
    elif plain.code == 0:
        empty = min(_timed([sys.executable, "-c", "pass"], show=False).seconds for _ in range(3))
        ratio = (plain.seconds - empty) / max(swapped.seconds - empty, 1e-3)
        _tell(f"{ratio:.2g} times as fast, the check included (Python's start, {empty:.2f} s, not)")
    _tell(difference(plain.output, swapped.output))
    return swapped.code


def _timed(command: Sequence[str], *, show: bool) -> Run:
    # Sets of strings are gone through in the same order in both.
    env = {"PYTHONHASHSEED": "0", **os.environ, "PYTHONUNBUFFERED": "1"}
    begin = perf_counter()
    with subprocess.Popen(
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, env=env, bufsize=0
    ) as process:
        assert process.stdout is not None
        chunks = []
        while chunk := process.stdout.read(65536):
            chunks.append(chunk)
            if show:
                sys.stdout.buffer.write(chunk)
                sys.stdout.buffer.flush()
    return Run(perf_counter() - begin, process.returncode, b"".join(chunks))


def difference(one: bytes, other: bytes) -> str:
    """In a line: the same, the same but for rounding, or where the outputs differ first."""
    texts = [out.decode("utf-8", "replace") for out in (one, other)]
    first, second = (re.split(r"\r\n|\r|\n", text.rstrip()) for text in texts)
    if first == second:
        return f"the outputs are the same: {len(first)} lines"
    largest, place = 0.0, 0
    for k, (a, b) in enumerate(zip(first, second, strict=False), 1):
        if a != b:
            by = _relative(a, b)
            if by is None or by > ROUNDING:
                return f"the outputs differ in line {k}: {a.strip()!r} and {b.strip()!r}"
            largest, place = max(largest, by), place or k
    if len(first) != len(second):
        return f"the outputs differ: {len(first)} and {len(second)} lines"
    if not largest:
        shown = f"line {place} has {first[place - 1].strip()!r} and {second[place - 1].strip()!r}"
        return f"the outputs are the same but for how numbers are written: {shown}"
    return (
        f"the outputs are the same but for rounding: from line {place} on numbers differ, "
        f"by at most {largest:.1e} of their size"
    )


def _relative(a: str, b: str) -> float | None:
    """The largest relative difference of the numbers in two lines; None where the words differ."""
    if NUMBER.sub("#", a) != NUMBER.sub("#", b):
        return None
    largest = 0.0
    numbers = ([*map(float, NUMBER.findall(line))] for line in (a, b))
    for x, y in zip(*numbers, strict=True):
        if math.isfinite(x) and math.isfinite(y):
            largest = max(largest, abs(x - y) / max(abs(x), abs(y), 1e-300))
        elif x != y and not (math.isnan(x) and math.isnan(y)):
            return None
    return largest


def _tell(text: str) -> None:
    print(f"micrograd-fast: {text}", file=sys.stderr)
