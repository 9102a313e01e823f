"""detect_anomaly: the op, the numbers and the line that it names; what it leaves as it was."""

import contextlib
import gc
import math
import sys
import threading
import traceback
from pathlib import Path

import numpy as np
import pytest
from planted import loaded, programs

import micrograd_fast as mg
from micrograd_fast import AnomalyError, _core, detect_anomaly, functional, nn, optim
from micrograd_fast.engine import Value, no_grad

HERE = Path(__file__)
INF, NAN = math.inf, math.nan


def line_with(mark):
    """The number of the line of this file that ends with a comment."""
    lines = HERE.read_text("utf-8").splitlines()
    return next(k for k, line in enumerate(lines, 1) if line.endswith(f"  # {mark}"))


def caught(function, *args):
    """What it raises."""
    with pytest.raises(AnomalyError) as e:
        function(*args)
    return e.value


@pytest.fixture(autouse=True)
def nothing_stays():
    yield
    assert (Value(1e200) * 1e200).data == INF


# ---- planted faults ----


def test_a_planted_fault_is_raised_at_its_line(tmp_path, rng):
    """What Python's floats raise at once stands in the traceback, as ever; all else is an
    AnomalyError. Derivatives that do not exist get the line on which the op was built."""
    n_errors = {}
    for k, (name, program) in enumerate(programs(rng)):
        module, path = loaded(program, tmp_path, f"planted{k}")
        kind = program.kind
        x, t = [Value(0.5), Value(0.25)], Value(kind.bad)
        with pytest.raises((ArithmeticError, ValueError)) as e, detect_anomaly():
            module.f(x, t).backward()
        error, where = e.value, f"{name}\n{e.value!r}\n{program.text}"
        n_errors[type(error)] = n_errors.get(type(error), 0) + 1
        if isinstance(error.__cause__, AnomalyError):
            assert str(error).endswith(f"built at {path}:{program.line}"), where
            error = error.__cause__
        if isinstance(error, AnomalyError):
            assert (error.file, error.line) == (path, program.line), where
            assert (error.op, error.direction) == (kind.op, kind.direction), where
        else:
            last = traceback.extract_tb(error.__traceback__)[-1]
            assert (last.filename, last.lineno) == (path, program.line), where
            assert kind.direction == "forward", where
        with detect_anomaly():
            module.f(x, Value(kind.good)).backward()
    assert set(n_errors) == {AnomalyError, OverflowError, ValueError, ZeroDivisionError}


# ---- forward ----


def test_an_op_raises_at_once():
    x = Value(1e200)
    with detect_anomaly():
        y = x * 3.0
        error = caught(lambda: y * x)  # product
    assert isinstance(error, FloatingPointError)
    assert (error.op, error.operands, error.value) == ("*", (3e200, 1e200), INF)
    assert (error.direction, error.file, error.line) == ("forward", __file__, line_with("product"))
    assert str(error) == f"{__file__}:{error.line}: 3e+200 * 1e+200 is inf"


def test_a_nan_that_is_made_of_infinities():
    big = Value(INF)
    with detect_anomaly():
        assert (big + 1.0).data == INF  # it was given
        assert math.isnan((Value(NAN) * 2.0).data)
        assert big.maximum(0.0).data == INF
        for f in (lambda: big - big, lambda: big * 0.0, lambda: Value(0.0) * big):
            assert math.isnan(caught(f).value)


def test_ops_as_they_are_written():
    x = Value(-1.5e308)
    y = Value(1.5e308)
    with detect_anomaly():
        for f, op, operands in [
            (lambda: x + x, "+", (-1.5e308, -1.5e308)),
            (lambda: x - y, "-", (-1.5e308, 1.5e308)),
            (lambda: -y + x, "+", (-1.5e308, -1.5e308)),
            (lambda: y / Value(1e-3), "/", (1.5e308, 1e-3)),
            (lambda: y * 10, "*", (1.5e308, 10.0)),
            (lambda: 10 * y, "*", (1.5e308, 10.0)),
        ]:
            error = caught(f)
            assert (error.op, error.operands) == (op, operands)


