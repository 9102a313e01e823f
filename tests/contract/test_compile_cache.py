"""How many traces a compiled function keeps, who hears of it, and what a trace costs."""

import gc
import sys
import threading
import tracemalloc
import warnings
import weakref

import numpy as np
import pytest

import micrograd_fast as mg
from micrograd_fast import _core
from micrograd_fast.engine import Value

MOST = _core.MAX_TRACES
ROW = 16  # traces in a row that give a warning


@pytest.fixture
def quiet():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", mg.TraceWarning)
        yield


def counting():
    """A compiled function of a number and a constant, and the constants it was traced for."""
    runs = []
    return mg.compile(lambda x, k: (runs.append(k), x * k)[1]), runs


# ---- cache_info and cache_clear ----


def test_cache_info_counts_calls_as_functools_does():
    f, _ = counting()
    assert f.cache_info() == (0, 0, MOST, 0)
    for k in (1, 1, 2, 1, 2, 3, 3):
        f(1.0, k)
    info = f.cache_info()
    assert (info.hits, info.misses, info.maxsize, info.currsize) == (4, 3, MOST, 3)
    assert repr(info) == f"CacheInfo(hits=4, misses=3, maxsize={MOST}, currsize=3)"


def test_value_and_grad_and_program_count_too():
    f = mg.compile(lambda x: x[0] * x[1])
    x = np.array([1.0, 2.0])
    for _ in range(3):
        f.value_and_grad(x)
    assert f.cache_info()[:2] == (2, 1)
    f(x), f(x)
    assert f.cache_info()[:2] == (3, 2)
    f.program(x)
    assert f.cache_info()[:2] == (4, 2)


def test_calls_that_fail_leave_no_trace():
    f = mg.compile(lambda x, k: x * [][k])
    for _ in range(3):
        with pytest.raises(IndexError):
            f(1.0, 0)
    assert f.cache_info() == (0, 0, MOST, 0)


@pytest.mark.parametrize("way", ["call", "value_and_grad"])
def test_cache_clear_forgets_all(way, live_nodes_unchanged):
    p, runs = Value(2.0), []
    f = mg.compile(lambda x: (runs.append(1), x[0] * p)[1])
    x = np.ones(1)

    def call():
        return f.value_and_grad(x)[0] if way == "value_and_grad" else f(x).data

    for _ in range(2):
        assert [call(), call()] == [2.0, 2.0]
        f.cache_clear()
        assert f.cache_info() == (0, 0, MOST, 0)
    assert len(runs) == 2


def test_a_method_s_cache_is_that_of_its_object():
    class A:
        @mg.compile
        def f(self, x):
            return x * 2

    a, b = A(), A()
    a.f(1.0), b.f(1.0)
    a.f.cache_clear()
    assert (a.f.cache_info().currsize, b.f.cache_info().currsize) == (0, 1)
    assert a.f(1.0).data == 2.0


# ---- the bound ----


def test_the_number_of_traces_has_a_bound(quiet):
    f, runs = counting()
    for k in range(3 * MOST):
        assert f(2.0, k).data == 2.0 * k
    assert f.cache_info() == (0, 3 * MOST, MOST, MOST)
    f(2.0, 3 * MOST - 1)
    assert len(runs) == 3 * MOST


@pytest.mark.parametrize("way", ["call", "value_and_grad"])
def test_what_was_used_least_recently_goes(quiet, way):
    f, runs = counting()
    table = mg.compile(lambda x, k: (runs.append(k), x[0] * k)[1])
    for k in range(10 * MOST):
        for used in (0, 1, k + 2):  # 0 and 1 are among the latest, whenever one has to go
            if way == "call":
                assert f(1.0, used).data == used
            else:
                assert table.value_and_grad(np.ones(1), used)[0] == used
    assert sorted(runs) == list(range(10 * MOST + 2))


