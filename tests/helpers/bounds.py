"""Bounds: how far apart two right results of one function may lie.

A function of Values runs on `Bound` too: arrays, one item a sample, that know how much rounding
reaches them and their gradients. Two right results differ by some 1e-16 of that, whatever the order
of summation.
"""

import numpy as np
from references import REFERENCES

TOLERANCE = 1e-12


class Bound:
    """A float64 array with Value's operators. scale: what rounding is relative to.

    parents: (operand, partial derivative) pairs. slopes: what the rounding of those partials is
    relative to; by default they are off by as much as z is.
    """

    def __init__(self, z, parents=(), slopes=None):
        self.z = np.asarray(z, dtype=np.float64)
        self.scale = np.abs(self.z) + sum(np.abs(d) * p.scale for p, d in parents)
        if slopes is None:
            slopes = [np.abs(d) + self.scale for _, d in parents]
        self.parents = [(p, slope) for (p, _), slope in zip(parents, slopes, strict=True)]
        self.margin = np.inf  # distance from a kink
        self.reach = 0.0  # absolute contributions of all outputs to this one's gradient

    def __add__(self, y):
        y = bound(y)
        return Bound(self.z + y.z, [(self, 1.0), (y, 1.0)], [1.0, 1.0])

    def __mul__(self, y):
        y = bound(y)
        return Bound(self.z * y.z, [(self, y.z), (y, self.z)], [y.scale, self.scale])

    def __pow__(self, y):
        if isinstance(y, Bound):
            z = self.z**y.z
            return Bound(z, [(self, y.z * self.z ** (y.z - 1)), (y, z * np.log(self.z))])
        return Bound(self.z**y, [(self, y * self.z ** (y - 1.0) if y else 0.0)])

    def __rpow__(self, y):
        return bound(y) ** self

    def __neg__(self):
        return self * -1

    def __sub__(self, y):
        return self + -bound(y)

    def __rsub__(self, y):
        return bound(y) - self

    def __truediv__(self, y):
        return self * bound(y) ** -1

    def __rtruediv__(self, y):
        return bound(y) / self

    __radd__, __rmul__ = __add__, __mul__

    def detach(self):
        detached = Bound(self.z)
        detached.scale = self.scale
        return detached

    def _chosen(self, y, z):
        made = Bound(z, [(self, 1.0), (y, 1.0)], [1.0, 1.0])
        made.margin = np.min(np.abs(self.z - y.z)) if y is not self else np.inf
        return made

    def maximum(self, y):
        return self._chosen(bound(y), np.maximum(self.z, bound(y).z))

    def minimum(self, y):
        return self._chosen(bound(y), np.minimum(self.z, bound(y).z))

    def compare(self, y):
        made = self._chosen(bound(y), np.sign(self.z - bound(y).z))
        made.scale, made.parents = np.abs(made.z), []
        return made

    def _truth(self, y, holds):
        made = self._chosen(bound(y), holds(self.z, bound(y).z).astype(float))
        made.scale, made.parents = np.abs(made.z), []
        return made

    def less(self, y):
        return self._truth(y, np.less)

    def less_equal(self, y):
        return self._truth(y, np.less_equal)

    def equal(self, y):
        return self._truth(y, np.equal)

    def _whole(self, z, steps_at):
        made = Bound(z)
        made.margin = np.min(np.abs(self.z - steps_at - np.rint(self.z - steps_at)))
        return made

    def floor(self):
        return self._whole(np.floor(self.z), 0.0)

    def ceil(self):
        return self._whole(np.ceil(self.z), 0.0)

    def rint(self):
        return self._whole(np.rint(self.z), 0.5)

    def reached(self, y):
        return self * y

    def relu(self):
        return self.maximum(0.0)

    def abs(self):
        return self.maximum(-self)


def bound(x):
    return x if isinstance(x, Bound) else Bound(x)


for _name, _op in REFERENCES.items():
    if len(_op.slopes) == 1 and _name != "pow" and not hasattr(Bound, _name):
        setattr(
            Bound,
            _name,
            lambda self, f=_op.numpy, d=_op.slopes[0]: Bound(
                f(self.z), [(self, d(self.z, f(self.z)))]
            ),
        )


def _binary(f, slopes):
    def method(self, y):
        y = bound(y)
        z = f(self.z, y.z)
        return Bound(z, [(v, d(self.z, y.z, z)) for v, d in zip((self, y), slopes, strict=True)])

    return method


for _name, _op in REFERENCES.items():
    if len(_op.slopes) == 2 and not hasattr(Bound, _name):
        setattr(Bound, _name, _binary(_op.numpy, _op.slopes))


def take_bound(values, index):
    """mg.take over Bounds; what is not chosen counts as if it were."""
    rows = np.broadcast_arrays(*[bound(v).z for v in values], index)
    z = np.choose(rows[-1].astype(int), rows[:-1])
    return Bound(z, [(bound(v), 1.0) for v in values], [1.0] * len(values))


def backward_bound(outputs, weights):
    """Fills `reach` of everything under the outputs: absolute contributions, sample by sample."""
    order, seen = [], set()
    for out, weight in zip(outputs, weights, strict=True):
        out.reach = out.reach + np.abs(weight)
        stack = [(out, False)]
        while stack:
            v, done = stack.pop()
            if done:
                order.append(v)
            elif id(v) not in seen:
                seen.add(id(v))
                stack.append((v, True))
                stack.extend((p, False) for p, _ in v.parents)
    order.sort(key=_depths(order).get, reverse=True)
    for v in order:
        for p, slope in v.parents:
            p.reach = p.reach + slope * v.reach
    return order


def _depths(order):
    depth = {}
    for v in order:  # children come first
        depth[v] = 1 + max((depth[p] for p, _ in v.parents), default=0)
    return depth


def assert_near(ours, theirs, scale):
    """Equal up to rounding: within 1e-12 of the bounds, or less than the square of a rounding."""
    ours, theirs, scale = np.asarray(ours), np.asarray(theirs), np.asarray(scale)
    off = np.abs(ours - theirs) > TOLERANCE * scale + 1e-28
    assert np.all(np.isfinite(ours)) and not off.any(), (ours[off], theirs[off], scale[off])
