"""compile(): the contract of design.md section 5, against the eager engine."""

import math
import pickle
import threading

import numpy as np
import pytest

import micrograd_fast as mg
from micrograd_fast import Value, _core, functional, nn, optim


def close(ours, theirs):
    assert np.asarray(ours) == pytest.approx(np.asarray(theirs), rel=1e-12, abs=1e-300)


def model_of(*sizes, seed=1, **options):
    import random

    random.seed(seed)
    return nn.MLP(sizes[0], list(sizes[1:]), **options)


def grads_of(loss, values):
    for v in values:
        v.grad = 0.0
    loss.backward()
    return [v.grad for v in values]


@pytest.mark.parametrize("activation", ["relu", "tanh", "sigmoid"])
@pytest.mark.parametrize("n_samples", [1, 2, 7, 8, 63, 64, 65, 300, 1000])
def test_a_batched_loss_and_its_gradient_are_the_eager_ones(activation, n_samples):
    model = model_of(3, 5, 4, 1, activation=activation)
    rng = np.random.default_rng(n_samples)
    X, y = rng.normal(size=(n_samples, 3)), rng.choice([-1.0, 1.0], n_samples)
    batch = mg.compile(lambda x, t: (1 - t * model(x)).relu(), batch=True)(X, y)
    eager = [(1 - t * model(x)).relu() for x, t in zip(X.tolist(), y.tolist(), strict=True)]
    close(batch.data, [v.data for v in eager])
    ours = grads_of(batch.mean(), model.parameters())
    theirs = grads_of(functional.mean(eager), model.parameters())
    assert ours == pytest.approx(theirs, rel=1e-12, abs=1e-14)


EVERY_OP = {
    "add": lambda x, y: x + y + 1.0,
    "mul": lambda x, y: x * y * -2.0,
    "sub": lambda x, y: x - y - (3 - x),
    "div": lambda x, y: x / y + 2 / x,
    "powers": lambda x, y: x**2 + y**3 + x**-1 + x**0.5 + y**-0.5 + x**2.7 + x**0 + x**1,
    "power of values": lambda x, y: x**y + 2**y,
    "exp": lambda x, y: (x * y).exp(),
    "log": lambda x, y: x.log() + (x * y).log1p(),
    "sqrt": lambda x, y: x.sqrt() * y.sqrt(),
    "tanh": lambda x, y: (x - y).tanh() + (x * 0.01).tanh(),
    "sigmoid": lambda x, y: (x - 3 * y).sigmoid(),
    "relu": lambda x, y: (x - y).relu(),
    "sin and cos": lambda x, y: (x * 5).sin() * (y * 7).cos(),
    "abs": lambda x, y: abs(x - y),
    "maximum": lambda x, y: mg.maximum(x, y, 0.7) + mg.minimum(x, y),
    "shared": lambda x, y: (x + y) * (x + y) + (x + y).exp(),
    "dots": lambda x, y: 1 + 2 * x + x * y + y * y + x * 0.5 + y,
    "detach": lambda x, y: x * y.detach(),
    "constants": lambda x, y: x * Value(3.0).exp() + Value(2.0) * Value(5.0),
}


@pytest.mark.parametrize("variant", ["portable", "avx2", "avx512"])
@pytest.mark.parametrize("name", EVERY_OP)
def test_every_op_compiles_to_eager_values_and_gradients(name, variant):
    if not _core._set_kernel_variant(variant):
        pytest.skip(f"no {variant} here")
    try:
        function = EVERY_OP[name]
        points = np.random.default_rng(5).uniform(0.2, 2.5, size=(37, 2))
        eager = []
        for x, y in points.tolist():
            a, b = Value(x), Value(y)
            out = function(a, b)
            out.backward()
            eager.append((out.data, a.grad, b.grad))
        values, gradients = mg.compile(lambda p: function(*p), batch=True).value_and_grad(points)
        close(values, [e[0] for e in eager])
        assert gradients == pytest.approx(np.array([e[1:] for e in eager]), rel=1e-12, abs=1e-13)
        compiled = mg.compile(function)
        for (x, y), expected in zip(points.tolist()[:5], eager, strict=False):
            a, b = Value(x), Value(y)
            out = compiled(a, b)
            out.backward()
            assert (out.data, a.grad, b.grad) == pytest.approx(expected, rel=1e-12, abs=1e-13)
    finally:
        _core._set_kernel_variant(None)


