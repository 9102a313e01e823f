"""Module, Neuron, Layer, MLP: micrograd's nets, graphs and texts, and what was added to them."""

import gc
import json
import math
import random

import numpy as np
import pytest
from conftest import load_engine
from inputs import identity, with_attribute, with_step
from programs import backward_bounds, bits, gradients_agree, graph_of, reachable

from micrograd_fast import nn
from micrograd_fast._core import live_nodes
from micrograd_fast.engine import Value, no_grad

MICROGRAD, FAST = load_engine("micrograd"), load_engine("micrograd_fast")
SHAPES = [(1, [1]), (2, [16, 16, 1]), (3, [4, 4, 2]), (5, [2]), (0, [3])]
METHODS = {"relu": "relu", "tanh": "tanh", "sigmoid": "sigmoid"}


def seeded(engine, make, seed=1337):
    """make(engine.nn) under that seed, and the number that the generator gives next."""
    random.seed(seed)
    return make(engine.nn), random.random()


def micrograds_neuron(w, x, b, activation=None):
    """What a neuron is made of, operator by operator."""
    out = sum((wi * xi for wi, xi in zip(w, x, strict=False)), b)
    return out if activation is None else getattr(out, activation)()


# ---- the same nets ----


@pytest.mark.parametrize(("nin", "nouts"), [*SHAPES, (2, [1, 1, 1]), (1, [])])
def test_a_seed_gives_the_weights_and_texts_that_micrograd_gives(nin, nouts):
    made = [seeded(e, lambda nn: nn.MLP(nin, nouts)) for e in (MICROGRAD, FAST)]
    (reference, reference_next), (ours, our_next) = made
    assert [p.data for p in ours.parameters()] == [p.data for p in reference.parameters()]
    assert our_next == reference_next
    assert repr(ours) == repr(reference)
    for our_layer, layer in zip(ours.layers, reference.layers, strict=True):
        assert str(our_layer) == str(layer)
        assert [repr(n) for n in our_layer.neurons] == [repr(n) for n in layer.neurons]
        assert [n.nonlin for n in our_layer.neurons] == [n.nonlin for n in layer.neurons]


def test_a_neuron_and_a_layer_read_as_micrograds(engine):
    assert repr(engine.nn.Neuron(3)) == "ReLUNeuron(3)"
    assert repr(engine.nn.Neuron(0, nonlin=False)) == "LinearNeuron(0)"
    assert repr(engine.nn.Neuron(2, False)) == "LinearNeuron(2)"
    layer = engine.nn.Layer(2, 2, nonlin=True)
    assert repr(layer) == "Layer of [ReLUNeuron(2), ReLUNeuron(2)]"
    text = "MLP of [Layer of [ReLUNeuron(1)], Layer of [LinearNeuron(1)]]"
    assert repr(engine.nn.MLP(1, [1, 1])) == text


def test_weights_lie_within_one_and_biases_are_zero():
    for neuron in nn.Layer(30, 20).neurons:
        assert all(-1 <= w.data <= 1 for w in neuron.w)
        assert len({w.data for w in neuron.w}) == 30
        assert neuron.b.data == 0.0


def test_an_activation_does_not_change_the_draws():
    plain, following = seeded(FAST, lambda nn: nn.MLP(3, [4, 2]))
    for activation in nn.ACTIVATIONS:
        model, following_here = seeded(
            FAST, lambda nn, a=activation: nn.MLP(3, [4, 2], activation=a)
        )
        assert [p.data for p in model.parameters()] == [p.data for p in plain.parameters()]
        assert following_here == following


def test_a_layer_of_one_neuron_gives_one_value_and_others_a_list():
    assert type(nn.Layer(2, 1)([1.0, 2.0])) is Value
    outs = nn.Layer(2, 3)([1.0, 2.0])
    assert type(outs) is list
    assert len(outs) == 3
    assert type(nn.MLP(2, [3, 1])([1.0, 2.0])) is Value


