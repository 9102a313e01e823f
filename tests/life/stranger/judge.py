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
KNOWN = set()  # faults that are being mended: their programs are excused
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


def run_referee(source, **how):
    """[(name, shape, replicas, sum of absolute terms, wild or None)], and the state."""
    R.S.reset(**how)
    records = R.S.records

    def columns(thing):
        if isinstance(thing, R.Value):
            return [(thing._data, thing.mag, thing.wild)]
        if isinstance(thing, referee_calls.Batch):
            cells = flat(thing.structure)
            return [
                tuple(
                    np.stack([np.broadcast_to(p, w) for p in part], axis=2).reshape(n, -1)
                    for part, w, n in (
                        ([c._data for c in cells], cells[0]._data.shape, R.S.replicas),
                        ([c.mag for c in cells], cells[0]._data.shape, R.S.replicas),
                        (
                            [np.zeros((1, 1), bool) if c.wild is None else c.wild for c in cells],
                            (1, thing.size),
                            1,
                        ),
                    )
                )
            ]
        if isinstance(thing, referee_calls.Numbers):
            n = R.S.replicas
            return [(thing.numbers.reshape(n, -1), thing.mag.reshape(n, -1), thing.wild)]
        return [c for t in thing for c in columns(t)]

    def join(cells):
        if not cells:
            return np.zeros((R.S.replicas, 0)), np.zeros((R.S.replicas, 0)), np.zeros((1, 0), bool)
        wild = [
            np.broadcast_to(False if w is None else np.reshape(w, (1, -1)), (1, d.shape[1]))
            for d, _, w in cells
        ]
        mags = [np.broadcast_to(m, d.shape) for d, m, _ in cells]
        return [np.concatenate(part, axis=1) for part in ([c[0] for c in cells], mags, wild)]

    def show(name, thing):
        shape = None
        if isinstance(thing, R.Value):
            shape = ()
        elif isinstance(thing, referee_calls.Numbers):
            shape = thing.shape
        elif isinstance(thing, referee_calls.Batch):
            cells = flat(thing.structure)
            single = isinstance(thing.structure, R.Value)
            shape = (thing.size,) if single else (thing.size, len(cells))
        records.append((name, shape, *join(columns(thing))))

    def grads(name, values):
        cells = [(v.gradient, v.gmag, v.gwild) for v in flat(values)]
        records.append((name, None, *join(cells)))

    names = {"mg": referee_calls.module(), "np": np, "random": random, "show": show, "grads": grads}
    names["flat"] = referee_calls.flat
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


def judge(source, rule=None):
    """The Verdict over a program; `rule` breaks one of the referee's rules."""
    verdict = Verdict()
    with _state():
        expected, state = run_referee(source, rule=rule)
        poles, known = state.poles, state.row_and_uniforms
    if known and "row and uniforms" in KNOWN:
        verdict.excused["known fault: a row plus uniform terms"] += 1
        return verdict
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
    others = {}

    def other(name, k, **how):
        """The record k of another evaluation of the referee."""
        if name not in others:
            with _state():
                others[name] = run_referee(source, rule=rule, **how)[0]
        return others[name][k]

    for k, (mine, theirs) in enumerate(zip(got, expected, strict=False)):
        name, shape, numbers = mine
        if name != theirs[0] or (shape is not None and shape != theirs[1]):
            verdict.faults.append(f"{name}: shape {shape} instead of {theirs[0]} {theirs[1]}")
            continue
        if numbers.shape != theirs[2].shape[1:]:
            verdict.faults.append(f"{name}: {numbers.size} numbers, not {theirs[2].shape[1]}")
            continue
        fine, edge, loose, tolerance = _agree(numbers, theirs)
        wild = theirs[4][0]
        verdict.real += int((fine & ~edge & ~loose).sum())
        verdict.excused["ill-conditioned, compared loosely"] += int((fine & loose).sum())
        verdict.excused["the referee itself overflows or not, by rounding"] += int(edge.sum())
        bad = ~fine
        for label, how in (
            ("a zero adjoint stops: 0 times inf", {"zeros": False}),
            ("so does a subnormal one", {"zeros": False, "flush": True}),
            ("known fault: a call passes on stale grads", {"stale": True}),
        ):
            if bad.any() and (label[:5] != "known" or "stale" in KNOWN):
                also = _agree(numbers, other(label, k, **how))[0]
                verdict.excused[label] += int((bad & also).sum())
                bad &= ~also
        if "nan" in KNOWN and bad.any():
            known = bad & np.isnan(numbers) & np.isfinite(theirs[2][0]) & ("grad" in name)
            verdict.excused["known fault: 0 times nan of unused results"] += int(known.sum())
            bad &= ~known
        if (bad & wild).any():
            verdict.excused["not said: sign of a zero, choice with nan"] += int((bad & wild).sum())
            bad &= ~wild
        if bad.any():
            precise = other("long", k, dtype=np.longdouble)
            with np.errstate(all="ignore"):
                p, q = theirs[2][0], precise[2][0]
                same = (np.isnan(p) & np.isnan(q)) | (p == q)
                stable = same | (np.abs(p - q) <= tolerance)
            verdict.excused["overflow or underflow on the way"] += int((bad & ~stable).sum())
            bad &= stable
        for at in np.flatnonzero(bad)[:3]:
            verdict.faults.append(
                f"{name}[{at}] is {numbers[at]!r}, not {float(theirs[2][0][at])!r}"
                f" (tolerance {float(tolerance[at]):.1e}; {int(bad.sum())} of {bad.size})"
            )
    verdict.excused = +verdict.excused
    return verdict


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
