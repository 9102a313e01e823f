"""Linear, Sequential, Embedding, LSTMCell, GRUCell: PyTorch 2.13's numbers, eager and compiled.

Parameters and inputs are those of filled() and INPUTS here; PyTorch printed what stands in
OF_CELLS: the state after four steps, and of each tensor of parameters sum(cos(k) * grad[k]), for
the loss sum(h**2).
"""

import math
import random

import numpy as np
import pytest

import micrograd_fast as mg
from micrograd_fast import Value, nn

INPUTS = [[math.sin(1 + k + 3 * t) for k in range(3)] for t in range(4)]
OF_CELLS = [
    (
        nn.LSTMCell,
        True,
        [-0.27097627699721183, 0.06246767676218024, -0.6937031800121579, 0.07772922019795328],
        [-0.2207010934507814, -0.06589182513860087, 0.16679181438569013, 0.16679181438569013],
    ),
    (
        nn.LSTMCell,
        False,
        [0.059251584643104774, 0.09451650392842043, 0.19784759221508086, 0.2508528974370974],
        [0.05211797578797494, 0.004461589707666417],
    ),
    (
        nn.GRUCell,
        True,
        [-0.5160850524762858, 0.5202786187238357],
        [-0.15776145237105813, 0.1645516255095324, 0.5698716733425254, 0.39695152323235283],
    ),
    (
        nn.GRUCell,
        False,
        [0.4193546304609968, 0.770462500931936],
        [-0.35477171671209634, -0.3849567501530839],
    ),
]
EVERY_CELL = pytest.mark.parametrize(("kind", "bias", "state", "sums"), OF_CELLS)


def tensors(module):
    """The parameters in the groups that PyTorch has them in, in its order."""
    found = {}
    for name, p in module.named_parameters():
        parts = [part for part in name.split(".") if not part.isdecimal()]
        found.setdefault((name.split(".")[1] if "layers" in parts else "", *parts), []).append(p)
    return list(found.values())


def filled(module):
    for seed, of_one in enumerate(tensors(module)):
        for k, p in enumerate(of_one):
            p.data = math.sin(seed + 0.7 * k) * 0.8
    return module


def flat(state):
    return [*state[0], *state[1]] if isinstance(state, tuple) else state


def near(numbers):
    return pytest.approx(numbers, rel=1e-12, abs=1e-14)


@EVERY_CELL
def test_a_cell_gives_pytorch_s_states_and_gradients(kind, bias, state, sums):
    cell, found = filled(kind(3, 2, bias)), None
    for x in INPUTS:
        found = cell(x, found)
    assert [v.data for v in flat(found)] == near(state)
    sum(h * h for h in flat(found)[:2]).backward()
    weighed = [sum(math.cos(k) * p.grad for k, p in enumerate(t)) for t in tensors(cell)]
    assert weighed == near(sums)


@EVERY_CELL
def test_a_compiled_cell_gives_the_same(kind, bias, state, sums):
    cell = filled(kind(3, 2, bias))

    @mg.compile(batch=True)
    def after(xs):
        found = None
        for x in xs:
            found = cell(x, found)
        return flat(found)

    many = after(np.array([INPUTS, INPUTS[::-1], INPUTS]))
    assert many.data[0] == near(state) and many.data[2] == near(state)
    a, b, *_ = many[0]
    (a * a + b * b).backward()
    weighed = [sum(math.cos(k) * p.grad for k, p in enumerate(t)) for t in tensors(cell)]
    assert weighed == near(sums)


def test_a_given_state_may_be_numbers_and_zeros_are_the_default():
    for kind, zeros in ((nn.LSTMCell, (np.zeros(2), (0, 0))), (nn.GRUCell, np.zeros(2))):
        cell = filled(kind(3, 2))
        a, b = cell(INPUTS[0]), cell(iter(INPUTS[0]), zeros)
        assert [v.data for v in flat(a)] == near([v.data for v in flat(b)])


