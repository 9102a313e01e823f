"""What each engine can do, as programs that have to give the right answer, and what it takes up.

Usage: python -m bench.abilities            prints the table; a minute

PROBES has a question and, for each engine that has a way, a program that leaves `answer`. It is run
in a process of its own; `yes` is a right answer, `no` another one, an error or no way at all. Some
say how: `how` is shown beside the yes. What no machine here can show is in STATED, and says so.
"""

import importlib.util
import json
import subprocess
import sys
from importlib import metadata
from pathlib import Path

from .process import PATH, ROOT, pinned_environment

LIMIT = 60.0
# Engine: how it is called, the distribution that is installed for it.
ENGINES = {
    "ours": ("micrograd_fast", "micrograd-fast"),
    "micrograd": ("micrograd", "micrograd"),
    "torch": ("PyTorch", "torch"),
    "jax": ("JAX", "jax"),
    "casadi": ("CasADi", "casadi"),
    "ddx": ("ddx", "ddx-ad"),
    "autograd": ("HIPS autograd", "autograd"),
}
MODULES = {"ours": "micrograd_fast"}  # where it is not the engine's name

SCALAR = """
from {module}.engine import Value
from {module}.nn import MLP
model = MLP(2, [4, 1])
x = Value(3.0)
y = (x * 2 + 1).relu() ** 2 / 7
y.backward()
answer = [y.data, x.grad, len(y._prev), len(model.parameters())]
"""
EACH_NODE = """
from {module}.engine import Value
a, b = Value(2.0), Value(3.0)
c = a * b
d = c * c
d.backward()
answer = [c.data, c.grad]
"""
IF = """
def f(x):
    return x * x if x > 0 else -x
"""
OF_NUMPY = "A = np.array([[1.0, 2.0], [3.0, 4.0]])\nx = np.array([5.0, 6.0])\n"
CHAIN = "for _ in range(10_000):\n    y = y * 0.9999 + 0.0001\n"

