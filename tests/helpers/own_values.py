"""Programs that bring a Value of their own, in the shapes that public ones have.

SWAPPED: by name, programs in which micrograd_fast's Value does what theirs does. Those in which it
does not are in own_values_refused.py.
"""

LECTURE = '''
class Value:
    """A number that knows where it came from."""

    def __init__(self, data, _children=(), _op="", label=""):
        self.data = data
        self.grad = 0.0
        self._backward = lambda: None
        self._prev = set(_children)
        self._op = _op
        self.label = label

    def __repr__(self):
        return f"<{self.label}|{self.data:.6f}|{self.grad:.6f}>"

    def __add__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        out = Value(self.data + other.data, (self, other), "+")

        def _backward():
            self.grad += 1.0 * out.grad
            other.grad += 1.0 * out.grad

        out._backward = _backward
        return out

    def __mul__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        out = Value(self.data * other.data, (self, other), "*")

        def _backward():
            self.grad += other.data * out.grad
            other.grad += self.data * out.grad

        out._backward = _backward
        return out

    def __pow__(self, other):
        assert isinstance(other, (int, float)), "only numbers"
        out = Value(self.data**other, (self,), f"**{other}")

        def _backward():
            self.grad += other * (self.data ** (other - 1)) * out.grad

        out._backward = _backward
        return out

    def tanh(self):
        x = self.data
        t = (math.exp(2 * x) - 1) / (math.exp(2 * x) + 1)
        out = Value(t, (self,), "tanh")

        def _backward():
            self.grad += (1 - t**2) * out.grad

        out._backward = _backward
        return out

    def exp(self):
        out = Value(math.exp(self.data), (self,), "exp")

        def _backward():
            self.grad += out.data * out.grad

        out._backward = _backward
        return out

    def relu(self):
        out = Value(0 if self.data < 0 else self.data, (self,), "ReLU")

        def _backward():
            self.grad += (out.data > 0) * out.grad

        out._backward = _backward
        return out

    def __neg__(self):
        return self * -1

    def __radd__(self, other):
        return self + other

    def __sub__(self, other):
        return self + (-other)

    def __rsub__(self, other):
        return other + (-self)

    def __rmul__(self, other):
        return self * other

    def __truediv__(self, other):
        return self * other**-1

    def backward(self):
        topo, visited = [], set()

        def build(v):
            if v not in visited:
                visited.add(v)
                for child in v._prev:
                    build(child)
                topo.append(v)

        build(self)
        self.grad = 1.0
        for v in reversed(topo):
            v._backward()
'''

MICROGPT = """
class Value:
    __slots__ = ("data", "grad", "_children", "_local_grads")

    def __init__(self, data, children=(), local_grads=()):
        self.data = data
        self.grad = 0
        self._children = children
        self._local_grads = local_grads

    def __add__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        return Value(self.data + other.data, (self, other), (1, 1))

    def __mul__(self, other):
        other = other if isinstance(other, Value) else Value(other)
        return Value(self.data * other.data, (self, other), (other.data, self.data))

    def __pow__(self, k): return Value(self.data**k, (self,), (k * self.data ** (k - 1),))
    def log(self): return Value(math.log(self.data), (self,), (1 / self.data,))
    def exp(self): return Value(math.exp(self.data), (self,), (math.exp(self.data),))
    def relu(self): return Value(max(0, self.data), (self,), (float(self.data > 0),))
    def __neg__(self): return self * -1
    def __radd__(self, other): return self + other
    def __sub__(self, other): return self + (-other)
    def __rsub__(self, other): return other + (-self)
    def __rmul__(self, other): return self * other
    def __truediv__(self, other): return self * other**-1
    def __rtruediv__(self, other): return other * self**-1

    def backward(self):
        order, seen = [], set()
        def visit(v):
            if v not in seen:
                seen.add(v)
                for child in v._children:
                    visit(child)
                order.append(v)
        visit(self)
        self.grad = 1
        for v in reversed(order):
            for child, local in zip(v._children, v._local_grads):
                child.grad += local * v.grad
"""