@pytest.mark.parametrize("mode", [contextlib.nullcontext, no_grad])
def test_functions_of_lists_networks_and_what_does_not_record(mode):
    model = nn.MLP(2, [3, 1])
    model.parameters()[1].data = 1e308
    xs = [Value(1e308), Value(1e308)]
    with detect_anomaly(), mode():
        for f, op in [
            (lambda: model([1.0, 100.0]), "*"),
            (lambda: functional.sum(xs), "+"),
            (lambda: sum(xs), "+"),
            (lambda: functional.dot(xs, xs), "*"),
            (lambda: 0.0 * Value(INF), "*"),
        ]:
            error = caught(f)
            assert (error.op, error.file, math.isfinite(error.value)) == (op, __file__, False)
        with pytest.raises(OverflowError, match=r"\*\* 2"):  # Python's own
            functional.mse_loss(xs, [0.0, 0.0])
    with no_grad(), detect_anomaly():
        assert caught(lambda: Value(0.0) * INF).op == "*"


def test_custom_nodes():
    x = Value(2.0)
    with detect_anomaly():
        error = caught(lambda: Value(NAN, (x,), "mine"))
        assert (error.operands, error.direction) == ((2.0,), "forward")
        out = Value(3.0, (x,), "mine")  # made

        def step():
            x.grad += INF

        out._backward = step
        error = caught((out * 2.0).backward)
    assert (error.op, error.operands, error.line) == ("mine", (2.0,), line_with("made"))
    assert x.grad == 0.0


def test_the_graph_is_as_it_was(gc_off):
    x = Value(1e200)
    before = _core.live_nodes()
    with detect_anomaly():
        for f in (
            lambda: x * x,
            lambda: x - x * -1e200,
            lambda: _core.affine([x, x], [1.0, 1e200], x, "tanh"),
            lambda: _core.dot([x, x], [x, x]),
            lambda: _core.total([x * 1e107, x * 1e107, x * 1e107, Value(1.7e308), x]),
            lambda: mg.gradients(x * x.detach(), [x]),
            lambda: Value(INF, (x, x, x), "op"),
        ):
            caught(f)
    assert (_core.live_nodes(), x.grad) == (before, 0.0)


# ---- backward ----


def test_backward_names_the_line_that_built_the_op():
    x = Value(1e-200)
    with detect_anomaly():
        y = x.sqrt()
        z = y**-2  # steep
        z = z * 1e-200  # as large as that of the number is, nobody wants its gradient
        error = caught((z * 1e250 + 0.0).backward)
    assert (error.op, error.direction, error.line) == ("**", "backward", line_with("steep"))
    assert (error.value, error.operands) == (-INF, (1e-100, -2.0))
    assert str(error) == (
        f"{__file__}:{error.line}: on the way back 1e-100 ** (-2.0) makes an adjoint of -inf"
    )


def test_the_step_at_fault_adds_nothing():
    x, w = Value(1e-300), Value(1e300)
    with detect_anomaly():
        y = w * x
        loss = y * 1e300 * 1e-10
        caught(lambda: (loss * 1e20).backward())
    assert (x.grad, w.grad) == (0.0, 0.0)


def test_a_sum_of_adjoints_that_is_too_large():
    x = Value(0.0)
    with detect_anomaly():
        error = caught((x * 1e308 + x * 1.5e308).backward)
    assert (error.op, error.direction) == ("*", "backward")
    assert x.grad in (1e308, 1.5e308)


def test_gradients_that_were_infinite_before_pass():
    x, y = Value(2.0), Value(3.0)
    x.grad = INF
    with detect_anomaly():
        (x * y).backward()
    assert (x.grad, y.grad) == (INF, 2.0)


def test_a_derivative_that_does_not_exist_gets_its_line():
    with detect_anomaly():
        y = Value(0.0).sqrt()  # root
        with pytest.raises(ZeroDivisionError) as e:
            (y * 2.0).backward()
    assert str(e.value).endswith(f"division by zero, built at {__file__}:{line_with('root')}")
    cause = e.value.__cause__
    assert (cause.op, cause.operands, cause.line) == ("sqrt", (0.0,), line_with("root"))
    assert "sqrt(0.0) has no derivative" in str(cause)


