"""The optimizers: PyTorch's formulas, state that goes through JSON, errors that change nothing.

The reference is written from the algorithms in PyTorch's documentation (torch.optim.SGD, Adam,
AdamW, RMSprop, Adagrad) in plain Python; where PyTorch is installed, it is compared as well.
"""

import copy
import json
import math
import pickle
from array import array

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from optim_references import reference_path, reference_sgd
from programs import bits

from micrograd_fast import nn
from micrograd_fast._core import Parameters
from micrograd_fast.engine import Value
from micrograd_fast.optim import SGD, Adagrad, Adam, AdamW, Optimizer, RMSprop

N_STEPS = 50
START = [0.5, -1.25, 3.0, 0.0, 1e-3]
OPTIMIZERS = [SGD, Adam, AdamW, RMSprop, Adagrad]

CONFIGS = [
    (SGD, {}),
    (SGD, {"weight_decay": 0.1}),
    (SGD, {"maximize": True}),
    (SGD, {"momentum": 0.9}),
    (SGD, {"momentum": 0.9, "dampening": 0.5}),
    (SGD, {"momentum": 0.9, "dampening": -0.5}),
    (SGD, {"momentum": 0.9, "nesterov": True}),
    (SGD, {"momentum": 0.5, "weight_decay": 0.3, "maximize": True}),
    (SGD, {"momentum": 0.8, "weight_decay": 0.1, "nesterov": True, "maximize": True}),
    (SGD, {"momentum": 1.5}),
    (Adam, {}),
    (Adam, {"betas": (0.5, 0.8)}),
    (Adam, {"betas": (0.0, 0.0)}),
    (Adam, {"eps": 0.1}),
    (Adam, {"weight_decay": 0.1}),
    (Adam, {"amsgrad": True}),
    (Adam, {"maximize": True}),
    (Adam, {"betas": (0.7, 0.9), "weight_decay": 0.2, "amsgrad": True, "maximize": True}),
    (AdamW, {}),
    (AdamW, {"weight_decay": 0.0}),
    (AdamW, {"weight_decay": 0.5, "eps": 1e-3}),
    (AdamW, {"amsgrad": True, "betas": (0.8, 0.9)}),
    (AdamW, {"maximize": True, "weight_decay": 0.2}),
    (RMSprop, {}),
    (RMSprop, {"alpha": 0.5, "weight_decay": 0.1}),
    (RMSprop, {"momentum": 0.9}),
    (RMSprop, {"centered": True, "alpha": 0.9}),
    (RMSprop, {"momentum": 0.5, "centered": True, "weight_decay": 0.2, "maximize": True}),
    (RMSprop, {"eps": 0.1, "alpha": 0.0}),
    (Adagrad, {}),
    (Adagrad, {"lr_decay": 0.1}),
    (Adagrad, {"initial_accumulator_value": 0.5, "weight_decay": 0.1}),
    (Adagrad, {"eps": 0.1, "lr_decay": 0.01, "maximize": True}),
]
EVERY_CONFIG = pytest.mark.parametrize(("kind", "config"), CONFIGS)
EVERY_OPTIMIZER = pytest.mark.parametrize("kind", OPTIMIZERS)


# ---- the reference ----


def our_path(optimizer, grads, rates):
    path = []
    for row, lr in zip(grads, rates, strict=True):
        for p, g in zip(optimizer.params, row, strict=True):
            p.grad = g
        optimizer.lr = lr
        optimizer.step()
        path.append([p.data for p in optimizer.params])
        assert [p.grad for p in optimizer.params] == list(row)
    return path


def torch_path(torch, kind, config, start, grads, rates):
    p = torch.tensor(start, dtype=torch.float64, requires_grad=True)
    optimizer = getattr(torch.optim, kind.__name__)([p], **config)
    path = []
    for row, lr in zip(grads, rates, strict=True):
        p.grad = torch.tensor(row, dtype=torch.float64)
        optimizer.param_groups[0]["lr"] = lr
        optimizer.step()
        path.append(p.tolist())
    return path


def assert_same_path(ours, theirs):
    """To 1e-12 of the largest number on the way: parameters may pass through zero."""
    scale = max(1.0, max(abs(x) for row in theirs for x in row))
    for our_row, row in zip(ours, theirs, strict=True):
        assert our_row == pytest.approx(row, rel=1e-12, abs=1e-13 * scale)


