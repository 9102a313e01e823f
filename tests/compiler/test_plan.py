"""How programs are laid out: equal ops of a level as one step, dots over shared inputs as matrices.

The steps say what was found; that the numbers are right is tested by test_compile_matrices.py
and test_compile_properties.py.
"""

import random
from functools import reduce

import numpy as np
import pytest

import micrograd_fast as mg
from micrograd_fast import Value, _core, nn


def plan_of(function, n_inputs, kinds="uniform"):
    trace = _core.Trace()
    with trace:
        result = function([trace.input() for _ in range(n_inputs)])
    outputs = list(result) if isinstance(result, (list, tuple)) else [result]
    program, captured = trace.program(outputs)
    kinds = [kinds] * n_inputs if isinstance(kinds, str) else kinds
    return _core.Plan(_core.optimized(program), captured, kinds)


def steps(plan):
    """What each step is, such as 'matrix' or 'relu'."""
    return [step.op if step.kind in ("ops", "extreme") else step.kind for step in plan.steps()]


def test_a_layer_is_one_matrix_step_and_one_step_for_its_activations():
    layer = nn.Layer(3, 4)
    for kinds in ("uniform", "lane"):
        plan = plan_of(layer, 3, kinds)
        assert steps(plan) == ["matrix", "relu"]
        assert plan.describe()["matrix steps"] == 1
    # W by rows of 3 weights and a bias; x in columns 0 to 2.
    assert plan.listing().splitlines()[0] == "r3..r6 = matrix 4x3 at u0 by 4, 1 * r0..r2 + u3..u15"


def test_a_network_is_a_step_for_each_layer_and_each_activation():
    plan = plan_of(nn.MLP(5, [6, 7, 2]), 5, "lane")
    assert steps(plan) == ["matrix", "relu", "matrix", "relu", "matrix"]


def test_a_matrix_of_columns_is_found_too():
    columns = [[Value(k + j / 7) for k in range(6)] for j in range(4)]  # columns[j][k]

    def product(x):
        return [sum(columns[j][k] * x[j] for j in range(4)) for k in range(6)]

    plan = plan_of(product, 4)
    assert plan.listing() == "u28..u33 = matrix 6x4 at u4 by 1, 6 * u0..u3"


def test_parameters_made_in_another_order_are_gathered_for_lanes():
    values = [Value(k / 10) for k in range(32)]
    random.Random(3).shuffle(values)

    def product(x):
        return [sum(values[8 * m + k] * x[k] for k in range(8)) for m in range(4)]

    assert steps(plan_of(product, 8, "lane")) == ["gather"] * 4 + ["matrix"]
    assert steps(plan_of(product, 8)) == ["dot"] * 4  # one sample is not worth the copies


def test_inputs_in_another_order_are_gathered():
    rows = [[Value(k + j / 7) for k in range(4)] for j in range(5)]

    def product(x):
        return [sum(w * v for w, v in zip(row, reversed(x), strict=True)) for row in rows]

    for kinds in ("uniform", "lane"):
        assert steps(plan_of(product, 4, kinds)) == ["gather", "matrix"]


def test_a_weight_that_stands_in_two_rows_is_no_matrix_that_overlaps_itself():
    shared = [Value(k + 0.5) for k in range(10)]

    def windows(x):
        return [sum(shared[m + k] * x[k] for k in range(4)) for m in range(7)]

    assert "matrix" not in steps(plan_of(windows, 4))
    assert steps(plan_of(windows, 4, "lane"))[-1] == "matrix"  # of copies


def test_one_matrix_times_several_vectors_is_one_step():
    rows = [[Value(k + j / 7) for k in range(4)] for j in range(4)]

    def products(x):
        parts = [x[:4], x[4:8], x[8:]]
        return [sum(w * v for w, v in zip(row, p, strict=True)) for p in parts for row in rows]

    (step,) = plan_of(products, 12).steps()
    assert step.kind == "matrix"
    assert (step.sizes["vectors"], step.sizes["vector_move"]) == (3, 4)


@pytest.mark.parametrize("kinds", ["uniform", "lane"])
def test_equal_ops_over_adjacent_slots_are_one_step(kinds):
    plan = plan_of(lambda x: [(v * v).exp() + 1.0 for v in x], 5, kinds)
    assert steps(plan) == ["square", "exp", "add"]


def test_neighbours_are_found_whatever_the_order_of_the_program():
    def function(x):
        squares = [x[k] * x[k] for k in (4, 0, 3, 1, 2)]
        return [squares[1], squares[3], squares[4], squares[2], squares[0]]

    assert plan_of(function, 5).listing() == "u5..u9 = square u0..u4"


