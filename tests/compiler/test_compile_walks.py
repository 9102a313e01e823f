"""What results of compiled calls add in a backward() belongs to that one: exceptions, nested and
interleaved walks, steps called by hand, custom steps on what a call read."""

import random
import threading

import numpy as np
import pytest
from programs import reachable

import micrograd_fast as mg
from micrograd_fast.engine import Value


class Mine(Exception):
    """What the steps of these tests raise."""


def two_results(p):
    """Two results of one call, p * x and p * x * x at x = 3, over a hub."""
    return mg.compile(lambda x: [x * p, x * x * p])(3.0)


def above(v, step):
    """A custom node over v whose step runs before v's own."""
    out = Value(v.data, (v,), "above")
    out._backward = lambda: (step(), setattr(v, "grad", v.grad + out.grad))
    return out


def raise_mine():
    raise Mine


def walk_by_hand(root):
    """micrograd's backward(), as many programs spell it out."""
    root.grad = 1.0
    for v in reversed(reachable([root])):
        v._backward()


# ---- exceptions ----


def test_an_exception_between_a_result_and_its_hub_leaves_nothing_behind():
    """The next backward() used to count it again: 6 for 3."""
    p = Value(2.0)
    first, second = two_results(p)
    bad = Value(0.0)
    root = (bad + (second * 0.0)) ** 0.5 + first  # the derivative of a root of 0 does not exist
    for _ in range(3):
        with pytest.raises(ZeroDivisionError):
            root.backward()
    p.grad = first.grad = 0.0
    first.backward()
    assert p.grad == 3.0


@pytest.mark.parametrize("batch", [False, True])
@pytest.mark.parametrize("fails_at", range(6))
def test_wherever_a_walk_ends_the_next_one_is_whole(batch, fails_at):
    p, steps, over = Value(2.0), [], []

    def step():
        steps.append(1)
        if len(steps) == fails_at + 1 and not over:
            raise Mine

    f = mg.compile(lambda x: [x * p, x * x * p], batch=batch)
    g = mg.compile(lambda u, v: u[0] * v + u[1], batch=batch)
    x = np.array([3.0, 1.0]) if batch else 3.0

    def loss():
        u = f(x)
        v = g(u, x) if batch else g(list(u), 2.0)
        parts = [*u.sum(), *u[1], v.sum(), v[0]] if batch else [*u, v]
        return sum((above(q, step) for q in parts), Value(0.0)), parts

    root, parts = loss()
    try:
        root.backward()
    except Mine:
        assert fails_at < len(parts)
    over.append(True)
    twin, _ = loss()
    p.grad = 0.0
    twin.backward()
    expected = p.grad
    p.grad = 0.0
    seen, stack = set(), [root]
    while stack:  # as micrograd's users do: every grad of the graph to zero
        v = stack.pop()
        if v not in seen:
            seen.add(v)
            v.grad = 0.0
            stack += v._prev
    root.backward()
    assert p.grad == pytest.approx(expected, rel=1e-13)


def test_an_array_written_meanwhile_leaves_nothing_behind():
    X = np.ones((600_000, 2))
    p = Value(0.5)
    first, second = mg.compile(lambda x: [x[0] * p, x[1] * p], batch=True)(X)[5]
    X[5, 0] = 7.0
    with pytest.raises(RuntimeError, match="was written"):
        (first + second).backward()
    X[5, 0] = 1.0
    p.grad = first.grad = second.grad = 0.0
    first.backward()
    assert p.grad == 1.0


# ---- by hand ----


def test_a_step_by_hand_passes_on_at_once_and_not_again():
    p = Value(2.0)
    first, second = two_results(p)
    first.grad = 10.0
    first._backward()
    assert p.grad == 30.0
    p.grad = first.grad = 0.0
    second.backward()
    assert p.grad == 9.0  # nothing of first's