def test_what_was_built_before_has_no_line():
    x = Value(0.0)
    y, z = x.sqrt(), x * 1e308 * 1e300
    with detect_anomaly():
        with pytest.raises(ZeroDivisionError, match=r"division by zero$"):
            y.backward()
        error = caught(z.backward)
    assert (error.line, error.file) == (None, None)
    assert "built outside of detect_anomaly" in str(error)


def test_lines_of_ids_that_come_again():
    """A node of another thread, or of another block, does not get the line of one that is gone."""
    with detect_anomaly():
        for _ in range(3):
            Value(0.0).sqrt()
        gone = Value(2.0) * 3.0
        del gone
        made = []
        thread = threading.Thread(target=lambda: made.append(Value(0.0).sqrt()))
        thread.start()
        thread.join()
        with pytest.raises(ZeroDivisionError, match=r"division by zero$"):
            made[0].backward()


def test_gradients_are_those_without_the_block():
    def run():
        import random

        random.seed(3)
        model = nn.MLP(2, [4, 1], activation="tanh")
        f = mg.compile(lambda x, t: (model(x) - t) ** 2, batch=True)
        loss = f(np.eye(2), np.ones(2)).mean() + functional.cross_entropy(
            [model([1.0, 2.0]), *model.parameters()[:2]], 1
        )
        optimizer = optim.SGD(model.parameters(), lr=0.1)
        loss.backward()
        optimizer.step()
        return [
            loss.data,
            *(p.grad for p in model.parameters()),
            *(p.data for p in model.parameters()),
        ]

    before = run()
    with detect_anomaly():
        assert run() == before


# ---- compiled functions ----


def test_a_compiled_function_is_traced_as_ever():
    with detect_anomaly():
        f = mg.compile(lambda x: mg.where(x > 0, x.log(), Value(1e200) * 1e200 * x))
        assert f(1.0).data == 0.0
        assert f.find_nan(-1.0).op == "*"
        f.explain(1.0)


def test_results_of_compiled_functions():
    @mg.compile(batch=True)
    def score(x):
        return [x.log(), x]

    with detect_anomaly():
        error = caught(lambda: score(np.array([1.0, 0.0])))  # called
        assert (error.op, error.value, error.line) == ("score", -INF, line_with("called"))
        assert str(error).endswith(
            "score() has a result that is -inf in sample 1: score.find_nan(...) of the same "
            "arguments says where it comes from"
        )
        assert math.isnan(caught(lambda: score.values(np.array([-1.0]))).value)
        error = caught(lambda: mg.compile(lambda x: x.log())(0.0))
        assert ": f.find_nan(...)" in str(error)
        assert "sample" not in str(error)


def test_gradients_of_compiled_functions():
    w = Value(0.0)

    @mg.compile(batch=True)
    def root(x):
        return (w * x).sqrt()

    both = mg.compile(lambda x: [(w * x).sqrt(), x], batch=True)
    once = mg.compile(lambda x: [(w * x).sqrt(), w * x])
    x = np.ones(3)
    with detect_anomaly():
        for f in (
            root(x).mean().backward,  # mean
            lambda: (both(x)[1][0] + 1.0).backward(),
            lambda: once(1.0)[0].backward(),
            lambda: (once(1.0)[0] + once(1.0)[1]).backward(),
            lambda: root.value_and_grad(x, params=[w]),
            lambda: root.value_and_grad(x),
            lambda: mg.compile(lambda x: x[0].sqrt()).value_and_grad(np.zeros(2)),
        ):
            error = caught(f)
            assert (error.direction, math.isfinite(error.value)) == ("backward", False)
            assert ".find_nan(...)" in str(error)
        assert caught(root(x).mean().backward).op == "root"
        assert root.value_and_grad(x, params=[Value(1.0)])[0] == 0.0
    assert w.grad == 1.0  # of once(1.0)[1]


