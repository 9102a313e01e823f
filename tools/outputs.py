"""Writes below the code of each page of docs/ what that code prints.

Usage: outputs.py [--check] [PAGE ...]

The blocks of a page run in order as one program, page.py. What a block prints stands in the block
that follows it:

    ```text title="Output"

Where it holds times, which differ from run to run and from machine to machine, it is titled
"Output on one machine", and numbers and the names of kernels are not compared. --check writes
nothing and fails where a page does not show what its code prints; tests/package/test_docs.py does
the same.
"""

import argparse
import os
import re
import subprocess
import sys
import tempfile
from pathlib import Path

DOCS = Path(__file__).resolve().parent.parent / "docs"
EXACT, VARIES = 'text title="Output"', 'text title="Output on one machine"'
BLOCK = re.compile(
    rf"^```python\n(?P<code>.*?)^```\n(?:\n```(?P<title>{EXACT}|{VARIES})\n(?P<shown>.*?)^```\n)?",
    re.M | re.S,
)
# Stands on the empty line between two blocks, so that lines keep the numbers which a page names.
MARK = "\x1e"
BETWEEN = f'\nif __name__ == "__main__": print({MARK!r}, end="")\n'
SECONDS = 120


class PageError(Exception):
    """A page whose code raises; the text is its traceback."""


def pages():
    """All pages that have Python code."""
    return [path for path in sorted(DOCS.rglob("*.md")) if BLOCK.search(path.read_text("utf-8"))]


def printed(text):
    """What each block of a page prints."""
    program = BETWEEN.join(match["code"] for match in BLOCK.finditer(text))
    environment = {"MPLBACKEND": "Agg", "PYTHONIOENCODING": "utf-8", **os.environ}
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made).resolve()
        Path(folder, "page.py").write_text(program, "utf-8")
        done = subprocess.run(
            [sys.executable, "page.py"],
            capture_output=True,
            encoding="utf-8",
            cwd=folder,
            env=environment,
            timeout=SECONDS,
        )
    if done.returncode:
        raise PageError(done.stderr)
    return done.stdout.replace(f"{folder}{os.sep}", "").split(MARK)


def masked(shown):
    """A text without numbers that are words, kernels, and the order of its lines, which is one of
    time; the 8 of page.py:8 stays."""
    lines = re.sub(r"(?<= )[\d.,]+%?(?=[\s}])|\w+ kernels", "N", shown).splitlines()
    return sorted(" ".join(line.split()) for line in lines)


def with_outputs(text):
    """A page with what its blocks print."""
    outputs = iter(printed(text))

    def filled(match):
        output, shown = next(outputs), match["shown"]
        title = match["title"] or EXACT
        if title == VARIES and masked(shown) == masked(output):
            output = shown
        code = f"```python\n{match['code']}```\n"
        if not output:
            return code
        return f"{code}\n```{title}\n{output}{'' if output.endswith(chr(10)) else chr(10)}```\n"

    return BLOCK.sub(filled, text)


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--check", action="store_true", help="write nothing, compare")
    parser.add_argument("pages", nargs="*", type=Path, metavar="PAGE", help="default: all")
    args = parser.parse_args(argv)
    different = 0
    for page in args.pages or pages():
        text = page.read_text("utf-8")
        try:
            made = with_outputs(text)
        except PageError as error:
            print(f"{page}: {error}")
            different += 1
            continue
        if made != text:
            print(page)
            if args.check:
                different += 1
            else:
                page.write_text(made, "utf-8")
    return bool(different)


if __name__ == "__main__":
    sys.exit(main())
