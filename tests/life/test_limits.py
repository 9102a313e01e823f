"""Size: ten million nodes in one chain, and training that goes on for ever."""

import gc
import os
from pathlib import Path

import pytest

from micrograd_fast import nn
from micrograd_fast._core import live_nodes
from micrograd_fast.engine import Value

TEN_MILLION = 10_000_000


@pytest.mark.usefixtures("gc_off")
def test_a_chain_of_ten_million_nodes_runs_forward_backward_and_is_freed():
    before = live_nodes()
    x = Value(1.0)
    y = Value(0.0)
    for _ in range(TEN_MILLION):
        y = y + x
    assert y.data == TEN_MILLION
    assert live_nodes() == before + TEN_MILLION + 2
    y.backward()
    assert x.grad == TEN_MILLION
    del y
    assert live_nodes() == before + 1
    assert (x + 1).data == 2.0


@pytest.mark.usefixtures("gc_off")
def test_a_sum_over_a_million_products_runs_and_is_freed():
    before = live_nodes()
    xs = [Value(float(i % 7)) for i in range(1000)]
    total = sum(x * x for _ in range(1000) for x in xs)
    assert live_nodes() == before + 1000 + 2 * 1_000_000 + 1
    total.backward()
    assert [x.grad for x in xs[:7]] == [2000.0 * i for i in range(7)]
    del total, xs
    assert live_nodes() == before


@pytest.mark.usefixtures("gc_off")
def test_a_deep_chain_of_custom_nodes_is_collected():
    before = live_nodes()
    x = y = Value(1.0)
    for _ in range(100_000):
        y = _identity(y)
    y.backward()
    assert x.grad == 1.0
    del x, y
    gc.collect()
    assert live_nodes() == before


def _identity(v):
    out = Value(v.data, (v,), "identity")

    def _backward():
        v.grad += out.grad

    out._backward = _backward
    return out


@pytest.mark.usefixtures("gc_off")
def test_a_deep_chain_through_attributes_is_freed():
    before = live_nodes()
    v = Value(0.0)
    for _ in range(100_000):
        older, v = v, Value(1.0)
        v.older = older
    del v, older
    gc.collect()
    assert live_nodes() == before


@pytest.mark.usefixtures("gc_off")
def test_a_chain_with_an_attribute_at_every_node_is_freed():
    before = live_nodes()
    x = y = Value(0.0)
    for i in range(100_000):
        y = y + x
        y.number, y.notes = i, [i]
    y.backward()
    assert x.grad == 100_001.0
    del x, y
    gc.collect()
    assert live_nodes() == before


def resident_bytes():
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE")


def train(model, steps):
    """Plain gradient descent on one sample; how many nodes live after each step."""
    counts = set()
    for _ in range(steps):
        loss = (model([0.5, -1.0]) - 0.25) ** 2 + 1e-4 * sum(p * p for p in model.parameters())
        model.zero_grad()
        loss.backward()
        for p in model.parameters():
            p.data -= 0.01 * p.grad
        counts.add(live_nodes())
    return counts


@pytest.mark.usefixtures("gc_off")
def test_two_thousand_training_steps_hold_the_same_number_of_nodes():
    model = nn.MLP(2, [8, 1])
    before = live_nodes()
    counts = train(model, 2000)
    # While the next step is built the last loss still lives, so a count is one or two graphs.
    assert len(counts) == 1
    assert max(counts) < before + 500
    assert live_nodes() == before


@pytest.mark.skipif(not Path("/proc/self/statm").exists(), reason="needs Linux's /proc")
@pytest.mark.usefixtures("gc_off")
def test_two_thousand_training_steps_hold_the_same_memory():
    model = nn.MLP(2, [8, 1])
    train(model, 200)
    before = resident_bytes()
    train(model, 1800)
    assert resident_bytes() - before < 2**20
