"""Groups of parameters, closures, frozen parameters: the numbers that PyTorch 2.13 gave.

Each path is 20 steps from START with the gradients of grad(t, k), p.grad = None for what is frozen
there; what PyTorch printed stands here.
"""

import copy
import json
import math
import pickle

import pytest

import micrograd_fast as mg
from micrograd_fast import Value, nn, optim
from micrograd_fast.optim import SGD, Adagrad, Adam, AdamW, Optimizer, RMSprop

START = [0.5, -1.25, 3.0, 1e-3]
KINDS = [SGD, Adam, AdamW, RMSprop, Adagrad]


def grad(t, k):
    return math.sin(1.3 * t + 2.1 * k) * (k + 0.5)


def is_frozen_later(t, k):
    return (k == 2 and 3 <= t < 9) or (k == 0 and t in (6, 7))


def is_frozen(t, k):
    return (k == 1 and t < 5) or (k == 2 and 3 <= t < 9) or (k == 3 and t % 2 == 1)


def values(numbers=START):
    return [Value(x) for x in numbers]


def walked(optimizer, params, steps=range(20), frozen=None):
    """The data after these steps."""
    for t in steps:
        for k, p in enumerate(params):
            p.grad = grad(t, k)
            if frozen:
                p.requires_grad = not frozen(t, k)
        optimizer.step()
    return [p.data for p in params]


def near(numbers):
    return pytest.approx(numbers, rel=1e-12, abs=1e-14)


# ---- PyTorch's numbers ----

OF_ALL = [
    (
        SGD,
        {"lr": 0.05, "momentum": 0.9, "nesterov": True, "weight_decay": 0.1},
        [0.16907358942785847, -0.6574242889020379, 1.8436101516515808, -0.4546527575285549],
    ),
    (
        Adam,
        {"lr": 0.05, "amsgrad": True},
        [0.3840834108867871, -1.3054395711539053, 3.154474443646534, -0.16593896899281985],
    ),
    (
        AdamW,
        {"lr": 0.05},
        [0.38001554300272533, -1.2924756244678002, 3.123327111307905, -0.16455964379771765],
    ),
    (
        RMSprop,
        {},
        [0.4445575471793388, -1.2948636147568735, 3.090019837181449, -0.15344827318673387],
    ),
    (
        RMSprop,
        {
            "lr": 0.02,
            "alpha": 0.9,
            "eps": 0.001,
            "weight_decay": 0.1,
            "momentum": 0.5,
            "centered": True,
            "maximize": True,
        },
        [0.3584052317685836, -1.1026744060023674, 2.7400780948680814, 0.21107176482554113],
    ),
    (
        RMSprop,
        {"lr": 0.05, "centered": True},
        [0.2175071115566324, -1.4765129023964585, 3.456243987717987, -0.7791188761355519],
    ),
    (
        Adagrad,
        {},
        [0.4943233963441357, -1.2544222891121963, 3.009047572883, -0.014576601252068073],
    ),
    (
        Adagrad,
        {
            "lr": 0.3,
            "lr_decay": 0.1,
            "weight_decay": 0.05,
            "initial_accumulator_value": 0.2,
            "eps": 0.0001,
            "maximize": True,
        },
        [0.5418275662278402, -1.0799014385262593, 2.633231147399782, 0.24009498815659508],
    ),
]
OF_FROZEN = [
    (
        SGD,
        {"lr": 0.05, "momentum": 0.9, "dampening": 0.5, "weight_decay": 0.1},
        [0.2969739197507405, -1.1691366485600665, 3.5726257631203384, -0.06950339944093639],
    ),
    (
        Adam,
        {"lr": 0.05, "weight_decay": 0.1},
        [0.24674234632689548, -1.1949160982486364, 3.1631949376065682, -0.08608847598983967],
    ),
    (
        AdamW,
        {"lr": 0.05},
        [0.38001554300272533, -1.2664575565137186, 3.24224205399715, -0.08681774484016026],
    ),
    (
        RMSprop,
        {"lr": 0.05, "momentum": 0.9},
        [-3.0005583680345516, -1.830729125384342, 9.509993201511017, -4.873434284800265],
    ),
    (
        Adagrad,
        {"lr": 0.5, "lr_decay": 0.3},
        [0.1657215672231377, -1.431696534139097, 3.7457519848257013, -0.6974173969551112],
    ),
]
# The same optimizers, where all parameters have made some steps before any is frozen.
OF_FROZEN_LATER = [
    [0.4301079944345658, -1.1417088259737596, 3.5726257631203384, -0.39208540382844115],
    [0.36093811671914194, -1.195618795162284, 3.1631949376065682, -0.16155487373428834],
    [0.49464808057564014, -1.2924756244678002, 3.24224205399715, -0.16455964379771765],
    [0.01546637799333304, -2.465148525043153, 9.509993201511017, -7.843311308593893],
    [0.3172880120617001, -1.4895519011381444, 3.7457519848257013, -0.8295641408724281],
]


