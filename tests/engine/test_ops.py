"""Every op of the table: value, partials, limits, errors and label. All of it iterates over
`_core.OPS`: a new op needs no test here.
"""

import itertools
import math

import mpmath
import numpy as np
import pytest
import references
from gradcheck import assert_gradients
from programs import bits
from references import OPERATORS, REFERENCES, second_operand, torch_function
from references_mathematics import MATHEMATICS

import micrograd_fast as mg
from micrograd_fast._core import OPS, live_nodes
from micrograd_fast.engine import Value

EVERY_OP = pytest.mark.parametrize("op", OPS, ids=lambda op: op.name)
BINARY = [op for op in OPS if op.kind == "binary"]


def reference(op):
    """What computes op on two floats, or one, without micrograd_fast."""
    return REFERENCES[op.name].python


def n_numbers(op):
    """How many numbers go into the op; the fixed one of a power counts."""
    return 1 if op.kind == "unary" else 2


def apply(op, x, *y):
    return references.apply(op.name, x, *y)


def as_operands(op, numbers):
    """Values, but for the fixed number of a power."""
    return [k if op.kind == "param" and i else Value(k) for i, k in enumerate(numbers)]


def operand_forms(op, numbers):
    """The ways to give these numbers to the op: as Values, and one of two as a number."""
    forms = [as_operands(op, numbers)]
    if op.kind == "binary":
        if op.name != "vpow":
            forms.append([Value(numbers[0]), numbers[1]])
        if op.name in OPERATORS:
            forms.append([numbers[0], Value(numbers[1])])
    return forms


def outcome(compute):
    """The number's bits, or the type of the exception."""
    try:
        number = compute()
    except (ArithmeticError, ValueError) as error:
        return type(error)
    return bits(number.data if isinstance(number, Value) else float(number))


def draws(op, rng, count):
    """Tuples of numbers from the op's domain; two numbers lie apart, maximum has a kink at ties."""
    drawn = []
    while len(drawn) < count:
        numbers = (rng.uniform(op.lo, op.hi),)
        numbers += (second_operand(op, rng),) * (n_numbers(op) - 1)
        if n_numbers(op) == 1 or abs(numbers[0] - numbers[1]) > 0.01:
            drawn.append(numbers)
    return drawn


# ---- value and label ----


@EVERY_OP
def test_the_value_is_what_python_computes(op, rng):
    compute = reference(op)
    near = max(5e-16, REFERENCES[op.name].eager_ulps * 2.0**-52)
    for numbers in draws(op, rng, 200):
        expected = float(compute(*numbers))
        for form in operand_forms(op, numbers):
            assert apply(op, *form).data == pytest.approx(expected, rel=near, abs=0.0), numbers


@EVERY_OP
def test_the_node_has_the_label_and_the_operands(op, rng):
    (numbers,) = draws(op, rng, 1)
    operands = as_operands(op, numbers)
    out = apply(op, *operands)
    assert type(out) is Value
    assert out._op == op.label + (str(numbers[1]) if op.kind == "param" else "")
    assert out._prev == set(operands[: op.arity])
    assert (out.grad, out.label) == (0.0, "")


@pytest.mark.parametrize("k", [2, -1, 2.0, -0.5, 0, True, 10**20, 1e30, math.inf, np.float64(1.5)])
def test_a_power_is_labelled_with_its_exponent(k):
    assert (Value(1.0) ** k)._op == f"**{k}"


def test_ops_of_a_number_and_a_value_have_the_number_as_a_leaf():
    v = Value(0.5)
    for out, number in [(2.0**v, 2.0), (v.maximum(3), 3.0), (v + 4, 4.0), (5 * v, 5.0)]:
        (leaf,) = out._prev - {v}
        assert (leaf.data, leaf._op, leaf._prev) == (number, "", set())


# ---- partials ----


@EVERY_OP
def test_partials_agree_with_numeric_differences(op, rng):
    for numbers in draws(op, rng, 25):
        if op.kind == "param" or REFERENCES[op.name].orders:
            x, k = numbers
            assert_gradients(lambda x, k=k: apply(op, x, k), [x])
        else:
            assert_gradients(lambda *xs: apply(op, *xs), numbers)


