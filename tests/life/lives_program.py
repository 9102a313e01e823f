"""What test_lives.py runs: one program, written once, over the package and over the model.

Everything that a compiled function here reads (numbers, flags, text, Values, other objects) is
changed now and then by the lives.
"""

import gc

import lives_library
import lives_model
import numpy as np

import micrograd_fast as mg

FACTOR = 0.75  # a global that compiled functions read


class Raised(Exception):
    """What a custom step of the lives raises."""


def set_factor(number):
    global FACTOR
    FACTOR = number


def net_classes(lib):
    class Net(lib.nn.Module):
        """A network of a layer and a neuron, with compiled methods."""

        def __init__(self):
            self.mlp = lib.nn.MLP(2, [2, 1])
            self.scale, self.shift, self.bent = lib.Value(0.5), 0.25, True
            self.whole = lib.compile(self._whole, batch=True)

        def parameters(self):
            return [*self.mlp.parameters(), self.scale]

        def bend(self, z):
            return z * self.scale

        def score(self, x):
            z = self.bend(self.mlp(x)) + self.shift
            return z.tanh() if self.bent else z

        @lib.compile
        def one(self, x):
            return self.score(x)

        @lib.compile(batch=True)
        def loss(self, x, target):
            return (self.score(x) - target) ** 2 + (1 - target * self.score(x)).relu()

        @lib.compile(batch=True)
        def several(self, x):
            z = self.score(x)
            return {"score": z, "more": [z.maximum(x[0]), self.scale]}

        def _whole(self, x):
            return self.score(x) * FACTOR

    class Bent(Net):
        def bend(self, z):
            return (z + self.scale) * 0.5

    return Net, Bent


def loud_class(base):
    class Loud(base):
        """Overrides an operator, on both sides."""

        def __add__(self, other):
            return base.__add__(self, other) * 0.5

        def __radd__(self, other):
            return Loud.__add__(self, other)

        def relu(self):
            return base.relu(self) * 2

    return Loud


def public(cls, name):
    """Makes a class one that pickle finds here."""
    cls.__name__ = cls.__qualname__ = name
    globals()[name] = cls
    return cls


CLASSES = {}
for _lib, _side in ((mg, "Real"), (lives_library, "Model")):
    _net, _bent = net_classes(_lib)
    _loud = public(loud_class(_lib.Value), f"{_side}Loud")
    CLASSES[_lib] = public(_net, f"{_side}Net"), public(_bent, f"{_side}Bent"), _loud


class Settings:
    """A plain object whose attributes compiled functions read."""


class World:
    """The program's state over one of the two libraries."""

    def __init__(self, lib):
        self.lib, self.Value = lib, lib.Value
        self.Net, self.Bent, self.Loud = CLASSES[lib]
        self.at = Settings()
        self.at.a, self.at.b, self.at.k = lib.Value(0.5), lib.Value(-1.5), 1.5
        self.at.t = self.at.a * 2
        self.at.items = [lib.Value(0.25), lib.Value(-0.75), self.at.a]
        self.net = self.Net()
        self.define(lib, self.at)
        self.new_optimizer(0)
        self.counts, self.fuses = {}, {}

    def define(self, lib, at):
        slope = 0.5

        def set_slope(number):
            nonlocal slope
            slope = number

        @lib.compile
        def plain(x, y):
            z = x * at.a + at.t * at.k
            return z, {"tanh": (z * y).tanh(), "more": [z * slope + FACTOR, y]}

        @lib.compile
        def single(x):
            return (x * x + at.b * at.b).sqrt() * x + (x - at.t).relu() / 3

        @lib.compile(batch=True)
        def rows(x, v, w):
            return (x[0] * v + x[1] * at.b - slope).maximum(w[0]) + w[1] * at.t

        @lib.compile(batch=True)
        def pairs(x, y):
            gate = (-1 - x[0] * x[0]).relu()  # never open: what is behind it is infinite at 0
            return x[0] * at.a - y, gate * (x[1] * 0).log() + (x[1] * 0).sqrt().detach() + at.b * y

        @lib.compile(batch=True)
        def after(z, n):
            for _ in range(n):
                z = (z * at.b + at.k).tanh() + plain(z, z)[0] * 0.125
            return z

        @lib.compile(batch=True)
        def chosen(x, which):
            return lib.take([*at.items, x[0]], which) * x[1]

        self.plain, self.single, self.rows, self.pairs = plain, single, rows, pairs
        self.after, self.chosen, self.set_slope = after, chosen, set_slope

    def parameters(self):
        return [self.at.a, self.at.b, *self.net.parameters()]

    def new_optimizer(self, kind):
        params, optim = self.parameters(), self.lib.optim
        if kind % 2:
            self.optimizer = optim.Adam(params, lr=0.01)
        else:
            self.optimizer = optim.SGD(params, lr=0.01, momentum=0.5)

    def neuron(self, k):
        neurons = [n for layer in self.net.mlp.layers for n in layer.neurons]
        return neurons[k % len(neurons)]

    def custom(self, children, key, act):
        """A node as the lecture writes it: the sum of squares. `act` happens within its step."""
        out = self.Value(sum(x.data * x.data for x in children), children, "squares")

        def step():
            self.passed(key)
            act()
            for x in children:
                x.grad += 2 * x.data * out.grad

        out._backward = step
        return out

    def passed(self, key):
        self.counts[key] = self.counts.get(key, 0) + 1
        if key in self.fuses:
            raise self.fuses.pop(key)

    def probe(self, v, key):
        """A step around the one that v has; it counts, and raises where a fuse is set."""
        own = v._backward

        def step():
            self.passed(key)
            own()

        v._backward = step

    def with_local_grads(self, children):
        """A node as microgpt writes it: a product of all."""
        grads = []
        for k in range(len(children)):
            grads.append(float(np.prod([x.data for i, x in enumerate(children) if i != k])))
        data = float(np.prod([x.data for x in children]))
        if self.lib is mg:
            return mg.Value(data, tuple(children), tuple(grads))
        slopes = [(g, abs(g)) for g in grads]
        return lives_model.Node(data, children, "", lambda z: slopes)


class Guard:
    """Acts when it dies, which may be in the middle of an op. Faults are kept for the life."""

    def __init__(self, act, faults):
        self.act, self.faults = act, faults

    def __del__(self):
        try:
            self.act()
        except BaseException as error:
            self.faults.append(repr(error))


def build_a_graph():
    x = mg.Value(2.0)
    y = x * x + x / 2
    if y._prev:  # not in no_grad
        y.backward()
        assert x.grad == 4.5, x.grad
    assert y.data == 5.0
    assert (1 - y).relu().data == 0.0


def leave_a_cycle(*things):
    cell = list(things)
    cell.append(cell)


ACTS = {"none": lambda: None, "builds": build_a_graph, "collects": gc.collect}
