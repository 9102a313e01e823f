"""What public programs feed to micrograd's networks, and what they replace in them."""

import gc
import random
import types
from pathlib import Path

import micrograd.nn
import numpy as np
import pytest
from conftest import load_engine
from programs import bits, graph_of

import micrograd_fast.engine
from micrograd_fast import nn
from micrograd_fast._core import live_nodes
from micrograd_fast.engine import Value

REFERENCE = load_engine("micrograd")

INPUTS = {
    "more inputs than weights": [0.5, -1.5, 2.0, 7.0, 9.0],
    "fewer inputs than weights": [0.5],
    "none": [],
    "bytes": b"\x01\x02\xff",
    "ints": [1, -2, 3],
    "bools": (True, False, True),
    "a NumPy row": np.array([[0.1, 0.2, 0.3]])[0],
    "NumPy ints": np.array([1, 0, -3]),
    "a range": range(3),
}


@pytest.mark.filterwarnings("ignore:.* without a partner are left out")
@pytest.mark.parametrize("kind", INPUTS)
@pytest.mark.parametrize("nonlin", [True, False])
def test_a_neuron_takes_what_micrograds_takes(engines, kind, nonlin):
    graphs = []
    for engine in engines:
        random.seed(7)
        neuron = engine.nn.Neuron(3, nonlin=nonlin)
        out = neuron(INPUTS[kind])
        graphs.append(graph_of([*neuron.w, neuron.b] + [out] * (out is not neuron.b)))
    assert graphs[1] == graphs[0]


def test_a_neuron_takes_a_generator_and_mixed_inputs(engines):
    results = []
    for engine in engines:
        random.seed(3)
        layer = engine.nn.Layer(3, 2)
        mixed = [engine.Value(0.5), 2, np.float64(-1.5)]
        neuron = layer.neurons[0]
        outs = [*layer(mixed), neuron(x for x in mixed), neuron(iter(mixed))]
        results.append([bits(float(v.data)) for v in outs])
    assert results[1] == results[0]


@pytest.mark.parametrize("bad", ["abc", [None], [1j], 5, [[1.0]]], ids=repr)
def test_a_neuron_refuses_other_inputs_and_leaves_nothing_behind(bad):
    neuron = nn.Neuron(3)
    before = live_nodes()
    with pytest.raises(TypeError):
        neuron(bad)
    gc.collect()
    assert live_nodes() <= before


def test_micrograds_own_nn_runs_unchanged_on_the_engine():
    source = Path(micrograd.nn.__file__).read_text()
    module = types.ModuleType("nn_on_fast")
    exec(source.replace("micrograd.engine", "micrograd_fast.engine"), vars(module))
    assert module.Value is micrograd_fast.engine.Value
    results = []
    for layers in (REFERENCE.nn, module, nn):
        random.seed(11)
        model = layers.MLP(3, [4, 4, 2])
        outs = model([0.5, -1.0, 2.0])
        (outs[0] * outs[1] + outs[1]).backward()
        results.append((repr(model), outs, [p.grad for p in model.parameters()]))
    for text, outs, grads in results[1:]:
        assert text == results[0][0]
        assert [bits(v.data) for v in outs] == [bits(v.data) for v in results[0][1]]
        assert grads == pytest.approx(results[0][2], rel=1e-12)


def test_parameters_is_a_fresh_list_of_the_very_parameters(engine):
    model = engine.nn.MLP(2, [3, 1])
    parameters = model.parameters()
    assert type(parameters) is list
    assert len(parameters) == 13
    assert all(a is b for a, b in zip(parameters, model.parameters(), strict=True))
    parameters.clear()
    assert len(model.parameters()) == 13
    assert engine.nn.Module().parameters() == []


def test_operators_that_count_are_seen_by_a_neuron(monkeypatch):
    calls = []

    def counted(name):
        original = getattr(Value, name)

        def replacement(self, *others):
            calls.append(name)
            return original(self, *others)

        return replacement

    for name in ("__mul__", "__add__", "relu"):
        monkeypatch.setattr(Value, name, counted(name))
    nn.Neuron(3)([1.0, Value(2.0), 3])
    assert sorted(calls) == ["__add__"] * 3 + ["__mul__"] * 3 + ["relu"]


def test_a_neurons_replaced_call_is_used_by_its_layers(engine, monkeypatch):
    def squashed(self, x):
        act = sum((wi * xi for wi, xi in zip(self.w, x, strict=True)), self.b)
        return act * 0 + 0.125

    monkeypatch.setattr(engine.nn.Neuron, "__call__", squashed)
    assert engine.nn.MLP(2, [3, 1])([1.0, 2.0]).data == 0.125
