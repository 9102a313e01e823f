"""micrograd 0.1.0 and micrograd_fast run the same programs: same graphs, numbers and errors."""

import gc
import itertools
import math
import operator
import random
import sys
from importlib import import_module
from pathlib import Path

import numpy as np
import pytest
from conftest import load_engine
from hypothesis import HealthCheck, given, note, settings
from programs import (
    Program,
    Ref,
    Step,
    backward_bounds,
    bits,
    calm_programs,
    gradients_agree,
    graph_of,
    run,
    wild_programs,
)

from micrograd_fast._core import live_nodes

# Last on the path, so that the micrograd_fast under test is the installed one.
sys.path.append(str(Path(__file__).parents[2]))
lecture_tanh = import_module("bench.custom_ops").lecture_tanh

MICROGRAD, FAST = load_engine("micrograd"), load_engine("micrograd_fast")


def both(program):
    """The program's run on each engine, the reference first."""
    return run(program, MICROGRAD.Value), run(program, FAST.Value)


def backward_all(program, values):
    """Backward from each root in turn; the type of the error, if one was raised."""
    try:
        for root in program.roots:
            root.of(values).backward()
    except ArithmeticError as error:
        return type(error)
    return None


def assert_same_gradients(program):
    """Forward and backward on both engines; every value's gradient, and the errors, agree."""
    reference, ours = both(program)
    roots = [root.of(reference.values) for root in program.roots]
    bounds, possible_errors = backward_bounds(roots)
    error = backward_all(program, reference.values)
    our_error = backward_all(program, ours.values)
    if not all(map(math.isfinite, bounds.values())):
        return  # micrograd's gradients may be huge ints here, and its errors theirs
    assert (error in possible_errors) == bool(possible_errors)
    assert our_error == error or our_error in possible_errors
    if error is None:
        for a, b in zip(reference.values, ours.values, strict=True):
            assert gradients_agree(a.grad, b.grad, bounds.get(a, 0.0)), (a, b)


@given(wild_programs())
def test_any_program_gives_the_graph_data_and_error_that_micrograd_gives(program):
    reference, ours = both(program)
    note(f"failure: {reference.failure}")
    assert ours.failure == reference.failure
    assert graph_of(ours.values) == graph_of(reference.values)


@given(calm_programs())
def test_a_calm_program_gives_the_graph_and_data_that_micrograd_gives(program):
    reference, ours = both(program)
    assert ours.failure == reference.failure
    assert graph_of(ours.values) == graph_of(reference.values)


@given(calm_programs())
def test_gradients_of_a_calm_program_agree_with_micrograd(program):
    assert_same_gradients(program)


@given(wild_programs())
def test_gradients_and_backward_errors_of_any_program_agree_with_micrograd(program):
    assert_same_gradients(program)


@pytest.mark.usefixtures("gc_off")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(wild_programs())
def test_a_dropped_program_is_freed_at_once_even_when_an_op_failed(program):
    before = live_nodes()
    outcome = run(program, FAST.Value)
    backward_all(program, outcome.values)
    graph_of(outcome.values)
    del outcome
    assert live_nodes() == before


def test_a_deep_and_a_wide_program_agree_with_micrograd():
    deep = [Step(op, (Ref(0), c), 60) for op, c in [("+", 0.5), ("*", 1.01), ("-", 0.25)]]
    wide = Step("sum", tuple(Ref(i) for i in range(9)) * 40)
    program = Program((0.5, -1.5), (*deep, Step("*", (Ref(0), Ref(0))), wide, *deep[:1]))
    reference, ours = both(program)
    assert reference.failure is None
    assert graph_of(ours.values) == graph_of(reference.values)
    assert graph_of(ours.values)[0] > 700
    assert_same_gradients(program)


def test_graph_comparison_tells_sharing_from_equal_copies():
    """The comparison these tests rest on must be able to fail."""
    x, y = FAST.Value(2.0), FAST.Value(2.0)
    assert graph_of([x, y, x * x]) != graph_of([x, y, x * y])
    assert graph_of([x, x + 1]) != graph_of([x, x + 1.5])
    assert graph_of([x, x + 1]) != graph_of([x, x * 1])
    assert not gradients_agree(1.0, 1.0 + 1e-10, 1.0)


NUMBERS = [0, 1, -3, 2.5, -0.0, True, False, math.inf, math.nan, 1e308]
NUMPY_NUMBERS = [np.float64(-2.5), np.array(1.5)]
ARITHMETIC = [operator.add, operator.sub, operator.mul, operator.truediv]


