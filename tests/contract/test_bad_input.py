"""What cannot be held raises TypeError at once, names the type, and changes nothing."""

import decimal
import gc
import math
import operator

import numpy as np
import pytest
from conftest import load_engine
from inputs import unplaced

from micrograd_fast import compile, optim
from micrograd_fast._core import OPS, affine, copy_numbers, live_nodes
from micrograd_fast.engine import Value


class Foreign:
    """A class that knows nothing of Values."""


# Never a number, and never an operand.
FOREIGN = [
    "1.0",
    "",
    b"1.0",
    bytearray(b"1"),
    None,
    1j,
    [1.0],
    [],
    (1.0,),
    {"data": 1.0},
    {1.0},
    object(),
    Foreign(),
    Foreign,
    len,
    np.complex128(1.0),
    np.str_("1.0"),
    np.datetime64("2026-01-01"),
    np.array("1.0"),
    np.array(1j),
    np.array(None, dtype=object),
]
# Operands they may be, elementwise; data they cannot be.
SHAPED = [
    np.zeros(2),
    np.zeros((2, 3)),
    np.array([]),
    np.zeros((1, 0)),
    np.array([None]),
    np.array(["1.0"]),
    np.array([1j]),
    np.ma.array([1.0]),
    np.ma.array([1.0], mask=[True]),
]
VALUES = [Value(1.0), load_engine("micrograd").Value(1.0)]
HUGE = [10**400, -(10**400)]

OPERATORS = [operator.add, operator.sub, operator.mul, operator.truediv, operator.pow]
NAMED_BINARY = [op.name for op in OPS if op.arity == 2 and op.name in vars(Value)]
NAMED_UNARY = [op.name for op in OPS if op.arity == 1 and op.name in vars(Value)]


def names_type(error, thing):
    """Whether the message names the thing's type, a base of it, or what NumPy makes of it."""
    kinds = list(type(thing).__mro__[:-1]) or [object]
    if isinstance(thing, (np.generic, np.ndarray)) and thing.size == 1:
        kinds.append(type(thing.item()))
    return any(kind.__name__ in str(error.value) for kind in kinds)


def by_type(thing):
    return type(thing).__name__


@pytest.fixture
def graph():
    """A small graph that must come through the test unchanged, as must the number of nodes."""
    x = Value(2.0, label="x")
    y = x * 3
    out = y + x
    out.backward()
    kept = {v: (v.data, v.grad, v._op, v._prev) for v in (x, y, out)}
    nodes = live_nodes()
    gc.disable()  # garbage of earlier tests must not be counted off
    yield x, y, out
    gc.enable()
    assert {v: (v.data, v.grad, v._op, v._prev) for v in (x, y, out)} == kept
    if live_nodes() > nodes:
        gc.collect()  # an exception that pytest caught is in a cycle with its own frame
    assert live_nodes() <= nodes


@pytest.mark.parametrize("op", OPERATORS)
@pytest.mark.parametrize("thing", FOREIGN, ids=by_type)
def test_an_operator_refuses_a_foreign_right_operand(graph, op, thing):
    for v in graph:
        with pytest.raises(TypeError) as error:
            op(v, thing)
        # For sequences it is Python's own message, as for 2.0 * "1.0"; for dates NumPy 1.23's.
        told = names_type(error, thing) or "sequence" in str(error.value)
        assert told or "cannot use operands with types" in str(error.value)


@pytest.mark.parametrize("op", OPERATORS)
@pytest.mark.parametrize("thing", FOREIGN, ids=by_type)
def test_an_operator_refuses_a_foreign_left_operand(graph, op, thing):
    for v in graph:
        with pytest.raises(TypeError) as error:
            op(thing, v)
        assert names_type(error, thing) or "sequence" in str(error.value)


@pytest.mark.parametrize("thing", FOREIGN + HUGE, ids=by_type)
def test_an_in_place_operator_leaves_the_name_bound_as_it_was(graph, thing):
    x, _, _ = graph
    for op in (operator.iadd, operator.isub, operator.imul, operator.itruediv, operator.ipow):
        v = x
        with pytest.raises((TypeError, OverflowError, ZeroDivisionError)):
            v = op(v, thing)
        assert v is x


