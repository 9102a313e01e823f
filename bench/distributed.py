"""Times a step of data-parallel training: in this process, and on 1, 2, ... worker processes.

Usage: python -m bench.distributed [--workers 1 2] [--samples 10000 100000 1000000] [--steps 20]

Prints the fastest step, what of it is computing (a shard, measured in this process), and the
largest difference of the gradients from those of one process. Needs micrograd-fast[dask].
"""

import argparse
import random
from time import perf_counter

import numpy as np
from distributed import Client, LocalCluster

import micrograd_fast as mg
from micrograd_fast import nn
from micrograd_fast.distributed import DataParallel


def make(samples):
    """A 10-64-1 network with squared errors, 769 parameters, and its samples."""
    random.seed(1)
    model = nn.MLP(10, [64, 1], activation="tanh")
    rng = np.random.default_rng(1)
    X = rng.normal(size=(samples, 10))
    y = np.sin(X.sum(axis=1))
    return model.parameters(), mg.compile(lambda x, t: (model(x) - t) ** 2, batch=True), X, y


def fastest(step, steps):
    step()
    seconds = []
    for _ in range(steps):
        begin = perf_counter()
        step()
        seconds.append(perf_counter() - begin)
    return min(seconds)


def alone(samples, steps):
    """A step in this process."""
    params, loss, X, y = make(samples)
    seconds = fastest(lambda: loss.value_and_grad(X, y, params=params), steps)
    return samples, "one process", seconds, seconds, 0.0


def shared(samples, workers, client, steps):
    """A step on the workers, what of it is computing, and how far the gradient is off."""
    params, loss, X, y = make(samples)
    parallel = DataParallel(loss, params, client)
    parallel.scatter(X, y)
    step = fastest(parallel.value_and_grad, steps)
    part = [a[: -(-samples // workers)] for a in (X, y)]
    compute = fastest(lambda: loss.value_and_grad(*part, params=params), 5)
    expected = loss.value_and_grad(X, y, params=params)[1]
    off = np.abs(parallel.value_and_grad()[1] - expected).max() / np.abs(expected).max()
    return samples, f"{workers} workers", step, compute, off


def main():
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--samples", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--steps", type=int, default=20)
    args = parser.parse_args()
    rows = [alone(samples, args.steps) for samples in args.samples]
    for workers in args.workers:
        cluster = LocalCluster(
            n_workers=workers, threads_per_worker=1, processes=True, dashboard_address=None
        )
        with cluster, Client(cluster) as client:
            nothing = fastest(lambda c=client: c.submit(int, pure=False).result(), 50)
            rows.append((0, f"{workers} workers", nothing, 0.0, 0.0))
            rows += [shared(samples, workers, client, args.steps) for samples in args.samples]
    print(f"{'samples':>10} {'where':<12} {'step':>10} {'computing':>10} {'difference':>11}")
    for samples, where, step, compute, off in sorted(rows, key=lambda row: row[0]):
        times = f"{step * 1e3:>7.1f} ms {compute * 1e3:>7.1f} ms"
        print(f"{samples:>10,} {where:<12} {times} {off:>11.1e}")


if __name__ == "__main__":
    main()
