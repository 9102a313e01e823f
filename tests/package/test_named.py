"""Parameters that hang on modules, their names, and states and files by name."""

import json
import random
from collections import OrderedDict

import numpy as np
import pytest

import micrograd_fast as mg
from micrograd_fast import Value, nn


class Net(nn.Module):
    """What may hang on a module, of every kind."""

    def __init__(self):
        self.name, self.sizes, self.nothing = "net", [1, 2.0, "x", None], None
        self.scale = Value(1.0)
        self.first = nn.Linear(1, 2)
        self.pair = (Value(2.0), nn.Neuron(1))
        self.by_name = {"a": Value(3.0), "b": [Value(4.0), 5, Value(6.0)]}
        self.array = np.array([[Value(7.0), Value(8.0)]])
        self.others = [np.array([Value(9.0)]) for _ in range(3)]
        self.numbers = np.ones(3)
        self.result, self.results = Value(9.0) * 2, [Value(9.0) * 2]
        self.tied = self.first
        self.again = [self.scale, self.by_name["a"]]
        self.ring = [self]
        self.ring.append(self.ring)
        self.function = lambda x: x


NAMES = [
    "scale", "first.weight.0.0", "first.weight.1.0", "first.bias.0", "first.bias.1", "pair.0",
    "pair.1.w.0", "pair.1.b", "by_name.a", "by_name.b.0", "by_name.b.2", "array.0.0", "array.0.1",
    "others.0.0", "others.1.0", "others.2.0",
]  # fmt: skip


def same(ps, qs):
    return len(ps) == len(qs) and all(p is q for p, q in zip(ps, qs, strict=True))


def test_parameters_are_found_in_the_order_of_attributes_each_once():
    net = Net()
    assert [name for name, _ in net.named_parameters()] == NAMES
    found = net.parameters()
    assert same(found, [p for _, p in net.named_parameters()])
    assert [found[k].data for k in (0, 5, 8, 9, 10, 11, 12)] == [1, 2, 3, 4, 6, 7, 8]
    net.later = Value(1.0)
    assert [name for name, _ in net.named_parameters()] == [*NAMES, "later"]
    del net.first
    assert net.parameters()[-2] is net.tied.bias[1]  # now it stands later, under the other name
    assert nn.Module().parameters() == [] and list(nn.Module().named_parameters()) == []


def test_zero_grad_and_optimizers_go_over_what_hangs_there():
    net = Net()
    for p in net.parameters():
        p.grad = 1.0
    net.zero_grad()
    assert {p.grad for p in net.parameters()} == {0.0}
    assert len(mg.optim.SGD(net.parameters()).params) == len(NAMES)


def test_mlp_s_names_and_parameters_are_the_same_list():
    for model in (nn.MLP(2, [3, 1]), nn.Layer(2, 3), nn.Neuron(2), nn.Neuron(0), nn.MLP(1, [])):
        assert same([p for _, p in model.named_parameters()], model.parameters())
    names = [name for name, _ in nn.MLP(2, [2, 1]).named_parameters()]
    assert names == [
        "layers.0.neurons.0.w.0", "layers.0.neurons.0.w.1", "layers.0.neurons.0.b",
        "layers.0.neurons.1.w.0", "layers.0.neurons.1.w.1", "layers.0.neurons.1.b",
        "layers.1.neurons.0.w.0", "layers.1.neurons.0.w.1", "layers.1.neurons.0.b",
    ]  # fmt: skip


class Own(nn.Module):
    """A parameters() of its own: as in micrograd."""

    def __init__(self):
        self.unused, self.a, self.b = Value(0.0), Value(1.0), Value(2.0)

    def parameters(self):
        return [self.b, self.a, self.b]


class Adding(nn.Module):
    def __init__(self):
        self.a, self.inner = Value(1.0), Own()

    def parameters(self):
        return [*super().parameters(), self.a]


def test_a_parameters_method_of_ones_own_decides_alone():
    own = Own()
    assert same(own.parameters(), [own.b, own.a, own.b])
    assert list(own.state_dict().items()) == [("0", 2.0), ("1", 1.0), ("2", 2.0)]
    own.load_state_dict({"0": 5.0, "1": 6.0, "2": 7.0})
    assert (own.a.data, own.b.data, own.unused.data) == (6.0, 7.0, 0.0)
    assert [name for name, _ in own.named_parameters()] == ["0", "1", "2"]
    adding = Adding()
    assert same(adding.parameters(), [adding.a])  # super()'s are none, as in micrograd