@EVERY_OP
def test_partials_are_the_references(op, rng):
    for numbers in draws(op, rng, 25):
        operands = as_operands(op, numbers)
        out = apply(op, *operands)
        out.backward()
        ours = [v.grad for v in operands[: op.arity]]
        xs = np.array([*numbers, out.data])
        theirs = [slope(*xs) for slope in REFERENCES[op.name].slopes]
        assert ours == pytest.approx([float(d) for d in theirs], rel=1e-12, abs=0.0)
        exact = [d(*map(mpmath.mpf, numbers)) for d in REFERENCES[op.name].exact_slopes]
        assert ours == pytest.approx([float(d) for d in exact[: op.arity]], rel=1e-12, abs=0.0)


@pytest.mark.parametrize(
    "op", [op for op in BINARY if not REFERENCES[op.name].orders], ids=lambda op: op.name
)
def test_one_node_as_both_operands_gets_both_partials(op, rng):
    for x, _ in draws(op, rng, 10):
        assert_gradients(lambda v: apply(op, v, v), [x])


@EVERY_OP
def test_a_local_step_adds_the_partial_times_the_nodes_gradient(op, rng):
    for numbers in draws(op, rng, 10):
        operands = as_operands(op, numbers)
        out = apply(op, *operands)
        out.backward()
        partials = [v.grad for v in operands[: op.arity]]
        out.grad = 3.0
        out._backward()
        assert [v.grad for v in operands[: op.arity]] == [d + d * 3.0 for d in partials]
        assert out.grad == 3.0


def torch_gradients(torch, op, numbers):
    """PyTorch's value and gradients, in float64."""
    tensors = [torch.tensor(x, dtype=torch.float64, requires_grad=True) for x in numbers]
    z = torch_function(op.name)(*tensors)
    z.backward()
    return z.item(), [t.grad.item() for t in tensors[: op.arity]]


def torch_with(op):
    """PyTorch, where it has the op with a derivative."""
    torch = pytest.importorskip("torch")
    if op.is_choice and op.name not in ("relu", "maximum", "minimum"):
        pytest.skip("no derivative there")
    if torch_function(op.name) is None:
        pytest.skip("no such function there")
    return torch


@EVERY_OP
def test_values_and_partials_agree_with_pytorch(op, rng):
    torch = torch_with(op)
    near = 1e-9 if op.name == "digamma" else 1e-13  # its trigamma has ten digits
    for numbers in draws(op, rng, 25):
        operands = as_operands(op, numbers)
        out = apply(op, *operands)
        out.backward()
        z, grads = torch_gradients(torch, op, numbers)
        assert out.data == pytest.approx(z, rel=1e-14, abs=0.0)
        assert [v.grad for v in operands[: op.arity]] == pytest.approx(grads, rel=near, abs=1e-15)


# ---- limits ----

# Zeros, ordinary numbers, the ends of exp's range, squares that over- and underflow, the largest,
# the smallest normal, subnormals, and what is no number.
ORDINARY = [0.0, -0.0, 1.0, -1.0, 0.5, -2.5, 3.0, math.pi]
LARGE = [709.0, 711.0, -720.0, -746.0, 1e16, 1e155, -1e155, 1e300, -1e300, 1.7e308]
SMALL = [1e-155, -1e-155, 2e-308, 1e-310, -1e-310, 5e-324, -5e-324]
SPECIAL = [*ORDINARY, *LARGE, *SMALL, math.nan, math.inf, -math.inf]

# NumPy does not say which of two zeros is the larger: it depends on the machine.
UNSIGNED_ZERO = ("maximum", "minimum")


def limit_cases(op):
    return itertools.product(SPECIAL, repeat=n_numbers(op))


def python_outcome(op, numbers):
    with np.errstate(all="ignore"):
        return outcome(lambda: reference(op)(*numbers))


def acceptable(op, numbers):
    """The outcomes of which one is right."""
    expected = python_outcome(op, numbers)
    if op.name in UNSIGNED_ZERO and numbers[0] == numbers[1] == 0.0:
        return {bits(0.0), bits(-0.0)}
    ulps = REFERENCES[op.name].eager_ulps
    if ulps and not isinstance(expected, type):
        with np.errstate(all="ignore"):
            near = [float(reference(op)(*numbers))]
        for _ in range(ulps):
            near += [math.nextafter(z, side) for z in near for side in (-math.inf, math.inf)]
        return set(map(bits, near))
    return {expected}


@EVERY_OP
def test_limits_give_the_number_or_the_exception_that_python_gives(op):
    for numbers in limit_cases(op):
        expected = acceptable(op, numbers)
        for form in operand_forms(op, numbers):
            got = outcome(lambda form=form: apply(op, *form))
            assert got in expected, (numbers, form, got, expected)


