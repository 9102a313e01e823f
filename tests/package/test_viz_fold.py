"""Large graphs in few boxes, and Values by their names in a model."""

import random
import re

import pytest

from micrograd_fast import Value, functional, nn, viz
from micrograd_fast.viz import fold
from micrograd_fast.viz.named import Names

NODE = re.compile(r'^\t(\w+) \[label="\{ ((?:[^"\\]|\\.)*) \}"', re.M)
EDGE = re.compile(r"^\t(\w+) -> (\w+)", re.M)


def boxes(text):
    """The headings of a folded picture, the ops of each, and the edges between headings."""
    found = {}
    for name, label in NODE.findall(text):
        fields = [f.replace("\\ ", " ") for f in label.split(" | ")]
        ops = [f.partition(" ")[2] for f in fields if f.startswith(("ops ", "each "))]
        heading = "" if fields[0].startswith(("ops ", "each ", "data ")) else fields[0]
        found[name] = heading or (ops[0] if ops else "")
    return list(found.values()), {(found[a], found[b]) for a, b in EDGE.findall(text)}


@pytest.fixture
def model():
    state = random.getstate()
    random.seed(1)
    made = nn.MLP(2, [4, 3, 1])
    random.setstate(state)
    return made


def loss_of(model, samples):
    losses = []
    for k in range(samples):
        x = [Value(0.5 + k), Value(-0.25 * k)]
        losses.append((1 + -1.0 * model(x)).relu())
    return sum(losses) * (1.0 / samples) + 1e-4 * sum(p * p for p in model.parameters())


def test_parameters_are_called_as_the_model_calls_them(model):
    text = viz.to_dot(model([Value(1.0, label="x0"), Value(2.0)]), names=model)
    for name, _ in model.named_parameters():
        assert f'label="{{ {name} | data' in text
    assert 'label="{ x0 | data' in text


def test_a_label_of_ones_own_goes_before_the_name(model):
    model.layers[0].neurons[0].b.label = "mine"
    text = viz.to_dot(model([1.0, 2.0]), names=model)
    assert "{ mine |" in text and "layers.0.neurons.0.b" not in text


def test_values_are_named_by_a_dict_of_them_and_of_lists():
    w, b = [Value(1.0), [Value(2.0)]], Value(3.0)
    text = viz.to_dot(w[0] * w[1][0] + b, names={"w": w, "b": b})
    assert all(f"{{ {name} |" in text for name in ("w[0]", "w[1][0]", "b"))


@pytest.mark.parametrize(
    ("names", "text"),
    [
        ([Value(1.0)], "names must be a Module, a dict of Values by name, or None, not 'list'"),
        ({"w": [1.0]}, "names['w'] must be a Value or a list of Values, not 'float'"),
    ],
)
def test_other_names_are_refused(names, text):
    with pytest.raises(TypeError, match=re.escape(text)):
        viz.to_dot(Value(1.0), names=names)


def test_a_network_folds_to_a_box_a_layer(model):
    text = viz.to_dot(model([Value(1.0, label="x0"), Value(2.0, label="x1")]), fold=True)
    headings, edges = boxes(text)
    # A hidden neuron with one user is one expression with the product that it goes into.
    assert headings == ["x: 2 leaves", "4 times", "3 times", "3 +"]
    assert edges == {("x: 2 leaves", "4 times"), ("4 times", "3 times"), ("3 times", "3 +")}


def test_with_the_model_boxes_have_the_names_of_its_parts(model):
    y = (1 - model([Value(1.0, label="x0"), Value(2.0, label="x1")])).relu()
    headings, edges = boxes(viz.to_dot(y, fold=True, names=model))
    assert set(headings) == {
        "x: 2 leaves",
        "layers.0: 12 parameters",
        "layers.1: 15 parameters",
        "layers.2: 4 parameters",
        "layers.0, 4 times",
        "layers.1, 3 times",
        "layers.2",
        "*, +, ReLU",
    }
    assert ("layers.2: 4 parameters", "layers.2") in edges
    assert ("layers.2", "*, +, ReLU") in edges
    assert ("layers.0: 12 parameters", "layers.1, 3 times") not in edges


