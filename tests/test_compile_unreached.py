"""What backward does not reach passes nothing on: 0 * inf is not nan there."""

import numpy as np
import pytest

import micrograd_fast as mg
from micrograd_fast import Value


@pytest.mark.parametrize("batch", [False, True])
def test_a_result_that_nobody_uses_passes_nothing_on(batch):
    p = Value(0.0)
    f = mg.compile(lambda x: [x * p, p.sqrt() * x], batch=batch)
    out = f(np.array([3.0])).sum() if batch else f(3.0)
    out[0].backward()
    assert p.grad == 3.0


@pytest.mark.parametrize("batch", [False, True])
def test_a_choice_that_is_not_taken_passes_nothing_on(batch):
    p = Value(0.0)
    f = mg.compile(lambda k, x: mg.take([p.sqrt() * x, p * x], k), batch=batch)
    out = f(np.array([1, 1]), np.array([3.0, 4.0])).sum() if batch else f(np.int64(1), 7.0)
    out.backward()
    assert p.grad == 7.0


def test_lanes_that_take_different_choices_do_not_poison_each_other():
    a = Value(2.0)
    f = mg.compile(lambda k, x: mg.take([(x * a).log(), x * a], k), batch=True)
    f(np.array([0, 1]), np.array([1.0, 0.0])).sum().backward()
    assert a.grad == 0.5  # 1/a from the first; x = 0 from the second, not 0 * (1 / 0)


def test_one_sample_s_result_that_is_not_reached_passes_nothing_on():
    p = Value(0.0)
    batch = mg.compile(lambda x: [x * p, p.sqrt() * x], batch=True)(np.array([3.0, 4.0]))
    (batch[0][0] + batch[1][0]).backward()
    assert p.grad == 7.0
