"""micrograd and compile(), written anew from the documentation alone, for test_lives.py.

A Node is micrograd's Value in plain Python that also knows the size of what was added up in its
data and grad: two right results differ by some 1e-16 of that. A compiled function is run anew at
every call; its results carry the partial derivatives that hold at that moment, so nothing here can
go stale. The names are the package's, so that one program runs on both.
"""

import itertools
import math
import operator

import numpy as np

SERIAL = itertools.count()


class State:
    """recording: no_grad is off. tracing: inside a compiled function. doubtful: rounding decided
    which way a kink went, so that two right results may differ."""

    recording, tracing, doubtful = True, 0, False


def scale_of(z, children, slopes):
    return abs(z) + sum(abs(d) * x.size for x, (d, _) in zip(children, slopes, strict=True))


class Node:
    """rule(node): for each child the partial derivative and the size of what it was made of."""

    def __init__(self, data, _children=(), _op="", rule=None):
        self.data, self._grad, self.grad_size = float(data), 0.0, 0.0
        self.serial, self.step, self.source = next(SERIAL), None, None
        keeps = State.recording or State.tracing
        self._children = tuple(_children) if keeps else ()
        # A node that was asked for by name keeps its name, a result becomes a plain number.
        self._op = _op if keeps or rule is None else ""
        self.rule = rule if self._children else None
        self.size = abs(self.data)
        if self.rule is not None and State.tracing:
            self.size = scale_of(self.data, self._children, self.slopes())

    def slopes(self):
        try:
            return self.rule(self)
        except (
            ArithmeticError,
            ValueError,
        ):  # a derivative that does not exist: IEEE arithmetic goes on
            return [(math.inf, math.inf)] * len(self._children)

    @property
    def grad(self):
        return self._grad

    @grad.setter
    def grad(self, number):
        self.grad_size = 0.0 if number == 0 else self.grad_size + abs(number - self._grad)
        self._grad = float(number)

    @property
    def _backward(self):
        return self.step or (lambda: local_step(self))

    @_backward.setter
    def _backward(self, step):
        self.step = step

    def backward(self):
        self._grad, self.grad_size = 1.0, 1.0
        for node in order(self):
            try:
                node._backward()
            except BaseException as error:
                error.failed = node
                raise

    def __deepcopy__(self, memo):
        if self._children or self.step or self._op == "call":
            raise TypeError("not a leaf")
        twin = type(self)(self.data)
        twin._grad, twin.grad_size = self._grad, self.grad_size
        memo[id(self)] = twin
        return twin

    def __add__(self, other):
        return plain(self.data + number(other), (self, other), "+", lambda z: [(1.0, 1.0)] * 2)

    def __mul__(self, other):
        return plain(self.data * number(other), (self, other), "*", mul_rule)

    def __pow__(self, k):
        if self.data == 0 and k < 0 and State.tracing:
            return plain(math.inf, (self,), f"**{k}", lambda z: pow_rule(z, k))
        return plain(self.data**k, (self,), f"**{k}", lambda z: pow_rule(z, k))

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

    def __rtruediv__(self, other):
        return other * self**-1

    def relu(self):
        kink(self)
        z = 0.0 if self.data < 0 else self.data
        return plain(z, (self,), "ReLU", lambda z: [(float(z.data > 0), 1.0)])

    def tanh(self):
        return plain(math.tanh(self.data), (self,), "tanh", tanh_rule)

    def exp(self):
        return plain(math.exp(self.data), (self,), "exp", lambda z: [(z.data, z.size)])

    def log(self):
        if self.data <= 0 and State.tracing:
            return plain(-math.inf if self.data == 0 else math.nan, (self,), "log", log_rule)
        return plain(math.log(self.data), (self,), "log", log_rule)

    def sqrt(self):
        return plain(math.sqrt(self.data), (self,), "sqrt", sqrt_rule)

    def maximum(self, other):
        if self is not other:
            kink(self, other)
        z = max(self.data, number(other))
        return plain(z, (self, other), "max", max_rule)

    def detach(self):
        twin = Node(self.data)
        twin.size = self.size
        return twin


def number(x):
    return x.data if isinstance(x, Node) else x


def plain(z, children, op, rule):
    """The result of a built-in op: numbers become nodes."""
    nodes = [x if isinstance(x, Node) else Node(x) for x in children]
    return Node(z, nodes, op, rule)


