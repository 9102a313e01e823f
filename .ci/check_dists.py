"""Compares what the sdist and the wheel contain with what they should.

Usage: check_dists.py CHECKOUT DIST. The sdist must hold every source, test and text file of the
checkout and nothing compiled or generated; the wheel exactly the package, the extension module
and the metadata. Prints each difference and exits with 1 if there is any.
"""

import sys
import tarfile
import zipfile
from pathlib import Path

TEXTS = ["CHANGELOG.md", "CONTRIBUTING.md", "LICENSE", "MANIFEST.in", "README.md", "SECURITY.md"]
BUILD = ["Makefile", "mkdocs.yml", "pyproject.toml", "setup.py"]
COMPILED = (".so", ".pyd", ".pyc", ".o", ".obj")


def files(root: Path, *folders: str) -> set[str]:
    """Files below the folders, relative to root, without caches."""
    found = (path for folder in folders for path in (root / folder).rglob("*") if path.is_file())
    return {p.relative_to(root).as_posix() for p in found if "__pycache__" not in p.parts}


def sdist_problems(checkout: Path, sdist: Path) -> list[str]:
    with tarfile.open(sdist) as archive:
        names = {m.name.partition("/")[2] for m in archive.getmembers() if m.isfile()}
    folders = ("docs", "examples", "fuzz", "micrograd_fast", "src", "tests", "tools")
    wanted = files(checkout, *folders) | set(TEXTS + BUILD)
    problems = [f"sdist lacks {name}" for name in sorted(wanted - names)]
    generated = {n for n in names if n.endswith(COMPILED) or n.startswith("build/")}
    # Cython's annotated pages; templates are in the checkout too.
    generated |= {n for n in names - wanted if n.endswith(".html")}
    # A C file in src/ is ours only if the checkout has it: else Cython wrote it.
    generated |= {n for n in names - wanted if n.startswith("src/")}
    return problems + [f"sdist holds {name}" for name in sorted(generated)]


def wheel_problems(checkout: Path, wheel: Path) -> list[str]:
    names = set(zipfile.ZipFile(wheel).namelist())
    metadata = {n for n in names if n.partition("/")[0].endswith(".dist-info")}
    extension = {n for n in names if n.startswith("micrograd_fast/_core.") and n.endswith(COMPILED)}
    wanted = files(checkout, "micrograd_fast")
    problems = [f"wheel lacks {name}" for name in sorted(wanted - names)]
    extra = names - wanted - metadata - extension
    problems += [f"wheel holds {name}" for name in sorted(extra)]
    if len(extension) != 1:
        problems.append(f"wheel holds {len(extension)} extension modules, not 1")
    if not any(n.endswith("/licenses/LICENSE") for n in metadata):
        problems.append("wheel lacks the licence")
    return problems + [
        f"the package lacks {name}"
        for name in ("py.typed", "_core.pyi", "_core_calls.pyi", "_core_programs.pyi")
        if f"micrograd_fast/{name}" not in names
    ]


def main(checkout: Path, dist: Path) -> int:
    sdists, wheels = list(dist.glob("*.tar.gz")), list(dist.glob("*.whl"))
    if len(sdists) != 1 or len(wheels) != 1:
        print(f"one sdist and one wheel expected in {dist}, not {len(sdists)} and {len(wheels)}")
        return 1
    problems = sdist_problems(checkout, sdists[0]) + wheel_problems(checkout, wheels[0])
    print("\n".join(problems) or f"{sdists[0].name} and {wheels[0].name}: as they should be")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1]), Path(sys.argv[2])))
