"""Learning rates over epochs: the numbers of PyTorch 2.13, to 1e-12; states; what is refused.

Each list is what get_last_lr() gave before every step, of groups that began with lr 0.1 and 0.5.
"""

import copy
import json
import math
import pickle

import numpy as np
import pytest

import micrograd_fast as mg
from micrograd_fast import Value, nn
from micrograd_fast.optim import SGD, Adagrad, Adam, RMSprop
from micrograd_fast.optim.lr_scheduler import (
    CosineAnnealingLR,
    ExponentialLR,
    LambdaLR,
    LRScheduler,
    OneCycleLR,
    StepLR,
)


def optimizer_of_two(kind=SGD, **config):
    return kind([{"params": [Value(1.0)]}, {"params": [Value(1.0)], "lr": 0.5}], lr=0.1, **config)


def rates(schedule, n):
    """The rates before each of n steps, a row of them for each group."""
    found = []
    for _ in range(n):
        found.append(schedule.get_last_lr())
        assert [group["lr"] for group in schedule.optimizer.param_groups] == found[-1]
        schedule.optimizer.step()
        schedule.step()
    return [list(of_group) for of_group in zip(*found, strict=True)]


def near(numbers):
    return pytest.approx(numbers, rel=1e-12, abs=1e-15)


SCHEDULES = {
    "StepLR": lambda o: StepLR(o, 3, gamma=0.3),
    "ExponentialLR": lambda o: ExponentialLR(o, 0.9),
    "CosineAnnealingLR": lambda o: CosineAnnealingLR(o, 5, eta_min=0.01),
    "LambdaLR": lambda o: LambdaLR(o, [lambda e: 0.95**e, lambda e: 1 / (1 + e)]),
}
OF_PYTORCH = {
    "StepLR": [
        [
            0.1, 0.1, 0.1, 0.03, 0.03, 0.03, 0.009, 0.009, 0.009, 0.0026999999999999997,
            0.0026999999999999997, 0.0026999999999999997, 0.0008099999999999998,
            0.0008099999999999998
        ],
        [
            0.5, 0.5, 0.5, 0.15, 0.15, 0.15, 0.045, 0.045, 0.045, 0.0135, 0.0135, 0.0135,
            0.00405, 0.00405
        ],
    ],
    "ExponentialLR": [
        [
            0.1, 0.09000000000000001, 0.08100000000000002, 0.07290000000000002,
            0.06561000000000002, 0.05904900000000002, 0.05314410000000002, 0.04782969000000002,
            0.043046721000000024, 0.03874204890000002, 0.03486784401000002, 0.03138105960900001,
            0.028242953648100012, 0.025418658283290013
        ],
        [
            0.5, 0.45, 0.405, 0.36450000000000005, 0.32805000000000006, 0.2952450000000001,
            0.2657205000000001, 0.23914845000000007, 0.21523360500000008, 0.19371024450000007,
            0.17433922005000008, 0.15690529804500009, 0.14121476824050008, 0.12709329141645007
        ],
    ],
    "CosineAnnealingLR": [
        [
            0.1, 0.09140576474687263, 0.06890576474687263, 0.04109423525312736,
            0.018594235253127367, 0.01, 0.018594235253127367, 0.04109423525312739,
            0.06890576474687267, 0.09140576474687269, 0.10000000000000006, 0.09140576474687272,
            0.06890576474687268, 0.0410942352531274
        ],
        [
            0.5, 0.45320916362186214, 0.33070916362186215, 0.1792908363781379,
            0.0567908363781379, 0.01, 0.05679083637813787, 0.17929083637813795,
            0.33070916362186226, 0.45320916362186237, 0.5000000000000002, 0.4532091636218625,
            0.3307091636218623, 0.17929083637813803
        ],
    ],
    "LambdaLR": [
        [
            0.1, 0.095, 0.09025, 0.0857375, 0.081450625, 0.07737809374999999,
            0.07350918906249998, 0.06983372960937498, 0.06634204312890622, 0.0630249409724609,
            0.05987369392383787, 0.05688000922764597, 0.05403600876626367, 0.051334208327950485
        ],
        [
            0.5, 0.25, 0.16666666666666666, 0.125, 0.1, 0.08333333333333333,
            0.07142857142857142, 0.0625, 0.05555555555555555, 0.05, 0.045454545454545456,
            0.041666666666666664, 0.038461538461538464, 0.03571428571428571
        ],
    ],
}  # fmt: skip
ONE_CYCLE = {
    "cosine": {"max_lr": 0.4, "total_steps": 12},
    "lines": {
        "max_lr": [0.4, 0.8],
        "epochs": 4,
        "steps_per_epoch": 3,
        "pct_start": 0.4,
        "anneal_strategy": "linear",
        "three_phase": True,
        "div_factor": 10.0,
        "final_div_factor": 100.0,
        "base_momentum": 0.8,
        "max_momentum": 0.9,
    },
}
# The rates of both groups, and momentum.
OF_ONE_CYCLE = {
    "cosine": [
        [
            0.016000000000000014, 0.1399158616878332, 0.3517140636488515, 0.39776617418036475,
            0.3732051879365647, 0.3246982615799052, 0.25895159907804133, 0.18505484106679002,
            0.11322439928347969, 0.05339101207553224, 0.01382679497015809, 1.6e-06
        ],
        [
            0.016000000000000014, 0.1399158616878332, 0.3517140636488515, 0.39776617418036475,
            0.3732051879365647, 0.3246982615799052, 0.25895159907804133, 0.18505484106679002,
            0.11322439928347969, 0.05339101207553224, 0.01382679497015809, 1.6e-06
        ],
        [
            0.95, 0.9177302443521267, 0.8625744625914449, 0.8505584586887436, 0.856698729810778,
            0.8688255099070633, 0.8852622412794547, 0.9037365046793212, 0.9216941869558779,
            0.9366525935914912, 0.9465436874322102, 0.95
        ],
    ],
    "lines": [
        [
            0.04, 0.13473684210526315, 0.2294736842105263, 0.32421052631578945,
            0.3810526315789475, 0.2863157894736843, 0.19157894736842115, 0.09684210526315801,
            0.03534117647058825, 0.023694117647058834, 0.012047058823529418,
            0.0003999999999999976
        ],
        [
            0.08, 0.2694736842105263, 0.4589473684210526, 0.6484210526315789, 0.762105263157895,
            0.5726315789473686, 0.3831578947368423, 0.19368421052631601, 0.0706823529411765,
            0.04738823529411767, 0.024094117647058835, 0.0007999999999999952
        ],
        [
            0.9, 0.8736842105263158, 0.8473684210526317, 0.8210526315789475, 0.8052631578947369,
            0.8315789473684211, 0.8578947368421053, 0.8842105263157894, 0.9, 0.9, 0.9, 0.9
        ],
    ],
}  # fmt: skip


