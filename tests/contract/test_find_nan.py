"""f.find_nan(): which op, line, sample and name it finds, and what it leaves alone."""

import functools
import gc
import itertools
import math
from pathlib import Path

import numpy as np
import pytest
from planted import loaded, programs

import micrograd_fast as mg
from micrograd_fast import _core, nn
from micrograd_fast.engine import Value

INF, NAN = math.inf, math.nan
HERE = Path(__file__)


def line_with(mark):
    """The number of the line of this file that ends with a comment."""
    lines = HERE.read_text("utf-8").splitlines()
    return next(k for k, line in enumerate(lines, 1) if line.endswith(f"  # {mark}"))


# ---- planted faults ----


def test_a_planted_fault_is_found_at_its_line(tmp_path, rng):
    """Over all kinds and places: op, line and direction; of a batch with one bad sample which."""
    for k, (name, program) in enumerate(programs(rng)):
        module, path = loaded(program, tmp_path, f"planted{k}")
        kind, n = program.kind, rng.randrange(1, 6)
        batched = rng.random() < 0.7
        f = mg.compile(module.f, batch=batched)
        bad = rng.randrange(n)
        X = np.full((n, 2), 0.5) + np.arange(n)[:, None] / 8
        T = np.full(n, kind.good)
        T[bad] = kind.bad
        args = (X, T) if batched else ([0.5, 0.25], kind.bad)
        found = f.find_nan(*args)
        where = f"{name}\n{found}\n{program.text}"
        assert found, where
        assert (found.file, found.line) == (path, program.line), where
        assert (found.op, found.direction) == (kind.op, kind.direction), where
        assert found.sample == (bad if batched else None), where
        assert str(found).startswith(f"{path}:{program.line}: "), where
        good = (X, np.full(n, kind.good)) if batched else ([0.5, 0.25], kind.good)
        assert not f.find_nan(*good), where


# ---- whether there is one ----

STEPS = [
    lambda v, w: v + w,
    lambda v, w: v * w,
    lambda v, w: v - w,
    lambda v, w: v / w,
    lambda v, w: v.maximum(w),
    lambda v, w: mg.where(v > w, v, w),
    lambda v, w: mg.where(v > 0, v.log(), w),
    lambda v, w: mg.where(w < 1.0, v, w.sqrt()),
    lambda v, w: v.exp() + w,
    lambda v, w: v.tanh() * w.detach(),
    lambda v, w: v.relu().sqrt() + w,
    lambda v, w: mg.maximum(v, w, v * w),
    lambda v, w: v**3 + w,
    lambda v, w: v**-1.5 * w,
    lambda v, w: mg.take([v, w, v.log()], (v > 1.0).value),
]


def test_it_finds_one_where_a_call_has_one(rng):
    """Results and gradients of random functions: nan or infinite if and only if it says so."""
    n_found = 0
    for _ in range(150):
        steps = [
            (rng.choice(STEPS), rng.random(), rng.random()) for _ in range(rng.randrange(1, 6))
        ]

        def f(x, steps=tuple(steps)):
            values = list(x)
            for step, a, b in steps:
                values.append(step(values[int(a * len(values))], values[int(b * len(values))]))
            return values[-1]

        x = np.array([rng.choice([-1.0, 0.0, 0.5, 1.0, 3.0, 720.0, NAN, -INF]) for _ in range(3)])
        compiled = mg.compile(f)
        found = compiled.find_nan(x)
        value, gradient = compiled.value_and_grad(x)
        is_finite = math.isfinite(value) and bool(np.isfinite(gradient).all())
        assert bool(found) != is_finite, (found, value, gradient, compiled.program(x))
        n_found += bool(found)
    assert 20 < n_found < 130


def test_nothing_is_wrong():
    found = mg.compile(lambda x: x.exp()).find_nan(1.0)
    assert (found, bool(found), found.direction, found.unused) == (
        "no nan or inf",
        False,
        None,
        None,
    )
    assert (found.op, found.operands, found.value, found.line, found.sample) == (
        None,
        (),
        *[None] * 3,
    )


def test_an_arm_that_is_not_taken_is_left_unused():
    f = mg.compile(lambda x: mg.where(x > 0, x.log(), 0.0))  # arm
    found = f.find_nan(0.0)
    assert not found
    assert found.startswith("no nan or inf in results and gradients; left unused: ")
    assert (found.unused.op, found.unused.operands, found.unused.value) == ("log", (0.0,), -INF)
    assert (found.unused.line, found.unused.argument) == (line_with("arm"), "x")
    assert not mg.compile(lambda x: mg.where(x > 0, x.sqrt(), 0.0)).find_nan(0.0)