def test_modules_within_modules_are_asked():
    class Outer(nn.Module):
        def __init__(self):
            self.own, self.mlp = Own(), nn.MLP(1, [1])

    outer = Outer()
    names = [name for name, _ in outer.named_parameters()]
    assert names[:2] == ["own.0", "own.1"] and names[2] == "mlp.layers.0.neurons.0.w.0"
    assert same(outer.parameters()[:2], [outer.own.b, outer.own.a])
    odd, extra = outer.mlp.layers[0].neurons[0], Value(1.0)
    odd.parameters = lambda: [extra]
    assert dict(outer.named_parameters())["mlp.layers.0.neurons.0.0"] is extra


def test_a_subclass_of_a_neuron_keeps_the_names_of_a_neuron():
    class Noisy(nn.Neuron):
        def __init__(self, nin):
            super().__init__(nin)
            self.noise = Value(1.0)

    noisy = Noisy(1)
    assert [name for name, _ in noisy.named_parameters()] == ["w.0", "b"]
    layer = nn.Layer(1, 2)
    layer.neurons[1] = noisy
    names = [name for name, _ in layer.named_parameters()]
    assert names == ["neurons.0.w.0", "neurons.0.b", "neurons.1.w.0", "neurons.1.b"]


def test_two_parameters_of_one_name_have_no_state():
    net = nn.Module()
    net.d = {1: Value(1.0), "1": Value(2.0)}
    assert len(net.parameters()) == 2
    with pytest.raises(ValueError, match=r"two parameters have the name 'd\.1'"):
        net.state_dict()


def test_very_deep_nesting_is_an_error_and_no_crash():
    net, deep = nn.Module(), []
    for _ in range(100_000):
        deep = [deep]
    net.deep = deep
    with pytest.raises(RecursionError):
        net.parameters()
    while deep:
        deep = deep[0]


# ---- states ----


def test_states_by_name_go_into_another_module_in_any_order():
    net, other = Net(), Net()
    state = net.state_dict()
    assert list(state) == NAMES
    for p in net.parameters():
        p.data += 1.0
    assert state["scale"] == 1.0
    other.load_state_dict(json.loads(json.dumps(dict(reversed(net.state_dict().items())))))
    assert [p.data for p in other.parameters()] == [p.data for p in net.parameters()]


def test_a_state_by_position_still_loads():
    model = nn.MLP(2, [2, 1])
    numbers = [k + 0.5 for k in range(9)]
    model.load_state_dict({str(k): number for k, number in enumerate(numbers)})
    assert [p.data for p in model.parameters()] == numbers
    with pytest.raises(KeyError, match=r"state of 8 numbers for 9 parameters: missing \['8'\]"):
        model.load_state_dict({str(k): 0.0 for k in range(8)})
    assert [p.data for p in model.parameters()] == numbers


def test_a_file_of_0_1_still_loads(tmp_path):
    """As nn.save wrote it: one array by position."""
    model = nn.MLP(2, [2, 1])
    numbers = np.arange(9.0)
    head = np.array([1, 1], dtype=np.int64)
    np.savez(tmp_path / "old.npz", **{"micrograd_fast": head, "#": numbers})
    model.load_state_dict(nn.load(tmp_path / "old.npz"))
    assert [p.data for p in model.parameters()] == list(numbers)


def test_what_is_no_module_s_state_is_written_in_the_old_format(tmp_path):
    nn.save({"w": {"0": 1.0, "1": 2.0}, "rate": 0.5}, tmp_path / "plain.npz")
    with np.load(tmp_path / "plain.npz") as arrays:
        assert arrays["micrograd_fast"].tolist() == [1, 2]
        assert sorted(arrays) == ["micrograd_fast", "rate", "w/#"]


def test_names_that_files_use_themselves_are_refused(tmp_path):
    for key in ("#", "#names", "#activations"):
        with pytest.raises(ValueError, match="cannot be the name of an entry"):
            nn.save({"x": {key: "text"}}, tmp_path / "x.npz")


# ---- files ----


def test_a_file_keeps_names_and_activations(tmp_path):
    random.seed(1)
    net = Net()
    net.mlp = nn.MLP(2, [3, 1], activation="tanh")
    nn.save(net, tmp_path / "net.npz")
    state = nn.load(tmp_path / "net.npz")
    assert list(state.items()) == list(net.state_dict().items())
    assert state.activations == {
        "pair.1": "relu",
        **{f"mlp.layers.0.neurons.{k}": "tanh" for k in range(3)},
        "mlp.layers.1.neurons.0": "linear",
    }
    with np.load(tmp_path / "net.npz") as arrays:
        assert arrays["micrograd_fast"].tolist() == [2, 3]  # versions before do not read it
        assert np.array_equal(arrays["#"], [p.data for p in net.parameters()])
    nn.save({"model": net.state_dict(), "epoch": 3}, tmp_path / "run.npz")
    again = nn.load(tmp_path / "run.npz")
    assert again == {"model": state, "epoch": 3}
    assert again["model"].activations == state.activations
    nn.save(again, tmp_path / "twice.npz")
    assert nn.load(tmp_path / "twice.npz")["model"].activations == state.activations


