"""What a byte string means: calls of the public interface, one after another.

An even first byte: a life of a graph, step by step compared with a model (graph_model.py).
An odd one: anything goes, wild numbers and wrong types, results are used on; an exception that the
documentation names is fine, a crash, a leak or another exception is a finding.
"""

import copy
import gc
import math
import pickle
import sys
from pathlib import Path

import numpy as np

sys.path.append(str(Path(__file__).resolve().parents[1] / "tests" / "helpers"))
sys.path.append(str(Path(__file__).resolve().parents[1] / "tests" / "life"))

from test_stateful import BINARY, COPIES, STEPS, UNARY, WITH_NUMBER, GraphLife

import micrograd_fast as mg
from micrograd_fast import Value, _core, functional, nn, optim
from micrograd_fast._core import live_nodes

DOCUMENTED = (ArithmeticError, ValueError, TypeError, IndexError, KeyError, AttributeError)
DOCUMENTED += (mg.TraceError, MemoryError)
NUMBERS = (0.0, 1.0, -1.0, 0.5, -2.5, 3, True, math.inf, -math.inf, math.nan, 1e308, 5e-324, -0.0)
NUMBERS += (2**53 + 1, 10**400, np.float32(1.5), np.int64(-2), np.array(2.0), -7, 1e-9)
JUNK = ("1", None, 1j, [1.0], np.ones(3), object(), b"x", np.array("a"))


class Bytes:
    """Reads a byte string as choices; zeros after its end."""

    def __init__(self, data):
        self.data, self.at = data, 0

    def __bool__(self):
        return self.at < len(self.data)

    def byte(self):
        self.at += 1
        return self.data[self.at - 1] if self.at <= len(self.data) else 0

    def of(self, choices):
        return choices[self.byte() % len(choices)]

    def list(self, most):
        return [self.byte() for _ in range(self.byte() % most + 1)]


def small(b):
    return b.byte() % 7 - 3


LIFE = {
    "leaf": lambda b: (small(b), b.of(["", "w"]), b.byte() % 2 == 1),
    "binary": lambda b: (b.byte(), b.byte(), b.of(sorted(BINARY))),
    "with_number": lambda b: (b.byte(), small(b), b.byte() % 2 == 1, b.of(sorted(WITH_NUMBER))),
    "unary": lambda b: (b.byte(), b.of(sorted(UNARY))),
    "affine": lambda b: (b.list(4), b.byte(), b.byte() % 2 == 1),
    "total": lambda b: ([*b.list(4), b.byte()],),
    "detach": lambda b: (b.byte(),),
    "copy": lambda b: (b.byte(), b.of(COPIES)),
    "initialize_again": lambda b: (b.byte(), small(b)),
    "custom": lambda b: (b.list(5), small(b), b.of(STEPS)),
    "set_step": lambda b: (b.byte(), b.of(STEPS)),
    "backward": lambda b: (b.byte(),),
    "one_step": lambda b: (b.byte(),),
    "write": lambda b: (b.byte(), small(b), b.of(["data", "grad"])),
    "zero": lambda b: (),
    "call_compiled": lambda b: (b.byte(),),
    "relabel": lambda b: (b.byte(), b.of(["", "a", "b"])),
    "rename_op": lambda b: (b.byte(), b.of(["", "mine", "+"])),
    "set_number": lambda b: (b.byte(), small(b), b.byte() % 2 == 1),
    "set_others": lambda b: (b.byte(), b.list(3), b.byte() % 2 == 1),
    "watch": lambda b: (b.byte(),),
    "drop": lambda b: (b.byte(),),
    "drop_all_but": lambda b: (b.byte(),),
    "descend": lambda b: (b.byte(),),
    "collect": lambda b: (),
    "enter_no_grad": lambda b: (),
    "leave_no_grad": lambda b: (),
}


def live(b):
    """A life of a graph; the number of calls."""
    life, n_calls = GraphLife(), 0
    while b and n_calls < 200:
        name = b.of(list(LIFE))
        if name != "leave_no_grad" or life.depth:
            getattr(life, name)(*LIFE[name](b))
            life.looks_like_the_model()
            life.no_record_too_many()
            n_calls += 1
    life.teardown()
    return n_calls


class Parameter(Value):
    """A subclass."""


def with_step(out, keeps):
    def step():
        for v in keeps:
            v.grad += out.grad

    out._backward = step
    return out