PROBES = {
    "runs micrograd's programs as they are": (
        [7.0, 4.0, 2, 17],
        {
            "micrograd": SCALAR.format(module="micrograd"),
            "ours": SCALAR.format(module="micrograd_fast"),
        },
    ),
    "value and gradient at every step of the computation": (
        [6.0, 12.0],
        {
            "micrograd": EACH_NODE.format(module="micrograd"),
            "ours": EACH_NODE.format(module="micrograd_fast"),
            "torch": """
import torch
a, b = (torch.tensor(v, requires_grad=True) for v in (2.0, 3.0))
c = a * b
c.retain_grad()
(c * c).backward()
answer = [c.item(), c.grad.item()]
""",
        },
    ),
    "a Python `if` on a number, decided at each call": (
        [4.0, -1.0],
        {
            "ours": IF
            + """
from micrograd_fast import Value
answer, how = [], "eager; compiled: `where`"
for at in (2.0, -2.0):
    x = Value(at)
    f(x).backward()
    answer.append(x.grad)
""",
            "torch": IF
            + """
import torch
answer, how = [], ""
for at in (2.0, -2.0):
    x = torch.tensor(at, requires_grad=True)
    f(x).backward()
    answer.append(x.grad.item())
""",
            "jax": IF
            + """
import jax
answer, how = [float(jax.grad(f)(at)) for at in (2.0, -2.0)], "not under jit: `where`"
""",
            "autograd": IF
            + """
from autograd import grad
answer = [float(grad(f)(at)) for at in (2.0, -2.0)]
""",
            "casadi": IF
            + """
import casadi as ca
x = ca.SX.sym("x")
g = ca.Function("g", [x], [ca.gradient(f(x), x)])
answer = [float(g(at)) for at in (2.0, -2.0)]
""",
            "ddx": IF
            + """
import ddx
e = ddx.equation(lambda: f(ddx.var("x")))
answer = [float(e.gradient([at])[0]) for at in (2.0, -2.0)]
""",
        },
    ),
    "second derivatives": (
        [36.0],
        {
            "ours": """
import micrograd_fast as mg
answer = [mg.compile(lambda x: x[0] ** 3 * x[1]).hessian([2.0, 3.0])[0, 0]]
""",
            "torch": """
import torch
h = torch.func.hessian(lambda x: x[0] ** 3 * x[1])(torch.tensor([2.0, 3.0]))
answer = [h[0, 0].item()]
""",
            "jax": """
import jax, jax.numpy as jnp
answer = [float(jax.hessian(lambda x: x[0] ** 3 * x[1])(jnp.array([2.0, 3.0]))[0, 0])]
""",
            "casadi": """
import casadi as ca
x = ca.SX.sym("x", 2)
h = ca.Function("h", [x], [ca.hessian(x[0] ** 3 * x[1], x)[0]])
answer = [float(h([2.0, 3.0])[0, 0])]
""",
            "ddx": """
import ddx
answer = [ddx.equation(lambda: ddx.var("x") ** 3 * ddx.var("y")).hessian([2.0, 3.0])[2][0, 0]]
""",
            "autograd": """
import autograd.numpy as np
from autograd import hessian
answer = [hessian(lambda x: x[0] ** 3 * x[1])(np.array([2.0, 3.0]))[0, 0]]
""",
        },
    ),
    "a sparse Jacobian, its pattern found": (
        [4],
        {
            "ours": """
import micrograd_fast as mg
f = mg.compile(lambda x: [x[0] * x[1], x[1] ** 2, x[2]])
answer = [f.jacobian([1.0, 2.0, 3.0], sparse=True).nnz]
""",
            "casadi": """
import casadi as ca
x = ca.SX.sym("x", 3)
j = ca.jacobian(ca.vertcat(x[0] * x[1], x[1] ** 2, x[2]), x)
answer = [j.nnz()]
""",
        },
    ),
    "a matrix product as one operation": (
        [4.0, 6.0],
        {
            "torch": "import torch, numpy as np\n"
            + OF_NUMPY
            + """
x = torch.tensor(x, requires_grad=True)
(torch.tensor(A) @ x).sum().backward()
answer = x.grad.tolist()
""",
            "jax": "import jax, numpy as np\n"
            + OF_NUMPY
            + "answer = jax.grad(lambda x: (A @ x).sum())(x).tolist()\n",
            "casadi": "import casadi as ca, numpy as np\n"
            + OF_NUMPY
            + """
s = ca.MX.sym("x", 2)
answer = np.ravel(ca.Function("g", [s], [ca.gradient(ca.sum1(A @ s), s)])(x)).tolist()
""",
            "ddx": """
import ddx
def f():
    x = ddx.vec("x", 2)
    return ddx.sum(ddx.mat_constant(2, 2, [1.0, 3.0, 2.0, 4.0]) @ x)
answer = list(ddx.equation(f).gradient([5.0, 6.0]))
""",
            "autograd": "import autograd.numpy as np\nfrom autograd import grad\n"
            + OF_NUMPY
            + "answer = grad(lambda x: np.sum(np.dot(A, x)))(x).tolist()\n",
        },
    ),
    "a chain of 20,000 operations, within a minute": (
        [True],
        {
            "ours": "from micrograd_fast import Value\nx = y = Value(0.5)\n"
            + CHAIN
            + "y.backward()\nanswer = [0 < x.grad < 1]\n",
            "micrograd": "from micrograd.engine import Value\nx = y = Value(0.5)\n"
            + CHAIN
            + "y.backward()\nanswer = [0 < x.grad < 1]\n",
            "torch": "import torch\nx = y = torch.tensor(0.5, requires_grad=True)\n"
            + CHAIN
            + "y.backward()\nanswer = [0 < x.grad.item() < 1]\n",
            "jax": "import jax\ndef f(y):\n"
            + "    for _ in range(10_000):\n        y = y * 0.9999 + 0.0001\n    return y\n"
            + "answer, how = [0 < float(jax.grad(f)(0.5)) < 1], 'not under jit: `fori_loop`'\n",
            "casadi": "import casadi as ca\nx = y = ca.SX.sym('x')\n"
            + CHAIN
            + "g = ca.Function('g', [x], [ca.gradient(y, x)])\nanswer = [0 < float(g(0.5)) < 1]\n",
            "ddx": "import ddx\ndef f():\n    y = ddx.var('x')\n"
            + "    for _ in range(10_000):\n        y = y * 0.9999 + 0.0001\n    return y\n"
            + "answer = [bool(0 < ddx.equation(f).gradient([0.5])[0] < 1)]\n",
            "autograd": "from autograd import grad\ndef f(y):\n"
            + "    for _ in range(10_000):\n        y = y * 0.9999 + 0.0001\n    return y\n"
            + "answer = [bool(0 < grad(f)(0.5) < 1)]\n",
        },
    ),
    "float32": (
        ["float32"],
        {
            "torch": """
import torch
x = torch.tensor(2.0, requires_grad=True)
(x * x).backward()
answer = [str(x.grad.dtype).removeprefix("torch.")]
""",
            "jax": "import jax\nanswer = [str(jax.grad(lambda x: x * x)(2.0).dtype)]\n",
            "autograd": """
import numpy as np
from autograd import grad
answer = [str(grad(lambda x: x * x)(np.float32(2.0)).dtype)]
""",
        },
    ),
}
STATED = {"a GPU (by its documentation, not tried)": {"torch", "jax"}}

