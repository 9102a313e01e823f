"""What compiled functions take, at the first call and later, outside and inside of a trace."""

import collections
import enum
import types

import numpy as np
import pytest

import micrograd_fast as mg
from micrograd_fast import _core, nn
from micrograd_fast.engine import Value

X = np.arange(6.0).reshape(3, 2) + 1.0
Y = np.array([1.0, -1.0, 1.0])


class Off(float):
    """A float whose __float__ tells another number than the one that it is."""

    def __float__(self):
        return 100.0


# ---- scalars ----

SCALARS = [np.float64(2.0), np.float32(2.0), np.int64(2), np.bool_(True), np.longdouble(2.0), 2.0]


@pytest.mark.parametrize("scalar", SCALARS, ids=lambda s: type(s).__name__)
def test_value_and_grad_takes_a_number_beside_arrays_at_every_call(scalar):
    rows = mg.compile(lambda x, k, y: x[0] * k + y, batch=True)
    single = mg.compile(lambda x, k: x[0] * x[1] * k)
    for _ in range(3):
        values, (dx, dy) = rows.value_and_grad(X, scalar, Y)
        assert values.tolist() == (X[:, 0] * float(scalar) + Y).tolist()
        assert (dx.tolist(), dy.tolist()) == ([[float(scalar), 0.0]] * 3, [1.0] * 3)
        value, gradient = single.value_and_grad(X[0], scalar)
        assert (value, gradient.tolist()) == (2.0 * float(scalar), [2.0 * scalar, 1.0 * scalar])
        nested = mg.compile(lambda d: d["x"][0] * d["k"][0], batch=True)
        for _ in range(2):
            assert nested.value_and_grad({"k": [scalar], "x": X})[1].shape == X.shape


def test_a_float_subclass_is_the_number_that_it_holds_at_every_call():
    f = mg.compile(lambda x, k: x * k)
    assert [f(1.0, Off(3.0)).data for _ in range(3)] == [3.0] * 3
    outer = mg.compile(lambda x: f(x, Off(3.0)))
    assert outer(1.0).data == 3.0
    assert 1.0 * Off(3.0) == 3.0  # as Python has it


# ---- masked arrays, matrices, data frames ----


@pytest.mark.parametrize("batch", [False, True])
@pytest.mark.parametrize("called", [False, True])
def test_an_array_with_masked_entries_is_refused(batch, called):
    f = mg.compile(lambda x: x[0] * 2, batch=batch)
    x = X if batch else X[0]
    if called:
        f(x), f.value_and_grad(x)
    masked = np.ma.masked_array(x, mask=False)
    masked[0] = np.ma.masked
    for call in (f, f.value_and_grad):
        with pytest.raises(TypeError, match=r"argument 0 .*masked.*filled"):
            call(masked)
    with pytest.raises(TypeError, match=r"argument 0 .*masked"):
        mg.compile(lambda v: f([v]) + f(masked))(1.0)
    with pytest.raises(TypeError, match=r"argument 1\[0\] .*masked"):
        mg.compile(lambda x, y: x)(1.0, [np.ma.masked])


def test_a_masked_array_without_masked_entries_is_its_numbers():
    f = mg.compile(lambda x: x[0] * x[1], batch=True)
    for mask in (np.ma.nomask, np.zeros(X.shape, dtype=bool)):
        assert f(np.ma.masked_array(X, mask=mask)).data.tolist() == [2.0, 12.0, 30.0]


def test_a_matrix_is_its_numbers():
    with pytest.warns(PendingDeprecationWarning):
        matrix = np.asmatrix(X)
    f = mg.compile(lambda x: x[0] * x[1], batch=True)
    for _ in range(2):
        assert f(matrix).data.tolist() == [2.0, 12.0, 30.0]
        assert f.value_and_grad(matrix)[1].tolist() == X[:, ::-1].tolist()


class Frame:
    """What pandas' and others' frames have in common here."""

    def __init__(self, array):
        self.array = array
        self.shape = array.shape

    def to_numpy(self):
        return self.array


