"""What a mistake says: in the user's terms, with the names that the user knows, and with a
traceback that ends at the user's own line."""

import subprocess
import sys
import traceback

import numpy as np
import pytest

import micrograd_fast as mg
from micrograd_fast import functional, nn, optim
from micrograd_fast.engine import Value, no_grad


def divided():
    """Each way to divide by zero, and the division as the message shall show it."""
    three, zero = Value(3.0), Value(0.0)
    held = Value(0.0)
    held.notes = [1]
    yield "3.0 / 0.0", lambda: three / 0
    yield "3.0 / 0.0", lambda: three / zero
    yield "3.0 / 0.0", lambda: 3 / zero
    yield "3.0 / 0.0", lambda: np.float64(3.0) / zero
    yield "3.0 / -0.0", lambda: three / -0.0
    yield "3.0 / 0.0", lambda: three / held
    yield "2.5 / 0.0", lambda: 2.5 / held
    yield "3.0 / 0.0", lambda: three / np.int64(0)
    yield "0.0 / 0.0", lambda: functional.mean([zero]) / 0


@pytest.mark.parametrize(("text", "divide"), list(divided()))
@pytest.mark.parametrize("recording", [True, False])
def test_a_division_by_zero_says_so(text, divide, recording):
    with pytest.raises(ZeroDivisionError) as error:
        if recording:
            divide()
        else:
            with no_grad():
                divide()
    assert str(error.value) == f"{text}: division by zero"


def test_a_reciprocal_that_overflows_is_named_as_a_division():
    with pytest.raises(OverflowError, match=r"^2.0 / 5e-324: .*too large"):
        Value(2.0) / 5e-324


def test_a_power_is_still_named_as_one():
    with pytest.raises(ZeroDivisionError, match=r"0.0 \*\* -1.0"):
        Value(0.0) ** -1


MISTAKES = {
    "division": lambda: Value(1.0) / 0,
    "operator": lambda: Value(1.0) + "x",
    "reflected": lambda: None - Value(1.0),
    "method": lambda: Value(-1.0).log(),
    "constructor": lambda: Value("x"),
    "child": lambda: Value(1.0, (5,)),
    "attribute": lambda: Value(1.0).absent,
    "setting": lambda: setattr(Value(1.0), "data", None),
    "backward": lambda: (Value(0.0) ** 0.5).backward(),
    "total": lambda: functional.sum([Value(1.0), "x"]),
    "neuron": lambda: nn.Neuron(1)(5.0),
    "optimizer": lambda: optim.SGD([Value(1.0), 3.0]),
    "trace": lambda: mg.compile(lambda x: x.data)(1.0),
    "signature": lambda: mg.compile(lambda x: x)("a", "b"),
    "batch": lambda: mg.compile(lambda x: x * 2, batch=True)(np.zeros(3))[7],
}


@pytest.mark.parametrize("mistake", MISTAKES.values(), ids=MISTAKES)
def test_no_line_of_the_engines_sources_is_in_a_traceback(mistake):
    try:
        mistake()
    except Exception as error:
        text = "".join(traceback.format_exception(error))
        files = [frame.filename for frame in traceback.extract_tb(error.__traceback__)]
    else:
        raise AssertionError("no mistake was made")
    assert ".pxi" not in text and ".pyx" not in text
    assert files[0] == files[1] == __file__


def test_frames_of_the_user_are_all_there():
    """A step that fails inside of backward() shows the step's own line."""

    def step():
        raise KeyError("in the step")

    x = Value(1.0)
    x._backward = step
    with pytest.raises(KeyError) as error:
        (x * 2).backward()
    names = [frame.name for frame in traceback.extract_tb(error.value.__traceback__)]
    assert names == ["test_frames_of_the_user_are_all_there", "step"]


@pytest.mark.parametrize(
    "mistake",
    [
        lambda v: v.absent,
        lambda v: v.relu(1),
        lambda v: v.backward(1),
        lambda v: Value.relu(5),
        lambda v: Value.relu(),
        lambda v: len(v),
        lambda v: v(),
        lambda v: v @ v,
        lambda v: float(v),
        lambda v: v < "x",
        lambda v: setattr(v, "_prev", set()),
        lambda v: object.__new__(Value),
        lambda v: Value.__new__(),
    ],
)
def test_messages_name_value_as_the_user_does(mistake):
    with pytest.raises((AttributeError, TypeError)) as error:
        mistake(Value(1.0))
    assert "_core" not in str(error.value)


def test_the_class_has_the_names_of_a_class_of_python():
    assert (Value.__name__, Value.__qualname__) == ("Value", "Value")
    assert Value.__module__ == "micrograd_fast.engine"
    assert repr(Value) == "<class 'micrograd_fast.engine.Value'>"


