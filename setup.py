"""The one extension module, and the README as PyPI shows it; all else is in pyproject.toml."""

import os
import re
import shutil
import sys
import sysconfig
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

SRC = Path("src")
LINK = re.compile(r"(!?)\[([^\]]*)\]\((?!\w+:|#)([^)#\s]+)((?:#[^)]*)?)\)")

COMPILER = """\
micrograd_fast is compiled when it is installed from its sources, and {what} here. Install it, then
repeat the command:
  Debian, Ubuntu   apt install gcc python3-dev
  Fedora           dnf install gcc python3-devel
  Alpine           apk add gcc musl-dev python3-dev
  macOS            xcode-select --install
  Windows          "Desktop development with C++" of the Build Tools for Visual Studio
(CPythons of other sources, such as pyenv and conda, bring Python.h along: gcc is enough.)"""


def readme(text: str, address: str = "") -> str:
    """The README for those who have no checkout around it: links to files of the repository lead to
    its address, a GitHub one, or are texts that say where the file is."""

    def link(match: re.Match[str]) -> str:
        image, shown, path, anchor = match.groups()
        if address:
            kind = "raw" if image else "blob"
            return f"{image}[{shown}]({address}/{kind}/main/{path}{anchor})"
        if image:
            return f"(A picture: `{path}` in the sources.)"
        return f"`{path}`" if shown == path else f"{shown} (`{path}` in the sources)"

    return LINK.sub(link, text)


def missing_tool(compiler: str, include: str) -> str | None:
    """What a build lacks, in words: a C compiler or Python's headers."""
    if sys.platform != "win32" and shutil.which(compiler) is None:
        return f"there is no C compiler ({compiler})"
    if not Path(include, "Python.h").exists():
        return f"Python's C headers are missing (no Python.h in {include})"
    return None


class Build(build_ext):
    """What a failing compiler prints is of no help to somebody who has none."""

    def build_extension(self, ext: Extension) -> None:
        try:
            super().build_extension(ext)
        except Exception as error:
            compiler = (os.environ.get("CC") or sysconfig.get_config_var("CC") or "cc").split()[0]
            what = missing_tool(compiler, sysconfig.get_paths()["include"])
            if what is None and sys.platform == "win32" and "Visual C++" in str(error):
                what = "there is no C compiler (Microsoft's)"
            if what is None:
                raise
            raise SystemExit(COMPILER.format(what=what)) from error


def compile_flags() -> list[str]:
    """Flags that keep floating point exact: no fast-math, no contraction, no -march."""
    if sys.platform == "win32":
        return ["/O2", "/std:c11", "/fp:precise"]
    flags = ["-O3", "-g0", "-std=c11", "-ffp-contract=off", "-fno-math-errno", "-Wall", "-Wextra"]
    # The lane loops' sums may be reordered (omp simd reduction); no OpenMP runtime comes with it.
    flags += ["-fopenmp-simd"]
    # Nobody reads the floating point exceptions' flags, and for their sake GCC makes branches of
    # conditional expressions, where the lane loops need selects. No value changes.
    flags += ["-fno-trapping-math"]
    # GCC makes 1/x of pow(x, -1.0), which differs from Python's x**-1 in the last bit.
    flags += ["-fno-builtin-pow"]
    # The two that Cython's own generated code trips over; ours is clean without them.
    return [*flags, "-Wno-unused-parameter", "-Wno-missing-field-initializers"]


def source_files() -> list[str]:
    """All that a rebuild depends on: included files are invisible to setuptools."""
    return sorted(str(p) for p in SRC.rglob("*") if p.suffix in {".h", ".pxd", ".pxi", ".pyx"})


def main() -> None:
    extension = Extension(
        "micrograd_fast._core",
        [str(SRC / "_core.pyx")],
        include_dirs=[str(SRC)],
        depends=source_files(),
        extra_compile_args=compile_flags() + os.environ.get("MF_CFLAGS", "").split(),
        extra_link_args=os.environ.get("MF_LDFLAGS", "").split(),
        # A heap type: users add methods to Value and replace them, as they do with micrograd's.
        define_macros=[("CYTHON_USE_TYPE_SPECS", "1")],
    )
    # For the Makefile's builds that check and count: directives over those of _core.pyx.
    directives = dict(d.split("=") for d in os.environ.get("MF_DIRECTIVES", "").split())
    modules = cythonize(
        [extension],
        build_dir=os.environ.get("MF_CYTHON_DIR", "build/cython"),
        include_path=[str(SRC)],
        compiler_directives={
            "language_level": 3,
            **{k: v == "True" for k, v in directives.items()},
        },
        annotate=bool(os.environ.get("MF_ANNOTATE")),
    )
    address = re.search(r'^Repository = "(.*)"', Path("pyproject.toml").read_text("utf-8"), re.M)
    setup(
        ext_modules=modules,
        cmdclass={"build_ext": Build},
        long_description=readme(
            Path("README.md").read_text("utf-8"), address[1] if address else ""
        ),
        long_description_content_type="text/markdown",
    )


if __name__ == "__main__":
    main()