@pytest.mark.parametrize("kinds", ["uniform", "lane"])
def test_families_over_the_same_operand_are_a_step_each(kinds):
    weights = [[Value(k + j / 7) for k in range(9)] for j in range(3)]

    def gates(x):
        return [v * w for row in weights for v, w in zip(x, row, strict=True)]

    assert [step.sizes["count"] for step in plan_of(gates, 9, kinds).steps()] == [9, 9, 9]


def test_families_that_cross_are_a_step_each():
    def function(x):
        a, b, c = x[:9], x[9:18], x[18:]
        pairs = [v * w for v, w in zip(a + c, b + b, strict=True)]
        return [*pairs, *(v * 2.0 for v in a)]

    # Whichever operand they are sorted by, two of the three interleave.
    assert [step.sizes["count"] for step in plan_of(function, 27).steps()] == [9, 9, 9]


@pytest.mark.parametrize("kinds", ["uniform grad", "lane grad"])
def test_ops_with_and_without_gradient_are_steps_of_their_own(kinds):
    def function(x):
        a, b, c = (v.exp() for v in x)
        return [-a, b.detach(), -c]

    exps = [step for step in plan_of(function, 3, kinds).steps() if step.op == "exp"]
    assert sorted(step.gradient for step in exps) == [False, True, True]


def lstm(width, n_steps):
    """Steps of a recurrent network whose gates look at an input or at a state each."""
    gates = [[Value(0.1 * k + j / 7) for k in range(width)] for j in range(8)]

    def function(x):
        hidden, cell = x[:width], x[width : 2 * width]
        for _ in range(n_steps):
            z = [
                [v * w + b for v, w, b in zip(v, gates[j], gates[4 + j], strict=True)]
                for j, v in enumerate((x[2 * width :], hidden, hidden, hidden))
            ]
            forget, enter, leave = ([1 / (1 + (-g).exp()) for g in row] for row in z[:3])
            enter = [e * v.tanh() for e, v in zip(enter, z[3], strict=True)]
            cell = [c * f + e for c, f, e in zip(cell, forget, enter, strict=True)]
            hidden = [g * c.tanh() for g, c in zip(leave, cell, strict=True)]
        return sum(hidden)

    return len(plan_of(function, 3 * width).steps())


def test_a_recurrent_cell_is_a_few_steps_however_wide():
    assert lstm(5, 6) == lstm(14, 6)
    assert lstm(14, 7) - lstm(14, 6) <= 18  # an op of the cell is a step


@pytest.mark.parametrize("kinds", ["uniform", "lane"])
def test_differences_of_rows_of_three_are_few_steps(kinds):
    n = 12

    def distances(x):
        return [x[3 * i + c] - x[3 * j + c] for i in range(n) for j in range(i) for c in range(3)]

    assert len(plan_of(distances, 3 * n, kinds).steps()) == n - 1  # of 198 differences


def test_a_sum_is_one_step_and_so_are_the_maximum_of_many_and_a_chain_of_maxima():
    def softmax(x):
        exps = [(v - mg.maximum(*x)).exp() for v in x]
        return [e / sum(exps) for e in exps]

    assert steps(plan_of(softmax, 6)) == ["largest", "sub", "exp", "inner", "div"]
    assert steps(plan_of(softmax, 6, "lane")) == ["largest", "sub", "exp", "dot", "div"]
    for kinds in ("uniform", "lane"):
        assert steps(plan_of(lambda x: reduce(Value.maximum, x), 6, kinds)) == ["chain"]


def test_what_is_known_early_waits_for_its_like():
    def function(x):
        early = x[0].exp()
        late = (x[1] * x[2]).exp()
        return early + late

    # e**x0 could run before the product; as late as can be, both exponentials are of one level.
    plan = plan_of(function, 3)
    assert steps(plan) == ["mul", "exp", "exp", "add"]


def test_a_dot_of_rows_and_numbers_is_taken_apart():
    p, q = Value(2.0), Value(3.0)

    def function(x):
        return p * q + p * x[0] + x[0] * x[1] + q * x[1] + p * p

    assert steps(plan_of(function, 2, "lane")) == ["dot", "dot", "dot"]
    got = mg.compile(function, batch=True)(np.array([[1.0, 4.0]]))
    assert got.data.tolist() == [6.0 + 2.0 + 4.0 + 12.0 + 4.0]


def test_tiles_are_whole_blocks_of_lanes_that_fit_the_cache():
    for width in (1, 10, 100, 1000, 10000, 100000):
        plan = plan_of(lambda x: [v.exp() for v in x], width, "lane")
        tile, lane = plan.describe()["tile"], width * 2 * 16
        assert tile % 8 == 0
        assert 8 <= tile <= 256
        assert tile <= 64 or tile * lane <= 65536  # the first level: rows are long
        assert tile == 8 or tile * lane <= 2**25  # the last level: long enough
        assert tile >= 64 or (tile + 8) * lane > 2**25