@pytest.mark.parametrize(
    "use",
    [
        lambda v: [1, 2, 3][v],
        lambda v: (1, 2, 3)[v],
        lambda v: [1, 2, 3][v:],
        lambda v: range(v),
        lambda v: [0] * v,
    ],
)
def test_a_value_as_an_index_says_what_to_write(use):
    with pytest.raises(TypeError, match=r"mg\.take\(values, v\)"):
        use(Value(1.0))


def test_a_value_as_an_index_in_a_compiled_function_says_what_to_write():
    weights = [Value(1.0), Value(2.0)]
    with pytest.raises(TypeError, match=r"mg\.take\(values, v\)"):
        mg.compile(lambda x, k: x * weights[k])(1.0, Value(1.0))


# ---- take by a Value, eagerly as in a compiled function ----


def test_take_by_a_value_is_take_by_its_number():
    xs = [Value(x) for x in (1.0, 2.0, 3.0)]
    index = Value(2)
    out = mg.take(xs, index)
    assert out is xs[2]
    (out * 5).backward()
    assert (xs[2].grad, index.grad) == (5.0, 0.0)
    assert mg.take([[1, 2], [3, 4]], Value(1.0)) == [3, 4]
    compiled = mg.compile(lambda k, *ws: mg.take(ws, k))(index, *xs)
    assert compiled.data == out.data
    assert functional.cross_entropy(xs, index).data == functional.cross_entropy(xs, 2).data


@pytest.mark.parametrize("index", [-1.0, 3.0, 1.5, float("nan"), float("inf"), -0.5, 1e300])
def test_take_by_a_value_out_of_range_raises_what_compiled_functions_raise(index):
    xs = [Value(x) for x in (1.0, 2.0, 3.0)]
    with pytest.raises(IndexError):
        mg.take(xs, Value(index))
    with pytest.raises(IndexError):
        mg.compile(lambda k, *ws: mg.take(ws, k))(Value(index), *xs)


# ---- arrays of one item are their number ----

ONE = [np.array([2.0]), np.array([[2.0]]), np.array([2]), np.array([2], np.float32)]
ONE += [np.array([[[2]]], np.uint8), np.full((1,), 2.0)[:, None]]


@pytest.mark.parametrize("one", ONE, ids=repr)
def test_an_array_of_one_item_is_its_number_wherever_a_number_may_stand(one):
    x = Value(3.0)
    assert Value(one).data == 2.0
    v = Value(0.0)
    v.data = one
    v.grad = one
    assert (v.data, v.grad) == (2.0, 2.0)
    results = [x + one, x - one, x * one, x / one, x**one, x.maximum(one), x.minimum(one)]
    expected = [x + 2, x - 2, x * 2, x / 2, x**2, x.maximum(2), x.minimum(2)]
    for out, wanted in zip(results, expected, strict=True):
        assert type(out) is Value
        assert out.data == wanted.data
        assert sorted(c.data for c in out._prev) == sorted(c.data for c in wanted._prev)
    assert [x < one, x <= one, x > one, x >= one] == [False, False, True, True]
    assert all(type(answer) is bool for answer in (x < one, x > one))
    assert functional.sum([x, one]).data == 5.0
    assert nn.Neuron(1, nonlin=False)([one]).data != 0.0


def test_labels_of_shape_n_1_train_as_labels_of_shape_n(engine):
    """As two public programs have them; micrograd computes with the arrays themselves."""

    def trained(labels):
        w, b = engine.Value(0.5), engine.Value(0.0)
        for _ in range(5):
            losses = [(w * x + b - y) ** 2 for x, y in zip((1.0, 2.0, 3.0), labels, strict=True)]
            loss = sum(losses) / len(losses)
            w.grad = b.grad = 0.0
            loss.backward()
            for p in (w, b):
                p.data = p.data - 0.05 * p.grad
        return float(np.squeeze(w.data)), float(np.squeeze(b.data))

    labels = np.array([[2.0], [4.0], [6.0]])
    assert trained(labels) == pytest.approx(trained(labels.ravel().tolist()), rel=1e-12)


def test_an_array_of_one_item_on_the_left_stays_an_array():
    out = np.array([2.0]) * Value(3.0)
    assert out.shape == (1,) and out[0].data == 6.0


def test_an_array_of_one_value_with_a_shape_stays_an_array():
    w = Value(4.0)
    out = Value(3.0) * np.array([w], dtype=object)
    assert out.shape == (1,) and w in out[0]._prev


def test_no_warning_of_numpys_about_shapes_comes_through():
    code = "import numpy, micrograd_fast; micrograd_fast.Value(numpy.ones((1, 1))) * numpy.ones(1)"
    subprocess.run([sys.executable, "-W", "error", "-c", code], check=True)
