"""What modules do to all their parameters at once: as Python would, one after the other."""

import copy
import copyreg
import pickle
import types

import pytest

from micrograd_fast import nn, optim
from micrograd_fast.engine import Value

PICKLED = {f"pickle {p}": lambda x, p=p: pickle.loads(pickle.dumps(x, p)) for p in range(6)}
COPIES = {"deepcopy": copy.deepcopy, **PICKLED}


def filled(model):
    """The model with a number of its own in each data and grad."""
    for k, p in enumerate(model.parameters()):
        p.data, p.grad = k + 0.5, -k
    return model


def numbers(model):
    return [(p.data, p.grad) for p in model.parameters()]


class Knob:
    """No Value, but with what a parameter needs."""

    def __init__(self):
        self.data, self.grad = 1.0, 2.0


class Tied(nn.Module):
    """Two layers of one list of weights, and a bias that both have."""

    def __init__(self):
        self.first, self.second = nn.Neuron(3), nn.Neuron(3)
        self.second.w = self.first.w
        self.second.b = self.first.b

    def parameters(self):
        return self.first.parameters()


# ---- parameters, zero_grad ----


def test_a_replaced_layer_is_what_the_next_zero_grad_and_state_are_about():
    model = filled(nn.MLP(2, [3, 1]))
    model.zero_grad()
    old, model.layers[0] = model.layers[0], filled(nn.Layer(2, 3))
    filled(old)
    before = numbers(old)
    model.zero_grad()
    assert [p.grad for p in model.parameters()] == [0.0] * 13
    assert numbers(old) == before
    model.layers[0].neurons[1].w[0] = weight = Value(7.0)
    weight.grad = 1.0
    model.zero_grad()
    assert weight.grad == 0.0
    assert model.state_dict()["layers.0.neurons.1.w.0"] == 7.0


def test_parameters_are_asked_of_neurons_and_layers_that_have_their_own(monkeypatch):
    model, extra = nn.MLP(2, [2, 2]), Value(4.0)
    neurons = [n for layer in model.layers for n in layer.neurons]
    neurons[1].parameters = lambda: [extra]
    assert model.parameters() == [
        *neurons[0].parameters(), extra, *neurons[2].parameters(), *neurons[3].parameters()
    ]  # fmt: skip
    model.layers[1].parameters = lambda: [extra, extra]
    assert model.parameters() == [*neurons[0].parameters(), extra, extra, extra]
    model.layers[1] = Tied()
    assert model.parameters() == [*neurons[0].parameters(), extra, *model.layers[1].parameters()]
    monkeypatch.setattr(nn.Neuron, "parameters", lambda self: [self.b])
    assert model.parameters() == [neurons[0].b, extra, model.layers[1].first.b]
    monkeypatch.setattr(nn.Layer, "parameters", lambda self: [])
    assert model.parameters() == [model.layers[1].first.b]


def test_what_is_no_value_is_a_parameter_if_it_acts_like_one():
    model = nn.Module()
    knob, value = Knob(), Value(3.0)
    value.grad = 5.0
    model.parameters = lambda: iter([knob, value])
    model.zero_grad()
    assert (knob.grad, value.grad) == (0, 0.0)
    assert model.state_dict() == {"0": 1.0, "1": 3.0}
    model.load_state_dict({"0": 4, "1": 6})
    assert (knob.data, value.data) == (4.0, 6.0)


def test_a_subclass_sees_what_is_assigned():
    with pytest.warns(RuntimeWarning, match="__setattr__"):

        class Seeing(Value):
            def __setattr__(self, name, attribute):
                seen.append((name, attribute))
                super().__setattr__(name, attribute)

    seen = []
    neuron = nn.Neuron(1)
    neuron.w = [Seeing(2.0)]
    neuron.w[0].grad = 3.0
    neuron.zero_grad()
    neuron.load_state_dict({"0": 8, "1": 9})
    assert seen == [("grad", 3.0), ("grad", 0), ("data", 8.0)]
    assert (neuron.w[0].data, neuron.w[0].grad) == (8.0, 0.0)


def test_what_a_program_puts_in_the_place_of_values_attributes_is_asked(monkeypatch):
    neuron, own = nn.Neuron(2), dict(vars(Value))
    seen = []

    def setting(self, name, attribute):
        seen.append((name, attribute))
        own[name].__set__(self, attribute)

    with monkeypatch.context() as patch:
        patch.setattr(Value, "__setattr__", setting)
        neuron.zero_grad()
        neuron.b.data = 2
        assert seen == [("grad", 0)] * 3 + [("data", 2)]
    for name in ("data", "grad"):
        double = property(
            lambda self, d=own[name]: 2 * d.__get__(self),
            lambda self, number, d=own[name]: d.__set__(self, number + 1),
        )
        with monkeypatch.context() as patch:
            patch.setattr(Value, name, double)
            setattr(neuron.b, name, 4.0)
            assert getattr(neuron.b, name) == 10.0
            neuron.zero_grad()
        assert getattr(neuron.b, name) == (1.0 if name == "grad" else 5.0)
    neuron.b.data = 7.0
    assert (neuron.b.data, neuron.b.grad) == (7.0, 1.0)


