"""Errors of every op against mpmath stay below what docs/accuracy.md states."""

import importlib.util
import platform
from pathlib import Path

import numpy as np
import pytest

import micrograd_fast as mg
from micrograd_fast import _core
from micrograd_fast.engine import Value

ROOT = Path(__file__).resolve().parents[2]
SPEC = importlib.util.spec_from_file_location("accuracy", ROOT / "tools" / "accuracy.py")
accuracy = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(accuracy)

# The eager columns are the C library's; the table was made with this one.
SPARE = 0.0 if platform.libc_ver()[0] == "glibc" else 2.0


def check(text, n):
    stated = accuracy.stated_bounds()[text]
    for column, (error, point) in accuracy.measure(text, n).items():
        spare = SPARE if "eager" in column else 0.0
        assert error <= stated[column] + spare, f"{text} {column}: {error} ulp at {point}"


@pytest.mark.parametrize("text", accuracy.OPS)
def test_errors_are_within_the_table_of_the_docs(text):
    check(text, 150)


@pytest.mark.slow
@pytest.mark.parametrize("text", accuracy.OPS)
def test_errors_of_many_numbers_are_within_the_table_of_the_docs(text):
    check(text, 2000)


def test_the_tool_sees_wrong_digits():
    """A measurement that sees no error proves nothing."""
    x = np.array([1.0, 2.0])
    for text in ("x.exp()", "x.log()", "x.tanh()"):
        exact = accuracy.exact_results(text, (x,))
        right = accuracy.eager_results(text, (x,))
        wrong = [[z * (1 + 4e-15) for z in found] for found in right]
        for found, low, high in ((right, 0, 3), (wrong, 10, 60)):
            for error, _ in accuracy.worst(found, exact, (x,), flushed=False):
                assert low <= error <= high


def test_no_bound_but_that_of_blocks_close_to_the_limit_is_above_six_ulp():
    for text, row in accuracy.stated_bounds().items():
        for column, limit in row.items():
            near_one = text in ("x.tanh()", "x.sigmoid()") and column == "derivatives, compiled"
            assert limit <= (500 if near_one else 6), (text, column)


# ---- tails ----


@pytest.mark.parametrize("name", ["tanh", "sigmoid"])
def test_derivatives_in_the_tails_are_not_lost(name):
    x = np.array([19.0, 20.0, 37.0, 50.0, 300.0, -19.0, -37.0, -300.0])
    power = 2.0 if name == "tanh" else 1.0
    x = np.concatenate([x, np.linspace(707.0, 708.39, 50) / power])  # to the last normal number
    e = np.exp(-power * np.abs(x))
    expected = pytest.approx(power**2 * e / (1 + e) ** 2, rel=1e-13, abs=0.0)
    leaves = [Value(v) for v in x]
    for v in leaves:
        getattr(v, name)().backward()
    assert [v.grad for v in leaves] == expected
    before = _core.kernel_variant()
    f = mg.compile(lambda v: getattr(v, name)(), batch=True)
    for variant in accuracy.VARIANTS:
        if _core._set_kernel_variant(variant):
            assert f.value_and_grad(x)[1] == expected
    _core._set_kernel_variant(before)


@pytest.mark.parametrize("name", ["tanh", "sigmoid"])
def test_a_value_rewritten_before_backward_leaves_the_derivative_to_the_result(name):
    for first, then in [(3.0, -1.0), (0.5, 40.0), (30.0, 0.0), (30.0, 2.0)]:
        v = Value(first)
        out = getattr(v, name)()
        v.data = then
        out.backward()
        z = out.data
        assert v.grad == (1.0 - z * z if name == "tanh" else z * (1.0 - z))


def test_sin_and_cos_at_multiples_of_pi_have_all_their_digits():
    turns = np.concatenate([np.arange(1, 2000), [100_000, 318_308, 636_618]])
    x = turns * (np.pi / 2)
    for name, f in (("sin", np.sin), ("cos", np.cos)):
        with np.errstate(all="ignore"):
            ours = mg.compile(lambda v, name=name: getattr(v, name)(), batch=True)(x).data
        assert ours == pytest.approx(f(x), rel=1e-15, abs=0.0)
