"""What backward does not reach passes nothing on: 0 * inf is not nan there.

The second half crosses every kind of step with every way of not being reached. Eager backward, over
what is reached alone, is the reference.
"""

import math

import numpy as np
import pytest

import micrograd_fast as mg
from micrograd_fast import Value, _core, functional


@pytest.mark.parametrize("batch", [False, True])
def test_a_result_that_nobody_uses_passes_nothing_on(batch):
    p = Value(0.0)
    f = mg.compile(lambda x: [x * p, p.sqrt() * x], batch=batch)
    out = f(np.array([3.0])).sum() if batch else f(3.0)
    out[0].backward()
    assert p.grad == 3.0


@pytest.mark.parametrize("batch", [False, True])
def test_a_choice_that_is_not_taken_passes_nothing_on(batch):
    p = Value(0.0)
    f = mg.compile(lambda k, x: mg.take([p.sqrt() * x, p * x], k), batch=batch)
    out = f(np.array([1, 1]), np.array([3.0, 4.0])).sum() if batch else f(np.int64(1), 7.0)
    out.backward()
    assert p.grad == 7.0


@pytest.mark.parametrize("x", [math.inf, 1.0])
def test_an_adjoint_of_zero_adds_nothing_however_many_results_there_are(x):
    def grads(batch, reduced):
        p = Value(1.0)
        one = mg.compile(lambda x: (x * p).sigmoid(), batch=batch)
        two = mg.compile(lambda x: [x, (x * p).sigmoid()], batch=batch)
        for result in (lambda x: one(x), lambda x: two(x)):
            p.grad = 0.0
            out = reduced(result(np.array([1.0, x]) if batch else x))
            (out[1] if isinstance(out, list) else out).backward()
            yield p.grad

    slope = 0.0 if x == math.inf else 0.19661193324148185
    assert list(grads(False, lambda out: out)) == pytest.approx([slope] * 2)
    assert list(grads(True, lambda out: out[1])) == pytest.approx([slope] * 2)
    sums = list(grads(True, lambda out: out.sum()))
    assert sums == pytest.approx([0.19661193324148185 + slope] * 2)


def test_lanes_that_take_different_choices_do_not_poison_each_other():
    a = Value(2.0)
    f = mg.compile(lambda k, x: mg.take([(x * a).log(), x * a], k), batch=True)
    f(np.array([0, 1]), np.array([1.0, 0.0])).sum().backward()
    assert a.grad == 0.5  # 1/a from the first; x = 0 from the second, not 0 * (1 / 0)


def test_one_sample_s_result_that_is_not_reached_passes_nothing_on():
    p = Value(0.0)
    batch = mg.compile(lambda x: [x * p, p.sqrt() * x], batch=True)(np.array([3.0, 4.0]))
    (batch[0][0] + batch[1][0]).backward()
    assert p.grad == 7.0


@pytest.mark.parametrize("batch", [False, True])
def test_nothing_goes_behind_detach(batch):
    f = mg.compile(lambda x: x.sqrt().detach() + x, batch=batch)
    assert np.all(f.value_and_grad(np.array([0.0, 4.0]))[1] == 1.0) if batch else True
    x = Value(0.0)
    mg.compile(lambda x: x.sqrt().detach() + x)(x).backward()
    assert x.grad == 1.0


def test_a_result_times_zero_passes_nothing_on():
    p = Value(0.0)
    (mg.compile(lambda x: p.sqrt() * x)(3.0) * 0.0).backward()
    assert p.grad == 0.0


# ---- every kind of step, every way of not being reached ----

N = 4
GOOD = [1.5, 2.25, 0.75, 1.25]
P = [Value(0.3 + 0.2 * k) for k in range(N * N)]  # of finite numbers
Q = [Value(1.0 + 0.1 * k) for k in range(2 * N)]  # poisoned in calls over numbers alone
ROWS = [P[N * m : N * m + N] for m in range(N)]


def matrix(rows, x):
    return [sum(w * v for w, v in zip(row, x, strict=True)) for row in rows]


def squares(values):
    return sum(v * v for v in values)


def columns():
    return [[P[N * k + m] for k in range(N)] for m in range(N)]