@pytest.mark.parametrize("name", SCHEDULES)
def test_a_schedule_gives_pytorch_s_rates(name):
    n = len(OF_PYTORCH[name][0])
    found = rates(SCHEDULES[name](optimizer_of_two()), n)
    assert found[0] == near(OF_PYTORCH[name][0])
    assert found[1] == near(OF_PYTORCH[name][1])


@pytest.mark.parametrize("name", ONE_CYCLE)
@pytest.mark.parametrize(("kind", "config"), [(SGD, {"momentum": 0.5}), (Adam, {}), (RMSprop, {})])
def test_one_cycle_moves_rates_and_momentum_as_pytorch(name, kind, config):
    optimizer = optimizer_of_two(kind, **config)
    schedule = OneCycleLR(optimizer, **ONE_CYCLE[name])
    found, momentums = [], []
    for _ in range(12):
        found.append(schedule.get_last_lr())
        group = optimizer.param_groups[1]
        momentums.append(group["betas"][0] if kind is Adam else group["momentum"])
        optimizer.step()
        schedule.step()
    first, second, momentum = OF_ONE_CYCLE[name]
    assert [lr for lr, _ in found] == near(first)
    assert [lr for _, lr in found] == near(second)
    assert momentums == near(momentum)
    if kind is Adam:
        assert group["betas"][1] == 0.999
    before = copy.deepcopy(schedule.state_dict()), optimizer.state_dict()
    with pytest.raises(ValueError, match="step\\(\\) number 13 of a schedule of total_steps=12"):
        schedule.step()
    assert (schedule.state_dict(), optimizer.state_dict()) == before


def test_one_cycle_may_leave_the_momentum_alone():
    optimizer = optimizer_of_two(momentum=0.5)
    schedule = OneCycleLR(optimizer, **ONE_CYCLE["cosine"], cycle_momentum=False)
    assert rates(schedule, 12)[0] == near(OF_ONE_CYCLE["cosine"][0])
    assert optimizer.momentum == 0.5
    with pytest.raises(ValueError, match="cycle_momentum needs momentum or betas, which Adagrad"):
        OneCycleLR(optimizer_of_two(Adagrad), 0.4, 12)


