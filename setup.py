"""The one extension module; everything else about the package is in pyproject.toml."""

import os
import sys
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup

SRC = Path("src")


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

# For the Makefile's builds that check and count: directives over those at the head of _core.pyx.
directives = dict(d.split("=") for d in os.environ.get("MF_DIRECTIVES", "").split())

setup(
    ext_modules=cythonize(
        [extension],
        build_dir=os.environ.get("MF_CYTHON_DIR", "build/cython"),
        include_path=[str(SRC)],
        compiler_directives={
            "language_level": 3,
            **{k: v == "True" for k, v in directives.items()},
        },
        annotate=bool(os.environ.get("MF_ANNOTATE")),
    )
)