TRAINING = """
random.seed(7)
w = [[Value(random.uniform(-1, 1)) for _ in range(3)] for _ in range(4)]
v = [Value(random.uniform(-1, 1)) for _ in range(4)]
parameters = [p for row in w for p in row] + v
points = [([random.uniform(-1, 1) for _ in range(3)], k % 2 * 2 - 1) for k in range(6)]
for step in range(8):
    losses = []
    for x, y in points:
        hidden = [sum(wi * xi for wi, xi in zip(row, x)).relu() for row in w]
        score = sum(vi * h for vi, h in zip(v, hidden))
        losses.append((score - y) ** 2 / 2 + 0.01 * (score * 0.1).exp())
    loss = sum(losses) * (1 / len(losses))
    for p in parameters:
        p.grad = 0
    loss.backward()
    for p in parameters:
        p.data -= 0.05 * p.grad
    print(step, f"{loss.data:.10f}")
print(" ".join(f"{p.data:.10f} {p.grad:.10f}" for p in parameters))
"""
HEAD = "import math\nimport random\n"


def program(own, *after, head=HEAD):
    return head + own + TRAINING + "\n".join(after) + "\n"


def changed(text, *pairs):
    """The text with each `old` replaced, which must be there."""
    for old, new in pairs:
        assert old in text, old
        text = text.replace(old, new)
    return text


def with_method(own, method):
    """The class with one more method, before its backward()."""
    return changed(
        own, ("    def backward(self):\n", method.strip("\n") + "\n\n    def backward(self):\n")
    )


DRAWING = """
def trace(root):
    nodes, edges = set(), set()

    def build(v):
        if v not in nodes:
            nodes.add(v)
            for child in v._prev:
                edges.add((child, v))
                build(child)

    build(root)
    return nodes, edges


x1, x2 = Value(2.0, label="x1"), Value(0.0, label="x2")
n = x1 * -3.0 + x2 * 1.0 + Value(6.88, label="b")
n.label = "n"
o = n.tanh()
o.backward()
nodes, edges = trace(o)
print(sorted((m._op, m.label, f"{m.data:.9f} {m.grad:.9f}") for m in nodes), len(edges))
print(x1, o)
"""

EXTRAS = """
    unit = 1.0

    def cube(self):
        out = Value(self.data**3, (self,), "cube")

        def _backward():
            self.grad += 3 * self.data**2 * out.grad

        out._backward = _backward
        return out

    def softsign(self):
        return self / (self._size() + self.unit)

    def _size(self):
        return (self * self + 1e-9) ** 0.5

    @property
    def number(self):
        return self.data

    @staticmethod
    def zeros(n):
        return [Value(0.0) for _ in range(n)]

    @classmethod
    def parse(cls, text):
        return cls(float(text), label=text)

    def __float__(self):
        return float(self.data)

    def zero(self):
        self.grad = 0.0
        for child in self._prev:
            child.zero()

    def show(self):
        print("shown", self)
"""

USES_EXTRAS = """
a = Value.parse("1.5")
y = (a + 1).cube() * a.softsign() + sum(Value.zeros(3))
y.backward()
print(a, y.number, float(a))
y.show()
y.zero()
print(a)
"""

SECOND_LABEL = changed(
    MICROGPT,
    ('    __slots__ = ("data", "grad", "_children", "_local_grads")\n', ""),
    (
        "data, children=(), local_grads=()):",
        "data, label='', children=(), local_grads=()):\n        self.label = label",
    ),
    ("(self, other), (1, 1))", "'', (self, other), (1, 1))"),
    ("(self, other), (other", "'', (self, other), (other"),
    ("(self,),", "'', (self,),"),
)