def test_the_limits_reach_the_errors_that_ops_have():
    """The comparison above must have seen errors where there are any, or it compares nothing."""
    power = {ZeroDivisionError, ValueError, OverflowError}
    errors = {"pow": power, "vpow": power, "exp": {OverflowError}, "log": {ValueError}}
    errors |= {"sqrt": {ValueError}, "sin": {ValueError}, "cos": {ValueError}, "tanh": set()}
    for op in OPS:
        if op.name in errors:
            seen = {python_outcome(op, numbers) for numbers in limit_cases(op)}
            assert {kind for kind in seen if isinstance(kind, type)} == errors[op.name]


@pytest.mark.usefixtures("gc_off")
def test_an_op_that_fails_adds_no_node():
    for op in OPS:
        for numbers in limit_cases(op):
            if isinstance(python_outcome(op, numbers), type):
                operands = as_operands(op, numbers)
                before = live_nodes()
                outcome(lambda op=op, operands=operands: apply(op, *operands))
                assert live_nodes() == before, (op, numbers)


def backward_outcome(op, numbers):
    """The operands' gradients, or the type of the error of either pass."""
    operands = as_operands(op, numbers)
    try:
        apply(op, *operands).backward()
    except (ArithmeticError, ValueError) as error:
        return type(error)
    return [v.grad for v in operands[: op.arity]]


def is_named_difference(op, numbers):
    """Where micrograd decides: relu's derivative asks whether z > 0, which a NaN is not; and abs,
    which micrograd lacks, does the same."""
    return op.name in ("relu", "abs") and numbers[0] != numbers[0]


@pytest.mark.parametrize(
    "op", [op for op in OPS if op.name not in MATHEMATICS], ids=lambda op: op.name
)
def test_gradients_at_the_limits_are_pytorchs(op):
    """Of the others PyTorch's overflow where these do not, and are less exact: mpmath judges."""
    torch = torch_with(op)
    compared = 0
    for numbers in limit_cases(op):
        ours = backward_outcome(op, numbers)
        if isinstance(ours, type) or is_named_difference(op, numbers):
            continue
        _, theirs = torch_gradients(torch, op, numbers)
        assert ours == pytest.approx(theirs, rel=1e-13, abs=1e-307, nan_ok=True), numbers
        compared += 1
    assert compared >= 10


def test_relu_and_abs_of_nan_have_derivative_zero():
    for op in OPS:
        if op.name in ("relu", "abs"):
            assert backward_outcome(op, [math.nan]) == [0.0]


# ---- backward's own errors ----


def after(build, x, **rewritten):
    """The error type and gradients when the graph of build(Value(x)) runs backward."""
    v = Value(x)
    out = build(v)
    v.data = rewritten.get("data", v.data)
    v.grad = 7.0
    try:
        out.backward()
    except (ArithmeticError, ValueError) as error:
        assert "derivative" in str(error)
        assert v.grad == 7.0
        return type(error)
    return v.grad - 7.0


def test_a_root_at_zero_has_no_derivative():
    for zero in (0.0, -0.0):
        assert after(lambda v: v**0.5, zero) is ZeroDivisionError
        assert after(lambda v: v ** Value(0.5), zero) is ZeroDivisionError
        assert after(lambda v: v**0.999, zero) is ZeroDivisionError
        assert after(lambda v: v.sqrt(), zero) is ZeroDivisionError


def test_a_power_at_zero_with_a_derivative_has_it():
    for zero in (0.0, -0.0):
        for k, slope in [(1, 1.0), (1.0, 1.0), (2, 0.0), (1.5, 0.0), (7, 0.0), (math.inf, 0.0)]:
            if k != math.inf:
                assert after(lambda v, k=k: v**k, zero) == slope
                assert after(lambda v, k=k: v ** Value(k), zero) == slope


@pytest.mark.parametrize("k", [2, 2.0, -1, 3, -2, 0.5])
def test_a_power_is_pythons_to_the_last_bit(k, rng):
    bases = [rng.uniform(-3.0, 3.0) for _ in range(20_000)]
    bases += [math.ldexp(rng.uniform(-1.0, 1.0), rng.randrange(-300, 300)) for _ in range(5_000)]
    for root in (1.0, 2.0, math.sqrt(2.0), 1.5, 1e-100, 1e100, 4e-155, 1e153):
        for sign in (1.0, -1.0):
            x = sign * root
            for _ in range(300):  # beside a power of two the distance between doubles changes
                bases.append(x)
                x = math.nextafter(x, math.inf * rng.choice((1, -1)))
    for x in bases:
        if k != 0.5 or x >= 0.0:
            try:
                expected = x**k
            except OverflowError:
                with pytest.raises(OverflowError):
                    Value(x) ** k
            else:
                assert bits((Value(x) ** k).data) == bits(expected), x


