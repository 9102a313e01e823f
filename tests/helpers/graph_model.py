"""The graph in plain Python: what every Value must show, kept beside the real one by the tests.

Numbers are small integers (halves where a maximum ties), so sums come out exactly whatever the
order in which they are added.
"""

from collections import Counter


class Raised(Exception):
    """What a custom step of the tests raises."""


class Node:
    """One node. Operands in order; `hidden`: further records that it keeps and nobody sees."""

    def __init__(self, data, op="", operands=(), kind="leaf", hidden=0, exponent=None):
        self.data, self.grad, self.op = float(data), 0.0, op
        self.operands, self.kind, self.hidden = tuple(operands), kind, hidden
        self.exponent = exponent
        self.label, self.number, self.others = "", None, []
        self.subclass, self.step = False, None


def constant(number):
    return Node(number)


def add(x, y):
    return Node(x.data + y.data, "+", (x, y), "add")


def mul(x, y):
    return Node(x.data * y.data, "*", (x, y), "mul")


def neg(x):
    return mul(x, constant(-1))


def power(x, k):
    return Node(x.data**k, f"**{k}", (x,), "pow", hidden=1, exponent=k)


def relu(x):
    return Node(max(x.data, 0.0), "ReLU", (x,), "relu")


def absolute(x):
    return Node(abs(x.data), "abs", (x,), "abs")


def maximum(x, y):
    return Node(max(x.data, y.data), "max", (x, y), "max")


def minimum(x, y):
    return Node(min(x.data, y.data), "min", (x, y), "min")


def custom(data, operands, op):
    """A node with children: each beyond the second hangs on one more hidden record."""
    return Node(data, op, operands, "custom", hidden=max(len(operands) - 2, 0))


def weighted_sum(acc, ws, xs):
    for w, x in zip(ws, xs, strict=True):
        acc = mul(w, x) if acc is None else add(acc, mul(w, x))
    return acc


def partials(node):
    """d node / d operand, for each operand in order."""
    data = [x.data for x in node.operands]
    if node.kind == "add":
        return [1.0, 1.0]
    if node.kind == "mul":
        return [data[1], data[0]]
    if node.kind == "pow":
        k = node.exponent
        return [k * data[0] ** (k - 1) if k else 0.0]
    if node.kind == "relu":
        return [float(node.data > 0)]
    if node.kind == "abs":
        return [float((data[0] > 0) - (data[0] < 0))]
    if node.kind in ("max", "min"):
        x, y = data if node.kind == "max" else reversed(data)
        return [0.5, 0.5] if x == y else [float(x > y), float(x < y)]
    return [0.0] * len(data)  # leaves and custom nodes pass nothing on of their own


def local_step(node):
    for x, partial in zip(node.operands, partials(node), strict=True):
        x.grad += partial * node.grad


def topological(root):
    """Nodes under root, operands first."""
    order, seen, stack = [], set(), [(root, False)]
    while stack:
        node, done = stack.pop()
        if done:
            order.append(node)
        elif node not in seen:
            seen.add(node)
            stack.append((node, True))
            stack.extend((x, False) for x in node.operands)
    return order


def backward(root):
    """micrograd's backward(), with each custom step at its turn."""
    root.grad = 1.0
    for node in reversed(topological(root)):
        if node.step is None:
            local_step(node)
        else:
            node.step(node)


def reachable(roots):
    """All nodes that live: operands, and what attributes hold."""
    seen, stack = set(), list(roots)
    while stack:
        node = stack.pop()
        if node not in seen:
            seen.add(node)
            stack += node.operands
            stack += node.others
    return seen


def record_count(roots):
    """How many records the store must hold for these nodes."""
    return sum(1 + node.hidden for node in reachable(roots))


def shape(node, known):
    """A number that two nodes share only if all that can be seen under them is the same."""
    stack = [node]
    while stack:
        at = stack[-1]
        missing = [x for x in set(at.operands) if x not in known]
        if missing:
            stack += missing
            continue
        stack.pop()
        operands = sorted(known[x] for x in set(at.operands))
        seen = (at.op, at.data + 0.0, at.grad + 0.0, at.label, at.number, at.subclass)
        known[at] = hash((seen, len(at.others), tuple(operands)))
    return known[node]


def value_shape(value, known, subclass):
    """The same of a Value of the engine."""
    stack = [value]
    while stack:
        at = stack[-1]
        missing = [x for x in at._prev if x not in known]
        if missing:
            stack += missing
            continue
        stack.pop()
        operands = sorted(known[x] for x in at._prev)
        seen = (at._op, at.data + 0.0, at.grad + 0.0, at.label, getattr(at, "number", None))
        seen = (*seen, type(at) is subclass)
        known[at] = hash((seen, len(getattr(at, "others", ())), tuple(operands)))
    return known[value]


def same_children(node, value, nodes, values, subclass):
    """Whether a Value's operands look like those of its node."""
    ours = Counter(shape(x, nodes) for x in set(node.operands))
    return ours == Counter(value_shape(x, values, subclass) for x in value._prev)