def test_a_schedule_resumes_at_an_epoch_as_pytorch_s():
    optimizer = SGD([{"params": [Value(1.0)], "initial_lr": 0.2}], lr=0.1)
    expected = [
        0.1, 0.0, 0.019098300562505256, 0.0690983005625053, 0.13090169943749483, 0.18090169943749487
    ]  # fmt: skip
    assert rates(CosineAnnealingLR(optimizer, 5, last_epoch=3), 6)[0] == near(expected)
    with pytest.raises(KeyError, match=r"param_groups\[0\] has no 'initial_lr'"):
        StepLR(SGD([Value(1.0)]), 3, last_epoch=2)


@pytest.mark.parametrize("name", [*SCHEDULES, *ONE_CYCLE])
@pytest.mark.parametrize("done", [0, 1, 4, 7])
def test_a_state_goes_on_alike(name, done, tmp_path):
    make = SCHEDULES.get(name) or (lambda o: OneCycleLR(o, **ONE_CYCLE[name]))
    optimizer = optimizer_of_two(momentum=0.9)
    schedule = make(optimizer)
    rates(schedule, done)
    nn.save({"o": optimizer.state_dict(), "s": schedule.state_dict()}, tmp_path / "s.npz")
    state = nn.load(tmp_path / "s.npz")
    other = optimizer_of_two(momentum=0.9)
    twin = make(other)
    other.load_state_dict(state["o"])
    twin.load_state_dict(state["s"])
    assert twin.last_epoch == schedule.last_epoch == done
    assert twin.get_last_lr() == schedule.get_last_lr()
    assert rates(twin, 4) == rates(schedule, 4)
    assert twin.state_dict() == schedule.state_dict()
    plain = optimizer_of_two(momentum=0.9)
    plain.load_state_dict(state["o"])
    assert StepLR(plain, 2).base_lrs == schedule.base_lrs
    again = StepLR(other, 2)  # a schedule made later begins with the first rates, as PyTorch's
    assert again.base_lrs == [g["initial_lr"] for g in optimizer.param_groups]


def test_momentums_and_first_rates_are_checked_where_they_are_given():
    schedule = OneCycleLR(Adam([Value(1.0)]), 0.1, total_steps=10)
    with pytest.raises(ValueError, match="max_momentum must be"):
        schedule.load_state_dict(schedule.state_dict() | {"max_momentums": [1.5]})
    with pytest.raises(TypeError, match="initial_lr must be a number, not 'str'"):
        SGD([{"params": [Value(1.0)], "initial_lr": "x"}])


def test_a_wrong_state_raises_and_changes_nothing():
    schedule = OneCycleLR(optimizer_of_two(), **ONE_CYCLE["cosine"])
    before = json.dumps(schedule.state_dict())
    wrong = [
        ("last_epoch", -1, ValueError),
        ("last_epoch", 1.5, TypeError),
        ("last_epoch", ..., KeyError),
        ("base_lrs", [0.1], ValueError),
        ("base_lrs", 0.1, TypeError),
        ("last_lr", [0.1, math.nan], ValueError),
        ("max_lrs", [0.1], ValueError),
        ("max_lrs", ["0.1", 0.2], TypeError),
        ("anneal_strategy", 3, TypeError),
        ("anneal_strategy", "sine", ValueError),
        ("pct_start", 7.0, ValueError),
        ("max_momentums", [0.5, -1.0], ValueError),
        ("three_phase", 1, TypeError),
        ("total_steps", 0, ValueError),
        ("speed", 1.0, KeyError),
    ]
    for name, setting, error in wrong:
        state = json.loads(before)
        state[name] = setting
        if setting is ...:
            del state[name]
        with pytest.raises(error):
            schedule.load_state_dict(state)
        assert json.dumps(schedule.state_dict()) == before


