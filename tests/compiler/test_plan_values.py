"""Plans for values alone: under no_grad a long program runs over few rows, which are used again.

They compute the same, bit by bit; the verifier knows one that does not, as a second description
(plan_model.py) says.
"""

import copy
import random

import numpy as np
import pytest
from plan_model import NO_SLOT, ValuesModel
from test_plan_verify import NAMES, choices, gathered, layers, mixed, neighbours, plan_of, several

import micrograd_fast as mg
from micrograd_fast import Value, _core

FLAGS = {"kind", "wants_gradient", "wants_w", "wants_x", "sole_user"}  # of backward, or no numbers


def blocks(x):
    """All kinds of steps, again and again."""
    for _ in range(3):
        x = [v.tanh() for v in layers(x)]
        x = [*choices(x), x[3].detach() + x[0]]
        x = [v * 0.1 for v in neighbours(x)]
        x = [v.tanh() for v in gathered(x)[:4]]
        x = [*mixed(x), *several(x)[3:5]]
    return x


def powers(x):
    """A chain of products that are all results, of rows that are used later."""
    last, found = x[0], []
    for k in range(150):
        last = last * x[k % 4]
        found.append(last)
    return [*found, (x[1] + x[2]).exp()]


def iterated(x):
    v = x[0]
    for k in range(100):
        v = (v * x[1] + x[2]).tanh() - x[3] / (k + 1.0)
    return [v]


@pytest.mark.parametrize("kind", ["lane", "lane grad"])
def test_rows_that_nothing_reads_any_more_are_used_again(kind):
    sizes = plan_of(iterated, kind).describe()
    assert sizes["rows"] > 300
    assert sizes["rows of values alone"] <= 16
    assert plan_of(blocks, kind).describe()["rows of values alone"] <= 64


def test_where_most_rows_stay_in_use_there_is_no_plan_for_values_alone():
    for function in (powers, layers):
        assert plan_of(function, "lane")._value_parts() is None
    assert plan_of(iterated, "uniform")._value_parts() is None


@pytest.mark.parametrize("function", [iterated, blocks])
@pytest.mark.parametrize("n_samples", [1, 9, 300])
def test_values_are_the_same_bit_by_bit(function, n_samples, rng):
    x = np.array([[rng.uniform(-1, 1) for _ in range(4)] for _ in range(n_samples)])
    for j in range(len(function([Value(0.1)] * 4))):
        compiled = mg.compile(lambda x, j=j: function(x)[j], batch=True)
        whole = compiled(x).data  # of one result, with which its gradient comes
        with mg.no_grad():
            assert np.array_equal(compiled(x).data, whole)


def parts_of(function, kind):
    plan = plan_of(function, kind)
    return plan._parts(), plan._value_parts()


@pytest.mark.parametrize("function", [iterated, blocks])
@pytest.mark.parametrize("kind", ["lane", "lane grad"])
def test_plans_as_they_are_made_are_valid(function, kind):
    parts, values = parts_of(function, kind)
    assert _core._values_fault(parts, values) is None
    assert ValuesModel(parts, values, NAMES).is_valid()


def damaged(parts, rng):
    """A copy with one number changed, and what was changed."""
    parts = copy.deepcopy(parts)
    place = rng.choice(["steps", "steps", "steps", "args", "outputs", "plan"])
    if not parts.get(place, True):  # no args
        place = "outputs"
    if place == "plan":
        holder = parts
        key = rng.choice(["n_uniform_steps", "n_columns", "tile"])
    elif place == "steps":
        k = rng.randrange(len(parts["steps"]))
        holder = parts["steps"][k]
        key = rng.choice([f for f in holder if f not in FLAGS])
        place = f"steps {k}"
    else:
        holder = parts[place]
        key = rng.randrange(len(holder))
    near = holder[key] + rng.choice([-2, -1, 1, 2, 8])
    to = rng.choice([near, near, rng.randrange(-3, len(parts["row_wants"])), NO_SLOT, 2**20])
    if -(2**31) <= to < 2**31:
        holder[key] = to
    return parts, (place, key, to)


@pytest.mark.parametrize("function", [iterated, blocks])
def test_every_damage_that_computes_something_else_is_noticed(function, rng):
    parts, values = parts_of(function, "lane grad")
    rng = random.Random(rng.random())
    disagree, n_invalid = [], 0
    for _ in range(200):
        broken, what = damaged(values, rng)
        fault = _core._values_fault(parts, broken)
        n_invalid += fault is not None
        if (fault is None) != ValuesModel(parts, broken, NAMES).is_valid():
            disagree.append((what, fault))
    assert disagree == []
    assert n_invalid > 50


def test_a_step_that_writes_over_what_it_reads_is_noticed():
    parts, values = parts_of(iterated, "lane")
    for k, step in enumerate(values["steps"]):
        if step["kind"] == "ops" and step["x"] >= 0 and k > values["n_uniform_steps"]:
            broken = copy.deepcopy(values)
            broken["steps"][k]["z"] = step["x"]
            assert _core._values_fault(parts, broken)[0] == k
            break