def test_a_step_by_hand_of_a_sample_goes_through_the_batch_that_it_was_computed_from():
    p, q = Value(2.0), Value(5.0)
    f = mg.compile(lambda x: x * p, batch=True)
    g = mg.compile(lambda u: u * u * q, batch=True)
    u = f(np.array([1.0, 3.0]))
    v = g(u)[1]
    v.grad = 1.0
    v._backward()
    assert (p.grad, q.grad) == (2 * 6.0 * 5.0 * 3.0, 36.0)
    p.grad = q.grad = 0.0
    u.sum().backward()
    assert (p.grad, q.grad) == (4.0, 0.0)


@pytest.mark.parametrize("batch", [False, True])
def test_a_walk_that_a_program_does_itself_gives_the_same(batch):
    p, w = Value(2.0), Value(0.3)
    f = mg.compile(lambda x, y: [x * p * y, x * x + y], batch=batch)
    g = mg.compile(lambda u: u[0] * u[1] * w, batch=batch)

    def loss():
        y = w * p  # an argument, or captured, that passes gradient on itself
        if batch:
            u = f(np.array([1.0, 2.0, 3.0]), y)
            return (g(u).mean() * u.sum()[1] + u[0][0]) * g(u)[2]
        u = f(1.5, y)
        return g(list(u)) * u[1] + u[0]

    def gradients(backward):
        p.grad = w.grad = 0.0
        backward(loss())
        return p.grad, w.grad

    assert gradients(walk_by_hand) == pytest.approx(gradients(Value.backward), rel=1e-12)


@pytest.mark.parametrize("which", ["results", "hub", "both"])
def test_a_custom_step_may_stand_before_the_step_of_a_call(which):
    p, seen = Value(2.0), []
    first, second = two_results(p)
    (hub,) = first._prev

    def wrap(v):
        own = v._backward
        v._backward = lambda: (seen.append(v), own())

    if which != "hub":
        wrap(first)
        wrap(second)
    if which != "results":
        wrap(hub)
    for _ in range(2):
        p.grad = first.grad = second.grad = 0.0
        (first * 2.0 + second).backward()
        assert p.grad == 2 * 3.0 + 9.0
    assert len(seen) == 2 * {"results": 2, "hub": 1, "both": 3}[which]


# ---- nested, and in threads ----


def test_a_backward_inside_a_custom_step_takes_nothing_from_the_one_around_it():
    p = Value(2.0)
    first, second = two_results(p)
    inner = []

    def step():
        before, p.grad = p.grad, 0.0
        held, second.grad = second.grad, 0.0
        second.backward()
        inner.append(p.grad)
        p.grad, second.grad = before, held

    # first's step has run when the custom one above second does, the hub's has not.
    root = first * 10.0 + above(second * 1.0, step)
    other = above(second * 1.0, step) + first * 10.0
    for r in (root, other):
        p.grad = first.grad = second.grad = 0.0
        for v in r._prev:
            v.grad = 0.0
        r.backward()
        assert inner.pop() == 9.0
    p.grad = first.grad = second.grad = 0.0


def test_a_backward_that_fails_inside_a_custom_step_takes_nothing_along():
    p = Value(2.0)
    first, second = two_results(p)

    def step():
        with pytest.raises(Mine):
            (second + above(first * 1.0, raise_mine)).backward()
        second.grad = 0.0

    top = above(first, step)
    top.backward()
    assert p.grad == 3.0


