"""Random lives: nodes are made, hung with things, dropped, collected and found again.

Each list of instructions runs on micrograd, where every object simply stays, and on micrograd_fast.
Numbers are small integers, so that gradients come out exactly, in whatever order they are added.
"""

import gc

import pytest
from conftest import load_engine
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from programs import reachable

from micrograd_fast._core import live_nodes

LARGEST = 2.0**20
ENGINES = [load_engine("micrograd"), load_engine("micrograd_fast")]


class World:
    """One engine's values and what its custom steps reported, under one instruction after another.

    Where an instruction has to choose, it chooses by number or by shape, alike in both worlds.
    """

    def __init__(self, Value):
        self.Value = Value
        self.values = [Value(2), Value(-3)]
        self.log = []

    def pick(self, number):
        return self.values[number % len(self.values)]

    def leaf(self, a, b):
        self.values.append(self.Value(a % 5 - 2))

    def add(self, a, b):
        self.values.append(self.pick(a) + self.pick(b))

    def subtract(self, a, b):
        self.values.append(self.pick(a) - self.pick(b))

    def add_number(self, a, b):
        self.values.append(b % 7 - 3 + self.pick(a))

    def multiply(self, a, b):
        x, y = self.pick(a), self.pick(b)
        if abs(x.data * y.data) < LARGEST:
            self.values.append(x * y)

    def square(self, a, b):
        if abs(self.pick(a).data) < LARGEST**0.5:
            self.values.append(self.pick(a) ** 2)

    def kink(self, a, b):
        self.values.append(self.pick(a).relu())

    def custom(self, a, b):
        """A node of one to five children; its step holds it, them, and reports."""
        children = [self.pick(a + i) for i in range(1 + b % 5)]
        out = self.Value(b % 3, children, "custom")
        name = len(self.log), b

        def step():
            self.log.append((name, float(out.grad)))
            for child in children:
                child.grad += out.grad

        out._backward = step
        self.values.append(out)

    def wrap_step(self, a, b):
        v = self.pick(a)
        local = v._backward

        def step():
            self.log.append(("wrapped", b, float(v.grad)))
            local()

        v._backward = step

    def number_attribute(self, a, b):
        self.pick(a).number = b

    def value_attribute(self, a, b):
        self.pick(a).others = [self.pick(b)]

    def delete_attribute(self, a, b):
        vars(self.pick(a)).pop("others", None)

    def write_data(self, a, b):
        self.pick(a).data = b % 5 - 2

    def zero_grads(self, a, b):
        for v in reachable(self.values):
            v.grad = 0

    def backward(self, a, b):
        self.pick(a).backward()

    def step(self, a, b):
        self.pick(a)._backward()

    def drop(self, a, b):
        if len(self.values) > 1:
            del self.values[a % len(self.values)]

    def drop_many(self, a, b):
        self.values[: len(self.values) - 1 - a % 3] = []
        self.values = self.values or [self.Value(1)]

    def collect(self, a, b):
        gc.collect()

    def descend(self, a, b):
        """Hold a child, found through _prev, that no other child looks like."""
        shapes = shapes_of([self.pick(a)])
        children = sorted(self.pick(a)._prev, key=shapes.get)
        alone = [c for c in children if [shapes[d] for d in children].count(shapes[c]) == 1]
        if alone:
            self.values.append(alone[b % len(alone)])

    def through_attribute(self, a, b):
        others = getattr(self.pick(a), "others", None)
        if others:
            self.values.append(others[0])


def shapes_of(values):
    """A number for every reachable node, equal where all that can be seen below it is equal."""
    shapes = {}
    for v in reachable(values):  # children first
        numbers = v.data + 0.0, v.grad + 0.0  # micrograd's int 0 has no sign
        attributes = getattr(v, "number", None), len(getattr(v, "others", ()))
        children = sorted(shapes[child] for child in v._prev)
        shapes[v] = hash(repr((v._op, numbers, attributes, children)))
    return shapes


def outlook(world):
    """All that the user can see: the values' shapes, the number of nodes, the steps' reports."""
    shapes = shapes_of(world.values)
    return [shapes[v] for v in world.values], len(shapes), sorted(world.log, key=repr)


def exact(world):
    """Whether all gradients are integers that float64 holds."""
    return all(abs(v.grad) < 2**50 for v in reachable(world.values))


def live(instructions):
    worlds = [World(engine.Value) for engine in ENGINES]
    for name, a, b in instructions:
        for world in worlds:
            getattr(world, name)(a, b)
        if not exact(worlds[0]):
            return
        assert outlook(worlds[1]) == outlook(worlds[0]), name


NAMES = sorted(name for name in vars(World) if not name.startswith("_") and name != "pick")
INSTRUCTIONS = st.lists(
    st.tuples(st.sampled_from(NAMES), st.integers(0, 40), st.integers(0, 40)), max_size=40
)


@pytest.mark.usefixtures("gc_off")
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(INSTRUCTIONS)
@example([("custom", 0, 1), ("value_attribute", 2, 2), ("drop", 2, 0), ("collect", 0, 0)])
def test_any_life_looks_like_micrograds_and_ends_with_no_node_left(instructions):
    before = live_nodes()
    live(instructions)
    gc.collect()
    assert live_nodes() == before