def values(numbers=START):
    return [Value(x) for x in numbers]


@pytest.fixture
def course(rng):
    """Gradients and learning rates for N_STEPS steps; a parameter without gradient included."""
    grads = [[*(rng.gauss(0, 1) for _ in START[1:]), 0.0] for _ in range(N_STEPS)]
    return grads, [0.1 / (1 + t % 7) for t in range(N_STEPS)]


# ---- formulas ----


@EVERY_CONFIG
def test_fifty_steps_follow_the_documented_algorithm(kind, config, course):
    ours = our_path(kind(values(), **config), *course)
    assert_same_path(ours, reference_path(kind, config, START, *course))
    assert ours[0] != ours[-1]


@EVERY_CONFIG
def test_fifty_steps_follow_pytorch(kind, config, course):
    torch = pytest.importorskip("torch")
    ours = our_path(kind(values(), **config), *course)
    assert_same_path(ours, torch_path(torch, kind, config, START, *course))


@EVERY_OPTIMIZER
def test_defaults_are_pytorchs(kind):
    torch = pytest.importorskip("torch")
    theirs = getattr(torch.optim, kind.__name__)([torch.tensor(0.0)]).defaults
    optimizer = kind(values())
    for name in kind.hyperparameters:
        assert getattr(optimizer, name) == theirs[name]


UNIT = st.floats(0.0, 0.99)
COURSES = st.lists(
    st.tuples(st.lists(st.floats(-10, 10), min_size=2, max_size=2), st.floats(0, 0.5)),
    min_size=1,
    max_size=12,
)


@given(COURSES, UNIT, st.floats(-1, 1), UNIT, st.booleans(), st.booleans())
def test_sgd_follows_the_algorithm_for_any_hyperparameters(
    steps, momentum, dampening, weight_decay, nesterov, maximize
):
    config = {"momentum": momentum, "dampening": dampening, "weight_decay": weight_decay}
    config |= {"nesterov": nesterov, "maximize": maximize}
    if nesterov:
        config |= {"momentum": momentum or 0.5, "dampening": 0.0}
    grads, rates = zip(*steps, strict=True)
    ours = our_path(SGD(values([1.0, -2.0]), **config), grads, rates)
    assert_same_path(ours, reference_path(SGD, config, [1.0, -2.0], grads, rates))


@given(
    COURSES,
    st.sampled_from([Adam, AdamW]),
    st.tuples(UNIT, st.floats(0.5, 0.99)),
    st.floats(1e-8, 1.0),
    UNIT,
    st.booleans(),
    st.booleans(),
)
def test_adam_follows_the_algorithm_for_any_hyperparameters(
    steps, kind, betas, eps, weight_decay, amsgrad, maximize
):
    config = {"betas": betas, "eps": eps, "weight_decay": weight_decay}
    config |= {"amsgrad": amsgrad, "maximize": maximize}
    grads, rates = zip(*steps, strict=True)
    ours = our_path(kind(values([1.0, -2.0]), **config), grads, rates)
    assert_same_path(ours, reference_path(kind, config, [1.0, -2.0], grads, rates))


def test_without_a_running_mean_adam_takes_the_gradient_as_it_is():
    optimizer = Adam(values([0.0]), lr=1.0, betas=(0.0, 0.0), eps=1e-8)
    path = our_path(optimizer, [[1.0], [1.1e-8]], [0.0, 1.0])
    assert path[-1] == pytest.approx([-1.1e-8 / 2.1e-8], rel=1e-14, abs=0)


def test_the_first_steps_by_hand():
    (p,) = params = values([1.0])
    p.grad = 4.0
    SGD(params, lr=0.25).step()
    assert p.data == 0.0
    for kind, expected in [(Adam, 0.9), (AdamW, (1 - 0.1 * 1e-2) - 0.1)]:
        (p,) = params = values([1.0])
        p.grad = 4.0
        kind(params, lr=0.1).step()
        assert p.data == pytest.approx(expected, rel=1e-8)


