"""python -m fuzz: random byte strings for target.run, mutated where they reach new code.

Coverage comes from a build with -fsanitize-coverage=trace-pc (`make fuzz`); on any other build the
corpus and random strings are run. A string that fails is left in the file that --last names, and
`python -m fuzz --replay FILE` runs it again.
"""

import argparse
import ctypes
import gc
import mmap
import random
import sys
import tempfile
import time
from pathlib import Path

from fuzz.target import run
from micrograd_fast import _core

CORPUS = Path(__file__).with_name("corpus.txt")
LARGEST = 400


class Coverage:
    """The edges that the extension ran through, as a set of bits in a long integer."""

    def __init__(self):
        library = ctypes.CDLL(_core.__file__)
        try:
            self.map = (ctypes.c_ubyte * 65536).in_dll(library, "mf_coverage")
        except ValueError:
            self.map = None

    def clear(self):
        if self.map is not None:
            ctypes.memset(self.map, 0, 65536)

    def edges(self):
        if self.map is None:
            return frozenset()
        return frozenset(k for k, hit in enumerate(bytes(self.map)) if hit)


def mutated(rng, corpus):
    """A string made from one or two of the corpus."""
    data = bytearray(rng.choice(corpus))
    for _ in range(rng.choice((1, 1, 2, 4, 8))):
        kind, at = rng.randrange(6), rng.randrange(len(data) + 1)
        if kind == 0:
            data[at:at] = rng.randbytes(rng.randint(1, 8))
        elif kind == 1:
            del data[at : at + rng.randint(1, 8)]
        elif kind == 2 and at < len(data):
            data[at] = rng.randrange(256)
        elif kind == 3 and at < len(data):
            data[at] ^= 1 << rng.randrange(8)
        elif kind == 4:
            other = rng.choice(corpus)
            data[at:] = other[rng.randrange(len(other) + 1) :]
        else:
            data[at:at] = data[at : at + rng.randint(1, 16)]
    return bytes(data[:LARGEST])


def fuzz(seconds, seed, last, save):
    """Runs the corpus, then mutations of it, for so many seconds; prints what was run."""
    rng, coverage, seen = random.Random(seed), Coverage(), set()
    waiting = [bytes.fromhex(line) for line in CORPUS.read_text().split()]
    corpus, n_runs, n_calls, end = [], 0, 0, time.monotonic() + seconds
    while waiting or time.monotonic() < end:
        fresh = rng.randbytes(rng.randint(1, LARGEST))
        data = waiting.pop() if waiting else rng.choice((mutated(rng, corpus), fresh))
        last.seek(0)
        last.write(len(data).to_bytes(4, "little") + data)
        coverage.clear()
        n_calls += run(data)
        n_runs += 1
        edges = coverage.edges()
        if not edges <= seen or not corpus:
            seen |= edges
            corpus.append(data)
    print(f"{n_runs} strings, {n_calls} calls, {len(seen)} edges, corpus of {len(corpus)}")
    if save:
        CORPUS.write_text("".join(f"{data.hex()}\n" for data in sorted(corpus, key=len)))


def main():
    parser = argparse.ArgumentParser(prog="python -m fuzz", description=__doc__)
    parser.add_argument("--seconds", type=float, default=600)
    parser.add_argument("--seed", type=int, default=random.SystemRandom().randrange(2**32))
    parser.add_argument(
        "--last", type=Path, default=Path(tempfile.gettempdir()) / "micrograd_fast-fuzz"
    )
    parser.add_argument("--save", action="store_true", help="write the corpus back")
    parser.add_argument("--replay", type=Path)
    args = parser.parse_args()
    gc.collect()
    gc.freeze()
    if args.replay:
        data = args.replay.read_bytes()
        print(run(data[4 : 4 + int.from_bytes(data[:4], "little")]), "calls")
        return
    print(f"seed {args.seed}", flush=True)
    args.last.write_bytes(bytes(LARGEST + 4))
    # A memory map: what was running is on the disk even after a crash.
    with args.last.open("r+b") as file, mmap.mmap(file.fileno(), LARGEST + 4) as last:
        try:
            fuzz(args.seconds, args.seed, last, args.save)
        except BaseException:
            print(f"--seed {args.seed}; replay: --replay {args.last}", file=sys.stderr)
            raise


if __name__ == "__main__":
    main()
