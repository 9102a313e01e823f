"""What goes with a row of the op table: its method, the stub, references, documents, texts.

docs/add-an-op.md names what a new row needs; each of these is missed by a test in this file.
"""

import ast
import importlib.util
import inspect
import itertools
import math
import pydoc
import re
from pathlib import Path

import numpy as np
import pytest
from formulas import evaluated
from references import OPERATORS, REFERENCES, apply, second_operand

import micrograd_fast as mg
from micrograd_fast import _core
from micrograd_fast._core import OPS
from micrograd_fast.engine import Value

ROOT = Path(__file__).resolve().parents[2]
STUB = Path(_core.__file__).with_name("_core.pyi")
EVERY_OP = pytest.mark.parametrize("op", OPS, ids=lambda op: op.name)
NAMED_BINARY = [op.name for op in OPS if op.doc and op.arity == 2]
SPECIAL = [0.0, -0.0, 1.0, -1.0, 0.5, -2.5, 711.0, -746.0, 1e155, 1e300, -1e300, 1e-155, 1e-310]
SPECIAL += [5e-324, -5e-324, math.nan, math.inf, -math.inf]


def test_the_table_is_consistent():
    names = [op.name for op in OPS]
    assert len(set(names)) == len(names) >= 15
    for op in OPS:
        assert op.kind in ("unary", "binary", "param")
        assert op.arity == (2 if op.kind == "binary" else 1)
        assert op.lo < op.hi
        assert op.label
        assert repr(op).startswith(f"Op(name={op.name!r}, label={op.label!r}, kind=")
        with pytest.raises(AttributeError):
            op.name = "other"


def tool_of(name):
    """A file of tools/ as a module."""
    spec = importlib.util.spec_from_file_location(name, ROOT / "tools" / f"{name}.py")
    tool = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(tool)
    return tool


@EVERY_OP
def test_an_op_has_its_python_name_on_value(op):
    assert callable(vars(Value)[OPERATORS.get(op.name, op.name)])


def test_value_has_no_method_that_names_no_op():
    others = {"backward", "detach", "item"}
    methods = {name for name, thing in vars(Value).items() if callable(thing) and name[0] != "_"}
    named = {name for name in methods - others if vars(Value)[name].__name__ == name}
    assert named == {op.name for op in OPS if op.doc}
    assert {vars(Value)[name].__name__ for name in methods - others - named} <= named


@EVERY_OP
def test_an_op_is_in_the_stub(op):
    stub = ast.parse(STUB.read_text())
    (value,) = (n for n in stub.body if isinstance(n, ast.ClassDef) and n.name == "Value")
    methods = {n.name for n in value.body if isinstance(n, ast.FunctionDef)}
    assert OPERATORS.get(op.name, op.name) in methods


def test_the_stubs_have_the_methods_of_the_table_and_the_docstrings_of_the_module():
    """If this fails: python tools/stub.py && ruff format micrograd_fast/*.pyi"""
    tool = tool_of("stub")
    for path in tool.STUBS:
        text = path.read_text()
        assert text == tool.rewritten(text)
    text = STUB.read_text()
    for wrong in ("The hyperbolic tangent", "The data, as NumPy's"):
        other = text.replace(f'"""{wrong}', '"""Something else')
        assert text != other and text == tool.rewritten(other)


@EVERY_OP
def test_a_method_has_its_docstring_and_its_signature(op):
    assert bool(op.doc) != (op.name in OPERATORS)
    if op.doc:
        method = vars(Value)[op.name]
        assert method.__doc__ == op.doc
        assert str(inspect.signature(method)) == f"(self, /{', other' if op.arity == 2 else ''})"
        assert op.doc in pydoc.render_doc(Value, renderer=pydoc.plaintext)


@pytest.mark.parametrize("name", NAMED_BINARY)
def test_the_other_operand_is_given_by_place_or_by_name(name):
    method = getattr(Value(1.0), name)
    assert method(other=3.0).data == method(3.0).data
    wrong = [((), {}), ((1.0, 2.0), {}), ((), {"othr": 1.0}), ((1.0,), {"other": 2.0})]
    for args, kwargs in wrong:
        with pytest.raises(TypeError, match=rf"{name}\(\) takes one argument: other"):
            method(*args, **kwargs)