def test_derivatives_and_arithmetic_on_batches():
    @mg.compile
    def norm(x):
        return (x[0] * x[0] + x[1] * x[1]).sqrt()

    batch = mg.compile(lambda x: x * 1.0, batch=True)(np.array([1.0, 0.0]))
    with detect_anomaly():
        for f in (norm.grad, norm.jacobian, norm.hessian):
            error = caught(f, np.zeros(2))
            assert "norm.find_nan(...)" in str(error)
        error = caught(lambda: 1.0 / batch)
        assert str(error).endswith("arithmetic on a Batch has a result that is inf in sample 1")
        error = caught(lambda: np.sqrt(batch).sum().backward())
        assert str(error).endswith("arithmetic on a Batch has a gradient that is inf in sample 1")


def test_of_two_compiled_functions_the_one_at_fault_is_named():
    w = Value(0.0)
    inner = mg.compile(lambda x: w * x, batch=True)
    outer = mg.compile(lambda v: v.sqrt(), batch=True)
    inner.__name__, outer.__name__ = "inner", "outer"
    with detect_anomaly():
        error = caught(outer(inner(np.ones(2))).mean().backward)
    assert (error.op, error.direction) == ("outer", "backward")


# ---- the block ----


def test_it_nests_and_ends_however_it_ends():
    x = Value(1e200)
    with detect_anomaly():
        with detect_anomaly():
            caught(lambda: x * x)
        caught(lambda: x * x)
        with pytest.raises(KeyError), detect_anomaly():
            raise KeyError
        y = x.sqrt()  # kept
    assert (x * x).data == INF
    block = detect_anomaly()
    with block, block:
        caught(lambda: x * x)
    with pytest.raises(RuntimeError, match="detect_anomaly was left more often"):
        block.__exit__()
    assert y.data == 1e100


def test_it_holds_for_its_thread():
    x, found = Value(1e200), []
    with detect_anomaly():
        thread = threading.Thread(target=lambda: found.append((x * x).data))
        thread.start()
        thread.join()
    assert found == [INF]


def test_decorated():
    x = Value(1e200)

    @detect_anomaly
    def plain(x):
        return x * x

    @detect_anomaly()
    def generator():
        try:
            yield x * 1.0
            x * x
        except AnomalyError as e:
            yield e.op

    error = caught(plain, x)
    assert error.operands == (1e200, 1e200)
    found = []
    for item in generator():
        assert (x * x).data == INF  # outside while it waits
        found.append(item)
    assert found[1] == "*"
    with pytest.raises(TypeError, match="detect_anomaly decorates functions, not 'int'"):
        detect_anomaly(5)


def test_not_inside_a_trace():
    def f(x):
        with detect_anomaly():
            return x

    with pytest.raises(mg.TraceError, match=r"detect_anomaly inside a compiled function.*around"):
        mg.compile(f)(1.0)


def test_there_are_no_other_modes():
    with pytest.raises(ValueError, match="there is no mode 'both'"):
        _core.Mode("both")


def test_finalizers_do_not_run_while_a_node_is_made():
    """A collection in the middle of a sum could change the list that is summed up."""
    x, ran = Value(1.0), []

    class Loop:
        def __init__(self):
            self.me = self

        def __del__(self):
            ran.append(sys._getframe(1).f_lineno)

    thresholds = gc.get_threshold()
    with detect_anomaly():
        gc.set_threshold(1)
        try:
            for _ in range(20):
                Loop()
                _core.total([x] * 50)
        finally:
            gc.set_threshold(*thresholds)
    assert gc.isenabled()
    assert ran


def test_memory_that_runs_out_is_memory():
    x = Value(1.0)
    with detect_anomaly():
        _core._set_limits(max_nodes_to=_core.live_nodes() + 100)
        try:
            with pytest.raises(MemoryError, match="no room for another node"):
                for _ in range(1_000_000):
                    x = x * 1.0
        finally:
            _core._set_limits()