def test_what_fades_out_is_no_cause():
    """1 / exp(1000) is 0: the log of that is what reaches the result."""
    found = mg.compile(lambda x: (1.0 / x.exp()).log()).find_nan(1000.0)
    assert (found.op, found.operands, found.value) == ("log", (0.0,), -INF)


def test_the_first_that_reaches_a_result_is_named():
    def f(x):
        unused = (x - 5.0).log()
        first = (x - 4.0).log()  # first
        second = (x - 3.0).log()
        return second + first + mg.where(x > 9.0, unused, 0.0)

    found = mg.compile(f).find_nan(1.0)
    assert (found.line, found.operands) == (line_with("first"), (-3.0,))


def test_of_two_samples_the_one_whose_op_comes_first():
    f = mg.compile(lambda x: [x[0].log(), x[1].sqrt()], batch=True)
    found = f.find_nan(np.array([[1.0, -1.0], [-1.0, 1.0]]))
    assert (found.op, found.sample) == ("log", 1)


def test_on_the_way_back_the_op_that_was_made_last():
    def f(x):
        first = x.sqrt()
        return first + (x + x).sqrt() if x is not None else first  # last

    found = mg.compile(f).find_nan(0.0)
    assert (found.op, found.direction, found.line) == ("sqrt", "backward", line_with("last"))


def test_parts_of_divisions():
    """1 / y is infinite and x / y is not; y**-1 that is used elsewhere is an op of its own."""
    small = mg.compile(lambda x, y: x.detach() / y.detach() + x)
    assert small.find_nan(1e-310, 1e-310) == "no nan or inf"
    twice = mg.compile(lambda x, r=None: (lambda r: x * r + r)(x**-1))
    assert twice.find_nan(0.0).op == "**"
    assert not twice.find_nan(2.0)


def test_values_that_spoil_a_gradient_alone():
    """inf ** -1 is 0, but its derivative by the exponent is nan: the infinity is the cause."""
    w = Value(-1.0)
    found = mg.compile(lambda x: x.exp() ** w).find_nan(1000.0)
    assert (found.op, found.operands, found.value, found.direction) == (
        *("exp", (1000.0,), INF),
        "forward",
    )
    assert "reaches the gradient of parameter w" in found


@pytest.mark.parametrize("batch", [False, True])
def test_the_sum_of_adjoints_overflows(batch):
    f = mg.compile(lambda x: x * 1e308 + x * 1.5e308, batch=batch)
    found = f.find_nan(np.zeros(2) if batch else 0.0)
    assert (found.op, found.direction, found.value) == ("*", "backward", INF)


def test_a_call_that_computes_in_another_order():
    """A parameter in a sum takes the scale of its term, and overflows, which no op does."""
    w, v = Value(1e306), Value(1.0)
    f = mg.compile(lambda x: w * x[0].detach() * 1000.0 + v * x[1] * 1000.0, batch=True)
    x = np.full((3, 2), 1e-10)
    assert (f.values(x) == INF).all()
    found = f.find_nan(x)
    assert found
    assert (found.direction, found.op, found.line) == ("forward", None, None)
    assert found.startswith("op by op all is finite, but the call, which adds up in another order,")


# ---- names ----


def test_arguments_that_are_not_finite_are_named():
    @mg.compile(batch=True)
    def f(x, table, scale, *, target):
        s = x[1] * table["a"][1]  # uses
        return s + scale * target + x[0]

    def call(**other):
        args = {"x": np.ones((4, 2)), "table": {"a": [1.0, 2.0]}, "scale": 1.0}
        target = other.pop("target", np.ones(4))
        args.update(other)
        return f.find_nan(*args.values(), target=target)

    x = np.ones((4, 2))
    x[2, 1] = NAN
    found = call(x=x)
    assert (found.argument, found.sample, found.line) == ("x[1]", 2, line_with("uses"))
    assert (found.op, found.direction, math.isnan(found.value)) == (None, "forward", True)
    assert found.endswith("argument x[1] is nan in sample 2")
    found = call(table={"a": [1.0, INF]})
    assert (found.argument, found.sample, found.value) == ("table['a'][1]", None, INF)
    assert call(scale=-INF).argument == "scale"
    assert call(target=np.array([1.0, INF, 1.0, NAN])).argument == "target"
    assert "2 of 4 samples" in call(target=np.array([1.0, INF, 1.0, NAN]))
    assert not call()