def test_hyperparameters_may_change_between_steps(course):
    grads, rates = course
    optimizer = SGD(values([1.0]), momentum=0.9)
    p, state = 1.0, {}
    for t, (row, lr) in enumerate(zip(grads, rates, strict=True)):
        config = {"momentum": 0.9 - 0.01 * t, "weight_decay": 0.01 * t, "nesterov": t % 3 == 0}
        for name, number in config.items():
            setattr(optimizer, name, number)
        (ours,) = our_path(optimizer, [row[:1]], [lr])
        p = reference_sgd(lr, p, row[0], state, **config)
        assert ours == pytest.approx([p], rel=1e-12, abs=1e-14)


def test_momentum_switched_on_later_starts_with_the_gradient_of_that_step():
    (p,) = params = values([0.0])
    optimizer = SGD(params, lr=1.0, dampening=0.5)
    p.grad = 1.0
    optimizer.step()
    optimizer.momentum = 0.9
    optimizer.step()
    assert p.data == -2.0  # PyTorch's answer as well: no dampening the first time


def test_data_written_between_steps_is_what_the_next_step_changes():
    for kind in OPTIMIZERS:
        (p,) = params = values([1.0])
        optimizer = kind(params, lr=0.5)
        p.grad = 1.0
        optimizer.step()
        p.data = 100.0
        optimizer.step()
        assert 90.0 < p.data < 100.0


@EVERY_OPTIMIZER
def test_a_network_learns(kind):
    model = nn.MLP(2, [4, 1], activation="tanh")
    optimizer = kind(model.parameters(), lr=0.05)
    losses = []
    for _ in range(60):
        loss = sum((model([a, b]) - a) ** 2 for a in (-1, 1) for b in (-1, 1))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        losses.append(loss.data)
    assert losses[-1] < losses[0] / 2


# ---- state ----


def plain(optimizer):
    """The state as text, such that two states are equal to the last bit if the texts are."""
    return json.dumps(optimizer.state_dict(), sort_keys=True)


@EVERY_CONFIG
@pytest.mark.parametrize("done", [0, 1, 17])
def test_a_state_loaded_mid_training_continues_identically(kind, config, done, course):
    grads, rates = course
    first = kind(values(), **config)
    our_path(first, grads[:done], rates[:done])
    second = kind(values([p.data for p in first.params]), lr=123.0)
    second.load_state_dict(json.loads(plain(first)))
    assert plain(second) == plain(first)
    rest = grads[done:], rates[done:]
    for a, b in zip(our_path(first, *rest), our_path(second, *rest), strict=True):
        assert [bits(x) for x in a] == [bits(x) for x in b]
    assert plain(second) == plain(first)


@EVERY_OPTIMIZER
def test_a_state_is_a_copy(kind, course):
    optimizer = kind(values(), lr=0.1)
    our_path(optimizer, *course)
    before, state = plain(optimizer), optimizer.state_dict()
    state["steps"] = 0
    state["hyperparameters"]["lr"] = 5.0
    for numbers in state["buffers"].values():
        numbers[0] = 9.0
    assert plain(optimizer) == before


def spoilt(state, *path, to):
    """The state with one entry replaced; ... removes it."""
    state = copy.deepcopy(state)
    inner = state
    for name in path[:-1]:
        inner = inner[name]
    if to is ...:
        del inner[path[-1]]
    else:
        inner[path[-1]] = to
    return state


WRONG_STATES = {
    "no steps": (("steps",), ..., KeyError),
    "no hyperparameters": (("hyperparameters",), ..., KeyError),
    "no buffers": (("buffers",), ..., KeyError),
    "a hyperparameter missing": (("hyperparameters", "lr"), ..., KeyError),
    "a hyperparameter too many": (("hyperparameters", "speed"), 1.0, KeyError),
    "a buffer unknown": (("buffers", "speed"), [0.0] * 5, KeyError),
    "a buffer too short": (("buffers", "BUFFER"), [0.0] * 4, ValueError),
    "a buffer too long": (("buffers", "BUFFER"), [0.0] * 6, ValueError),
    "a buffer missing": (("buffers", "BUFFER"), ..., KeyError),
    "all buffers missing": (("buffers",), {}, KeyError),
    "a buffer of texts": (("buffers", "BUFFER"), ["0.0"] * 5, TypeError),
    "a buffer of None": (("buffers", "BUFFER"), None, (TypeError, ValueError)),
    "steps negative": (("steps",), -1, ValueError),
    "steps a fraction": (("steps",), 1.5, ValueError),
    "steps a text": (("steps",), "3", ValueError),
    "steps a truth": (("steps",), True, ValueError),
    "lr negative": (("hyperparameters", "lr"), -0.1, ValueError),
    "lr NaN": (("hyperparameters", "lr"), math.nan, ValueError),
    "lr a text": (("hyperparameters", "lr"), "0.1", TypeError),
    "weight decay None": (("hyperparameters", "weight_decay"), None, TypeError),
}