@pytest.mark.parametrize("op", [operator.add, operator.sub, operator.mul, operator.truediv])
@pytest.mark.parametrize("number", HUGE, ids=["huge", "minus_huge"])
def test_an_operator_overflows_on_a_huge_int(graph, op, number):
    x, _, _ = graph
    for args in [(x, number), (number, x)]:
        with pytest.raises(OverflowError):
            op(*args)


@pytest.mark.parametrize("number", HUGE, ids=["huge", "minus_huge"])
def test_a_huge_int_overflows_as_base_exponent_and_argument(graph, number):
    x, _, _ = graph
    for compute in (lambda: x**number, lambda: number**x):
        with pytest.raises(OverflowError):
            compute()
    for name in NAMED_BINARY:
        with pytest.raises(OverflowError):
            getattr(x, name)(number)


@pytest.mark.parametrize("name", NAMED_BINARY)
@pytest.mark.parametrize("thing", FOREIGN + SHAPED, ids=by_type)
def test_a_method_of_two_refuses_a_foreign_argument(graph, name, thing):
    for v in graph:
        with pytest.raises(TypeError) as error:
            getattr(v, name)(thing)
        assert names_type(error, thing)


def test_the_op_table_has_methods_of_one_and_of_two():
    """The lists above come from the table: they must not run empty."""
    assert {"maximum", "minimum"} <= set(NAMED_BINARY)
    assert {"relu", "exp", "log", "sqrt", "tanh", "sigmoid", "sin", "cos"} <= set(NAMED_UNARY)


@pytest.mark.parametrize("name", [*NAMED_UNARY, "backward", "detach"])
def test_a_method_of_one_takes_no_argument(graph, name):
    for v in graph:
        with pytest.raises(TypeError):
            getattr(v, name)(1.0, 2.0, 3.0)


@pytest.mark.parametrize("name", NAMED_BINARY)
def test_a_method_of_two_takes_one_argument(graph, name):
    x, y, _ = graph
    for args in [(), (1.0, y)]:
        with pytest.raises(TypeError):
            getattr(x, name)(*args)


@pytest.mark.usefixtures("graph")
@pytest.mark.parametrize("thing", FOREIGN + SHAPED + VALUES, ids=by_type)
def test_the_constructor_refuses_what_is_no_number(thing):
    for construct in (lambda: Value(thing), lambda: Value(data=thing, label="x")):
        with pytest.raises(TypeError) as error:
            construct()
        assert names_type(error, thing)


@pytest.mark.parametrize("name", ["data", "grad"])
@pytest.mark.parametrize("thing", FOREIGN + SHAPED + VALUES, ids=by_type)
def test_data_and_grad_refuse_what_is_no_number(graph, name, thing):
    for v in graph:
        with pytest.raises(TypeError) as error:
            setattr(v, name, thing)
        assert names_type(error, thing)


@pytest.mark.parametrize("number", HUGE, ids=["huge", "minus_huge"])
def test_data_and_grad_and_the_constructor_overflow_on_a_huge_int(graph, number):
    for v in graph:
        for store in (
            lambda v=v: setattr(v, "data", number),
            lambda v=v: setattr(v, "grad", number),
        ):
            with pytest.raises(OverflowError):
                store()
    with pytest.raises(OverflowError):
        Value(number)


@pytest.mark.parametrize("name", ["data", "grad"])
def test_data_and_grad_cannot_be_deleted(graph, name):
    for v in graph:
        with pytest.raises((AttributeError, TypeError)):
            delattr(v, name)


@pytest.mark.parametrize("method", ["__add__", "__sub__", "__mul__", "__truediv__", "__pow__"])
def test_a_shaped_array_is_an_operand_elementwise(method):
    v, array = Value(2.0), np.array([[1.0, 2.0], [4.0, 0.5]])
    op = getattr(operator, method)
    for result, expected in [(op(v, array), op(2.0, array)), (op(array, v), op(array, 2.0))]:
        assert result.dtype == object
        assert result.shape == (2, 2)
        assert [u.data for u in result.flat] == expected.ravel().tolist()


