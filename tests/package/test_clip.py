"""clip_grad_norm_ and clip_grad_value_: the numbers that PyTorch 2.13 gave, and what is refused."""

import math

import pytest

from micrograd_fast import Value, nn
from micrograd_fast.nn.utils import clip_grad_norm_, clip_grad_value_

GRADS = [
    0.4817790927085965, -0.3833116530402475, -1.7638508139259799, 3.387718852110203, 0.0,
    -3.814387966274173,
]  # fmt: skip
# By order: the norm, and the first grad after it was clipped to 1.
OF_PYTORCH = {
    1.0: (9.8310483780592, 0.04900586643210484),
    2.0: (5.432900071740231, 0.08867805364883558),
    3.0: (4.642100289907699, 0.10378470063891602),
    0.5: (41.40853928616312, 0.01163477604810874),
    math.inf: (3.814387966274173, 0.12630570635778388),
    -math.inf: (0.0, 0.4817790927085965),
    0.0: (5.0, 0.09635579927055944),
}


def parameters(grads=GRADS):
    values = [Value(1.0) for _ in grads]
    for p, g in zip(values, grads, strict=True):
        p.grad = g
    return values


def grads_of(values):
    return [p.grad for p in values]


@pytest.mark.parametrize("order", OF_PYTORCH)
def test_the_norm_and_the_clipped_grads_are_pytorch_s(order):
    norm, first = OF_PYTORCH[order]
    values = parameters()
    assert clip_grad_norm_(iter(values), 100.0, norm_type=order) == pytest.approx(norm, rel=1e-13)
    assert grads_of(values) == GRADS
    found = clip_grad_norm_(values, 1, order)
    assert type(found) is float and found == pytest.approx(norm, rel=1e-13)
    factor = first / GRADS[0]
    assert grads_of(values) == pytest.approx([g * factor for g in GRADS], rel=1e-13)


def test_the_norm_of_many_keeps_its_digits():
    values = parameters([1e8, *[1.0] * 30_000])
    assert clip_grad_norm_(values, math.inf, 1) == 1e8 + 30_000
    values = parameters([0.1] * 100_000)
    assert clip_grad_norm_(values, math.inf) == pytest.approx(0.1 * math.sqrt(100_000), rel=1e-15)


def test_inf_is_a_name_one_value_is_a_list_and_none_has_the_norm_0():
    assert clip_grad_norm_(parameters(), 100.0, "inf") == 3.814387966274173
    (p,) = parameters([-4.0])
    assert clip_grad_norm_(p, 1.0) == 4.0
    assert p.grad == pytest.approx(-1.0, rel=1e-6)
    clip_grad_value_(p, 0.25)
    assert p.grad == -0.25
    assert clip_grad_norm_([], 1.0) == 0.0
    clip_grad_value_([], 1.0)


@pytest.mark.parametrize("bad", [math.nan, math.inf, -math.inf])
def test_a_norm_that_is_not_finite(bad):
    values = parameters([1.0, bad])
    with pytest.raises(RuntimeError, match=r"the norm of order 2\.0 of the gradients is"):
        clip_grad_norm_(values, 1.0, error_if_nonfinite=True)
    assert values[0].grad == 1.0
    for order in (1.0, 2.0, 3.0, math.inf):
        assert not math.isfinite(clip_grad_norm_(parameters([1.0, bad, 2.0]), 1.0, order))
    clip_grad_norm_(values, 1.0)  # as in PyTorch
    assert math.isnan(values[1].grad)
    assert math.isnan(values[0].grad) if math.isnan(bad) else values[0].grad == 0.0


def test_values_are_clipped_on_both_sides():
    values = parameters([3.0, -3.0, 1.0, -0.0, math.inf, math.nan])
    assert clip_grad_value_(values, 2) is None
    assert grads_of(values)[:5] == [2.0, -2.0, 1.0, 0.0, 2.0]
    assert math.isnan(values[5].grad)


def test_frozen_parameters_are_left_out():
    a, b = values = parameters([3.0, 4.0])
    b.requires_grad = False
    assert clip_grad_norm_(values, 1.5) == 3.0
    assert a.grad == pytest.approx(1.5, rel=1e-6)
    clip_grad_value_(values, 1.0)
    assert grads_of(values) == [1.0, 4.0]


class Knob:
    def __init__(self, grad):
        self.grad = grad


def test_what_acts_like_a_parameter_is_one():
    values = [*parameters([3.0]), Knob(4), Knob(None)]
    assert clip_grad_norm_(values, 1.0) == 5.0
    assert grads_of(values) == [pytest.approx(0.6, rel=1e-6), pytest.approx(0.8, rel=1e-6), None]


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda p: clip_grad_norm_(p, -1.0), ValueError, "max_norm must be 0 or more, not -1.0"),
        (lambda p: clip_grad_norm_(p, math.nan), ValueError, "max_norm must be"),
        (lambda p: clip_grad_norm_(p, "1"), TypeError, "max_norm must be a number, not 'str'"),
        (lambda p: clip_grad_norm_(p, 1.0, math.nan), ValueError, "norm_type must be the order"),
        (lambda p: clip_grad_norm_(p, 1.0, "two"), TypeError, "norm_type must be a number"),
        (lambda p: clip_grad_value_(p, -1.0), ValueError, "clip_value must be 0 or more"),
        (lambda p: clip_grad_value_(p, None), TypeError, "clip_value must be a number"),
        (lambda p: clip_grad_norm_([*p, 1.0], 1.0), AttributeError, "grad"),
        (lambda p: clip_grad_norm_([*p, Knob("x")], 1.0), TypeError, "grad must be a number"),
        (lambda p: clip_grad_value_([*p, Knob("x")], 1.0), TypeError, "grad must be a number"),
        (lambda p: clip_grad_value_(5, 1.0), TypeError, "int"),
    ],
)
def test_mistakes_are_named_and_change_nothing(call, error, message):
    values = parameters()
    with pytest.raises(error, match=message):
        call(values)
    assert grads_of(values) == GRADS


def test_a_model_trains_with_clipped_gradients():
    model = nn.MLP(2, [3, 1], activation="linear")
    model([100.0, -100.0]).backward()
    before = clip_grad_norm_(model.parameters(), 1.0)
    assert before > 1.0
    assert clip_grad_norm_(model.parameters(), 1.0) == pytest.approx(1.0, rel=1e-6)
