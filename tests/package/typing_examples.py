"""What users write, for type checkers alone: tests/package/test_typing.py runs them over it.

`assert_type` states what an expression is. A line with `type: ignore[...]` must have that very
error: mypy --strict and pyright report an ignored error that does not occur.
"""

# pyright: standard, reportUnnecessaryTypeIgnoreComment=true, reportUnusedExpression=false

from __future__ import annotations

import math
import random
from typing import Any

import numpy as np
from numpy.typing import NDArray
from typing_extensions import assert_type

import micrograd_fast as mg
from micrograd_fast import (
    AnomalyError,
    Batch,
    Value,
    detect_anomaly,
    functional,
    maximum,
    no_grad,
    optim,
)
from micrograd_fast.nn import (
    MLP,
    Embedding,
    GRUCell,
    Layer,
    Linear,
    LSTMCell,
    Module,
    Neuron,
    Sequential,
    utils,
)


def operators(v: Value) -> None:
    for out in (v + 1, v - 2.0, v * v, v / 3, v**2, v**0.5, v**v, -v, abs(v)):
        assert_type(out, Value)
    for out in (1 + v, 2.0 - v, 3 * v, 1 / v, 2**v, True + v, math.pi * v):
        assert_type(out, Value)
    for out in (v + np.float64(1), np.float32(1) * v, v / np.int64(3), np.int64(3) ** v):
        assert_type(out, Value)
    v += 1
    v *= v
    assert_type(v, Value)
    assert_type(v < 1, bool)
    assert_type(v == v, bool)
    assert_type(f"{v:.4f}", str)
    assert_type({v: "a key"}[v], str)


def methods(v: Value) -> None:
    outs = [v.relu(), v.exp(), v.log(), v.sqrt(), v.tanh(), v.sigmoid(), v.sin(), v.cos(), v.abs()]
    outs += [v.maximum(0), v.minimum(v), v.detach()]
    assert_type(sum(outs, Value(0.0)), Value)
    assert_type(max(outs), Value)
    assert_type(sorted(outs), list[Value])
    v.backward()


def attributes(v: Value) -> None:
    assert_type(v.data, float)
    assert_type(v.grad, float)
    assert_type(v._prev, set[Value])
    assert_type(v._op, str)
    assert_type(v.label, str)
    v.grad = 0
    v.data -= 0.1 * v.grad
    v.data = np.float32(0.5)
    v.label = "x"
    v._backward()


def cube(self: Value) -> Value:
    return self**3


def hung_on(p: Value) -> None:
    p.history = []
    p.history.append(p.grad)
    p.m = 0.9 * p.m + 0.1 * p.grad
    Value.cube = cube
    assert_type(p.cube(), Any)
    assert_type(p.m, Any)


def sums(values: list[Value]) -> None:
    assert_type(functional.sum(values), Value)
    assert_type(sum(values, Value(0.0)), Value)
    assert_type(sum(values) + values[0], Value)
    assert_type(sum(values) / len(values) * values[0], Value)


def construction() -> None:
    a, b = Value(2), Value(data=-3.0, label="b")
    Value(np.float64(1.0))
    Value(True)
    Value(1.0, (a, b), "+", "c")
    Value(1.0, [a, b], _op="custom")


def lecture_tanh(self: Value) -> Value:
    t = math.tanh(self.data)
    out = Value(t, (self,), "tanh")

    def _backward() -> None:
        self.grad += (1 - t**2) * out.grad

    out._backward = _backward
    return out


class Weight(Value):
    """A Value with an attribute of its own, for the checker to know it."""

    momentum: float = 0.0


def subclasses(w: Weight) -> None:
    w.momentum = 0.9 * w.momentum + w.grad
    assert_type(w * 2, Value)


class Residual(Module):
    """A module in micrograd's style."""

    def __init__(self, n: int) -> None:
        self.layer = Layer(n, n, activation="tanh")
        self.scale = Value(random.uniform(-1, 1))

    def __call__(self, x: list[Value]) -> list[Value]:
        return [xi + self.scale * yi for xi, yi in zip(x, self.layer(x), strict=True)]

    def parameters(self) -> list[Value]:
        return [*self.layer.parameters(), self.scale]