def test_what_a_schedule_is_made_of_is_checked_before_anything_changes():
    o = optimizer_of_two(momentum=0.5)
    wrong = [
        (lambda: StepLR([Value(1.0)], 3), TypeError, "optimizer must be an Optimizer, not 'list'"),
        (lambda: StepLR(o, 0), ValueError, "step_size must be 1 or more"),
        (lambda: StepLR(o, 1.5), TypeError, "step_size must be a whole number"),
        (lambda: StepLR(o, 3, gamma=-0.1), ValueError, "gamma must be in"),
        (lambda: StepLR(o, 3, last_epoch=-2), ValueError, "last_epoch must be -1 or more"),
        (lambda: ExponentialLR(o, "0.9"), TypeError, "gamma must be a number"),
        (lambda: CosineAnnealingLR(o, 0), ValueError, "T_max must be 1 or more"),
        (lambda: CosineAnnealingLR(o, 5, eta_min=-1), ValueError, "eta_min must be in"),
        (lambda: LambdaLR(o, 0.5), TypeError, "lr_lambda must be a function"),
        (lambda: LambdaLR(o, [abs]), ValueError, "lr_lambda has 1 item for 2 groups"),
        (lambda: LambdaLR(o, lambda e: -1.0), ValueError, "lr must be in"),
        (lambda: LambdaLR(o, lambda e: "x"), (TypeError, ValueError), None),
        (lambda: OneCycleLR(o, 0.1), ValueError, "total_steps is needed"),
        (lambda: OneCycleLR(o, 0.1, epochs=3), ValueError, "total_steps is needed"),
        (lambda: OneCycleLR(o, 0.1, 0), ValueError, "total_steps must be 1 or more"),
        (lambda: OneCycleLR(o, 0.1, epochs=0, steps_per_epoch=1), ValueError, "epochs must be"),
        (lambda: OneCycleLR(o, -0.1, 5), ValueError, "max_lr must be in"),
        (lambda: OneCycleLR(o, [0.1], 5), ValueError, "max_lr has 1 item for 2 groups"),
        (lambda: OneCycleLR(o, 0.1, 5, pct_start=1.5), ValueError, "pct_start must be between"),
        (lambda: OneCycleLR(o, 0.1, 10, pct_start=0.1), ValueError, "a phase of the cycle has no"),
        (lambda: OneCycleLR(o, 0.1, 5, anneal_strategy="sine"), ValueError, "anneal_strategy must"),
        (lambda: OneCycleLR(o, 0.1, 5, div_factor=0), ValueError, "div_factor must be above 0"),
        (lambda: OneCycleLR(o, 0.1, 5, max_momentum=-1), ValueError, "max_momentum must be in"),
        (lambda: OneCycleLR(optimizer_of_two(Adam), 0.1, 5, max_momentum=1), ValueError, "max_mo"),
        (lambda: LRScheduler(o), NotImplementedError, None),
    ]
    before = json.dumps([{k: v for k, v in g.items() if k != "params"} for g in o.param_groups])
    for make, error, message in wrong:
        with pytest.raises(error, match=message):
            make()
        now = [{k: v for k, v in g.items() if k != "params"} for g in o.param_groups]
        assert json.dumps(now) == before


def test_a_group_that_came_later_is_told():
    optimizer = optimizer_of_two()
    schedule = StepLR(optimizer, 1)
    optimizer.add_param_group({"params": [Value(2.0)]})
    with pytest.raises(ValueError, match="made for 2 groups of parameters, the optimizer has 3"):
        schedule.step()
    assert schedule.last_epoch == 0


def test_a_function_that_raises_does_not_move_the_epoch():
    def fails_at_two(epoch):
        if epoch == 2:
            raise ZeroDivisionError
        return 1.0

    schedule = LambdaLR(optimizer_of_two(), fails_at_two)
    schedule.step()
    with pytest.raises(ZeroDivisionError):
        schedule.step()
    assert schedule.last_epoch == 1


def test_a_rate_set_between_steps_is_what_the_schedule_goes_on_from():
    optimizer = SGD([Value(1.0)], lr=0.1)
    schedule = ExponentialLR(optimizer, 0.5)
    optimizer.lr = 8.0
    schedule.step()
    assert (optimizer.lr, schedule.get_last_lr()) == (4.0, [4.0])


def test_a_schedule_that_a_program_writes():
    class Halves(LRScheduler):
        def get_lr(self):
            return [lr / 2**self.last_epoch for lr in self.base_lrs]

    assert rates(Halves(optimizer_of_two()), 3) == [[0.1, 0.05, 0.025], [0.5, 0.25, 0.125]]


@pytest.mark.parametrize("copied", [copy.deepcopy, lambda s: pickle.loads(pickle.dumps(s))])
def test_a_copy_moves_the_copied_optimizer(copied):
    schedule = StepLR(optimizer_of_two(), 1)
    twin = copied(schedule)
    twin.step()
    assert twin.optimizer.param_groups[0]["lr"] == near(0.01)
    assert schedule.optimizer.param_groups[0]["lr"] == 0.1


def test_compiled_training_steps_at_the_scheduled_rates():
    w = Value(0.0)
    optimizer = SGD([w], lr=1.0)
    schedule = StepLR(optimizer, 1, gamma=0.5)
    loss = mg.compile(lambda x: w * x, batch=True)
    for _ in range(3):
        optimizer.zero_grad()
        loss(np.ones(4)).mean().backward()
        optimizer.step()
        schedule.step()
    assert w.data == -(1.0 + 0.5 + 0.25)
