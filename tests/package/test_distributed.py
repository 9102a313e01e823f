"""Data-parallel gradients over Dask: one process's numbers, whatever becomes of the workers."""

import os
import random
import signal
import time
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


def test_a_leaf_beside_params_is_read_at_every_step(client):
    w, scale = Value(2.0), Value(3.0)
    parallel = DataParallel(mg.compile(lambda x: w * scale * x, batch=True), [w], client)
    parallel.scatter(np.ones(4))
    assert parallel.value_and_grad()[0] == 6.0
    scale.data = 5.0
    value, gradient = parallel.value_and_grad()
    assert (value, gradient.tolist()) == (10.0, [5.0])
    parallel.backward()
    assert (w.grad, scale.grad) == (5.0, 0.0)


def test_what_the_loss_reads_besides_is_sent_anew_when_it_changes(client):
    w = Value(2.0)
    state = {"power": 1}

    class Layer(nn.Module):
        bias = 1.0

        def __call__(self, x):
            return w * x + self.bias

    layer, factor = Layer(), 2.0

    def loss(x):
        return factor * layer(x) ** state["power"]

    parallel = DataParallel(mg.compile(loss, batch=True), [w], client)
    parallel.scatter(np.ones(4))
    assert parallel.value_and_grad()[0] == 6.0
    state["power"] = 2
    assert parallel.value_and_grad()[0] == 18.0
    layer.bias = 2.0
    assert parallel.value_and_grad()[0] == 32.0
    factor = 1.0
    assert parallel.value_and_grad()[0] == 16.0
    layer.bias = 4.0
    parallel.scatter(np.ones(4))
    assert parallel.value_and_grad()[0] == 36.0


def test_samples_are_copied(client):
    w = Value(2.0)
    X = np.ones(6)
    parallel = DataParallel(mg.compile(lambda x: w * x, batch=True), [w], client)
    parallel.scatter(X)
    X[:] = 7.0
    parallel._send()  # as after the loss of a worker
    assert parallel.value_and_grad()[0] == 2.0


def test_without_workers_a_step_raises():
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        cluster = distributed.LocalCluster(
            n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None
        )
        with cluster, distributed.Client(cluster) as lonely:
            model, loss, X, y = problem()
            parallel = DataParallel(loss, model.parameters(), lonely, timeout=0.5)
            parallel.scatter(X, y)
            cluster.scale(0)
            while lonely.nthreads():
                time.sleep(0.02)
            with pytest.raises(RuntimeError, match="no worker is left"):
                parallel.backward()
            with pytest.raises(RuntimeError, match="no worker is left"):
                parallel.scatter(X, y)
            cluster.scale(1)
            lonely.wait_for_workers(1)
            assert train(model, parallel.backward, 3) == pytest.approx(
                expected_losses(3), rel=1e-12
            )


def test_a_worker_in_this_process_that_shares_the_model_s_classes_is_refused():
    w = Value(2.0)

    class Layer(nn.Module):
        def __call__(self, x):
            return w * x

    layer = Layer()
    loss = mg.compile(lambda x: layer(x), batch=True)
    cluster = distributed.LocalCluster(
        n_workers=1, threads_per_worker=1, processes=False, dashboard_address=None
    )
    refused = pytest.raises(ValueError, match=r"LocalCluster\(processes=True\)")
    with cluster, distributed.Client(cluster) as lonely, refused:
        DataParallel(loss, [w], lonely).scatter(np.ones(4))


def test_a_worker_that_is_lost_while_samples_are_sent_costs_a_retry(client, monkeypatch):
    model, loss, X, y = problem()
    parallel = DataParallel(loss, model.parameters(), client)
    scatter, failures = client.scatter, iter([True, True])

    def lossy(*args, **kwargs):
        if next(failures, False):
            raise distributed.comm.CommClosedError("the worker is gone")
        return scatter(*args, **kwargs)

    monkeypatch.setattr(client, "scatter", lossy)
    parallel.scatter(X, y)
    assert train(model, parallel.backward, 3) == pytest.approx(expected_losses(3), rel=1e-12)


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
    masked = np.ma.masked_array(y, y > 0)
    with pytest.raises(TypeError, match="array 1 is an array with masked entries"):
        parallel.scatter(X, masked)
    with pytest.raises(ValueError, match="arrays must have one length"):
        parallel.scatter(X, y[:-1])