def training(rows: list[list[float]], targets: list[float]) -> float:
    model = MLP(3, [4, 4, 1], activation="sigmoid")
    loss = Value(0.0)
    for _ in range(20):
        scores: list[Value] = [model(row) for row in rows]
        losses = [(1 + -y * s).relu() for y, s in zip(targets, scores, strict=True)]
        loss = sum(losses, Value(0.0)) / len(losses)
        model.zero_grad()
        loss.backward()
        for p in model.parameters():
            p.data -= 0.05 * p.grad
    return loss.data


def optimizers(model: Module) -> None:
    adam = optim.Adam(model.parameters(), lr=1e-2, betas=(0.9, 0.95))
    for optimizer in (adam, optim.SGD(model.parameters(), 0.1, momentum=0.9, nesterov=True)):
        optimizer.zero_grad()
        optimizer.step()
        optimizer.load_state_dict(optimizer.state_dict())
        assert_type(optimizer.params, list[Value])
    adam.lr *= 0.5
    model.load_state_dict(model.state_dict())
    assert_type(model.state_dict(), dict[str, float])


class Recurrent(Module):
    """A module whose parameters are what hangs on it."""

    def __init__(self) -> None:
        self.table = Embedding(5, 3, init="xavier")
        self.cell, self.gru = LSTMCell(3, 4), GRUCell(4, 2, init=lambda nin, nout: 1 / nin)
        self.head = Sequential(Linear(2, 1, bias=False), lambda x: x[0])

    def __call__(self, k: int) -> Value:
        h, c = self.cell(self.table(k))
        assert_type(c, list[Value])
        assert_type(self.gru(h, None), list[Value])
        out: Value = self.head(self.gru(h))
        return out


def schedules(model: Recurrent) -> None:
    groups: list[dict[str, Any]] = [{"params": model.cell.parameters(), "lr": 0.1}]
    groups.append({"params": model.head.parameters()})
    optimizer = optim.RMSprop(groups, lr=0.01, momentum=0.9, centered=True)
    optimizer.add_param_group({"params": [Value(1.0)]})
    optimizer.param_groups[0]["lr"] = 0.2
    schedule = optim.lr_scheduler.OneCycleLR(optimizer, [0.1, 0.2, 0.3], total_steps=10)
    optim.lr_scheduler.LambdaLR(optim.Adagrad([Value(1.0)]), lambda epoch: 0.9**epoch)
    optimizer.step(lambda: model(3))
    schedule.step()
    assert_type(schedule.get_last_lr(), list[float])
    schedule.load_state_dict(schedule.state_dict())
    assert_type(utils.clip_grad_norm_(model.parameters(), 1.0), float)
    for name, p in model.named_parameters():
        assert_type(name, str)
        p.requires_grad = False
    optim.lr_scheduler.StepLR(optimizer, "3")  # type: ignore[arg-type]
    Linear(2, "1")  # type: ignore[arg-type]


def functions(logits: list[Value]) -> None:
    assert_type(functional.softmax(logits), list[Value])
    assert_type(functional.cross_entropy(logits, 1), Value)
    assert_type(functional.mse_loss(logits, [0.0, 1]), Value)
    assert_type(functional.dot(logits, range(3)), Value)
    assert_type(functional.mean(logits), Value)
    assert_type(maximum(*logits), Value)


@mg.compile
def distance(x: list[Value], y: list[Value], scale: float = 1.0) -> Value:
    return scale * functional.sum((a - b) ** 2 for a, b in zip(x, y, strict=True))


@mg.compile(batch=True)
def scores(x: list[Value], target: Value) -> Value:
    return (1 - target * x[0]).relu()


def pair(x: list[Value]) -> tuple[Value, Value]:
    return x[0] * x[1], x[0] + x[1]


def penalty(*, weight: float = 1.0) -> Any:
    return weight * sum(p * p for p in Neuron(2).parameters())