def test_arguments_in_more_ways():
    f = mg.compile(lambda *rows, **more: sum(rows[1][0]) + more["y"])
    assert f.find_nan([1.0], np.array([[0.0, NAN]]), y=1.0).argument == "rows[1][0, 1]"
    assert f.find_nan([1.0], np.array([[0.0, 1.0]]), y=Value(INF)).argument == "y"
    doubled = mg.compile(lambda x: [2.0 * v for v in x], batch=True)(np.array([[1.0, 2.0]]))
    g = mg.compile(lambda x: (x[0] - 2.0).log() + x[1], batch=True)
    assert g.find_nan(doubled).op == "log"
    with mg.no_grad():
        assert not g.find_nan(doubled + 1.0)


def test_operands_and_gradients_that_are_arguments_or_parameters_are_named():
    scale, other = Value(0.0), Value(2.0, label="gain")
    model = nn.MLP(2, [2, 1])
    f = mg.compile(lambda x: (scale * x).sqrt() + other)
    found = f.find_nan(1.0)
    assert (found.op, found.direction, found.parameter) == ("sqrt", "backward", "scale")
    assert "reaches the gradient of parameter scale" in found
    found = mg.compile(lambda x: (x - other).log()).find_nan(1.0)
    assert (found.argument, found.parameter) == (None, None)
    found = mg.compile(lambda x: other / x).find_nan(0.0)
    assert (found.argument, found.parameter) == ("x", "gain")
    assert found.endswith("of argument x and parameter gain")
    model.layers[0].neurons[1].w[0].data = INF
    found = mg.compile(lambda x: model(x), batch=True).find_nan(np.ones((3, 2)))
    assert (found.parameter, found.sample) == ("model.layers[0].neurons[1].w[0]", None)
    hidden = functools.partial(lambda v, x: v * x, Value(INF))
    nameless = mg.compile(lambda x, f=hidden: f(x))
    assert nameless.find_nan(1.0).parameter == "Value(data=inf)"


class Line:
    def __init__(self, slope):
        self.slope = slope

    @mg.compile
    def value(self, x):
        return self.slope * x.log()  # method


def test_methods():
    found = Line(Value(1.0)).value.find_nan(0.0)
    assert (found.line, found.argument) == (line_with("method"), "x")
    assert Line(Value(NAN)).value.find_nan(1.0).parameter == "self.slope"


def test_numbers_of_the_code_are_nobodys_fault():
    found = mg.compile(lambda x: x * INF).find_nan(0.0)
    assert (found.op, found.operands, found.argument) == ("*", (0.0, INF), "x")
    assert math.isnan(found.value)
    found = mg.compile(lambda x: [x, Value(INF)]).find_nan(0.0)
    assert (found.op, found.value) == (None, INF)
    assert "a number of the code is inf" in found


# ---- kinds of functions and calls ----


def test_custom_ops_and_derivatives():
    root = mg.custom(lambda x: x**0.5, lambda z, x: [0.5 / z])
    f = mg.compile(lambda x: root(x) * 2.0)  # custom
    found = f.find_nan(0.0)
    assert (found.line, found.op, found.operands) == (line_with("custom"), "/", (0.5, 0.0))
    slope = mg.compile(mg.grad(lambda x: x.log()))
    assert slope.find_nan(0.0).op in ("/", "**")


def test_takes_and_extremes():
    f = mg.compile(lambda x, k: mg.take([x, x.log()], k))
    assert not f.find_nan(0.0, 0.0)
    assert f.find_nan(0.0, 1.0).op == "log"
    for k in (2.0, 0.5):
        with pytest.raises(IndexError, match=f"index {k:g}"):
            f.find_nan(1.0, k)
    found = mg.compile(lambda x: mg.take([x, x], x.log())).find_nan(-1.0)
    assert (found.op, found.operands) == ("log", (-1.0,))
    hidden = mg.compile(lambda x: mg.where(x > 5.0, mg.take([x, x], x.log()), x))
    assert hidden.find_nan(-1.0).op == "log"  # it is an IndexError of the call
    chosen = mg.compile(lambda x: mg.take([x.log(), (x - 5.0).log()], 1.0 + x))
    assert chosen.find_nan(0.0).operands == (-5.0,)
    larger = mg.compile(lambda x: x.log().maximum((x - 5.0).log()))
    assert larger.find_nan(0.0).operands == (-5.0,)
    shared = mg.compile(lambda x: mg.maximum(x + 0.0, x * 1.0, x - 1.0) * 1.5e308)
    assert not shared.find_nan(0.0)
    unused = mg.compile(lambda x: mg.where(x > 5.0, mg.maximum(x.log(), x, x * 2.0), x))
    assert not unused.find_nan(-1.0)
    top = mg.compile(lambda x: mg.maximum(x[0], x[1].log(), x[2]))
    assert not top.find_nan([1.0, 0.0, 2.0])  # log(0) is no maximum
    assert top.find_nan([1.0, -1.0, 2.0]).op == "log"
    low = mg.compile(lambda x: mg.minimum(x[0], x[1].log(), x[2]))
    assert low.find_nan([1.0, 0.0, 2.0]).value == -INF


