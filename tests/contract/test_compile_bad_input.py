"""compile(): what may be wrong with an argument, a result or a model; each has a defined answer."""

import array
import collections
import decimal
import enum
import fractions
import gc

import numpy as np
import pytest
from inputs import X3, read_only, unaligned

import micrograd_fast as mg
from micrograd_fast import _core, nn
from micrograd_fast.engine import Value


class Foreign:
    """A class that knows nothing of numbers."""


class ForeignArray:
    """What other array libraries look like."""

    dtype = "foreign.float64"
    shape = (4,)


class Colour(enum.Enum):
    RED = 1


def weighted(x, y=1.0, *rest, **named):
    return x * 2 + y


def first(x, *rest, **named):
    return x[0]


REFUSED = {
    "complex": 1j,
    "bytes": b"1.0",
    "bytearray": bytearray(8),
    "a dict's subclass": collections.Counter(x=1),
    "set": {1.0},
    "range": range(3),
    "iterator": iter([1.0]),
    "object": Foreign(),
    "function": len,
    "enum": Colour.RED,
    "Fraction": fractions.Fraction(1, 2),
    "Decimal": decimal.Decimal(1),
    "array.array": array.array("d", [1.0]),
    "memoryview": memoryview(b"12345678"),
    "another library's array": ForeignArray(),
}
REFUSED_DTYPES = {
    "object": np.array([1.0, None], dtype=object),
    "Values": np.array([Value(1.0), Value(2.0)]),
    "ragged": np.array([[1.0], [1.0, 2.0]], dtype=object),
    "str": np.array(["1.0", "2.0"]),
    "bytes": np.array([b"1.0"]),
    "complex128": np.array([1j]),
    "complex64": np.array([1.0], dtype=np.complex64),
    "datetime64": np.array(["2026-01-01"], dtype="M8[D]"),
    "timedelta64": np.array([1], dtype="m8[s]"),
    "void": np.zeros(2, dtype=[("a", float)]),
}
SCALARS = [np.complex128(1), np.str_("1"), np.datetime64("2026-01-01"), np.array(None)]


# ---- arguments that cannot be ----


@pytest.mark.parametrize("which", REFUSED)
@pytest.mark.parametrize("batch", [False, True])
def test_a_foreign_argument_is_refused_by_name_and_type(which, batch):
    thing = REFUSED[which]
    f = mg.compile(weighted, batch=batch)
    with pytest.raises(TypeError, match=rf"argument 1.*{type(thing).__name__}"):
        f(np.ones(4), thing)
    with pytest.raises(TypeError, match=r"argument 1\[0\]\[2\]"):
        f(np.ones(4), [[1.0, 2.0, thing]])
    with pytest.raises(TypeError, match="argument 'y'"):
        f(np.ones(4), y=thing)


@pytest.mark.parametrize("which", REFUSED_DTYPES)
@pytest.mark.parametrize("batch", [False, True])
def test_an_array_without_real_numbers_is_refused_by_name_and_dtype(which, batch):
    thing = REFUSED_DTYPES[which]
    f = mg.compile(weighted, batch=batch)
    with pytest.raises(TypeError, match="argument 0") as caught:
        f(thing)
    assert str(thing.dtype) in str(caught.value)
    with pytest.raises(TypeError, match=r"argument 1\[1\]"):
        f(np.ones(2), [1.0, thing])


@pytest.mark.parametrize("thing", SCALARS, ids=repr)
def test_a_numpy_scalar_that_is_no_real_number_is_refused(thing):
    with pytest.raises(TypeError, match="argument 0"):
        mg.compile(weighted)(thing)


@pytest.mark.parametrize(
    ("args", "kwargs", "message"),
    [
        ((np.ones(3), np.ones(4)), {}, "argument 1 has 4 samples.* 3"),
        ((np.ones((3, 2)), np.ones((2, 2))), {}, "argument 1 has 2 samples.* 3"),
        ((np.ones(3), 1.0, [np.ones(3), np.ones(5)]), {}, r"argument 2\[1\] has 5"),
        ((np.ones(3),), {"named": np.ones(1)}, "argument 'named' has 1"),
        ((np.ones(3), np.ones(0)), {}, "argument 1 has 0 samples"),
        ((np.ones(0), np.ones(3)), {}, "argument 1 has 3 samples"),
    ],
)
def test_batches_of_different_lengths_are_refused_by_name(args, kwargs, message):
    with pytest.raises(ValueError, match=message):
        mg.compile(weighted, batch=True)(*args, **kwargs)