def test_linear_and_sequential_give_pytorch_s_numbers():
    linear = filled(nn.Linear(3, 2))
    assert [v.data for v in linear(INPUTS[0])] == near([1.2530585151738292, 1.5785054218695451])
    model = nn.Sequential(nn.Linear(3, 2), lambda x: [v.tanh() for v in x], nn.Linear(2, 1))
    (out,) = filled(model)(INPUTS[0])
    assert out.data == near(1.0445856446966197)
    (batch,) = (mg.compile(model, batch=True)(np.array(INPUTS)),)
    assert batch.data[:, 0] == near([model(x)[0].data for x in INPUTS])
    assert len(model) == 3 and model[2] is list(model)[2]
    assert model[:2].parameters() == model[0].parameters() and list(model[1:]) == list(model)[1:]
    plain = nn.Linear(3, 2, bias=False)
    assert (plain.bias, len(plain.parameters())) == (None, 6)
    expected = [sum(w.data * x for w, x in zip(row, INPUTS[0])) for row in plain.weight]  # noqa: B905
    assert [v.data for v in plain(INPUTS[0])] == near(expected)
    assert nn.Sequential()(5) == 5


def test_an_embedding_picks_rows_eager_and_compiled():
    table = nn.Embedding(4, 3)
    row = table(2)
    assert all(p is q for p, q in zip(row, table.weight[2], strict=True))
    row.clear()  # a list of its own
    f = mg.compile(lambda k: sum(v * v for v in table(k)), batch=True)
    found = f(np.array([3, 0, 3]))
    expected = [sum(v.data**2 for v in table.weight[k]) for k in (3, 0, 3)]
    assert found.data == near(expected)
    found.sum().backward()
    assert table.weight[3][1].grad == near(4 * table.weight[3][1].data)
    assert table.weight[1][1].grad == 0.0
    for wrong, error in ((4, IndexError), (-1, IndexError), (1.5, TypeError), ("a", TypeError)):
        with pytest.raises(error):
            table(wrong)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: nn.Linear(3, 2)([1.0, 2.0]), ValueError, "x must have 3 items, not 2"),
        (lambda: nn.Linear(3, 2)(5), TypeError, "x must be a list of 3 Values or numbers"),
        (lambda: nn.Linear(1, 2)(Value(1.0)), TypeError, "x must be a list of 1 Values"),
        (lambda: nn.Linear(0, 2), ValueError, "nin must be 1 or more"),
        (lambda: nn.Linear(2, 1.5), TypeError, "nout must be a whole number, not 'float'"),
        (lambda: nn.Embedding(3, 0), ValueError, "dim must be 1 or more"),
        (lambda: nn.LSTMCell(3, 2)([1.0] * 4), ValueError, "x must have 3 items"),
        (lambda: nn.LSTMCell(3, 2)([1.0] * 3, ([0.0], [0.0])), ValueError, "h must have 2 items"),
        (lambda: nn.LSTMCell(3, 2)([1.0] * 3, [0.0] * 3), ValueError, r"state must be \(h, c\)"),
        (lambda: nn.GRUCell(3, 2)([1.0] * 3, [0.0] * 3), ValueError, "h must have 2 items"),
        (lambda: nn.GRUCell(3, 2.0), TypeError, "nhidden must be a whole number"),
        (lambda: nn.Sequential([nn.Linear(1, 1)]), TypeError, "layer 0 must be a module or a func"),
    ],
)
def test_mistakes_are_named(call, error, message):
    with pytest.raises(error, match=message):
        call()


def test_a_state_that_is_no_pair_and_a_sample_that_is_a_matrix():
    with pytest.raises(TypeError, match=r"state must be \(h, c\), two lists, not 'int'"):
        nn.LSTMCell(2, 2)([1.0, 2.0], 5)
    with pytest.raises(ValueError, match="x of 2 axes is no sample, a list of 2"):
        nn.Linear(2, 2)(np.ones((2, 2)))


def test_texts():
    model = nn.Sequential(nn.Linear(2, 3), abs, nn.Embedding(4, 5), nn.LSTMCell(1, 2))
    assert repr(model) == ("Sequential of [Linear(2, 3), abs, Embedding(4, 5), LSTMCell(1, 2)]")
    assert repr(nn.GRUCell(1, 2, bias=False)) == "GRUCell(1, 2, bias=False)"
    assert repr(nn.Linear(1, 2, bias=False)) == "Linear(1, 2, bias=False)"


