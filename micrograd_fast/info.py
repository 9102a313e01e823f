"""What `micrograd-fast info` shows: all that a report of a fault should say about the machine."""

from __future__ import annotations

import os
import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from micrograd_fast import _core
from micrograd_fast._version import __version__

# The packages that users have by the extras, in the order in which they are shown.
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
    for name, missing in extras():
        text = f"lacks {', '.join(missing)}: pip install 'micrograd-fast[{name}]'"
        yield f"extra {name}", text if missing else "installed"


def extras() -> list[tuple[str, list[str]]]:
    """Each extra, and which packages it lacks. Of a package for some Pythons or systems only
    nothing is said; an extra that an extra consists of is looked into."""
    try:
        told = metadata.metadata("micrograd-fast")
    except metadata.PackageNotFoundError:  # Python files alone, found by their folder
        return []
    direct: dict[str, list[str]] = {name: [] for name in told.get_all("Provides-Extra") or []}
    for requirement in told.get_all("Requires-Dist") or []:
        package, _, marker = requirement.partition(";")
        extra = re.fullmatch(r"""\s*extra == ["']([\w-]+)["']\s*""", marker)
        if extra:
            direct[extra[1]].append(package.strip())
    return [(name, lacking(direct, name)) for name in direct]


def lacking(direct: dict[str, list[str]], extra: str) -> list[str]:
    """Packages of an extra that are not installed. direct: requirements by extra."""
    found: dict[str, None] = {}
    for requirement in direct.get(extra, ()):
        package = re.split(r"[^\w.-]", requirement)[0]
        if package == "micrograd-fast":
            for inner in re.findall(r"[\w-]+", requirement.partition("[")[2].partition("]")[0]):
                found.update(dict.fromkeys(lacking(direct, inner)))
        elif version(package) == "not installed":
            found[package] = None
    return list(found)


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