@pytest.mark.parametrize("args", [(), (1.0,), (np.float64(1.0),), (Value(1.0),), ([1.0, 2.0],)])
def test_a_batched_function_without_an_array_is_refused(args):
    with pytest.raises(ValueError, match="array"):
        mg.compile(lambda *xs: Value(1.0), batch=True)(*args)


def test_a_batch_goes_into_batched_functions_only():
    batch = mg.compile(weighted, batch=True)(np.ones(3))
    with pytest.raises(TypeError, match="argument 0 is a Batch"):
        mg.compile(weighted)(batch)
    with pytest.raises(ValueError, match="argument 1 has 3 samples"):
        mg.compile(weighted, batch=True)(np.ones(2), batch)


def test_the_wrong_number_of_arguments_is_python_s_own_error():
    f = mg.compile(lambda x: x * 2)
    for args, kwargs in (((), {}), ((1.0, 2.0), {}), ((1.0,), {"z": 1.0})):
        with pytest.raises(TypeError):
            f(*args, **kwargs)
    assert not _core.tracing()
    assert f(1.0).data == 2.0


def test_a_refused_call_leaves_the_function_as_it_was():
    f = mg.compile(weighted, batch=True)
    assert f(np.ones(3)).data.tolist() == [3.0] * 3
    for bad in ((1j,), (np.array(["a"]),), (np.ones(3), np.ones(4)), (1.0,)):
        with pytest.raises((TypeError, ValueError)):
            f(*bad)
    assert f(np.ones(3)).data.tolist() == [3.0] * 3
    assert f.cache_info().currsize == 1


# ---- results that cannot be ----


@pytest.mark.parametrize("batch", [False, True])
@pytest.mark.parametrize(
    "function",
    [
        lambda x: None,
        lambda x: 3.0,
        lambda x: [],
        lambda x: [1.0, (None, "a")],
        lambda x: {"x": 1.0},
        lambda x: {x: x},
        lambda x: {(1, 2): x},
        lambda x: collections.OrderedDict(x=x),
        lambda x: {x},
        lambda x: iter([x]),
        lambda x: np.array([x, x]),
        lambda x: [x, np.float64],
        lambda x: lambda: x,
        lambda x: sum([]),
    ],
)
def test_a_function_that_returns_no_value_is_refused(function, batch):
    f = mg.compile(function, batch=batch)
    with pytest.raises(TypeError, match="returned"):
        f(np.ones(2) if batch else 1.0)
    assert not _core.tracing()


def test_a_generator_function_is_refused():
    @mg.compile
    def f(x):
        yield x

    with pytest.raises(TypeError, match="generator"):
        f(1.0)


# ---- arrays of every make ----


MAKES = {
    "Fortran order": np.asfortranarray,
    "transposed": lambda x: x.T.copy().T,
    "every second": lambda x: np.repeat(x, 2, axis=0)[::2],
    "every second column": lambda x: np.repeat(x, 2, axis=1)[:, ::2],
    "backwards": lambda x: x[::-1].copy()[::-1],
    "read-only": read_only,
    "read-only bytes": lambda x: np.frombuffer(x.tobytes()).reshape(x.shape),
    "big-endian": lambda x: x.astype(">f8"),
    "float32": lambda x: x.astype(np.float32),
    "float16": lambda x: x.astype(np.float16),
    "long double": lambda x: x.astype(np.longdouble),
    "unaligned": unaligned,
    "broadcast": lambda x: np.broadcast_to(x[0], x.shape),
    "subclass": lambda x: x.view(type("Mine", (np.ndarray,), {})),
    "integers": lambda x: (x * 8).astype(np.int16),
    "unsigned": lambda x: np.abs(x * 8).astype(np.uint64),
    "booleans": lambda x: x > 0,
}


@pytest.mark.parametrize("make", MAKES)
def test_arrays_of_every_make_give_what_plain_ones_give(make):
    p = Value(0.5)
    array = MAKES[make](X3)
    plain = np.array(array, dtype=np.float64, order="C")
    assert array.shape == plain.shape

    def function(x):
        return (x[0] * p + x[1] * x[2]).tanh()

    rows = mg.compile(function, batch=True)
    expected = np.tanh(plain[:, 0] * 0.5 + plain[:, 1] * plain[:, 2])
    assert rows(array).data == pytest.approx(expected, rel=1e-13)
    single = mg.compile(function)
    assert [single(row).data for row in array] == pytest.approx(list(expected), rel=1e-13)
    values, gradient = rows.value_and_grad(array)
    assert values == pytest.approx(expected, rel=1e-13)
    slope = 1 - expected**2
    assert gradient[:, 0] == pytest.approx(slope * 0.5, rel=1e-12, abs=1e-15)
    assert gradient.dtype == np.float64
    assert single.value_and_grad(array[0])[1] == pytest.approx(gradient[0], rel=1e-12)
    assert np.array_equal(array, plain)