@pytest.mark.parametrize("kind", ["frame", "pandas"])
def test_a_data_frame_is_its_array(kind):
    make = Frame if kind == "frame" else pytest.importorskip("pandas").DataFrame
    column = Frame if kind == "frame" else pytest.importorskip("pandas").Series
    f = mg.compile(lambda x, y: x[0] * x[1] * y, batch=True)
    for _ in range(2):
        assert f(make(X), column(Y)).data.tolist() == [2.0, -12.0, 30.0]
        assert f.value_and_grad(make(X), column(Y))[1][0].shape == X.shape
        assert mg.compile(lambda x: x[0] * x[1]).value_and_grad(column(Y))[1].tolist() == [-1, 1, 0]
    with pytest.raises(TypeError, match="argument 1 has dtype object"):
        f(make(X), column(np.array(["a", "b", "c"], dtype=object)))


def test_sparse_matrices_say_how_to_become_arrays():
    sparse = types.SimpleNamespace(shape=(3, 2), dtype=np.dtype(float), toarray=lambda: X)
    with pytest.raises(TypeError, match=r"argument 0 .*give its toarray\(\)"):
        mg.compile(lambda x: x[0], batch=True)(sparse)


# ---- dicts ----


def test_dicts_are_arguments_like_lists():
    seen = []

    @mg.compile
    def f(d, x):
        seen.append(d)
        return d["w"][0] * x + d["b"] * d["k"]

    w = Value(2.0)
    for _ in range(3):
        out = f({"w": [w], "b": 3.0, "k": 2, "none": None, 7: {}}, 5.0)
        assert out.data == 16.0
    out.backward()
    assert w.grad == 5.0
    assert list(seen[0]) == ["w", "b", "k", "none", 7]
    assert (seen[0]["k"], seen[0]["none"], seen[0][7], len(seen)) == (2, None, {}, 1)


def test_dicts_of_other_words_types_or_order_have_traces_of_their_own():
    f = mg.compile(lambda d: sum(k * v for k, v in enumerate(d.values())))
    for _ in range(2):
        assert f({"a": 1.0, "b": 2.0}).data == 2.0
        assert f({"b": 2.0, "a": 1.0}).data == 1.0
        assert f({"a": 1.0, "c": 3.0}).data == 3.0
        assert f({0: 1.0, 1: 2.0}).data == 2.0
        assert f({"a": 1.0, "b": 2.0, "c": 3.0}).data == 8.0
    assert f.cache_info().currsize == 5


def test_what_the_function_does_to_its_dict_is_its_own_affair():
    f = mg.compile(lambda d: d.pop("x") * 2)
    d = {"x": 1.0}
    assert (f(d).data, f(d).data, d) == (2.0, 2.0, {"x": 1.0})


@pytest.mark.parametrize("word", [True, 1.0, None, (1,), b"a", Value(1.0)], ids=repr)
@pytest.mark.parametrize("called", [False, True])
def test_words_of_dicts_are_text_or_whole_numbers(word, called):
    f = mg.compile(lambda d: sum(d.values(), Value(0.0)))
    if called:
        f({1: 1.0})
    with pytest.raises(TypeError, match=r"argument 0 has the key .*str or int"):
        f({word: 1.0})


def test_arrays_in_dicts_are_samples_and_have_gradients():
    f = mg.compile(lambda d, *, e: d["x"][0] * e["t"] + d["y"], batch=True)
    for _ in range(2):
        values, (dx, dy, dt) = f.value_and_grad({"x": X, "y": Y}, e={"t": Y})
        assert values.tolist() == (X[:, 0] * Y + Y).tolist()
        assert dx.tolist() == [[t, 0.0] for t in Y]
        assert (dy.tolist(), dt.tolist()) == ([1.0] * 3, X[:, 0].tolist())
    with pytest.raises(ValueError, match=r"argument 0\['y'\] has 2 samples"):
        f({"x": X, "y": Y[:2]}, e={"t": Y})


