"""Optimizers between steps: incomplete states, steps that raise, numbers set out of range."""

import json
import math

import pytest

from micrograd_fast._core import Parameters
from micrograd_fast.engine import Value
from micrograd_fast.optim import SGD, Adagrad, Adam, AdamW, RMSprop

EVERY_OPTIMIZER = pytest.mark.parametrize("kind", [SGD, Adam, AdamW, RMSprop, Adagrad])


def values(data=(0.5, -1.25, 3.0)):
    return [Value(x) for x in data]


@pytest.mark.parametrize(
    ("buffers", "message"),
    [
        ({"exp_avg": [0.0]}, "exp_avg_sq"),
        ({"exp_avg_sq": [0.0]}, "exp_avg"),
        ({"exp_avg": [0.0], "exp_avg_sq": [0.0]}, "max_exp_avg_sq"),
        ({"exp_avg": [], "exp_avg_sq": [0.0], "max_exp_avg_sq": [0.0]}, "empty after 3 steps"),
        ({"exp_avg": [0.0], "exp_avg_sq": [-1.0], "max_exp_avg_sq": [0.0]}, "not negative"),
    ],
)
def test_an_incomplete_or_impossible_state_of_adam_is_refused(buffers, message):
    optimizer = Adam(values([1.0]), amsgrad=True)
    state = {**optimizer.state_dict(), "steps": 3, "buffers": buffers}
    with pytest.raises((KeyError, ValueError), match=message):
        optimizer.load_state_dict(state)
    assert optimizer.state_dict()["steps"] == 0


@pytest.mark.parametrize(
    ("kind", "buffers", "message"),
    [
        (RMSprop, {"grad_avg": [0.0], "momentum_buffer": [0.0]}, "square_avg"),
        (RMSprop, {"square_avg": [0.0], "momentum_buffer": [0.0]}, "grad_avg"),
        (RMSprop, {"square_avg": [0.0], "grad_avg": [0.0]}, "momentum_buffer"),
        (Adagrad, {}, "sum"),
        (Adagrad, {"sum": []}, "empty after 3 steps"),
        (Adagrad, {"sum": [-1.0]}, "not negative"),
    ],
)
def test_an_incomplete_or_impossible_state_is_refused(kind, buffers, message):
    config = {"centered": True, "momentum": 0.5} if kind is RMSprop else {}
    optimizer = kind(values([1.0]), **config)
    state = {**optimizer.state_dict(), "steps": 3, "buffers": buffers}
    with pytest.raises((KeyError, ValueError), match=message):
        optimizer.load_state_dict(state)
    assert optimizer.state_dict()["steps"] == 0


@pytest.mark.parametrize("name", ["square_avg", "grad_avg"])
@pytest.mark.parametrize("numbers", [[], [-1.0]])
def test_means_of_rmsprop_may_be_negative_where_they_are_no_squares(name, numbers):
    optimizer = RMSprop(values([1.0]), centered=True)
    buffers = {"square_avg": [1.0], "grad_avg": [0.5], name: numbers}
    state = {**optimizer.state_dict(), "steps": 3, "buffers": buffers}
    if name == "grad_avg":
        optimizer.load_state_dict(state)
    else:
        with pytest.raises(ValueError, match=r"empty after 3 steps|not negative"):
            optimizer.load_state_dict(state)


def test_a_variance_that_rounding_makes_negative_is_0():
    """After thousands of equal gradients PyTorch's step would be nan, now and then."""
    (p,) = params = values([0.0])
    optimizer = RMSprop(params, lr=0.0, alpha=0.5, centered=True)
    for g in (0.1, 0.3, 0.7, 1.1):
        for _ in range(100):
            p.grad = g
            optimizer.step()
            assert p.data == 0.0


def test_a_state_between_switching_momentum_on_and_the_next_step_goes_on_alike():
    def stepped(again):
        (p,) = params = values([1.0])
        optimizer = SGD(params, lr=0.1)
        for k in range(4):
            p.grad = k + 1.0
            if k == 2:
                optimizer.momentum, optimizer.dampening = 0.9, 0.5
                if again:
                    state = json.loads(json.dumps(optimizer.state_dict()))
                    optimizer = SGD(params)
                    optimizer.load_state_dict(state)
            optimizer.step()
        return p.data

    assert stepped(True) == stepped(False)


def test_a_first_step_that_raises_does_not_start_the_momentum():
    def stepped(fails):
        (p,) = params = values([1.0])
        p.grad = 1.0
        optimizer = SGD(params, lr=0.1, momentum=0.9, dampening=0.5)
        if fails:
            optimizer.lr = "0.1"
            with pytest.raises(TypeError, match="lr must be a number, not 'str'"):
                optimizer.step()
            optimizer.lr = 0.1
        optimizer.step()
        return p.data

    assert stepped(True) == stepped(False)


def test_the_largest_square_of_amsgrad_keeps_a_nan_as_pytorch_s_does():
    (p,) = params = values([1.0])
    optimizer = Adam(params, amsgrad=True)
    for grad in (1.0, math.nan, 1.0):
        p.grad = grad
        optimizer.step()
    assert math.isnan(optimizer.state_dict()["buffers"]["max_exp_avg_sq"][0])
    assert math.isnan(p.data)


@EVERY_OPTIMIZER
@pytest.mark.parametrize("lr", [math.inf, math.nan, -1.0])
def test_a_hyperparameter_set_out_of_range_raises_as_the_constructor_does(kind, lr):
    optimizer = kind(values())
    optimizer.step()
    optimizer.lr = lr
    with pytest.raises(ValueError, match="lr must be in"):
        optimizer.step()
    if kind in (Adam, AdamW):
        optimizer = kind(values(), betas=[0.9, 0.999])
        optimizer.step()
        optimizer.betas[0] = 1.0
        with pytest.raises(ValueError, match=r"betas\[0\] must be in"):
            optimizer.step()


def test_parameters_that_compare_and_hash_as_they_like():
    class Odd(Value):
        def __eq__(self, other):
            return True

        def __hash__(self):
            raise AssertionError("nobody asks")

    a, b = Odd(1.0), Odd(2.0)
    assert len(Parameters([a, b])) == 2
    with pytest.raises(ValueError, match=r"params\[1\] is the same Value as params\[0\]"):
        Parameters([a, a])


@pytest.mark.parametrize(
    "make",
    [
        lambda p: SGD(p, lr=0.1, momentum=0.9),
        lambda p: SGD(p, lr=0.1, momentum=0.9, nesterov=True),
        lambda p: Adam(p, lr=0.1),
        lambda p: Adam(p, lr=0.1, amsgrad=True),
        lambda p: RMSprop(p, lr=0.1, momentum=0.5, centered=True),
        lambda p: Adagrad(p, lr=0.1),
    ],
)
def test_without_decay_an_infinite_parameter_stays_what_it_is(make):
    """Zero times infinity would be nan, in the parameter and in what the optimizer keeps."""
    p = Value(math.inf)
    optimizer = make([p])
    for _ in range(2):
        p.grad = 1.0
        optimizer.step()
        assert p.data == math.inf
    p.data = 3.0
    optimizer.step()
    assert p.data < 3.0