@EVERY_OPTIMIZER
@pytest.mark.parametrize("fault", WRONG_STATES)
def test_a_wrong_state_raises_and_changes_nothing(kind, fault, course):
    path, to, error = WRONG_STATES[fault]
    buffer = kind.buffers[0]
    config = {"momentum": 0.9} if kind is SGD else {}
    optimizer, other = kind(values(), **config), kind(values(), lr=0.3, **config)
    for each, steps in ((optimizer, 10), (other, 20)):
        our_path(each, course[0][:steps], course[1][:steps])
    state = spoilt(other.state_dict(), *(buffer if k == "BUFFER" else k for k in path), to=to)
    before, data = plain(optimizer), [p.data for p in optimizer.params]
    with pytest.raises(error):
        optimizer.load_state_dict(state)
    assert plain(optimizer) == before
    assert [p.data for p in optimizer.params] == data


def test_a_state_of_another_optimizer_or_of_none_is_refused():
    for kind, other in [(SGD, Adam), (Adam, SGD), (AdamW, SGD)]:
        with pytest.raises(KeyError, match="hyperparameters"):
            kind(values()).load_state_dict(other(values()).state_dict())
    for wrong in (None, 5, [], "state"):
        with pytest.raises(TypeError):
            SGD(values()).load_state_dict(wrong)


def test_a_state_with_a_dampening_that_is_no_number_is_refused():
    optimizer = SGD(values(), momentum=0.9)
    with pytest.raises(TypeError, match="str"):
        optimizer.load_state_dict(
            spoilt(optimizer.state_dict(), "hyperparameters", "dampening", to="0.1")
        )


COPIES = {"deepcopy": copy.deepcopy, "pickle": lambda o: pickle.loads(pickle.dumps(o))}


@pytest.mark.parametrize("kind", COPIES)
def test_a_copied_optimizer_steps_the_copied_parameters(kind):
    (p,) = params = values([1.0])
    optimizer = SGD(params, lr=1.0)
    twin = COPIES[kind](optimizer)
    p.grad, twin.params[0].grad = 100.0, 0.25
    twin.step()
    assert (twin.params[0].data, p.data) == (0.75, 1.0)


# ---- parameters ----


def wrong_parameters():
    a, b = Value(1.0), Value(2.0)
    total = a + b
    custom = Value(3.0, (a, b), "mine")
    return {
        "a number": ([a, 1.0], TypeError, r"params\[1\].*'float'"),
        "a text": (["ab", a], TypeError, r"params\[0\].*'str'"),
        "None": ([a, b, None], TypeError, r"params\[2\].*'NoneType'"),
        "a list": ([a, [b]], TypeError, r"params\[1\].*'list'"),
        "a module": ([nn.Neuron(1)], TypeError, r"params\[0\].*'Neuron'"),
        "a NumPy number": ([a, np.float64(1.0)], TypeError, r"params\[1\].*'float64'"),
        "a result": ([a, total], ValueError, r"params\[1\].*'\+'"),
        "a power": ([a**2], ValueError, r"params\[0\].*'\*\*2'"),
        "a custom node": ([a, b, custom], ValueError, r"params\[2\].*'mine'"),
        "a duplicate": ([a, b, a], ValueError, r"params\[2\].*params\[0\]"),
        "nothing": ([], ValueError, "empty"),
        "an empty iterator": (iter([]), ValueError, "empty"),
        "one Value": (a, TypeError, "one Value"),
        "one result": (total, TypeError, "one Value"),
        "a number alone": (5, TypeError, "int"),
        "no parameters at all": (None, TypeError, "NoneType"),
        "a text alone": ("ab", TypeError, r"params\[0\].*'str'"),
    }