def test_integers_beyond_float64_become_the_nearest_float():
    f = mg.compile(lambda x: x * 1.0)
    assert f(np.uint64(2**64 - 1)).data == float(2**64)
    assert f(np.array([2**53 + 1]).sum()).data == float(2**53)


def test_a_float_subclass_or_int_enum_is_taken_or_refused_by_name():
    mine = type("Mine", (float,), {})(2.0)
    level = enum.IntEnum("Level", "LOW HIGH")
    for thing in (mine, level.HIGH):
        try:
            out = mg.compile(lambda x, k: x * k)(1.0, thing)
        except TypeError as error:
            assert "argument 1" in str(error)
        else:
            assert out.data == 2.0


# ---- nothing at all ----


def test_an_empty_batch_has_results_of_length_zero():
    p = Value(2.0)
    f = mg.compile(lambda x: [x[0] * p, x[1]], batch=True)
    batch = f(np.zeros((0, 3)))
    assert (len(batch), batch.data.shape, list(batch)) == (0, (0, 2), [])
    total = batch.sum()
    assert [v.data for v in total] == [0.0, 0.0]
    (total[0] + total[1] * 2).backward()
    assert p.grad == 0.0
    with pytest.raises(IndexError):
        batch[0]
    again = mg.compile(lambda x: x[0], batch=True)(batch)
    assert len(again) == 0
    again.sum().backward()
    assert p.grad == 0.0


def test_value_and_grad_of_an_empty_batch_is_empty():
    f = mg.compile(lambda x: x[0] * 2, batch=True)
    values, gradient = f.value_and_grad(np.zeros((0, 3)))
    assert (values.shape, gradient.shape) == ((0,), (0, 3))


@pytest.mark.parametrize("empty", [[], (), [[]], [(), []], np.zeros(0), np.zeros((0, 3))], ids=repr)
def test_empty_lists_arrive_as_they_are(empty):
    seen = []
    f = mg.compile(lambda e, x: (seen.append(e), x * 2)[1])
    assert f(empty, 1.0).data == 2.0
    assert seen == [empty.tolist() if isinstance(empty, np.ndarray) else empty]


def test_take_of_no_values_is_refused():
    with pytest.raises(ValueError, match="at least one"):
        mg.compile(lambda k: mg.take([], k))(np.int64(0))


def test_take_of_rows_of_different_lengths_is_refused():
    with pytest.raises(ValueError, match=r"values\[1\] has 2 items, values\[0\] has 1 item"):
        mg.compile(lambda k, x: mg.take([[x], [x, x]], k)[0])(np.int64(0), 1.0)


# ---- functions and models that change ----


def test_a_function_that_changes_structure_replays_the_one_of_its_trace():
    runs = []

    @mg.compile
    def f(x):
        runs.append(1)
        return x * 2 if len(runs) == 1 else [x * 3, x]

    assert [f(1.0).data, f(2.0).data] == [2.0, 4.0]
    out = f(np.float64(1.0)) if len(runs) == 1 else None
    assert out.data == 2.0
    changed = f(Value(1.0))  # another signature: traced anew, as the function is now
    assert [v.data for v in changed] == [3.0, 1.0]
    assert f(5.0).data == 10.0


def test_a_dropped_parameter_lives_on_in_the_calls_that_read_it():
    model = nn.Neuron(2)
    model.w = [Value(2.0), Value(3.0)]
    f = mg.compile(lambda x: model.w[0] * x + model.w[1])
    out = f(2.0)
    assert out.data == 7.0
    model.w = None
    gc.collect()
    fresh = [Value(float(k)) for k in range(1000)]
    out.backward()
    assert all(v.grad == 0.0 and v.data == k for k, v in enumerate(fresh))
    with pytest.raises(TypeError, match="not subscriptable"):
        f(2.0)
    model.w = fresh[4:6]
    assert f(2.0).data == 13.0


