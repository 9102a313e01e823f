"""A referee for micrograd_fast, written from the documentation alone; keep it so.

It runs the same program text as the package, with classes of its own under the package's names,
and knows nothing of the package's code: reverse-mode calculus over NumPy arrays. Every number is an
array (replicas, samples). Replica 0 is computed plainly; the others carry random roundings of one
ulp of the sum of absolute terms in every inexact step, so that the spread of the replicas says how
far two honest evaluations may lie apart: tolerances are measured, not guessed.

What the documentation leaves open is computed in both ways (`zeros`), or marked as `wild`.
"""

from functools import reduce

import numpy as np
from rounding import S, at_kinks, fits, grid, rounded


def both(*wilds):
    wilds = [w for w in wilds if w is not None]
    if not wilds:
        return None
    out = wilds[0]
    for w in wilds[1:]:
        out = out | w
    return out


class Call:
    """One run of a compiled function: what it read of the values around it."""

    def __init__(self):
        self.reads = {}
        self.known = {}  # results by op and operands, see shared


class Sealed(type):
    """A class that programs cannot change: a shrunk one may say `mg.Value.data = 0`."""

    def __setattr__(cls, name, value):
        raise TypeError(f"{name} of the class is not to be set")


class Value(metaclass=Sealed):
    """A number of the program: data (replicas, samples or 1), and how it came about."""

    __array_ufunc__ = None  # NumPy's scalars leave the operator to us

    def __init__(self, data, _children=(), _op="", label=""):
        if isinstance(data, Value):
            raise TypeError("a Value where a number belongs")
        x = float(data)
        a = np.full((S.replicas, 1), x, S.dtype)
        small = (6, abs(x)) if (x * 64).is_integer() and abs(x) < 1e6 else None
        self._set(a, np.abs(a), small, None, (), S.call is not None)
        self.leaf = self.given = True
        self.constant = self.inner

    def _set(self, data, mag, grid, wild, parents, inner):
        self._data, self.mag, self.grid, self.wild = data, mag, grid, wild
        self.parents = parents if S.recording else ()
        self.inner = inner
        self.leaf = self.given = self.constant = False
        if not inner:
            self.gradient = np.zeros_like(data)
            self.gmag = np.zeros_like(data)
            self.gwild = None

    @property
    def data(self):
        return self._data

    @data.setter
    def data(self, number):
        a = np.asarray(getattr(number, "numbers", number), S.dtype)
        self._data = np.broadcast_to(a, self._data.shape).astype(S.dtype)
        self.mag, self.grid, self.wild = np.abs(self._data), grid(self._data[0].astype(float)), None

    @property
    def grad(self):
        return self.gradient

    @grad.setter
    def grad(self, number):
        self.gradient = np.full_like(self._data, number)
        self.gmag, self.gwild = np.abs(self.gradient), None

    def backward(self):
        self.gradient = np.ones_like(self._data)
        self.gmag, self.gwild = np.ones_like(self._data), None
        import pulling

        pulling.pull([self], {}, True)

    def detach(self):
        return make(self, self._data, self.mag, self.grid, self.wild, ())

    def __add__(self, other):
        return _add(self, other)

    def __radd__(self, other):
        return _add(other, self)

    def __mul__(self, other):
        return _mul(self, other)

    def __rmul__(self, other):
        return _mul(other, self)

    def __neg__(self):
        return _mul(self, -1.0)

    def __sub__(self, other):
        return _add(self, -other)

    def __rsub__(self, other):
        return _add(-self, other)

    def __truediv__(self, other):
        return _div(self, other)

    def __rtruediv__(self, other):
        return _div(other, self)

    def __pow__(self, k):
        return _vpow(self, k) if isinstance(k, Value) else _pow(self, k=float(k))

    def __rpow__(self, base):
        return _vpow(base, self)

    def __abs__(self):
        return self.abs()

    def maximum(self, other):
        return maximum(self, other)

    def minimum(self, other):
        return minimum(self, other)


def make(like, data, mag, grid, wild, parents):
    out = Value.__new__(Value)
    out._set(data, mag, grid, wild, parents, S.call is not None)
    if like is None or not parents:
        out.leaf = not parents
    return out


