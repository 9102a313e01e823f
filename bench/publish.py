"""Writes the figures of a saved run into the documents, and checks that those there are its.

Usage: python -m bench.publish [RUN.json] [--check]     (the newest of bench/results by default)

In README.md, CHANGELOG.md and docs/*.md, what stands between

    <!-- bench: WHAT ... -->  and  <!-- /bench -->

is this program's. WHAT in a line of text:

    time WORKLOAD ROW            1.83 ms
    first WORKLOAD ROW           seconds until its first result
    ratio WORKLOAD SLOW FAST     how many times as long SLOW takes
    date, cpu, python, versions  of the run
    run                          a link to it

and on lines of their own: `table`, with workloads or without (all); `ahead`; `picture`, `scaling`;
`engines`; `details`. A row with blanks in its name is quoted. With --check nothing is written: the
exit code is 1 where a document says something else than the run.
"""

import argparse
import re
import shlex
import sys
from pathlib import Path

from . import engine_table, run_tables
from .reading import Reading, first, newest
from .texts import short, time_text

ROOT = Path(__file__).resolve().parents[1]
MARK = re.compile(r"(<!-- bench: (.+?) -->)(.*?)(<!-- /bench -->)", re.S)
OPENING = "<!-- bench:"


class Mistake(Exception):
    """A mark that cannot be filled; the text says which, and why."""


def documents(root=ROOT):
    return [root / "README.md", root / "CHANGELOG.md", *sorted((root / "docs").glob("*.md"))]


# ---- in a line of text ----


def time_of(reading, workload, row):
    return time_text(reading.seconds(workload, row))


def first_of(reading, workload, row):
    return time_text(first(reading.ok[workload, row, None]))


def ratio_of(reading, workload, slow, fast):
    return short(reading.seconds(workload, slow) / reading.seconds(workload, fast))


IN_LINE = {
    "time": time_of,
    "first": first_of,
    "ratio": ratio_of,
    "date": lambda reading: reading.machine["date"][:10],
    "cpu": lambda reading: reading.machine["cpu"].replace("(R)", ""),
    "python": lambda reading: reading.machine["python"],
    "versions": run_tables.versions,
}
BLOCKS = {
    "table": run_tables.overview,
    "ahead": run_tables.ahead,
    "details": run_tables.details,
    "engines": engine_table.table,
}
PICTURES = {"picture": "", "scaling": "-scaling"}


def filled(text, path, reading, saved):
    """The text of a document with its marks filled from a run that is saved at `saved`."""

    def fill(match):
        what, *arguments = shlex.split(match[2])
        try:
            if what in IN_LINE:
                return match[1] + IN_LINE[what](reading, *arguments) + match[4]
            if what == "run":
                return f"{match[1]}[saved run]({link(saved, path)}){match[4]}"
            if what in PICTURES:
                made = picture(what, path, saved)
            else:
                made = BLOCKS[what](reading, *arguments)
        except KeyError as error:
            raise Mistake(f"{path.name}: {match[2]}: the run has no {error}") from None
        except TypeError as error:
            raise Mistake(f"{path.name}: {match[2]}: {error}") from None
        return f"{match[1]}\n\n{made}\n\n{match[4]}"

    if re.search(r"^ *<!-- bench: [^\n]+?-->[^\n]", text, re.M):
        # Markdown takes such a line for HTML and not for text.
        raise Mistake(f"{path.name}: a mark of the bench in a text begins a line")
    if text.count(OPENING) != len(MARK.findall(text)):
        raise Mistake(f"{path.name}: a mark of the bench has no end")
    return MARK.sub(fill, text)


def picture(what, path, saved):
    image = saved.with_name(f"{saved.stem}{PICTURES[what]}.png")
    return f"![{run_tables.CAPTIONS[what]}]({link(image, path)})"


def link(file, path):
    """From a document to a file of the repository."""
    if not file.is_relative_to(ROOT):
        raise Mistake(f"{file} lies outside of {ROOT}: save runs in bench/results")
    up = "../" * (len(path.relative_to(ROOT).parts) - 1)
    return f"{up}{file.relative_to(ROOT).as_posix()}"


def differences(text, made):
    """[(mark, there, expected)] of two versions of a document."""
    pairs = zip(MARK.findall(text), MARK.findall(made), strict=True)
    return [(a[1], a[2].strip(), b[2].strip()) for a, b in pairs if a != b]


def main(argv=None):
    parser = argparse.ArgumentParser("python -m bench.publish", description=__doc__.split("\n")[0])
    parser.add_argument("run", nargs="?", type=Path, help="saved by python -m bench --json")
    parser.add_argument("--check", action="store_true", help="write nothing, say what differs")
    args = parser.parse_args(argv)
    saved = (args.run or newest()).resolve()
    reading = Reading.load(saved)
    wrong = 0
    for path in documents():
        text = path.read_text("utf-8")
        try:
            made = filled(text, path, reading, saved)
        except Mistake as mistake:
            parser.exit(2, f"{mistake}\n")
        for mark, there, expected in differences(text, made):
            wrong += 1
            if args.check:
                print(
                    f"{path.name}: {mark}: there is {there[:300]!r}, the run has {expected[:300]!r}"
                )
        if made != text and not args.check:
            path.write_text(made, "utf-8")
            print(f"written: {path.relative_to(ROOT)}")
    for row in run_tables.unexplained(reading):
        print(f"ahead of us without a reason: {row} (`why` of its row in bench/engines)")
    return 1 if args.check and wrong else 0


if __name__ == "__main__":
    sys.exit(main())