def one_op(Value, op, args):
    """The graph of `op` where the operand "v" is a Value, or the type of its error."""
    v = Value(0.75)
    try:
        return graph_of([v, op(*(v if arg is v_ else arg for arg in args))])
    except (ArithmeticError, ValueError) as error:
        return type(error)


v_ = object()


@pytest.mark.parametrize("op", ARITHMETIC)
@pytest.mark.parametrize("number", NUMBERS + NUMPY_NUMBERS, ids=repr)
def test_a_number_on_either_side_builds_what_micrograd_builds(op, number):
    for args in [(v_, number), (number, v_)]:
        assert one_op(FAST.Value, op, args) == one_op(MICROGRAD.Value, op, args)


@pytest.mark.parametrize("op", ARITHMETIC)
@pytest.mark.parametrize("scalar", [np.int64(3), np.float32(0.1), np.int8(-7), np.array(4)])
def test_any_numpy_number_counts_as_the_float_it_equals(op, scalar):
    v, number = FAST.Value(0.75), float(scalar)
    assert bits(op(v, scalar).data) == bits(op(v, number).data)
    assert bits(op(scalar, v).data) == bits(op(number, v).data)
    assert type(op(v, scalar)) is type(op(scalar, v)) is FAST.Value
    assert FAST.Value(scalar).data == number
    assert FAST.Value(np.bool_(True)).data == 1.0


@pytest.mark.parametrize("k", [2, 2.0, -1, 0.5, -0.5, 1, 3, 1e-7, 10**20, True, math.inf])
def test_a_power_is_labelled_with_its_exponent_as_micrograd_labels_it(k):
    reference, ours = MICROGRAD.Value(0.75) ** k, FAST.Value(0.75) ** k
    assert ours._op == reference._op == f"**{k}"
    assert bits(ours.data) == bits(reference.data)
    assert len(ours._prev) == 1


@pytest.mark.parametrize("k", [-1, -1.0, 2, 2.0, 3, 0.5, -0.5, -2, 1.5, 7])
def test_powers_are_bit_identical_with_pythons(rng, k):
    """1/x differs from x**-1 in the last bit for one x in a thousand: hence so many."""
    xs = [rng.uniform(0.05, 3.0) for _ in range(10_000)]
    assert [x for x in xs if (FAST.Value(x) ** k).data != x**k] == []


def test_quotients_are_bit_identical_with_micrograds(rng):
    pairs = [(rng.uniform(0.05, 3.0), rng.uniform(0.05, 3.0)) for _ in range(10_000)]
    Value = FAST.Value
    for divide in (
        lambda a, b: Value(a) / Value(b),
        lambda a, b: Value(a) / b,
        lambda a, b: a / Value(b),
    ):
        assert [(a, b) for a, b in pairs if divide(a, b).data != a * b**-1] == []


def test_ops_are_labelled_as_micrograd_labels_them():
    x, y = FAST.Value(3.0), FAST.Value(4.0)
    assert [v._op for v in (x, x + y, x * y, x.relu(), -x, x - y)] == [
        "",
        "+",
        "*",
        "ReLU",
        "*",
        "+",
    ]
    quotient = x / y
    assert quotient._op == "*"
    assert sorted(v._op for v in quotient._prev) == ["", "**-1"]


@pytest.mark.parametrize(
    ("compute", "error"),
    [
        (lambda v: v(0.0) ** -1, ZeroDivisionError),
        (lambda v: v(0.0) ** -0.5, ZeroDivisionError),
        (lambda v: 1 / v(0.0), ZeroDivisionError),
        (lambda v: v(1.0) / v(-0.0), ZeroDivisionError),
        (lambda v: v(1.0) / 0, ZeroDivisionError),
        (lambda v: v(1e200) ** 2, OverflowError),
        (lambda v: v(1e-310) ** -1, OverflowError),
        (lambda v: v(1.0) / 5e-324, OverflowError),
        (lambda v: v(1.0) + 10**400, OverflowError),
        (lambda v: 10**400 * v(1.0), OverflowError),
        (lambda v: 10**400 / v(2.0), OverflowError),
        (lambda v: 10**400 / v(0.0), ZeroDivisionError),
        (lambda v: v(0.0) ** 0.5, ZeroDivisionError),
        (lambda v: v(-0.0) ** 0.25, ZeroDivisionError),
    ],
)
def test_both_engines_raise_the_same_error(engine, compute, error):
    with pytest.raises(error):
        compute(engine.Value).backward()


