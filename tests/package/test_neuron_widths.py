"""Weights and inputs that differ in number: micrograd's number, and a warning that says so."""

import random
import warnings

import numpy as np
import pytest

import micrograd_fast as mg
from micrograd_fast import nn


def warnings_of(run):
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("default")
        run()
    return caught


@pytest.mark.parametrize("n_inputs", [0, 1, 2, 4, 7])
@pytest.mark.parametrize("kind", [list, tuple, np.array], ids=["list", "tuple", "array"])
def test_the_number_is_micrograd_s_and_the_warning_names_layer_weights_and_inputs(
    engines, n_inputs, kind
):
    numbers, row = [], [0.5 * k - 1.0 for k in range(n_inputs)]
    for engine in engines:
        random.seed(3)
        model = engine.nn.MLP(3, [2, 1])
        x = kind(row) if engine.name == "micrograd_fast" else row
        with warnings.catch_warnings(record=True) as caught:
            warnings.simplefilter("always")
            numbers.append(float(model(x).data))
    assert numbers[1] == numbers[0]
    text = str(caught[0].message)
    inputs = "1 input" if n_inputs == 1 else f"{n_inputs} inputs"
    assert text.startswith(f"a neuron of layer 1 of 2 has 3 weights and was given {inputs}: ")
    assert ("the inputs without" in text) == (n_inputs > 3)


def test_once_for_each_place_and_at_the_user_s_line():
    model = nn.MLP(3, [2, 1])

    def run():
        for _ in range(5):
            model([1.0])
        model([1.0])

    caught = warnings_of(run)
    assert [w.filename for w in caught] == [__file__] * 2
    assert caught[1].lineno == caught[0].lineno + 1


def test_an_inner_layer_is_named_by_its_place():
    model = nn.MLP(3, [2, 4, 1])
    model.layers[1] = nn.Layer(5, 4)
    (text,) = {str(w.message) for w in warnings_of(lambda: model([1.0, 2.0, 3.0]))}
    assert text.startswith("a neuron of layer 2 of 3 has 5 weights and was given 2 inputs")
    (text,) = {str(w.message) for w in warnings_of(lambda: nn.Layer(2, 2)([1.0]))}
    assert text.startswith("a neuron of a layer has 2 weights and was given 1 input")
    (text,) = {str(w.message) for w in warnings_of(lambda: nn.Neuron(2)([1.0]))}
    assert text.startswith("a neuron has 2 weights and was given 1 input")


def test_a_compiled_model_on_too_many_columns():
    model = nn.MLP(3, [2, 1])
    caught = warnings_of(lambda: mg.compile(lambda x: model(x), batch=True)(np.ones((4, 7))))
    assert caught[0].filename == __file__
    assert "layer 1 of 2 has 3 weights and was given 7 inputs" in str(caught[0].message)


def test_no_warning_where_they_are_as_many():
    model = nn.MLP(3, [2, 1])
    assert not warnings_of(lambda: [model([1, 2, 3]), model(np.ones(3)), model(iter([1, 2, 3]))])


def test_as_an_error_it_leaves_no_node_behind(live_nodes_unchanged):
    neuron = nn.Neuron(3)
    with pytest.raises(UserWarning, match="3 weights"):
        neuron([1.0])
    with pytest.raises(UserWarning, match="3 weights"):
        neuron([np.float64(1.0)])
    del neuron