def kink(x, y=None):
    """Inside a compiled function: whether rounding may decide on which side x lies."""
    gap, size = (x.data, x.size) if y is None else (x.data - y.data, x.size + y.size)
    computed = x._children or (y is not None and y._children)
    if State.tracing and computed and abs(gap) <= 1e-13 * size:
        State.doubtful = True


def mul_rule(z):
    x, y = z._children
    return [(y.data, y.size), (x.data, x.size)]


def pow_rule(z, k):
    x = z._children[0]
    if k == 0:
        return [(0.0, 0.0)]
    if x.data < 0 and k != int(k):
        raise ValueError("complex")
    d = k * x.data ** (k - 1)
    bend = abs(k * (k - 1) * x.data ** (k - 2)) * x.size if x.data else 0.0
    return [(d, abs(d) + bend)]


def tanh_rule(z):
    d = 1 - z.data * z.data
    if abs(z.data) > 0.9:  # where rounding leaves little of it
        e = math.exp(-2 * abs(z._children[0].data))
        d = 4 * e / (1 + e) ** 2
    return [(d, abs(d) + 2 * abs(z.data) * z.size)]


def log_rule(z):
    x = z._children[0]
    d = 1 / x.data
    return [(d, abs(d) + x.size * d * d)]


def sqrt_rule(z):
    d = 0.5 / z.data
    return [(d, abs(d) + z.size * abs(d / z.data))]


def max_rule(z):
    x, y = (c.data for c in z._children)
    return [(0.5, 1.0)] * 2 if x == y else [(float(x > y), 1.0), (float(y > x), 1.0)]


def local_step(node):
    if node.rule is None:
        return
    if node._op == "call" and node.grad == 0:
        return  # compiled: an adjoint of 0 adds nothing, whatever it would be multiplied by
    for x, (d, slope) in zip(node._children, node.rule(node), strict=True):
        if d == slope == 0:
            continue
        x._grad += d * node.grad
        x.grad_size += abs(d) * node.grad_size + slope * abs(node.grad)


def order(root, stop=-1):
    """What root is made of, consumers first; nothing beyond nodes older than `stop`."""
    done, seen, stack = [], set(), [(root, False)]
    while stack:
        node, finished = stack.pop()
        if finished:
            done.append(node)
        elif node not in seen:
            seen.add(node)
            stack.append((node, True))
            if node.serial >= stop:
                stack.extend((x, False) for x in node._children)
    return done[::-1]


# ---- compile() ----


class Result:
    """One number that a call returned: data, its size, and (partial, size) for what it read.

    reads: what its gradient can reach; backward() goes through all of that.
    """

    def __init__(self, data, size, partials, reads):
        self.data, self.size, self.partials, self.reads = data, size, partials, reads

    def node(self):
        if not State.recording:
            return Node(self.data)
        read = {x: self.partials.get(x, (0.0, 0.0)) for x in self.reads if x._op != "input"}
        twin = Node(self.data, read, "call", lambda z: list(read.values()))
        twin.size = self.size
        return twin


def read(root, start):
    """A Result: root's partial derivatives by all that stood before the call started."""
    adjoints, partials, reads = {root: (1.0, 1.0)}, {}, {}
    for node in order(root, start):
        g, size = adjoints.pop(node, (0.0, 0.0))
        if node.serial < start:
            add_partial(partials, node, g, size)
            reads.update(dict.fromkeys([node] if node.source is None else node.reads))
        elif node.rule is not None and g != 0:
            for x, (d, slope) in zip(node._children, node.slopes(), strict=True):
                if d == 0 and node._op in ("ReLU", "max", "take"):
                    continue  # not chosen
                old, old_size = adjoints.get(x, (0.0, 0.0))
                adjoints[x] = old + d * g, old_size + abs(d) * size + slope * abs(g)
    if not State.recording:
        partials, reads = {}, ()
    return Result(root.data, root.size, partials, reads)


def add_partial(partials, node, g, size):
    """A sample of a Batch stands for what the Batch itself had read."""
    source = {node: (1.0, 0.0)} if node.source is None else node.source
    for x, (d, slope) in source.items():
        old, old_size = partials.get(x, (0.0, 0.0))
        partials[x] = old + d * g, old_size + abs(d) * size + slope * abs(g)


