"""Programs as source text with a fault planted at a known line: an op that becomes nan or infinite
for some numbers, in layers of functions, loops, comprehensions, lambdas and methods."""

import importlib.util
import itertools
from typing import NamedTuple

MARK = "# fault"


class FaultKind(NamedTuple):
    """An expression over the Value t that is fine at `good` and a fault at `bad`."""

    expression: str
    good: float
    bad: float
    op: str
    direction: str = "forward"


KINDS = {
    "log of a negative": FaultKind("(1.5 - t).log()", 0.0, 2.0, "log"),
    "log of 0": FaultKind("(1.0 - t).log()", 0.0, 1.0, "log"),
    "log1p of -1": FaultKind("(-t).log1p()", 0.0, 1.0, "log1p"),
    "0 / 0": FaultKind("(1.0 - t) / (1.0 - t)", 0.0, 1.0, "/"),
    "division by 0": FaultKind("2.0 / (1.0 - t)", 0.0, 1.0, "/"),
    "quotient too large": FaultKind("(t * 1e300 + 1.0) / (1.0 - t)", 0.0, 1.0 - 1e-10, "/"),
    "exp too large": FaultKind("(1000.0 * t).exp()", 0.0, 1.0, "exp"),
    "inf - inf": FaultKind("(800.0 * t).exp() - (800.0 * t).exp()", 0.0, 1.0, "exp"),
    "0 * inf": FaultKind("(1.0 - t) * (800.0 * t).exp()", 0.0, 1.0, "exp"),
    "product too large": FaultKind("(t * 1e200) * (t * 1e200)", 0.0, 1.0, "*"),
    "sum too large": FaultKind("t * 1e300 + t * 1e300", 0.0, 1.5e8, "+"),
    "difference too large": FaultKind("t * 1e300 - t * -1e300", 0.0, 1.5e8, "-"),
    "root of a negative": FaultKind("(1.5 - t) ** 0.5", 0.0, 2.0, "**"),
    "power too large": FaultKind("(t + 1.0) ** 400", 0.0, 9.0, "**"),
    "power of 0": FaultKind("(1.0 - t) ** -1.5", 0.0, 1.0, "**"),
    "power of two Values": FaultKind("(1.5 - t) ** (t + 0.5)", 0.0, 2.0, "**"),
    "sqrt of a negative": FaultKind("(1.5 - t).sqrt()", 0.0, 2.0, "sqrt"),
    "sqrt at 0": FaultKind("(1.0 - t).sqrt()", 0.0, 1.0, "sqrt", "backward"),
    "root at 0": FaultKind("(1.0 - t) ** 0.5", 0.0, 1.0, "**", "backward"),
}

# Where the expression stands: text of module level, and the statement in f that gives r.
PLACES = {
    "in the function": ("", "r = {e}  {m}"),
    "in a helper": (
        "def helper(t):\n    u = t * 1.0\n    return {e} + 0.0 * u  {m}\n",
        "r = helper(t)",
    ),
    "two layers down": (
        "def inner(t):\n    return {e}  {m}\n\n\n"
        "def outer(t):\n    s = inner(t)\n    return s + 1.0\n",
        "r = outer(t)",
    ),
    "in a loop": (
        "",
        "r = x[0]\nfor k in range(3):\n    r = r * 0.5\n    if k == 1:\n        r = r + ({e})  {m}",
    ),
    "in a comprehension": (
        "",
        "parts = [\n    u * 0.5 + ({e})  {m}\n    for u in x\n]\nr = sum(parts)",
    ),
    "in a generator": ("", "r = sum(\n    u * 0.5 + ({e})  {m}\n    for u in x[:1]\n)"),
    "in a lambda": ("pick = lambda t: {e}  {m}\n", "r = x[0] + pick(t)"),
    "in a method": (
        "class Thing:\n    def __init__(self, scale):\n        self.scale = scale\n\n"
        "    def value(self, t):\n        return self.scale * ({e})  {m}\n\n\nthing = Thing(0.5)\n",
        "r = thing.value(t)",
    ),
    "in an arm that is taken": ("", "s = {e}  {m}\nr = mg.where(x[0] > -1e9, s, 0.0)"),
}
FILLERS = [
    "r = r * 0.5 + x[0]",
    "r = r + weight * x[1]",
    "a = x[0] * x[1] + 1.0",
    "b = (x[0] + 0.25).tanh()",
    "r = r - 0.125",
    "c = [u * 2.0 for u in x]",
    "r = scaled(r)",
]
HEAD = """import micrograd_fast as mg

weight = mg.Value(0.75)


def scaled(v):
    return v * 0.5


"""


class Planted(NamedTuple):
    kind: FaultKind
    text: str

    @property
    def line(self):
        lines = self.text.splitlines()
        (k,) = [k for k, line in enumerate(lines, 1) if line.endswith(MARK)]
        return k


def planted(rng, kind, place):
    """A module with f(x, t), x a list of two."""
    module, statement = (part.format(e=kind.expression, m=MARK) for part in PLACES[place])
    body = ["r = x[0] + 0.0", *rng.sample(FILLERS, rng.randrange(3)), *statement.splitlines()]
    body += rng.sample(FILLERS, rng.randrange(4))
    lines = "\n".join(f"    {line}" for line in [*body, "return r"])
    blank = "\n" * rng.randrange(4)
    return Planted(kind, f"{HEAD}{blank}{module}\n\ndef f(x, t):\n{lines}\n")


def programs(rng):
    """(name, Planted) of every kind in every place."""
    for kind, place in itertools.product(KINDS, PLACES):
        yield f"{kind}, {place}", planted(rng, KINDS[kind], place)


def loaded(planted, folder, name):
    """The module, from a file of its own."""
    path = folder / f"{name}.py"
    path.write_text(planted.text, "utf-8")
    spec = importlib.util.spec_from_file_location(name, path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module, str(path)