@pytest.mark.parametrize("k", range(len(OF_FROZEN)))
def test_what_is_frozen_later_has_made_the_steps_before(k):
    (kind, config, _), params = OF_FROZEN[k], values()
    found = walked(kind(params, **config), params, frozen=is_frozen_later)
    assert found == near(OF_FROZEN_LATER[k])


@pytest.mark.parametrize(("kind", "config", "expected"), OF_ALL)
def test_twenty_steps_lead_where_pytorch_s_lead(kind, config, expected):
    params = values()
    assert walked(kind(params, **config), params) == near(expected)


@pytest.mark.parametrize(("kind", "config", "expected"), OF_FROZEN)
def test_what_is_frozen_is_left_out_as_pytorch_leaves_out_what_has_no_gradient(
    kind, config, expected
):
    params = values()
    assert walked(kind(params, **config), params, frozen=is_frozen) == near(expected)


@pytest.mark.parametrize(("kind", "config", "expected"), OF_FROZEN)
@pytest.mark.parametrize("done", [1, 4, 10])
def test_a_state_with_frozen_parameters_goes_on_alike(kind, config, expected, done):
    params = values()
    optimizer = kind(params, **config)
    walked(optimizer, params, range(done), is_frozen)
    twins = values(p.data for p in params)
    twin = kind(twins, lr=7.0)
    twin.load_state_dict(json.loads(json.dumps(optimizer.state_dict())))
    assert walked(twin, twins, range(done, 20), is_frozen) == near(expected)


def test_groups_of_sgd():
    a, b, c, d = params = values()
    groups = [
        {"params": [a], "lr": 0.2},
        {"params": [b, c], "momentum": 0.5, "weight_decay": 0.1},
        {"params": d},
    ]
    expected = [-0.020623958123735374, -1.2090850891564675, 2.9094326413858016, -0.1835784693847218]
    assert walked(SGD(groups, lr=0.01, momentum=0.9), params) == near(expected)
    assert groups[0] == {"params": [a], "lr": 0.2}  # the caller's own dicts stay as they were


def test_a_list_of_betas_is_each_group_s_own():
    betas = [0.5, 0.8]
    optimizer = Adam([{"params": [Value(1.0)]}, {"params": [Value(1.0)]}], betas=betas)
    optimizer.param_groups[0]["betas"][0] = 0.7
    assert optimizer.param_groups[1]["betas"] == betas == [0.5, 0.8]


def test_groups_of_adam():
    params = values()
    groups = [
        {"params": params[:2], "betas": (0.5, 0.8)},
        {"params": params[2:], "lr": 0.3, "maximize": True},
    ]
    expected = [0.48534181980588437, -1.2626924154257877, 2.0731616441811895, 1.0026338139569186]
    assert walked(Adam(groups, lr=0.02), params) == near(expected)


def test_a_group_added_later_begins_with_its_first_step():
    params = values()
    optimizer = Adam(params[:2], lr=0.05)
    walked(optimizer, params, range(5))
    optimizer.add_param_group({"params": params[2:], "lr": 0.1})
    expected = [0.3894197073920626, -1.3116918037320804, 3.2603649867249107, -0.30584771265854227]
    assert walked(optimizer, params, range(5, 12)) == near(expected)


# ---- groups ----


def two_groups(kind=SGD, **config):
    params = values()
    return params, kind([{"params": params[:1], "lr": 0.5}, {"params": params[1:]}], **config)


def test_settings_of_a_group_may_be_changed_between_steps():
    params, optimizer = two_groups(lr=0.1)
    for p in params:
        p.grad = 1.0
    optimizer.param_groups[1]["lr"] = 0.25
    optimizer.step()
    assert [p.data for p in params] == [0.0, -1.5, 2.75, 1e-3 - 0.25]
    optimizer.param_groups[0]["lr"] = -1.0
    optimizer.param_groups[1]["lr"] = 0.5
    before = [p.data for p in params]
    for _ in range(2):  # the first group is wrong, and later the second
        with pytest.raises(ValueError, match="lr must be in"):
            optimizer.step()
        assert [p.data for p in params] == before
        optimizer.param_groups[0]["lr"], optimizer.param_groups[1]["lr"] = 0.5, -1.0


