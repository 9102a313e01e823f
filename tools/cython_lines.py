"""Gives every C line that Cython wrote the number of the Cython line that it stands for.

    python tools/cython_lines.py build/coverage/cython/src/_core.c

With a #line before each of them, gcov counts lines of .pyx and .pxi instead of C, at the speed of
compiled code: Cython's own tracing takes a call of Python for each line, and lets other threads in
between two of them. What stands for no line (clean-up at the end of functions, tables) is counted
as Cython's.
"""

import re
import sys
from pathlib import Path

MARK = re.compile(r'^\s*/\* "(?P<file>src/[\w/]+\.(?:pyx|pxi))":(?P<line>\d+)$')
# After these, code stands for no line until the next mark.
END = re.compile(r"^\s*/\* function exit code \*/|^/\* #### Code section|^static .*\{$|^\}$")


def with_lines(c_code: str, name: str) -> str:
    lines = c_code.splitlines()
    done = [lines[0]]  # by which Cython knows its own file
    at = None  # the Cython line of the code that follows
    joined = False  # this line goes on with a macro or comment of the line before
    in_comment = False
    for number, text in enumerate(lines[1:], 2):
        mark = MARK.match(text)
        if mark:
            at = f'#line {mark["line"]} "{mark["file"]}"'
        elif END.match(text):
            at = None
        if not joined and not in_comment and text.strip() and not text.lstrip().startswith("#"):
            done.append(at or f'#line {number} "{name}"')
        done.append(text)
        joined = text.endswith("\\")
        in_comment = text.rfind("/*") > text.rfind("*/") or (in_comment and "*/" not in text)
    return "\n".join(done) + "\n"


if __name__ == "__main__":
    for path in map(Path, sys.argv[1:]):
        path.write_text(with_lines(path.read_text(), str(path)))