def test_detached_numbers_pass_nothing_on():
    assert not mg.compile(lambda x: x + x.sqrt().detach()).find_nan(0.0)
    assert not mg.compile(lambda x: x + x.detach().sqrt()).find_nan(0.0)


def test_an_empty_batch_and_no_arguments():
    assert not mg.compile(lambda x: x.log(), batch=True).find_nan(np.zeros(0))
    w = Value(-1.0, label="w")
    assert mg.compile(lambda: w.log()).find_nan().parameter == "w"


def test_nothing_changes_and_nothing_stays():
    w = Value(0.0)
    f = mg.compile(lambda x: (w * x).sqrt(), batch=True)
    f.find_nan(np.ones(3))
    gc.collect()
    before = _core.live_nodes()
    assert f.find_nan(np.ones(3))
    gc.collect()
    assert (w.grad, _core.live_nodes()) == (0.0, before)
    assert f.values(np.ones(3)).tolist() == [0.0] * 3


def test_it_raises_what_a_call_does():
    f = mg.compile(lambda x: x.log(), batch=True)
    with pytest.raises(TypeError, match="argument 0 is 'object'"):
        f.find_nan(object())
    with pytest.raises(mg.TraceError, match="find_nan inside a compiled function"):
        mg.compile(lambda x: f.find_nan(x))(1.0)


def test_a_function_that_changes_has_no_lines():
    runs = itertools.count()
    found = mg.compile(lambda x: x.log() * (1.0 + next(runs))).find_nan(0.0)
    assert (found.op, found.line) == ("log", None)
    assert "No line: the function did something else" in found


def test_the_probe_takes_no_numbers_that_do_not_fit():
    f = mg.compile(lambda x: x.log())
    program = f._read((1.0,), {})[0].traced
    ranks = np.arange(len(program), dtype=np.int32).tobytes()
    good = (program, ranks, b"", np.ones(1).tobytes(), [], 1)
    assert _core.first_fault(*good).kind == ""
    for k, wrong in [(1, b""), (2, b"12345678"), (3, b""), (4, [(0, 2, b"")]), (4, [(0, 1, b"")])]:
        with pytest.raises(ValueError, match="not those that the program reads"):
            _core.first_fault(*good[:k], wrong, *good[k + 1 :])
    dots = mg.compile(lambda x: sum(a * a for a in x))._read(([1.0] * 9,), {})[0].plan.program
    assert "dot" in dots.counts()
    with pytest.raises(ValueError, match="dots"):
        ranks = np.arange(len(dots), dtype=np.int32).tobytes()
        _core.first_fault(dots, ranks, b"", np.ones(9).tobytes(), [], 1)


def inverse(x):
    return x**-1


def times_inverse(x, t):
    y = inverse(x)
    return t * y


def test_a_reciprocal_of_another_line_is_no_part_of_a_product():
    found = mg.compile(times_inverse).find_nan(0.0, 1.0)
    assert (found.op, found.operands, found.argument) == ("**", (0.0, -1.0), "x")
    assert found.line == inverse.__code__.co_firstlineno + 1
    assert mg.compile(lambda x, t: t * x**-1).find_nan(0.0, 1.0).op == "/"


def test_a_sum_whose_first_term_is_negated_is_a_sum():
    found = mg.compile(lambda a, b: -a + b).find_nan(1e308, -1e308)
    assert (found.op, found.operands) == ("+", (-1e308, -1e308))


def test_the_text_says_where_the_call_itself_is_finite():
    f = mg.compile(lambda x: x * 8 / 16)
    assert f.values(1e308) == 5e307
    assert "The results of the call are finite all the same" in f.find_nan(1e308)
    assert "all the same" not in mg.compile(lambda x: x * 1e300).find_nan(1e308)
