"""Never a silently frozen number: what a trace read beside its arguments is watched, and the
function is traced again when it has changed. Here the ways in which that can happen, each as a
small program and the statements that change something, beside the eager function."""

import sys

import numpy as np
import pytest

import micrograd_fast as mg
from micrograd_fast import Value, _core

START = """
import collections, dataclasses, enum, functools, sys, types
import numpy as np
import micrograd_fast as mg
from micrograd_fast import nn, Value
"""
NEURON = "model = nn.Neuron(1)\nmodel.w[0].data = -0.5\ndef f(x): return model([x])\n"
LAYERS = """
model = nn.MLP(1, [2, 1])
for k, p in enumerate(model.parameters()): p.data = 0.1 * k - 0.3
def f(x): return model([x])
"""
OWN = """
class Scaled:
    factor = 4.0
    def __init__(self):
        self.w = Value(2.0)
        self.scale = 3.0
        self.flag = True
        self.inner = types.SimpleNamespace(depth=1.5)
        self.table = {"a": 1.0, "b": Value(2.0)}
    def __call__(self, x):
        y = x * self.w * self.scale * self.factor + self.inner.depth
        return self.add(y * self.table["a"] + self.table["b"] if self.flag else y)
    def add(self, y): return y + 1
model = Scaled()
def f(x): return model(x)
"""
# name: (program with a function f(x), what changes)
WAYS = {
    "a global number": ("scale = 2.0\ndef f(x): return x * scale", "scale = 3.0"),
    "a global int": ("n = 2\ndef f(x): return x ** n", "n = 3"),
    "a global that was -0.0": (
        "z = -0.0\ndef f(x): return x * 0 + 1 / (1e-300 + z) * 0 + z",
        "z = 1",
    ),
    "a global flag": ("on = True\ndef f(x): return x if on else -x", "on = False"),
    "a global text": ("kind = 'exp'\ndef f(x): return getattr(x, kind)()", "kind = 'tanh'"),
    "a global None": (
        "bias = None\ndef f(x): return x if bias is None else x + bias",
        "bias = 2.0",
    ),
    "a global Value": ("p = Value(2.0)\ndef f(x): return x * p", "p = Value(5.0)"),
    "a recomputed eager Value": (
        "w = Value(2.0)\ns = w * 3\ndef f(x): return x * s",
        "w.data = 7.0\ns = w * 3",
    ),
    "a global list's item": ("c = [1.0, 2.0]\ndef f(x): return x * c[0] + c[1]", "c[1] = 5.0"),
    "a global list's length": ("c = [1.0]\ndef f(x): return x * sum(c)", "c.append(5.0)"),
    "a list in a list": ("c = [[1.0], [2.0]]\ndef f(x): return x * c[1][0]", "c[1][0] = 5.0"),
    "a list of Values": (
        "c = [Value(1.0), Value(2.0)]\ndef f(x): return x * c[0] + c[1]",
        "c[0], c[1] = c[1], c[0]",
    ),
    "a global tuple": ("c = (1.0, 2.0)\ndef f(x): return x * c[0] + c[1]", "c = (1.0, 3.0)"),
    "a list in a tuple": ("c = ([1.0], 2.0)\ndef f(x): return x * c[0][0]", "c[0][0] = 4.0"),
    "a global dict": ("c = {'a': 1.0}\ndef f(x): return x * c['a']", "c['a'] = 4.0"),
    "a dict's new key": ("c = {'a': 1.0}\ndef f(x): return x * len(c)", "c['b'] = 4.0"),
    "a dict's key taken away": ("c = {'a': 1, 'b': 2}\ndef f(x): return x * len(c)", "del c['a']"),
    "a dict's order": (
        "c = {'a': 1.0, 'b': 2.0}\ndef f(x): return x * next(iter(c.values()))",
        "c['a'] = c.pop('a')",
    ),
    "a set": ("c = {1, 2}\ndef f(x): return x * len(c)", "c.add(3)"),
    "a deque": ("c = collections.deque([1.0])\ndef f(x): return x * c[0]", "c.appendleft(4.0)"),
    "a bytearray": ("c = bytearray(b'ab')\ndef f(x): return x * c[0]", "c[0] = 3"),
    "a defaultdict": (
        "c = collections.defaultdict(float, a=1.0)\ndef f(x): return x * c['a']",
        "c['a'] = 2.0",
    ),
    "an array's element": ("c = np.array([1.0, 2.0])\ndef f(x): return x * c[1]", "c[1] = 5.0"),
    "an array in place": ("c = np.ones((2, 2))\ndef f(x): return x * c[1, 1]", "c *= 3"),
    "an array's shape": (
        "c = np.arange(4.0)\ndef f(x): return x * (c + 1).sum(axis=0).max()",
        "c.resize((2, 2), refcheck=False)",
    ),
    "an array's sign": ("c = np.array([1.0])\ndef f(x): return x * c[0]", "c *= -1"),
    "a strided array": ("c = np.arange(8.0)[::2]\ndef f(x): return x * c[1]", "c[1] = 5.0"),
    "an array of Values": (
        "c = np.array([Value(1.0)])\ndef f(x): return x * c[0]",
        "c[0] = Value(4.0)",
    ),
    "another array": ("c = np.ones(2)\ndef f(x): return x * c.sum()", "c = np.ones(3)"),
    "a large array": ("c = np.ones(100_000)\ndef f(x): return x * c[5]", "c *= 3"),
    "a NumPy number": ("c = np.float64(2)\ndef f(x): return x * c", "c = np.float64(3)"),
    "a helper replaced": (
        "def g(x): return x * 2\ndef f(x): return g(x)",
        "def g(x): return x * 3",
    ),
    "a helper's code": (
        "def g(x): return x * 2\ndef h(x): return x * 3\ndef f(x): return g(x)",
        "g.__code__ = h.__code__",
    ),
    "a helper's global": (
        "k = 2.0\ndef g(x): return x * k\ndef f(x): return g(x)",
        "k = 3.0",
    ),
    "a helper's default": (
        "def g(x, k=2.0): return x * k\ndef f(x): return g(x)",
        "g.__defaults__ = (3.0,)",
    ),
    "a helper's keyword default": (
        "def g(x, *, k=2.0): return x * k\ndef f(x): return g(x)",
        "g.__kwdefaults__['k'] = 3.0",
    ),
    "a list as default": ("def f(x, k=[2.0]): return x * k[0]", "f.__defaults__[0][0] = 3.0"),
    "its own default": ("def f(x, k=2.0): return x * k", "f.__defaults__ = (3.0,)"),
    "a function's attribute": (
        "def g(x): return x * g.k\ng.k = 2.0\ndef f(x): return g(x)",
        "g.k = 3.0",
    ),
    "a lambda in a list": ("c = [lambda x: x * 2]\ndef f(x): return c[0](x)", "c[0] = abs"),
    "a builtin that is shadowed": (
        "def f(x): return x * max(1.0, 2.0)",
        "def max(a, b): return 5.0",
    ),
    "a closure": (
        "def make():\n k = 2.0\n def f(x): return x * k\n def change():\n  nonlocal k\n  k = 3.0\n"
        " return f, change\nf, change = make()",
        "change()",
    ),
    "a closure of a nested function": (
        "def make():\n k = [2.0]\n def f(x):\n  def g(): return x * k[0]\n  return g()\n"
        " return f, k\nf, k = make()",
        "k[0] = 3.0",
    ),
    "a closure's Value": (
        "def make():\n p = Value(2.0)\n def f(x): return x * p\n def change():\n  nonlocal p\n"
        "  p = Value(3.0)\n return f, change\nf, change = make()",
        "change()",
    ),
    "a generator expression's global": (
        "k = 2.0\ndef f(x): return sum(x * k for _ in range(2))",
        "k = 3.0",
    ),
    "nonlin": (NEURON, "model.nonlin = False"),
    "activation": (NEURON, "model.activation = 'tanh'"),
    "a weight in its list": (NEURON, "model.w[0] = Value(0.75)"),
    "a list of weights": (NEURON, "model.w = [Value(0.75)]"),
    "a bias": (NEURON, "model.b = Value(5.0)"),
    "a slice of weights": (NEURON, "model.w[:] = [Value(0.75)]"),
    "nonlin of one of many": (LAYERS, "model.layers[0].neurons[1].nonlin = False"),
    "a weight of one of many": (LAYERS, "model.layers[0].neurons[1].w[0] = Value(0.75)"),
    "a layer added": (LAYERS, "model.layers.append(lambda y: y * 2)"),
    "a layer taken away": (LAYERS, "model.layers = [nn.Layer(1, 1, nonlin=False)]"),
    "a layer replaced": (
        LAYERS,
        "model.layers[1] = nn.Layer(2, 1, nonlin=False)\nmodel.layers[1].neurons[0].b.data = 7.0",
    ),
    "a neuron replaced": (
        LAYERS,
        "del model.layers[0].neurons[0]\nmodel.layers[0].neurons.insert(0, nn.Neuron(1))\n"
        "model.layers[0].neurons[0].b.data = 5.0",
    ),
    "layers exchanged": (
        "model = [nn.Neuron(1, nonlin=False), nn.Neuron(1, nonlin=False)]\n"
        "model[0].b.data = 1.0\ndef f(x): return model[0]([model[1]([x])]) + 1",
        "model.reverse()",
    ),
    "a model replaced": (LAYERS, "model = nn.MLP(1, [1])"),
    "Neuron.__call__ replaced": (
        "Old = type('Old', (nn.Neuron,), {})\nmodel = Old(1)\ndef f(x): return model([x]) + 1",
        "Old.__call__ = lambda self, x: self.w[0] * x[0] * 3",
    ),
    "an attribute": (OWN, "model.scale = 5.0"),
    "an attribute's flag": (OWN, "model.flag = False"),
    "a Value as attribute": (OWN, "model.w = Value(5.0)"),
    "a class attribute": (OWN, "Scaled.factor = 5.0"),
    "a class attribute that an object hides": (OWN, "model.factor = 5.0"),
    "an attribute of an attribute": (OWN, "model.inner.depth = 5.0"),
    "an object as attribute": (OWN, "model.inner = types.SimpleNamespace(depth=5.0)"),
    "a dict as attribute": (OWN, "model.table['b'] = Value(7.0)"),
    "a method replaced": (OWN, "Scaled.add = lambda self, y: y + 2"),
    "a method of one object": (OWN, "model.add = lambda y: y + 3"),
    "its __dict__ in place": (OWN, "model.__dict__['scale'] = 5.0"),
    "its __dict__ updated": (OWN, "vars(model).update(scale=5.0)"),
    "another __dict__": (OWN, "model.__dict__ = {**model.__dict__, 'scale': 5.0}"),
    "another class": (
        OWN + "class Other(Scaled):\n factor = 9.0\n",
        "model.__class__ = Other",
    ),
    "a base class": (
        "class A:\n k = 2.0\nclass B(A): pass\nb = B()\ndef f(x): return x * b.k",
        "A.k = 3.0",
    ),
    "a base class's new attribute": (
        "class A:\n k = 2.0\nclass B(A): pass\nb = B()\ndef f(x): return x * b.k",
        "B.k = 3.0",
    ),
    "a class's list": ("class A:\n k = [2.0]\ndef f(x): return x * A.k[0]", "A.k[0] = 3.0"),
    "a slot": (
        "class A:\n __slots__ = ('k',)\na = A()\na.k = 2.0\ndef f(x): return x * a.k",
        "a.k = 3.0",
    ),
    "a slot beside a dict": (
        "class A:\n __slots__ = ('k', '__dict__')\na = A()\na.k = 2.0\ndef f(x): return x * a.k",
        "a.k = 3.0",
    ),
    "a slot that was empty": (
        "class A:\n __slots__ = ('k',)\na = A()\ndef f(x): return x * getattr(a, 'k', 1.0)",
        "a.k = 3.0",
    ),
    "a slotted dataclass": (
        "@dataclasses.dataclass(slots=True)\nclass A:\n k: float\na = A(2.0)\n"
        "def f(x): return x * a.k",
        "a.k = 3.0",
    ),
    "a frozen dataclass": (
        "@dataclasses.dataclass(frozen=True)\nclass A:\n k: float\na = A(2.0)\n"
        "def f(x): return x * a.k",
        "a = A(3.0)",
    ),
    "a property's attribute": (
        "class A:\n k = 2.0\n @property\n def twice(self): return self._k * 2\n"
        "a = A()\na._k = 1.0\n"
        "def f(x): return x * a.twice",
        "a._k = 3.0",
    ),
    "a static method": (
        "class A:\n @staticmethod\n def g(x): return x * k\nk = 2.0\ndef f(x): return A.g(x)",
        "k = 3.0",
    ),
    "a class method": (
        "class A:\n k = 2.0\n @classmethod\n def g(cls, x): return x * cls.k\n"
        "def f(x): return A.g(x)",
        "A.k = 3.0",
    ),
    "__getattr__": (
        "class A:\n def __init__(self): self._d = {'k': 2.0}\n"
        " def __getattr__(self, name): return self._d[name]\na = A()\ndef f(x): return x * a.k",
        "a._d['k'] = 3.0",
    ),
    "__getitem__": (
        "class A:\n def __init__(self): self.items = [2.0]\n"
        " def __getitem__(self, i): return self.items[i]\na = A()\ndef f(x): return x * a[0]",
        "a.items[0] = 3.0",
    ),
    "an operator of another class": (
        "class A:\n k = 2.0\n def __rmul__(self, x): return x * self.k\n"
        "a = A()\ndef f(x): return x * a",
        "a.k = 3.0",
    ),
    "getattr by a name in a list": (
        "class A: pass\na = A()\na.k = 2.0\nnames = ['k']\n"
        "def f(x): return x * sum(getattr(a, n) for n in names)",
        "a.k = 3.0",
    ),
    "vars": (
        "class A: pass\na = A()\na.k = 2.0\ndef f(x): return x * sum(vars(a).values())",
        "a.other = 3.0",
    ),
    "a layer found by a made-up name": (
        "class A: pass\na = A()\na.w0 = 2.0\ndef f(x): return x * getattr(a, f'w{0}')",
        "a.w0 = 3.0",
    ),
    "a partial's argument": (
        "k = [2.0]\ndef g(k, x): return x * k[0]\nf = functools.partial(g, k)",
        "k[0] = 3.0",
    ),
    "a partial's keyword": (
        "def g(x, k): return x * k\nf = functools.partial(g, k=2.0)",
        "f.keywords['k'] = 3.0",
    ),
    "a partial in a global": (
        "def g(k, x): return x * k\nh = functools.partial(g, 2.0)\ndef f(x): return h(x)",
        "h = functools.partial(g, 3.0)",
    ),
    "a bound method's object": (
        "class A:\n k = 2.0\n def g(self, x): return x * self.k\na = A()\nf = a.g",
        "a.k = 3.0",
    ),
    "a bound method in a global": (
        "class A:\n k = 2.0\n def g(self, x): return x * self.k\na = A()\n"
        "h = a.g\ndef f(x): return h(x)",
        "a.k = 3.0",
    ),
    "a callable object": (
        "class A:\n k = 2.0\n def __call__(self, x): return x * self.k\nf = A()",
        "f.k = 3.0",
    ),
    "a namedtuple": (
        "T = collections.namedtuple('T', 'k')\nt = T(2.0)\ndef f(x): return x * t.k",
        "t = T(3.0)",
    ),
    "an enum": (
        "class E(enum.Enum):\n A = 2.0\n B = 3.0\ne = E.A\ndef f(x): return x * e.value",
        "e = E.B",
    ),
    "a user's module": (
        "m = sys.modules['theirs'] = types.ModuleType('theirs')\n"
        "m.k = 2.0\ndef f(x): return x * m.k",
        "m.k = 3.0",
    ),
    "a module imported in the function": (
        "m = sys.modules['theirs'] = types.ModuleType('theirs')\n"
        "m.k = 2.0\ndef f(x):\n import theirs as s\n return x * s.k",
        "m.k = 3.0",
    ),
    "a compiled helper's global": (
        "k = 2.0\n@mg.compile\ndef g(x): return x * k\ndef f(x): return g(x)",
        "k = 3.0",
    ),
    "a decorated helper": (
        "def twice(g):\n @functools.wraps(g)\n def w(x): return g(x) * 2\n return w\n"
        "k = 2.0\n@twice\ndef g(x): return x * k\ndef f(x): return g(x)",
        "k = 3.0",
    ),
    "a method added to Value": (
        "Value.times = lambda self: self * 2\ndef f(x): return x.times()",
        "Value.times = lambda self: self * 3",
    ),
    "a subclass of list": (
        "class L(list): pass\nc = L([1.0])\nc.k = 2.0\ndef f(x): return x * c[0] * c.k",
        "c.k = 3.0",
    ),
    "a class constructed in the function": (
        "class A:\n def __init__(self): self.k = k\nk = 2.0\ndef f(x): return x * A().k",
        "k = 3.0",
    ),
    "a global deleted for a builtin": (
        "abs = lambda x: x * 2\ndef f(x): return abs(x)",
        "del abs",
    ),
}
# What a program must not be traced again for.
QUIET = {
    "an equal number": ("scale = 2.0\ndef f(x): return x * scale", "scale = float('2.0')"),
    "an equal text": ("k = 'exp'\ndef f(x): return getattr(x, k)()", "k = ''.join(['e', 'xp'])"),
    "an unrelated global": ("def f(x): return x * 2", "other = 3"),
    "an unrelated attribute": (OWN, "model.history = [1]"),
    "a parameter's data": (LAYERS, "model.parameters()[0].data = 3.0"),
    "an equal number in a list": ("c = [2.0]\ndef f(x): return x * c[0]", "c[0] = float('2.0')"),
    "an equal tuple": ("c = (1.0, 'a')\ndef f(x): return x * c[0]", "c = (float('1.0'), 'a')"),
    "an equal number in a slot": (
        "class A: __slots__ = ('k',)\na = A()\na.k = 2.0\ndef f(x): return x * a.k",
        "a.k = float('2.0')",
    ),
    "equal bytes in an array": ("c = np.ones(3)\ndef f(x): return x * c[0]", "c[:] = 1.0"),
    "an unrelated class attribute": (OWN, "Scaled.count = 1"),
    "a log": ("log = []\ndef f(x):\n log.append(1)\n return x * 2", "log.append(3)"),
}


