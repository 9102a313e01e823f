"""What to do where the compiled module is not beside the Python files: this needs nothing of it."""

from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path


def explanation(error: ImportError) -> str:
    """Why micrograd_fast._core cannot be imported."""
    folder = Path(__file__).resolve().parent
    if "interpreter" in str(error):  # CPython's words, or Cython's
        return (
            f"{error}: micrograd_fast works in the main interpreter of a process alone; use its "
            "threads, or processes (multiprocessing, concurrent.futures)"
        )
    if any((folder / f"_core{suffix}").exists() for suffix in EXTENSION_SUFFIXES):
        return str(error)
    return (
        f"{folder} has no compiled module for this Python: it is the source folder, which hides an "
        "installed micrograd_fast from programs started beside it. Build it there, "
        "pip install -e ., or start Python in another folder"
    )