@pytest.mark.parametrize("k", [0, 0.0, -0.0, False, np.float64(0.0)])
@pytest.mark.parametrize("x", [0.0, -0.0, 1.5, -2.0, math.inf, math.nan])
def test_the_power_zero_has_derivative_zero_everywhere(k, x):
    assert after(lambda v: v**k, x) == 0.0
    assert after(lambda v: v ** Value(k), x) == 0.0
    assert (Value(x) ** k).data == 1.0


def test_the_exponents_derivative_at_base_zero_is_zero():
    for exponent in (0.0, 1.0, 2.5):
        x, y = Value(0.0), Value(exponent)
        if exponent == 0.0 or exponent >= 1.0:
            (x**y).backward()
            assert y.grad == 0.0
    k = Value(2.0)
    (0**k).backward()
    assert k.grad == 0.0


def test_data_rewritten_out_of_the_domain_raises_in_backward():
    cases = [
        (lambda v: v.log(), 1.0, 0.0, ZeroDivisionError),
        (lambda v: v.log(), 1.0, -0.0, ZeroDivisionError),
        (lambda v: v**-1, 1.0, 0.0, ZeroDivisionError),
        (lambda v: 1 / v, 1.0, 0.0, ZeroDivisionError),
        (lambda v: v**-1, 1.0, 1e-200, OverflowError),
        (lambda v: v**3, 1.0, 1e200, OverflowError),
        (lambda v: v**0.5, 1.0, -1.0, ValueError),
        (lambda v: v ** Value(1.5), 1.0, -1.0, ValueError),
    ]
    for build, x, data, error in cases:
        assert after(build, x, data=data) is error


def test_data_rewritten_within_the_domain_is_what_the_derivative_is_taken_at():
    cases = [
        (lambda v: v.log(), 1.0, -4.0, -0.25),
        (lambda v: v**-1, 1.0, 2.0, -0.25),
        (lambda v: v**2, 1.0, 3.0, 6.0),
        (lambda v: v.sin(), 1.0, 0.0, 1.0),
        (lambda v: v.exp(), 0.0, 5.0, 1.0),  # by the result, which was not rewritten
        (lambda v: v.relu(), 1.0, -5.0, 1.0),  # likewise, as in micrograd
    ]
    for build, x, data, slope in cases:
        assert after(build, x, data=data) == slope


def test_an_error_in_backward_leaves_a_graph_that_works():
    x, y = Value(0.0), Value(4.0)
    out = x.sqrt() + y.sqrt()
    for _ in range(2):
        with pytest.raises(ZeroDivisionError):
            out.backward()
    x.data = 1.0
    for v in (*out._prev, x, y):
        v.grad = 0.0
    (root_of_y,) = (v for v in out._prev if y in v._prev)
    root_of_y.grad = 1.0
    root_of_y._backward()
    assert (x.grad, y.grad) == (0.0, 0.25)


# ---- kinks ----


@pytest.mark.parametrize("zero", [0.0, -0.0])
def test_relu_and_abs_have_derivative_zero_at_zero(zero):
    assert after(lambda v: v.relu(), zero) == 0.0
    assert after(abs, zero) == after(lambda v: v.abs(), zero) == 0.0


def test_relu_and_abs_beside_zero():
    for x in (5e-324, 1e-300, 1.0, math.inf):
        assert after(lambda v: v.relu(), x) == after(abs, x) == 1.0
        assert after(lambda v: v.relu(), -x) == 0.0
        assert after(abs, -x) == -1.0


@pytest.mark.parametrize("name", ["maximum", "minimum"])
def test_ties_of_maximum_and_minimum_share_evenly(name):
    for a, b in [(1.5, 1.5), (0.0, -0.0), (-0.0, 0.0), (math.inf, math.inf)]:
        x, y = Value(a), Value(b)
        (getattr(x, name)(y) * 6).backward()
        assert (x.grad, y.grad) == (3.0, 3.0)
    x = Value(1.5)
    getattr(x, name)(x).backward()
    assert x.grad == 1.0
    x = Value(1.5)
    getattr(x, name)(1.5).backward()
    assert x.grad == 0.5


