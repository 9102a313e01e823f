"""`__init__` called again on what is made: it takes the new arguments whole, or changes nothing."""

import gc

import pytest

import micrograd_fast as mg
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
    params.sgd_step(None, None, False, 0.5, 0.0, 0.0, 0.0, False, False)
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
    params.sgd_step(None, None, False, 0.5, 0.0, 0.0, 0.0, False, False)
    assert (new[0].data, old[0].data) == (2.5, 1.0)
    params.zero_grad()
    assert (new[0].grad, old[0].grad) == (0.0, 1.0)


@pytest.mark.parametrize("kind", [optim.SGD, optim.Adam, optim.AdamW, optim.RMSprop])
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
    with _core.Mode():
        params.zero_grad()
        params.sgd_step(None, None, False, 0.5, 0.0, 0.0, 0.0, False, False)


NUMBER = _core.NumberKind()
NUMBER_ALONE = _core.Signature((NUMBER,))


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
    arguments = (_core.Signature((_core.ArrayKind(),), (), True), made)
    special = _core.Specialization(*arguments)
    with pytest.raises(TypeError, match="once"):
        special.__init__(*arguments)


def test_a_plan_that_was_never_made_is_empty_and_serves_no_calls():
    made, program, _ = plan()
    empty, failed = _core.Plan.__new__(_core.Plan), _core.Plan.__new__(_core.Plan)
    with pytest.raises(ValueError, match="captured"):
        failed.__init__(program, [], ["lane"])
    for nothing in (empty, failed):
        assert nothing._parts()["steps"] == []
        assert (nothing.listing(), nothing.describe()["lane steps"]) == ("", 0)
        with pytest.raises(ValueError, match="not made"):
            _core.Specialization(NUMBER_ALONE, nothing)
    assert len(made._parts()["steps"]) > 0


@pytest.mark.parametrize("failing", range(40))
def test_a_plan_that_could_not_be_finished_serves_no_calls(failing):
    _, program, captured = plan()
    made = _core.Plan.__new__(_core.Plan)
    _core._set_limits(fail_after=failing)
    try:
        made.__init__(program, captured, ["lane"])
    except MemoryError:
        failed = True
    else:
        failed = False
    finally:
        _core._set_limits()
    if not failed:
        assert failing > 5
        return
    made._parts(), made.listing(), made.describe()
    if made.program is not None:  # else it was not begun
        with pytest.raises(TypeError, match="once"):
            made.__init__(program, captured, ["lane"])
    with pytest.raises(ValueError, match="not made"):
        _core.Specialization(NUMBER_ALONE, made)


@pytest.mark.parametrize(
    "kinds",
    [
        (),
        (NUMBER, NUMBER),
        (_core.ListKind((NUMBER, NUMBER)),),
        (_core.DictKind((NUMBER, NUMBER), ("a", "b")),),
        (_core.StaticKind(1),),
        (_core.ArrayKind((2,)),),
        (_core.BatchKind((2,)),),
    ],
    ids=repr,
)
@pytest.mark.parametrize("batch", [False, True])
def test_a_signature_of_another_plan_is_refused(kinds, batch):
    """Calls would write the numbers of their arguments past the end of a block."""
    made, program, captured = plan()
    if not batch:
        made = _core.Plan(program, captured, ["uniform"])
    good = _core.Signature((_core.ArrayKind() if batch else NUMBER,), (), batch)
    special = _core.Specialization(good, made)
    assert _core._numbers(special, (), {}) is None
    if not batch:
        assert _core._numbers(special, (1.0,), {}) is not None
        with pytest.raises(TypeError, match="Value"):
            _core._numbers(special, (1.0,), {}, [5], gradient=True)
    for args, kwargs in ((kinds, ()), ((), tuple([(f"w{k}", x) for k, x in enumerate(kinds)]))):
        with pytest.raises(ValueError, match=r"other inputs|another kind|takes a Batch"):
            _core.Specialization(_core.Signature(args, kwargs, batch), made)


