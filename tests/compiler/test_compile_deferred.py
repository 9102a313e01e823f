"""Gradients of large matrices that are computed when they are passed on (src/call/deferred.pxi).

helpers/cases.py does the same to every network of the property tests, with matrices of any size.
"""

import gc

import numpy as np
import pytest

import micrograd_fast as mg
from micrograd_fast import Value, _core, functional, nn

N_INPUTS, N_UNITS, N_SAMPLES = 130, 127, 6  # 16,510 weights, some more than have to be
X = np.random.default_rng(0).normal(size=(N_SAMPLES, N_INPUTS))


def puts_off(compiled, *args):
    return any(step.deferred for step in compiled.program(*args).steps())


def layer_in_a_row(X, n_units):
    """A layer whose weights have consecutive ids: those that earlier tests left may not be."""
    others = []
    while not puts_off(mg.compile(loss_of(layer := nn.Layer(X.shape[1], n_units)), batch=True), X):
        others.append(layer)
        assert len(others) < 50
    return layer


@pytest.fixture(scope="module")
def layer():
    return layer_in_a_row(X, N_UNITS)


def loss_of(layer):
    return lambda x: (functional.sum(layer(x)) * 1e-3).tanh()


@pytest.fixture
def compiled(layer):
    """The loss of a sample, traced."""
    loss = mg.compile(loss_of(layer), batch=True)
    assert puts_off(loss, X)
    yield loss
    layer.zero_grad()


def grads_of(layer):
    grads = np.array([p.grad for p in layer.parameters()])
    layer.zero_grad()
    return grads


def eager_grads(layer, X, scale=1.0):
    total = functional.sum([loss_of(layer)(list(map(float, x))) for x in X]) * scale
    total.backward()
    grads = grads_of(layer)
    assert np.mean(np.abs(grads) > 1e-6) > 0.25  # there is something to compare
    return grads


def assert_same(ours, theirs):
    np.testing.assert_allclose(ours, theirs, rtol=1e-12, atol=1e-13)


def test_the_mean_has_eager_gradients(layer, compiled):
    compiled(X).mean().backward()
    assert_same(grads_of(layer), eager_grads(layer, X, 1 / N_SAMPLES))


def test_gradients_are_added_to_what_is_there(layer, compiled):
    compiled(X).sum().backward()
    compiled(X[:2]).sum().backward()
    assert_same(grads_of(layer), eager_grads(layer, X) + eager_grads(layer, X[:2]))


def test_single_samples_and_the_whole_batch_in_any_order(layer, compiled):
    expected = eager_grads(layer, X) + eager_grads(layer, X[3:4])
    expected += 2 * eager_grads(layer, X[1:2])
    for order in ((0, 1), (1, 0)):
        batch = compiled(X)
        results = [batch.sum(), batch[3] + 2 * batch[1]]
        for k in order:
            results[k].backward()
        assert_same(grads_of(layer), expected)


def test_backward_twice_passes_on_twice(layer, compiled):
    total = compiled(X).sum()
    total.backward()
    once = grads_of(layer)
    total.backward()
    assert_same(grads_of(layer), once)
    (total * 2).backward()  # its own grad is 1 from before
    assert_same(grads_of(layer), 3 * once)


def test_numbers_written_after_the_call_do_not_matter(layer, compiled):
    mine, weight = X.copy(), layer.parameters()[5]
    expected, before = eager_grads(layer, X), weight.data
    total = compiled(mine).sum()
    mine[:] = np.nan
    weight.data = np.inf
    try:
        total.backward()
    finally:
        weight.data = before
    assert_same(grads_of(layer), expected)


def test_an_array_too_large_to_copy_may_be_written_too():
    large = np.random.default_rng(1).normal(size=(8, 135_000))  # one tile, and more than 8 MiB
    layer = layer_in_a_row(large, 2)
    loss = mg.compile(loss_of(layer), batch=True)
    loss(large).sum().backward()
    expected = grads_of(layer)
    assert np.mean(np.abs(expected) > 1e-6) > 0.25
    total = loss(large).sum()
    large[:] = np.nan
    total.backward()
    np.testing.assert_array_equal(grads_of(layer), expected)