SWAPPED = {
    "the lecture's": program(LECTURE, DRAWING),
    "microgpt's": program(MICROGPT),
    "with methods of its own": program(with_method(LECTURE, EXTRAS), USES_EXTRAS),
    "typed": program(
        changed(
            MICROGPT,
            (
                "self, data, children=(), local_grads=()",
                "self, data: float, children: Sequence[Value] = (),"
                " local_grads: Sequence[float] = ()",
            ),
            ("def __add__(self, other):", "def __add__(self, other: Value | float) -> Value:"),
        ),
        "print(Value(3.0, local_grads=(2.0,), children=(v[0],))._children == (v[0],))",
        head="from __future__ import annotations\nfrom typing import TYPE_CHECKING\n"
        + "if TYPE_CHECKING:\n    from collections.abc import Sequence\n"
        + HEAD,
    ),
    "typed at run time": program(
        changed(
            LECTURE,
            ("self, data, _children", "self, data: Number, _children"),
            ("def exp(self):", "def exp(self) -> 'Value':"),
        ),
        head=HEAD + "from typing import Union\nNumber = Union[int, float]\n",
    ),
    "other names inside": program(
        changed(
            LECTURE, ("_prev", "_inputs"), ("        self._op = _op\n", "        self.name = 'x'\n")
        )
    ),
    "a label second": program(
        SECOND_LABEL, 'print(Value(1.0, "one").label, Value(2.0, label="two").label)'
    ),
    "aliases and lambdas": program(
        changed(
            LECTURE,
            (
                "    def __radd__(self, other):\n        return self + other\n",
                "    __radd__ = __add__\n",
            ),
            (
                "    def __neg__(self):\n        return self * -1\n",
                "    __neg__ = lambda self: self * -1\n",
            ),
        )
    ),
    "helpers and constants": program(
        changed(
            MICROGPT,
            ("other = other if isinstance(other, Value) else Value(other)", "other = lift(other)"),
            ("self * -1", "self * MINUS"),
            ("math.exp(", "exponential("),
        ),
        head=HEAD
        + "from math import exp as exponential\nMINUS = -1.0\n"
        + "def lift(x):\n    return x if isinstance(x, Value) else Value(x)\n",
    ),
    "numpy's functions": program(
        changed(LECTURE, ("math.exp", "np.exp"), ("self.data = data", "self.data = float(data)")),
        "print(Value(2))",
        head=HEAD + "import numpy as np\n",
    ),
    "ops of another make": program(
        changed(
            LECTURE,
            (
                "        return self + (-other)\n",
                "        other = other if isinstance(other, Value) else Value(other)\n"
                "        out = Value(self.data - other.data, (self, other), '-')\n"
                "        def _backward():\n            self.grad += out.grad\n"
                "            other.grad -= out.grad\n"
                "        out._backward = _backward\n        return out\n",
            ),
        ),
        DRAWING,
    ),
    "a class derived from it": program(
        LECTURE,
        "class Parameter(Value):\n    def __init__(self, data, name):",
        "        super().__init__(data)\n        self.name = name",
        "p = Parameter(2.0, 'p')\n(p * p).backward()\nprint(p, p.name)",
    ),
    "comparisons": program(
        with_method(
            LECTURE, "    def __lt__(self, other):\n        return self.data < other.data\n"
        ),
        "print(max(parameters), sorted(v))",
        head=HEAD + "import functools\n",
    ).replace("\nclass Value:", "\n@functools.total_ordering\nclass Value:"),
    "operands in a tuple that is gone through": program(
        changed(LECTURE, ("set(_children)", "_children")), DRAWING
    ),
    "aliases of what is replaced": program(
        with_method(
            LECTURE,
            "    ReLU = relu\n    __iadd__ = __add__\n\n"
            "    def __half(self):\n        return self * 0.5\n\n"
            "    def quarter(self):\n        return self.__half().__half()\n",
        ),
        "a = Value(4.0)\nb = a.ReLU()\nb += a.quarter()\nb.backward()\nprint(a, b)",
    ),
    "Scalar": program(changed(LECTURE, ("Value", "Scalar"))).replace("Value(", "Scalar("),
    "ops added afterwards": program(
        MICROGPT,
        "def tanh(x):\n    t = math.tanh(x.data)\n    return Value(t, (x,), (1 - t * t,))",
        "Value.square = lambda self: self * self",
        "a = Value(0.5)\n(tanh(a).square() * a).backward()\nprint(f'{a.grad:.12f}')",
    ),
}