@pytest.mark.parametrize(
    ("made", "error"),
    [
        (lambda: _core.Signature((None,)), TypeError),
        (lambda: _core.Signature((("number",),)), TypeError),
        (lambda: _core.Signature([NUMBER]), TypeError),
        (lambda: _core.Signature((_core.Kind(),)), TypeError),
        (lambda: _core.Signature((_core.NestedKind(),)), TypeError),
        (lambda: _core.Signature((), (NUMBER,)), TypeError),
        (lambda: _core.Signature((), ((1, NUMBER),)), TypeError),
        (lambda: _core.Signature((), (("x", None),)), TypeError),
        (lambda: _core.Signature((), (("x", NUMBER, 5),)), ValueError),
        (lambda: _core.ListKind([NUMBER]), TypeError),
        (lambda: _core.TupleKind((NUMBER, ())), TypeError),
        (lambda: _core.DictKind((NUMBER,), ()), ValueError),
        (lambda: _core.ArrayKind(1), TypeError),
        (lambda: _core.ArrayKind((2, "x")), TypeError),
        (lambda: _core.ArrayKind((-1,)), ValueError),
        (lambda: _core.Signature((_core.ArrayKind((2**40, 2**40)),)), MemoryError),
        (lambda: _core.Signature((_core.BatchKind(()),)), ValueError),
    ],
)
def test_what_is_no_kind_or_signature_is_refused(made, error):
    with pytest.raises(error):
        made()


def test_kinds_are_compared_by_all_that_a_trace_depends_on():
    different = [
        NUMBER,
        _core.ValueKind(),
        _core.ValueKind(type("Sub", (Value,), {})),
        _core.StaticKind(1),
        _core.StaticKind(True),
        _core.StaticKind(),
        _core.ClassKind(int),
        _core.ArrayKind(),
        _core.ArrayKind((), True),
        _core.ArrayKind((1,)),
        _core.BatchKind(),
        _core.ListKind((NUMBER,)),
        _core.TupleKind((NUMBER,)),
        _core.DictKind((NUMBER,), ("x",)),
        _core.DictKind((NUMBER,), ("y",)),
        _core.ListKind((_core.ValueKind(),)),
    ]
    assert len(set(different)) == len(different)
    assert [k for k, a in enumerate(different) for b in different[:k] if a == b] == []
    signatures = [_core.Signature((kind,), (), True) for kind in different]
    signatures += [_core.Signature((), (("x", NUMBER),)), NUMBER_ALONE]
    assert len(set(signatures)) == len(signatures)
    assert _core.Signature((_core.ListKind((NUMBER,)),)) == _core.Signature(
        (_core.ListKind((_core.NumberKind(),)),)
    )


def test_numbers_are_no_rows_and_rows_no_numbers():
    lane, program, captured = plan()
    uniform = _core.Plan(program, captured, ["uniform"])
    for wrong, kind, batch in ((lane, NUMBER, True), (uniform, _core.ArrayKind(), True)):
        with pytest.raises(ValueError, match="input 0 of the plan is of another kind"):
            _core.Specialization(_core.Signature((kind,), (), batch), wrong)


def doubled(self, x):
    return self.w * x


def tripled(self, x):
    return self.w * x * 3


@pytest.mark.parametrize("slots", [False, True])
def test_a_compiled_function_is_made_once(slots):
    """What an object keeps of the first function would serve the calls of the second."""

    class Model:
        if slots:
            __slots__ = ("w",)
        method = mg.compile(doubled)

        def __init__(self):
            self.w = Value(2.0)

    model = Model()
    assert model.method(5.0).data == 10.0
    bound = model.method
    for made in (Model.__dict__["method"], bound):
        for bad in ((tripled, False), (tripled, True, True), (5, False)):
            with pytest.raises(TypeError):
                made.__init__(*bad)
        with pytest.raises(TypeError, match="once"):
            made.__setstate__((tripled, {"_batch": True}))
    assert model.method(5.0).data == bound(5.0).data == 10.0
    assert Model().method(5.0).data == 10.0
    assert bound.__name__ == "doubled"
    assert bound.cache_info().currsize == 1
    empty = type(bound).__new__(type(bound))
    for attribute in (empty.cache_info, empty.cache_clear, empty._read, empty):
        try:
            attribute()
        except (TypeError, AttributeError):
            continue
    empty.__init__(lambda x: x * 2, False)
    assert empty(5.0).data == 10.0


def test_a_specialization_of_a_plan_whose_list_was_changed_is_refused():
    made, _, _ = plan()
    made.captured.clear()
    with pytest.raises(ValueError, match="captured"):
        _core.Specialization(_core.Signature((_core.ArrayKind(),), (), True), made)


@pytest.mark.parametrize("bad", [("x",), (None,), (1.0, [5]), (1.0, (), 5), ()], ids=repr)
def test_a_value_that_fails_to_be_made_again_is_as_it_was(bad):
    v = Value(2.0, label="v")
    v.grad = 1.0
    with pytest.raises(TypeError):
        v.__init__(*bad)
    assert (v.data, v.grad, v.label, v._op, v._prev) == (2.0, 1.0, "v", "", set())
    v.__init__(5.0)
    assert (v.data, v.grad, v.label) == (5.0, 0.0, "v")