def test_a_trace_that_is_used_by_value_and_grad_alone_stays_while_it_is_used(quiet):
    runs = []
    f = mg.compile(lambda x, k=0: (runs.append(k), x[0] * 2 + k)[1])
    x = np.ones(1)
    for k in range(3 * MOST):
        assert f.value_and_grad(x)[0] == 2.0
        assert f(x, k).data == 2.0 + k
    assert runs.count(0) == 2


def test_what_goes_is_freed(quiet, live_nodes_unchanged):
    f = mg.compile(lambda x, k: x * HELD[k])
    alive = []
    gc.collect()
    gc.disable()
    try:
        for k in range(MOST + 10):
            HELD[k] = Value(float(k))
            alive.append(weakref.ref(HELD[k]))
            f(1.0, k).backward()
            f.value_and_grad(np.ones(()), k, params=[HELD[k]])
            del HELD[k]
        n = sum(ref() is not None for ref in alive)
    finally:
        gc.enable()
    assert n <= MOST


HELD = {}


def test_results_of_a_trace_that_went_work_on(quiet):
    p = Value(3.0)
    f = mg.compile(lambda x, k: x * p * k, batch=True)
    batch = f(np.ones(4), 2)
    for k in range(2 * MOST):
        f(np.ones(4), k + 3)
    f.cache_clear()
    batch[1].backward()
    assert p.grad == 2.0


