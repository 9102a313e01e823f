"""zero_grad(set_to_none=True): what backward() does not come to is left out of steps and clipping.

The numbers are PyTorch's for a grad of None, as in test_optim_groups.py. Which leaves are reached
is asked by a step of SGD that only decays: it changes those that have a gradient.
"""

import math
import pickle

import numpy as np
import pytest
from test_optim_groups import OF_FROZEN, grad, is_frozen, near, values

import micrograd_fast as mg
from micrograd_fast import Value, _core, nn
from micrograd_fast.optim import SGD


def reached(leaves):
    """Which of the leaves have a gradient, by their places."""
    before = [p.data for p in leaves]
    for p in leaves:
        p.data = 1.0
    SGD(leaves, lr=0.5, weight_decay=0.5).step()
    changed = [k for k, p in enumerate(leaves) if p.data != 1.0]
    assert all(leaves[k].data == 1.0 - 0.5 * (leaves[k].grad + 0.5) for k in changed)
    for p, x in zip(leaves, before, strict=True):
        p.data = x
    return changed


def afresh(n, number=2.0):
    """n leaves that have no gradient."""
    leaves = [Value(number) for _ in range(n)]
    SGD(leaves).zero_grad(set_to_none=True)
    assert [math.copysign(1.0, p.grad) for p in leaves] == [1.0] * n  # it shows as 0.0
    assert reached(leaves) == []
    return leaves


def by_backward(p, g):
    (p * g).backward()


def by_hand(p, g):
    out = p * g
    out.grad = 1.0
    out._backward()


def by_setting(p, g):
    p.grad = g


def by_setting_through_setattr(p, g):
    Value.grad.__set__(p, g)


@mg.compile
def times(p, g):
    return p * g


def by_a_call(p, g):
    times(p, g).backward()


WAYS = [by_backward, by_hand, by_setting, by_setting_through_setattr, by_a_call]


@pytest.mark.parametrize("arrives", WAYS)
@pytest.mark.parametrize(("kind", "config", "expected"), OF_FROZEN)
def test_what_is_not_reached_is_left_out_as_pytorch_leaves_out_none(
    kind, config, expected, arrives
):
    params = values()
    optimizer = kind(params, **config)
    for t in range(20):
        optimizer.zero_grad(set_to_none=True)
        for k, p in enumerate(params):
            if not is_frozen(t, k):
                arrives(p, grad(t, k))
        optimizer.step()
    assert [p.data for p in params] == near(expected)


def test_a_gradient_of_zero_is_one_unless_it_was_set_to_none():
    a, b = params = [Value(1.0), Value(1.0)]
    optimizer = SGD(params, lr=0.5, weight_decay=0.5)
    optimizer.step()  # new ones have a gradient of 0, as in micrograd
    assert a.data == b.data == 0.75
    optimizer.zero_grad()
    optimizer.step()
    assert a.data == b.data == 0.5625
    optimizer.zero_grad(set_to_none=True)
    optimizer.step()
    assert a.data == b.data == 0.5625
    a.grad = 0.0
    optimizer.step()
    assert (a.data, b.data) == (0.421875, 0.5625)
    optimizer.zero_grad(set_to_none=True)
    optimizer.zero_grad(set_to_none=False)
    optimizer.step()
    assert b.data == 0.421875


class Pair(nn.Module):
    def __init__(self):
        self.a, self.b = Value(1.0), Value(1.0)


def test_modules_set_to_none_as_optimizers_do():
    pair = Pair()
    pair.zero_grad(set_to_none=True)
    (pair.a * 3.0).backward()
    assert reached(pair.parameters()) == [0]
    pair.zero_grad()
    assert reached(pair.parameters()) == [0, 1]


# ---- what backward() comes to ----


def custom(a, b):
    out = Value(a.data * b.data, (a, b), "mine")

    def step():
        a.grad += b.data * out.grad
        b.grad += a.data * out.grad

    out._backward = step
    return out


GRAPHS = {
    "one op": (lambda a, b, c: a * b, [0, 1]),
    "a shared one": (lambda a, b, c: a * a + a, [0]),
    "by detach": (lambda a, b, c: a * b.detach(), [0]),
    "a dead relu": (lambda a, b, c: (-a * b).relu(), [0, 1]),
    "adjoints of -0.0": (lambda a, b, c: -((-a * b).relu()), [0, 1]),
    "the arm that is not taken": (lambda a, b, c: mg.where(a > 9.0, b, c), [2]),
    "the largest": (lambda a, b, c: mg.maximum(a, b, c), [0, 1, 2]),
    "a sum": (lambda a, b, c: sum([a, b, 1.0]), [0, 1]),
    "local gradients": (lambda a, b, c: Value(6.0, (a, b, c), (1.0, -0.0, 0.0)), [0, 1, 2]),
    "a step in Python": (lambda a, b, c: custom(a, c) * 2.0, [0, 2]),
    "a power": (lambda a, b, c: a**2 + 2.0**b, [0, 1]),
}


@pytest.mark.parametrize("name", GRAPHS)
@pytest.mark.parametrize("is_old", [False, True])
def test_which_leaves_a_graph_reaches(name, is_old):
    graph, expected = GRAPHS[name]
    leaves = afresh(3)
    if is_old:  # ids that do not ascend: the other walk
        holes = [Value(0.0) for _ in range(40)]
        del holes[::2]
        leaves = afresh(3)
        del holes
    graph(*leaves).backward()
    assert reached(leaves) == expected


@pytest.mark.parametrize("name", ["one op", "a shared one", "local gradients", "a step in Python"])
def test_which_leaves_steps_by_hand_reach(name):
    graph, expected = GRAPHS[name]
    leaves = afresh(3, -2.0)
    out = graph(*leaves)
    out.grad = 0.0  # times -2.0 it is -0.0
    todo, seen = [out], set()
    while todo:
        v = todo.pop()
        if v not in seen:
            seen.add(v)
            v._backward()
            todo += v._prev
    assert reached(leaves) == expected


