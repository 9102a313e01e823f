"""Data-parallel gradients over Dask: one process's numbers, whatever becomes of the workers."""

import os
import random
import signal
import warnings

import numpy as np
import pytest

import micrograd_fast as mg
from micrograd_fast import Value, nn, optim

distributed = pytest.importorskip("distributed")
from micrograd_fast.distributed import DataParallel  # noqa: E402

# Dask's own warnings, of ports in use and of workers that end, are not ours to end on.
pytestmark = pytest.mark.filterwarnings("ignore")


@pytest.fixture(scope="module")
def client():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cluster = distributed.LocalCluster(
            n_workers=2, threads_per_worker=1, processes=True, dashboard_address=None
        )
        with cluster, distributed.Client(cluster) as client:
            yield client


def problem(samples=203):
    """A model, its compiled loss and data; the same at each call."""
    state = random.getstate()
    random.seed(7)
    model = nn.MLP(3, [8, 1], activation="tanh")
    random.setstate(state)
    rng = np.random.default_rng(7)
    X = rng.normal(size=(samples, 3))
    y = np.sin(X.sum(axis=1))
    loss = mg.compile(lambda x, t: (model(x) - t) ** 2, batch=True)
    return model, loss, X, y


def train(model, step, steps):
    optimizer = optim.Adam(model.parameters(), lr=0.02)
    losses = []
    for _ in range(steps):
        optimizer.zero_grad()
        losses.append(step())
        optimizer.step()
    return losses


def expected_losses(steps):
    """The same training in this process."""
    model, loss, X, y = problem()

    def step():
        mean = loss(X, y).mean()
        mean.backward()
        return mean.data

    return train(model, step, steps)


@pytest.mark.parametrize("shards", [None, 1, 3, 5, 29])
def test_training_has_the_losses_of_one_process(client, shards):
    model, loss, X, y = problem()
    parallel = DataParallel(loss, model.parameters(), client)
    parallel.scatter(X, y, shards=shards)
    assert train(model, parallel.backward, 5) == pytest.approx(expected_losses(5), rel=1e-12)


def test_value_and_gradient_are_those_of_one_process(client):
    model, loss, X, y = problem()
    parallel = DataParallel(loss, model.parameters(), client)
    parallel.scatter(X, y)
    value, gradient = parallel.value_and_grad()
    expected, expected_gradient = loss.value_and_grad(X, y, params=model.parameters())
    assert value == pytest.approx(expected, rel=1e-12)
    assert np.allclose(gradient, expected_gradient, rtol=1e-12, atol=1e-15)


@pytest.mark.slow
def test_a_killed_worker_costs_a_retry_and_no_wrong_gradient(client):
    model, loss, X, y = problem()
    parallel = DataParallel(loss, model.parameters(), client)
    parallel.scatter(X, y)
    steps = 0

    def step():
        nonlocal steps
        steps += 1
        if steps in (3, 6):
            victim = next(iter(client.run(os.getpid).values()))
            os.kill(victim, signal.SIGKILL)
        return parallel.backward()

    assert train(model, step, 8) == pytest.approx(expected_losses(8), rel=1e-12)


def test_an_error_of_the_loss_comes_back(client):
    a = Value(1.0)
    loss = mg.compile(lambda x, k: mg.take([a, a * x], k), batch=True)
    parallel = DataParallel(loss, [a], client)
    parallel.scatter(np.ones(70), np.array([0] * 69 + [2]))
    with pytest.raises(IndexError):
        parallel.value_and_grad()


def test_a_loss_that_is_pickled_by_name_is_refused(client, tmp_path, monkeypatch):
    (tmp_path / "elsewhere.py").write_text(
        "from micrograd_fast import Value\nw = Value(2.0)\ndef f(x):\n    return w * x\n"
    )
    monkeypatch.syspath_prepend(tmp_path)
    import elsewhere

    parallel = DataParallel(mg.compile(elsewhere.f, batch=True), [elsewhere.w], client)
    with pytest.raises(ValueError, match="a copy of the loss does not use the copies of params"):
        parallel.scatter(np.ones(4))


def test_bad_arguments_are_named(client):
    model, loss, X, y = problem()
    params = model.parameters()
    with pytest.raises(TypeError, match=r"loss must be what mg\.compile"):
        DataParallel(lambda x: x, params, client)
    with pytest.raises(TypeError, match=r"client must be a distributed.Client, not 'str'"):
        DataParallel(loss, params, "localhost")
    with pytest.raises(TypeError, match=r"params\[0\] must be a Value, not 'float'"):
        DataParallel(loss, [1.0], client)
    with pytest.raises(ValueError, match=r"params\[0\] is the result of an op"):
        DataParallel(loss, [params[0] + 1], client)
    with pytest.raises(ValueError, match="each once"):
        DataParallel(loss, [params[0]] * 2, client)
    parallel = DataParallel(loss, params, client)
    with pytest.raises(RuntimeError, match="call scatter"):
        parallel.backward()
    with pytest.raises(ValueError, match="arrays must have one length"):
        parallel.scatter(X, y[:-1])