# ---- activations ----


def test_the_names_of_activations_show_in_the_text():
    texts = [repr(nn.Neuron(2, activation=a)) for a in nn.ACTIVATIONS]
    assert texts == ["ReLUNeuron(2)", "TanhNeuron(2)", "SigmoidNeuron(2)", "LinearNeuron(2)"]
    assert repr(nn.MLP(1, [1, 1], activation="tanh")) == (
        "MLP of [Layer of [TanhNeuron(1)], Layer of [LinearNeuron(1)]]"
    )


@pytest.mark.parametrize("activation", METHODS)
def test_an_activation_is_the_method_of_that_name(activation):
    x = [0.5, -1.25, 2.0]
    neuron = nn.Neuron(3, activation=activation)
    graph = graph_of([*neuron.parameters(), neuron(x)])
    same = micrograds_neuron(neuron.w, x, neuron.b, activation)
    assert graph == graph_of([*neuron.parameters(), same])


@pytest.mark.parametrize(
    "make",
    [
        lambda: nn.Neuron(3, activation="linear"),
        lambda: nn.Neuron(3, nonlin=False),
        lambda: nn.Neuron(3, nonlin=False, activation="tanh"),
        lambda: nn.MLP(3, [1], activation="tanh").layers[0].neurons[0],
    ],
)
def test_a_linear_neuron_is_the_sum_alone(make):
    neuron, x = make(), [0.5, -1.25, 2.0]
    assert not neuron.nonlin
    assert repr(neuron) == "LinearNeuron(3)"
    graph = graph_of([*neuron.parameters(), neuron(x)])
    assert graph == graph_of([*neuron.parameters(), micrograds_neuron(neuron.w, x, neuron.b)])


def test_relu_is_the_default_and_the_last_layer_is_linear():
    model = nn.MLP(2, [3, 3, 2])
    kinds = [{n.activation if n.nonlin else "linear" for n in at.neurons} for at in model.layers]
    assert kinds == [{"relu"}, {"relu"}, {"linear"}]
    model = nn.MLP(2, [1, 1], activation="sigmoid")
    assert [repr(layer.neurons[0]) for layer in model.layers] == [
        "SigmoidNeuron(2)",
        "LinearNeuron(1)",
    ]


@pytest.mark.parametrize("wrong", ["", "ReLU", "exp", "relu ", "backward", None, 1, nn.Neuron])
def test_a_wrong_activation_raises_value_error_and_lists_the_right_ones(wrong):
    state = random.getstate()
    for make in (
        lambda: nn.Neuron(2, activation=wrong),
        lambda: nn.Neuron(2, nonlin=False, activation=wrong),
        lambda: nn.Layer(2, 2, activation=wrong),
        lambda: nn.MLP(2, [2, 1], activation=wrong),
    ):
        with pytest.raises(ValueError, match="'relu', 'tanh', 'sigmoid', 'linear'") as error:
            make()
        assert repr(wrong) in str(error.value)
    assert random.getstate() == state


def test_nonlin_set_later_decides_as_in_micrograd(engine):
    neuron = engine.nn.Neuron(2, nonlin=False)
    neuron.nonlin = True
    assert repr(neuron) == "ReLUNeuron(2)"
    assert neuron([1.0, 2.0])._op == "ReLU"
    neuron.nonlin = False
    assert repr(neuron) == "LinearNeuron(2)"
    assert neuron([1.0, 2.0])._op == "+"


# ---- the same graphs ----


@pytest.mark.parametrize("n", [1, 2, 7, 40])
@pytest.mark.parametrize("nonlin", [True, False])
def test_a_neuron_is_two_nodes_an_input_as_in_micrograd(n, nonlin):
    graphs = []
    for engine in (MICROGRAD, FAST):
        neuron, _ = seeded(engine, lambda nn: nn.Neuron(n, nonlin=nonlin))
        x = [engine.Value(0.1 * i - 1) for i in range(n)]
        out = neuron(x)
        nodes = reachable([out])
        leaves = [v for v in nodes if not v._prev]
        assert len(nodes) - len(leaves) == 2 * n + nonlin
        assert set(leaves) == {*neuron.parameters(), *x}
        graphs.append(graph_of([*neuron.parameters(), *x, out]))
    assert graphs[1] == graphs[0]