def test_a_file_of_a_large_model_is_little_more_than_its_numbers(tmp_path):
    model = nn.MLP(64, [64, 10])
    nn.save(model, tmp_path / "model.npz")
    n_bytes = 8 * len(model.parameters())
    assert (tmp_path / "model.npz").stat().st_size < 1.4 * n_bytes + 2000


@pytest.mark.parametrize("key", ["a\tb", "a\nb", "x" * 300])
def test_a_name_that_does_not_fit_into_a_line_is_an_entry_of_its_own(key, tmp_path):
    net = nn.Module()
    net.d = {key: Value(1.5), "z": [Value(2.5)]}
    nn.save(net, tmp_path / "odd.npz")
    assert nn.load(tmp_path / "odd.npz") == {f"d.{key}": 1.5, "d.z.0": 2.5}


@pytest.mark.parametrize("saved", [True, False])
@pytest.mark.parametrize(
    ("theirs", "ours", "error", "message"),
    [
        (
            (2, [16, 1]),
            (2, [8, 1]),
            KeyError,
            r"65 numbers for 33 parameters: .*'layers.0.neurons.8",
        ),
        ((2, [3, 1]), (11, [1]), KeyError, r"missing \['layers.0.neurons.0.w.2'"),  # 13 and 12
        ((1, [2, 2]), (4, [2]), KeyError, r"10 numbers for 10 parameters: missing"),
    ],
)
def test_a_state_of_other_sizes_is_refused(theirs, ours, error, message, saved, tmp_path):
    state = nn.MLP(*theirs).state_dict()
    if saved:
        nn.save(state, tmp_path / "theirs.npz")
        state = nn.load(tmp_path / "theirs.npz")
    model = nn.MLP(*ours)
    before = [p.data for p in model.parameters()]
    with pytest.raises(error, match=message):
        model.load_state_dict(state)
    assert [p.data for p in model.parameters()] == before


def test_a_state_of_another_activation_is_refused(tmp_path):
    model = nn.MLP(2, [3, 1], activation="tanh")
    nn.save(model, tmp_path / "tanh.npz")
    other = nn.MLP(2, [3, 1])
    before = [p.data for p in other.parameters()]
    for state in (nn.load(tmp_path / "tanh.npz"), model.state_dict()):
        with pytest.raises(ValueError, match=r"layers.0.neurons.0 has the activation 'tanh', here"):
            other.load_state_dict(state)
        assert [p.data for p in other.parameters()] == before
        other.load_state_dict(dict(state))  # by the numbers alone, whoever wants that
        for p, number in zip(other.parameters(), before, strict=True):
            p.data = number
    neuron = nn.Neuron(1, nonlin=False)
    with pytest.raises(ValueError, match="whose neuron has the activation 'relu', here it is 'lin"):
        neuron.load_state_dict(nn.Neuron(1).state_dict())
    neuron.nonlin = True
    neuron.load_state_dict(nn.Neuron(1).state_dict())


def test_a_compiled_function_sees_what_is_hung_on_a_module_later():
    net = nn.Module()
    net.a = Value(2.0)
    f = mg.compile(lambda x: x * sum(p * p for p in net.parameters()))
    assert f(1.0).data == 4.0
    net.b = Value(3.0)
    assert f(1.0).data == 13.0
    net.a = Value(1.0)
    assert f(1.0).data == 10.0
    net.inner = nn.Module()
    net.inner.list = [Value(2.0)]
    assert f(1.0).data == 14.0  # 1 + 9 + 4
    net.inner.list.append(Value(3.0))
    assert f(1.0).data == 23.0
    net.inner.other = Value(1.0)
    assert f(1.0).data == 24.0
    linear = nn.Linear(1, 1, init=lambda nin, nout: 2.0)
    g = mg.compile(lambda x: linear([x])[0])
    assert g(1.0).data == 2.0
    linear.weight[0][0] = Value(5.0)
    assert g(1.0).data == 5.0
    cell = nn.GRUCell(1, 1)
    h = mg.compile(lambda x: cell([x])[0])
    h(1.0)
    cell.weight_ih = [[Value(0.0)] for _ in range(3)]
    cell.bias_ih = [Value(0.0), Value(0.0), Value(100.0)]
    assert h(1.0).data == pytest.approx(cell([1.0])[0].data)


def test_an_ordered_dict_is_a_dict():
    net = nn.Module()
    net.d = OrderedDict(a=Value(1.0), b=nn.Linear(1, 1))
    assert [n for n, _ in net.named_parameters()] == ["d.a", "d.b.weight.0.0", "d.b.bias.0"]
