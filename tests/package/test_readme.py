"""The README's code runs, the marker that CI looks for is there; the page of the tests is true."""

import math
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
README = ROOT / "README.md"
SOURCES = [ROOT / "src", ROOT / "micrograd_fast", ROOT]


def test_python_code_runs_from_top_to_bottom(capsys):
    blocks = re.findall(r"^```python\n(.*?)^```", README.read_text("utf-8"), re.M | re.S)
    assert len(blocks) == 2
    names = {}
    for block in blocks:
        exec(compile(block, "README.md", "exec"), names)
    assert names["Value"].__module__.startswith("micrograd_fast")
    first, second = capsys.readouterr().out.splitlines()
    a, b = 3.0, -2.0
    slope = 1.0 - math.tanh(a * b + b * b) ** 2
    expected = [math.tanh(a * b + b * b), slope * b, slope * (a + 2 * b)]
    assert [float(word) for word in first.split()] == pytest.approx(expected, rel=1e-12)
    loss, value = second.split(" ", 1)
    assert 0.0 < float(loss) < 1.0
    curvature = 2.0 * math.cos(2.0) - 2.0 * math.sin(2.0)
    assert re.match(r"Value\(data=(\S+),", value)[1] == str(names["curvature"](2.0).data)
    assert names["curvature"](2.0).data == pytest.approx(curvature, rel=1e-12)


def test_test_command_is_marked_for_ci():
    assert re.search(
        r"^<!-- test-command -->\n```sh\n.+pytest\n```$", README.read_text("utf-8"), re.M
    )


def source_of(name):
    """What a row of tests/README.md names: below src/, the package or the checkout."""
    return next((p for root in SOURCES if (p := root / name).exists()), None)


@pytest.mark.skipif(not (ROOT / "src").is_dir(), reason="the tests run without the sources")
def test_the_page_of_tests_names_every_test_and_every_source():
    page = (ROOT / "tests" / "README.md").read_text("utf-8")
    sections = re.findall(r"^## (\w+)/$(.*?)(?=^## |\Z)", page, re.M | re.S)
    rows = [
        (folder, *row)
        for folder, text in sections
        for row in re.findall(r"^\| `(test_\w+\.py)` \| .+ \| (`.+`) \|$", text, re.M)
    ]
    listed = sorted(f"{folder}/{test}" for folder, test, _ in rows)
    tests = (ROOT / "tests").rglob("test_*.py")
    assert listed == sorted(p.relative_to(ROOT / "tests").as_posix() for p in tests)
    names = {name for *_, cell in rows for name in re.findall(r"`([^`]+)`", cell)}
    assert {name for name in names if source_of(name) is None} == set()
    guarded = {source_of(name) for name in names}
    suffixes = {".h", ".c", ".pxi", ".pyx", ".py", ".pyi"}
    sources = [p for root in SOURCES[:2] for p in root.rglob("*") if p.suffix in suffixes]
    assert [p for p in sources if guarded.isdisjoint([p, *p.parents])] == []