def program(text):
    names = {"__name__": "a_program_of_somebody"}
    exec(START + text, names)
    return names


def traces(f):
    return list(f._traces.by_signature.values())


@pytest.fixture(autouse=True)
def as_it_was():
    yield
    sys.modules.pop("theirs", None)
    if hasattr(Value, "times"):
        del Value.times


@pytest.mark.parametrize("way", WAYS)
def test_a_change_of_what_was_read_is_seen(way):
    text, change = WAYS[way]
    names = program(text)
    f = names["f"]
    compiled = mg.compile(f)
    before = f(Value(3.0)).data
    assert [compiled(3.0).data for _ in range(3)] == [pytest.approx(before, rel=1e-12)] * 3
    exec(change, names)
    after = f(Value(3.0)).data
    assert after != before
    assert [compiled(3.0).data for _ in range(2)] == [pytest.approx(after, rel=1e-12)] * 2
    assert len(traces(compiled)) == 1  # the stale one is gone


@pytest.mark.parametrize("way", WAYS)
def test_value_and_grad_and_program_see_it_too(way):
    text, change = WAYS[way]
    names = program(text)
    compiled = mg.compile(lambda x: names["f"](x[0]), batch=True)
    call = mg.compile(names["f"])
    compiled_param = Value(3.0)
    call.value_and_grad(compiled_param, params=[compiled_param])
    listing = call.program(compiled_param)
    exec(change, names)
    expected = names["f"](Value(3.0)).data
    assert call.value_and_grad(compiled_param, params=[compiled_param])[0] == pytest.approx(
        expected, rel=1e-12
    )
    assert compiled(np.array([[3.0]])).data[0] == pytest.approx(expected, rel=1e-12)
    assert listing


