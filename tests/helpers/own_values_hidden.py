"""Programs whose own Value differs from ours where a first look does not show it.

HIDDEN: by name, as REFUSED of own_values_refused.py: a program, a piece of the line that the
refusal names, and a piece of its text.
"""

from own_values import HEAD, LECTURE, changed, program, with_method

ADDS = "        out = Value(self.data + other"


def with_effect(head, effect, *after):
    """The lecture's, with a statement in its addition."""
    own = changed(LECTURE, (ADDS, f"        {effect}\n{ADDS}"))
    return program(own, *after, head=HEAD + head)


EFFECTS = {
    "the second module of an import writes": (
        with_effect("import math, sys\n", "sys.stdout.write('SIDE')"),
        "sys.stdout.write",
        "uses sys of the module sys, which may do more",
    ),
    "the second module of an import draws": (
        with_effect("import cmath, random\n", "x = random.random()").replace(
            "import random\n", "", 1
        ),
        "x = random.random()",
        "uses random of the module random, which may do more",
    ),
    "the second module of an import, renamed": (
        with_effect("import math, os as o\n", "o.write(1, b'SIDE')"),
        "o.write",
        "uses o of the module os",
    ),
    "an import within an op": (
        with_effect("", "import os; os.write(1, b'SIDE')"),
        "import os",
        "uses os of the module os",
    ),
    "numpy's random numbers": (
        with_effect("import numpy as np\n", "x = np.random.rand()"),
        "np.random.rand()",
        "uses np.random of the module numpy",
    ),
    "numpy's generator": (
        with_effect("import numpy as np\nrng = np.random.default_rng(1)\n", "x = rng.random()"),
        "rng = np.random",
        "uses np.random of the module numpy",
    ),
    "numpy.random as nr": (
        with_effect("import numpy.random as nr\n", "x = nr.rand()"),
        "nr.rand()",
        "uses nr of the module numpy.random",
    ),
    "rand of numpy.random": (
        with_effect("from numpy.random import rand\n", "x = rand()"),
        "x = rand()",
        "uses rand of the module numpy.random",
    ),
    "random of numpy": (
        with_effect("from numpy import random as nr\n", "x = nr.rand()"),
        "x = nr.rand()",
        "uses random of the module numpy",
    ),
    "numpy itself handed on": (
        with_effect("import numpy as np\n", "x = getattr(np, 'random').rand()"),
        "getattr(np",
        "uses np of the module numpy",
    ),
    "numpy's files": (
        with_effect("import numpy as np\n", "np.save('x.npy', 1.0)"),
        "np.save",
        "uses np.save of the module numpy",
    ),
    "scipy's distributions": (
        with_effect("from scipy import stats\n", "x = stats.norm.rvs()"),
        "stats.norm",
        "uses stats of the module scipy",
    ),
    "all of numpy": (
        with_effect("from numpy import *\n", "x = random.rand()").replace("import random\n", "", 1),
        "x = random.rand()",
        "uses random, which the program does not define",
    ),
    "a default that is drawn": (
        program(changed(LECTURE, ('label=""', "label='', start=random.random()"))),
        "start=random.random()",
        "uses random of the module random",
    ),
    "a constant set through globals()": (
        with_effect("EPS = 0.0\n", "x = EPS", "globals()['EPS'] = 1.0"),
        "x = EPS",
        "uses EPS, which changes",
    ),
    "constants set through globals()": (
        with_effect("EPS = 0.0\n", "x = EPS", "globals().update(EPS=1.0)"),
        "x = EPS",
        "uses EPS, which changes",
    ),
    "a function of math that is replaced": (
        program(LECTURE, "math.exp = lambda x: 7.0"),
        "t = (math.exp",
        "uses math, which changes",
    ),
    "a constant set through the module": (
        with_effect("EPS = 0.0\n", "x = EPS", "import __main__\n__main__.EPS = 1.0"),
        "x = EPS",
        "uses EPS, which changes",
    ),
}

DETACH = "    def detach(self):\n        {body}\n"
ENDLESS = """
    def exp(self):
        term = total = k = 1.0
        while total + term != total:
            term *= abs(self.data) / k
            total, k = total + term, k + 1
        e = total if self.data > 0 else 1 / total
        out = Value(e, (self,), "exp")

        def _backward():
            self.grad += e * out.grad

        out._backward = _backward
        return out
"""
MUL = "self.grad += other.data * out.grad"


def of_its_own(method, *after):
    return program(with_method(LECTURE, method), *after)


def clipped(limit, op="self.grad += 1.0 * out.grad"):
    value = op.partition("+= ")[2]
    new = f"self.grad += max(-{limit}, min({limit}, {value}))"
    return program(changed(LECTURE, (op, new)))