@EVERY_OPTIMIZER
@pytest.mark.parametrize("name", wrong_parameters())
def test_wrong_parameters_raise_and_the_position_is_named(kind, name):
    params, error, message = wrong_parameters()[name]
    with pytest.raises(error, match=message):
        kind(params)


@EVERY_OPTIMIZER
def test_parameters_may_be_any_iterable_and_are_kept(kind):
    a, b = Value(1.0), type("Weight", (Value,), {})(2.0)
    a.notes = ["a weight"]
    given_list = [a, b]
    for params in (given_list, (a, b), iter([a, b]), {a: 1, b: 2}, (v for v in given_list)):
        optimizer = kind(params, lr=0.5)
        assert all(p is q for p, q in zip(optimizer.params, [a, b], strict=True))
    optimizer = kind(given_list, lr=0.5)
    given_list.clear()
    optimizer.params.clear()
    assert len(optimizer.params) == 2
    a.grad = b.grad = 1.0
    optimizer.step()
    assert a.data < 1.0
    assert b.data < 2.0
    optimizer.zero_grad()
    assert (a.grad, b.grad) == (0.0, 0.0)


def test_parameters_live_as_long_as_their_optimizer():
    optimizer = SGD(values([1.0, 2.0]), lr=1.0)
    noise = values([5.0] * 100)
    for p in optimizer.params:
        p.grad = 1.0
    optimizer.step()
    assert [p.data for p in optimizer.params] == [0.0, 1.0]
    assert {v.data for v in noise} == {5.0}


def test_the_base_class_has_no_step():
    with pytest.raises(NotImplementedError):
        Optimizer(values()).step()


# ---- hyperparameters ----

WRONG_HYPERPARAMETERS = [
    ({"lr": -0.1}, ValueError, "lr must be in"),
    ({"lr": math.nan}, ValueError, "lr must be in"),
    ({"lr": math.inf}, ValueError, "lr must be in"),
    ({"lr": "0.1"}, TypeError, "'str'"),
    ({"lr": None}, TypeError, "'NoneType'"),
    ({"lr": Value(0.1)}, TypeError, "Value"),
    ({"lr": 1j}, TypeError, "'complex'"),
    ({"lr": np.array([0.1, 0.2])}, TypeError, "'ndarray'"),
    ({"weight_decay": -1e-9}, ValueError, "weight_decay must be in"),
    ({"weight_decay": "x"}, TypeError, "'str'"),
    ({"speed": 1.0}, TypeError, "speed"),
]
WRONG_FOR_SGD = [
    ({"momentum": -0.1}, ValueError, "momentum must be in"),
    ({"momentum": math.nan}, ValueError, "momentum must be in"),
    ({"nesterov": True}, ValueError, "nesterov"),
    ({"nesterov": True, "momentum": 0.9, "dampening": 0.1}, ValueError, "nesterov"),
    ({"betas": (0.9, 0.99)}, TypeError, "betas"),
]
WRONG_FOR_ADAM = [
    ({"betas": (1.0, 0.9)}, ValueError, r"betas\[0\] must be in"),
    ({"betas": (0.9, 1.0)}, ValueError, r"betas\[1\] must be in"),
    ({"betas": (-0.1, 0.9)}, ValueError, r"betas\[0\] must be in"),
    ({"betas": (0.9, math.nan)}, ValueError, r"betas\[1\] must be in"),
    ({"betas": 0.9}, TypeError, "betas must be two numbers"),
    ({"betas": (0.9,)}, ValueError, "betas must be two numbers"),
    ({"betas": ("0.9", 0.9)}, TypeError, "'str'"),
    ({"eps": -1e-8}, ValueError, "eps must be in"),
    ({"momentum": 0.9}, TypeError, "momentum"),
]
WRONG_FOR_RMSPROP = [
    ({"alpha": -0.1}, ValueError, "alpha must be in"),
    ({"momentum": math.inf}, ValueError, "momentum must be in"),
    ({"eps": None}, TypeError, "eps must be a number"),
]
WRONG_FOR_ADAGRAD = [
    ({"lr_decay": -0.1}, ValueError, "lr_decay must be in"),
    ({"initial_accumulator_value": -1.0}, ValueError, "initial_accumulator_value must be in"),
    ({"eps": "0"}, TypeError, "eps must be a number"),
]
WRONG = {
    SGD: WRONG_FOR_SGD,
    Adam: WRONG_FOR_ADAM,
    AdamW: WRONG_FOR_ADAM,
    RMSprop: WRONG_FOR_RMSPROP,
    Adagrad: WRONG_FOR_ADAGRAD,
}