def lift(x):
    """x as a Value; a value from around the call is read once, as it is at that moment."""
    if not isinstance(x, Value):
        return Value(x)
    if S.call is None or x.inner:
        return x
    read = S.call.reads.get(id(x))
    if read is None:
        parents = ((x, lambda node, g: (g, None)),)
        read = make(x, x._data.copy(), x.mag.copy(), x.grid, x.wild, parents)
        read.given = x.given
        S.call.reads[id(x)] = read
    return read


def shared(op, commutes=False):
    """In a compiled function the same op on the same operands may be one: where the two cancel, the
    adjoint is exactly 0. Computed so where such an adjoint stops."""

    def once(*operands, **fixed):
        if S.zeros or S.call is None:
            return op(*operands, **fixed)
        operands = [lift(x) for x in operands]
        which = [_which(x) for x in operands]
        key = (op, *(sorted(which) if commutes else which), *fixed.values())
        if key not in S.call.known:
            S.call.known[key] = (op(*operands, **fixed), operands)
        return S.call.known[key][0]

    return once


def _which(x):
    """The same text for values that are one: a number of the function's is what it is."""
    return repr(float(x._data[0, 0])) if x.constant else f"value {id(x)}"


def _times(derivative, chooses=False):
    """The step back through one operand: the adjoint times a derivative.

    The derivative is computed when gradients flow: the eager graph uses its data of that moment.
    """

    def back(node, g):
        d = derivative()
        mask = (d[:1] != 0) if chooses and not S.zeros else None
        return g * d, mask

    return back


def _exact(x, others):
    """Whether the operand x is a number by which a product only shifts."""
    return x.leaf and x._data.shape[1] == 1 and float(abs(x._data[0, 0])) in others


def _add(x, y):
    x, y = lift(x), lift(y)
    z, mag = x._data + y._data, x.mag + y.mag
    grid = None
    if x.grid and y.grid:
        grid = fits(max(x.grid[0], y.grid[0]), x.grid[1] + y.grid[1])
    if grid is None and not _exact(x, (0.0,)) and not _exact(y, (0.0,)):
        z = rounded(z, mag)
    one = lambda node, g: (g, None)  # noqa: E731
    return make(x, z, mag, grid, both(x.wild, y.wild), ((x, one), (y, one)))


def _mul(x, y):
    x, y = lift(x), lift(y)
    z, mag = x._data * y._data, x.mag * y.mag
    grid = None
    if x.grid and y.grid:
        grid = fits(x.grid[0] + y.grid[0], x.grid[1] * y.grid[1])
    shifts = (0.5, 1.0, 2.0, 4.0)
    if grid is None and not _exact(x, shifts) and not _exact(y, shifts):
        z = rounded(z, mag)
    back = ((x, _times(lambda: y._data)), (y, _times(lambda: x._data)))
    return make(x, z, mag, grid, both(x.wild, y.wild), back)


_add, _mul = shared(_add, commutes=True), shared(_mul, commutes=True)


def _zero_of_unknown_sign(x):
    """Where x is a zero that was computed: the sign of it, and of its reciprocal, is open."""
    zero = (x._data == 0).any(axis=0, keepdims=True)
    if zero.any():
        S.poles += 1
    return zero if zero.any() and not x.given else None


@shared
def _div(x, y):
    x, y = lift(x), lift(y)
    z = x._data / y._data
    mag = x.mag / np.abs(y._data)
    back = (
        (x, _times(lambda: 1 / y._data)),
        (y, _times(lambda: -(x._data / y._data) / y._data)),
    )
    unknown = _zero_of_unknown_sign(y)
    if unknown is not None:
        unknown = unknown & ~np.isnan(z).all(axis=0, keepdims=True)
    wild = both(x.wild, y.wild, unknown)
    return make(x, rounded(z, mag, 2.0), mag, None, wild, back)


def _power(x, k):
    if k == -1:
        return 1 / x
    if k == 0.5:  # a power, not NumPy's root: inf at -inf, 0.0 at -0.0
        x = np.where(x == -np.inf, np.inf, x) + 0.0
    return np.power(x, np.asarray(k, S.dtype))


