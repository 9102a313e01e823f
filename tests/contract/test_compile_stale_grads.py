"""backward() passes on no gradient that stands in an operand of a call which the result it starts
from does not depend on: the graph does not lead there."""

import numpy as np
import pytest

import micrograd_fast as mg

X = np.array([[0.5, -1.0], [2.0, 0.25], [-0.75, 1.5]])


class Operands:
    """What a call reads from an eager graph, with grads from before."""

    def __init__(self):
        self.leaves = [mg.Value(0.3), mg.Value(0.8), mg.Value(-0.4)]
        self.results = [p.tanh() for p in self.leaves]
        for q in self.results:
            q.grad = 7.0

    def left(self):
        """Which leaves got something from the grads of before."""
        found = []
        for p, q in zip(self.leaves, self.results, strict=True):
            own = (q.grad - 7.0) * (1 - q.data**2)
            extra = p.grad - own
            assert p.grad == 0.0 or extra == pytest.approx(7.0 * (1 - q.data**2), rel=1e-12)
            found.append(p.grad != 0.0)
        return found


def one_sample(batch):
    return batch[1]


def a_slice(batch):
    return batch[0:2].sum()


REDUCED = [mg.Batch.sum, mg.Batch.mean, one_sample, a_slice]


@pytest.mark.parametrize("reduced", REDUCED)
@pytest.mark.parametrize("k", range(4))
def test_a_captured_result_is_walked_for_the_results_that_use_it_alone(reduced, k):
    o = Operands()
    a, b, c = o.results
    f = mg.compile(lambda x: [x[0] * a, (x[0] * b).sin() * a, x[1] * 2.0, x[1] + c], batch=True)
    reduced(f(X))[k].backward()
    assert o.left() == [k in (0, 1), k == 1, k == 3]


@pytest.mark.parametrize("k", range(3))
def test_a_value_argument_is_walked_for_the_results_that_use_it_alone(k):
    o = Operands()
    f = mg.compile(lambda u, v, w: (u * v, [v.exp(), w + 1.0]))
    result = f(*o.results)
    [result[0], *result[1]][k].backward()
    assert o.left() == [k == 0, k in (0, 1), k == 2]


@pytest.mark.parametrize("reduced", REDUCED)
@pytest.mark.parametrize("k", range(2))
def test_a_batch_argument_is_walked_by_column(reduced, k):
    o = Operands()
    a, b, c = o.results
    first = mg.compile(lambda x: [x[0] * a, x[1] * b, x[0] + c], batch=True)
    second = mg.compile(lambda y: [y[0] * 2.0, (y[1] * y[1]).exp()], batch=True)
    reduced(second(first(X)))[k].backward()
    assert o.left() == [k == 0, k == 1, False]


def test_a_detached_operand_and_an_index_are_not_walked():
    o = Operands()
    a, b, _ = o.results
    which = mg.Value(0.0) * 1.0
    which.grad = 7.0
    (source,) = [v for v in which._prev if v.data == 0.0]
    f = mg.compile(lambda k: mg.take([a, a * 2.0], k) + b.detach())
    f(which).backward()
    assert o.left() == [True, False, False]
    assert source.grad == 0.0


def test_gradients_of_several_results_in_one_loss_are_complete():
    def terms(x, a, b, c):
        return [x[0] * a, (x[0] * b).sin() * a, x[1] * 2.0, x[1] * c * b]

    def grads(compiled):
        leaves = [mg.Value(0.3), mg.Value(0.8), mg.Value(-0.4)]
        a, b, c = [p.tanh() for p in leaves]
        if compiled:
            first = mg.compile(lambda x: terms(x, a, b, c), batch=True)(X)
            second = mg.compile(lambda y: [y[3] * y[0], y[1] * y[1], y[2]], batch=True)(first)
            loss = sum(first.sum()) + sum(second.mean()) + first[2][1] * second[0][1]
        else:
            first = [terms([mg.Value(v) for v in row], a, b, c) for row in X.tolist()]
            second = [[y[3] * y[0], y[1] * y[1], y[2]] for y in first]
            loss = sum(v for y in first for v in y) + sum(v for y in second for v in y) / len(X)
            loss = loss + first[2][1] * second[0][1]
        loss.backward()
        return [p.grad for p in leaves]

    assert grads(True) == pytest.approx(grads(False), rel=1e-12)


def test_more_operands_than_bits_in_a_word():
    leaves = [mg.Value(0.01 * (k + 1)) for k in range(150)]
    results = [p.tanh() for p in leaves]
    f = mg.compile(lambda x: [x * sum(results[k::3], 0.0) for k in range(3)], batch=True)
    for q in results:
        q.grad = 7.0
    f(np.ones(2)).sum()[1].backward()
    assert [k for k, p in enumerate(leaves) if p.grad != 0.0] == list(range(1, 150, 3))


def test_a_step_that_is_set_later_runs_for_the_results_that_use_the_leaf_alone():
    calls = []
    p, q = mg.Value(0.5), mg.Value(0.25)
    f = mg.compile(lambda x: [x * p, x * q], batch=True)
    early = f(np.ones(2))
    early.sum()[0]
    for v, name in ((p, "p"), (q, "q")):
        v._backward = lambda name=name: calls.append(name)
    early.sum()[0].backward()
    assert calls == ["p"]
    f(np.ones(2)).sum()[1].backward()
    assert calls == ["p", "q"]


@pytest.mark.parametrize("reduced", [mg.Batch.sum, mg.Batch.mean])
def test_a_result_over_no_samples_depends_on_nothing(reduced):
    """As a loop over no samples; and it is computed, so that a graph over it goes on."""
    operands = Operands()
    f = mg.compile(lambda x: x[0] * operands.results[0], batch=True)
    for batch in (f(X[:0]), f(X)[:0], f(X)[[]]):
        loss = reduced(batch) + 2 * operands.leaves[1]
        loss.backward()
    assert [p.grad for p in operands.leaves] == [0.0, 6.0, 0.0]