# Of x, N inputs: a value that is not finite where they are not, and whose way back meets them.
STEPS = {
    "ops": lambda x: sum((v * w).log() for v, w in zip(x, P, strict=False)),
    "an op": lambda x: x[0] ** 1.5 * P[1],
    "tanh": lambda x: (x[0] * P[0]).tanh() / x[1],
    "sigmoid": lambda x: (x[0] * P[0]).sigmoid() * x[1],
    "sin": lambda x: (x[0] * P[0]).sin() * x[1],
    "division": lambda x: P[0] / x[0] + x[1] / P[1],
    "power of two Values": lambda x: P[0] ** x[0] + x[1] ** P[1],
    "a dot": lambda x: P[9] + P[0] * x[0] + P[1] * x[1] + P[2] * x[2],
    "a dot of rows": lambda x: x[0] * x[1] + x[2] * x[3] + x[0] * x[2],
    "a sum": lambda x: (x[0] * P[0] + x[1] + x[2] + x[3] + P[1]) * P[2],
    "a matrix": lambda x: squares(matrix(ROWS, x)),
    "a matrix of columns": lambda x: squares(matrix(columns(), x)),
    "a gathered matrix": lambda x: squares(matrix(ROWS, x[::-1])),
    "matrices one after the other": lambda x: squares(matrix(ROWS, matrix(columns(), x))),
    "a matrix of several vectors": lambda x: squares(
        [*matrix(ROWS, x), *matrix(ROWS, [v * 2.0 + 1.0 for v in x])]
    ),
    "a chain of products": lambda x: P[0] * x[0] * x[1] * P[1] * x[2],
    "a chain of maxima": lambda x: mg.maximum(*[v * w for v, w in zip(x, P, strict=False)]) * P[3],
    "a take": lambda x: mg.take([x[0] * P[0], P[1] * x[1]], 0) * P[2],
    "softmax": lambda x: functional.softmax([v * P[k] for k, v in enumerate(x)])[1] * x[0],
}
SOURCES = ["detach", "take", "results", "maximum", "minimum", "relu", "samples"]


def finite_part(y):
    return P[5] * y + y.tanh() * P[0]


def joined(step, source):
    """A function of the step's inputs x, of y, of an index: results and the one that counts."""

    def function(x, y, k):
        value, other = STEPS[step](x), finite_part(y)
        return {
            "detach": lambda: value.detach() + other,
            "take": lambda: mg.take([value, other], k),
            "results": lambda: [value, other],
            "maximum": lambda: mg.maximum(other, value),
            "minimum": lambda: mg.minimum(value, other),
            "relu": lambda: (value * (-1.0 if source == "relu" else 1.0)).relu() + other,
            "samples": lambda: value + other,
        }[source]()

    return function


def takes_part(step, source, poison):
    """Whether the poisoned value is what the source does not choose."""
    with mg.no_grad():
        x = np.array([[poison] * N])
        value = mg.compile(STEPS[step], batch=True)(x).data.tolist()[0]
    if source == "maximum":
        return value == -math.inf
    if source in ("minimum", "relu"):
        return value == math.inf
    return True


def take_grads():
    grads = [p.grad for p in P + Q]
    for p in P + Q:
        p.grad = 0.0
    return grads


def expected_of(step, source, X, Y, bad):
    """Gradients of parameters and columns: eager backward over what is reached, by sample."""
    slopes = np.zeros((len(X), N + 1))
    for b, (row, y) in enumerate(zip(X.tolist(), Y.tolist(), strict=True)):
        if b == bad and source == "samples":
            continue
        x, y = list(map(Value, row)), Value(y)
        if source in ("detach", "results") or b == bad:
            total = finite_part(y)
        elif source == "take":
            total = STEPS[step](x)
        else:
            total = joined(step, source)(x, y, None)
        total.backward()
        slopes[b] = [*(v.grad for v in x), y.grad]
    return take_grads(), slopes


def near(ours, theirs):
    return np.allclose(ours, theirs, rtol=1e-10, atol=1e-12)


def batch_is_right(step, source, poison, bad=2, n=11):
    X = np.outer(np.linspace(1.0, 1.2, n), GOOD)
    X[bad] = poison
    Y, k = np.linspace(0.5, 2.0, n), np.zeros(n, dtype=int)
    k[bad] = 1
    grads, slopes = expected_of(step, source, X, Y, bad)
    f = mg.compile(joined(step, source), batch=True)
    batch = f(X, Y, k)
    if source == "results":
        batch.sum()[1].backward()
    elif source == "samples":
        sum(batch[b] for b in range(n) if b != bad).backward()
    else:
        batch.sum().backward()
    assert near(take_grads(), grads), (step, source, poison)
    if source not in ("results", "samples"):
        x_slopes, y_slopes, _ = f.value_and_grad(X, Y, k)[1]
        assert near(x_slopes, slopes[:, :N]), (step, source, poison)
        assert near(y_slopes, slopes[:, N]), (step, source, poison)


