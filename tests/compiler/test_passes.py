"""Passes: each changes how a program computes and never what, and its instructions show its work.

Values are computed from the instructions in Python, and by a plan over one call and over a batch.
"""

import math
import random

import numpy as np
import pytest
from traces import FUNCTIONS, P, close, replayed, run, shared_terms, traced

import micrograd_fast as mg
from micrograd_fast import _core, nn
from micrograd_fast.engine import Value

PASSES = {p.__name__: p for p in _core.PASSES}
EVERY_PASS = pytest.mark.parametrize("name", PASSES)
EVERY_FUNCTION = pytest.mark.parametrize("which", FUNCTIONS)
POINTS = [(0.7, 1.3), (1.9, 0.4), (2.5, 2.5)]


def assert_same_values(before, after, points, captured):
    numbers = [p.data for p in captured]
    for point in points:
        theirs = run(before, point, numbers)
        for ours in (
            run(after, point, numbers),
            replayed(after, captured, point),
            replayed(after, captured, point, n_samples=3),
        ):
            for a, b in zip(ours, theirs, strict=True):
                assert close(a, b), f"at {point}: {a!r}, before it was {b!r}\n{after.listing()}"


def random_function(seed):
    """A function of three Values: forty random steps over what was made before, several results."""
    rng = random.Random(seed)
    steps = [(rng.randrange(9), rng.random(), rng.random()) for _ in range(40)]

    def function(*inputs):
        values = [*inputs, *P[:2], Value(1.0), Value(-1.0), Value(0.0)]
        for kind, i, j in steps:
            x, y = values[int(i * len(values))], values[int(j * len(values))]
            made = [
                lambda x, y: x + y,
                lambda x, y: x - y,
                lambda x, y: (x * y).tanh(),
                lambda x, y: x.sin() / (y * y + 1),
                lambda x, y: -x,
                lambda x, y: x.tanh() ** 2 + x * y * 0.1,
                lambda x, y: x * -1 + y,
                lambda x, y: x.cos() * P[3] + y.sin() * P[0],
                lambda x, y: x.maximum(y).sigmoid() ** -1,
            ][kind](x, y)
            values.append(made)
        return [v.tanh() for v in values[-5:]] + [values[0]]

    return function


# ---- every pass leaves the values as they were ----


@pytest.mark.parametrize("which", [name for name in FUNCTIONS if name != "picked"])
def test_the_traced_program_computes_what_eager_computes(which):
    program, captured = traced(FUNCTIONS[which], 2)
    for point in POINTS:
        result = FUNCTIONS[which](*map(Value, point))
        expected = [v.data for v in (result if isinstance(result, list) else [result])]
        assert run(program, point, [p.data for p in captured]) == pytest.approx(expected, rel=1e-14)


def test_take_reads_the_value_that_the_index_names():
    program, captured = traced(FUNCTIONS["picked"], 2)
    assert run(program, (0.7, 1.3), [p.data for p in captured]) == [1.3 * 0.7]


@EVERY_PASS
@EVERY_FUNCTION
def test_each_pass_leaves_the_values_unchanged(name, which):
    program, captured = traced(FUNCTIONS[which], 2)
    after = PASSES[name](program)
    after.verify()
    assert (after.n_inputs, after.n_params) == (program.n_inputs, program.n_params)
    assert_same_values(program, after, POINTS, captured)


@EVERY_FUNCTION
def test_all_passes_in_order_leave_the_values_unchanged(which):
    program, captured = traced(FUNCTIONS[which], 2)
    at = program
    for rewrite in _core.PASSES:
        at = rewrite(at)
        at.verify()
        assert_same_values(program, at, POINTS, captured)
    assert at.listing() == _core.optimized(program).listing()


@pytest.mark.parametrize("seed", range(25))
def test_random_programs_keep_their_values_in_any_order_of_passes(seed):
    program, captured = traced(random_function(seed), 3)
    rng = random.Random(seed)
    at = program
    for rewrite in rng.choices(list(PASSES.values()), k=8):
        at = rewrite(at)
        at.verify()
    points = [tuple(rng.uniform(-2, 2) for _ in range(3)) for _ in range(3)]
    assert_same_values(program, at, points, captured)


@EVERY_PASS
def test_a_pass_does_not_change_its_argument(name):
    program, _ = traced(shared_terms, 2)
    before = program.listing()
    PASSES[name](program)
    assert program.listing() == before


@pytest.mark.parametrize("seed", range(5))
def test_optimizing_twice_keeps_the_values(seed):
    program, captured = traced(random_function(seed), 3)
    once = _core.optimized(program)
    twice = _core.optimized(once)
    twice.verify()
    assert len(twice) <= len(once) <= len(program)
    assert_same_values(program, twice, [(0.3, -1.1, 0.9)], captured)


