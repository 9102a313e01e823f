"""The referee's compile(), written from the documentation alone; keep it so.

The function is run once over all samples: a sample's Value is an array of all samples' numbers.
"""

import random
import types

import numpy as np
import pulling
import referee as R


class Numbers:
    """Plain numbers of the package's: replicas, their terms, what is open."""

    def __init__(self, numbers, mag, wild, shape):
        self.numbers, self.mag, self.wild, self.shape = numbers, mag, wild, shape


def _map(structure, function):
    if isinstance(structure, R.Value):
        return function(structure)
    if isinstance(structure, tuple) and hasattr(structure, "_fields"):
        return type(structure)(*[_map(s, function) for s in structure])
    return type(structure)(_map(s, function) for s in structure)


def flat(structure):
    """The Values of lists and tuples, in order."""
    if isinstance(structure, (list, tuple)):
        return [v for s in structure for v in flat(s)]
    return [structure]


class Batch:
    def __init__(self, structure, size):
        self.structure, self.size = structure, size

    def __len__(self):
        return self.size

    def _reduce(self, node, weight):
        def back(this, g):
            return np.broadcast_to(g * weight, node._data.shape), None

        mag = node.mag.sum(axis=1, keepdims=True) * weight
        z = R.rounded(node._data.sum(axis=1, keepdims=True) * weight, mag)
        grid = node.grid and weight == 1 and R.fits(node.grid[0], node.grid[1] * self.size)
        wild = None if node.wild is None else node.wild.any(axis=1, keepdims=True)
        return R.make(node, z, mag, grid or None, wild, ((node, back),))

    def sum(self):
        if not self.size:  # what a loop that is not run gives depends on nothing
            return _map(self.structure, lambda _: R.Value(0.0))
        return _map(self.structure, lambda node: self._reduce(node, 1.0))

    def mean(self):
        if not self.size:
            return _map(self.structure, lambda _: R.Value(np.nan))
        return _map(
            self.structure, lambda node: self._reduce(node, np.asarray(1, R.S.dtype) / self.size)
        )

    def _pick(self, where):
        """The Batch of some samples, in that order."""
        at = np.arange(self.size)[where]

        def some(node):
            def back(this, g):
                c = np.zeros((R.S.replicas, self.size), R.S.dtype)
                reach = np.zeros((1, self.size), bool)
                reached = np.broadcast_to(True if this.reach is None else this.reach, (1, len(at)))
                for k, sample in enumerate(at):
                    if reached[0, k]:
                        c[:, sample] += g[:, k]
                        reach[0, sample] = True
                return c, reach, None

            z, mag = node._data[:, at], node.mag[:, at]
            wild = None if node.wild is None else node.wild[:, at]
            out = R.make(node, z, mag, node.grid, wild, ((node, back),))
            out.inner = True
            return out

        return Batch(_map(self.structure, some), len(at))

    def _op(self, other, function):
        return Compiled(function, True)(self, other)

    def __add__(self, other):
        return self._op(other, lambda a, b: a + b)

    def __sub__(self, other):
        return self._op(other, lambda a, b: a - b)

    def __mul__(self, other):
        return self._op(other, lambda a, b: a * b)

    def __truediv__(self, other):
        return self._op(other, lambda a, b: a / b)

    def __pow__(self, other):
        return self._op(other, lambda a, b: a**b)

    def __radd__(self, other):
        return self._op(other, lambda a, b: b + a)

    def __rsub__(self, other):
        return self._op(other, lambda a, b: b - a)

    def __rmul__(self, other):
        return self._op(other, lambda a, b: b * a)

    def __neg__(self):
        return self._op(-1.0, lambda a, b: a * b)

    def __getitem__(self, k):
        if isinstance(k, (slice, list, np.ndarray)):
            return self._pick(k)
        k = range(self.size)[k]

        def one(node):
            def back(this, g):
                here = np.zeros((1, self.size), bool)
                here[0, k] = True
                return np.where(here, g, 0), here

            z, mag = node._data[:, k : k + 1].copy(), node.mag[:, k : k + 1].copy()
            wild = None if node.wild is None else node.wild[:, k : k + 1]
            return R.make(node, z, mag, node.grid, wild, ((node, back),))

        return _map(self.structure, one)

    def __iter__(self):
        return (self[k] for k in range(self.size))