def test_looking_at_a_graph_reaches_nothing():
    a, b = leaves = afresh(2)
    loss = (a * b).tanh()
    mg.gradients(loss, leaves)
    repr(loss), a.grad, pickle.dumps(a)
    with mg.no_grad():
        a * b
    assert reached(leaves) == []
    assert reached([pickle.loads(pickle.dumps(p)) for p in leaves]) == []


def test_a_leaf_alone_is_reached():
    (a,) = afresh(1)
    a.backward()
    assert reached([a]) == [0]


# ---- compiled ----


def calls(w, v):
    """Names of calls that read w[0] and w[1], and what gives the loss of one. v: a leaf, given."""
    a, b, _ = w
    x = np.array([[1.0], [0.0], [3.0]])
    one = mg.compile(lambda p: (a * p).relu() + b)
    rows = mg.compile(lambda x: (a * x[0]).tanh() * b, batch=True)
    two = mg.compile(lambda x: [a * x[0], b * x[0]], batch=True)
    few = mg.compile(lambda p: [a * p, b * a, p * b])
    apart = mg.compile(lambda p, q: [a * p, b * q])
    ahead = mg.compile(lambda y: y[0] * b - a, batch=True)
    return {
        "a number": lambda: one(v),
        "a number times 0": lambda: one(v) * 0.0,
        "a mean": lambda: rows(x).mean(),
        "a mean times 0": lambda: rows(x).mean() * 0.0,
        "a mean times -0.0": lambda: rows(x).mean() * -0.0,
        "a sample": lambda: rows(x)[1],
        "samples times 0": lambda: sum(r * 0.0 for r in rows(x)),
        "two results": lambda: two(x)[0][0] + two(x)[0][1],
        "few results": lambda: sum(few(v)),
        "few results times 0": lambda: sum(few(v)) * 0.0,
        "a number each": lambda: sum(apart(v * 1.0, v + 1.0)),
        "a number each times 0": lambda: sum(apart(v * 1.0, v + 1.0)) * 0.0,
        "of a call": lambda: ahead(two(x)).mean(),
    }


NAMES = list(calls(values([1.0, 2.0, 3.0]), Value(1.0)))


@pytest.mark.parametrize("name", NAMES)
def test_a_call_reaches_what_it_reads(name):
    *w, v = leaves = afresh(4)
    loss = calls(w, v)[name]()
    assert reached(leaves) == []
    loss.backward()
    given = [3] if name.startswith(("a number", "few")) else []
    assert reached(leaves) == [0, 1, *given]


def summed(layer, x):
    return sum(y.relu() for y in layer(x))


@pytest.mark.parametrize("scale", [1.0, 0.0, -1.0])
@pytest.mark.parametrize("input", [1.0, 0.0, 200.0])
def test_weights_whose_gradients_are_put_off_are_reached(scale, input):
    _core._set_least_put_off(1)
    try:
        layer = nn.Linear(40, 40)
        f = mg.compile(lambda x: mg.where(x[0] < 100.0, summed(layer, x), x[0]), batch=True)
        layer.zero_grad(set_to_none=True)
        loss = f(np.full((5, 40), input)).mean() * scale
        assert reached(layer.parameters()) == []
        loss.backward()
        assert reached(layer.parameters()) == list(range(40 * 41))
    finally:
        _core._set_least_put_off()


def test_values_without_a_graph_reach_nothing():
    leaves = afresh(2)
    f = mg.compile(lambda x: leaves[0] * x + leaves[1])
    f.value_and_grad(2.0, params=leaves)
    f.values(2.0)
    assert reached(leaves) == []


def test_pages_reach_nothing():
    a, b = leaves = afresh(2)
    optimizer = SGD(leaves, lr=0.1)
    mg.viz.backprop(a * b, optimizer=optimizer)
    mg.viz.backprop(a * b, lr=0.1, accumulate=True)
    mg.viz.backprop(a)
    assert reached(leaves) == []
    a.grad = 3.0
    mg.viz.backprop(a * b)
    assert (a.grad, reached(leaves)) == (3.0, [0])


def test_steps_of_sgd_are_counted_as_those_of_others():
    a, b = [Value(1.0), Value(1.0)]
    optimizer = SGD([a, b], lr=0.1, momentum=0.9)
    for _ in range(3):
        a.grad = b.grad = 1.0
        optimizer.step()
    optimizer.zero_grad(set_to_none=True)
    a.grad = 1.0
    optimizer.step()
    assert optimizer.state_dict()["buffers"]["steps"] == [4.0, 3.0]


# ---- what else passes over gradients ----


@pytest.mark.parametrize("order", [2.0, 1.0, 0.0, math.inf, -math.inf])
def test_norms_and_limits_leave_out_what_has_none(order):
    a, b = afresh(2)
    a.grad = 3.0
    expected = 1.0 if order == 0.0 else 3.0
    assert nn.utils.clip_grad_norm_([a, b], 1.0, order) == expected
    assert reached([a, b]) == [0]
    nn.utils.clip_grad_value_([a, b], 0.1)
    assert reached([a, b]) == [0]
    a.grad = math.nan
    nn.utils.clip_grad_norm_([a, b], 1.0)
    assert math.isnan(a.grad)
    assert reached([b]) == []


def test_a_step_of_nothing_changes_nothing():
    leaves = afresh(3)
    optimizer = SGD(leaves, lr=0.5, momentum=0.9, weight_decay=0.1)
    optimizer.step()
    assert [p.data for p in leaves] == [2.0, 2.0, 2.0]