def test_all_passes_in_order_leave_a_network_s_values_unchanged():
    random.seed(2)
    model = nn.MLP(3, [4, 4, 1], activation="tanh")
    program, captured = traced(lambda *x: model(x) ** 2 / 3 - x[0] - x[1], 3)
    at = program
    for rewrite in _core.PASSES:
        at = rewrite(at)
        assert_same_values(program, at, [(0.3, -0.2, 0.9)], captured)


SPECIAL = [0.0, -0.0, 1.0, -2.0, 1e200, math.inf, -math.inf, math.nan]
EDGES = {
    "x - x": lambda x: x - x,
    "x / x": lambda x: x / x,
    "x * 0": lambda x: x * 0,
    "0 / x": lambda x: 0 / x,
    "x * 1": lambda x: x * 1,
    "1 / (x * -1)": lambda x: 1 / (x * -1),
    "x ** 0": lambda x: x**0,
    "x ** 1": lambda x: x**1,
    "x ** 2": lambda x: x**2,
    "x ** 3": lambda x: x**3,
    "x ** -0.5": lambda x: x**-0.5,
    "x ** -1": lambda x: x**-1,
    "x * x - x * x": lambda x: x * x - x * x,
    "max(x, 0)": lambda x: x.maximum(0),
}


@pytest.mark.parametrize("which", EDGES)
def test_the_passes_keep_what_inf_nan_and_zeros_become(which):
    program, _ = traced(EDGES[which], 1)
    after = _core.optimized(program)
    for x in SPECIAL:
        (ours,), (theirs,) = run(after, [x]), run(program, [x])
        assert close(ours, theirs), f"{which} at {x!r}: {ours!r}, before the passes {theirs!r}"


# ---- each pass does its work ----


def test_fold_constants_computes_numbers_and_drops_neutral_operands():
    def function(x):
        return (Value(2) * 3 + 1).sqrt() * x * 1 + 0

    program = PASSES["drop_dead"](PASSES["fold_constants"](traced(function, 1)[0]))
    assert program.counts() == {"input": 1, "mul": 1, "number": 1}
    assert math.sqrt(7) in [i.number for i in program.instructions()]


def test_fold_constants_follows_ieee_where_python_would_raise():
    program, _ = traced(lambda x: x + Value(1000.0).exp() + Value(1e300) * 1e300, 1)
    assert run(_core.optimized(program), [1.0]) == [math.inf]


@pytest.mark.parametrize(
    ("function", "op", "inputs"),
    [
        (lambda x, y: x - y, "sub", [0, 1]),
        (lambda x, y: y - x, "sub", [1, 0]),
        (lambda x, y: -x + y, "sub", [1, 0]),
        (lambda x, y: x / y, "div", [0, 1]),
        (lambda x, y: y**-1 * x, "div", [0, 1]),
        (lambda x, y: -x, "neg", [0]),
        (lambda x, y: x * -1, "neg", [0]),
        (lambda x, y: x**2, "square", [0]),
        (lambda x, y: y * y, "square", [1]),
    ],
)
def test_reduce_strength_restores_what_micrograd_composes(function, op, inputs):
    program = PASSES["drop_dead"](PASSES["reduce_strength"](traced(function, 2)[0]))
    instructions = program.instructions()
    last = instructions[-1]
    assert (last.op, [instructions[v].position for v in last.operands]) == (op, inputs)


@pytest.mark.parametrize(
    ("function", "counts"),
    [
        (lambda x: -1 * -x * 1.5, {"mul": 1, "number": 1}),
        (lambda x: x**1 * 1.5, {"mul": 1, "number": 1}),
        (lambda x: x**0 * x, {}),
        (lambda x: x**3, {"mul": 1, "square": 1}),
        (lambda x: x**0.5, {"number": 1, "pow": 1}),  # inf at -inf, which a square root is not
        (lambda x: x**-0.5, {"number": 1, "pow": 1}),
        (lambda x: x**7, {"number": 1, "pow": 1}),
        (lambda x: 2 - x, {"number": 1, "sub": 1}),
        (lambda x: 2 / x, {"number": 1, "div": 1}),
    ],
)
def test_powers_and_signs_become_cheaper_ops(function, counts):
    program = _core.optimized(traced(function, 1)[0])
    assert program.counts() == {"input": 1, **counts}


def test_share_common_computes_equal_ops_once():
    def function(x, y):
        return [(x * y).exp(), (y * x).exp(), (x + y).tanh(), (y + x).tanh(), (x - y) * 2.0]

    program, _ = traced(function, 2)
    shared = PASSES["share_common"](program)
    counts = shared.counts()
    assert (counts["exp"], counts["tanh"], counts["add"]) == (1, 1, 2)
    assert shared.outputs[0] == shared.outputs[1]
    assert shared.outputs[2] == shared.outputs[3]


def test_share_common_does_not_swap_operands_of_other_ops():
    program, _ = traced(lambda x, y: [x - y, y - x, x / y, y / x, x**y, y**x], 2)
    program = PASSES["reduce_strength"](program)
    assert len(set(PASSES["share_common"](program).outputs)) == 6