def test_maximum_and_minimum_give_the_gradient_to_the_operand_they_chose():
    for name, chosen in [("maximum", (0.0, 1.0)), ("minimum", (1.0, 0.0))]:
        x, y = Value(-1.0), Value(2.0)
        getattr(x, name)(y).backward()
        assert (x.grad, y.grad) == chosen
        x, y = Value(-1.0), Value(2.0)
        getattr(y, name)(x).backward()
        assert (x.grad, y.grad) == chosen


def test_a_nan_on_either_side_of_maximum_and_minimum_is_the_result():
    for name in ("maximum", "minimum"):
        for a, b in [(math.nan, 1.0), (1.0, math.nan), (math.nan, math.nan), (math.inf, math.nan)]:
            assert math.isnan(getattr(Value(a), name)(Value(b)).data)
            assert math.isnan(getattr(Value(a), name)(b).data)


@pytest.mark.parametrize("base", [0.0, -0.0, 0, False, np.float64(0.0), np.array(0.0)])
def test_a_number_to_a_power_asks_for_no_gradient_of_the_number(base):
    y = Value(0.5)
    out = base**y
    out.backward()
    assert (out.data, y.grad) == (0.0, 0.0)
    (number,) = out._prev - {y}
    assert math.isinf(number.grad)  # what IEEE says, for those who look
    out.grad = 2.0
    out._backward()  # the local step asks for as little
    assert y.grad == 0.0


def test_a_base_that_somebody_holds_has_a_derivative_that_may_fail():
    base, y = Value(0.0), Value(0.5)
    out = base**y
    del base  # it is still a Value of the graph, as in micrograd
    with pytest.raises(ZeroDivisionError):
        out.backward()
    assert y.grad == 0.0


def test_every_op_with_a_number_on_the_left_runs_backward():
    for op in BINARY:
        for number, x in itertools.product([0.0, -0.0, 1.0, math.inf], [0.5, 1.0, 2.0]):
            if op.name in OPERATORS:
                v = Value(x)
                apply(op, number, v).backward()
                assert not math.isnan(v.grad) or math.isinf(number)


# ---- partials over the whole range of exponents ----


@pytest.mark.parametrize("x", [1.5e154, -3e155, 1e160, -1e-150, 1e-154, 1e-155])
def test_a_reciprocals_derivative_does_not_overflow_in_between(x):
    with np.errstate(all="ignore"):
        expected = float(-1 / np.longdouble(x) ** 2)
    if math.isinf(expected):
        assert after(lambda v: v**-1, x) is OverflowError
        return
    for k in (-1, -1.0):
        v = Value(x)
        (v**k).backward()
        assert v.grad == pytest.approx(expected, rel=1e-15, abs=5e-324)
    v = Value(x)
    (1 / v).backward()
    assert v.grad == pytest.approx(expected, rel=1e-15, abs=5e-324)


def test_partials_of_powers_do_not_leave_the_range_in_between():
    cases = [
        (lambda x: x**1e-20, 5e-324, 1e-20 / 5e-324),  # 1/x alone overflows
        (lambda x: x ** Value(1e-20), 5e-324, 1e-20 / 5e-324),
    ]
    for build, x, _ in cases:
        assert after(build, x) is OverflowError  # as micrograd's x**(k - 1) does
    y = 6.6e18
    x = 1.0 - 2.0**-53
    expected = y * math.exp((y - 1) * math.log1p(-(2.0**-53)) + 50) * math.exp(-50)
    v = Value(x)
    (v**y).backward()  # x**(y-1) alone is below the normal numbers and has lost digits
    assert v.grad == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("form", [lambda x, y: x**y, lambda x, y: mg.compile(lambda v: v**y)(x)])
def test_the_slope_of_a_power_with_an_infinite_exponent_is_the_formulas(form):
    for x, y in itertools.product((0.0, 0.5, 1.0, 2.0, math.inf), (math.inf, -math.inf)):
        base = Value(x)
        try:
            form(base, y).backward()
        except ZeroDivisionError:  # where micrograd raises
            continue
        with np.errstate(all="ignore"):
            expected = y * np.float64(x) ** (y - 1)
        assert base.grad == pytest.approx(expected, nan_ok=True), (x, y)
