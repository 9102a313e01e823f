"""Rules that the sources of the core keep, because nothing else would say when one is broken."""

import re
import shutil
import subprocess
from pathlib import Path

import pytest

SRC = Path(__file__).resolve().parents[2] / "src"
pytestmark = pytest.mark.skipif(not SRC.is_dir(), reason="the tests run without the sources")


def handlers(path):
    """The lines of every except clause, each with the number of its first."""
    lines = path.read_text().splitlines()
    for k, line in enumerate(lines):
        if re.match(r"\s*except\b.*:", line):
            indent = len(line) - len(line.lstrip())
            body = [line.split(":", 1)[1]]
            for after in lines[k + 1 :]:
                if after.strip() and len(after) - len(after.lstrip()) <= indent:
                    break
                body.append(after)
            yield k + 1, body


def test_no_handler_of_the_core_is_left_halfway():
    """src/engine/no_frames.h says why. What returns a plain C number keeps no reference."""
    found, n_handlers = [], 0
    for path in sorted(SRC.rglob("*.pxi")):
        for first, body in handlers(path):
            n_handlers += 1
            for line in body:
                text = line.split("#")[0].strip()
                if re.match(r"(return|break|continue)\b", text) and text not in (
                    "return 0",
                    "return False",
                ):
                    found.append(f"{path.name}:{first}: {text}")
    assert n_handlers > 3
    assert found == []


def test_flags_of_a_node_are_written_by_the_store_alone():
    """src/engine/store.h has a verb for each thing that is said of a node."""
    writes = re.compile(r"(\.|->)flags\s*([|&^]?=(?!=)|\+\+|--)")
    found = {
        (path.relative_to(SRC).as_posix(), line.strip())
        for path in SRC.rglob("*.*")
        for line in path.read_text().splitlines()
        if writes.search(line)
    }
    assert len(found) > 5
    assert {file for file, _ in found} == {"engine/store.h"}


@pytest.mark.skipif(shutil.which("make") is None, reason="needs make")
@pytest.mark.parametrize(
    ("python", "called"),
    [(".venv/bin/python", "{root}/.venv/bin/python"), ("/a/python", "/a/python"), ("py", "py")],
)
def test_the_makefile_takes_a_python_below_the_checkout(python, called):
    """Its commands run in other folders."""
    root = SRC.parent
    command = ["make", "-n", "-C", str(root), f"PYTHON={python}", "fuzz"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    last = [line for line in done.stdout.splitlines() if "-m fuzz" in line]
    assert [f" {called.format(root=root)} -m fuzz" in line for line in last] == [True]


def globals_of(text, header):
    """Names of variables of a whole file that are not constants."""
    pattern = (
        r"^static (?!inline|const|PyMethodDef|PyGetSetDef)[\w ]+?\**(\w+)(\[\w+\])?( = .*)?(,.*)?;"
        if header
        else r"^cdef (?!class|struct|enum|extern|inline)[\w ]+?\**([a-z]\w*)(\[\w+\])*(?= *(=|#|$))"
    )
    return [match[1] for match in re.finditer(pattern, text, re.M)]


def test_what_is_one_for_the_process_is_listed():
    """docs/reference/source.md says what two interpreters, or none that take turns, would share."""
    text = (SRC.parent / "docs" / "reference" / "source.md").read_text("utf-8")
    section = text.partition("## What would stand in the way")[2].partition("\n## ")[0]
    listed = set(re.findall(r"\(\.\./\.\./src/([\w/.]+)\)", section))
    found = {
        path.relative_to(SRC).as_posix()
        for suffix in (".h", ".pxi")
        for path in SRC.rglob(f"*{suffix}")
        if globals_of(path.read_text(), suffix == ".h")
    }
    constants = {"engine/copies.pxi", "call/nonfinite.pxi"}  # written once, at the import
    assert found - constants == listed
    assert {"engine/store.pxi", "call/watch.h", "call/threads.pxi"} <= found