def test_results_may_be_dicts():
    f = mg.compile(lambda x: {"double": x * 2, "all": [x, {"n": 3, 4: x * 4}]})
    for _ in range(2):
        out = f(5.0)
        assert list(out) == ["double", "all"]
        assert (out["double"].data, out["all"][1][4].data, out["all"][1]["n"]) == (10.0, 20.0, 3)
    rows = mg.compile(lambda x: {"a": x * 2, "b": x + 1}, batch=True)(Y)
    assert rows.data.tolist() == [[2.0, 2.0], [-2.0, 0.0], [2.0, 2.0]]
    assert {k: v.data for k, v in rows.sum().items()} == {"a": 2.0, "b": 4.0}
    assert rows[1]["b"].data == 0.0


# ---- lists beside samples ----


def hinge(x, y):
    return (1 - y * (x[0] + x[1])).relu()


LISTS = {
    "floats": [1.0, -1.0, 1.0],
    "ints": [1, -1, 1],
    "tuple": (1.0, -1.0, 1.0),
    "booleans": [True, False, True],
    "NumPy's": list(Y),
    "mixed": [1.0, 2, np.float32(3)],
    "rows": [[1.0, 2.0], [3.0, 4.0], [5.0, 6.0]],
    "columns": [[1.0], [2], [3.0]],
}


@pytest.mark.parametrize("which", LISTS)
def test_a_list_of_one_number_a_sample_is_refused_with_the_cure(which):
    f = mg.compile(lambda x, y: x[0] + np.sum(np.asarray(y) * 1.0), batch=True)
    for call in (f, f.value_and_grad):
        with pytest.raises(TypeError, match=r"argument 1 is a list of 3 numbers.*numpy\.asarray"):
            call(X, LISTS[which])
        with pytest.raises(TypeError, match=r"argument 'y' is a list"):
            call(X, y=LISTS[which])
        with pytest.raises(TypeError, match=r"argument 1\['a'\]\[0\] is a list of 3 numbers"):
            call(X, {"a": [LISTS[which]]})


def test_a_list_is_refused_when_its_trace_is_there_already():
    f = mg.compile(lambda x, y: x[0] * y[0] + y[1], batch=True)
    for _ in range(2):
        assert f(X, [2.0, 1.0]).data.tolist() == [3.0, 7.0, 11.0]
        for call in (f, f.value_and_grad):
            with pytest.raises(TypeError, match=r"argument 1 is a list of 2 numbers"):
                call(X[:2], [2.0, 1.0])
        assert f(X[:1], [2.0, 1.0]).data.tolist() == [3.0]
        assert f(X[:2], [Value(2.0), Value(1.0)]).data.tolist() == [3.0, 7.0]
        assert f(X[:0], [2.0, 1.0]).data.tolist() == []


def test_lists_without_arrays_say_that_they_are_no_arrays():
    f = mg.compile(hinge, batch=True)
    with pytest.raises(ValueError, match=r"at least one argument must be an array.*asarray"):
        f([[1.0, 2.0]], [1.0])


def test_lists_of_other_things_are_structures():
    f = mg.compile(lambda x, parts: x[0] * parts[0] + parts[2], batch=True)
    assert f(X, [2.0, None, 1.0]).data.tolist() == [3.0, 7.0, 11.0]
    assert f(X, [Y, "a", 1.0]).data.tolist() == [2.0, -2.0, 6.0]


# ---- shapes (n, 1) ----


@pytest.mark.parametrize(
    ("shape", "says"),
    [((3, 1), r"argument 1 of shape \(B, 1\).*argument 1\[:, 0\]"), ((3, 1, 1), r"\[:, :, 0\]")],
)
def test_a_column_of_targets_that_fails_says_what_to_write(shape, says):
    f = mg.compile(hinge, batch=True)
    for _ in range(2):
        with pytest.raises(TypeError, match=says) as caught:
            f(X, Y.reshape(shape))
        assert isinstance(caught.value.__cause__, TypeError)
    assert f(X, Y.reshape(3, 1)[:, 0]).data.shape == (3,)


def test_a_column_of_one_number_that_is_meant_works():
    model = nn.Neuron(1, nonlin=False)
    f = mg.compile(model, batch=True)
    assert f(Y.reshape(3, 1)).data.shape == (3,)
    single = mg.compile(lambda x: x * 2)
    with pytest.raises(TypeError, match=r"argument 0 of shape \(1,\).*argument 0\[0\]"):
        mg.compile(lambda x: 1 - x)(np.ones(1))
    assert single(np.ones(1)[0]).data == 2.0


