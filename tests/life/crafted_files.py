"""Files that nn.load() is to refuse, for test_hostile_bytes.py."""

import io
import struct
import warnings
import zipfile

import numpy as np
import pytest


def archive(path, entries, compression=zipfile.ZIP_STORED):
    """An .npz file with these entries: arrays, or the bytes of one."""
    entries = [(name, [1, len(entries) - 1] if a is None else a) for name, a in entries]
    with warnings.catch_warnings(), zipfile.ZipFile(path, "w", compression) as file:
        warnings.simplefilter("ignore")  # a name twice
        for name, array in entries:
            if isinstance(array, bytes):
                file.writestr(name, array)
            else:
                stream = io.BytesIO()
                np.lib.format.write_array(stream, np.asarray(array), allow_pickle=True)
                file.writestr(f"{name}.npy", stream.getvalue())


def header(text, data=b""):
    text = text.encode().ljust(117) + b"\n"
    return b"\x93NUMPY\x01\x00" + struct.pack("<H", len(text)) + text + data


class Bomb:
    """Unpickling it is an accident."""

    def __reduce__(self):
        return pytest.exit, ("a pickle from a file was run",)


GOOD = ("micrograd_fast", None)  # archive() counts the entries
HUGE = "{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,), }"
CRAFTED = {
    "no entries": [],
    "another archive": [("a", 1.0)],
    "a later version": [("micrograd_fast", [3, 1]), ("a", 1.0)],
    "a version that is no list": [("micrograd_fast", 1)],
    "an entry too few": [("micrograd_fast", [1, 2]), ("a", 1.0)],
    "a name twice": [GOOD, ("a", 1.0), ("a", 2.0)],
    "a pickle": [GOOD, ("a", np.array([Bomb()], dtype=object))],
    "complex numbers": [GOOD, ("a", 1j)],
    "records": [GOOD, ("a", np.zeros(2, dtype="f8,i8"))],
    "dates": [GOOD, ("a", np.datetime64("2026-01-01"))],
    "32 bits": [GOOD, ("a", np.float32(1))],
    "the other byte order": [GOOD, ("a", np.array(1.0, dtype=">f8"))],
    "a matrix": [GOOD, ("#", np.zeros((2, 2)))],
    "a list of texts": [GOOD, ("a", ["x", "y"])],
    "a scalar by position": [GOOD, ("#", 1.0)],
    "by position and by name": [GOOD, ("a", 1.0), ("#", [1.0])],
    "a number with entries below": [GOOD, ("a", 1.0), ("a/b", 1.0)],
    "names alone": [GOOD, ("#names", "w")],
    "activations alone": [GOOD, ("x/#activations", "relu\t\tw")],
    "names that are numbers": [GOOD, ("#", [1.0]), ("#names", 1.0)],
    "too many names": [GOOD, ("#", [1.0, 2.0]), ("#names", "3\tw")],
    "a huge count of names": [GOOD, ("#", [1.0]), ("#names", "999999999\tw")],
    "a count of other digits": [GOOD, ("#", [1.0]), ("#names", "\u0661\tw")],
    "a negative count of names": [GOOD, ("#", [1.0]), ("#names", "-1\tw")],
    "too few names": [GOOD, ("#", [1.0, 2.0]), ("#names", "\tw")],
    "a name of two": [GOOD, ("#", [1.0, 2.0]), ("#names", "\tw\n\tw")],
    "a name without end": [GOOD, ("#", [1.0]), ("#names", "\t" + "w" * 256)],
    "names without a tab": [GOOD, ("#", [1.0]), ("#names", "w")],
    "names of one number": [GOOD, ("#", 1.0), ("#names", "\tw")],
    "names beside others": [GOOD, ("a", 1.0), ("#", [1.0]), ("#names", "\tw")],
    "names, then others": [GOOD, ("#", [1.0]), ("#names", "\tw"), ("w", 1.0)],
    "names where a number is": [GOOD, ("x", 1.0), ("x/#", [1.0]), ("x/#names", "\tw")],
    "more activations than numbers": [
        GOOD,
        ("#", [1.0]),
        ("#names", "\tw"),
        ("#activations", "relu\t2\tw"),
    ],
    "activations that are numbers": [GOOD, ("#", [1.0]), ("#names", "\tw"), ("#activations", 1.0)],
    "an empty name": [GOOD, ("a//b", 1.0)],
    "no array": [GOOD, ("a.npy", b"garbage")],
    "an empty entry": [GOOD, ("a.npy", b"")],
    "a header alone": [GOOD, ("a.npy", header("{'descr': '<f8', 'fortran_order'"))],
    "a huge count": [GOOD, ("a.npy", header(HUGE, bytes(64)))],
    "a negative count": [GOOD, ("a.npy", header(HUGE.replace("1000000000000", "-1"), bytes(8)))],
    "a huge header": [GOOD, ("a.npy", b"\x93NUMPY\x02\x00\xff\xff\xff\x7f")],
    "code for a header": [GOOD, ("a.npy", header("__import__('os').abort()"))],
    "nesting": [GOOD, ("a.npy", header("(" * 100))],
}