# ---- init ----

MAKERS = {
    "Neuron": (lambda **k: nn.Neuron(50, **k), 50, 1),
    "Layer": (lambda **k: nn.Layer(20, 10, **k), 20, 10),
    "MLP": (lambda **k: nn.MLP(20, [10], **k), 20, 10),
    "Linear": (lambda **k: nn.Linear(20, 10, **k), 20, 10),
    "LSTMCell": (lambda **k: nn.LSTMCell(12, 12, **k), 12, 12),
    "GRUCell": (lambda **k: nn.GRUCell(12, 12, **k), 12, 12),
    "Embedding": (lambda **k: nn.Embedding(20, 10, **k), 20, 10),
}


def weights(module):
    """The numbers that were drawn: biases are 0."""
    return [p.data for p in module.parameters() if p.data != 0.0]


@pytest.mark.parametrize("name", MAKERS)
def test_names_of_draws_have_their_limits_and_the_seed_decides(name):
    make, nin, nout = MAKERS[name]
    limits = {"uniform": 1.0, "xavier": math.sqrt(6 / (nin + nout)), "kaiming": math.sqrt(6 / nin)}
    for init, limit in limits.items():
        random.seed(5)
        found = weights(make(init=init))
        assert 0.8 * limit < max(map(abs, found)) <= limit
        random.seed(5)
        assert weights(make(init=init)) == found
        random.seed(5)
        # One draw a weight, in the same order, whatever the limit.
        assert found == near([random.uniform(-limit, limit) for _ in found])
    random.seed(5)
    assert max(map(abs, weights(make(init="normal")))) > 1.5


@pytest.mark.parametrize("name", MAKERS)
def test_a_function_draws_with_the_sizes(name):
    make, nin, nout = MAKERS[name]
    seen = []

    def init(*sizes):
        seen.append(sizes)
        return 0.5 + len(seen)

    assert weights(make(init=init)) == [0.5 + k for k in range(1, len(seen) + 1)]
    assert set(seen) == {(nin, nout)}


def test_the_default_draws_are_micrograd_s_and_those_of_cells_xavier_s():
    for make in (nn.MLP, nn.Layer):
        sizes = [4, 3] if make is nn.MLP else 3
        random.seed(2)
        plain, following = weights(make(2, sizes)), random.random()
        random.seed(2)
        assert (weights(make(2, sizes, init="uniform")), random.random()) == (plain, following)
    random.seed(2)
    assert weights(nn.MLP(2, [1]))[0] == (random.seed(2), random.uniform(-1, 1))[1]
    random.seed(2)
    cell = weights(nn.GRUCell(3, 2))
    random.seed(2)
    assert weights(nn.GRUCell(3, 2, init="xavier")) == cell


@pytest.mark.parametrize("name", MAKERS)
def test_a_wrong_init_is_named_and_draws_nothing(name):
    make, _, _ = MAKERS[name]
    state = random.getstate()
    for wrong, error, message in (
        ("Xavier", ValueError, "init must be one of .*'xavier'.*, not 'Xavier'"),
        (0.5, TypeError, "init must be a name or a function of"),
        (lambda nin, nout: "x", TypeError, "init must return a number, not 'str'"),
    ):
        with pytest.raises(error, match=message):
            make(init=wrong)
        assert random.getstate() == state


def test_a_cell_learns_to_remember():
    random.seed(3)
    cell, out = nn.LSTMCell(1, 4), nn.Linear(4, 1)
    optimizer = mg.optim.Adam([*cell.parameters(), *out.parameters()], lr=0.05)

    @mg.compile(batch=True)
    def loss(xs):
        state = None
        for x in xs:
            state = cell([x], state)
        return (out(state[0])[0] - xs[0]) ** 2

    X = np.random.default_rng(0).choice([-1.0, 1.0], size=(64, 5))
    losses = []
    for _ in range(60):
        mean = loss(X).mean()
        optimizer.zero_grad()
        mean.backward()
        optimizer.step()
        losses.append(mean.data)
    assert losses[-1] < 0.1 * losses[0]
