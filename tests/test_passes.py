"""Programs and passes: each pass keeps the values and does its work; saved programs are checked."""

import math
import pickle
import random

import numpy as np
import pytest

from micrograd_fast import Value, _core, nn
from micrograd_fast.functional import sum as total


def traced(function, n_inputs):
    trace = _core.Trace()
    with trace:
        out = function(*[trace.input() for _ in range(n_inputs)])
    program, captured = trace.program([out])
    return program, captured


def run(program, captured, numbers):
    plan = _core.Plan(program, captured, ["uniform"] * len(numbers))
    special = _core.Specialization(plan, (("number",),) * len(numbers), (), False, None)
    outputs, _ = special.run(tuple(map(float, numbers)), {}, backward=False)
    return np.frombuffer(outputs)[0]


CASES = {
    _core.fold_constants: (
        lambda x: x * 1.0 + 0.0 + Value(2.0) * 3.0,
        {"mul": 2, "add": 2},
        {"add": 1},
    ),
    _core.reduce_strength: (
        lambda x: (x - 2.0) / x + x**2 - x,
        {"add": 3, "mul": 2, "pow": 2},
        {"div": 1, "square": 1, "sub": 1},
    ),
    _core.share_common: (lambda x: x.exp() * x.exp() + 2.0 * x + x * 2.0, {"exp": 2}, {"exp": 1}),
    _core.fuse_dots: (
        lambda x: 3.0 + x * 2.0 + x * x + x * 5.0,
        {"mul": 3, "add": 3},
        {"dot": 1},
    ),
}


@pytest.mark.parametrize("rewrite", CASES, ids=lambda f: f.__name__)
def test_a_pass_keeps_the_value_and_does_its_work(rewrite):
    function, before, after = CASES[rewrite]
    program, captured = traced(function, 1)
    rewritten = rewrite(program)
    rewritten.verify()
    counts = program.counts()
    assert {op: counts[op] for op in before} == before
    counts = _core.drop_dead(rewritten).counts()
    assert {op: counts.get(op, 0) for op in after} == after
    for x in (0.3, 1.7, -2.5):
        expected = function(Value(x)).data
        assert run(program, captured, [x]) == pytest.approx(expected, rel=1e-15)
        assert run(rewritten, captured, [x]) == pytest.approx(expected, rel=1e-12)


def test_dead_code_goes():
    program, captured = traced(lambda x: (x.exp(), x * 2.0)[1], 1)
    unused = _core.share_common(program)
    assert "exp" not in _core.drop_dead(unused).counts()
    assert run(_core.drop_dead(unused), captured, [3.0]) == 6.0


def test_every_prefix_of_the_passes_keeps_a_networks_value():
    random.seed(2)
    model = nn.MLP(3, [4, 4, 1], activation="tanh")
    program, captured = traced(lambda *x: model(list(x)) ** 2 / 3 - total(list(x)), 3)
    point = [0.3, -0.2, 0.9]
    expected = (model(point) ** 2 / 3 - sum(point)).data
    for rewrite in _core.PASSES:
        program = rewrite(program)
        program.verify()
        assert run(program, captured, point) == pytest.approx(expected, rel=1e-12)
    assert program.counts()["dot"] == 9


def test_a_listing_names_every_instruction():
    program, _ = traced(lambda x: x * 2.0 + 1.0, 1)
    assert program.listing().splitlines() == [
        "v0 = input 0",
        "v1 = 2.0",
        "v2 = mul v0 v1",
        "v3 = 1.0",
        "v4 = add v2 v3",
        "return v4",
    ]
    assert len(program.listing(limit=2).splitlines()) == 4


def test_programs_pickle_and_hostile_ones_are_refused():
    program, captured = traced(lambda x: (x * 2.0).exp(), 1)
    again = pickle.loads(pickle.dumps(program))
    assert again.listing() == program.listing()
    assert run(again, captured, [1.0]) == pytest.approx(math.exp(2.0))
    make, state = program.__reduce__()
    rng = random.Random(3)
    version, n_inputs, n_params, outputs, code, args, numbers = state
    for wrong in (
        (2, n_inputs, n_params, outputs, code, args, numbers),
        (version, n_inputs, n_params, outputs, code[:-1], args, numbers),
        (version, n_inputs, n_params, [99], code, args, numbers),
        (version, n_inputs, n_params, [-1], code, args, numbers),
        (version, 0, n_params, outputs, code, args, numbers),
        (version, n_inputs, n_params, outputs, code, args, b""),
    ):
        with pytest.raises(ValueError):
            make(*wrong)
    for _ in range(2000):
        spoilt = bytearray(code)
        for _ in range(rng.randrange(1, 4)):
            spoilt[rng.randrange(len(spoilt))] = rng.randrange(256)
        try:
            damaged = make(version, n_inputs, n_params, outputs, bytes(spoilt), args, numbers)
        except ValueError:
            continue
        run(_core.optimized(damaged), captured, [1.0])  # whatever it computes, it does not crash