def test_a_failing_op_raises_when_it_runs_and_not_in_backward():
    for compute in (lambda: 1 / FAST.Value(0.0), lambda: FAST.Value(1e200) ** 2):
        with pytest.raises(ArithmeticError):
            compute()
    with pytest.raises(OverflowError):
        FAST.Value(1000.0).exp()
    with pytest.raises(ValueError):
        FAST.Value(-1.0).log()


def test_named_difference_a_complex_power_raises_value_error():
    assert isinstance((MICROGRAD.Value(-8.0) ** 0.5).data, complex)
    with pytest.raises(ValueError):
        FAST.Value(-8.0) ** 0.5


def test_named_difference_the_derivative_of_power_zero_at_zero_is_zero():
    with pytest.raises(ZeroDivisionError):
        (MICROGRAD.Value(0.0) ** 0).backward()
    x = FAST.Value(0.0)
    y = x**0
    y.backward()
    assert (y.data, y.grad, x.grad) == (1.0, 1.0, 0.0)


def test_named_difference_data_and_grad_are_float64():
    v = FAST.Value(2)
    v.grad = 1
    assert (type(v.data), type(v.grad)) == (float, float)
    assert repr(v) == "Value(data=2.0, grad=1.0)"


@pytest.mark.parametrize("x", [6.0, -0.0, 1e-7, 1e22, 0.1, math.nan, -math.inf, 5e-324, 1 / 3])
def test_repr_reads_as_micrograds(x):
    texts = []
    for Value in (MICROGRAD.Value, FAST.Value):
        v = Value(x)
        v.grad = grad = x + 0.0
        texts.append(repr(v))
    assert texts[1] == texts[0] == str(FAST.Value(x)).replace("grad=0.0", f"grad={grad}")
    assert repr(FAST.Value(6.0)) == "Value(data=6.0, grad=0.0)"


def test_named_difference_a_grad_of_minus_zero_is_zero():
    v = FAST.Value(2.0)
    v.grad = -0.0
    assert repr(v) == "Value(data=2.0, grad=0.0)"
    assert math.copysign(1.0, v.grad) == 1.0


def test_readme_example_computes_its_published_numbers(engine):
    a = engine.Value(-4.0)
    b = engine.Value(2.0)
    c = a + b
    d = a * b + b**3
    c += c + 1
    c += 1 + c + (-a)
    d += d * 2 + (b + a).relu()
    d += 3 * d + (b - a).relu()
    e = c - d
    f = e**2
    g = f / 2.0
    g += 10.0 / f
    g.backward()
    assert [f"{v:.4f}" for v in (g.data, a.grad, b.grad)] == ["24.7041", "138.8338", "645.5773"]


def test_prev_gives_back_the_very_objects_the_user_holds(engine):
    x, y = engine.Value(2.0), engine.Value(3.0)
    s = x * y
    out = s + x
    assert out._prev == {s, x}
    assert {id(v) for v in out._prev} == {id(s), id(x)}
    assert {hash(v) for v in out._prev} == {hash(s), hash(x)}
    assert (x * x)._prev == {x}
    assert isinstance(out._prev, set)
    assert engine.Value(1.0)._prev == set()


def test_a_dropped_intermediate_is_one_object_again_however_it_is_reached(engine):
    x = engine.Value(2.0)
    shared = x * 3
    a, b = shared + 1, shared.relu()
    del shared
    gc.collect()
    (from_a,) = (v for v in a._prev if v._op == "*")
    (from_b,) = b._prev
    assert from_a is from_b
    assert x in from_a._prev
    constant = next(v for v in from_a._prev if v is not x)
    assert any(v is constant for v in from_b._prev)


def test_equality_and_hash_are_identity_and_every_value_is_true(engine):
    x, y = engine.Value(1.0), engine.Value(1.0)
    assert x == x
    assert x != y
    assert len({x, y, x}) == 2
    assert hash(x) == hash(x)
    assert bool(engine.Value(0.0)) is True


def test_backward_sets_the_root_to_one_and_adds_everywhere_else(engine):
    x = engine.Value(3.0)
    square = x * x
    out = square * 2.0
    x.grad, square.grad, out.grad = 100.0, 10.0, 50.0
    out.backward()
    assert (out.grad, square.grad, x.grad) == (1.0, 12.0, 100.0 + 2 * 3.0 * 12.0)


def test_backward_twice_adds_up_as_micrograd_adds():
    grads = []
    for Value in (MICROGRAD.Value, FAST.Value):
        x, w = Value(1.5), Value(-0.7)
        hidden = (x * w + 0.3) ** 2
        out = hidden * x
        for _ in range(3):
            out.backward()
        hidden.backward()
        grads.append([float(v.grad) for v in (x, w, hidden, out)])
    assert grads[1] == pytest.approx(grads[0], rel=1e-14)


