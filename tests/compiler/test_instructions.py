"""Programs and plans as data: instructions() and steps() say all that the listings say."""

import pickle

import numpy as np
import pytest
from traces import FUNCTIONS, P, traced

import micrograd_fast as mg
from micrograd_fast import Value, _core, nn

KINDS = ["uniform", "uniform grad", "lane", "lane grad"]
WEIGHTS = [[Value(k + j / 7) for k in range(6)] for j in range(4)]
SHUFFLED = [[WEIGHTS[(3 * j + k) % 4][(5 * k + j) % 6] for k in range(6)] for j in range(4)]


def products(rows, *vectors):
    return [sum(w * v for w, v in zip(row, x, strict=False)) for x in vectors for row in rows]


LAYERS = {
    "layer": lambda x, y: nn.Layer(2, 5)([x, y]),
    "columns": lambda x, y: products(zip(*WEIGHTS, strict=True), [x, y, x * y, x - y]),
    "several vectors": lambda x, y: products([w[:2] for w in WEIGHTS], [x, y], [x.exp(), y.exp()]),
    "scattered": lambda x, y: products(SHUFFLED, [x + k for k in range(4)] + [y, x]),
    "numbers": lambda x, y: sum(p * q for p, q in zip(*WEIGHTS[:2], strict=True)) * x + P[0] * P[1],
    "chain": lambda x, y: [P[0] * x * P[1] * y, (x * P[2]).maximum(y).maximum(P[3]).maximum(x * y)],
    "detached": lambda x, y: [x.detach() * y, y.detach() + P[0]],
}
SAMPLES = {**FUNCTIONS, **LAYERS}


def instruction_line(k, instruction):
    """As Program.listing() writes it."""
    op, operands, position, number = instruction
    if op == "number":
        return f"v{k} = {number!r}"
    words = [op] + ([] if position is None else [str(position)]) + [f"v{x}" for x in operands]
    if op in ("largest", "smallest"):
        words = [op, f"[{' '.join(words[1:])}]"]
    if op == "take":
        words = [op, f"[{' '.join(words[1:-1])}]", words[-1]]
    if op == "dot":
        first = 1 + len(operands) % 2
        pairs = zip(words[first::2], words[first + 1 :: 2], strict=True)
        words = [op, " + ".join(words[1:first] + ["*".join(pair) for pair in pairs])]
    return f"v{k} = {' '.join(words)}"


@pytest.mark.parametrize("which", SAMPLES)
def test_the_instructions_are_the_listing(which):
    program, _ = traced(SAMPLES[which], 2)
    for p in (program, _core.optimized(program)):
        instructions = p.instructions()
        assert len(instructions) == len(p)
        lines = [instruction_line(k, i) for k, i in enumerate(instructions)]
        lines.append("return " + ", ".join(f"v{v}" for v in p.outputs))
        assert lines == p.listing().splitlines()


def span(slots):
    """Slots as a listing writes them: r0 a row, u0 a uniform number."""
    ends = [f"r{slot}" if slot >= 0 else f"u{~slot}" for slot in (slots[0], slots[-1])]
    return ends[0] if len(slots) == 1 else "..".join(ends)


def step_line(step):
    """As Plan.listing() writes it."""
    operands, sizes = step.operands, step.sizes
    texts = {name: span(slots) for name, slots in operands.items()}
    bias = f" + {texts['bias']}" if "bias" in texts else ""
    if step.kind in ("ops", "detach"):
        text = " ".join([step.op or "detach", *texts.values()])
    elif step.kind == "matrix":
        text = (
            f"matrix {sizes['rows']}x{sizes['columns']} at u{~operands['w'][0]} by "
            f"{sizes['w_row']}, {sizes['w_col']} * {texts['x']}{bias}"
        )
        if sizes["vectors"] > 1:
            text += f", {sizes['vectors']} times by {sizes['vector_move']}"
    elif step.kind == "inner":
        text = f"inner {texts['w']} * {texts['x']}{bias}"
    elif step.kind == "dot":
        text = f"dot of {sizes['products']} products{bias}"
    elif step.kind == "chain":
        text = f"chain of {sizes['count']} {step.op} from {texts['x']}"
    elif step.kind == "take":
        text = f"take of {sizes['choices']} by {texts['index']}"
    elif step.kind == "extreme":
        text = f"{step.op} of {sizes['choices']} slots"
    else:
        text = f"gather of {sizes['count']} slots"
    return f"{span(step.results)} = {text}" + (", gradient put off" if step.deferred else "")


