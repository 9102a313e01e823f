"""What a trace refuses because it would freeze a number, and what merely happens to run meanwhile:
finalizers and signal handlers are no part of the traced function and may read what they like."""

import gc
import os
import signal
import warnings

import numpy as np
import pytest

import micrograd_fast as mg
from micrograd_fast import Value

P = Value(2.0)

COMPARISONS = {
    "== int": lambda x: x * 2 if x == 3 else x,
    "!= int": lambda x: x * 2 if x != 3 else x,
    "== float": lambda x: x * 2 if x == 3.0 else x,
    "the number first": lambda x: x * 2 if 3 == x else x,  # noqa: SIM300
    "the number first, !=": lambda x: x * 2 if 3 != x else x,  # noqa: SIM300
    "a bool": lambda x: x * 2 if x == True else x,  # noqa: E712
    "a NumPy number": lambda x: x * 2 if x == np.float64(3) else x,
    "a NumPy number first": lambda x: x * 2 if np.int64(3) == x else x,
    "an array": lambda x: x * 2 if (x == np.array([3.0, 4.0]))[0] else x,
    "in a tuple of numbers": lambda x: x * 2 if x in (1, 2, 3) else x,
    "a number in a list of Values": lambda x: x * 2 if 3 in [x, P] else x,
    "count": lambda x: x * [x, P, 3.0].count(3.0),
    "index": lambda x: x * [1.0, 2.0].index(x),
    "a parameter": lambda x: x * 2 if P == 2.0 else x,
    "a result": lambda x: x * 2 if x + 1 == 4 else x,
    "match": "match",
}


def matching(x):
    match x:
        case 3:
            return x * 2
    return x


@pytest.mark.parametrize("what", COMPARISONS)
def test_comparing_with_a_number_raises_and_says_what_to_write(what):
    function = matching if what == "match" else COMPARISONS[what]
    if what == "an array" and np.lib.NumpyVersion(np.__version__) < "1.24.0":
        pytest.skip("this NumPy drops what == raises, and warns that it does")
    with pytest.raises(mg.TraceError, match=r"== or !=.*give an int"):
        mg.compile(function)(3.0)


@pytest.mark.parametrize(
    "same",
    [
        lambda x: x == x,
        lambda x: x in [P, x],
        lambda x: [P, x].index(x) == 1,
        lambda x: not (x == P),  # noqa: SIM201
        lambda x: x != P,
        lambda x: x not in [P],
        lambda x: {x: 1, P: 2}[x] == 1,
        lambda x: x is not None and x != None and x != "three",  # noqa: E711
        lambda x: x not in (None, "three"),
    ],
)
def test_comparing_with_a_value_is_identity_in_a_trace_too(same):
    assert mg.compile(lambda x: x * 2 if same(x) else x)(3.0).data == 6.0


@pytest.mark.parametrize(
    "write", [repr, str, print, "{!r}".format, "{!s}".format, "%s".__mod__, lambda v: repr([v])]
)
def test_writing_a_value_raises(write, capsys):
    for shown in ("an input", "a parameter", "a result"):
        with pytest.raises(mg.TraceError, match="print outside"):
            mg.compile(lambda x, s: (write({"an i": x, "a pa": P}.get(s[:4], x * P)), x)[1])(
                1.0, shown
            )
    assert capsys.readouterr().out == ""
    assert repr(P) == "Value(data=2.0, grad=0.0)"


NUMPY = {
    "power": lambda x: np.power(x, 2).sum(),
    "power of a float": lambda x: np.power(x, 2.5).sum(),
    "reciprocal": lambda x: (1 / np.asarray(x)).sum(),
    "exp": lambda x: np.exp(x).sum(),
    "log": lambda x: np.log(x).sum(),
    "sqrt": lambda x: np.sqrt(x).sum(),
    "sin": lambda x: np.sin(x).sum(),
    "tanh": lambda x: np.tanh(x).sum(),
    "absolute": lambda x: np.abs(x).sum(),
    "multiply": lambda x: np.multiply(x, x).sum(),
    "divide": lambda x: np.divide(x, x[::-1]).sum(),
    "a matrix product": lambda x: np.dot(x, x),
    "maximum by name": lambda x: np.sum([v.maximum(0.5) for v in x]),
}


