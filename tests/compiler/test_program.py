"""Programs as plain data: they read as what they compute, pickle, and trust no pickle."""

import os
import pickle
import struct
import subprocess
import sys
from pathlib import Path

import pytest
import traces
from traces import FUNCTIONS, P, neuron, replayed, traced

import micrograd_fast as mg
from micrograd_fast import _core
from micrograd_fast.engine import Value

EVERY_FUNCTION = pytest.mark.parametrize("which", FUNCTIONS)
INSTRUCTION = struct.Struct("4i")


# ---- listings ----


def test_the_listing_of_a_trace_reads_as_the_function():
    program, captured = traced(lambda x, y: (x * P[0] + 2.5) / y, 2)
    assert captured == [P[0]]
    assert program.listing().splitlines() == [
        "v0 = input 0",
        "v1 = input 1",
        "v2 = captured 0",
        "v3 = mul v0 v2",
        "v4 = 2.5",
        "v5 = add v3 v4",
        "v6 = -1.0",
        "v7 = pow v1 v6",
        "v8 = mul v5 v7",
        "return v8",
    ]
    counts = {"add": 1, "captured": 1, "input": 2, "mul": 2, "number": 2, "pow": 1}
    assert program.counts() == counts
    assert len(program) == sum(counts.values())
    assert program.listing(2).splitlines()[-2:] == ["... 7 more", "return v8"]


# ---- pickles ----


@EVERY_FUNCTION
@pytest.mark.parametrize("protocol", [0, 2, pickle.HIGHEST_PROTOCOL])
def test_a_pickled_program_comes_back_the_same(which, protocol):
    program, _ = traced(FUNCTIONS[which], 2)
    for p in (program, _core.optimized(program)):
        again = pickle.loads(pickle.dumps(p, protocol))
        again.verify()
        assert again.listing() == p.listing()
        assert (again.n_inputs, again.n_params) == (p.n_inputs, p.n_params)
        assert again.outputs == p.outputs


def test_a_program_without_instructions_pickles():
    empty = pickle.loads(pickle.dumps(_core.Program(3)))
    assert (len(empty), empty.n_inputs, empty.outputs) == (0, 3, ())


def state_of(function=neuron, n_inputs=2):
    """(what rebuilds a program, its arguments) of an optimized program with a dot and a take."""

    def both(*inputs):
        return [function(*inputs), mg.take([inputs[0], P[1]], inputs[1])]

    rebuild, state = _core.optimized(traced(both, n_inputs)[0]).__reduce__()
    return rebuild, list(state)


def with_instruction(state, k, **fields):
    """The state with fields of instruction k changed."""
    code = bytearray(state[4])
    at = dict(zip(["op", "x", "y", "n"], INSTRUCTION.unpack_from(code, 16 * k), strict=True))
    INSTRUCTION.pack_into(code, 16 * k, *{**at, **fields}.values())
    return [*state[:4], bytes(code), *state[5:]]


def using_itself(state):
    """The state with an instruction that has arguments, of which one is its own result."""
    code, args = state[4], bytearray(state[5])
    instructions = [INSTRUCTION.unpack_from(code, at) for at in range(0, len(code), 16)]
    k, start = next((k, x) for k, (_, x, _, n) in enumerate(instructions) if n > 0)
    struct.pack_into("i", args, 4 * start, k)
    return [*state[:5], bytes(args), state[6]]


def test_the_state_that_the_hostile_ones_come_from_is_good():
    rebuild, state = state_of()
    rebuild(*state).verify()
    rebuild(*with_instruction(state, 0)).verify()