@pytest.mark.parametrize(("nin", "nouts"), SHAPES)
def test_a_network_has_micrograds_graph_and_gradients(nin, nouts):
    rows, bounds = [], {}
    for engine in (MICROGRAD, FAST):
        model, _ = seeded(engine, lambda nn: nn.MLP(nin, nouts))
        x = [engine.Value(0.3 * i - 0.4) for i in range(nin)]
        out = model(x)
        loss = sum((v * v for v in out), engine.Value(0.0)) if isinstance(out, list) else out * out
        bounds = bounds or backward_bounds([loss])[0]
        graph = graph_of([*model.parameters(), *x, loss])
        loss.backward()
        rows.append((graph, [*model.parameters(), *x]))
    (reference_graph, reference), (graph, ours) = rows
    assert graph == reference_graph
    for a, b in zip(reference, ours, strict=True):
        assert gradients_agree(a.grad, b.grad, bounds.get(a, 0.0))


class Marked(Value):
    """A subclass that counts how often it is multiplied."""

    n_products = 0

    def __rmul__(self, other):
        Marked.n_products += 1
        return super().__rmul__(other)


def custom_node(x):
    child = Value(x)
    out = identity(child)
    out.child = child
    return out


SPECIAL_INPUTS = {
    "subclass": Marked,
    "attribute": with_attribute,
    "step": with_step,
    "custom": custom_node,
    "result": lambda x: Value(x) * 1,
    "label": lambda x: Value(x, label="input"),
    "float": lambda x: x,
}


@pytest.mark.parametrize("kind", SPECIAL_INPUTS)
@pytest.mark.parametrize("position", [0, 1, 2])
@pytest.mark.parametrize("activation", ["relu", "tanh", "linear"])
def test_special_inputs_give_the_graph_that_the_operators_give(kind, position, activation):
    neuron = nn.Neuron(3, activation=activation)
    x = [Value(0.5), Value(-0.25), Value(2.0)]
    x[position] = SPECIAL_INPUTS[kind](x[position].data)
    method = METHODS.get(activation)
    known = [*neuron.parameters(), *(v for v in x if isinstance(v, Value))]
    expected = graph_of([*known, micrograds_neuron(neuron.w, x, neuron.b, method)])
    out = neuron(x)
    assert graph_of([*known, out]) == expected
    assert type(out) is Value


@pytest.mark.parametrize("make", [Marked, with_attribute, with_step, custom_node])
def test_special_weights_and_biases_give_the_graph_that_the_operators_give(make):
    for target in ("w", "b"):
        neuron, x = nn.Neuron(2), [0.5, -0.25]
        if target == "w":
            neuron.w[1] = make(0.75)
        else:
            neuron.b = make(0.75)
        expected = micrograds_neuron(neuron.w, x, neuron.b, "relu")
        graph = graph_of([*neuron.parameters(), expected])
        assert graph_of([*neuron.parameters(), neuron(x)]) == graph


def test_a_subclass_decides_how_it_is_multiplied():
    Marked.n_products = 0
    nn.Neuron(3)([Marked(1.0), 2.0, Marked(3.0)])
    assert Marked.n_products == 2


def test_a_custom_input_that_nobody_else_holds_keeps_its_step():
    neuron = nn.Neuron(2, nonlin=False)
    child = Value(3.0)
    out = neuron([identity(child), 1.0])
    gc.collect()
    out.backward()
    assert child.grad == neuron.w[0].data


def test_an_input_with_a_step_of_its_own_is_asked_once():
    x = with_step(0.5)
    nn.Neuron(2, nonlin=False)([x, x]).backward()
    assert x.calls == 1