def test_threads_may_trace_and_clear_at_the_same_time(quiet):
    f, _ = counting()
    wrong = []

    def work(first):
        for k in range(first, first + 300):
            if f(2.0, k % 170).data != 2.0 * (k % 170):
                wrong.append(k)
            if k % 97 == 0:
                f.cache_clear()

    threads = [threading.Thread(target=work, args=(97 * t,)) for t in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert wrong == []
    assert f.cache_info().currsize <= MOST


# ---- the warning ----


def traced_in_a_row(f, calls):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        for args in calls:
            f(*args)
    return caught


WAYS = {
    "int": (lambda k: (1.0, k), r"argument 1 is an int that had 16 values.*float or a NumPy int"),
    "str": (lambda k: (1.0, f"s{k}"), r"argument 1 is a str that had 16 values"),
    "shape": (lambda k: (1.0, np.ones(k + 1)), r"argument 1 is an array that had 16 shapes.*pad"),
    "list": (lambda k: (1.0, [1.0] * k), r"argument 1 is a list that had 16 structures"),
    "int in lists": (lambda k: (1.0, [2.0, (k,)]), r"argument 1\[1\]\[0\] is an int that had 16"),
    "int in a dict": (lambda k: (1.0, {"a": k}), r"argument 1\['a'\] is an int that had 16"),
    "words": (lambda k: (1.0, {f"w{k}": 1}), r"argument 1 is a dict that had 16 structures"),
    "class": (lambda k: (1.0, type("C", (), {})), r"argument 1 is a class that had 16 values"),
    "number": (lambda k: (1.0,) * (k + 1), r"other numbers of arguments"),
    "most": (lambda k: (1.0, k // 4, k), r"argument 2 is an int that had 16 values"),
    "kinds": (
        lambda k: (1.0, [1.0, Value(1.0), None, "a"][k % 4], k),
        r"argument 2 is an int that had 16 values",
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_a_function_that_is_traced_at_every_call_says_why(way):
    args, message = WAYS[way]
    f = mg.compile(lambda x, *rest: x * 2)
    caught = traced_in_a_row(f, [args(k) for k in range(3 * ROW)])
    assert [w.category for w in caught] == [mg.TraceWarning]
    assert caught[0].filename == __file__
    with pytest.warns(mg.TraceWarning, match=f"<lambda> was traced at each of 16 calls.*{message}"):
        warnings.warn(caught[0].message, stacklevel=1)


def test_arguments_by_name_are_named():
    f = mg.compile(lambda x, *, k: x * k)
    with pytest.warns(mg.TraceWarning, match=r"argument 'k' is an int"):
        for k in range(ROW):
            f(1.0, k=k)


def test_the_warning_comes_once_and_late():
    f, _ = counting()
    assert traced_in_a_row(f, [(1.0, k) for k in range(ROW - 1)]) == []
    f(1.0, 0)
    assert traced_in_a_row(f, [(1.0, k + 100) for k in range(ROW - 1)]) == []
    f(1.0, 0)
    assert len(traced_in_a_row(f, [(1.0, k + 200) for k in range(MOST + 50)])) == 1
    f.cache_clear()
    assert len(traced_in_a_row(f, [(1.0, k) for k in range(MOST + 50)])) == 1


def test_a_function_whose_traces_do_not_fit_says_so_although_each_is_used_twice():
    f, _ = counting()
    caught = traced_in_a_row(f, [(1.0, k // 2) for k in range(2 * MOST + 20)])
    assert len(caught) == 1
    assert f"has more than {MOST} traces" in str(caught[0].message)
    assert "argument 1 is an int" in str(caught[0].message)


def test_a_warning_that_is_an_error_leaves_the_function_as_it_is():
    f, runs = counting()
    with pytest.raises(mg.TraceWarning):  # pytest's settings
        for k in range(ROW):
            f(1.0, k)
    assert f(3.0, ROW - 1).data == 3.0 * (ROW - 1)
    assert (len(runs), f.cache_info().misses) == (ROW, ROW)


def test_numbers_that_are_no_constants_trace_once():
    runs = []
    f = mg.compile(lambda x, k: (runs.append(1), x * k)[1])
    for k in range(3 * ROW):
        f(1.0, float(k))
    assert len(runs) == 1
    g = mg.compile(lambda table, k: (runs.append(1), mg.take(table, k))[1])
    for k in range(3):
        g([1.0, 2.0, 3.0], np.int64(k))
    assert len(runs) == 2


# ---- what a trace costs ----


def test_a_first_call_costs_the_same_however_large_the_store_once_was():
    def traced_bytes():
        with _core.Trace() as trace:
            x = trace.input()
            y = sum((x * (k + 0.5) for k in range(100)), x)
        trace.program([y])
        return trace.workspace_bytes

    before = traced_bytes()
    large = [Value(0.0) for _ in range(1_000_000)]
    del large
    bound = 100_000  # what a dense array of a million records would exceed forty times
    assert 0 < before < bound
    assert traced_bytes() < bound
    f = mg.compile(lambda x: x * 2)
    tracemalloc.start()
    f(1.0)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < bound


def test_a_trace_of_nodes_far_apart_in_the_store_is_right():
    kept = [Value(float(k)) for k in range(200_000)]
    far = kept[::1111]
    del kept[1:-1]
    f = mg.compile(lambda x: sum((p * x for p in far), x))
    assert f(2.0).data == 2.0 + 2.0 * sum(p.data for p in far)
    f(3.0).backward()
    assert {p.grad for p in far} == {3.0}


# ---- many signatures in turn ----


def test_each_of_many_signatures_is_served_by_its_own_trace(quiet):
    """Kinds that differ in one thing each, in any order, by every door."""
    p, q = Value(2.0), Value(3.0)

    class Other(Value):
        pass

    batch = mg.compile(lambda x: [x * p, x], batch=True)(np.ones(3))
    with mg.no_grad():
        numbers = mg.compile(lambda x: [x * p, x], batch=True)(np.ones(3))
    flat = [1.0, np.float32(2.0), p, Other(3.0), 1, 2, True, "a", "b", None, np.ones(()), int]
    nested = [[1.0, 2.0], [1.0, p], (1.0, 2.0), [[1.0], 2.0], [[1.0, 2.0]], [], (), {}]
    dicts = [{"a": 1.0}, {"b": 1.0}, {"a": 1.0, "b": 2.0}, {"b": 2.0, "a": 1.0}, {1: 1.0}]
    arrays = [np.ones(shape) for shape in ((2,), (3,), (2, 3), (3, 2), (6,), (0,))]
    given = [*flat, *nested, *dicts, *arrays]
    seen = []
    f = mg.compile(lambda *args, **kwargs: (seen.append((args, kwargs)), q * 2)[1])
    calls = [((a,), {}) for a in given] + [((), {"a": a}) for a in given]
    calls += [((1.0, 2), {}), ((2, 1.0), {}), ((), {"a": 1.0, "b": 2}), ((), {"a": 2, "b": 1.0})]
    for args, kwargs in calls:
        f(*args, **kwargs)
    n_traces = len(seen)
    # np.float32(2.0) and an array of shape () are numbers as 1.0 is.
    assert n_traces == len(calls) - 4
    for k in range(3):
        if k == 1:  # from now on none is read in Python
            f._read = None
        for args, kwargs in calls[:: 1 if k % 2 else -1]:
            assert f(*args, **kwargs).data == 6.0
            assert f.value_and_grad(*args, params=[q], **kwargs)[1].tolist() == [2.0]
    assert len(seen) == n_traces
    rows = mg.compile(lambda x: (seen.append(x), x[0] * q)[1], batch=True)
    arrays = [np.ones((3, 2)), np.ones((5, 2)), np.ones((3, 3))]
    for _ in range(3):
        for x, first in ((batch, 2.0), (numbers, 2.0), *[(a, 1.0) for a in arrays]):
            assert rows(x).data.tolist() == [3.0 * first] * len(x)
    assert len(seen) == n_traces + 3  # numbers are an array of shape (3, 2)
    assert f.cache_info().currsize == n_traces


def test_the_values_of_an_argument_s_constant_are_told_apart_among_many(quiet):
    f, runs = counting()
    for _ in range(3):
        for k in range(MOST):
            assert f(2.0, k).data == 2.0 * k
    assert runs == list(range(MOST))


@pytest.mark.parametrize("depth", [5, 40, 200])
def test_lists_in_lists_as_deep_as_one_likes_find_their_trace(depth):
    def deep(number):
        for _ in range(depth):
            number = [number]
        return number

    def innermost(x):
        while isinstance(x, list):
            (x,) = x
        return x

    runs = []
    f = mg.compile(lambda x: (runs.append(1), innermost(x) * 2)[1])
    for _ in range(3):
        assert f(deep(3.0)).data == 6.0
        assert f(1.0).data == 2.0
    assert len(runs) == 2


def holds_itself(kind):
    itself = kind()
    for _ in range(2):  # directly, and beside something else
        if kind is dict:
            itself[len(itself)] = itself
        else:
            itself.append(itself)
    return itself


# Where people raise the limit, and in CPython 3.13.0 for some calls, Python counts no recursion.
@pytest.mark.parametrize("limit", [1000, 10**6])
@pytest.mark.parametrize("kind", [list, dict])
def test_what_holds_itself_is_refused_at_every_call(kind, limit):
    itself = holds_itself(kind)
    f = mg.compile(lambda x: x * 2)
    inside = mg.compile(lambda x: f(itself) + x)
    words = mg.compile(lambda word: word * 2)
    returns = mg.compile(lambda x: [x, itself])
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(limit)
    try:
        for _ in range(2):
            with pytest.raises(ValueError, match=r"^argument 0 nests .* hold itself"):
                f(itself)
            with pytest.raises(ValueError, match=r"^argument 0 nests .* hold itself"):
                inside(1.0)
            with pytest.raises(ValueError, match=r"^argument 'word' nests .* hold itself"):
                words(word=itself)
            with pytest.raises(ValueError, match=r"^the result of <lambda> nests .* hold itself"):
                returns(1.0)
            assert f(1.0).data == 2.0
    finally:
        sys.setrecursionlimit(before)
