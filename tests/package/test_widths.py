"""Nothing relies on how wide a long or a pointer is, and no product of sizes wraps around."""

import re
import sys
from pathlib import Path

import numpy as np
import pytest

import micrograd_fast as mg
from micrograd_fast import Value, no_grad

SRC = Path(__file__).resolve().parents[2] / "src"
# The struct module's formats "l" and "q" are C's own long and long long; type flags are CPython's.
ALLOWED = {
    "unsigned long Py_TPFLAGS_HEAPTYPE",
    "bint PyType_HasFeature(PyTypeObject *type, unsigned long feature)",
    "MF_TABLE_READER(long_double, long double)",
    "else if (*format == 'g' && size == sizeof(long double) && !e->swapped)",
    "long double x;",
    "from cpython.long cimport PyLong_AsDouble, PyLong_Check, PyLong_CheckExact",
}


def code_lines(path):
    """The lines of a source file without comments and docstrings."""
    text = path.read_text()
    if path.suffix == ".h":
        text = re.sub(r"/\*.*?\*/", "", text, flags=re.DOTALL)
    else:
        text = re.sub(r'""".*?"""', "", text, flags=re.DOTALL)
        text = re.sub(r"(^|\s)#.*", "", text)
    return [line.strip() for line in text.splitlines()]


@pytest.mark.skipif(not SRC.is_dir(), reason="the wheel's tests run without the sources")
def test_no_code_counts_in_longs():
    """A long has 32 bits on Windows."""
    files = [p for p in SRC.rglob("*") if p.suffix in {".h", ".pxi", ".pyx", ".pxd", ".c"}]
    assert len(files) > 20
    lines = [(p.name, line) for p in files for line in code_lines(p)]
    found = [(name, line) for name, line in lines if re.search(r"\blong\b", line)]
    assert {line for _, line in found} == ALLOWED, found


@pytest.mark.parametrize("n", [sys.maxsize // k + 1 for k in (8, 4, 2)])
def test_arrays_without_numbers_may_claim_any_length(n):
    """The bytes of the results wrapped around, to 0 for 2**61 rows: they went anywhere."""
    p = Value(2.0)
    f = mg.compile(lambda x: p * 3.0, batch=True)
    g = mg.compile(lambda x: [p * 3.0, p], batch=True)
    x = np.empty((n, 0), np.uint8)
    assert f(x[:3]).data.tolist() == [6.0] * 3  # from now on the core reads such arrays itself
    assert g(x[:3]).sum()[0].data == 18.0
    assert f.value_and_grad(x[:3])[0].tolist() == [6.0] * 3
    assert f.value_and_grad(x[:3], params=[p])[0] == 6.0
    for call in (lambda: f(x), lambda: g(x), lambda: f.value_and_grad(x)):
        with pytest.raises(MemoryError):
            call()
    with no_grad(), pytest.raises(MemoryError):
        f(x)
    with pytest.raises(MemoryError):
        f.value_and_grad(x, params=[p])
    assert f(x[:3]).data.tolist() == [6.0] * 3