# ---- what may be fed in ----

ROWS = {
    "list": [1.0, -2.0, 0.5],
    "tuple": (1.0, -2.0, 0.5),
    "ints": [1, -2, 3],
    "bools": [True, False, True],
    "bytes": b"\x01\x02\xff",
    "range": range(3),
    "NumPy row": np.array([[1.0, -2.0, 0.5]])[0],
    "NumPy float32": np.array([0.1, 0.2, 0.3], dtype=np.float32),
    "NumPy ints": np.array([1, -2, 3]),
    "more than weights": [1.0, 2.0, 3.0, 4.0, 5.0],
    "one": [1.5],
    "none": [],
    "NaN and inf": [math.nan, math.inf, -math.inf],
}


@pytest.mark.filterwarnings("ignore:.* without a partner are left out")
@pytest.mark.parametrize("kind", ROWS)
@pytest.mark.parametrize("activation", ["relu", "sigmoid", "linear"])
def test_inputs_are_taken_as_far_as_weights_and_inputs_reach(kind, activation):
    row = ROWS[kind]
    neuron = nn.Neuron(3, activation=activation)
    floats = [float(x) for x in row]
    expected = micrograds_neuron(neuron.w, floats, neuron.b, METHODS.get(activation))
    for fed in (row, iter(row)):
        out = neuron(fed)
        same = [*neuron.w, neuron.b] if out is neuron.b else [*neuron.w, neuron.b, out]
        assert bits(out.data) == bits(expected.data)
        assert len(reachable(same)) == len(reachable([*neuron.w, neuron.b, expected]))


@pytest.mark.filterwarnings("ignore:.* without a partner are left out")
def test_a_neuron_without_inputs_is_its_bias():
    neuron = nn.Neuron(0, nonlin=False)
    assert neuron([]) is neuron.b
    assert neuron([1.0]) is neuron.b
    (child,) = nn.Neuron(0)([])._prev
    assert child.data == 0.0


def test_a_generator_reaches_every_neuron_of_a_layer():
    model = nn.MLP(2, [3, 2])
    a, b = model(x for x in (1.0, 2.0)), model([1.0, 2.0])
    assert [v.data for v in a] == [v.data for v in b]


@pytest.mark.parametrize("wrong", [5, None, Value(1.0)], ids=lambda v: type(v).__name__)
def test_what_is_no_row_raises_type_error(wrong):
    for model in (nn.Neuron(2), nn.Layer(2, 2), nn.MLP(2, [2, 1])):
        with pytest.raises(TypeError):
            model(wrong)


@pytest.mark.parametrize("wrong", ["a", None, 1j, [1.0], np.array(["a"])], ids=repr)
def test_what_is_no_number_raises_type_error_wherever_it_stands(wrong):
    for row in ([wrong, 1.0], [1.0, wrong], [Value(1.0), wrong]):
        with pytest.raises(TypeError):
            nn.Neuron(2)(row)


def test_an_int_beyond_float64_raises_overflow_error_and_leaves_no_node():
    neuron = nn.Neuron(3)
    gc.collect()
    before = live_nodes()
    for row in ([10**400, 1.0, 1.0], [1.0, 1.0, 10**400]):
        with pytest.raises(OverflowError):
            neuron(row)
    gc.collect()
    assert live_nodes() == before


def test_an_iterator_is_taken_from_only_as_far_as_there_are_weights(engine):
    numbers = iter([1.0, 2.0, 3.0, 4.0])
    engine.nn.Neuron(2)(numbers)
    assert list(numbers) == [3.0, 4.0]


def test_without_gradients_a_network_gives_the_same_numbers_and_no_graph():
    model, x = nn.MLP(3, [4, 2], activation="tanh"), [1.0, -0.5, 2.0]
    expected = [bits(v.data) for v in model(x)]
    with no_grad():
        outs = model(x)
    assert [bits(v.data) for v in outs] == expected
    assert [(v._prev, v._op) for v in outs] == [(set(), "")] * 2