N_STATE = len(state_of()[1][4]) // 16
HOSTILE = {
    "another version": lambda s: [2, *s[1:]],
    "a version that is no number": lambda s: ["1", *s[1:]],
    "half an instruction": lambda s: [*s[:4], s[4][:-8], *s[5:]],
    "instructions missing": lambda s: [*s[:4], s[4][:-16], *s[5:]],
    "no instructions": lambda s: [*s[:4], b"", *s[5:]],
    "half an argument": lambda s: [*s[:5], s[5][:-1], s[6]],
    "arguments missing": lambda s: [*s[:5], s[5][:-4], s[6]],
    "no arguments": lambda s: [*s[:5], b"", s[6]],
    "an instruction that uses itself": using_itself,
    "half a number": lambda s: [*s[:6], bytes(3)],
    "text for instructions": lambda s: [*s[:4], "x" * 16, *s[5:]],
    "None for instructions": lambda s: [*s[:4], None, *s[5:]],
    "None for arguments": lambda s: [*s[:5], None, s[6]],
    "None for numbers": lambda s: [*s[:6], None],
    "fewer inputs": lambda s: [s[0], 1, *s[2:]],
    "a negative number of inputs": lambda s: [s[0], -1, *s[2:]],
    "a fraction of inputs": lambda s: [s[0], 1.5, *s[2:]],
    "inputs beyond an int32": lambda s: [s[0], 2**40, *s[2:]],
    "fewer captured": lambda s: [*s[:2], 0, *s[3:]],
    "a negative number of captured": lambda s: [*s[:2], -2, *s[3:]],
    "captured beyond an int32": lambda s: [*s[:2], 2**31, *s[3:]],
    "outputs that are no list": lambda s: [*s[:3], (0,), *s[4:]],
    "an output out of range": lambda s: [*s[:3], [N_STATE], *s[4:]],
    "a negative output": lambda s: [*s[:3], [-1], *s[4:]],
    "an enormous output": lambda s: [*s[:3], [2**70], *s[4:]],
    "a text as output": lambda s: [*s[:3], ["0"], *s[4:]],
    "a fraction as output": lambda s: [*s[:3], [0.0], *s[4:]],
    "one thing too many": lambda s: [*s, 0],
    "one thing too few": lambda s: s[:-1],
    **{
        f"op {op} at instruction {k}": lambda s, k=k, op=op: with_instruction(s, k, op=op)
        for k in (0, N_STATE - 1)
        for op in (-1, 0, 1, 2, 3, 7, 255, 256, 2**31 - 1, -(2**31))
    },
    **{
        f"{field} = {v} at instruction {k}": lambda s, k=k, f=field, v=v: with_instruction(
            s, k, **{f: v}
        )
        for k in (0, 1, 2, N_STATE - 2, N_STATE - 1)
        for field, v in (("x", -1), ("x", 2**31 - 1), ("x", -(2**31)), ("x", 10_000))
    },
    "a step that uses itself": lambda s: with_instruction(s, N_STATE - 2, x=N_STATE - 2),
    "a take of itself": lambda s: with_instruction(s, N_STATE - 1, y=N_STATE - 1),
    "a take of a later value": lambda s: with_instruction(s, N_STATE - 1, y=N_STATE + 3),
    "a take of nothing": lambda s: with_instruction(s, N_STATE - 1, n=0),
    "a take of minus one": lambda s: with_instruction(s, N_STATE - 1, n=-1),
    "a take of far too much": lambda s: with_instruction(s, N_STATE - 1, n=2**31 - 1),
    "a take of half of all": lambda s: with_instruction(s, N_STATE - 1, n=2**30),
    "arguments that are later values": lambda s: [*s[:5], b"\x7f\0\0\0" * (len(s[5]) // 4), s[6]],
    "arguments below zero": lambda s: [*s[:5], b"\xff" * len(s[5]), s[6]],
}


@pytest.mark.parametrize("which", HOSTILE)
def test_a_hostile_state_raises(which):
    rebuild, state = state_of()
    hostile = HOSTILE[which](state)
    assert hostile != state
    with pytest.raises((ValueError, TypeError, OverflowError)):
        rebuild(*hostile)


def in_a_new_process(code, **names):
    """Runs code that might crash; its output."""
    text = "import pickle\nfrom micrograd_fast import _core\n"
    text += f"names = pickle.loads({pickle.dumps(names)!r})\n"
    path = os.pathsep.join([str(Path(traces.__file__).parent), os.environ.get("PYTHONPATH", "")])
    done = subprocess.run(
        [sys.executable, "-c", text + code],
        capture_output=True,
        text=True,
        env={**os.environ, "PYTHONPATH": path},
    )
    assert done.returncode == 0, f"exit {done.returncode}: {done.stderr[-800:]}"
    return done.stdout


RUN = """
from traces import replayed
try:
    program = _core._program_from(*names["state"])
    captured = [_core.Value(0.5) for _ in range(program.n_params)]
    print(replayed(program, captured, [1.0, 1.0], names["n_samples"])[0])
except ValueError:
    print("refused")
"""


@pytest.mark.parametrize("n_samples", [0, 3])
def test_a_program_that_reads_one_input_twice_is_refused_or_runs_right(n_samples):
    rebuild, state = state_of()
    expected = replayed(rebuild(*state), [Value(0.5)] * 4, [1.0, 1.0])[0]
    state = with_instruction(state, 1, x=0)
    out = in_a_new_process(RUN, state=state, n_samples=n_samples).strip()
    assert out == "refused" or float(out) == expected


def test_the_outputs_of_a_program_cannot_be_changed():
    program, _ = traced(neuron, 2)
    code = """
program = _core._program_from(*names["state"])
try:
    program.outputs = (10**7,)
except AttributeError:
    print("refused", type(program.outputs).__name__)
"""
    out = in_a_new_process(code, state=list(program.__reduce__()[1]))
    assert out.split() == ["refused", "tuple"]
