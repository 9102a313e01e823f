"""f.explain(): what it says of a call, and which lines of the user it names."""

import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

import micrograd_fast as mg
from micrograd_fast import _core, nn, remarks
from micrograd_fast.engine import Value

HERE = Path(__file__)


def line_with(mark):
    """The number of the line of this file that ends with a comment."""
    lines = HERE.read_text("utf-8").splitlines()
    return next(k for k, line in enumerate(lines, 1) if line.endswith(f"  # {mark}"))


def weights(n, m):
    return [[Value(0.01 * (i - j)) for j in range(m)] for i in range(n)]


def remark(explained, words):
    (found,) = [r for r in explained.remarks if words in r.text]
    return found


def kinds(explained):
    return {t.kind: t for t in explained.times}


# ---- sizes, traces, times ----


def test_a_network_is_described():
    model = nn.MLP(2, [16, 16, 1])
    f = mg.compile(lambda x: model(x), batch=True)
    X = np.ones((100, 2))
    f(X), f(X)
    text = f.explain(X)
    program, size = f.program(X), f._read((X,), {})[0].plan.describe()
    assert isinstance(text, str)
    assert f"{len(program.instructions())} left; 0 steps once a call" in text
    assert "100 samples" in text
    assert "traces: 1 of at most 128, 2 hits, 1 miss\n" in text
    assert f"of at most {size['tile']} lanes; {size['workspace bytes']:,} bytes" in text
    assert "matrices: 16 x 2" in text
    assert "16 x 16" in text
    assert "Nothing stands out." in text
    assert kinds(text)["matrix"].results == 32
    assert sum(t.steps for t in text.times) == len(program.steps())


def test_times_are_those_of_all_steps():
    model = nn.MLP(2, [16, 16, 1])
    f = mg.compile(lambda x: model(x), batch=True)
    matrix = kinds(f.explain(np.ones((1000, 2))))["matrix"]
    assert matrix.forward > 0.0
    assert matrix.backward > 0.0


def test_without_parameters_there_is_no_gradient():
    text = mg.compile(lambda x: x.exp(), batch=True).explain(np.ones(10))
    assert "no gradient is wanted" in text
    assert all(t.backward == 0.0 for t in text.times)


def test_the_reason_of_the_last_trace_is_told():
    names = {}
    exec("scale = 2.0\ndef f(x): return x * scale", names)
    f = mg.compile(names["f"])
    f(1.0)
    names["scale"] = 3.0
    assert "because of global 'scale' changed from 2.0 to 3.0" in f.explain(1.0)


# ---- the profile computes what the call does ----


@pytest.mark.parametrize("n", [1, 3, 64, 1000])
def test_the_profile_s_results_are_the_call_s(variant, n):
    model = nn.MLP(3, [8, 8, 2])
    f = mg.compile(lambda x, k: [v.tanh() for v in model(x)] + [mg.take(x, k)], batch=True)
    x = np.random.default_rng(0).normal(size=(n, 3))
    args = x, np.arange(n) % 3
    profile = _core.ProfiledCall(f._read(args, {})[0], args, {}).profile(0.0, 2)
    assert profile.n_runs == 1
    assert (np.frombuffer(profile.outputs).reshape(n, 3) == f.values(*args)).all()


def test_the_profile_leaves_no_grad():
    w = Value(2.0)
    mg.compile(lambda x: w * x, batch=True).explain(np.ones(4))
    assert w.grad == 0.0


# ---- all kinds of calls ----


def test_a_call_that_is_not_batched():
    text = mg.compile(lambda x, y: x * y).explain(2.0, Value(3.0))
    assert "one sample, no batch" in text
    assert "no tiles" in text


def test_no_arguments_several_results_and_dicts():
    w = weights(2, 3)
    f = mg.compile(lambda: {"a": w[0][0] * w[1][1], "b": [w[0][1].exp(), 2.0 * w[1][2]]})
    assert kinds(f.explain())["exp"].results == 1


def test_an_empty_batch():
    f = mg.compile(lambda x: x[0] * x[1], batch=True)
    text = f.explain(np.ones((0, 2)))
    assert "Nothing was run: there are no samples." in text
    assert "0 samples" in text


def test_words_and_constants():
    f = mg.compile(lambda x, *, k: x**k, batch=True)
    assert "5 samples" in f.explain(np.ones(5), k=3)


class Model:
    def __init__(self):
        self.rows = weights(4, 4)
        self.calls = []

    @mg.compile(batch=True)
    def layer(self, x):
        self.calls.append(1)
        return [sum(w * v for w, v in zip(row, x, strict=True)) for row in self.rows]  # method


def test_a_method():
    text = Model().layer.explain(np.ones((9, 4)))
    assert text.startswith("layer: ")
    assert f"matrices: 4 x 4 ({HERE}:{line_with('method')})" in text


def test_the_function_runs_once_more_and_only_then():
    model = Model()
    X = np.ones((9, 4))
    model.layer(X)
    model.layer.explain(X)
    model.layer(X)
    assert len(model.calls) == 2


# ---- what stands out ----