def test_walks_of_threads_that_take_turns_are_whole(busy_threads):
    """Custom steps let other threads run between a result's step and its hub's."""
    p, errors = Value(2.0), []
    batch = mg.compile(lambda x: [x * p, x * x * p], batch=True)(np.arange(8.0))

    def work(k):
        try:
            for i in range(40):
                first, second = batch[k]
                fails = i % 3 == 2
                loss = above(first, raise_mine if fails else list) + second
                try:
                    loss.backward()
                except Mine:
                    assert fails
        except BaseException as e:
            errors.append(e)

    threads = [threading.Thread(target=work, args=(k,)) for k in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not errors
    n_whole = sum(i % 3 != 2 for i in range(40))
    assert p.grad == sum(n_whole * (k + k * k) for k in range(4))


def test_random_lives_of_results_agree_with_the_eager_graph():
    """Backward, failing or not, by hand, nested, in any order; every grad as if it were eager."""
    rng = random.Random(3)
    p = Value(2.0)
    for _ in range(60):
        xs = [rng.uniform(-2, 2) for _ in range(3)]
        f = mg.compile(lambda x: [x[0] * p, x[1] * p * p, x[2] * x[0] * p])
        results = f(np.array(xs))
        slopes = [xs[0], 2 * xs[1] * 2.0, xs[2] * xs[0]]
        for _ in range(12):
            p.grad = 0.0
            for r in results:
                r.grad = 0.0
            k = rng.randrange(3)
            action = rng.choice(["backward", "by hand", "fails", "two"])
            if action == "backward":
                results[k].backward()
                assert p.grad == pytest.approx(slopes[k], rel=1e-12)
            elif action == "by hand":
                results[k].grad = 3.0
                results[k]._backward()
                assert p.grad == pytest.approx(3 * slopes[k], rel=1e-12)
            elif action == "two":
                (results[k] + results[k - 1]).backward()
                assert p.grad == pytest.approx(slopes[k] + slopes[k - 1], rel=1e-12)
            else:
                with pytest.raises(Mine):
                    (results[k] + above(results[k - 1] * 1.0, raise_mine)).backward()


# ---- a custom step on what a call read ----


@pytest.mark.parametrize("when", ["before the call", "after the call"])
@pytest.mark.parametrize("role", ["captured", "argument", "batch", "several results", "samples"])
def test_a_custom_step_on_a_leaf_runs_after_all_that_add_to_it(role, when):
    """Set between call and backward it used to be ignored."""
    p, q, seen = Value(2.0), Value(0.0), []

    def step():
        seen.append(p.grad)
        q.grad += p.grad

    calls = {
        "captured": lambda: mg.compile(lambda x: x * p)(3.0),
        "argument": lambda: mg.compile(lambda x, v: x * v)(3.0, p),
        "batch": lambda: mg.compile(lambda x: x * p, batch=True)(np.array([1.0, 2.0])).sum(),
        "several results": lambda: mg.compile(lambda x: [x * p, x])(3.0)[0],
        "samples": lambda: mg.compile(lambda x: x * p, batch=True)(np.array([1.0, 3.0]))[1],
    }
    if when == "before the call":
        p._backward = step
    out = calls[role]()
    if when == "after the call":
        p._backward = step
    for swapped in (False, True):
        p.grad = q.grad = out.grad = 0.0
        parts = [p * 10.0, out * 1.0]
        (parts[1] + parts[0] if swapped else parts[0] + parts[1]).backward()
        assert seen.pop() == 13.0 and not seen
        assert (p.grad, q.grad) == (13.0, 13.0)
    p.grad = out.grad = 0.0
    out.backward()
    assert seen == [3.0]


def test_a_leaf_that_the_graph_did_not_read_keeps_its_step_to_itself():
    p, q, seen = Value(2.0), Value(3.0), []
    out = mg.compile(lambda x: x * p)(3.0)
    other = mg.compile(lambda x: x * q)(3.0)
    q._backward = lambda: seen.append(q.grad)
    out.backward()
    assert seen == []
    (out + other).backward()
    assert seen == [3.0]


def test_a_step_set_on_the_leaf_by_another_step_runs_too():
    p, seen = Value(2.0), []
    out = mg.compile(lambda x: x * p)(3.0)
    p._backward = raise_mine
    p._backward = lambda: seen.append(p.grad)
    out.backward()
    assert seen == [3.0]
