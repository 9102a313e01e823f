"""The gradient checker accepts right rules and rejects wrong ones."""

import math

import pytest
from gradcheck import TOLERANCE, assert_gradients, backward_gradient, numeric_gradient

from micrograd_fast.engine import Value


def custom(data, children, rule):
    """A node whose step adds rule(g), one number a child, to the children's grads."""
    out = Value(data, children, "custom")

    def _backward():
        for child, partial in zip(children, rule(out.grad), strict=True):
            child.grad += partial

    out._backward = _backward
    return out


def product(rule):
    """x * y with a derivative of the test's own: rule(x, y, g) gives both shares."""
    return lambda x, y: custom(x.data * y.data, (x, y), lambda g: rule(x.data, y.data, g))


def exponential(rule):
    return lambda x: custom(math.exp(x.data), (x,), lambda g: [rule(x.data, g)])


RIGHT = {
    "product": (product(lambda x, y, g: (y * g, x * g)), [1.5, -0.7]),
    "exponential": (exponential(lambda x, g: math.exp(x) * g), [0.3]),
    "scaled": (lambda x, y: 3 * product(lambda x, y, g: (y * g, x * g))(x, y), [1.5, -0.7]),
    "built in": (lambda x, y: (x * y + x**3).tanh() / y, [0.4, 1.3]),
    "large arguments": (lambda x: x.log() * x, [4e8]),
    "small arguments": (lambda x: x.exp(), [1e-9]),
    "steep": (lambda x: x.exp(), [18.0]),
    "constant": (lambda x: x * 0 + 7, [2.0]),
}

WRONG = {
    "swapped shares": (product(lambda x, y, g: (x * g, y * g)), [1.5, -0.7]),
    "a share forgotten": (product(lambda x, y, g: (y * g, 0.0)), [1.5, -0.7]),
    "the wrong sign": (exponential(lambda x, g: -math.exp(x) * g), [0.3]),
    "twice too large": (exponential(lambda x, g: 2 * math.exp(x) * g), [0.3]),
    "off by a millionth": (exponential(lambda x, g: (1 + 1e-6) * math.exp(x) * g), [0.3]),
    "a derivative of zero": (exponential(lambda x, g: 0.0), [0.3]),
    "not a number": (exponential(lambda x, g: math.nan), [0.3]),
    "infinite": (exponential(lambda x, g: math.inf), [0.3]),
    "upstream ignored": (lambda x: 3 * exponential(lambda x, g: math.exp(x))(x), [0.3]),
    "upstream squared": (lambda x: 3 * exponential(lambda x, g: math.exp(x) * g * g)(x), [0.3]),
    "steep and off": (exponential(lambda x, g: (1 + 1e-6) * math.exp(x) * g), [18.0]),
}


@pytest.mark.parametrize("name", RIGHT)
def test_a_right_rule_is_accepted(name):
    f, xs = RIGHT[name]
    assert_gradients(f, xs)


@pytest.mark.parametrize("name", WRONG)
def test_a_wrong_rule_is_rejected(name):
    f, xs = WRONG[name]
    with pytest.raises(AssertionError, match="argument"):
        assert_gradients(f, xs)


def test_a_step_that_overwrites_instead_of_adding_is_rejected():
    def overwriting(x):
        out = Value(x.data, (x,), "identity")

        def _backward():
            x.grad = out.grad

        out._backward = _backward
        return out

    assert_gradients(overwriting, [2.0])
    with pytest.raises(AssertionError, match="argument 0"):
        assert_gradients(lambda x: x * x + overwriting(x) + overwriting(x), [2.0])


def test_the_message_names_the_argument_that_is_wrong():
    with pytest.raises(AssertionError, match=r"argument 1 of \[1\.5, -0\.7\]: backward gives 9\.0"):
        assert_gradients(product(lambda x, y, g: (y * g, 9.0)), [1.5, -0.7])


def test_a_kink_whose_slopes_do_not_average_to_the_derivative_is_rejected():
    with pytest.raises(AssertionError, match=r"backward gives 0\.0, differences give 0\.5"):
        assert_gradients(lambda x: x.relu(), [0.0])


@pytest.mark.parametrize("degree", range(5))
@pytest.mark.parametrize("x", [0.0, 0.5, -1.75, 3.0])
def test_differences_of_a_polynomial_up_to_the_fourth_degree_are_exact(degree, x):
    exact = degree * x ** (degree - 1) if degree else 0.0
    (slope,) = numeric_gradient(lambda x: x**degree, [x])
    assert slope == pytest.approx(exact, rel=1e-11, abs=1e-11)


def test_differences_of_smooth_functions_are_a_hundred_times_within_the_tolerance():
    cases = [(math.exp, math.exp), (math.sin, math.cos), (math.log, lambda x: 1 / x)]
    for f, derivative in cases:
        for x in (0.3, 1.0, 2.2, 9.0):
            (slope,) = numeric_gradient(f, [x])
            assert abs(slope - derivative(x)) <= TOLERANCE / 100 * max(1.0, abs(derivative(x)))


def test_each_argument_has_its_own_difference():
    xs = [2.0, 3.0, -1.0]
    assert numeric_gradient(lambda x, y, z: x * y + 5 * z, xs) == pytest.approx([3.0, 2.0, 5.0])
    assert backward_gradient(lambda x, y, z: x * y + 5 * z, xs) == [3.0, 2.0, 5.0]
