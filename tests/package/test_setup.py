"""setup.py: what PyPI shows of the README, and what somebody without a compiler reads."""

import re
import runpy
import sys
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
RELATIVE = re.compile(r"\]\((?!\w+:|#)")
README = (ROOT / "README.md").read_text("utf-8")


@pytest.fixture(scope="module")
def setup():
    pytest.importorskip("Cython")
    pytest.importorskip("setuptools")
    return runpy.run_path(str(ROOT / "setup.py"))


def test_links_lead_out_of_the_readme_or_say_where_the_file_is(setup):
    assert RELATIVE.search(README)
    text = setup["readme"](README)
    assert not RELATIVE.search(text) and "`docs/derivatives.md`" in text
    assert "](#performance)" in text and "](https://github.com/karpathy/micrograd)" in text
    line = "[here](docs/a.md#b), ![alt](x/p.png) and [docs/a.md](docs/a.md)"
    assert setup["readme"](line) == (
        "here (`docs/a.md` in the sources), (A picture: `x/p.png` in the sources.) and `docs/a.md`"
    )
    assert setup["readme"](line, "https://github.com/a/b") == (
        "[here](https://github.com/a/b/blob/main/docs/a.md#b), "
        "![alt](https://github.com/a/b/raw/main/x/p.png) and "
        "[docs/a.md](https://github.com/a/b/blob/main/docs/a.md)"
    )


def test_the_installed_package_says_what_packagers_ask(setup):
    told = metadata.metadata("micrograd-fast")
    tomllib = pytest.importorskip("tomllib", reason="CPython 3.11 has it")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    assert told["Author"] == project["authors"][0]["name"]
    urls = dict(text.split(", https", 1) for text in told.get_all("Project-URL"))
    assert {name: f"https{rest}" for name, rest in urls.items()}.items() >= project["urls"].items()
    assert not RELATIVE.search(told.get_payload() or told["Description"])


@pytest.mark.skipif(sys.platform == "win32", reason="compilers are not on the PATH there")
def test_without_a_compiler_or_headers_it_is_said_what_to_install(setup, tmp_path):
    missing = setup["missing_tool"]
    assert missing("no-such-cc", str(tmp_path)) == "there is no C compiler (no-such-cc)"
    here = missing(sys.executable, str(tmp_path))
    assert here == f"Python's C headers are missing (no Python.h in {tmp_path})"
    (tmp_path / "Python.h").touch()
    assert missing(sys.executable, str(tmp_path)) is None


def test_a_failing_compiler_is_followed_by_what_to_install(setup, monkeypatch):
    from setuptools import Distribution, Extension
    from setuptools.command.build_ext import build_ext

    def fail(self, ext):
        raise RuntimeError("command 'gcc' failed")

    monkeypatch.setattr(build_ext, "build_extension", fail)
    build = setup["Build"](Distribution())
    monkeypatch.setitem(setup["missing_tool"].__globals__, "missing_tool", lambda *_: "none is")
    with pytest.raises(SystemExit, match=r"(?s)and none is here.*apt install gcc python3-dev"):
        build.build_extension(Extension("x", []))
    monkeypatch.setitem(setup["missing_tool"].__globals__, "missing_tool", lambda *_: None)
    with pytest.raises(RuntimeError, match="'gcc' failed"):
        build.build_extension(Extension("x", []))