TELL = """
answer = how = None
exec(sys.argv[2])
import json
print(json.dumps([answer if answer == json.loads(sys.argv[3]) else None, how]))
"""


# ---- what it can do ----


def probe(program, expected):
    """`yes`, with how where the program says so, or `no`, with the error where there was one."""
    command = [sys.executable, "-c", PATH + TELL, str(ROOT), program, json.dumps(expected)]
    try:
        done = subprocess.run(
            command, capture_output=True, text=True, timeout=LIMIT, env=pinned_environment(1)
        )
    except subprocess.TimeoutExpired:
        return f"no (over {LIMIT:.0f} s)"
    if done.returncode:
        error = done.stderr.strip().splitlines()[-1] if done.stderr.strip() else "a crash"
        return f"no ({error.partition(':')[0].rpartition('.')[2]})"
    answer, how = json.loads(done.stdout.splitlines()[-1])
    if answer is None:
        return "no"
    return f"yes ({how})" if how else "yes"


def abilities(engine, say=lambda text: None):
    found = {}
    for question, (expected, programs) in PROBES.items():
        say(f"{ENGINES[engine][0]}: {question}")
        found[question] = probe(programs[engine], expected) if engine in programs else "no"
    return found | {q: "yes" if engine in who else "no" for q, who in STATED.items()}


# ---- what it takes up ----


def size_of(distribution):
    """Bytes of its files; of one that is installed in place, of its package's folder."""
    found = metadata.distribution(distribution)
    files = [Path(f.locate()) for f in found.files or ()]
    if distribution == "micrograd-fast" and not any(f.suffix == ".so" for f in files):
        spec = importlib.util.find_spec("micrograd_fast")
        files = list(Path(spec.submodule_search_locations[0]).rglob("*"))
    return sum(f.stat().st_size for f in files if f.is_file() and f.suffix != ".pyc")


def required(distribution, seen=None):
    """The names of it and all that pip installs with it."""
    from packaging.requirements import Requirement

    seen = set() if seen is None else seen
    name = distribution.lower().replace("_", "-")
    if name in seen:
        return seen
    try:
        needs = metadata.requires(distribution) or ()
    except metadata.PackageNotFoundError:
        return seen
    seen.add(name)
    for text in needs:
        need = Requirement(text)
        if need.marker is None or need.marker.evaluate({"extra": ""}):
            required(need.name, seen)
    return seen


def measure(say=lambda text: None):
    """[{engine, name, size, with_all, can}] of those that are installed."""
    found = []
    for engine, (name, distribution) in ENGINES.items():
        if importlib.util.find_spec(MODULES.get(engine, engine)) is None:
            continue
        entry = {"engine": engine, "name": name, "can": abilities(engine, say)}
        try:
            entry["size"] = size_of(distribution)
            entry["with_all"] = sum(map(size_of, required(distribution)))
        except (metadata.PackageNotFoundError, ImportError):
            entry["size"] = entry["with_all"] = None  # not installed by pip: no list of its files
        found.append(entry)
    return found


def main():
    from .engine_table import of_engines

    print(of_engines(measure(lambda text: print(text, file=sys.stderr)), {}))


if __name__ == "__main__":
    main()