@shared
def _pow(x, k):
    x = lift(x)
    z = _power(x._data, k)
    grid = x.grid if k == 1 else (0, 1.0) if k == 0 else None
    if k == 2 and x.grid:
        grid = fits(2 * x.grid[0], x.grid[1] ** 2)
    mag = np.abs(z)
    if k in (1.0, 2.0, 3.0, 4.0):
        mag = x.mag**k  # a sum multiplied out
    if grid is None:
        z = rounded(z, mag, 4.0)
    wild = x.wild
    if k < 0:
        unknown = _zero_of_unknown_sign(x)
        wild = both(wild, unknown if k % 2 == 1 else None)
    if k != np.rint(k) and (x._data < 0).any():
        S.poles += 1
    if (k < 1 and k != 0 and (x._data == 0).any()) or np.isinf(z).any():
        S.poles += 1

    def derivative():
        if k == 0:
            return np.zeros_like(x._data)
        return k * _power(x._data, k - 1) if k != 1 else np.ones_like(x._data)

    # x**0 is the number 1 in compiled code, and depends on nothing.
    return make(x, z, mag, grid, wild, ((x, _times(derivative, chooses=k == 0)),))


@shared
def _vpow(x, y):
    x, y = lift(x), lift(y)
    z = rounded(*[np.power(x._data, y._data)] * 2, 4.0)
    mag = np.abs(z)
    if (x._data <= 0).any() or np.isinf(z).any():
        S.poles += 1

    def by_x():
        d = y._data * np.power(x._data, y._data - 1)
        return np.where(np.broadcast_to(y._data, d.shape) == 0, 0, d)

    def by_y():
        d = out._data * np.log(x._data)
        return np.where((x._data == 0) & (y._data >= 0), 0, d)

    wild = both(x.wild, y.wild)
    wild = both(wild, _zero_of_unknown_sign(x) if (y._data < 0).any() else None)
    out = make(x, z, mag, None, wild, ((x, _times(by_x)), (y, _times(by_y))))
    return out


def _sigmoid(x):
    e = np.exp(-np.abs(x))
    return np.where(x >= 0, 1 / (1 + e), e / (1 + e))


def _tanh_slope(x, z):
    """1 - z**2, from x where z is nearly 1 and came of x, which may be a later one."""
    e = np.exp(-2 * np.abs(x))
    near = (np.abs(z) > 0.99) & (np.abs(np.tanh(x) - z) < 1e-13)
    return np.where(near, 4 * e / ((1 + e) * (1 + e)), 1 - z * z)


def _sigmoid_slope(x, z):
    e = np.exp(-np.abs(x))
    near = (np.abs(z - 0.5) > 0.49) & (np.abs(_sigmoid(x) - z) < 1e-13)
    return np.where(near, e / ((1 + e) * (1 + e)), z * (1 - z))


def _open_choice(x, name):
    """Where the side of the kink is not said: the sign of nan for abs, a sum that rounding alone
    keeps from 0. None: nowhere."""
    here = np.zeros(x._data.shape, bool) if x.grid or x.leaf else _near_zero(x)
    if name == "abs":
        here = here | np.isnan(x._data)
    return here.any(axis=0, keepdims=True) if here.any() else None


def _near_zero(x):
    with np.errstate(invalid="ignore"):
        return np.abs(x._data) <= 2.0**-50 * x.mag


def _unary(name, forward, derivative, trouble, fixed=(), chooses=False, grid_of=None):
    """A method of Value for one row of the documentation's table."""

    def method(self):
        x = lift(self)
        z = forward(x._data)
        if trouble is not None and trouble(x._data).any():
            S.poles += 1
        grid = grid_of(x) if grid_of else None
        if grid is None and not chooses:
            moved = rounded(z, np.abs(z), 4.0)
            for point in fixed:  # exp(0) is 1 in every arithmetic
                moved = np.where(x._data == point, z, moved)
            z = moved
        if chooses:
            z = at_kinks(z, forward, x._data)
        mag = x.mag if chooses else np.abs(z)

        def slope():
            # The eager graph has the z that was computed; x may have been written since.
            d = derivative(x._data, out._data)
            return d * 1.000001 if S.rule == name else d

        back = _times(slope, chooses)
        if chooses:
            plain, open_here = back, _open_choice(x, name)

            def back(node, g):
                node.gopen = open_here
                return plain(node, g)

        out = make(x, z, mag, grid, x.wild, ((x, back),))
        return out

    once = shared(method)
    type.__setattr__(Value, name, lambda self: once(self))