@EVERY_OP
def test_partials_are_finite_where_the_table_says_so(op):
    """By compiled functions, whose arithmetic raises nothing. The column says neither too much nor,
    which would cost time, too little."""
    rows = np.array(list(itertools.product(SPECIAL, repeat=op.arity)))
    exponents = SPECIAL if op.kind == "param" else [None]
    finite = True
    for k in exponents:
        extra = [] if k is None else [k]
        f = mg.compile(lambda row, extra=extra: apply(op.name, *row, *extra), batch=True)
        with np.errstate(all="ignore"):
            finite = finite and bool(np.isfinite(f.value_and_grad(rows)[1]).all())
    assert op.finite_partials == finite
    assert op.finite_partials or not op.is_choice


def documented_ops():
    """{name: label} from the first table of docs/ops.md."""
    text = (ROOT / "docs" / "ops.md").read_text().partition("\n## ")[0]
    rows = re.findall(
        r"^\| `(\w+)` \| .+? \| `(\S+)` \|(?: [^|]+ \|){2}(?: [^|]+)? \|$", text, re.M
    )
    return dict(rows)


def test_the_documentation_has_a_row_for_every_op_and_no_other():
    expected = {op.name: op.label + "k" * (op.kind == "param") for op in OPS}
    assert documented_ops() == expected


def test_the_page_on_accuracy_has_a_row_for_every_op():
    """If this fails for a new op: python tools/accuracy.py --write NAME."""
    tool = tool_of("accuracy")
    assert list(tool.stated_bounds()) == list(tool.OPS)
    assert {op.name for op in OPS} | {"sub", "div"} == {row.name for row in tool.OPS.values()}


def test_the_changelog_names_every_method():
    text = (ROOT / "CHANGELOG.md").read_text("utf-8")
    assert [op.name for op in OPS if op.doc and not re.search(rf"\b{op.name}\b", text)] == []


# ---- references ----


def test_every_op_has_a_reference_and_no_other_name_has():
    compositions = {"sub", "div"}
    assert set(REFERENCES) == {op.name for op in OPS} | compositions
    assert compositions <= set(OPERATORS)


@EVERY_OP
def test_a_reference_has_a_slope_for_each_operand_and_a_bound_where_there_is_a_kernel(op):
    known = REFERENCES[op.name]
    assert len(known.slopes) == len(known.exact_slopes) == op.arity
    assert (known.kernel_ulps is not None) == (op.kind == "unary")


# ---- the texts ----


def results(op, numbers):
    """Value and partials of the op, by the engine."""
    leaves = [Value(k) for k in numbers[: op.arity]]
    out = apply(op.name, *leaves, *numbers[op.arity :])
    out.backward()
    return [out.data, *(v.grad for v in leaves)]


@EVERY_OP
def test_the_texts_of_value_and_partials_are_formulas_of_them(op, rng):
    assert len(op.partials) == op.arity
    for _ in range(50):
        numbers = [rng.uniform(op.lo, op.hi)]
        numbers += [] if op.kind == "unary" else [second_operand(op, rng)]
        expected = results(op, numbers)
        x, y = (*numbers, 0.0)[:2]
        found = [evaluated(text, x, y, expected[0]) for text in (op.value, *op.partials)]
        assert found == pytest.approx(expected, rel=1e-13, abs=0.0)


def test_formulas_are_read_as_c_reads_them():
    cases = {
        "x < 0.0 ? 0.0 : x": 3.0,
        "x < y ? 0.0 : x == y ? 0.5 : 1.0": 0.5,
        "(x > 4.0 ? x : -x) + fabs(-y)": 0.0,
        "(double)((x > 0.0) - (x < 0.0))": 1.0,
        "mf_maximum(x < 0.0 ? x : 2.0, z)": 5.0,
        "x > 0.0 && !(y < 0.0) ? 1.0 / z : z": 0.2,
        "-x / z * z": -3.0,
    }
    for text, number in cases.items():
        assert evaluated(text, 3.0, 3.0, 5.0) == number