def test_an_attribute_is_what_all_groups_have_and_sets_all():
    _, optimizer = two_groups(lr=0.1)
    with pytest.raises(ValueError, match=r"the groups have lr = \[0.5, 0.1\]"):
        print(optimizer.lr)
    assert optimizer.momentum == 0.0
    optimizer.lr = 0.2
    assert (optimizer.lr, [g["lr"] for g in optimizer.param_groups]) == (0.2, [0.2, 0.2])
    (single,) = SGD(values(), lr=0.3).param_groups
    assert single["lr"] == 0.3
    optimizer = SGD(values(), lr=0.3)
    optimizer.param_groups[0]["lr"] = 0.4
    assert optimizer.lr == 0.4
    assert type(SGD.lr).__name__ == "Setting"


def test_params_and_zero_grad_go_over_all_groups():
    params, optimizer = two_groups()
    for p in params:
        p.grad = 1.0
    assert all(p is q for p, q in zip(optimizer.params, params, strict=True))
    optimizer.zero_grad()
    assert [p.grad for p in params] == [0.0] * 4


def test_what_is_no_group_raises_and_is_not_added():
    a, b = values([1.0, 2.0])
    optimizer = SGD([a], lr=0.1)
    wrong = [
        ([b], TypeError, "param_group must be a dict, not 'list'"),
        ({"lr": 0.1}, KeyError, "group 1 has no 'params'"),
        ({"params": [b], "speed": 1.0}, TypeError, r"group 1 has \['speed'\]"),
        ({"params": [b], "lr": -1.0}, ValueError, "lr must be in"),
        ({"params": [b, a]}, ValueError, r"params\[1\] of group 1 is in group 0 already"),
        ({"params": [b, b]}, ValueError, r"params\[1\] is the same Value"),
        ({"params": []}, ValueError, "empty"),
        ({"params": [b * 2]}, ValueError, "not a leaf"),
        ({"params": nn.Neuron(1)}, TypeError, r"give its parameters\(\)"),
    ]
    for group, error, message in wrong:
        with pytest.raises(error, match=message):
            optimizer.add_param_group(group)
        with pytest.raises(error):
            SGD([{"params": [a]}, group], lr=0.1)
        assert len(optimizer.param_groups) == 1
    optimizer.add_param_group({"params": b, "name": "second"})
    assert optimizer.param_groups[1]["name"] == "second"
    with pytest.raises(TypeError, match=r"params\[1\] must be a Value, not 'dict'"):
        SGD([a, {"params": [b]}])


def test_the_params_of_a_group_stay_and_plain_dicts_are_no_groups():
    params, optimizer = two_groups(lr=0.1)
    optimizer.step()
    optimizer.param_groups[1]["params"] = list(params[1:])  # the same ones
    optimizer.step()
    optimizer.param_groups[1]["params"] = params[1:3]
    with pytest.raises(ValueError, match="the params of a group cannot be changed"):
        optimizer.step()
    optimizer.param_groups[1] = {"params": params[1:], "lr": 0.1}
    with pytest.raises(TypeError, match="param_groups holds a 'dict'"):
        optimizer.step()
    params, optimizer = two_groups(lr=0.1)
    del optimizer.param_groups[0]
    params[0].grad = params[1].grad = 1.0
    optimizer.step()
    assert (params[0].data, params[1].data) == (0.5, -1.35)


COPIES = {"deepcopy": copy.deepcopy, "pickle": lambda o: pickle.loads(pickle.dumps(o))}


@pytest.mark.parametrize("way", COPIES)
@pytest.mark.parametrize("kind", KINDS)
def test_copies_and_states_of_groups_go_on_alike(kind, way):
    params, optimizer = two_groups(kind, lr=0.05)
    walked(optimizer, params, range(4), is_frozen)
    twin = COPIES[way](optimizer)
    third, loaded = two_groups(kind, lr=9.0)
    loaded.load_state_dict(json.loads(json.dumps(optimizer.state_dict())))
    for p, q in zip(third, params, strict=True):
        p.data = q.data
    assert [p.requires_grad for p in twin.params] == [p.requires_grad for p in params]
    expected = walked(optimizer, params, range(4, 8), is_frozen)
    assert walked(twin, twin.params, range(4, 8), is_frozen) == expected
    assert walked(loaded, third, range(4, 8), is_frozen) == expected


def test_a_wrong_state_of_groups_raises_and_changes_nothing():
    params, optimizer = two_groups(Adam)
    walked(optimizer, params, range(2), is_frozen)
    before = json.dumps(optimizer.state_dict())
    single = Adam(values()).state_dict()
    spoilt = json.loads(before)
    spoilt["group1"]["hyperparameters"]["lr"] = -1.0
    half = json.loads(before)
    half["group1"]["buffers"]["steps"] = [0.5] * 3
    for wrong in (single, {**json.loads(before), "group2": single}, spoilt, half):
        with pytest.raises((KeyError, ValueError)):
            optimizer.load_state_dict(wrong)
        assert json.dumps(optimizer.state_dict()) == before
    with pytest.raises(KeyError, match="this optimizer has 1 groups"):
        Adam(values()).load_state_dict(json.loads(before))