def _same_grid(x):
    return x.grid


_unary("exp", np.exp, lambda x, z: z, lambda x: x > 709, fixed=(0,))
_unary("log", np.log, lambda x, z: 1 / x, lambda x: x <= 0, fixed=(1,))
_unary("log1p", np.log1p, lambda x, z: 1 / (1 + x), lambda x: x <= -1, fixed=(0,))
_unary("sqrt", np.sqrt, lambda x, z: 1 / (2 * z), lambda x: x <= 0, fixed=(0, 1, 4))
_unary("tanh", np.tanh, _tanh_slope, None, fixed=(0,))
_unary("sigmoid", _sigmoid, _sigmoid_slope, None, fixed=(0,))
_unary("sin", np.sin, lambda x, z: np.cos(x), np.isinf, fixed=(0,))
_unary("cos", np.cos, lambda x, z: -np.sin(x), np.isinf, fixed=(0,))
_unary(
    "relu",
    lambda x: np.where(x < 0, 0, x),
    lambda x, z: (z > 0).astype(S.dtype),
    None,
    chooses=True,
    grid_of=_same_grid,
)
_unary("abs", np.abs, lambda x, z: np.sign(x), None, chooses=True, grid_of=_same_grid)


@shared
def _extreme(*values, choose):
    """Of any number of values: equal ones share the gradient evenly."""
    values = [lift(v) for v in values]
    z = at_kinks(
        reduce(choose, [v._data for v in values]),
        lambda *data: reduce(choose, data),
        *[v._data for v in values],
    )
    grids = [v.grid for v in values]
    grid = None
    if all(grids):
        grid = (max(g[0] for g in grids), max(g[1] for g in grids))
    mag = np.max(np.broadcast_arrays(*[v.mag for v in values]), axis=0)

    def towards(v):
        def back(node, g):
            top = values[0]._data
            for w in values[1:]:
                top = choose(top, w._data)
            if np.isnan(top).any():  # which one is the larger is not said
                node.gopen = np.isnan(top).any(axis=0, keepdims=True)
            ties = sum((w._data == top).astype(S.dtype) for w in values)
            share = np.where(v._data == top, 1 / np.maximum(ties, 1), 0)
            if S.rule == "maximum":
                share = (v._data == top).astype(S.dtype)
            mask = None if S.zeros else share[:1] != 0
            return g * share, mask

        return back

    # One operand that is given twice receives two shares.
    back = tuple((v, towards(v)) for v in values)
    return make(values[0], z, mag, grid, both(*[v.wild for v in values]), back)


def maximum(*values):
    return _extreme(*values, choose=np.maximum)


def minimum(*values):
    return _extreme(*values, choose=np.minimum)


def take(values, index):
    if isinstance(values[0], (list, tuple)):
        return [take(column, index) for column in zip(*values, strict=True)]
    if not isinstance(index, Value):
        return lift(values[int(index)])
    return _take(index, *values)


@shared
def _take(index, *values):
    values = [lift(v) for v in values]
    at = lift(index)._data[:1].astype(int)
    if at.size and (at.min() < 0 or at.max() >= len(values)):
        raise IndexError("take")
    shape = np.broadcast_shapes(at.shape[1:], *[v._data.shape[1:] for v in values])
    z = np.zeros((S.replicas, *shape), S.dtype)
    mag, wild = np.zeros_like(z), None
    back = []
    for k, v in enumerate(values):
        here = at == k
        z, mag = np.where(here, v._data, z), np.where(here, v.mag, mag)
        if v.wild is not None:
            wild = both(wild, v.wild & here)
        back.append((v, lambda node, g, here=here: (np.where(here, g, 0), here)))
    if S.rule == "take":
        back = [(v, lambda node, g: (g, None)) for v in values]
    grids = [v.grid for v in values]
    grid = (max(g[0] for g in grids), max(g[1] for g in grids)) if all(grids) else None
    return make(values[0], z, mag, grid, wild, tuple(back))