def test_weights_that_something_else_uses_too(layer):
    def loss(x):
        return loss_of(layer)(x) + 1e-3 * functional.sum([w * w for w in layer.parameters()[::7]])

    compiled = mg.compile(loss, batch=True)
    assert not puts_off(compiled, X)
    compiled(X).sum().backward()
    ours = grads_of(layer)
    functional.sum([loss(list(map(float, x))) for x in X]).backward()
    assert_same(ours, grads_of(layer))


def test_weights_that_do_not_lie_in_order():
    params = [Value(0.01 * k % 0.7) for k in range(N_INPUTS * N_UNITS)]
    rows = [params[k::N_UNITS] for k in range(N_UNITS)]  # by columns
    rows[3], rows[4] = rows[4], rows[3]
    function = lambda x: functional.sum([functional.dot(w, x).tanh() for w in rows])  # noqa: E731
    mg.compile(function, batch=True)(X).sum().backward()
    ours = [p.grad for p in params]
    for p in params:
        p.grad = 0.0
    functional.sum([function(list(map(float, x))) for x in X]).backward()
    assert_same(ours, [p.grad for p in params])


def test_what_a_choice_leaves_out_passes_nothing_on(layer):
    function = lambda x, k: mg.take([x[0] * 2.0, functional.sum(layer(x))], k)  # noqa: E731
    compiled = mg.compile(function, batch=True)
    inputs = np.full((2, N_INPUTS), np.inf)
    assert puts_off(compiled, inputs, np.array([0, 0]))
    compiled(inputs, np.array([0, 0])).sum().backward()
    assert not grads_of(layer).any()


def test_calls_that_nobody_takes_backward_give_their_workspace_back(layer, compiled):
    resource = pytest.importorskip("resource")
    kept = [compiled(X) for _ in range(3)]
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    for _ in range(400):  # some 0.5 MB each
        kept = [*kept[1:], compiled(X)]
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000  # KiB
    for batch in kept:
        batch.sum().backward()
    assert_same(grads_of(layer), 3 * eager_grads(layer, X))


def test_a_result_outlives_the_compiled_function(layer):
    total = mg.compile(loss_of(layer), batch=True)(X).sum()
    gc.collect()
    total.backward()
    assert_same(grads_of(layer), eager_grads(layer, X))


def test_no_memory_for_the_second_backward_leaves_the_gradients(layer, compiled):
    total = compiled(X).sum()
    other = compiled(X)  # now one workspace is in use, and one is not there yet
    total.backward()
    once = grads_of(layer)
    third = compiled(X)  # takes the one that was given back
    _core._set_limits(fail_after=0)
    try:
        with pytest.raises(MemoryError):
            total.backward()
    finally:
        _core._set_limits()
    assert not grads_of(layer).any()
    total.grad = 0.0
    total.backward()
    assert_same(grads_of(layer), once)
    del other, third


def test_the_gradients_of_small_matrices_are_computed_with_the_call():
    layer = nn.Layer(127, 129)  # one weight fewer than would be put off
    assert not puts_off(mg.compile(loss_of(layer), batch=True), X[:, :127])


def test_batches_of_several_tiles_put_nothing_off(layer, compiled):
    """What is put off is computed from the rows of the last tile alone."""
    n = 1400  # a tile has up to 512 samples
    many = np.random.default_rng(2).normal(size=(n, N_INPUTS))
    compiled(many).mean().backward()
    halves = grads_of(layer)
    parts = [compiled(part).sum() for part in np.array_split(many, n // 4)]
    (functional.sum(parts) / n).backward()
    np.testing.assert_allclose(halves, grads_of(layer), rtol=1e-9, atol=1e-12)