def test_other_exceptions_of_the_function_are_its_own():
    class Mine(TypeError):
        pass

    def fails(x, y):
        raise Mine("mine")

    with pytest.raises(Mine, match=r"^mine$"):
        mg.compile(fails, batch=True)(X, Y.reshape(3, 1))
    with pytest.raises(TypeError, match=r"^unsupported"):
        mg.compile(lambda x: x[0] + "a", batch=True)(X)


# ---- words ----


def test_a_function_of_an_int_alone_says_that_it_is_a_constant():
    with pytest.raises(
        TypeError, match=r"argument 0, 100, is an int.*constant; 100\.0 or an array"
    ):
        mg.compile(lambda x: x**2)(100)
    with pytest.raises(TypeError, match=r"argument 'n', 3, is an int"):
        mg.compile(lambda *, n: n)(n=3)
    with pytest.raises(TypeError, match=r"nothing to compile$"):
        mg.compile(lambda flag: 1.0)(True)
    with pytest.raises(TypeError, match=r"returned 'ndarray': give its tolist\(\)"):
        mg.compile(lambda x: np.array([x]))(1.0)


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("jacobian", r"f = mg\.compile\(.*f\.jacobian\(x\)"),
        ("hessian", r"f = mg\.compile\(.*f\.hessian\(x\)"),
        ("jit", r"compile"),
        ("vmap", r"batch=True"),
        ("Tensor", r"Value"),
    ],
)
def test_names_of_other_libraries_say_what_to_write(name, says):
    with pytest.raises(AttributeError, match=says) as caught:
        getattr(mg, name)
    assert caught.value.name == name
    assert not hasattr(mg, name)


# ---- inside a trace ----


def structure(thing):
    if isinstance(thing, (list, tuple)):
        return type(thing)(structure(t) for t in thing)
    if isinstance(thing, dict):
        return {k: structure(v) for k, v in thing.items()}
    return "v" if isinstance(thing, Value) else thing


INSIDE = {
    "float": 2.0,
    "NumPy float": np.float32(2.0),
    "NumPy int": np.int8(2),
    "float subclass": Off(2.0),
    "int": 2,
    "text": "a",
    "none": None,
    "Value": Value(2.0),
    "array": np.ones((2, 2)),
    "integers": np.array([1, 2]),
    "empty": np.zeros((2, 0)),
    "0-d": np.array(2.0),
    "list": [1.0, (2, 3.0), {"a": 1.0}],
    "dict": {"a": [1.0], "b": np.ones(1)},
}


@pytest.mark.parametrize("which", INSIDE)
def test_a_nested_function_sees_what_it_would_see_outside(which):
    seen = []
    f = mg.compile(lambda x, a: (seen.append(structure(a)), x * 1)[1])
    f(1.0, INSIDE[which])
    outer = mg.compile(lambda x: f(x, a=INSIDE[which]))
    assert outer(3.0).data == 3.0
    assert seen[0] == seen[1]


def test_numbers_of_a_nested_call_are_constants_with_methods():
    inner = mg.compile(lambda x: x.tanh())
    outer = mg.compile(lambda x: x + inner(0.5) + inner(np.float64(0.5)))
    for _ in range(2):
        assert outer(1.0).data == pytest.approx(1.0 + 2 * np.tanh(0.5), rel=1e-15)
    take = mg.compile(lambda values, k: mg.take(values, k))
    chosen = mg.compile(lambda x: take([x, x * 2, x * 3], np.int64(2)) + take([1.0, x], 0))
    assert chosen(1.0).data == 4.0


def test_arrays_of_a_nested_call_have_their_numbers_in_order():
    inner = mg.compile(lambda a, x: a[0][1] * 10 + a[1][0] * x)
    outer = mg.compile(lambda x: inner(np.array([[1.0, 2.0], [3.0, 4.0]]).T, x))
    assert outer(1.0).data == 30.0 + 2.0