def test_the_demos_training_is_the_eager_one_step_by_step():
    X = np.random.default_rng(0).normal(size=(40, 2))
    y = np.sign(X[:, 0] * X[:, 1])
    courses = []
    for compiled in (False, True):
        model = model_of(2, 8, 8, 1)
        opt = optim.SGD(model.parameters(), lr=0.1)
        hinge = mg.compile(lambda x, t, model=model: (1 - t * model(x)).relu(), batch=True)
        penalty = mg.compile(lambda model=model: 1e-4 * sum(p * p for p in model.parameters()))
        losses = []
        for _ in range(50):
            if compiled:
                loss = hinge(X, y).mean() + penalty()
            else:
                rows = zip(X.tolist(), y.tolist(), strict=True)
                loss = functional.mean([(1 - t * model(x)).relu() for x, t in rows])
                loss = loss + 1e-4 * sum(p * p for p in model.parameters())
            opt.zero_grad()
            loss.backward()
            opt.step()
            losses.append(loss.data)
        courses.append(losses)
    assert courses[1] == pytest.approx(courses[0], rel=1e-9)


def test_take_picks_by_an_input_and_passes_gradient_to_what_was_picked():
    rows = [[Value(10.0 * r + c) for c in range(3)] for r in range(4)]
    pick = mg.compile(lambda k: sum(v * v for v in mg.take(rows, k)))
    for k in range(4):
        out = pick(np.int64(k))
        close(out.data, sum((10.0 * k + c) ** 2 for c in range(3)))
        grads = grads_of(out, [v for row in rows for v in row])
        assert [g != 0 for g in grads] == [
            r == k and 10 * r + c > 0 for r in range(4) for c in range(3)
        ]
    batched = mg.compile(lambda k, x: mg.take([x, 2 * x, 3 * x], k), batch=True)
    close(batched(np.array([2, 0, 1]), np.array([1.0, 5.0, 7.0])).data, [3.0, 5.0, 14.0])
    for wrong in (np.int64(4), np.int64(-1)):
        with pytest.raises(IndexError, match=r"mg\.take"):
            pick(wrong)


def test_parameters_are_read_at_every_call_and_signatures_are_kept():
    w = Value(2.0)
    traces = []

    def scaled(x, power, name=None):
        traces.append(power)
        return w * x**power

    f = mg.compile(scaled)
    assert f(3.0, 2).data == 18.0
    w.data = 5.0
    assert f(3.0, 2).data == 45.0
    assert f(np.float64(4.0), 2).data == 80.0
    assert traces == [2]
    assert f(3.0, 1).data == 15.0
    assert f(3.0, 1, name="static").data == 15.0
    assert traces == [2, 1, 1]


def test_results_mix_with_eager_values_and_gradients_add_up():
    w, x = Value(1.5), Value(0.5)
    square = mg.compile(lambda a: w * a * a)
    inner = x * 3
    first = square(inner)
    out = first * first + square(first) + first + w
    ours = grads_of(out, [w, x])
    a, b = Value(1.5), Value(0.5)
    i = b * 3
    f = a * i * i
    theirs = grads_of(f * f + a * f * f + f + a, [a, b])
    assert ours == pytest.approx(theirs, rel=1e-12)


def test_a_batch_feeds_another_compiled_function():
    w = Value(0.3)
    X = np.linspace(-1, 1, 9)
    first = mg.compile(lambda x: (w * x).exp(), batch=True)
    second = mg.compile(lambda h, x: (h * w - x) ** 2, batch=True)
    ours = grads_of(second(first(X), X).mean(), [w])
    v = Value(0.3)
    eager = [((v * x).exp() * v - x) ** 2 for x in X.tolist()]
    assert ours == pytest.approx(grads_of(functional.mean(eager), [v]), rel=1e-12)