@pytest.mark.parametrize("name", ["data", "grad"])
def test_what_is_assigned_is_checked_and_named(name):
    v = Value(1.5)
    v.grad = 2.5
    for wrong in ("1", None, 1j, Value(1.0), [1.0]):
        with pytest.raises(TypeError, match=f"{name} must be a number"):
            setattr(v, name, wrong)
    with pytest.raises(OverflowError):
        setattr(v, name, 10**400)
    with pytest.raises(AttributeError):
        delattr(v, name)
    assert (v.data, v.grad) == (1.5, 2.5)
    for number in (3, True, 0.25, float("inf")):
        setattr(v, "".join(name), number)  # a text of that name need not be that object
        assert getattr(v, name) == number


# ---- states ----


def test_a_state_may_be_any_mapping_in_any_order():
    state = {str(k): float(k) for k in reversed(range(9))}
    model = nn.MLP(2, [2, 1])
    for mapping in (state, types.MappingProxyType(state)):
        filled(model).load_state_dict(mapping)
        assert [p.data for p in model.parameters()] == list(range(9))


def test_states_are_files_and_come_back(tmp_path):
    model, other = filled(nn.MLP(3, [4, 2])), nn.MLP(3, [4, 2])
    nn.save(model, tmp_path / "model.npz")
    state = nn.load(tmp_path / "model.npz")
    assert list(state.items()) == list(model.state_dict().items())
    other.load_state_dict(state)
    assert [p.data for p in other.parameters()] == [p.data for p in model.parameters()]
    mixed = {"0": 1.5, "1": "text", "2": {}, "x": {"0": 1, "1": 2}, "y": {"1": 0.5}}
    nn.save(mixed, tmp_path / "mixed.npz")
    assert nn.load(tmp_path / "mixed.npz") == mixed


# ---- copies ----


@pytest.mark.parametrize("way", COPIES)
def test_a_copy_has_the_numbers_and_parameters_of_its_own(way):
    model = filled(nn.MLP(3, [4, 2]))
    twin = COPIES[way](model)
    assert numbers(twin) == numbers(model)
    assert not set(twin.parameters()) & set(model.parameters())
    twin.zero_grad()
    loss = sum(twin([1.0, 2.0, 3.0]))
    loss.backward()
    assert twin.layers[1].neurons[0].b.grad == 1.0
    assert numbers(model) == numbers(filled(model))


@pytest.mark.parametrize("way", COPIES)
def test_what_is_shared_is_shared_in_the_copy(way):
    model = Tied()
    optimizer = optim.Adam(model.parameters(), lr=0.1)
    twin, optimizer_s, listed = COPIES[way]([model, optimizer, model.parameters()])
    assert twin.first.w is twin.second.w
    assert twin.first.b is twin.second.b
    assert all(p is q for p, q in zip(twin.parameters(), listed, strict=True))
    for p in listed:
        p.grad = 1.0
    before = [p.data for p in listed]
    optimizer_s.step()
    assert all(p.data < old for p, old in zip(twin.parameters(), before, strict=True))


@pytest.mark.parametrize("way", COPIES)
def test_what_hangs_on_a_parameter_goes_along(way):
    v = Value(2.0, label="w")
    v.m, v.history, v.me = 0.5, [1, 2], v
    v.grad = 3.0
    v._op = "weight"
    twin, again = COPIES[way]([v, v])
    assert twin is again and twin is not v
    assert twin.me is twin
    assert (twin.data, twin.grad, twin._op, twin.label, twin.m) == (2.0, 3.0, "weight", "w", 0.5)
    assert twin.history == [1, 2] and twin.history is not v.history


def test_a_reducer_that_a_program_registered_makes_deep_copies_and_pickles():
    copyreg.pickle(Value, lambda v: (Value, (v.data + 1,)))
    try:
        for copied in COPIES.values():
            assert copied(Value(2.0)).data == 3.0
    finally:
        del copyreg.dispatch_table[Value]


def test_a_setstate_that_a_program_put_in_place_is_asked(monkeypatch):
    own, seen = Value.__setstate__, []

    def setstate(self, state):
        seen.append(state)
        own(self, state)

    kept = pickle.dumps(Value(1.5))
    monkeypatch.setattr(Value, "__setstate__", setstate)
    assert pickle.loads(kept).data == 1.5
    assert copy.deepcopy(Value(2.5)).data == 2.5
    assert seen == [(1.5, 0.0, "", {}), (2.5, 0.0, "", {})]


class Mixin:
    def __deepcopy__(self, memo):
        return "the mixin's"


def test_a_base_that_stands_after_value_may_say_how_to_copy():
    class Mixed(Value, Mixin):
        pass

    assert copy.deepcopy(Mixed(1.0)) == "the mixin's"
    assert copy.deepcopy([Mixed(1.0)]) == ["the mixin's"]
