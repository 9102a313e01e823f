"""`__init__` called again on what is made: it takes the new arguments whole, or changes nothing."""

import gc

import pytest

from micrograd_fast import _core, nn, optim
from micrograd_fast.engine import Value

BAD = [
    [],
    [5],
    Value(1.0),
    None,
    [Value(1.0), "x"],
    [Value(1.0) + 1],
    (Value(float(k)) for k in (1, "x")),
]


def twice():
    v = Value(1.0)
    return [v, v]


@pytest.mark.parametrize("bad", [*BAD, twice()], ids=lambda bad: type(bad).__name__)
def test_parameters_that_fail_to_be_made_again_keep_what_they_had(bad):
    values = [Value(float(k)) for k in range(3)]
    params = _core.Parameters(values)
    del values
    with pytest.raises((TypeError, ValueError)):
        params.__init__(bad)
    strangers = [Value(10.0) for _ in range(20)]  # they would take the records of freed nodes
    for v in params.values:
        v.grad = 1.0
    params.sgd_step(None, False, 0.5, 0.0, 0.0, 0.0, False, False)
    assert [v.data for v in params.values] == [-0.5, 0.5, 1.5]
    params.zero_grad()
    assert [v.grad for v in params.values] == [0.0] * 3
    assert {v.data for v in strangers} == {10.0}
    assert len(params) == 3


def test_parameters_made_again_are_the_new_ones():
    old, new = [Value(1.0), Value(2.0)], [Value(3.0)]
    params = _core.Parameters(old)
    params.__init__(new)
    new[0].grad = old[0].grad = 1.0
    params.sgd_step(None, False, 0.5, 0.0, 0.0, 0.0, False, False)
    assert (new[0].data, old[0].data) == (2.5, 1.0)
    params.zero_grad()
    assert (new[0].grad, old[0].grad) == (0.0, 1.0)


@pytest.mark.parametrize("kind", [optim.SGD, optim.Adam, optim.AdamW])
def test_an_optimizer_that_fails_to_be_made_again_steps_its_own_parameters(kind):
    p = Value(1.0)
    opt = kind([p], lr=0.5)
    with pytest.raises((TypeError, ValueError)):
        opt.__init__([Value(2.0), 5], lr=0.5)
    gc.collect()
    strangers = [Value(10.0) for _ in range(20)]
    p.grad = 1.0
    opt.step()
    assert p.data < 1.0
    assert {v.data for v in strangers} == {10.0}


def test_parameters_without_values_step_nothing():
    params = _core.Parameters.__new__(_core.Parameters)
    assert (params.values, len(params)) == ((), 0)
    with _core.NoGrad():
        params.zero_grad()
        params.sgd_step(None, False, 0.5, 0.0, 0.0, 0.0, False, False)


def plan():
    neuron = nn.Neuron(1)
    trace = _core.Trace()
    with trace:
        x = trace.input()
        program, captured = trace.program([x * 2 + neuron([x])])
    return _core.Plan(program, captured, ["lane"]), program, captured


def test_a_plan_is_made_once():
    made, program, captured = plan()
    listing, facts = made.listing(), made.describe()
    with pytest.raises(TypeError, match="once"):
        made.__init__(program, captured, ["uniform"])
    assert (made.listing(), made.describe()) == (listing, facts)


def test_a_specialization_is_made_once():
    made, _, _ = plan()
    arguments = (made, (("number",),), (), False, None)
    special = _core.Specialization(*arguments)
    with pytest.raises(TypeError, match="once"):
        special.__init__(*arguments)


def test_a_specialization_of_a_plan_whose_list_was_changed_is_refused():
    made, _, _ = plan()
    made.captured.clear()
    with pytest.raises(ValueError, match="captured"):
        _core.Specialization(made, (("number",),), (), False, None)


@pytest.mark.parametrize("bad", [("x",), (None,), (1.0, [5]), (1.0, (), 5), ()], ids=repr)
def test_a_value_that_fails_to_be_made_again_is_as_it_was(bad):
    v = Value(2.0, label="v")
    v.grad = 1.0
    with pytest.raises(TypeError):
        v.__init__(*bad)
    assert (v.data, v.grad, v.label, v._op, v._prev) == (2.0, 1.0, "v", "", set())
    v.__init__(5.0)
    assert (v.data, v.grad, v.label) == (5.0, 0.0, "v")