def call_is_right(step, source, poison):
    """One call over numbers: the poison comes as Value arguments."""
    X, Y = np.full((1, N), poison), np.array([0.75])
    grads, slopes = expected_of(step, source, X, Y, 0)
    x, y = [Value(poison) for _ in range(N)], Value(0.75)
    result = mg.compile(joined(step, source))(x, y, np.int64(1))
    (result[1] if source == "results" else result).backward()
    assert near(take_grads(), grads), (step, source, poison)
    assert near([*(v.grad for v in x), y.grad], slopes[0]), (step, source, poison)


@pytest.mark.parametrize("source", SOURCES)
def test_every_kind_of_step_where_nothing_reaches_it(source, variant):
    n_tried = 0
    try:
        for put_off in (None, 1):
            _core._set_least_put_off(put_off)
            for step in STEPS:
                for poison in (0.0, math.inf, -math.inf, math.nan):
                    if not takes_part(step, source, poison):
                        continue
                    n_tried += 1
                    batch_is_right(step, source, poison)
                    if source != "samples" and put_off is None:
                        call_is_right(step, source, poison)
    finally:
        _core._set_least_put_off()
    assert n_tried >= (5 if source in ("maximum", "minimum", "relu") else 100)


# ---- numbers alone ----

UNIFORM = {
    "an inner product": lambda: sum(p * q for p, q in zip(P[:8], Q, strict=True)),
    "a sum": lambda: functional.sum(Q) * P[0],
    "a matrix": lambda: squares(matrix(ROWS, Q[:N])),
    "a matrix of columns": lambda: squares(matrix(columns(), Q[:N])),
    "a matrix of two vectors": lambda: squares([*matrix(ROWS, Q[:N]), *matrix(ROWS, Q[N:])]),
    "columns and two vectors": lambda: squares(
        [*matrix(columns(), Q[:N]), *matrix(columns(), Q[N:])]
    ),
    "a gathered matrix": lambda: squares(matrix(ROWS, Q[N - 1 :: -1])),
    "a dot": lambda: P[0] * Q[0] + P[3] * Q[2] + P[9],
    "a chain": lambda: P[0] * Q[0] * Q[1] * P[1],
    "ops": lambda: squares([q.tanh() / p for q, p in zip(Q, P, strict=False)]),
}


@pytest.mark.parametrize("name", UNIFORM)
@pytest.mark.parametrize("which", ["all", "one", "last"])
@pytest.mark.parametrize("poison", [math.inf, -math.inf, math.nan])
def test_steps_over_parameters_where_nothing_reaches_them(name, which, poison):
    poisoned = {"all": Q, "one": Q[1:2], "last": Q[-1:]}[which]
    kept = [q.data for q in poisoned]
    for q in poisoned:
        q.data = poison
    try:
        for batch in (False, True):
            for k in (0, 1):
                choices = [lambda x: x * P[2], lambda x: UNIFORM[name]() * x]
                f = mg.compile(lambda x, k, c=choices: mg.take([g(x) for g in c], k), batch=batch)
                if k == 1 and name == "ops":
                    continue
                arguments = (
                    (np.array([2.0, 3.0]), np.array([k, k])) if batch else (5.0, np.int64(k))
                )
                result = f(*arguments)
                (result.sum() if batch else result).backward()
                ours = take_grads()
                for x in (2.0, 3.0):
                    choices[k](Value(x)).backward()
                theirs = take_grads()
                assert np.allclose(ours, theirs, rtol=1e-10, equal_nan=True)
    finally:
        for q, number in zip(poisoned, kept, strict=True):
            q.data = number


def test_a_choice_that_an_infinite_adjoint_reaches():
    """sqrt(max(x, y)) at 0: infinity for what was chosen, nothing for the rest."""
    for choose, lower in ((mg.maximum, -1.0), (mg.minimum, 1.0)):
        f = mg.compile(lambda x, c=choose: c(x[0], x[1]).sqrt())
        assert f.value_and_grad(np.array([0.0, lower]))[1].tolist() == [math.inf, 0.0]
    f = mg.compile(lambda x: x.relu().sqrt(), batch=True)
    assert f.value_and_grad(np.array([-1.0, 4.0]))[1].tolist() == [0.0, 0.25]
