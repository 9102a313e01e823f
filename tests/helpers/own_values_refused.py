"""Programs whose own Value looks like ours and is not.

REFUSED: by name, a program, a piece of the line that the refusal names, and a piece of its text.
"""

from own_values import EXTRAS, HEAD, LECTURE, MICROGPT, USES_EXTRAS, changed, program, with_method

SIGMOID = """
    def sigmoid(self):
        s = {formula}
        out = Value(s, (self,), "sigmoid")

        def _backward():
            self.grad += {slope} * out.grad

        out._backward = _backward
        return out
"""


def sigmoid(formula, slope="s * (1 - s)"):
    return program(with_method(LECTURE, SIGMOID.format(formula=formula, slope=slope)))


DISPATCH = changed(
    LECTURE,
    (
        "            v._backward()\n",
        "            if v._op == '+':\n                for child in v._prev:\n"
        "                    child.grad += v.grad\n            v._backward()\n",
    ),
)
ZEROES = changed(
    LECTURE,
    (
        "        self.grad = 1.0\n",
        "        for v in topo:\n            v.grad = 0.0\n        self.grad = 1.0\n",
    ),
)

REFUSED = {
    "the lecture's own bug": (
        program(
            changed(
                LECTURE, ("self.grad += out.data * out.grad", "self.grad = out.data * out.grad")
            )
        ),
        "self.grad = out.data * out.grad",
        r"used twice needs \+=",
    ),
    "gradients that are assigned everywhere": (
        program(changed(LECTURE, (".grad += ", ".grad = "))),
        "self.grad = 1.0 * out.grad",
        r"used twice needs \+=",
    ),
    "backward by _op": (program(DISPATCH), "if v._op == '+':", "chooses by ._op"),
    "a backward that sets gradients to 0": (program(ZEROES), "def backward", "twice on one graph"),
    "another name for data": (
        program(changed(LECTURE, (".data", ".val"))),
        "def __init__",
        "does not become .data",
    ),
    "an attribute that we lack": (
        program(
            changed(
                LECTURE,
                ("        self.grad = 0.0\n", "        self.grad = 0.0\n        self.uses = 0\n"),
            ),
            "print(v[0].uses)",
        ),
        "self.uses = 0",
        "sets .uses, which line",
    ),
    "a tuple of operands": (
        program(changed(LECTURE, ("set(_children)", "_children")), "print(loss._prev[0])"),
        "class Value",
        "._prev is a tuple in the program and a set in micrograd_fast",
    ),
    "a hard sigmoid": (
        sigmoid("min(1, max(0, 0.2 * self.data + 0.5))"),
        "def sigmoid",
        r"a\.sigmoid\(\) with a = ",
    ),
    "a wrong derivative": (
        sigmoid("1 / (1 + math.exp(-self.data))", "s"),
        "def sigmoid",
        "the gradient of a of",
    ),
    "a clipped sigmoid": (
        sigmoid("1 / (1 + math.exp(-max(-20, min(20, self.data))))"),
        "def sigmoid",
        "a = 30.0",
    ),
    "a leaky relu": (
        program(
            changed(
                LECTURE,
                (
                    "0 if self.data < 0 else self.data",
                    "0.01 * self.data if self.data < 0 else self.data",
                ),
            )
        ),
        "def relu",
        r"a\.relu\(\) with a = -30\.0",
    ),
    "relu's slope at 0": (
        program(changed(MICROGPT, ("float(self.data > 0)", "float(self.data >= 0)"))),
        "def relu",
        "a = 0.0 gives the gradient 1.0 in the program and the gradient 0.0 in micrograd_fast",
    ),
    "log with a little more": (
        program(changed(MICROGPT, ("math.log(self.data)", "math.log(self.data + 1e-10)"))),
        "def log",
        r"a\.log\(\) with a = ",
    ),
    "an exponent without gradient": (
        program(
            changed(
                LECTURE,
                (
                    'assert isinstance(other, (int, float)), "only numbers"',
                    "other = getattr(other, 'data', other)",
                ),
            )
        ),
        "def __pow__",
        r"the gradient of b of a \*\* b",
    ),
    "equality of data": (
        program(
            with_method(
                LECTURE,
                "    def __eq__(self, other):\n        return self.data == other.data\n\n"
                "    def __hash__(self):\n        return id(self)\n",
            )
        ),
        "def __eq__",
        "__eq__ of 1.0 and 1.0 is True in the program and False in micrograd_fast",
    ),
    "a counter of the class": (
        program(
            changed(
                LECTURE,
                (
                    "        self.data = data\n",
                    "        self.data = data\n        Value.count += 1\n",
                ),
            ).replace("    def __init__", "    count = 0\n\n    def __init__")
        ),
        "Value.count += 1",
        "__init__ does more than set attributes",
    ),
    "numbers from a counter": (
        program(
            changed(
                LECTURE,
                (
                    "        self.data = data\n",
                    "        self.data = data\n        self.id = next(self.ids)\n",
                ),
            ).replace("    def __init__", "    ids = itertools.count()\n\n    def __init__"),
            head=HEAD + "import itertools\n",
        ),
        "next(self.ids)",
        "ids of line 8 is state of the class",
    ),
    "a global that ops count in": (
        program(
            changed(
                LECTURE,
                (
                    "        out = Value(self.data + other",
                    "        global ops\n        ops += 1\n        out = Value(self.data + other",
                ),
            ),
            head=HEAD + "ops = 0\n",
        ),
        "global ops",
        "writes the global ops",
    ),
    "a switch that the program turns": (
        program(
            changed(
                MICROGPT, ("(self, other), (1, 1))", "(self, other) if recording else (), (1, 1))")
            ),
            "recording = False",
            head=HEAD + "recording = True\n",
        ),
        "if recording else ()",
        "uses recording, which changes",
    ),
    "a constant that a function changes": (
        program(
            changed(MICROGPT, ("self * -1", "self * MINUS")),
            "def louder():\n    global MINUS\n    MINUS *= 2",
            head=HEAD + "MINUS = -1\n",
        ),
        "self * MINUS",
        "uses MINUS, which changes",
    ),
    "an op that logs": (
        program(
            changed(
                MICROGPT, ("math.log(self.data)", "logging.warning('log') or math.log(self.data)")
            ),
            head=HEAD + "import logging\n",
        ),
        "logging.warning",
        "of the module logging, which may do more than compute",
    ),
    "a fault beside methods that would stay": (
        program(
            with_method(changed(LECTURE, ("out.data * out.grad", "2 * out.grad")), EXTRAS),
            USES_EXTRAS,
        ),
        "def exp",
        r"the gradient of a of a\.exp\(\)",
    ),
    "other nodes that the program steps through": (
        program(
            changed(
                LECTURE,
                (
                    "        return self + (-other)\n",
                    "        out = Value(self.data - other.data, (self, other), '-')\n\n"
                    "        def _backward():\n            self.grad += out.grad\n"
                    "            other.grad -= out.grad\n\n"
                    "        out._backward = _backward\n        return out\n",
                ),
            ),
            "d = v[0] - v[1]\nd.grad = 1.0\nd._backward()",
        ),
        "def __sub__",
        r"a - b is \+\(\*\(leaf, leaf\), leaf\), .* line \d+ of program.py calls _backward",
    ),
    "labels of their own making": (
        program(
            changed(LECTURE, ("self.label = label", "self.label = label or str(data)")),
            "print(v[0].label)",
        ),
        "class Value",
        r"\.label is '0.7' in the program and empty in micrograd_fast; line",
    ),
    "a switch on nodes": (
        program(
            changed(
                LECTURE,
                (
                    "            self.grad += out.data * out.grad\n",
                    "            if not getattr(self, 'frozen', False):\n"
                    "                self.grad += out.data * out.grad\n",
                ),
            ),
            "v[0].frozen = True",
        ),
        "getattr(self, 'frozen', False)",
        "asks for .frozen, which line",
    ),
    "a switch on the class": (
        program(
            changed(
                LECTURE,
                ("    def __init__", "    slope = 0\n\n    def __init__"),
                ("0 if self.data < 0 else", "self.slope * self.data if self.data < 0 else"),
            ),
            "Value.slope = 0.1",
        ),
        "self.slope * self.data",
        "reads .slope, which line",
    ),
    "an op that prints": (
        program(
            changed(
                LECTURE,
                ("        x = self.data\n", "        x = self.data\n        print('tanh of', x)\n"),
            )
        ),
        "print('tanh of', x)",
        "calls print",
    ),
    "several classes": (
        program(LECTURE, MICROGPT),
        "class Value:\n    __slots__",
        "several classes .* line 4 of program.py, Value in line",
    ),
    "no class": (HEAD + "print(1)\n", None, "no class of its own"),
    "a class without backward()": (
        HEAD + changed(LECTURE, ("def backward(self)", "def run(self)")),
        None,
        "no class of its own",
    ),
    "a class in a function": (
        "def main():\n" + "\n".join("    " + line for line in LECTURE.splitlines()) + "\n",
        "class Value",
        "not stand at the top level",
    ),
    "matrices": (
        program(
            changed(LECTURE, ("self.data = data", "self.data = np.asarray(data)")),
            head=HEAD + "import numpy as np\n",
        ),
        "np.asarray(data)",
        r"computes with arrays: \.asarray",
    ),
    "a base class": (
        program(changed(LECTURE, ("class Value:", "class Value(dict):"))),
        "class Value",
        "derived from dict",
    ),
    "a decorator": (
        program(
            changed(LECTURE, ("class Value:", "@register\nclass Value:")),
            head=HEAD + "register = lambda c: c\n",
        ),
        "class Value",
        "decorated by register",
    ),
    "a derived class with an operator": (
        program(
            LECTURE,
            "class Loud(Value):\n    def __mul__(self, other):\n        print('*')",
            "        return super().__mul__(other)",
        ),
        "def __mul__(self, other):\n        print",
        "Loud is derived from it and has a __mul__",
    ),
    "ops that give a derived class": (
        program(
            changed(MICROGPT, ("return Value(self.data + ", "return type(self)(self.data + ")),
            "class Parameter(Value):\n    pass",
        ),
        "def __add__",
        "gives one of that class",
    ),
    "a method that needs the class around it": (
        program(
            with_method(
                LECTURE, "    SIZES = [1]\n\n    def f(self, n=SIZES[0]):\n        return n\n"
            ),
            "v[0].f()",
        ),
        "class Value",
        "what stays of it raises NameError alone",
    ),
    "a name given twice": (
        program(LECTURE, "Value = float"),
        "Value = float",
        "given to something else",
    ),
    "slots that are computed": (
        program(
            changed(
                MICROGPT,
                ('("data", "grad", "_children", "_local_grads")', "[s for s in ('data', 'grad')]"),
            )
        ),
        "__slots__ = [s",
        "__slots__ are computed",
    ),
    "an argument that we lack": (
        program(
            changed(
                LECTURE,
                ('label=""):\n', 'label="", frozen=False):\n        self.frozen = frozen\n'),
            ),
            "Value(1.0, frozen=True)",
        ),
        "Value(1.0, frozen=True)",
        "the argument frozen of Value does not become, as it is, an attribute",
    ),
    "a relu with a slope": (
        program(
            changed(
                LECTURE,
                ("def relu(self):", "def relu(self, slope=0.0):"),
                (
                    "0 if self.data < 0 else self.data",
                    "slope * self.data if self.data < 0 else self.data",
                ),
            ),
            "print(v[0].relu(0.1))",
        ),
        "print(v[0].relu(0.1))",
        r"relu\(\) takes no arguments in micrograd_fast",
    ),
    "32 bits": (
        program(
            changed(LECTURE, ("self.data = data", "self.data = np.float32(data)")),
            head=HEAD + "import numpy as np\n",
        ),
        "def __init__",
        "computes with 32 bits",
    ),
    "attributes by a dunder": (
        program(with_method(LECTURE, "    def __getattr__(self, name):\n        return 0\n")),
        "def __getattr__",
        "a __getattr__ of its own",
    ),
    "a class that cannot be made": (
        program(
            changed(LECTURE, ('label=""):', "label=LABELS[0]):")),
            head=HEAD + "LABELS = ('',)[1:]\n",
        ),
        "label=LABELS[0]",
        "uses LABELS of line 3",
    ),
}