@pytest.mark.parametrize(
    "children",
    [
        [1],
        [1.0, 2.0],
        "ab",
        [None],
        [[]],
        [np.float64(1.0)],
        [object()],
        [load_engine("micrograd").Value(1.0)],
        [Value],
    ],
    ids=unplaced,
)
def test_children_that_are_no_values_are_refused(graph, children):
    x, y, _ = graph
    for mixed in (children, [x, *children], [*children, x], [x, y, x, *children, y]):
        with pytest.raises(TypeError) as error:
            Value(1.0, mixed, "op")
        assert names_type(error, children[0])


@pytest.mark.usefixtures("graph")
@pytest.mark.parametrize("children", [5, 1.5, None, object(), Value(1.0)], ids=by_type)
def test_children_that_cannot_be_iterated_are_refused(children):
    with pytest.raises(TypeError):
        Value(1.0, children)


def test_children_that_fail_while_iterated_leave_nothing_behind(graph):
    x, y, _ = graph

    def children():
        yield x
        yield y
        raise RuntimeError("half way")

    with pytest.raises(RuntimeError, match="half way"):
        Value(1.0, children(), "op")


def test_bad_data_with_good_children_leaves_nothing_behind(graph):
    x, y, out = graph
    for data, error in [("1.0", TypeError), (10**400, OverflowError), (None, TypeError)]:
        with pytest.raises(error):
            Value(data, (x, y, out), "op")


@pytest.mark.usefixtures("graph")
def test_the_constructor_needs_data_and_knows_its_keywords():
    for args, names in [((), {}), ((1.0,), {"colour": 1}), ((1.0, (), "", "", 1), {})]:
        with pytest.raises(TypeError):
            Value(*args, **names)


def test_a_subclass_of_float_or_int_is_the_number_it_is(graph):
    class Odd(float):
        def __float__(self):
            raise RuntimeError("float(x) is not asked of a float")

    x, _, _ = graph
    assert Value(Odd(2.5)).data == 2.5
    assert (x + Odd(2.5)).data == (Odd(2.5) + x).data == 4.5
    assert (x * type("Count", (int,), {})(3)).data == 6.0


def test_a_decimal_is_a_number_everywhere_or_nowhere(graph):
    """The contract does not say which; half of each would be the worst."""
    x, _, _ = graph
    third = decimal.Decimal("0.5")
    uses = [
        lambda: Value(third),
        lambda: x + third,
        lambda: third * x,
        lambda: x**third,
        lambda: setattr(Value(1.0), "data", third),
    ]
    assert len({_raises_type_error(use) for use in uses}) == 1


def _raises_type_error(use):
    try:
        use()
    except TypeError:
        return True
    return False


ORDERINGS = [operator.lt, operator.le, operator.gt, operator.ge]


@pytest.mark.parametrize(
    "thing", [t for t in FOREIGN if not isinstance(t, np.ndarray)], ids=by_type
)
def test_ordering_with_a_foreign_type_raises_and_equality_is_false(graph, thing):
    x, _, _ = graph
    assert bool(x == thing) is bool(thing == x) is False
    assert x != thing
    for op in ORDERINGS:
        with pytest.raises(TypeError):
            op(x, thing)
        with pytest.raises(TypeError):
            op(thing, x)


def test_equality_with_a_foreign_type_lets_the_other_side_decide(graph):
    class Agreeable:
        __hash__ = None

        def __eq__(self, other):
            return "mine"

    x, _, _ = graph
    assert x.__eq__(Agreeable()) is NotImplemented
    assert (x == Agreeable()) == "mine"
    assert x.__eq__(2.0) is NotImplemented
    assert (x == 2.0) is False


def test_ordering_compares_data_with_values_and_numbers(graph):
    x, y, _ = graph
    assert x < y
    assert y >= x
    assert x <= 2.0 <= x
    assert 1 < x < np.float64(3.0)
    assert not x > True + 1.5
    assert not x < math.nan
    assert sorted([y, x]) == [x, y]
    assert x < 10**400  # an int compares, however large, as floats do


@pytest.mark.parametrize(
    "use",
    [
        math.exp,
        math.sqrt,
        float,
        int,
        complex,
        len,
        iter,
        list,
        math.trunc,
        operator.index,
        operator.itemgetter(0),
        lambda v: 1.0 in v,
        lambda v: [1, 2, 3][v],
        lambda v: v // 2,
        lambda v: v % 2,
        lambda v: v @ v,
        lambda v: divmod(v, 2),
        lambda v: v << 1,
        lambda v: v & 1,
        lambda v: ~v,
        lambda v: pow(v, 2, 3),
        lambda v: v(1.0),
        "%d".__mod__,
        "%.4f".__mod__,
    ],
)
def test_what_would_leave_the_graph_raises_type_error(graph, use):
    for v in graph:
        with pytest.raises(TypeError):
            use(v)


