"""Runs a program under the package and under the referee, and compares what they show.

Written from the documentation alone; keep it so.

A program is Python text. It may use `mg`, `np`, `random`, `flat(structure)`, and it says what is
compared: `show(name, thing)` for a Value, a Batch, a list of them or plain numbers, and
`grads(name, values)`.
"""

import contextlib
import random
import warnings
from collections import Counter
from dataclasses import dataclass, field

import numpy as np
import referee as R
import referee_calls
from referee_calls import flat

SPREADS = 50  # of the referee's own noise: two honest evaluations lie a few spreads apart
RELATIVE = 1e-12  # of the sum of absolute terms: what docs/compile.md promises
LOOSE = 1e-6  # a tolerance above this, relative, is counted apart: the number is ill-conditioned


def run_package(source):
    """[(name, shape, numbers)], or the exception that came after some of them."""
    import micrograd_fast as mg

    records = []

    def number(x):
        return x.data if isinstance(x, (mg.Value, mg.Batch)) else x

    def show(name, thing):
        if isinstance(thing, (list, tuple)):
            parts = [np.ravel(number(v)) for v in flat(thing)]
            numbers = np.concatenate(parts) if parts else np.zeros(0)
            records.append((name, None, numbers.astype(float)))
        else:
            a = np.asarray(number(thing))
            if a.dtype != float:
                raise AssertionError(f"{name} is of dtype {a.dtype}")
            records.append((name, a.shape, a.ravel()))

    def grads(name, values):
        records.append((name, None, np.array([float(v.grad) for v in flat(values)])))

    names = {
        "__name__": "program",
        "mg": mg,
        "np": np,
        "random": random,
        "flat": flat,
        "show": show,
        "grads": grads,
    }
    threads = mg.get_num_threads()
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)
            exec(compile(source, "<program>", "exec"), names)
    except Exception as error:
        return records, error
    finally:
        mg.set_num_threads(threads)
    return records, None


def _columns(thing):
    """[(numbers, sums of absolute terms, wild or None)] of what the referee is to show."""
    if isinstance(thing, R.Value):
        return [(thing._data, thing.mag, thing.wild)]
    if isinstance(thing, referee_calls.Batch):
        return [_samples_first(flat(thing.structure), thing.size)]
    if isinstance(thing, referee_calls.Numbers):
        n = R.S.replicas
        return [(thing.numbers.reshape(n, -1), thing.mag.reshape(n, -1), thing.wild)]
    return [c for t in thing for c in _columns(t)]


def _samples_first(cells, size):
    """The column of a batch's Values."""
    open_ = [np.zeros((1, 1), bool) if c.wild is None else c.wild for c in cells]

    def stack(parts, shape):
        return np.stack([np.broadcast_to(p, shape) for p in parts], axis=2).reshape(shape[0], -1)

    shape = (R.S.replicas, size)
    numbers, mags = stack([c._data for c in cells], shape), stack([c.mag for c in cells], shape)
    return numbers, mags, stack(open_, (1, size))


def _join(columns):
    if not columns:
        return np.zeros((R.S.replicas, 0)), np.zeros((R.S.replicas, 0)), np.zeros((1, 0), bool)
    wild = [
        np.broadcast_to(False if w is None else np.reshape(w, (1, -1)), (1, d.shape[1]))
        for d, _, w in columns
    ]
    mags = [np.broadcast_to(m, d.shape) for d, m, _ in columns]
    return [np.concatenate(part, axis=1) for part in ([c[0] for c in columns], mags, wild)]


def _shape(thing):
    """As NumPy has it; None for lists."""
    if isinstance(thing, R.Value):
        return ()
    if isinstance(thing, referee_calls.Numbers):
        return thing.shape
    if isinstance(thing, referee_calls.Batch):
        single = isinstance(thing.structure, R.Value)
        return (thing.size,) if single else (thing.size, len(flat(thing.structure)))
    return None


def run_referee(source, **how):
    """[(name, shape, replicas, sum of absolute terms, wild or None)], and the state."""
    R.S.reset(**how)
    records = R.S.records

    def show(name, thing):
        records.append((name, _shape(thing), *_join(_columns(thing))))

    def grads(name, values):
        cells = [(v.gradient, v.gmag, v.gwild) for v in flat(values)]
        records.append((name, None, *_join(cells)))

    names = {"mg": referee_calls.module(), "np": np, "random": random, "show": show, "grads": grads}
    names["flat"] = flat
    with np.errstate(all="ignore"), warnings.catch_warnings():
        warnings.simplefilter("ignore")
        exec(compile(source, "<program>", "exec"), names)
    return records, R.S


@dataclass
class Verdict:
    """What comparing one program gave."""

    real: int = 0  # numbers that were compared with a tight tolerance, infinities and nans too
    excused: Counter = field(default_factory=Counter)
    faults: list = field(default_factory=list)


