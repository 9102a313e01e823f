"""The helpers of the tests notice what is wrong: a check that cannot fail is a fault of its own.

gradcheck.py, plan_model.py and stranger/ have such tests where they are used.
"""

import math
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from bounds import Bound, assert_near, backward_bound
from cases import Case, assert_agrees
from conftest import fragments
from dual import OPS, Variables, expressions
from graph_model import Node, add, backward, maximum, mul, power, record_count, same_children
from inputs import grads, identity, with_step
from programs import backward_bounds, bits, gradients_agree, graph_of
from traces import close

from micrograd_fast import Value, _core

# ---- comparisons ----


@pytest.mark.parametrize("wrong", [1.0 + 3e-12, 1.0 - 3e-12, math.nan, math.inf, -1.0])
def test_near_is_near(wrong):
    assert_near([1.0 + 5e-13, 0.0], [1.0, 1e-29], [1.0, 0.0])
    with pytest.raises(AssertionError):
        assert_near([2.0, wrong], [2.0, 1.0], [1.0, 1.0])
    with pytest.raises(AssertionError):
        assert_near([1e-27], [0.0], [0.0])


def test_close_is_close():
    assert close(1.0, 1.0 + 5e-13)
    assert close(math.nan, math.nan)
    assert close(math.inf, math.inf)
    for a, b in [(1.0, 1.0 + 3e-12), (math.inf, -math.inf), (math.nan, 1.0), (1.0, math.inf)]:
        assert not close(a, b)
        assert not close(b, a)


def test_gradients_that_agree_agree():
    assert gradients_agree(2.0, 2.0 + 1e-12, 2.0)
    assert not gradients_agree(2.0, 2.0 + 3e-12, 2.0)
    assert not gradients_agree(2.0, math.nan, 2.0)
    assert gradients_agree(2.0, 5.0, math.inf)


def test_bits_are_all_bits():
    assert bits(0.0) != bits(-0.0)
    assert bits(1.0) != bits(math.nextafter(1.0, 2.0))
    assert bits(math.nan) == bits(-math.nan) != bits(math.inf)


def test_graphs_that_differ_are_told_apart():
    def graph(make):
        x, y = Value(2.0), Value(3.0)
        return graph_of([x, y, *make(x, y)])

    same = graph(lambda x, y: [x * y + x])
    assert same == graph(lambda x, y: [x + y * x])
    for make in (
        lambda x, y: [x * y + y],
        lambda x, y: [x * y + 2.0],
        lambda x, y: [x * y * x],
        lambda x, y: [x * y + x, x * y],
        lambda x, y: [x * y + x * 1.0],
        lambda x, y: [(x * y).relu() + x],
    ):
        assert graph(make) != same


# ---- bounds ----


def test_bounds_of_gradients_are_what_reaches_a_node():
    x, y = Value(3.0), Value(-2.0)
    root = (x * y + x) ** 2 + (x * y).relu()
    bound, errors = backward_bounds([root])
    assert errors == set()
    inner = 2 * abs(3.0 * -2.0 + 3.0)
    assert bound[x] == pytest.approx(inner * (2.0 + 1.0), rel=1e-12)
    assert bound[y] == pytest.approx(inner * 3.0, rel=1e-12)


def test_bounds_of_arrays_are_no_larger_than_they_must_be():
    x, y = Bound([2.0, -1.0]), Bound([0.5, 3.0])
    z = x * y + x.exp() - y
    backward_bound([z], [2.0])
    assert np.all((z.scale >= 3 * np.abs(z.z)) & (z.scale < 50))
    assert np.all(x.reach >= 2 * np.abs(y.z + np.exp(x.z)))
    assert np.all(x.reach <= 2 * (np.abs(y.z) + 4 * np.exp(x.z) * (1 + np.abs(x.z))))


# ---- compiled against eager ----


@pytest.mark.parametrize("wrong", ["value", "gradient", "gradient of x", "of one variant"])
def test_a_compiled_function_that_differs_from_eager_is_noticed(wrong, variant):
    def make(params, take):
        def function(x, k, v):
            z = params[0] * x[0] + v[0]
            if not _core.tracing():
                return [z]
            if wrong == "of one variant" and _core.kernel_variant() != variant:
                return [z]
            if wrong == "gradient":
                return [z + (params[0] - params[0].detach()) * 1e-6]
            if wrong == "gradient of x":
                return [z + (x[0] - x[0].detach()) * 1e-6]
            return [z + x[0] * 1e-9]

        return function

    case = Case(make, seed=1, n_rows=9, n_inputs=2, n_params=2)
    with pytest.raises(AssertionError):
        assert_agrees(case, [variant])


# ---- the referees ----