@pytest.mark.parametrize("way", QUIET)
def test_what_changes_nothing_is_not_traced_again(way):
    text, change = QUIET[way]
    names = program(text)
    compiled = mg.compile(names["f"])
    compiled(3.0)
    first = traces(compiled)
    for _ in range(3):
        exec(change, names)
        compiled(3.0)
    assert traces(compiled) == first


def test_numbers_are_compared_bit_by_bit():
    names = program("z = 0.0\ndef f(x): return x * z")
    compiled = mg.compile(names["f"])
    assert compiled(1.0).data.hex() == "0x0.0p+0"
    names["z"] = -0.0
    assert compiled(1.0).data.hex() == "-0x0.0p+0"
    names["z"] = float("nan")
    assert np.isnan(compiled(1.0).data)
    first = traces(compiled)
    names["z"] = float("nan")  # another object, the same bits
    assert np.isnan(compiled(1.0).data)
    assert traces(compiled) == first


def test_the_reason_is_told():
    names = program("scale = 2.0\ndef f(x): return x * scale")
    compiled = mg.compile(names["f"])
    compiled(1.0)
    names["scale"] = 3.0
    compiled(1.0)
    assert "\ntraced again: global 'scale' changed from 2.0 to 3.0\n" in compiled.program(1.0)