def test_format_formats_data(graph):
    x, y, out = graph
    assert f"{x:.4f}" == "2.0000"
    assert f"{y:8.2e}|{out:>6}" == "6.00e+00|   8.0"
    assert f"{x}" == str(x) == repr(x)
    with pytest.raises(ValueError):
        format(x, "no such format")


@pytest.mark.parametrize("thing", [None, 5, "f", Value(1.0)], ids=by_type)
def test_a_backward_that_cannot_be_called_is_refused_at_once(graph, thing):
    for v in graph:
        with pytest.raises(TypeError) as error:
            v._backward = thing
        assert names_type(error, thing)


@pytest.mark.parametrize("what", ["data", "grad", "write"])
@pytest.mark.parametrize("n_numbers", [0, 1, 4])
def test_numbers_are_copied_from_and_to_buffers_of_the_right_size_alone(what, n_numbers):
    values = [Value(1.0), Value(2.0)]
    with pytest.raises(ValueError, match="2 float64 numbers"):
        copy_numbers(values, bytearray(8 * n_numbers), what)
    assert [v.data for v in values] == [1.0, 2.0]


def in_ascending_order(x):
    return (x.sqrt() * 3.0).backward


def in_another_order(x):
    freed = [Value(0.0) for _ in range(5000)]
    late = x * 1.0
    del freed
    return (late.sqrt() * 3.0).backward  # its records lie before those of its operands


def with_a_custom_step(x):
    out = x.sqrt() * 3.0
    out._backward = lambda step=out._backward: step()
    return out.backward


def one_step_alone(x):
    root = x.sqrt()
    root.grad = 1.0
    return root._backward


@pytest.mark.parametrize(
    "make", [in_ascending_order, in_another_order, with_a_custom_step, one_step_alone]
)
def test_a_derivative_that_does_not_exist_raises_in_every_walk(make):
    x = Value(0.0)
    backward = make(x)
    with pytest.raises(ZeroDivisionError, match="in the derivative of sqrt"):
        backward()
    assert x.grad == 0.0
    x.data = 4.0


def test_a_power_takes_no_modulus():
    with pytest.raises(TypeError, match="modulus"):
        pow(Value(2.0), 3, 5)
    with pytest.raises(TypeError, match="modulus"):
        Value(2.0).__rpow__(3, 5)


@pytest.mark.parametrize("name", ["__add__", "__radd__", "__mul__", "__rmul__"])
def test_an_array_of_one_value_without_axes_is_that_value(name):
    x, y = Value(2.0), Value(3.0)
    out = getattr(x, name)(np.array(y, dtype=object))
    assert type(out) is Value and out._prev == {x, y}


def test_an_array_of_one_value_without_axes_is_raised_to_a_power_as_that_value():
    x, y = Value(2.0), Value(3.0)
    out = x.__rpow__(np.array(y, dtype=object))
    out.backward()
    assert (out.data, x.grad, y.grad) == (9.0, 9.0 * math.log(3.0), 6.0)


def test_a_neuron_whose_activation_fails_raises_and_leaves_no_node_behind():
    x, w, b = Value(2.0), Value(-3.0), Value(1.0)
    before = live_nodes()
    for name in ("log", "sqrt"):
        with pytest.raises(ValueError, match=name):
            affine([w], [x], b, name)
    assert live_nodes() == before
    assert affine([w], [x], b, "abs").data == 5.0


def test_an_optimizer_does_not_step_inside_a_compiled_function():
    x = Value(2.0)
    optimizer = optim.Adam([x])
    with pytest.raises(RuntimeError, match="step"):
        compile(lambda y: optimizer.step() or x * y)(1.0)
    assert x.data == 2.0


@pytest.mark.parametrize("what", ["data", "grad", "write"])
def test_no_numbers_go_from_and_to_an_empty_buffer(what):
    assert copy_numbers([], bytearray(), what) is None