class Compiled:
    """mg.compile(): the function is simply run, over all samples at once."""

    def __init__(self, function, batch):
        self.function, self.batch = function, batch
        self.__name__ = getattr(function, "__name__", "f")

    def _array(self, a, inputs):
        a = np.asarray(a).astype(float)
        size = a.shape[0] if self.batch else None
        kept = [] if inputs is None else inputs
        cells = []

        def build(part):
            if part.ndim > (1 if self.batch else 0):
                return [build(p) for p in (part.swapaxes(0, 1) if self.batch else part)]
            data = np.broadcast_to(part.reshape(1, -1), (R.S.replicas, part.size)).astype(R.S.dtype)
            node = R.make(None, data, np.abs(data), R.grid(part.reshape(-1)), None, ())
            node.given = True
            cells.append(node)
            return node

        out = build(a)
        kept.append((cells, a.shape))
        return out, size

    def _argument(self, a, sizes, inputs):
        if isinstance(a, (bool, int, str, type(None), type)):
            return a
        if isinstance(a, (list, tuple)):
            return type(a)(self._argument(x, sizes, inputs) for x in a)
        if isinstance(a, dict):
            return {k: self._argument(x, sizes, inputs) for k, x in a.items()}
        if isinstance(a, R.Value):
            return R.lift(a)
        if isinstance(a, Batch):
            sizes.append(a.size)
            cells = flat(a.structure)
            shape = (a.size,) if isinstance(a.structure, R.Value) else (a.size, len(cells))
            if inputs is not None:
                inputs.append((cells, shape))
            return a.structure
        if isinstance(a, np.ndarray) and a.ndim:
            out, size = self._array(a, inputs)
            if size is not None:
                sizes.append(size)
            return out
        number = R.Value(a)
        number.constant = False  # of this call
        return number

    def _run(self, args, inputs=None, kwargs=None):
        sizes = []
        before, R.S.call = R.S.call, R.Call()
        try:
            given = [self._argument(a, sizes, inputs) for a in args]
            named = {k: self._argument(a, sizes, inputs) for k, a in (kwargs or {}).items()}
            out = _map(_lists(self.function(*given, **named)), R.lift)
            if self.batch:
                out = _map(out, lambda v: self._spread(v, sizes[0]))
        finally:
            R.S.call = before
        return out, (sizes[0] if sizes else None)

    @staticmethod
    def _spread(v, size):
        """One number for every sample, also where the function does not look at the sample."""
        shape = (R.S.replicas, size)
        data, mag = np.broadcast_to(v._data, shape), np.broadcast_to(v.mag, shape)
        wild = None if v.wild is None else np.broadcast_to(v.wild, (1, size))
        return R.make(v, data, mag, v.grid, wild, ((v, lambda node, g: (g, None)),))

    def __call__(self, *args, **kwargs):
        out, size = self._run(args, None, kwargs)
        if self.batch:
            return Batch(out, size)

        def outside(v):
            one = (v, lambda node, g: (g, None))
            return R.make(v, v._data, v.mag, v.grid, v.wild, (one,))

        return _map(out, outside)

    def value_and_grad(self, *args, params=None, **kwargs):
        inputs = []
        before, R.S.recording = R.S.recording, True
        try:
            out, size = self._run(args, inputs, kwargs)
        finally:
            R.S.recording = before
        weight = np.asarray(1, R.S.dtype)
        if params is not None and self.batch and size:
            weight = weight / size
        seed = np.full(out._data.shape, weight)
        adjoints = {id(out): (seed, None, np.abs(seed), None)}
        pulling.pull([out], adjoints, False)
        wild = out.wild
        if params is not None:
            if self.batch:
                mag = out.mag.mean(axis=1) if size else np.full(R.S.replicas, np.nan)
                mean = out._data.mean(axis=1) if size else np.full(R.S.replicas, np.nan)
                wild = None if wild is None else wild.any(axis=1)
                value = Numbers(mean, mag, wild, ())
            else:
                value = Numbers(out._data[:, 0], out.mag[:, 0], wild, ())
            cells = [(p, adjoints.get(id(p))) for p in params]
            return value, self._gather(cells, (len(params),), True)
        shape = (size,) if self.batch else ()
        value = Numbers(out._data, out.mag, wild, shape)
        if not self.batch:
            inputs = inputs[:1]
        parts = [
            self._gather([(c, adjoints.get(id(c))) for c in cells], shape, False)
            for cells, shape in inputs
        ]
        return value, parts[0] if len(parts) == 1 else tuple(parts)

    @staticmethod
    def _gather(cells, shape, outer):
        """Adjoints of many values as one array, samples first."""
        numbers, mags, wilds = [], [], []
        for cell, adjoint in cells:
            width = cell._data.shape
            if adjoint is None:
                g = mag = np.zeros(width, R.S.dtype)
                wild = None
            elif outer:
                g, mag, wild = adjoint
            else:
                g, _, mag, wild = adjoint
            numbers.append(np.broadcast_to(g, width))
            mags.append(np.broadcast_to(mag, width))
            wilds.append(np.broadcast_to(False if wild is None else wild, (1, width[1])))
        if not numbers:
            return Numbers(np.zeros((R.S.replicas, 0)), np.zeros((R.S.replicas, 0)), None, shape)
        join = lambda parts: np.stack(parts, axis=2).reshape(parts[0].shape[0], -1)  # noqa: E731
        return Numbers(join(numbers), join(mags), join(wilds)[0], shape)