def test_parameters_that_the_trace_alone_holds_are_given_back_with_the_function(
    live_nodes_unchanged,
):
    def holding(ps):
        return mg.compile(lambda x: x * sum(ps))

    f = holding([Value(float(k)) for k in range(50)])
    assert f(1.0).data == sum(range(50))
    f(1.0).backward()


def test_a_value_argument_may_be_dropped_before_backward():
    p = Value(2.0)
    f = mg.compile(lambda v: v * p)
    out = f(Value(3.0) * 1)
    gc.collect()
    out.backward()
    assert p.grad == 3.0


def test_results_may_be_dropped_in_any_order():
    p = Value(2.0)
    f = mg.compile(lambda v: [v * p, v + p, v - p])
    outs = f(3.0)
    loss = outs[1] * 2
    del outs[0]
    del outs
    loss.backward()
    assert p.grad == 2.0


def test_a_compiled_function_outlives_everything_that_made_it():
    def make():
        p = Value(3.0)
        return mg.compile(lambda x: x * p, batch=True)(np.ones(3))

    batch = make()
    gc.collect()
    batch.mean().backward()
    assert batch.data.tolist() == [3.0] * 3


def test_a_subclass_of_value_may_be_parameter_and_argument():
    class Mine(Value):
        pass

    p, a = Mine(2.0), Mine(3.0)
    out = mg.compile(lambda x: x * p)(a)
    out.backward()
    assert (type(out), out.data, p.grad, a.grad) == (Value, 6.0, 3.0, 2.0)


def test_a_parameter_with_a_custom_step_is_captured_and_its_step_runs():
    p = Value(2.0)
    ran = []
    p._backward = lambda: ran.append(p.grad)
    mg.compile(lambda x: x * p)(3.0).backward()
    assert (p.grad, ran) == (3.0, [3.0])


def test_a_custom_node_made_before_the_trace_is_captured():
    a = Value(2.0)
    cube = Value(8.0, (a,), "cube")

    def step():
        a.grad += 12.0 * cube.grad

    cube._backward = step
    mg.compile(lambda x: x * cube)(3.0).backward()
    assert (cube.grad, a.grad) == (3.0, 36.0)


def test_a_replaced_operator_is_what_the_trace_records(monkeypatch):
    monkeypatch.setattr(Value, "tanh", lambda self: self * 7)
    assert mg.compile(lambda x: x.tanh())(1.0).data == 7.0


@pytest.mark.parametrize("name", ["backward", "grad", "detach"])
def test_a_batch_says_what_has_the_attribute_of_a_value(name):
    batch = mg.compile(lambda x: x[0] * 2, batch=True)(X3)
    with pytest.raises(AttributeError, match=rf"no '{name}': its .mean\(\) and .sum\(\)"):
        getattr(batch, name)
    with pytest.raises(AttributeError, match="has no attribute 'mena'"):
        _ = batch.mena


@pytest.mark.parametrize("activation", ["relu", "linear"])
def test_a_model_that_is_given_all_samples_at_once_says_what_to_do(activation):
    neuron = nn.Neuron(3, activation=activation)
    live = _core.live_nodes()
    for call in (mg.compile(lambda x: neuron(x)), neuron):
        for rows in (X3.tolist(), [tuple(row) for row in X3.tolist()], ["0.5"]):
            with pytest.raises(TypeError, match=r"one sample.*\[model\(x\) for x in X\]"):
                call(rows)
    with pytest.raises(TypeError, match="batch=True"):
        mg.compile(lambda x: neuron(x))(X3)
    assert _core.live_nodes() == live


@pytest.mark.parametrize("thing", [3.0, None, mg.Value(1.0), 7])
@pytest.mark.parametrize("make", [nn.Neuron, lambda n: nn.Layer(n, 2), lambda n: nn.MLP(n, [2, 1])])
def test_a_model_that_is_given_one_number_says_what_it_takes(make, thing):
    name = type(thing).__name__
    with pytest.raises(TypeError, match=f"a list of numbers or Values, not one '{name}'"):
        make(2)(thing)


def test_a_batched_model_that_is_given_one_number_a_sample_says_what_it_takes():
    model = nn.MLP(3, [2, 1])
    with pytest.raises(TypeError, match=r"an array of shape \(B, n\)"):
        mg.compile(lambda x: model(x), batch=True)(X3[0])


def test_a_neuron_that_is_given_the_rows_of_an_array_says_what_to_do():
    with pytest.raises(TypeError, match=r"one sample.*'ndarray'"):
        nn.Neuron(3)(X3)