def add_up(results, factor):
    partials = {}
    for result in results:
        for x, (g, size) in result.partials.items():
            add_partial(partials, x, g * factor, size * factor)
    data = math.fsum(r.data for r in results) * factor
    reads = dict.fromkeys(x for r in results for x in r.reads)
    return Result(data, sum(r.size for r in results) * factor, partials, reads)


def tree(function, x, *others):
    """function of every leaf of nested tuples, lists and dicts."""
    if isinstance(x, dict):
        return {k: tree(function, v, *(o[k] for o in others)) for k, v in x.items()}
    if isinstance(x, (list, tuple)):
        return type(x)(tree(function, *items) for items in zip(x, *others, strict=True))
    return function(x, *others)


def leaves(x):
    found = []
    tree(found.append, x)
    return found


def argument(x):
    if isinstance(x, np.ndarray):
        return tree(lambda v: Node(v, (), "input"), x.tolist())
    numbers = (float, np.number)
    return tree(lambda v: Node(v, (), "input") if isinstance(v, numbers) else v, x)


def sample(x, k):
    """What a batched function sees of an argument in sample k."""
    if isinstance(x, Batch):
        return tree(as_sample, x.rows[k])
    return argument(x[k]) if isinstance(x, np.ndarray) else argument(x)


def as_sample(result):
    twin = Node(result.data)
    twin.size, twin.source, twin.reads = result.size, result.partials, result.reads
    return twin


class Compiled:
    def __init__(self, function, batch):
        self.function, self.batch = function, batch

    def __get__(self, owner, kind=None):
        return Compiled(self.function.__get__(owner), self.batch)

    def rows(self, samples):
        State.tracing += 1
        try:
            rows = []
            for args in samples:
                start = next(SERIAL)
                out = self.function(*args)
                rows.append(tree(lambda root, at=start: read(root, at), out))
            return rows
        finally:
            State.tracing -= 1

    def __call__(self, *args):
        if State.tracing:
            return self.function(*args)
        if not self.batch:
            return tree(Result.node, self.rows([[argument(x) for x in args]])[0])
        count = next(len(x) for x in args if isinstance(x, (np.ndarray, Batch)))
        return Batch(self.rows([sample(x, k) for x in args] for k in range(count)))

    def value_and_grad(self, *args, params=None):
        """Of one Value; without params the gradient of the first argument, an array."""
        before, State.recording = State.recording, True
        try:
            return self.gradients(args, params)
        finally:
            State.recording = before

    def gradients(self, args, params):
        if self.batch:
            total = add_up(self(*args).rows, 1 / len(args[0]))
            wanted = params
        else:
            read_args = [argument(x) for x in args]
            total = self.rows([read_args])[0]
            wanted = leaves(read_args[0]) if params is None else params
        return total, [total.partials.get(p, (0.0, 0.0)) for p in wanted]


class Batch:
    __array_ufunc__ = None  # array - batch is the Batch's

    def __init__(self, rows):
        self.rows = rows

    def __len__(self):
        return len(self.rows)

    def __getitem__(self, at):
        if isinstance(at, int):
            return tree(Result.node, self.rows[at])
        return Batch([self.rows[k] for k in np.arange(len(self))[at]])

    def leaves(self):
        return [leaves(row) for row in self.rows]

    def reads(self):
        return {x for row in self.leaves() for result in row for x in result.reads}

    def reduce(self, factor):
        return tree(lambda *column: add_up(column, factor).node(), self.rows[0], *self.rows[1:])

    def sum(self):
        return self.reduce(1.0)

    def mean(self):
        return self.reduce(1 / len(self.rows))

    def each(self, op, *operands):
        return Compiled(op, True)(*operands)

    def __add__(self, other):
        return self.each(operator.add, self, other)

    def __sub__(self, other):
        return self.each(operator.sub, self, other)

    def __rsub__(self, other):
        return self.each(operator.sub, other, self)

    def __mul__(self, other):
        return self.each(operator.mul, self, other)


def compile(function=None, *, batch=False):
    return Compiled(function, batch) if function else lambda f: Compiled(f, batch)


def take(values, index):
    """Of the values one; the others count as read."""
    k = int(index.data)
    slopes = [(float(i == k), float(i == k)) for i in range(len(values))]
    return Node(values[k].data, values, "take", lambda z: slopes)


class no_grad:
    def __enter__(self):
        self.before, State.recording = State.recording, False

    def __exit__(self, *_):
        State.recording = self.before
