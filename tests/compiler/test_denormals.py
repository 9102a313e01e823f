"""Numbers below the normal ones (2.2e-308): what fades out into them becomes 0 where only speed is
lost otherwise; values are exact; no switch of the processor stays on."""

import math
import platform
import threading

import numpy as np
import pytest

import micrograd_fast as mg
from micrograd_fast import _core, nn, optim
from micrograd_fast.engine import Value

FLUSHES = platform.machine() in ("x86_64", "AMD64")  # elsewhere nothing is gained by it
SMALLEST = 2.0**-1022
TINY = 5e-324


def is_denormal(x):
    return 0.0 < abs(x) < SMALLEST


def exact_arithmetic_here():
    """Whether this thread's arithmetic keeps denormal operands and results."""
    x = np.array([TINY, SMALLEST])
    return (x * np.array([1.0, 0.5])).tolist() == [TINY, SMALLEST / 2]


@pytest.fixture(autouse=True)
def no_switch_stays_on():
    assert exact_arithmetic_here()
    yield
    assert exact_arithmetic_here()


# ---- optimizers ----

OPTIMIZERS = {
    "momentum": lambda p: optim.SGD(p, lr=0.1, momentum=0.5),
    "nesterov": lambda p: optim.SGD(p, lr=0.1, momentum=0.5, nesterov=True),
    "dampening": lambda p: optim.SGD(p, lr=0.1, momentum=0.5, dampening=0.5),
    "adam": lambda p: optim.Adam(p, betas=(0.5, 0.5)),
    "amsgrad": lambda p: optim.Adam(p, betas=(0.5, 0.5), amsgrad=True),
    "adamw": lambda p: optim.AdamW(p, betas=(0.5, 0.5)),
    "rmsprop": lambda p: optim.RMSprop(p, lr=0.1, alpha=0.5, momentum=0.5),
    "centered": lambda p: optim.RMSprop(p, lr=0.1, alpha=0.5, centered=True),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_what_an_optimizer_keeps_fades_out_to_zero(name, variant):
    params = [Value(1.0) for _ in range(37)]
    opt = OPTIMIZERS[name](params)
    for p in params:
        p.grad = 1.0
    opt.step()
    opt.zero_grad()
    smallest = 1.0
    for _ in range(1100):  # beyond 2**-1074
        opt.step()
        state = opt.state_dict()["buffers"]
        kept = [x for buffer, xs in state.items() if not buffer.startswith("max") for x in xs]
        assert not any(map(is_denormal, kept))
        smallest = min([smallest, *filter(None, map(abs, kept))])
        assert exact_arithmetic_here()
    assert set(kept) == {0.0}
    assert smallest < 1e-300  # not earlier than need be


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_gradients_below_the_normal_numbers_leave_no_trace_in_an_optimizer(name, variant):
    params = [Value(1.0) for _ in range(9)]
    opt = OPTIMIZERS[name](params)
    tiny = [TINY, -TINY, 1e-310, -1e-310, 1e-160, 0.0, 1.0, -1.0, 1e300]
    for p, grad in zip(params, tiny, strict=True):
        p.grad = grad
    for _ in range(3):
        opt.step()
        for xs in opt.state_dict()["buffers"].values():
            assert not any(map(is_denormal, xs))


def test_dead_relus_under_momentum_leave_no_denormals():
    model = nn.MLP(2, [16, 16, 1])
    opt = optim.SGD(model.parameters(), lr=0.01, momentum=0.9)
    loss = mg.compile(lambda x: model(x) ** 2, batch=True)
    x = np.random.default_rng(0).normal(size=(20, 2))
    for step in range(8000):
        opt.zero_grad()
        if step == 5:  # none is active from now on
            for neuron in model.layers[0].neurons:
                neuron.b.data = -1e6
        if step < 20:
            loss(x).mean().backward()
        opt.step()
    assert not any(map(is_denormal, opt.state_dict()["buffers"]["momentum_buffer"]))


# ---- compiled functions ----


def test_compiled_values_are_exact(variant):
    x = np.array([TINY, 1e-310, -1e-310, SMALLEST, 3e-308])
    f = mg.compile(lambda v: v * 0.5 + v * 0.25, batch=True)
    expected = x * 0.5 + x * 0.25
    assert f(x).data.tolist() == expected.tolist()
    assert f.value_and_grad(x)[0].tolist() == expected.tolist()
    g = mg.compile(lambda v: v * 0.5)
    assert g(Value(1e-310)).data == 0.5e-310


def test_compiled_gradients_below_the_normal_numbers_are_zero_and_no_others(variant):
    w = np.array([1e-300, 1e-307, 1e-308, 1e-310, TINY])
    f = mg.compile(lambda x, k: (x * k) * 0.5, batch=True)
    _, (gradient, _) = f.value_and_grad(np.ones(5), w)
    for ours, exact in zip(gradient, w * 0.5, strict=True):
        assert ours == (0.0 if FLUSHES and is_denormal(exact) else exact)


def test_denormal_operands_count_in_compiled_gradients(variant):
    x, y = np.full(9, 1e-310), np.full(9, 1e300)
    f = mg.compile(lambda x, y: (x * y) * 1e300, batch=True)
    _, (dx, dy) = f.value_and_grad(x, y)
    assert dx.tolist() == [math.inf] * 9
    assert dy == pytest.approx(np.full(9, 1e-310 * 1e300), rel=1e-12)
    u = Value(1e-310)
    (mg.compile(lambda: (u * 1e10) * 1e290)()).backward()
    assert u.grad == 1e300


SPECIAL = [1e-310, -1e-310, TINY, -TINY, 2.2250738585072009e-308, SMALLEST, -SMALLEST, 0.0, -0.0]
SPECIAL += [3e-308, 1.5, -1e300, math.inf, -math.inf, math.nan]


def flushed(x):
    return np.where(FLUSHES & (np.abs(x) < SMALLEST), 0.0, x)


def test_products_of_denormal_factors_and_adjoints_are_those_of_the_processor(variant):
    """Where a tile has met such numbers they are multiplied in another way: to the same bits."""
    x, g = (a.ravel() for a in np.meshgrid(SPECIAL, [*SPECIAL, 1e10, 1e308, -2.5e15, 1e-10]))
    f = mg.compile(lambda x, y, g: (x * y) * g, batch=True)
    with np.errstate(all="ignore"):
        adjoint = flushed(g)
        expected = np.where(adjoint == 0, 0.0, flushed(x * adjoint)) + 0.0
        _, (_, by_y, _) = f.value_and_grad(x, np.ones_like(x), g)
        _, (by_x, _, _) = f.value_and_grad(np.ones_like(x), x, g)
    np.testing.assert_array_equal(by_y, expected)
    np.testing.assert_array_equal(by_x, expected)


def test_denormal_exponentials_count_in_compiled_gradients(variant):
    x, scale = np.linspace(-745.0, -707.0, 500), 1e300
    z = mg.compile(lambda x: x.exp(), batch=True)(x).data
    values, gradient = mg.compile(lambda x: x.exp() * scale, batch=True).value_and_grad(x)
    assert values.tolist() == gradient.tolist() == (z * scale).tolist()
    _, gradient = mg.compile(lambda x: (x.exp() + 1.0) * 0.25, batch=True).value_and_grad(x)
    assert gradient.tolist() == flushed(z * 0.25).tolist()


def test_samples_beside_denormal_ones_are_computed_to_the_same_bits(variant):
    x = np.random.default_rng(1).uniform(-5, 5, 300)
    f = mg.compile(lambda x: ((x.exp() + x) * x.exp()) + x.exp(), batch=True)
    values, gradient = f.value_and_grad(x)
    for beside in (-710.0, -740.0, -800.0):
        mixed = np.where(np.arange(300) % 7 == 3, beside, x)
        near_values, near_gradient = f.value_and_grad(mixed)
        same = mixed == x
        assert near_values[same].tolist() == values[same].tolist()
        assert near_gradient[same].tolist() == gradient[same].tolist()


def test_a_mixture_of_far_components_agrees_with_eager_code(variant):
    """Responsibilities of 1e-300 to 1e-320, and of 0."""
    means = [Value(m) for m in np.linspace(-1, 1, 9)]

    def log_density(x, far):
        logs = [-0.5 * (x - m) ** 2 - far * (k > 0) for k, m in enumerate(means)]
        top = mg.maximum(*logs)
        return top + sum((a - top).exp() for a in logs).log()

    x = np.random.default_rng(2).normal(size=60)
    far = np.linspace(685.0, 760.0, 60)
    compiled = mg.compile(log_density, batch=True)
    values, (slopes, _) = compiled.value_and_grad(x, far)
    compiled(x, far).sum().backward()
    grads = [m.grad for m in means]
    for m in means:
        m.grad = 0.0
    for a, b, value, slope in zip(x, far, values, slopes, strict=True):
        leaf = Value(a)
        out = log_density(leaf, b)
        out.backward()
        assert value == pytest.approx(out.data, rel=1e-12)
        assert slope == pytest.approx(leaf.grad, rel=1e-12)
    assert grads == pytest.approx([m.grad for m in means], rel=1e-12, abs=1e-306)


def test_eager_gradients_are_exact():
    x, k = Value(1.0), Value(1e-310)
    ((x * k) * 0.5).backward()
    assert x.grad == 0.5e-310


def test_errors_and_threads_leave_the_arithmetic_as_it_was(variant):
    pick = mg.compile(lambda x, k: mg.take([x, x * 2], k) * 1e-200, batch=True)
    x = np.full(5000, 1e-120)
    with pytest.raises(IndexError):
        pick.value_and_grad(x, np.full(5000, 7))
    assert exact_arithmetic_here()
    seen = []

    def run():
        pick.value_and_grad(x, np.ones(5000, dtype=int))
        seen.append(exact_arithmetic_here())

    threads = [threading.Thread(target=run) for _ in range(3)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert seen == [True] * 3
    before = mg.get_num_threads()
    mg.set_num_threads(3)
    try:
        big = np.full((400_000, 2), 1e-200)
        square = mg.compile(lambda r: r[0] * r[1] + r[0], batch=True)
        values, gradient = square.value_and_grad(big)
        assert values[0] == 1e-200
        assert gradient.min() == 1e-200
    finally:
        mg.set_num_threads(before)


def test_put_off_gradients_fade_out_to_zero():
    _core._set_least_put_off(1)
    try:
        model = nn.MLP(8, [8, 1])
        loss = mg.compile(lambda x: model(x) * 1e-200, batch=True)
        out = loss(np.full((16, 8), 1e-130)).sum()
    finally:
        _core._set_least_put_off()
    out.backward()
    assert not any(is_denormal(p.grad) for p in model.parameters())
