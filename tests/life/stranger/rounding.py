"""Numbers with the noise of rounding, and what one evaluation of the referee shares."""

import numpy as np

REPLICAS = 4
_SIGNS = np.random.default_rng(20261126).uniform(-0.5, 0.5, size=1 << 20)
_NOISE = _SIGNS + np.copysign(0.5, _SIGNS)  # 0.5 to 1 of a rounding, up or down: never none
_EPS = 2.0**-52


class State:
    """What one evaluation of a program shares."""

    def __init__(self):
        self.reset()

    def reset(self, dtype=float, zeros=True, flush=False, rule=None):
        self.dtype = dtype
        self.replicas = REPLICAS if dtype is float else 1
        self.zeros = zeros  # False: an adjoint that is exactly 0 goes no further
        self.flush = flush  # a subnormal adjoint is 0
        self.rule = rule  # a name: that rule is broken on purpose, to see that it is noticed
        self.call = None
        self.recording = True
        self.at = 0
        self.records = []
        self.poles = 0  # steps at which Python's floats raise

    def noise(self, shape, size):
        self.at = (self.at + 7919) % (len(_NOISE) - size - 1)
        return _NOISE[self.at : self.at + size].reshape(shape)


S = State()


def rounded(z, magnitude, times=1.0):
    """z with a rounding of its own in every replica but the first."""
    if S.replicas == 1:
        return z
    amount = magnitude * (times * _EPS) + (magnitude != 0) * 1e-323
    change = amount * S.noise(z.shape, z.size)
    out = z + change
    if not np.isfinite(change).all():
        out = np.where(np.isfinite(change), out, z)
    out[0] = z[0]
    return out


def at_kinks(z, choose, *data):
    """z = choose(*data) where the noise counts in both directions: what was drawn may leave all
    replicas on one side of a kink, and the computed number on the other."""
    if S.replicas == 1:
        return z
    turned = choose(*[2 * d[:1] - d for d in data])
    return np.where(np.abs(turned - z[:1]) > np.abs(z - z[:1]), turned, z)


def grid(a):
    """(bits, bound) where all numbers are small multiples of 2**-bits: sums of such are exact."""
    finite = a[np.isfinite(a)]
    if not finite.size:
        return (0, 0.0)
    bound = float(np.abs(finite).max())
    if bound > 2.0**20:
        return None
    for bits in (0, 1, 6):
        if np.array_equal(finite * 2.0**bits, np.rint(finite * 2.0**bits)):
            return (bits, bound)
    return None


def fits(bits, bound):
    return (bits, bound) if bits < 30 and bound * 2.0**bits < 2.0**50 else None