@pytest.mark.parametrize(
    "make", [lambda: Y, lambda: X, lambda: [Y], lambda: {"y": X}, Y.astype(int).copy]
)
def test_a_batched_function_of_an_array_in_a_trace_is_refused(make):
    total = mg.compile(lambda x: sum_of(x), batch=True)
    array = make()
    outer = mg.compile(lambda v: total(array) * v)
    line = outer.__wrapped__.__code__.co_firstlineno
    for batch, arg in ((False, 1.0), (True, np.ones(3))):
        f = mg.compile(outer.__wrapped__, batch=batch)
        for _ in range(2):
            with pytest.raises(
                mg.TraceError, match=r"batched function of an array.*one sample"
            ) as e:
                f(arg)
            assert str(e.value).startswith(f"{__file__}:{line}: ")
    assert not _core.tracing()


def sum_of(x):
    if isinstance(x, dict):
        return sum_of(list(x.values()))
    return sum(map(sum_of, x), Value(0.0)) if isinstance(x, list) else x * 1


def test_a_batch_in_a_trace_is_refused():
    rows = mg.compile(lambda x: x[0] * 2, batch=True)
    batch = rows(X)
    for inner in (rows, mg.compile(lambda b: b)):
        with pytest.raises(mg.TraceError, match=r"a Batch as argument.*give the Batch to"):
            mg.compile(lambda v, inner=inner: inner(batch) * v)(1.0)


def test_a_batched_function_of_one_sample_runs_inside_a_trace():
    rows = mg.compile(lambda x, k: x[0] * x[1] * k, batch=True)
    outer = mg.compile(lambda a, b: rows([a, b], 2.0) + rows((a, 3.0), np.float64(1.0)))
    for _ in range(2):
        assert outer(2.0, 5.0).data == 26.0
    both = mg.compile(lambda x: rows(x, 2.0), batch=True)
    assert both(X).data.tolist() == (X[:, 0] * X[:, 1] * 2).tolist()


def test_what_is_no_number_reaches_a_nested_function_as_it_is():
    net = nn.Neuron(2)
    inner = mg.compile(lambda model, x, cells: model(x) + cells[0])
    outer = mg.compile(lambda x: inner(net, [x, 1.0], np.array([x, x], dtype=object)))
    assert outer(2.0).data == pytest.approx(net([2.0, 1.0]).data + 2.0, rel=1e-14)
    named = collections.namedtuple("Pair", "a b")
    both = mg.compile(lambda p: p.a * p.b)
    assert mg.compile(lambda x: both(named(x, x)))(3.0).data == 9.0


def test_complex_numbers_in_arrays_are_refused_inside_as_outside():
    inner = mg.compile(lambda x, a: x)
    for array in (np.ones(2) * 1j, np.array(["a"])):
        with pytest.raises(TypeError, match="argument 1 has dtype"):
            mg.compile(lambda x, array=array: inner(x, array))(1.0)


# ---- the first call and later ones read alike ----


class Text(str):
    pass


class Level(enum.IntEnum):
    LOW = 1


def pool():
    """Things that look alike and are not, and some that are."""
    masked = np.ma.masked_array([1.0, 2.0], mask=[False, True])
    batch = mg.compile(lambda x: x * 1.0, batch=True)(np.array([1.0, 2.0]))
    rows = mg.compile(lambda x: [x, x], batch=True)(np.array([1.0, 2.0]))
    with mg.no_grad():
        plain_batch = mg.compile(lambda x: x * 1.0, batch=True)(np.array([1.0, 2.0]))
    one = [1.0, 1, True, "1", None, Off(1.0), Level.LOW, Text("1"), Value(1.0), 1j, 10**400, int]
    one += [np.dtype(code).type(1) for code in "?bBhHiIlLqQefdg"]
    one += [np.array(1.0), np.array(1), np.ma.masked, np.str_("1"), float("nan"), -0.0]
    two = [1.0, 2.0]
    many = [
        two,
        tuple(two),
        [1, 2],
        [1, 2.0],
        [True, False],
        [],
        [two, two],
        {"a": two[0], "b": 2.0},
    ]
    many += [{"b": 2.0, "a": 1.0}, {0: 1.0, 1: 2.0}, {}, collections.OrderedDict(a=1.0, b=2.0)]
    many += [np.array(two), np.array(two, dtype="f4"), np.array([1, 2]), np.array(two)[::-1]]
    many += [np.array(two).astype(">f8"), masked, np.ma.masked_array(two), np.array([two, two])]
    many += [np.array([two, two]).T, np.array([[1.0], [2.0]]), np.zeros(0), np.zeros((2, 0))]
    many += [np.array(["1", "2"]), np.array([1.0, None]), Frame(np.array(two)), batch, rows]
    many += [plain_batch, [Value(1.0), Value(2.0)], [np.array(two)], {"a": np.array(two), "b": 2.0}]
    return one + many