def test_backward_on_a_leaf_sets_its_gradient_only(engine):
    x = engine.Value(3.0)
    x.grad = 7.0
    x.backward()
    assert x.grad == 1


def test_backward_uses_the_data_of_that_moment(engine):
    x, y = engine.Value(2.0), engine.Value(5.0)
    product, power, kinked = x * y, x**3, x.relu()
    total = product + power + kinked
    x.data, y.data, kinked.data = 3.0, 7.0, -1.0
    assert (product.data, power.data) == (10.0, 8.0)
    total.backward()
    assert x.grad == 7.0 + 3 * 3.0**2 + 0.0
    assert y.grad == 3.0


def test_nan_and_infinity_are_passed_on(engine):
    for x in (math.nan, math.inf, -math.inf):
        v = engine.Value(x)
        kinked = 0.0 if x < 0 else x
        assert [bits(u.data) for u in (v + 1, v * 2, v**1, v.relu())] == [
            bits(u) for u in (x + 1, x * 2, x**1, kinked)
        ]


def lecture_neuron(Value):
    """The neuron that the lecture differentiates by hand."""
    x1, x2, w1, w2 = Value(2.0), Value(0.0), Value(-3.0), Value(1.0)
    b = Value(6.8813735870195432)
    x1w1, x2w2 = x1 * w1, x2 * w2
    both_inputs = x1w1 + x2w2
    n = both_inputs + b
    return x1, x2, w1, w2, b, x1w1, x2w2, both_inputs, n, n.tanh()


def test_backward_driven_by_hand_as_in_the_lecture(engine, monkeypatch):
    monkeypatch.setattr(engine.Value, "tanh", lecture_tanh, raising=False)
    x1, x2, w1, w2, b, x1w1, x2w2, both_inputs, n, o = lecture_neuron(engine.Value)
    o.grad = 1.0
    for v in (o, n, b, both_inputs, x2w2, x1w1):
        v._backward()
    grads = [v.grad for v in (x1, w1, x2, w2, b, n)]
    assert grads == pytest.approx([-1.5, 1.0, 0.5, 0.0, 0.5, 0.5], abs=1e-12)


def test_the_lectures_tanh_backpropagates_and_shows_its_label(engine, monkeypatch):
    monkeypatch.setattr(engine.Value, "tanh", lecture_tanh, raising=False)
    x1, x2, w1, w2, *_, n, o = lecture_neuron(engine.Value)
    o.backward()
    assert [v.grad for v in (x1, w1, x2, w2)] == pytest.approx([-1.5, 1.0, 0.5, 0.0], abs=1e-12)
    assert o._op == "tanh"
    assert o._prev == {n}


def test_the_built_in_tanh_agrees_with_the_lectures():
    x = FAST.Value(0.8813735870195432)
    y, z = x.tanh(), lecture_tanh(x)
    y.backward()
    built_in, x.grad = x.grad, 0.0
    z.backward()
    assert y.data == pytest.approx(z.data, rel=1e-14)
    assert built_in == pytest.approx(x.grad, rel=1e-14)


def test_each_local_step_adds_what_micrograds_adds():
    for order in itertools.permutations(["first", "second", "power", "kinked"]):
        grads = []
        for Value in (MICROGRAD.Value, FAST.Value):
            x, y = Value(1.25), Value(-0.5)
            nodes = {"first": x * y, "second": x + x, "power": y**3, "kinked": x.relu()}
            for name in order:
                nodes[name].grad = 0.75
                nodes[name]._backward()
            grads.append([x.grad, y.grad])
        assert grads[1] == pytest.approx(grads[0], rel=1e-15)


def test_random_networks_built_by_hand_agree(rng):
    """A few hundred nodes with much sharing: sums of products, as users' own layers write them."""
    numbers = [rng.uniform(-1, 1) for _ in range(24)]
    random.Random(1).shuffle(numbers)
    bounds, rows = {}, []
    for Value in (MICROGRAD.Value, FAST.Value):
        leaves = [Value(x) for x in numbers]
        hidden = [
            sum((w * x for w, x in zip(leaves[i:], leaves, strict=False)), Value(0.1)).relu()
            for i in range(12)
        ]
        out = sum(h * h for h in hidden) / len(hidden)
        if not bounds:
            bounds, _ = backward_bounds([out])
        out.backward()
        rows.append([*leaves, out])
    for a, b in zip(*rows, strict=True):
        assert bits(a.data) == bits(b.data)
        assert gradients_agree(a.grad, b.grad, bounds[a])