def compiled(b, values):
    """A function of some ops, compiled, called and differentiated."""
    ops = [b.byte() for _ in range(b.byte() % 12)]
    weight, batch = b.of(values), b.byte() % 2

    def function(x, y=None):
        known = [x, weight, x * weight if y is None else y]
        for op in ops:
            known.append(WILD_OPS[op % len(WILD_OPS)](known[-1], known[op % len(known)]))
        return known[-1] if ops and ops[0] % 3 else (known[-1], [known[-2]])

    f = mg.compile(function, batch=bool(batch))
    for _ in range(2):
        if batch:
            rows = np.array([float(v) if abs(v) < 1e300 else 1.0 for v in NUMBERS[: b.byte() % 9]])
            results = f(rows) if b.byte() % 2 else f(rows, rows * 2)
            results = results.sum()
        else:
            results = f(b.of(values))
        first = results if isinstance(results, Value) else results[0]
        first.backward()
    return first


WILD_OPS = [
    lambda x, y: x + y,
    lambda x, y: x - y,
    lambda x, y: x * y,
    lambda x, y: x / y,
    lambda x, y: x**y,
    lambda x, y: x**2,
    lambda x, y: x**-1.5,
    lambda x, y: 2 - x,
    lambda x, y: 3.0 / x,
    lambda x, y: np.float64(2) * x,
    lambda x, y: x.maximum(y),
    lambda x, y: mg.minimum(x, y, 1.0),
    lambda x, y: -x,
    lambda x, y: x.relu(),
    *[lambda x, y, op=op: getattr(x, op.name)() for op in _core.OPS if op.kind == "unary"],
    lambda x, y: mg.take([x, y, 1.0], y),
    lambda x, y: functional.sum([x, y, x]),
    lambda x, y: functional.softmax([x, y])[0],
    lambda x, y: functional.cross_entropy([x, y], 1),
    lambda x, y: x.detach(),
]


def wild_step(b, values):
    """One call; what it made, or None."""
    x, y = b.of(values), b.of(values)
    kind = b.byte() % 24
    if kind < 8:
        return b.of(WILD_OPS)(x, y)
    if kind == 8:
        return b.of(WILD_OPS)(x, b.of(NUMBERS))
    if kind == 9:
        return b.of(WILD_OPS)(x, b.of(JUNK))
    if kind == 10:
        return b.of([Value, Parameter])(b.of(NUMBERS))
    if kind == 11:
        return with_step(Value(b.of(NUMBERS), [b.of(values) for _ in b.list(6)], "c"), [x, y])
    if kind == 12:
        setattr(x, b.of(["data", "grad", "note", "label", "_op"]), b.of(NUMBERS + JUNK))
    if kind == 13:
        x.backward()
    if kind == 14:
        del values[1 + b.byte() % len(values) :]
    if kind == 15:
        x.others = [y, x]
    if kind == 16:
        return b.of([copy.copy, copy.deepcopy, lambda v: pickle.loads(pickle.dumps(v))])(x)
    if kind == 17:
        gc.collect()
    if kind == 18:
        model = nn.MLP(2, [b.byte() % 3 + 1, 1], activation=b.of(["relu", "tanh", "sigmoid"]))
        optimizer = b.of([optim.SGD, optim.Adam, optim.AdamW])(model.parameters(), b.of(NUMBERS))
        loss = model([x, y])
        loss.backward()
        optimizer.step()
        return loss
    if kind == 19:
        return compiled(b, values)
    if kind == 20:
        with mg.no_grad():
            return b.of(WILD_OPS)(x, y)
    if kind == 21:
        return _core.affine([b.of(values) for _ in b.list(5)], [b.of(NUMBERS), x, y], x, "tanh")
    if kind == 22:
        return b.of(sorted(x._prev, key=id) or [x])
    if kind == 23:
        x.__setstate__((b.of(NUMBERS), b.of(NUMBERS), "", {"note": y, "label": "l"}))
    return None


def go_wild(b):
    """Calls with anything; the number of calls."""
    gc.collect()
    before, values, n_calls = live_nodes(), [Value(1.5), Value(-0.5)], 0
    while b and n_calls < 200:
        n_calls += 1
        try:
            made = wild_step(b, values)
        except DOCUMENTED:
            continue
        if isinstance(made, Value) and len(values) < 40:
            values.append(made)
    values.clear()
    made = None
    gc.collect()
    assert live_nodes() == before, f"{live_nodes() - before} nodes leaked"
    return n_calls


def run(data):
    """Runs a byte string; how many calls it was. Raises where something is wrong."""
    b = Bytes(data)
    with np.errstate(all="ignore"):
        return live(b) if b.byte() % 2 == 0 else go_wild(b)