@EVERY_OPTIMIZER
def test_wrong_hyperparameters_raise_and_are_named(kind):
    own = WRONG[kind]
    for config, error, message in WRONG_HYPERPARAMETERS + own:
        with pytest.raises(error, match=message):
            kind(values(), **config)


@pytest.mark.parametrize("dampening", ["0.1", None, Value(0.1)], ids=lambda d: type(d).__name__)
def test_a_dampening_that_is_no_number_raises_at_once(dampening):
    with pytest.raises(TypeError):
        SGD(values(), momentum=0.9, dampening=dampening)


@EVERY_OPTIMIZER
def test_numbers_of_any_kind_are_hyperparameters(kind):
    for lr in (1, np.float32(0.5), np.int64(1), np.float64(0.25), True):
        (p,) = params = values([1.0])
        p.grad = 1.0
        # so that each of them takes the gradient, or its sign, as it is
        own = {"alpha": 0.0} if kind is RMSprop else {}
        kind(params, lr=lr, weight_decay=np.float32(0.0), **own).step()
        assert p.data == pytest.approx(1.0 - float(lr), abs=1e-7)


@EVERY_OPTIMIZER
def test_a_hyperparameter_spoilt_later_raises_in_step_and_changes_no_parameter(kind):
    optimizer = kind(values(), lr=0.1)
    for wrong in ("0.1", None):
        optimizer.lr = wrong
        with pytest.raises(TypeError):
            optimizer.step()
        assert [p.data for p in optimizer.params] == START


def test_buffers_of_another_size_or_type_are_refused_before_anything_is_written():
    params = Parameters(values([1.0, 2.0]))
    for p in params.values:
        p.grad = 1.0
    short, long, single = array("d", [0.0]), array("d", [0.0] * 3), array("f", [0.0, 0.0])
    for wrong in (None, short, long, single):
        with pytest.raises(ValueError, match="2 float64 numbers"):
            params.sgd_step(wrong, None, True, 0.1, 0.9, 0.0, 0.0, False, False)
        for position in range(2 if wrong is None else 3):
            buffers = [array("d", [0.0, 0.0]) for _ in range(3)]
            buffers[position] = wrong
            with pytest.raises(ValueError, match="2 float64 numbers"):
                params.adam_step(*buffers, None, 1, 0.1, 0.9, 0.99, 1e-8, 0.0, False, False)
            assert all(b is wrong or list(b) == [0.0, 0.0] for b in buffers)
    with pytest.raises(TypeError):
        params.sgd_step([0.0, 0.0], None, True, 0.1, 0.9, 0.0, 0.0, False, False)
    assert len(params) == 2
    assert [p.data for p in params.values] == [1.0, 2.0]


@pytest.mark.parametrize("wrong", [b"\0" * 16, bytearray(16), "12"])
def test_buffers_of_a_state_are_lists_of_numbers(wrong):
    optimizer = SGD(values(), momentum=0.9)
    state = optimizer.state_dict()
    state["buffers"]["momentum_buffer"] = wrong
    with pytest.raises(TypeError, match="lists of numbers"):
        optimizer.load_state_dict(state)


def test_repr_is_pytorchs():
    optimizer = SGD([{"params": [Value(1.0)], "lr": 0.5}, {"params": [Value(2.0)]}], lr=0.1)
    assert repr(optimizer).splitlines() == [
        "SGD (",
        "Parameter Group 0",
        "    dampening: 0.0",
        "    lr: 0.5",
        "    maximize: False",
        "    momentum: 0.0",
        "    nesterov: False",
        "    weight_decay: 0.0",
        "Parameter Group 1",
        "    dampening: 0.0",
        "    lr: 0.1",
        *repr(optimizer).splitlines()[4:8],
        ")",
    ]