# ---- what users replace ----


def test_a_replaced_call_of_neuron_is_used_by_layers_and_nets(monkeypatch):
    monkeypatch.setattr(nn.Neuron, "__call__", lambda self, x: x[0] * len(self.w))
    assert nn.Neuron(3)([Value(2.0)]).data == 6.0
    assert [v.data for v in nn.Layer(2, 3)([Value(1.0), 2.0])] == [2.0, 2.0, 2.0]
    assert nn.MLP(2, [3, 1])([Value(1.0), 5.0]).data == 6.0


@pytest.mark.parametrize("activation", METHODS)
def test_a_replaced_activation_is_used_by_neurons_until_it_is_restored(activation, monkeypatch):
    neuron = nn.Neuron(2, activation=activation)
    with monkeypatch.context() as patch:
        patch.setattr(Value, activation, lambda self: self * 0 + 42)
        assert neuron([1.0, 2.0]).data == 42.0
        assert nn.MLP(2, [2, 1], activation=activation)([1.0, 2.0])._op == "+"
    built_in = micrograds_neuron(neuron.w, [1.0, 2.0], neuron.b, activation)
    out = neuron([1.0, 2.0])
    assert bits(out.data) == bits(built_in.data)
    assert out._op == built_in._op


def test_weights_and_biases_may_be_replaced_by_any_sequence_and_number():
    x, expected = [2.0, 3.0], 0.5 * 2.0 - 3.0 + 1.5
    neuron = nn.Neuron(2, nonlin=False)
    weights = [Value(0.5), Value(-1.0)]
    for w in (weights, tuple(weights), np.array(weights)):
        for b in (Value(1.5), 1.5):
            neuron.w, neuron.b = w, b
            assert neuron(x).data == expected
    neuron.w, neuron.b = [0.5, -1.0], Value(1.5)
    assert neuron(x).data == expected


class Plain:
    """Modules as users of micrograd write them, over either engine's nn and Value."""

    def __init__(self, engine):
        Value, base = engine.Value, engine.nn.Module

        class Scale(base):
            def __init__(self):
                self.a = Value(3.0)

            def __call__(self, xs):
                return [self.a * x for x in xs]

            def parameters(self):
                return [self.a]

        class Net(base):
            def __init__(self):
                self.first = engine.nn.Layer(2, 3)
                self.scale = Scale()
                self.last = engine.nn.Neuron(3, nonlin=False)

            def __call__(self, x):
                return self.last(self.scale(self.first(x)))

            def parameters(self):
                parts = (self.first, self.scale, self.last)
                return [p for part in parts for p in part.parameters()]

        self.Net = Net


def test_modules_that_users_write_work_as_in_micrograd():
    rows = []
    for engine in (MICROGRAD, FAST):
        model, _ = seeded(engine, lambda nn, e=engine: Plain(e).Net())
        out = model([0.5, -1.5])
        out.backward()
        grads = [p.grad for p in model.parameters()]
        model.zero_grad()
        assert [p.grad for p in model.parameters()] == [0] * len(grads)
        rows.append((graph_of([*model.parameters(), out]), grads))
    assert rows[1][0] == rows[0][0]
    assert rows[1][1] == pytest.approx(rows[0][1], rel=1e-12)


def test_a_neuron_subclass_that_sets_micrograds_attributes_itself_works(engine):
    class Fixed(engine.nn.Neuron):
        def __init__(self, nin):
            self.w = [engine.Value(0.5) for _ in range(nin)]
            self.b = engine.Value(1.0)
            self.nonlin = True

    neuron = Fixed(2)
    assert repr(neuron) == "ReLUNeuron(2)"
    assert neuron([1.0, 2.0]).data == 2.5


# ---- parameters and state ----


