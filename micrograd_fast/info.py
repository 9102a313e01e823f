"""What `micrograd-fast info` shows: all that a report of a fault should say about the machine."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from micrograd_fast import _core
from micrograd_fast._version import __version__

# The packages that the extras name, in the order in which they are shown.
PACKAGES = ("numpy", "micrograd", "matplotlib", "graphviz", "scikit-learn", "scipy", "tqdm")


def run() -> int:
    """Print the lines; the exit code."""
    found = dict(lines())
    width = max(map(len, found))
    for name, text in found.items():
        print(f"{name:<{width}}  {text}")
    return 0


def lines() -> Iterator[tuple[str, str]]:
    """Names and texts, the package first."""
    module = Path(str(sys.modules["micrograd_fast._core"].__file__))
    yield "micrograd-fast", f"{__version__}, in {module.parent}"
    yield "compiled module", f"{module.name}, {module.stat().st_size / 1e6:.1f} MB"
    yield "kernels", f"{_core.kernel_variant()}, chosen for this processor"
    yield "python", f"{platform.python_implementation()} {sys.version.split()[0]}, {sys.executable}"
    yield "system", f"{platform.platform()}, {os.cpu_count()} processors"
    for name in PACKAGES:
        yield name, version(name)
    yield "dot", graphviz_version()


def version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def graphviz_version() -> str:
    """Of the program `dot`, which is no Python package."""
    program = shutil.which("dot")
    if program is None:
        return "not installed"
    try:
        done = subprocess.run([program, "-V"], capture_output=True, text=True, timeout=10)
    except (OSError, subprocess.SubprocessError) as error:
        return f"{program} does not run: {error}"
    return (done.stderr or done.stdout).strip().removeprefix("dot - graphviz version ")