def _agree(got, record):
    """Which numbers agree, and which of these were compared loosely."""
    replicas, mag = record[2].astype(float), record[3].astype(float)
    plain = replicas[0]
    with np.errstate(all="ignore"):
        spread = np.abs(replicas - plain).max(axis=0) if len(replicas) > 1 else 0 * plain
        tolerance = SPREADS * spread + RELATIVE * mag[0] + 1e-300
        same = (np.isnan(got) & np.isnan(plain)) | (got == plain)
        near = same | (np.abs(got - plain) <= tolerance)
        edge = np.isfinite(plain) & ~np.isfinite(tolerance)
        edge |= (np.abs(plain) > 1e306) & (got == np.copysign(np.inf, plain))
        size = np.maximum(np.abs(plain), mag[0])
        loose = np.isfinite(plain) & (tolerance > LOOSE * size + 1e-290)
    return near | edge, edge, loose & ~edge, tolerance


class Evaluations:
    """The referee's evaluations of one program, each made when it is first asked for."""

    def __init__(self, source, rule):
        self.source, self.rule, self.made = source, rule, {}

    def run(self, **how):
        """(records, state); how: see rounding.State.reset"""
        key = tuple(how.items())
        if key not in self.made:
            with _state():
                self.made[key] = run_referee(self.source, rule=self.rule, **how)
        return self.made[key]


# What the documentation leaves open on the way back: label, how the referee computes it.
OPEN = (
    ("a zero adjoint stops: 0 times inf", {"zeros": False}),
    ("so does a subnormal one", {"zeros": False, "flush": True}),
)


def judge(source, rule=None):
    """The Verdict over a program; `rule` breaks one of the referee's rules."""
    verdict, evaluations = Verdict(), Evaluations(source, rule)
    expected, state = evaluations.run()
    poles = state.poles  # of this evaluation: the state is shared
    got, error = run_package(source)
    if error is not None:
        python = isinstance(error, (ZeroDivisionError, OverflowError)) or (
            isinstance(error, ValueError) and "math domain" in str(error)
        )
        if python and poles:
            verdict.excused["eager code raised what Python raises"] += 1
        else:
            verdict.faults.append(f"{type(error).__name__}: {error}")
    elif len(got) != len(expected):
        verdict.faults.append(f"{len(got)} results instead of {len(expected)}")
    for k, (mine, theirs) in enumerate(zip(got, expected, strict=False)):
        name, shape, numbers = mine
        if name != theirs[0] or (shape is not None and shape != theirs[1]):
            verdict.faults.append(f"{name}: shape {shape} instead of {theirs[0]} {theirs[1]}")
        elif numbers.shape != theirs[2].shape[1:]:
            verdict.faults.append(f"{name}: {numbers.size} numbers, not {theirs[2].shape[1]}")
        else:
            _compare(verdict, mine, k, evaluations)
    verdict.excused = +verdict.excused
    return verdict


def _compare(verdict, mine, k, evaluations):
    """The package's record k with the referee's: what differs is open, out of range, or a fault."""
    name, _, numbers = mine
    theirs = evaluations.run()[0][k]
    fine, edge, loose, tolerance = _agree(numbers, theirs)
    verdict.real += int((fine & ~edge & ~loose).sum())
    verdict.excused["ill-conditioned, compared loosely"] += int((fine & loose).sum())
    verdict.excused["the referee itself overflows or not, by rounding"] += int(edge.sum())
    bad = ~fine

    def excuse(why, which):
        verdict.excused[why] += int((bad & which).sum())
        return bad & ~which

    for label, how in OPEN:
        if bad.any():
            bad = excuse(label, _agree(numbers, evaluations.run(**how)[0][k])[0])
    bad = excuse("not said: sign of a zero, choice with nan", theirs[4][0])
    if bad.any():
        precise = evaluations.run(dtype=np.longdouble)[0][k]
        with np.errstate(all="ignore"):
            p, q = theirs[2][0], precise[2][0]
            stable = (np.isnan(p) & np.isnan(q)) | (p == q) | (np.abs(p - q) <= tolerance)
        bad = excuse("overflow or underflow on the way", ~stable)
    for at in np.flatnonzero(bad)[:3]:
        verdict.faults.append(
            f"{name}[{at}] is {numbers[at]!r}, not {float(theirs[2][0][at])!r}"
            f" (tolerance {float(tolerance[at]):.1e}; {int(bad.sum())} of {bad.size})"
        )


@contextlib.contextmanager
def _state():
    """The generator of `random` as it was: a program seeds it, both engines draw the same."""
    before = random.getstate()
    try:
        yield
    finally:
        random.setstate(before)


def pasted(source):
    """The program as text that anybody can run."""
    head = """import random
import numpy as np
import micrograd_fast as mg

def flat(s):
    return [v for x in s for v in flat(x)] if isinstance(s, (list, tuple)) else [s]

def show(name, x):
    print(name, [getattr(v, "data", v) for v in flat(x)])

def grads(name, values):
    print(name, [v.grad for v in flat(values)])

"""
    return head + source