@pytest.mark.parametrize("what", NUMPY)
def test_numpy_s_functions_do_not_warn_of_numbers_that_are_not_there(what):
    x = np.array([0.25, 0.5, 2.0])
    eager = NUMPY[what]([Value(v) for v in x])
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        compiled = mg.compile(NUMPY[what])(x)
    assert compiled.data == pytest.approx(eager.data, rel=1e-12)


# ---- finalizers and signal handlers ----


def everything(v):
    """Reads in all the ways that a trace refuses."""
    result = v * 3 + 1
    result.backward()
    return [v.data, v.grad, result.data, repr(v), f"{v:.1f}", v < 5, v == 2.0, bool(v)]


EXPECTED = [2.0, 3.0, 7.0, "Value(data=2.0, grad=3.0)", "2.0", True, False, True]


class Finalized:
    def __init__(self, read):
        self.read = read
        self.me = None

    def __del__(self):
        v = Value(2.0)
        self.read.append(everything(v))


def drop_one(read):
    Finalized(read)


def collect_one(read):
    cycle = Finalized(read)
    cycle.me = cycle
    del cycle
    gc.collect()


def collect_with_a_callback(read):
    def callback(phase, info):
        if phase == "start":
            read.append(everything(Value(2.0)))

    gc.callbacks.append(callback)
    try:
        gc.collect()
    finally:
        gc.callbacks.remove(callback)


def handle_a_signal(read):
    before = signal.signal(signal.SIGUSR1, lambda *_: read.append(everything(Value(2.0))))
    try:
        os.kill(os.getpid(), signal.SIGUSR1)
        for _ in range(100):  # Python looks for signals between two instructions
            pass
    finally:
        signal.signal(signal.SIGUSR1, before)


class Handler:
    def __init__(self, read):
        self.read = read

    def __call__(self, *_):
        self.read.append(everything(Value(2.0)))


def handle_a_signal_by_an_object(read):
    before = signal.signal(signal.SIGUSR1, Handler(read))
    try:
        os.kill(os.getpid(), signal.SIGUSR1)
        for _ in range(100):
            pass
    finally:
        signal.signal(signal.SIGUSR1, before)


ASIDES = [drop_one, collect_one, collect_with_a_callback]
if hasattr(signal, "SIGUSR1"):
    ASIDES += [handle_a_signal, handle_a_signal_by_an_object]


@pytest.mark.parametrize("aside", ASIDES)
def test_what_happens_to_run_during_a_trace_reads_as_ever(aside):
    read = []

    @mg.compile
    def f(x):
        y = x * 2
        aside(read)
        return y + 1

    assert f(3.0).data == 7.0
    assert read == [EXPECTED]
    assert not gc.callbacks or all(type(c).__name__ != "Rest" for c in gc.callbacks)


def test_what_an_aside_made_stays_an_ordinary_value():
    kept = []

    class Maker:
        def __del__(self):
            y = P * 3
            kept.append((y, y.data))

    @mg.compile
    def f(x):
        Maker()
        return x + 1

    assert f(1.0).data == 2.0
    (y, number) = kept[0]
    assert number == y.data == 6.0
    y.backward()
    assert P.grad == 3.0
    P.grad = 0


def test_a_finalizer_cannot_read_what_is_no_number_yet():
    refused = []

    class Reader:
        def __init__(self, v):
            self.v = v

        def __del__(self):
            for read in (lambda v: v.data, repr, lambda v: (v * 2).data):
                try:
                    refused.append(read(self.v))
                except mg.TraceError:
                    refused.append("refused")

    @mg.compile
    def f(x):
        Reader(x)
        return x + 1

    assert f(1.0).data == 2.0
    assert refused == ["refused"] * 3


def test_a_trace_that_a_finalizer_starts_refuses_as_any():
    raised = []

    class Compiler:
        def __del__(self):
            try:
                mg.compile(lambda x: x * x.data)(1.0)
            except mg.TraceError as error:
                raised.append(str(error))

    Compiler()
    assert len(raised) == 1


def test_a_function_called_by_del_alone_does_not_excuse_its_caller():
    @mg.compile
    def f(x):
        drop_one([])
        return x * x.data

    with pytest.raises(mg.TraceError, match=r"reading \.data"):
        f(1.0)


def test_a_program_that_empties_gc_callbacks_traces_on():
    @mg.compile
    def f(x):
        gc.callbacks.clear()
        return x + 1

    before = list(gc.callbacks)
    try:
        assert f(1.0).data == 2.0
    finally:
        gc.callbacks[:] = before
