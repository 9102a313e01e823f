"""The code of the pages below docs/ runs; commands, extras and links in all pages exist.

The README's code is run in test_readme.py.
"""

import importlib.util
import re
import shlex
from pathlib import Path

import pytest

from micrograd_fast.__main__ import build_parser

ROOT = Path(__file__).resolve().parents[2]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
OTHERS = [ROOT / "SECURITY.md", ROOT / "CHANGELOG.md"]
OTHERS += [ROOT / folder / "README.md" for folder in ("bench", "tests")]
LANGUAGES = {"python", "sh", "text", 'text title="Output"', 'text title="Output on one machine"'}


def load_tool():
    spec = importlib.util.spec_from_file_location("outputs", ROOT / "tools" / "outputs.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


tool = load_tool()


def blocks(page, language):
    return re.findall(rf"^```{language}\n(.*?)^```", page.read_text("utf-8"), re.M | re.S)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_block_says_its_language(page):
    fences = re.findall(r"^```(.*)$", page.read_text("utf-8"), re.M)
    assert set(fences[::2]) <= LANGUAGES
    assert set(fences[1::2]) <= {""}


@pytest.mark.parametrize("page", tool.pages(), ids=lambda page: page.name)
def test_a_page_shows_what_its_code_prints(page):
    text = page.read_text("utf-8")
    for package in ("distributed", "matplotlib", "scipy"):
        if re.search(rf"^(import|from) {package}\b", text, re.M):
            pytest.importorskip(package)
    assert tool.with_outputs(text) == text, "python tools/outputs.py writes it"


CODE = "```python\nx = 1\nprint(x)\n```\n"
SHOWN = CODE + '\n```text title="Output"\n1\n```\n'


@pytest.mark.parametrize("page", [CODE, SHOWN, SHOWN.replace("\n1\n", "\n2\n3\n")])
def test_outputs_are_written_and_mended(page):
    assert tool.with_outputs(f"Text.\n\n{page}\nMore.\n") == f"Text.\n\n{SHOWN}\nMore.\n"


def test_blocks_are_one_program_and_lines_keep_their_numbers():
    page = CODE + "\n```python\nraise ValueError(x)\n```\n"
    with pytest.raises(tool.PageError, match=r"(?s)line 5, in <module>.*ValueError: 1"):
        tool.printed(page)


def test_only_numbers_of_outputs_that_vary_may_differ():
    page = CODE.replace("print(x)", "print('took', 3.5, 'us')")
    page += f"\n```{tool.VARIES}\ntook 1.25 us\n```\n"
    assert tool.with_outputs(page) == page
    assert "took 3.5 us" in tool.with_outputs(page.replace("1.25 us", "1.25 ms"))


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