def test_a_linear_layer_ends_after_its_bias_and_the_loss_is_a_box_of_its_own():
    model = nn.Sequential(nn.Linear(3, 5), nn.Linear(5, 2))
    x = [Value(float(k), label=f"x{k}") for k in range(3)]
    loss = functional.cross_entropy(model(x), 1)
    loss.label = "loss"
    headings, edges = boxes(viz.to_dot(loss, fold=True, names=model))
    assert {"layers.0, 5 times", "layers.1, 2 times", "loss"} <= set(headings)
    assert ("layers.1: 12 parameters", "layers.1, 2 times") in edges
    assert ("layers.1: 12 parameters", "loss") not in edges


@pytest.mark.parametrize("samples", [2, 7, 20])
def test_a_batch_is_as_many_boxes_as_a_sample(model, samples):
    headings, _ = boxes(viz.to_dot(loss_of(model, samples), fold=True, names=model))
    assert f"layers.0, {4 * samples} times" in headings
    assert f"layers.1, {3 * samples} times" in headings
    assert f"layers.2, {samples} times" in headings
    assert f"{2 * samples} leaves" in headings
    assert len(headings) == 9


def test_every_node_is_in_one_box_and_edges_go_forward(model):
    for root in (loss_of(model, 3), loss_of(nn.Layer(2, 1), 2), Value(1.0)):
        for names in (Names(None), Names(model)):
            operands = fold.in_order(root, 10_000)
            folds = fold.folded(root, operands, names)
            assert sum(f.nodes for f in folds) == len(operands)
            assert all(x < k for k, f in enumerate(folds) for x in f.operands)
            assert root in folds[-1].members


def random_root(seed):
    draw = random.Random(seed)
    values = [Value(draw.random()) for _ in range(4)]
    for _ in range(draw.randrange(1, 60)):
        x, y = draw.choice(values), draw.choice(values)
        values.append(draw.choice([x + y, x * y, x.tanh(), x - 1, x * x]))
    return sum(values)


@pytest.mark.parametrize("seed", range(30))
def test_random_graphs_fold_without_losing_a_node(seed):
    root = random_root(seed)
    operands = fold.in_order(root, 10_000)
    folds = fold.folded(root, operands, Names(None))
    assert sum(f.nodes for f in folds) == len(operands) == len(viz.trace(root)[0])
    assert all(x < k for k, f in enumerate(folds) for x in f.operands)


def test_a_chain_of_any_depth_folds_to_one_box():
    v = Value(1.0, label="x")
    for _ in range(20_000):
        v = v.tanh()
    assert boxes(viz.to_dot(v, fold=True))[0] == ["x", "20,000 tanh"]


def test_what_cannot_be_folded_is_refused_in_a_line(monkeypatch):
    v = Value(1.0)
    with pytest.raises(ValueError, match="depth and fold=True exclude each other"):
        viz.to_dot(v, fold=True, depth=1)
    with pytest.raises(ValueError, match=r"folded, the graph has 2 boxes, and max_nodes is 1:"):
        viz.to_dot(Value(1.0, label="x") + 1, fold=True, max_nodes=1)
    monkeypatch.setattr("micrograd_fast.viz.graph.MAX_FOLDED", 2)
    with pytest.raises(ValueError, match="more than 2 nodes, too many to fold"):
        viz.to_dot(v + v * 2, fold=True)


def test_a_refusal_says_that_folding_may_help():
    v = Value(1.0)
    for _ in range(10):
        v = v + 1
    with pytest.raises(ValueError, match="fold=True"):
        viz.to_dot(v, max_nodes=5)