@pytest.mark.parametrize("own", [True, False], ids=["weight", "sample"])
def test_a_sum_with_an_odd_term_is_named_with_the_line_of_that_term(own):
    """The term is a weight times a number of the sample, or a product of two of those."""
    rows = weights(8, 6)

    def factor(x):
        return rows[0][1] if own else x[2]

    def f(x):
        sums = []
        for k, row in enumerate(rows):
            s = sum(w * v for w, v in zip(row, x, strict=True))
            if k == 7:
                extra = x[0] * factor(x)  # odd term
                s = s + extra  # odd sum
            sums.append(s)
        return sums

    found = remark(
        mg.compile(f, batch=True).explain(np.ones((9, 6))), "products is a step of its own"
    )
    assert (found.file, found.line) == (str(HERE), line_with("odd sum"))
    assert "a matrix of 7 x 6, but it has a term more" in found.text
    assert found.text.endswith(f"made at {HERE}:{line_with('odd term')}")


def test_a_sum_with_fewer_terms():
    rows = weights(8, 6)
    rows[7] = rows[7][:4]
    f = mg.compile(
        lambda x: [sum(w * v for w, v in zip(row, x)) for row in rows],  # noqa: B905
        batch=True,
    )
    found = remark(f.explain(np.ones((9, 6))), "a sum of 4 products")
    assert "it has 2 terms fewer" in found.text


def test_a_sum_of_another_depth():
    rows = weights(8, 6)

    def f(x):
        sums = [sum(w * v for w, v in zip(row, x, strict=True)) for row in rows]
        return [*sums[:7], sums[7].tanh()]

    found = remark(mg.compile(f, batch=True).explain(np.ones((9, 6))), "a sum of 6 products")
    assert "another number of ops lies between it and a result" in found.text


def test_a_sum_over_scattered_weights():
    rows = weights(8, 6)
    rows[7] = [rows[7][k] for k in (3, 0, 5, 1, 4, 2)]
    f = mg.compile(
        lambda x: [sum(w * v for w, v in zip(row, x, strict=True)) for row in rows], batch=True
    )
    text = f.explain(np.ones((9, 6)))
    assert "are copied" in text or "at the same distances in memory" in text


def test_sums_of_products_of_samples():
    def f(x):
        return sum(a * b for a, b in zip(x[:6], x[6:], strict=True))  # pairs

    g = mg.compile(lambda x: [f(x[k : k + 12]) for k in range(0, 60, 12)], batch=True)
    found = remark(g.explain(np.ones((9, 60))), "5 sums of 6 products")
    assert "depend on the sample" in found.text
    assert found.line == line_with("pairs")


def test_functions_of_one_number_after_another():
    w = weights(1, 2)[0]

    def f(x):
        state = w[0]
        for _ in range(12):
            state = (state * w[1]).tanh()  # libm
        return state * x

    found = remark(mg.compile(f, batch=True).explain(np.ones(9)), "12 tanh of one number each")
    assert (found.file, found.line) == (str(HERE), line_with("libm"))


@pytest.mark.parametrize(("k", "calls"), [(4, False), (-2.5, False), (17, True), (1.7, True)])
def test_powers_that_are_products_call_no_library(k, calls):
    w = weights(1, 2)[0]

    def f():
        state = w[0]
        for _ in range(6):
            state = (state * w[1]) ** k
        return state

    texts = [r.text for r in mg.compile(f).explain().remarks]
    assert any("6 pow of one number each" in text for text in texts) == calls


def test_functions_of_adjacent_numbers_do_not_stand_out():
    w = weights(1, 12)[0]
    text = mg.compile(lambda: [v.exp() for v in w]).explain()
    assert text.remarks == []


def test_hundreds_of_equal_ops_far_apart():
    order = np.random.default_rng(0).permutation(400)
    w = weights(1, 400)[0]
    f = mg.compile(
        lambda: [w[i] * w[j] for i, j in zip(order[::2], order[1::2])]  # narrow  # noqa: B905
    )
    found = remark(f.explain(), "200 mul are")
    assert "do not stand side by side" in found.text
    assert found.file == str(HERE)


def test_ops_that_need_one_another():
    def f(x):
        for _ in range(120):
            x = (x * x).tanh()
        return x

    found = remark(mg.compile(f, batch=True).explain(np.ones(9)), "120 tanh are 120 steps")
    assert "need the results of others" in found.text


def test_takes_copies_and_chains():
    rows = [w[::-1] for w in weights(6, 8)]
    order = np.random.default_rng(0).permutation(8)

    def f(x, k):
        taken = [mg.take(x, k) for k in k]  # takes
        sums = [sum(w * x[j] for w, j in zip(row, order, strict=True)) for row in rows]  # copies
        largest = x[0]
        for v in x[1:]:
            largest = largest * (v + 1.0)  # chain
        return [*taken, *sums, largest]

    text = mg.compile(f, batch=True).explain(np.ones((9, 8)), np.zeros((9, 4), int))
    assert remark(text, "takes of 8 values").line == line_with("takes")
    assert remark(text, "are copied").line == line_with("copies")
    assert remark(text, "a chain of 7 mul").line == line_with("chain")


