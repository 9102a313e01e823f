"""The verifier of plans: it knows a plan that the executor may not run, whatever is wrong with it.

Plans of all kinds are damaged, one number at a time; a second description of what plans may do
(plan_model.py) says which of them are still valid.
"""

import copy
import random

import pytest
from plan_model import NO_SLOT, Model

import micrograd_fast as mg
from micrograd_fast import Value, _core, nn

P = [Value(0.5 + 0.1 * k) for k in range(40)]
N = 4


def rows(k):
    return [P[k + N * m : k + N * m + N] for m in range(N)]


def product(w, x, b=None):
    return [
        sum((p * v for p, v in zip(row, x, strict=True)), b[m] if b else 0.0)
        for m, row in enumerate(w)
    ]


def columns(k):
    return [[P[k + N * j + m] for j in range(N)] for m in range(N)]


def mixed(x):
    return [x[0] + P[0] * P[1] + P[2] * x[1] + x[1] * x[2], x[3].relu() - P[4]]


def layers(x):
    hidden = [z.relu() for z in product(rows(0), x, P[32:36])]
    return product(columns(16), hidden)


def several(x):
    return [*product(rows(0), x), *product(rows(0), [v.exp() for v in x]), P[1].tanh()]


def choices(x):
    picked = mg.take([x[0], P[0], x[1] * 2.0], (x[2] * 0.0).detach())
    return [picked, mg.maximum(*x, P[1]), P[2] * x[0] * x[1] * P[3]]


def numbers(x):
    return [sum(P[k] * P[k + 8] for k in range(8)) * x[0], sum(P[:6]) * x[1], x[2].detach() + x[3]]


def neighbours(x):
    return [(v * v + p).sqrt() for v, p in zip(x, P, strict=False)]


def gathered(x):
    shuffled = [[P[(7 * m + 3 * k) % 31] for k in range(N)] for m in range(N)]
    return [*product(rows(4), x[::-1]), *product(shuffled, x)]


FUNCTIONS = [mixed, layers, several, choices, numbers, neighbours, gathered, nn.Layer(4, 5)]
KINDS = ["uniform", "uniform grad", "lane", "lane grad"]


def plan_of(function, kind):
    trace = _core.Trace()
    with trace:
        outputs = function([trace.input() for _ in range(N)])
    program, captured = trace.program(outputs)
    return _core.Plan(_core.optimized(program), captured, [kind] * N)


PLANS = {
    f"{f.__class__.__name__ if isinstance(f, nn.Module) else f.__name__}, {k}": (f, k)
    for f in FUNCTIONS
    for k in KINDS
}


def op_codes():
    """Op codes by name, from the steps of plans."""
    found = {}

    def every_op(x):
        unary = [getattr(x[0], op.name)() for op in _core.OPS if op.kind == "unary"]
        return [
            *unary,
            x[0] ** 1.5,
            x[0] ** x[1],
            x[0].minimum(x[1]),
            x[0].compare(x[1]),
            x[0].less(x[1]),
            x[0].less_equal(x[1]),
            x[0].equal(x[1]),
            x[0].reached(x[1]),
            mg.custom(lambda v: v * v, lambda z, v: 2 * v)(x[0]),
            x[0] - x[1],
            x[0] / x[1],
            -x[2],
            x[3] * x[3],
            x[0] + x[1],
            x[0] * x[1],
            x[0].maximum(x[3]),
            mg.minimum(*x),
        ]

    for function in [*FUNCTIONS, every_op]:
        for kind in KINDS:
            plan = plan_of(function, kind)
            for s, step in zip(plan._parts()["steps"], plan.steps(), strict=True):
                if s["kind"] in ("ops", "detach", "extreme"):
                    found[step.op or step.kind] = s["op"]
    return found


NAMES = op_codes()


def verdict(parts):
    return _core._plan_fault(parts) is None


@pytest.mark.parametrize("name", PLANS)
def test_plans_as_they_are_made_are_valid(name):
    parts = plan_of(*PLANS[name])._parts()
    assert _core._plan_fault(parts) is None
    assert Model(parts, NAMES).is_valid()


def damages(parts, rng):
    """Copies of the parts with one number changed, and what was changed."""
    slots = [NO_SLOT, -(2**31) + 1, 2**31 - 1, -1, 0, 1, 2, 3, 5, 7, 8, 11, 40, -3, -20]

    def others(number, n):
        return {number + 1, number - 1, *rng.sample(slots, n)} - {number}

    def changed(*path, to):
        damaged = copy.deepcopy(parts)
        place = damaged
        for key in path[:-1]:
            place = place[key]
        place[path[-1]] = to
        return damaged, (*path, to)

    for k, step in enumerate(parts["steps"]):
        for field, number in step.items():
            if field in ("wants_gradient", "wants_w", "wants_x", "sole_user"):
                yield changed("steps", k, field, to=1 - number)
            elif field == "kind":  # another one has other fields
                yield changed("steps", k, field, to="none")
            else:
                for to in others(number, 4):
                    if -(2**31) <= to < 2**31:
                        yield changed("steps", k, field, to=to)
    for name in ("args", "outputs"):
        for k, number in enumerate(parts[name]):
            for to in others(number, 3):
                if -(2**31) <= to < 2**31:
                    yield changed(name, k, to=to)
    for name in ("row_wants", "uniform_wants", "given"):
        for k, flag in enumerate(parts[name]):
            yield changed(name, k, to=1 - flag)
    for name in ("wanted_rows", "summed_uniforms"):
        for k in range(len(parts[name])):
            for field in ("first", "n"):
                for to in others(parts[name][k][field], 2):
                    if -(2**31) <= to < 2**31:
                        yield changed(name, k, field, to=to)
    for name in ("n_uniform_steps", "n_columns", "tile", "scratch"):
        for to in others(parts[name], 4):
            if -(2**31) <= to < 2**31:
                yield changed(name, to=to)


@pytest.mark.parametrize("name", PLANS)
def test_every_damage_that_makes_a_plan_invalid_is_noticed(name, rng):
    parts = plan_of(*PLANS[name])._parts()
    n_valid, n_invalid, disagree = 0, 0, []
    for damaged, what in damages(parts, rng):
        ours = verdict(damaged)
        n_valid, n_invalid = n_valid + ours, n_invalid + (not ours)
        if ours != Model(damaged, NAMES).is_valid():
            disagree.append((what, _core._plan_fault(damaged)))
    assert disagree == []
    assert n_invalid > n_valid / 4 > 1


def test_steps_in_another_order_are_noticed():
    parts = plan_of(layers, "lane")._parts()
    parts["steps"].reverse()
    assert _core._plan_fault(parts) == (
        0,
        "it reads what is of another kind, outside of the workspace, or not yet written",
    )


def test_a_random_plan_is_refused_and_harms_nothing():
    rng = random.Random(5)
    parts = plan_of(several, "lane")._parts()
    for _ in range(300):
        damaged = copy.deepcopy(parts)
        for step in damaged["steps"]:
            for field in rng.sample(sorted(step.keys() - {"kind"}), 3):
                step[field] = rng.choice([0, 1]) if step[field] in (0, 1) else rng.randint(-99, 99)
        assert verdict(damaged) == Model(damaged, NAMES).is_valid()