def test_zero_grad_sets_every_gradient_to_zero_and_nothing_else():
    model = nn.MLP(2, [3, 1])
    before = [p.data for p in model.parameters()]
    model([1.0, 2.0]).backward()
    assert any(p.grad for p in model.parameters())
    model.zero_grad()
    assert [p.grad for p in model.parameters()] == [0.0] * 13
    assert [p.data for p in model.parameters()] == before
    nn.Module().zero_grad()


def test_parameters_come_neuron_by_neuron_weights_first(engine):
    model = engine.nn.MLP(2, [2, 1])
    expected = [p for layer in model.layers for n in layer.neurons for p in (*n.w, n.b)]
    assert len(expected) == 9
    assert all(a is b for a, b in zip(model.parameters(), expected, strict=True))


def test_state_dict_goes_through_json_into_another_model():
    source, target = nn.MLP(3, [4, 2]), nn.MLP(3, [4, 2])
    source.layers[0].neurons[0].b.data = -0.0
    source.layers[0].neurons[1].b.data = 5e-324
    state = source.state_dict()
    of_one = ("w.0", "w.1", "w.2", "b")
    assert list(state)[:4] == [f"layers.0.neurons.0.{name}" for name in of_one]
    assert list(state)[-1] == "layers.1.neurons.1.b"
    parameters, grads = target.parameters(), list(range(26))
    for p, g in zip(parameters, grads, strict=True):
        p.grad = g
    target.load_state_dict(json.loads(json.dumps(state)))
    assert [bits(p.data) for p in parameters] == [bits(p.data) for p in source.parameters()]
    assert [p.grad for p in parameters] == grads
    assert all(p is q for p, q in zip(parameters, target.parameters(), strict=True))


def test_state_is_a_copy_and_takes_any_number_in_any_order():
    neuron = nn.Neuron(1)
    state = neuron.state_dict()
    neuron.w[0].data += 1.0
    assert state == {"w.0": neuron.w[0].data - 1.0, "b": 0.0}
    neuron.load_state_dict({"b": np.float32(0.5), "w.0": 2})
    assert (neuron.w[0].data, neuron.b.data) == (2.0, 0.5)
    nn.Module().load_state_dict({})
    assert nn.Module().state_dict() == {}


@pytest.mark.parametrize(
    ("change", "error", "named"),
    [
        (lambda s: s.pop("b"), KeyError, "missing ['b'], unexpected []"),
        (lambda s: s.update(extra=1.0), KeyError, "missing [], unexpected ['extra']"),
        (lambda s: s.update({"c": s.pop("b")}), KeyError, "missing ['b'], unexpected ['c']"),
        (lambda s: s.clear(), KeyError, "missing ['w.0', 'b']"),
        (lambda s: s.update({"b": "0.5"}), TypeError, "'str'"),
        (lambda s: s.update({"b": None}), TypeError, "'NoneType'"),
        (lambda s: s.update({"b": Value(1.0)}), TypeError, "a Value"),
        (lambda s: s.update({"b": np.zeros(2)}), TypeError, "(2,)"),
        (lambda s: s.update({"b": 10**400}), OverflowError, "too large"),
    ],
)
def test_a_wrong_state_raises_and_changes_nothing(change, error, named):
    neuron = nn.Neuron(1)
    before = [p.data for p in neuron.parameters()]
    state = {"w.0": 7.0, "b": 8.0}
    change(state)
    with pytest.raises(error) as raised:
        neuron.load_state_dict(state)
    assert named in str(raised.value)
    assert [p.data for p in neuron.parameters()] == before


def test_training_by_hand_lowers_the_loss():
    random.seed(0)
    model = nn.MLP(2, [4, 1], activation="tanh")
    losses = []
    for _ in range(30):
        errors = [model([a, b]) - a for a in (-1, 1) for b in (-1, 1)]
        loss = sum(e * e for e in errors)
        model.zero_grad()
        loss.backward()
        for p in model.parameters():
            p.data -= 0.05 * p.grad
        losses.append(loss.data)
    assert losses[-1] < losses[0] / 4
