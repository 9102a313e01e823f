"""Traces for tests: functions made programs, and an interpreter of their instructions.

`run` computes them with plain Python floats, so every test of values is also one of what
`instructions()` says. test_program.py rebuilds the listing from them.
"""

import math
import operator

import numpy as np
from references import REFERENCES

import micrograd_fast as mg
from micrograd_fast import _core, functional
from micrograd_fast.engine import Value


def ieee(function):
    """NumPy's scalar arithmetic: inf and nan, no exceptions."""

    def compute(*operands):
        with np.errstate(all="ignore"):
            return np.float64(function(*map(np.float64, operands)))

    return compute


OPS = {
    name: ieee(function)
    for name, function in {
        **{name: op.numpy for name, op in REFERENCES.items()},
        "neg": operator.neg,
        "square": lambda x: x * x,
        "detach": lambda x: x,
    }.items()
}


def run(program, inputs, captured=()):
    """The outputs, computed from the instructions alone."""
    values = []
    for instruction in program.instructions():
        values.append(_compute(instruction, values, inputs, captured))
    return [float(values[v]) for v in program.outputs]


def _compute(instruction, values, inputs, captured):
    op, operands, position, number = instruction
    used = [values[v] for v in operands]
    if op == "number":
        return np.float64(number)
    if op == "input":
        return np.float64(inputs[position])
    if op == "captured":
        return np.float64(captured[position])
    if op in ("largest", "smallest"):
        return (np.max if op == "largest" else np.min)(used)
    if op == "take":
        return used[int(used[-1])]
    if op == "dot":
        n_bias = len(used) % 2
        total = used[0] if n_bias else np.float64(0.0)
        with np.errstate(all="ignore"):
            for k in range(n_bias, len(used), 2):
                total = total + used[k] * used[k + 1]
        return total
    return OPS[op](*used)


def traced(function, n_inputs):
    """(program, captured Values) of a function of that many Values."""
    trace = _core.Trace()
    with trace:
        result = function(*[trace.input() for _ in range(n_inputs)])
        outputs = list(result) if isinstance(result, (list, tuple)) else [result]
    program, captured = trace.program(outputs)
    program.verify()
    return program, captured


# The core knows NumPy's types as soon as a compiled function was given an array.
mg.compile(lambda x: x * 1.0, batch=True)(np.zeros(1))


def replayed(program, captured, numbers, n_samples=0):
    """The outputs, computed by a plan: of one call, or of a batch of samples that are all alike."""
    kinds = ["lane" if n_samples else "uniform"] * len(numbers)
    argument = _core.ArrayKind() if n_samples else _core.NumberKind()
    signature = _core.Signature((argument,) * len(numbers), (), bool(n_samples))
    args = [np.full(n_samples, float(v)) if n_samples else float(v) for v in numbers]
    plan = _core.Plan(program, captured, kinds)
    outputs = _core._numbers(_core.Specialization(signature, plan), tuple(args), {})
    rows = outputs.reshape(-1, len(program.outputs))
    assert len(rows) == max(1, n_samples)
    return rows[-1].tolist()


def close(a, b):
    if not math.isfinite(a) or not math.isfinite(b):
        return a == b or (a != a and b != b)
    return abs(a - b) <= 1e-12 * max(abs(a), abs(b), 1e-3)


P = [Value(v) for v in (0.5, -1.25, 2.0, 0.75)]


def _polynomial(x, y):
    return 3 * x**3 - 2 * x**2 + x / y - 7 + x**0 + y**1


def shared_terms(x, y):
    a = x * y + P[0]
    return [a * a, a - y, (y * x + P[0]).tanh(), -1 * -a]


def neuron(x, y):
    return (P[0] + P[1] * x + P[2] * y + P[3] * (x * y)).relu()


def _picked(x, y):
    k = (x * 0).detach()
    return mg.take([y, y + 1, P[0]], k) * mg.take([P[1], x], k + 1)


def _transcendental(x, y):
    return (x.exp() + y.log1p()).sqrt() * x.sin().cos() - (abs(y) + 1).log() ** 0.5


def _constants(x, y):
    return (Value(2) * 3 + 1) * x + 0 * y + y * 1 + 0 + (Value(4.0) ** 0.5).exp() - Value(1) / 3


def _unused(x, y):
    kept = x.tanh()
    (kept * y + P[2]).exp()
    return kept


FUNCTIONS = {
    "polynomial": _polynomial,
    "shared": shared_terms,
    "neuron": neuron,
    "picked": _picked,
    "transcendental": _transcendental,
    "constants": _constants,
    "unused": _unused,
    "softmax": lambda x, y: functional.softmax([x, y, x * y]),
    "losses": lambda x, y: [functional.cross_entropy([x, y], 1), functional.mse_loss([x], [y])],
    "both ways": lambda x, y: [x - y, y - x, -x - y, -(x - y), 1 / x / y, (-x) + (-y)],
    "identity": lambda x, y: [x, P[0], Value(3.0), x],
    "max": lambda x, y: mg.maximum(x, y, x * 2, P[0]) - mg.minimum(x, -y, 0.3),
}