def outcome(call, *args):
    """What a call gives, as plain numbers, or what it raises."""
    try:
        out = call(*args)
    except Exception as error:
        return type(error), str(error)
    if isinstance(out, tuple):
        values, gradients = out
        parts = gradients if isinstance(gradients, tuple) else (gradients,)
        return repr(values), [(np.shape(g), np.asarray(g).tolist()) for g in parts]
    return repr(out.data.tolist() if isinstance(out, mg.Batch) else out.data)


def total(thing):
    """A number of all numbers in what arrives, in which each has its place."""
    if isinstance(thing, (list, tuple)):
        return sum((total(v) * (k + 2) for k, v in enumerate(thing)), Value(0.5))
    if isinstance(thing, dict):
        return sum((total(v) * (k + 3) for k, v in enumerate(thing.values())), Value(0.25))
    if isinstance(thing, (str, type(None), type)):
        return Value(7.0)
    return thing * (1.0 if isinstance(thing, Value) else 10.0)


CALLS = {
    "single": (False, lambda f: f, ()),
    "batched": (True, lambda f: f, (np.array([5.0, 6.0]),)),
    "gradient": (False, lambda f: f.value_and_grad, ()),
    "batched gradient": (True, lambda f: f.value_and_grad, (np.array([5.0, 6.0]),)),
}


@pytest.mark.parametrize("which", CALLS)
def test_no_call_depends_on_the_one_before_it(which):
    batch, calling, beside = CALLS[which]

    def fresh():
        return calling(mg.compile(lambda *args: total(list(args)), batch=batch))

    things = pool()
    alone = [outcome(fresh(), *beside, thing) for thing in things]
    for first in things:
        for second, expected in zip(things, alone, strict=True):
            call = fresh()
            outcome(call, *beside, first)
            assert outcome(call, *beside, second) == expected, (first, second)
            assert outcome(call, *beside, second) == expected, (first, second)


# ---- Values of a subclass ----


def test_a_value_of_a_subclass_has_its_operators_in_the_trace_too():
    class Saturated(Value):
        def __add__(self, other):
            return mg.minimum(Value.__add__(self, other), 1.0)

        def __radd__(self, other):
            return self + other

        def twice(self):
            return self * 2

    for batch in (False, True):
        f = mg.compile(lambda x, y: (3 + x) * y, batch=batch)
        y = np.array([1.0, 2.0]) if batch else 1.0
        for kind in (Value, Saturated, Value, Saturated):  # whichever was traced first
            v = kind(2.0)
            result = f(v, y)[0] if batch else f(v, y)
            eager = (3 + v) * 1.0
            assert result.data == eager.data == (5.0 if kind is Value else 1.0)
            result.backward()
            assert v.grad == (1.0 if kind is Value else 0.0)
        assert f.cache_info().misses == 2

    f = mg.compile(lambda xs: xs["a"][0].twice())
    assert f({"a": [Saturated(2.0)]}).data == 4.0
    Saturated.twice = lambda self: self * 5
    assert f({"a": [Saturated(2.0)]}).data == 10.0  # the class is watched
    assert type(mg.compile(lambda x: x)(Saturated(2.0))) is Value


def test_subclasses_that_must_be_called_with_more_are_arguments_like_others():
    class Named(Value):
        def __new__(cls, number, name):
            return super().__new__(cls)

        def __init__(self, number, name):
            super().__init__(number)
            self.name = name

    f = mg.compile(lambda x: x * 2)
    assert [f(Named(k, "n")).data for k in (1.0, 2.0)] == [2.0, 4.0]
    with pytest.raises(TypeError, match="kind must be a class of Values, not 'int'"):
        _core.Trace().input(int)