def test_share_common_keeps_numbers_apart_by_their_bits():
    numbers = [0.0, -0.0, 1.0, 1.0 + 2**-52, 0.0, math.nan, math.nan]
    program = PASSES["share_common"](traced(lambda x: [x + Value(n) for n in numbers], 1)[0])
    assert program.counts()["number"] == 5


def test_share_common_finds_equal_ops_among_many():
    xs = [0.001 * k for k in range(3000)]
    program = PASSES["share_common"](traced(lambda x: [x * k for k in xs + xs], 1)[0])
    assert program.counts() == {"input": 1, "mul": 3000, "number": 3000}


def numbering(program):
    """How many values there are where equal ones count once, by a dictionary of what they are."""
    known, value_of = {}, []
    for instruction in program.instructions():
        operands = [value_of[v] for v in instruction.operands]
        if instruction.op in ("add", "mul"):
            operands.sort()
        number = None if instruction.number is None else np.float64(instruction.number).tobytes()
        what = instruction.op, tuple(operands), instruction.position, number
        value_of.append(known.setdefault(what, len(known)))
    return len(known)


def test_share_common_leaves_no_two_equal_ops():
    """Among steps that are drawn twice as often as not over the same few values, some used once."""
    for seed in range(200):
        rng = random.Random(seed)
        steps = [
            (rng.randrange(3), rng.random(), rng.random()) for _ in range(rng.randrange(2, 12))
        ]
        leaves = [Value(float(k)) for k in range(6)]

        def function(x, y, steps=steps, leaves=leaves):
            values, found = [x, y, *leaves], []
            for op, a, b in steps + steps:
                one, other = (values[int(r * len(values))] for r in (a, b))
                made = (one + other, one * other, one.tanh())[op]
                values = [*values[-8:], made]
                found.append(made)
            return [sum(found, x), *[(v * y).exp() for v in found[::3]]]

        program, _ = traced(function, 2)
        shared = PASSES["share_common"](PASSES["drop_dead"](program))
        assert len(shared) == numbering(shared) == numbering(PASSES["drop_dead"](program))


def test_drop_dead_drops_what_no_output_needs_and_keeps_the_interface():
    def function(x, y, z):
        return [(x * 1 + 0) ** 1 * P[0], y**0]

    program = traced(function, 3)[0]
    program = PASSES["drop_dead"](PASSES["reduce_strength"](PASSES["fold_constants"](program)))
    assert program.counts() == {"captured": 1, "input": 1, "mul": 1, "number": 1}
    assert (program.n_inputs, program.n_params) == (3, 1)
    assert run(program, [3.0, 9.0, 9.0], [0.5]) == [1.5, 1.0]


def dots(function, n_inputs=2):
    """The dot instructions after all passes."""
    program = _core.optimized(traced(function, n_inputs)[0])
    return [i for i in program.instructions() if i.op == "dot"]


def test_a_neuron_becomes_one_dot_with_its_bias():
    (dot,) = dots(lambda x, y: P[0] + P[1] * x + P[2] * y)
    assert len(dot.operands) == 5


def test_products_without_a_bias_become_a_dot_too():
    (dot,) = dots(lambda x, y: x * y + y * 2.0 + x * x)
    assert len(dot.operands) == 6
    assert dot.operands[4:] == (0, 0)


def test_every_neuron_of_a_network_becomes_one_dot():
    model = nn.MLP(3, [4, 4, 1])
    program, captured = traced(lambda *x: model(x), 3)
    counts = _core.optimized(program).counts()
    assert counts == {"captured": len(captured), "dot": 9, "input": 3, "relu": 8}
    assert len(captured) == len(model.parameters())


def test_a_product_that_something_else_uses_stays_out_of_the_dot():
    def function(x, y):
        product = x * y
        return [P[0] + P[1] * x + P[2] * y + product, product.tanh()]

    program = _core.optimized(traced(function, 2)[0])
    assert program.counts()["mul"] == 1
    assert program.counts()["dot"] == 1
    (dot,) = dots(function)
    assert len(dot.operands) == 5


def test_a_partial_sum_that_is_a_result_stays_one():
    def function(x, y):
        first = P[0] + P[1] * x + P[2] * y
        return [first + P[3] * x + P[0] * y, first]

    assert [len(dot.operands) for dot in dots(function)] == [5, 5]


def test_one_product_alone_stays_what_it_is():
    assert dots(lambda x, y: x * y + P[0]) == []


def test_a_sum_of_squares_becomes_a_dot():
    (dot,) = dots(lambda *x: sum(v * v for v in x), 5)
    assert len(dot.operands) >= 8


@pytest.mark.parametrize("batch", [False, True])
def test_one_to_any_power_is_one(batch):
    f = mg.compile(lambda x: 1.0**x, batch=batch)
    x = np.array([3.0, -2.0, 0.0]) if batch else 3.0
    np.testing.assert_array_equal(f.values(x), 1.0)