def test_a_state_of_0_1_loads():
    """As SGD and Adam of 0.1 wrote it."""
    hyper = {"lr": 0.1, "momentum": 0.9, "dampening": 0.0, "weight_decay": 0.0}
    hyper |= {"nesterov": False, "maximize": False}
    state = {"steps": 3, "hyperparameters": hyper, "buffers": {"momentum_buffer": [1.0]}}
    (p,) = params = values([0.0])
    optimizer = SGD(params)
    optimizer.load_state_dict(state)
    optimizer.step()
    assert p.data == -(0.1 * (0.9 * 1.0))
    assert set(optimizer.state_dict()) == set(state)  # one group: the same as ever


# ---- closures ----


def test_a_closure_is_called_first_and_its_loss_returned():
    (p,) = params = values([3.0])
    optimizer = SGD(params, lr=0.25)

    def closure():
        optimizer.zero_grad()
        loss = p * p
        loss.backward()
        return loss

    assert optimizer.step(closure).data == 9.0
    assert p.data == 1.5
    assert optimizer.step() is None
    with pytest.raises(TypeError):
        optimizer.step(5)
    called = []
    with pytest.raises(mg.TraceError, match=r"an optimizer's step\(\)"):
        mg.compile(lambda x: x * optimizer.step(lambda: called.append(1)))(1.0)
    assert called == []


# ---- frozen ----


def test_a_gradient_of_zero_is_one_and_a_frozen_parameter_has_none():
    a, b = params = values([1.0, 1.0])
    assert a.requires_grad is True
    optimizer = SGD(params, lr=0.5, weight_decay=0.5, momentum=0.5)
    a.grad = b.grad = 1.0
    optimizer.step()
    optimizer.zero_grad()
    b.requires_grad = False
    at = b.data
    optimizer.step()
    assert a.data == 0.25 - 0.5 * (0.5 * 1.5 + 0.5 * 0.25)
    assert b.data == at
    del b.requires_grad
    assert b.requires_grad is True
    optimizer.step()
    assert b.data < at
    with pytest.raises(TypeError, match="grad must be a number"):
        a.grad = None


def test_a_parameter_is_frozen_through_its_dict_as_well():
    (p,) = params = values([1.0])
    optimizer = SGD(params, lr=1.0)
    p.grad = 1.0
    optimizer.step()
    found = []
    for change in (
        lambda: vars(p).update(requires_grad=False),
        lambda: vars(p).pop("requires_grad"),
        lambda: p.__setstate__((p.data, 1.0, "", {"requires_grad": False})),
        lambda: setattr(p, "__dict__", {}),
    ):
        change()
        before = p.data
        optimizer.step()
        found.append(p.data - before)
    assert found == [0.0, -1.0, 0.0, -1.0]


def test_a_subclass_may_be_frozen_as_a_whole():
    class Fixed(Value):
        requires_grad = False

    params = [Fixed(1.0), Value(1.0)]
    optimizer = SGD(params, lr=1.0)
    for p in params:
        p.grad = 1.0
    optimizer.step()
    assert [p.data for p in params] == [1.0, 0.0]
    params[0].requires_grad = True
    optimizer.step()
    assert [p.data for p in params] == [0.0, -1.0]


def test_parameters_made_again_while_they_are_looked_at_are_refused():
    class Sly(Value):
        @property
        def requires_grad(self):
            optimizer.param_groups[0].parameters.__init__(values())
            return True

    optimizer = SGD([Sly(1.0), Value(2.0)])
    with pytest.raises(RuntimeError, match="made again"):
        optimizer.step()


def test_an_optimizer_as_programs_wrote_them():
    """With attributes of its own and a step of its own."""

    class Sign(Optimizer):
        hyperparameters = ("lr",)

        def __init__(self, params, lr):
            super().__init__(params)
            self.lr = lr

        def step(self):
            for p in self.params:
                p.data -= self.lr * math.copysign(1.0, p.grad)

    (p,) = params = values([1.0])
    optimizer = Sign(params, 0.5)
    with pytest.raises(AttributeError, match="has no 'lr' yet"):
        print(_unset(Sign, params).lr)
    p.grad = -3.0
    optimizer.step()
    assert p.data == 1.5
    assert optimizer.state_dict()["hyperparameters"] == {"lr": 0.5}


def _unset(kind, params):
    made = kind.__new__(kind)
    Optimizer.__init__(made, params)
    return made


def test_the_package_has_the_names():
    assert {kind.__name__ for kind in KINDS} <= set(optim.__all__)
    assert optim.lr_scheduler.StepLR