def _lists(structure):
    """What a function may return: numbers among the Values become Values."""
    if isinstance(structure, (R.Value, list, tuple)):
        return structure
    return R.Value(structure)


def compile(function=None, *, batch=False):
    if function is None:
        return lambda f: Compiled(f, batch)
    return Compiled(function, batch)


class no_grad:
    def __enter__(self):
        self.before, R.S.recording = R.S.recording, False

    def __exit__(self, *exc):
        R.S.recording = self.before


def _sum(values):
    values = list(values)
    out = values[0]
    for v in values[1:]:
        out = out + v
    return out


def _log_softmax(logits):
    top = R.maximum(*logits).detach()
    shifted = [x - top for x in logits]
    total = _sum(x.exp() for x in shifted).log()
    return [x - total for x in shifted]


def _softmax(logits):
    top = R.maximum(*logits).detach()
    exps = [(x - top).exp() for x in logits]
    total = _sum(exps)
    return [e / total for e in exps]


def _cross_entropy(logits, target):
    return -R.take(_log_softmax(logits), target)


def _binary_cross_entropy_with_logits(logit, target):
    return R.maximum(logit, 0.0) - logit * target + (-abs(logit)).exp().log1p()


functional = types.SimpleNamespace(
    sum=_sum,
    mean=lambda values: _sum(values) / len(values),
    dot=lambda x, y: _sum(a * b for a, b in zip(x, y, strict=True)),
    softmax=_softmax,
    log_softmax=_log_softmax,
    cross_entropy=_cross_entropy,
    binary_cross_entropy_with_logits=_binary_cross_entropy_with_logits,
    mse_loss=lambda a, b: _sum((x - y) ** 2 for x, y in zip(a, b, strict=True)) / len(a),
    hinge_loss=lambda s, t: _sum((1 - b * a).relu() for a, b in zip(s, t, strict=True)) / len(s),
    maximum=R.maximum,
    minimum=R.minimum,
    take=R.take,
)


class MLP:
    """micrograd's: every neuron draws its weights from uniform(-1, 1), its bias is 0."""

    def __init__(self, nin, nouts, *, activation="relu"):
        sizes = [nin, *nouts]
        self.layers = []
        for k, (rows, columns) in enumerate(zip(sizes[1:], sizes, strict=False)):
            neurons = []
            for _ in range(rows):
                w = [R.Value(random.uniform(-1, 1)) for _ in range(columns)]
                neurons.append((w, R.Value(0)))
            self.layers.append((neurons, activation if k + 1 < len(nouts) else "linear"))

    def __call__(self, x):
        for neurons, activation in self.layers:
            x = [_sum([b, *[wi * xi for wi, xi in zip(w, x, strict=True)]]) for w, b in neurons]
            if activation != "linear":
                x = [getattr(v, activation)() for v in x]
        return x[0] if len(x) == 1 else x

    def parameters(self):
        return [p for neurons, _ in self.layers for w, b in neurons for p in (*w, b)]


def module():
    """What stands for `import micrograd_fast as mg`."""
    return types.SimpleNamespace(
        Value=R.Value,
        compile=compile,
        maximum=R.maximum,
        minimum=R.minimum,
        take=R.take,
        no_grad=no_grad,
        functional=functional,
        nn=types.SimpleNamespace(MLP=MLP),
        set_num_threads=lambda n: None,
    )