def compiled(v: Value) -> None:
    array = np.ones(3)
    assert_type(distance(array, array), Value)
    assert_type(distance([v], [v], 2.0), Value)
    assert_type(distance(array, [1.0, 2.0, 3.0], scale=2.0), Value)
    assert_type(distance.values(array, array), float)
    batch = scores(np.ones((5, 3)), np.ones(5))
    assert_type(batch, Batch[Value])
    assert_type(scores.values(np.ones((5, 3)), np.ones(5)), NDArray[np.float64])
    assert_type(batch.mean() + v, Value)
    assert_type(batch[0], Value)
    assert_type(batch[1:3], Batch[Value])
    assert_type((2 * batch - batch / 3).data, NDArray[np.float64])
    assert_type(list(batch), list[Value])
    both = mg.compile(pair)
    assert_type(both(array), tuple[Value, Value])
    assert_type(mg.compile(pair, batch=True)(np.ones((2, 3))).sum(), tuple[Value, Value])
    assert_type(mg.compile(sum_of)([v, v]), Value)
    mg.compile(penalty)(weight=2.0).backward()
    mg.compile(lambda x, y: x * y)(array, 1.0)
    value, gradient = distance.value_and_grad(array, array)
    assert_type(distance.cache_info().hits, int)
    assert_type(distance.explain(array, array).times[0].forward, float)
    assert_type(distance.find_nan(array, array).line, int | None)
    print(value, gradient, mg.compile(sum_of).program([v]).outputs)


def sum_of(x: list[Value]) -> Value | int:
    return sum(x)


class WithCompiled(Module):
    """A compiled method has the parameters after self."""

    def __init__(self) -> None:
        self.neuron = Neuron(2)

    @mg.compile(batch=True)
    def loss(self, x: list[Value], y: Value) -> Value:
        return (self.neuron(x) - y) ** 2


def compiled_method(model: WithCompiled) -> None:
    assert_type(model.loss(np.ones((4, 2)), np.ones(4)).mean(), Value)


def wrong_calls(model: Module) -> None:
    distance(np.ones(3), model)  # type: ignore[call-overload]
    mg.compile(1)  # type: ignore[call-overload]
    mg.compile(distance, batch="yes")  # type: ignore[call-overload]


@no_grad()
def predict(model: Neuron, row: list[float]) -> float:
    with no_grad():
        assert_type(model(row), Value)
    return model(row).data


@detect_anomaly
def checked(x: Value) -> Value:
    with detect_anomaly():
        return x.exp()


def decorated() -> None:
    assert_type(predict(Neuron(2), [1.0, 2.0]), float)
    assert_type(checked(Value(1.0)), Value)


def anomaly(e: AnomalyError) -> None:
    assert_type(e.op, str)
    assert_type(e.operands, tuple[float, ...])


def arrays(v: Value) -> None:
    # Elementwise, as NumPy's own types say.
    _ = v * np.array([1.0, 2.0])
    _ = np.array([[1.0, 2.0]]) / v
    np.dot(np.array([v, v]), np.array([1.0, 2.0]))


def mistakes(v: Value) -> None:
    Value("1.0")  # type: ignore[arg-type]
    Value(None)  # type: ignore[arg-type]
    Value(v)  # type: ignore[arg-type]
    Value(1.0, 2.0)  # type: ignore[arg-type]
    Value(1.0, colour="red")  # type: ignore[call-arg]
    v + "1.0"  # type: ignore[operator]
    v * None  # type: ignore[operator]
    1j + v  # type: ignore[operator]
    [1.0] * v  # type: ignore[operator]
    v // 2  # type: ignore[operator]
    v @ v  # type: ignore[operator]
    v.data = "1.0"  # type: ignore[assignment]
    v.grad = v  # type: ignore[assignment]
    v._prev = set()  # type: ignore[misc]
    v._backward = 5  # type: ignore[assignment]
    v.exp(2.0)  # type: ignore[call-arg]
    v.maximum("1.0")  # type: ignore[arg-type]
    math.exp(v)  # type: ignore[arg-type]
    float(v)  # type: ignore[arg-type]
    len(v)  # type: ignore[arg-type]
    list(v)  # type: ignore[call-overload]
    MLP(2, [1], activation=1)  # type: ignore[arg-type]
    optim.SGD(v)  # type: ignore[arg-type]
    optim.SGD([1.0])  # type: ignore[arg-type]
    optim.Adam([v], lr="0.1")  # type: ignore[arg-type]
    functional.cross_entropy([v], 0.0)  # type: ignore[arg-type]
    functional.sum(v)  # type: ignore[arg-type]