def test_dual_numbers_by_hand():
    x, y = np.array([2.0, 3.0, 2.0]), np.array([4.0, 1.0, 2.0])
    expected = {
        "+": (x + y, [1.0 + 0 * x, 1.0 + 0 * x]),
        "-": (x - y, [1.0 + 0 * x, -1.0 + 0 * x]),
        "*": (x * y, [y, x]),
        "/": (x / y, [1 / y, -x / y**2]),
        "max": (np.maximum(x, y), [[0.0, 1.0, 0.5], [1.0, 0.0, 0.5]]),
    }
    assert set(expected) == set(OPS)
    for op, (z, slopes) in expected.items():
        found = Variables(x=x, y=y).evaluate((op, "x", "y"))
        assert np.array_equal(found.z, z)
        assert found.d == pytest.approx(np.array(slopes), rel=1e-15)
        assert found.fragile == (op in ("-", "max"))  # of 2 and 2


def test_only_what_cancels_is_excused():
    one = Variables(x=np.array([1.0, 2.0]), y=np.array([0.3, 0.25]))
    for op in OPS:
        assert not one.evaluate((op, (op, "x", "y"), "y")).fragile, op
    near = Variables(x=np.array([1.0]), y=np.array([1.0 + 1e-9]))
    assert near.evaluate(("-", "x", "y")).fragile
    assert near.evaluate(("*", ("max", "x", "y"), "x")).fragile


@pytest.mark.parametrize("n, count", [(1, 2), (2, 4 * 5), (3, 2 * 8 * 25), (4, 5 * 16 * 125)])
def test_every_expression_is_there_once(n, count):
    found = list(expressions(n, ("x", 2.0)))
    assert len(found) == len(set(found)) == count


def test_the_model_of_graphs_by_hand():
    x, y = Node(2), Node(3)
    root = add(mul(x, y), add(power(x, 3), maximum(y, Node(3))))
    backward(root)
    assert (root.data, x.grad, y.grad) == (17.0, 3.0 + 12.0, 2.0 + 0.5)
    assert record_count([root]) == 3 + 5 + 1  # the power's exponent is a hidden one


def test_the_model_of_graphs_knows_other_children():
    def same(node, value):
        return same_children(node, value, {}, {}, type(None))

    x, y = Value(2.0), Value(3.0)
    for node, value, expected in [
        (add(Node(2), Node(3)), x + y, True),
        (add(Node(2), Node(4)), x + y, False),
        (add(Node(2), mul(Node(1), Node(3))), x + y, False),
    ]:
        assert same(node, value) == expected
    x.grad = 1.0
    assert not same(add(Node(2), Node(3)), x + y)
    x.grad, y.label = 0.0, "y"
    assert not same(add(Node(2), Node(3)), x + y)


def test_what_tests_start_from():
    x = with_step(2.0)
    y = identity(x)
    (y * 3.0).backward()
    assert x.calls == 1
    assert grads(x, y) == [3.0, 3.0]
    assert grads(x, y) == [0.0, 0.0]


# ---- fixtures and options ----


def test_fragments_leave_as_many_holes_as_nodes(gc_off):
    before = _core.live_nodes()
    kept = fragments(1000)
    assert 400 < len(kept) < 600
    assert _core.live_nodes() == before + len(kept)


FIXTURES = """
import sys
import pytest
from conftest import ENGINES, run_fresh
from micrograd_fast import Value

kept = []

def test_a_leak(live_nodes_unchanged):
    kept.append(Value(1.0))

def test_a_script_that_fails():
    run_fresh("raise SystemExit(3)")

def test_a_skip():
    pytest.skip("never")

def test_engines_and_threads(engines, gc_off, busy_threads):
    import gc
    assert [e.Value.__module__.split(".")[0] for e in engines] == list(ENGINES)
    assert len(set(ENGINES)) == 2 and engines[0].Value is not engines[1].Value
    assert not gc.isenabled() and sys.getswitchinterval() < 1e-5
    assert run_fresh("print(_core.live_nodes())") == "0\\n"

def test_afterwards():
    import gc
    assert gc.isenabled() and sys.getswitchinterval() > 1e-4
"""


def test_fixtures_fail_where_they_must(tmp_path):
    pytest.importorskip("micrograd")
    shutil.copy(Path(__file__).parents[1] / "conftest.py", tmp_path)
    (tmp_path / "test_inside.py").write_text(FIXTURES)
    (tmp_path / "pytest.ini").write_text("[pytest]\n")
    command = [sys.executable, "-m", "pytest", "-rA", "-q", "-p", "no:cacheprovider", "--tb=no"]
    found = subprocess.run(
        command,
        cwd=tmp_path,
        env={**os.environ, "MF_TEST_NO_SKIPS": "1"},
        capture_output=True,
        text=True,
    ).stdout
    wrong = ("ERROR test_inside.py::test_a_leak", "FAILED test_inside.py::test_a_script_that_fails",
             "FAILED test_inside.py::test_a_skip")  # fmt: skip
    for line in wrong:
        assert line in found, found
    for name in ("test_engines_and_threads", "test_afterwards"):
        assert f"PASSED test_inside.py::{name}" in found, found
