"""What the figures were taken on: machine, versions, threads, date."""

import os
import platform
import re
import subprocess
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path

from .process import ROOT, cores_for

PACKAGES = (
    "micrograd-fast",
    "micrograd",
    "torch",
    "jax",
    "jaxlib",
    "casadi",
    "ddx-ad",
    "autograd",
    "numpy",
    "names",
    "scikit-learn",
)


def describe(threads, command):
    """The header of a run, for the terminal and the JSON file."""
    cores = cores_for(threads)
    return {
        "date": datetime.now(timezone.utc).isoformat(timespec="seconds"),
        "command": command,
        "commit": commit(),
        "cpu": cpu_model(),
        "cores": os.cpu_count(),
        "memory": total_memory(),
        "system": f"{platform.system()} {platform.release()} {platform.machine()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "threads": threads,
        "pinned_to": cores,
        "load": load(),
        "versions": versions(),
    }


def run_name():
    """Of a saved run: the date, a word for the processor (epyc, xeon, apple-m2) and its cores."""
    today = datetime.now(timezone.utc).date().isoformat()
    words = re.sub(r"\(\w+\)|@.*|\b(cpu|processor|amd|intel|core)\b", "", cpu_model().lower())
    cpu = "-".join(re.findall(r"[a-z0-9]+", words)[:2]) or "cpu"
    return f"{today}-{cpu}-{os.cpu_count()}core"


def cpu_model():
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    if platform.system() == "Darwin":
        command = ["sysctl", "-n", "machdep.cpu.brand_string"]
        return subprocess.run(command, capture_output=True, text=True).stdout.strip()
    return platform.processor() or platform.machine()


def total_memory():
    """In bytes."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError, OSError):
        import psutil

        return psutil.virtual_memory().total


def multiply_add_rate():
    """GFLOP/s of float64 multiply-adds in registers on one core: the best of some turns."""
    from micrograd_fast import _core

    return max(_core._multiply_add_rate() for _ in range(20))


def load():
    """How many programs wanted to run during the last minute; None where nobody counts."""
    try:
        return round(os.getloadavg()[0], 2)
    except (AttributeError, OSError):
        return None


def versions():
    found = {}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return found


def commit():
    """The checkout's commit, with a + when files differ from it."""
    try:
        command = ["git", "describe", "--always", "--dirty=+", "--abbrev=10"]
        done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    except OSError:
        return ""
    return done.stdout.strip()


def header_lines(machine):
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    pinned = machine["pinned_to"]
    where = f", every engine held to core {', '.join(map(str, pinned))}" if pinned else ""
    load = "" if machine["load"] is None else f", load {machine['load']} at the start"
    return [
        f"{machine['cpu']}, {machine['cores']} cores, {machine['memory'] / 2**30:.0f} GiB, "
        f"{machine['system']}{load}",
        f"{machine['python']}; {versions}",
        f"threads for every engine: {machine['threads']}{where}",
        f"{machine['date']}, commit {machine['commit'] or 'none'}: {machine['command']}",
    ]