METHODS = {
    "a detach() that is the node itself": (
        of_its_own(DETACH.format(body="return self")),
        "def detach",
        r"the gradient of a of a.detach\(\) \* b",
    ),
    "a detach() that cuts in place": (
        of_its_own(DETACH.format(body="self._prev = set()\n        return self")),
        "def detach",
        "detach",
    ),
    "a detach() that gives a number": (
        of_its_own(DETACH.format(body="return self.data")),
        "def detach",
        "detach",
    ),
    "less() that gives a bool": (
        of_its_own("    def less(self, other):\n        return self.data < other.data\n"),
        "def less",
        r"less\(\) takes or gives something else",
    ),
    "compare() that gives an int": (
        of_its_own(
            "    def compare(self, o):\n"
            "        return (self.data > o.data) - (self.data < o.data)\n"
        ),
        "def compare",
        r"compare\(\) takes or gives something else",
    ),
    "item() that rounds": (
        of_its_own("    def item(self):\n        return round(self.data, 2)\n"),
        "def item",
        "a.item.* is -1.23 in the program and -1.23456789 in",
    ),
    "item() that gives the node": (
        of_its_own("    def item(self):\n        return self\n"),
        "def item",
        "a.item.* is <.* in the program and 0.5 in",
    ),
    "maximum() that takes the first of two": (
        of_its_own(
            "    def maximum(self, o):\n        return self if self.data >= o.data else o\n"
        ),
        "def maximum",
        "is 1.0 in the program and 0.5 in micrograd_fast",
    ),
    "a length, which is its truth": (
        of_its_own("    def __len__(self):\n        return len(self._prev)\n"),
        "def __len__",
        "^__len__ of 1.0 is False in the program",
    ),
    "a truth of its own": (
        of_its_own("    def __bool__(self):\n        return self.data != 0\n"),
        "def __bool__",
        "^__bool__ of 0.0 is False in the program",
    ),
    "a hash of its own": (
        of_its_own("    def __hash__(self):\n        return 7\n"),
        "def __hash__",
        "its __hash__ is not that of the object",
    ),
}

CLIPPED = {
    "an addition clipped at 10": (clipped(10), "def __add__", r"\(a \+ b\) \* 1e\+08"),
    "an addition clipped at 1e6": (clipped(1e6), "def __add__", r"\(a \+ b\) \* 1e\+08"),
    "a product clipped at 10": (clipped(10, MUL), "def __mul__", r"\* 1e\+08"),
    "tanh clipped at 1000": (
        clipped(1000, "self.grad += (1 - t**2) * out.grad"),
        "def tanh",
        r"a\.tanh\(\)\) \* 1e\+08",
    ),
    "small gradients left out": (
        program(changed(LECTURE, (MUL, MUL + " if abs(out.grad) > 1e-7 else 0.0"))),
        "def __mul__",
        "1e-08",
    ),
    "data clipped at 1e7": (
        program(changed(LECTURE, ("self.data = data", "self.data = min(data, 1e7)"))),
        "def __init__",
        r"Value\(100000000.0\).data is 10000000.0",
    ),
    "sums clipped at 1e7": (
        program(
            changed(
                LECTURE,
                ("Value(self.data + other.data,", "Value(min(1e7, self.data + other.data),"),
            )
        ),
        "def __add__",
        "in the program and .* in micrograd_fast",
    ),
    "exp clipped at 700": (
        program(changed(LECTURE, ("math.exp(self.data)", "math.exp(min(self.data, 700))"))),
        "def exp",
        r"a\.exp\(\) with a = 1000\.0 gives 1\.01\S+ in the program and ",
    ),
    "a backward() that goes 100 steps": (
        program(
            changed(LECTURE, ("for v in reversed(topo):", "for v in [*reversed(topo)][:100]:"))
        ),
        "def backward",
        "of a chain of 200 nodes leaves",
    ),
    "a graph that backward() takes apart": (
        program(
            changed(
                LECTURE,
                (
                    "            v._backward()\n",
                    "            v._backward()\n            if v is not self: v._prev = set()\n",
                ),
            ),
            "print(len(loss._prev))",
        ),
        "class Value",
        "._prev does not hold the operands",
    ),
    "tanh without a gradient from 7 on": (
        program(changed(LECTURE, ("(1 - t**2) * out.grad", "(1 - t**2) * (x < 7) * out.grad"))),
        "def tanh",
        r"a\.tanh\(\) with a = 7\.5",
    ),
    "another formula for the power -3": (
        program(changed(LECTURE, ("self.data**other,", "self.data ** (other + (other == -3)),"))),
        "def __pow__",
        r"a \*\* -3 with a = 0.7",
    ),
    "another formula for a power that the program writes": (
        program(
            changed(LECTURE, ("self.data**other,", "self.data ** (other + (other == 23)),")),
            "v[0] ** 23",
        ),
        "def __pow__",
        r"a \*\* 23 with a = 0.7",
    ),
}

REASONS = {
    "requires_grad, which ours has": (
        program(
            changed(
                LECTURE,
                (
                    "        self.grad = 0.0\n",
                    "        self.grad = 0.0\n        self.requires_grad = 1\n",
                ),
            ),
            "v[0].requires_grad = False",
        ),
        "self.requires_grad = 1",
        "requires_grad, which line .* uses and which micrograd_fast's Value has with a meaning of",
    ),
    "a label() that is called": (
        program(
            with_method(
                changed(LECTURE, ("        self.label = label\n", "")),
                "    def label(self, s):\n        return self\n",
            ).replace("self.label", "self._op"),
            "v[0].label('x')",
        ),
        "v[0].label('x')",
        "label is an attribute in micrograd_fast, and no method",
    ),
    "an argument that is not kept": (
        program(
            changed(LECTURE, ("self._op = _op", "self._op = '<' + _op")), "Value(1.0, (), '+')"
        ),
        "Value(1.0, (), '+')",
        "the argument _op of Value does not become, as it is, an attribute",
    ),
}

HIDDEN = {**EFFECTS, **METHODS, **CLIPPED, **REASONS}