REASONS = {
    "nonlin": "attribute 'nonlin' of Neuron changed from True to False",
    "a weight in its list": "item 0 of attribute 'w' of Neuron is another Value",
    "a layer added": "the length of attribute 'layers' of MLP changed from 2 to 3",
    "a helper's code": "the code of 'g' is another code",
    "a class attribute": "attribute 'factor' of class Scaled changed from 4.0 to 5.0",
    "an array's element": "global 'c' has changed: ndarray",
    "a dict's key taken away": "item 'a' of global 'c'",
    "a method of one object": "attribute 'add' of Scaled is new: function",
    "a slot": "attribute 'k' of A changed from 2.0 to 3.0",
}


@pytest.mark.parametrize("way", REASONS)
def test_the_words_say_what_has_changed(way):
    text, change = WAYS[way]
    names = program(text)
    watched = _core.Watch(names["f"])
    assert watched.settle() == []
    assert watched.change() is None
    exec(change, names)
    assert watched.change().startswith(REASONS[way])


def test_a_change_at_every_call_is_reported_with_its_reason():
    names = program("step = 0\ndef f(x): return x * step")
    compiled = mg.compile(names["f"])
    with pytest.warns(mg.TraceWarning, match="'step' changed from .*as an argument"):
        for k in range(40):
            names["step"] = k
            assert compiled(2.0).data == 2.0 * k
    assert compiled.cache_info().currsize == 1