def test_a_batch_counts_sums_indexes_and_iterates():
    w = Value(2.0)
    batch = mg.compile(lambda x: w * x, batch=True)(np.array([1.0, 2.0, 4.0]))
    assert len(batch) == 3
    assert [v.data for v in batch] == [2.0, 4.0, 8.0]
    assert batch[-1].data == 8.0
    assert grads_of(batch.sum() + 10 * batch[1] + batch.mean(), [w]) == pytest.approx(
        [7 + 20 + 7 / 3]
    )
    with pytest.raises(IndexError):
        batch[3]


def test_structures_come_back_as_the_function_returned_them():
    w = Value(2.0)
    f = mg.compile(lambda x: [(x[0] * w, x[1]), {"no": 1} and [x[0] + x[1]]])
    (a, b), [c] = f([1.0, 3.0])
    assert [v.data for v in (a, b, c)] == [2.0, 3.0, 4.0]
    assert grads_of(a + 5 * c, [w]) == [1.0]
    batch = mg.compile(lambda x: (x * w, w - x), batch=True)(np.arange(4.0))
    assert batch.data.shape == (4, 2)
    first, second = batch.mean()
    assert (first.data, second.data) == (3.0, 0.5)
    assert grads_of(first + second, [w]) == [2.5]


def test_backward_twice_adds_up_and_no_grad_makes_leaves():
    w = Value(3.0)
    f = mg.compile(lambda x: w * x)
    out = f(2.0)
    out.backward()
    out.backward()
    assert w.grad == 4.0
    with mg.no_grad():
        assert f(2.0)._prev == set()
        batch = mg.compile(lambda x: w * x, batch=True)(np.ones(3))
        assert batch.sum()._prev == set()


def test_methods_modules_and_pickles():
    class Scaled:
        def __init__(self, factor):
            self.factor = Value(factor)

        @mg.compile
        def of(self, x):
            return self.factor * x

    assert (Scaled(2.0).of(3.0).data, Scaled(5.0).of(3.0).data) == (6.0, 15.0)
    model = model_of(2, 3, 1)
    X = np.ones((4, 2))
    close(mg.compile(model, batch=True)(X).data, [model(x).data for x in X.tolist()])
    again = pickle.loads(pickle.dumps(mg.compile(math_function)))
    assert again(2.0).data == math_function(Value(2.0)).data


def math_function(x):
    return x * x + 1


FREEZING = {
    "reading .data": lambda v: Value(v.data),
    "reading .grad": lambda v: Value(v.grad),
    "comparing": lambda v: v if v > 0 else -v,
    "bool()": lambda v: v if v else -v,
    "backward()": lambda v: v.backward() or v,
    "formatting": lambda v: f"{v:.2f}" and v,
    "a custom node": lambda v: Value(1.0, (v,), "mine"),
}


@pytest.mark.parametrize("what", FREEZING)
def test_what_would_freeze_a_number_raises_where_it_stands(what):
    with pytest.raises(mg.TraceError) as error:
        mg.compile(FREEZING[what])(1.0)
    assert what in str(error.value) and "test_compile.py:" in str(error.value)
    assert not _core.tracing()
    assert (Value(2.0) * 3).data == 6.0


def test_an_exception_in_the_function_leaves_no_trace_behind():
    def broken(x):
        raise KeyError("mine")

    with pytest.raises(KeyError, match="mine"):
        mg.compile(broken)(1.0)
    assert not _core.tracing()
    assert mg.compile(lambda x: x + 1)(1.0).data == 2.0


def test_values_kept_from_a_trace_have_no_number():
    kept = []
    mg.compile(lambda x: kept.append(x * 2) or x)(1.0)
    with pytest.raises(mg.TraceError):
        _ = kept[0].data
    with pytest.raises(mg.TraceError):
        _ = (kept[0] + 1).data


