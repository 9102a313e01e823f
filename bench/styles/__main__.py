"""Prints what each way of writing the same costs over the best one, worst first.

Usage: python -m bench.styles [WORD ...] [--rounds N] [--samples N]

WORDs choose the groups whose names have them. `*` marks what is over its limit; exits with 1 then.
"""

import argparse
import sys

from ..table import time_text
from . import groups, limit_of, over_best


def main():
    parser = argparse.ArgumentParser("python -m bench.styles", description=__doc__.split("\n")[0])
    parser.add_argument("words", nargs="*", metavar="WORD")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--samples", type=int, default=256)
    args = parser.parse_args()
    over = 0
    for what, calls in groups(args.samples).items():
        if args.words and not any(word in what for word in args.words):
            continue
        print(f"\n{what}")
        for way, (ratio, seconds) in over_best(calls, args.rounds).items():
            is_over = ratio > limit_of(way)
            over += is_over
            mark = "*" if is_over else " "
            print(f"  {ratio:7.2f}{mark} {time_text(seconds):>9}  {way}", flush=True)
    return 1 if over else 0


if __name__ == "__main__":
    sys.exit(main())