def test_few_samples():
    f = mg.compile(lambda x: x * 1.5, batch=True)
    assert "2 of 8 lanes are in use" in f.explain(np.ones(2))
    assert "lanes are in use" not in f.explain(np.ones(8))


@pytest.mark.slow
def test_small_tiles():
    def f(x):
        for _ in range(300_000):
            x = x * 1.5 + 0.5
        return x

    text = mg.compile(f, batch=True).explain(np.ones(2))
    assert "a tile has 8 lanes, the fewest there are" in text
    assert "second cache level" in text


@pytest.mark.parametrize(
    ("tile", "size", "words"), [(8, 9_000_000, 2), (16, 9_000_000, 1), (8, 9000, 1), (16, 9000, 0)]
)
def test_tiles_and_memory_that_stand_out(tile, size, words):
    """Of a plan that would take seconds to make: test_small_tiles makes one."""
    sizes = {"lane steps": 3, "tile": tile, "rows": 300_000, "workspace bytes": size}
    plan = SimpleNamespace(describe=lambda: sizes)
    found = remarks.of_tiles(plan, SimpleNamespace(n_samples=100))
    assert len(found) == words
    assert any("a tile has 8 lanes" in r.text for r in found) == (tile == 8)
    assert any("9,000,000 bytes" in r.text for r in found) == (size > 9000)


# ---- lines ----


def test_a_function_of_numpy_s_and_of_the_package_is_the_caller_s_line():
    layer = nn.Layer(6, 4)

    def f(x):
        return list(
            np.tanh(np.array(layer(x), dtype=object))  # numpy
        )

    text = mg.compile(f, batch=True).explain(np.ones((9, 6)))
    assert f"({HERE}:{line_with('numpy')})" in text


def test_a_debugger_is_set_aside_and_back_afterwards():
    seen = []
    before = sys.gettrace()

    def debugger(frame, event, arg):
        seen.append(event)

    model = Model()
    sys.settrace(debugger)
    try:
        text = model.layer.explain(np.ones((9, 4)))
        assert sys.gettrace() is debugger
    finally:
        sys.settrace(before)
    assert seen
    assert f"matrices: 4 x 4 ({HERE}:{line_with('method')})" in text


def test_a_debugger_that_the_function_sets_stays():
    before = sys.gettrace()

    def debugger(frame, event, arg):
        return None

    def f(x):
        sys.settrace(debugger)
        return x * 2.0

    try:
        mg.compile(f).explain(1.0)
        assert sys.gettrace() is debugger
    finally:
        sys.settrace(before)


def test_a_function_that_changes_has_no_lines():
    counts = iter([2, 3])
    f = mg.compile(lambda x: sum(x for _ in range(next(counts))))
    assert "No lines: the function did something else" in f.explain(1.0)


def test_no_hook_stays_behind():
    f = mg.compile(lambda x, k: x * [1.0][k])
    before = sys.gettrace()
    f.explain(1.0, 0)
    with pytest.raises(IndexError):
        f.explain(1.0, 1)
    assert sys.gettrace() is before
    assert not _core.tracing()


# ---- what is refused ----


def test_it_raises_what_a_call_does():
    f = mg.compile(lambda x, k: mg.take([x, 2 * x], k), batch=True)
    with pytest.raises(TypeError, match="complex"):
        f.explain(1j, np.zeros(3, int))
    with pytest.raises(IndexError, match="index 5 of sample 1 is out of range"):
        f.explain(np.ones(2), np.array([0, 5]))
    g = mg.compile(lambda x: x if x > 0 else -x)
    with pytest.raises(mg.TraceError, match="deciding by a comparison"):
        g.explain(1.0)


def test_inside_a_trace_it_is_refused():
    inner = mg.compile(lambda x: 2 * x)
    outer = mg.compile(lambda x: (inner.explain(1.0), x)[1])
    with pytest.raises(mg.TraceError, match="explain inside a compiled function"):
        outer(1.0)


def test_other_threads_make_nodes_meanwhile():
    stop = threading.Event()

    def other():
        while not stop.is_set():
            Value(1.0) * 2.0

    thread = threading.Thread(target=other)
    thread.start()
    try:
        text = Model().layer.explain(np.ones((9, 4)))
    finally:
        stop.set()
        thread.join()
    assert f"matrices: 4 x 4 ({HERE}:{line_with('method')})" in text


# ---- the docs ----


def test_the_slowest_remark_comes_first(monkeypatch):
    def remark(seconds):
        return remarks.Remark(f"takes {seconds}", "", 0, seconds)

    monkeypatch.setattr(remarks, "of_program", lambda _: [remark(1.0), remark(3.0)])
    monkeypatch.setattr(remarks, "of_tiles", lambda *_: [remark(2.0), remark(4.0)])
    found = mg.compile(lambda x: x * 2).explain(1.0)
    assert [r.seconds for r in found.remarks] == [4.0, 3.0, 2.0, 1.0]
    places = [str(found).index(f"takes {k}") for k in (4.0, 3.0, 2.0, 1.0)]
    assert places == sorted(places)