def test_threads_trace_and_call_at_once():
    w = Value(2.0)
    f = mg.compile(lambda x: (w * x).exp(), batch=True)
    X = np.linspace(0, 1, 5000)
    expected = np.exp(2 * X)
    wrong = []

    def work():
        for k in range(30):
            with mg.no_grad():
                if not np.allclose(f(X).data, expected, rtol=1e-12):
                    wrong.append(k)
            if mg.compile(lambda x, k=k: x * 2 + float(k))(3.0).data != 6.0 + k:
                wrong.append(k)

    threads = [threading.Thread(target=work) for _ in range(4)]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert not wrong


def test_arrays_of_every_layout_and_real_dtype_are_taken():
    f = mg.compile(lambda x: x[0] * 2 + x[1], batch=True)
    X = np.arange(12.0).reshape(6, 2)
    frozen = X.copy()
    frozen.setflags(write=False)
    for layout in (
        np.asfortranarray(X),
        frozen,
        X.astype(np.float32),
        X.astype(int),
        X[::-1][::-1],
    ):
        close(f(layout).data, X[:, 0] * 2 + X[:, 1])
    assert f(X[:0]).data.shape == (0,)
    nan = f(np.array([[np.nan, 1.0], [np.inf, -np.inf]])).data
    assert np.isnan(nan).all()
    assert math.isnan(mg.compile(lambda x: x.log())(-1.0).data)


BAD = {
    "object dtype": (np.array([Value(1.0)]), TypeError, "argument 0"),
    "strings": (np.array(["a"]), TypeError, "argument 0"),
    "complex": (np.array([1j]), TypeError, "argument 0"),
    "no array": (1.0, ValueError, "array"),
    "a dict": ({"x": 1.0}, TypeError, "argument 0"),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_arguments_raise_and_are_named(name):
    argument, error, message = BAD[name]
    with pytest.raises(error, match=message):
        mg.compile(lambda x: x * 2, batch=True)(argument)


def test_ragged_batches_and_functions_without_a_value_raise():
    f = mg.compile(lambda x, y: x * y, batch=True)
    with pytest.raises(ValueError, match="argument 1"):
        f(np.ones(3), np.ones(4))
    for result in (None, 3.0, []):
        with pytest.raises(TypeError, match="returned no Value"):
            mg.compile(lambda x, result=result: result)(1.0)
    with pytest.raises(TypeError, match="returned 'dict'"):
        mg.compile(lambda x: {"x": x})(1.0)
    with pytest.raises(TypeError, match="a function"):
        mg.compile(3)


def test_a_dropped_parameter_still_counts():
    def make():
        w = Value(4.0)
        return mg.compile(lambda x: w * x)

    f = make()
    assert f(2.0).data == 8.0


def test_vectors_of_parameters():
    values = [Value(1.0), Value(2.0)]
    (values[0] * values[1]).backward()
    assert nn.utils.parameters_to_vector(values).tolist() == [1.0, 2.0]
    assert nn.utils.gradients_to_vector(values).tolist() == [2.0, 1.0]
    nn.utils.vector_to_parameters(np.array([5.0, 6.0]), values)
    assert [v.data for v in values] == [5.0, 6.0]
    for wrong, error in ((np.ones(3), ValueError), (["a", "b"], TypeError)):
        with pytest.raises(error):
            nn.utils.vector_to_parameters(wrong, values)
    with pytest.raises(TypeError):
        nn.utils.parameters_to_vector([1.0])


def test_value_and_grad_of_a_vector():
    value, grad = mg.compile(lambda x: x[0] ** 2 + 3 * x[1]).value_and_grad(np.array([2.0, 5.0]))
    assert (value, grad.tolist()) == (19.0, [4.0, 3.0])
    w = Value(2.0)
    f = mg.compile(lambda x: w * x, batch=True)
    value, grad = f.value_and_grad(np.array([1.0, 3.0]), params=[w, Value(0.0)])
    assert (value, grad.tolist(), w.grad) == (4.0, [2.0, 0.0], 0.0)
    with pytest.raises(TypeError, match="params"):
        mg.compile(lambda x: x).value_and_grad(1.0)
