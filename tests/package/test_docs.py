"""The code of the pages below docs/ runs; commands, extras and links in all pages exist.

The README's code is run in test_readme.py.
"""

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from micrograd_fast.__main__ import build_parser

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
OTHERS = [ROOT / "SECURITY.md", ROOT / "CHANGELOG.md"]
OTHERS += [ROOT / folder / "README.md" for folder in ("bench", "tests")]
LANGUAGES = {"python", "sh", "text"}

# A page runs in a process of its own: as_micrograd is for a whole process.
PRELUDE = "import os; os.environ.setdefault('MPLBACKEND', 'Agg')\n"


def blocks(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text("utf-8"), re.M | re.S)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_block_says_its_language(page):
    fences = re.findall(r"^```(.*)$", page.read_text("utf-8"), re.M)
    assert set(fences[::2]) <= LANGUAGES
    assert set(fences[1::2]) <= {""}


@pytest.mark.parametrize(
    "page", [p for p in PAGES[1:] if blocks(p, "python")], ids=lambda page: page.name
)
def test_python_code_runs_from_top_to_bottom(page, tmp_path):
    code = "\n\n".join(blocks(page, "python"))
    for package in ("distributed", "matplotlib"):
        if re.search(rf"^(import|from) {package}\b", code, re.M):
            pytest.importorskip(package)
    program = tmp_path / "page.py"
    program.write_text(PRELUDE + code, "utf-8")
    done = subprocess.run(
        [sys.executable, program], capture_output=True, text=True, cwd=tmp_path, timeout=120
    )
    assert done.returncode == 0, done.stderr


def test_commands_in_the_pages_are_ones_that_exist():
    found = [
        shlex.split(line, comments=True)
        for page in PAGES
        for block in blocks(page, "sh")
        for line in block.splitlines()
        if line.startswith("micrograd-fast ")
    ]
    assert len(found) >= 3
    for words in found:
        build_parser().parse_args(words[1:])


def test_extras_in_the_pages_are_in_pyproject():
    text = (ROOT / "pyproject.toml").read_text("utf-8")
    section = text.partition("[project.optional-dependencies]")[2].partition("\n[")[0]
    there = set(re.findall(r"^(\w+) = \[", section, re.M))
    named = {
        extra
        for page in PAGES
        for group in re.findall(r"(?:micrograd-fast|\.)\[([\w,]+)\]", page.read_text("utf-8"))
        for extra in group.split(",")
    }
    assert {"demo", "viz", "examples"} <= named <= there


@pytest.mark.parametrize("page", PAGES + OTHERS, ids=lambda page: page.name)
def test_links_lead_to_files_that_are_there(page):
    for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text("utf-8")):
        if not re.match(r"\w+:", target):
            assert (page.parent / target).exists(), target