def plans(which):
    program, captured = traced(SAMPLES[which], 2)
    return [_core.Plan(_core.optimized(program), captured, [k, "lane"]) for k in KINDS] + [
        _core.Plan(_core.optimized(program), captured, [k, k]) for k in KINDS
    ]


@pytest.mark.parametrize("which", SAMPLES)
def test_the_steps_agree_with_the_listing_and_with_what_runs(which):
    for plan in plans(which):
        steps, parts, facts = plan.steps(), plan._parts(), plan.describe()
        assert [step_line(step) for step in steps] == plan.listing().splitlines()
        assert [s.lanes for s in steps].count(True) == facts["lane steps"]
        assert [s.kind for s in steps].count("matrix") == facts["matrix steps"]
        for step, part in zip(steps, parts["steps"], strict=True):
            assert (step.kind, step.results[0]) == (part["kind"], part["z"])
            assert step.gradient == bool(part["wants_gradient"])
            assert all((slot >= 0) == step.lanes for slot in step.results)
            used = [slot for slots in step.operands.values() for slot in slots]
            assert all(-facts["uniform slots"] <= slot < facts["rows"] for slot in used)


def test_the_samples_have_steps_of_every_kind():
    kinds = {step.kind for which in SAMPLES for plan in plans(which) for step in plan.steps()}
    expected = "ops detach dot matrix inner gather chain take extreme"
    assert kinds == set(expected.split())


def test_operands_of_a_dot_a_chain_and_a_take_are_the_slots_that_they_read():
    def function(x, y):
        z = x.exp()
        return [x * y + y * z + x * z, mg.take([x, y, z], (x * 0.0).detach())]

    program, captured = traced(function, 2)
    steps = _core.Plan(_core.optimized(program), captured, ["lane", "lane"]).steps()
    row = {step.op or step.kind: step.results[0] for step in steps}
    dot, take = (next(s for s in steps if s.kind == kind) for kind in ("dot", "take"))
    pairs = {frozenset(pair) for pair in zip(dot.operands["w"], dot.operands["x"], strict=True)}
    assert pairs == {frozenset(p) for p in ((0, 1), (1, row["exp"]), (0, row["exp"]))}
    assert tuple(take.operands["choices"]) == (0, 1, row["exp"])
    assert list(take.operands["index"]) == [row["detach"]]


def test_a_gradient_that_is_put_off_is_said():
    layers = []  # until one's weights have consecutive ids: those that tests gave back may not be
    while True:
        layers.append(nn.Layer(130, 127, nonlin=False))
        assert len(layers) < 50
        text = mg.compile(layers[-1], batch=True).program(np.zeros((6, 130)))
        assert [step_line(s) for s in text.steps()] == text.split("\nsteps:\n")[1].splitlines()
        if any(step.deferred for step in text.steps()):
            return


def test_data_pickle_and_a_plan_that_was_never_made_has_no_steps():
    program, captured = traced(FUNCTIONS["neuron"], 2)
    steps = _core.Plan(program, captured, ["lane", "uniform"]).steps()
    assert pickle.loads(pickle.dumps(steps)) == steps
    assert pickle.loads(pickle.dumps(program.instructions())) == program.instructions()
    assert _core.Plan.__new__(_core.Plan).steps() == []
