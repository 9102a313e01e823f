"""The list of small faults that the tests must notice (tools/mutations.py) fits the sources."""

import importlib.util
import itertools
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.skipif(
    not (ROOT / "tools" / "mutations.py").is_file(), reason="the tests run without the tools"
)


@pytest.fixture(scope="module")
def tool():
    spec = importlib.util.spec_from_file_location("mutations", ROOT / "tools" / "mutations.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["mutations"] = module
    spec.loader.exec_module(module)
    yield module
    del sys.modules["mutations"]


def test_the_text_of_every_mutant_is_there_once(tool):
    """If this fails: give the mutant the new text, or another mutant its place."""
    found = tool.mutants()
    assert len(found) > 150
    assert all(m.old != m.new and m.old and m.new for m in found)
    for m in found:  # the build puts it between parentheses
        assert any(map(str.isalnum, m.old)), f"{m.name}: an operator alone cannot be switched"


def test_no_two_mutants_change_the_same_text(tool):
    places = sorted((m.file, m.start, m.start + len(m.old), m.name) for m in tool.mutants())
    for (file, _, end, name), (other, start, _, other_name) in itertools.pairwise(places):
        assert file != other or end <= start, f"{name} and {other_name}"


def test_every_file_has_tests_that_are_there(tool):
    for m in tool.mutants():
        for name in tool.TOPICS[m.file]:
            assert tool.path_of(name).is_file(), name


@pytest.mark.parametrize(
    "file, text, old, new, expected",
    [
        ("a.h", "f(x + 1);", "x + 1", "x", "f((mf_mutant == 7 ? (x) : (x + 1)));"),
        ("a.pxi", "  if x > 0:\n", "x > 0", "x", "  if ((x) if mf_mutant == 7 else (x > 0)):\n"),
        ("a.pxi", "return not x", "x", "True", "return not (mf_mutant == 7 or (x))"),
        ("a.pxi", "return not x", "x", "False", "return not (mf_mutant != 7 and (x))"),
        ("a.pxi", "\n  x = 1\n", "x = 1", "pass",
         "\n  if mf_mutant == 7:\n      pass\n  else:\n      x = 1\n"),
    ],
)  # fmt: skip
def test_a_mutant_is_a_switch_beside_the_text(tool, file, text, old, new, expected):
    start = text.index(old)
    m = tool.Mutant(7, "name", file, "what", start, old, new)
    assert text[:start] + tool.switched(text, m) + text[start + len(old) :] == expected


def test_a_text_that_is_not_there_once_is_named(tool, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "tools")
    import mutants

    gone = [("gone", "ops.h", "nothing", "no such @{text}@ anywhere", "x")]
    monkeypatch.setattr(mutants, "MUTANTS", gone)
    with pytest.raises(ValueError, match=r"mutant gone: its text occurs 0 times in src/ops\.h"):
        tool.mutants()


def test_failures_crashes_and_survivors_are_told_apart(tool):
    assert tool.failure(0, "3 passed") == ""
    assert tool.failure(1 << 8, "x\nFAILED ../tests/test_a.py::test_b[c] - why\n") == (
        "test_a.py::test_b[c]"
    )
    assert tool.failure(11, "Fatal Python error") == "crash, signal 11"
