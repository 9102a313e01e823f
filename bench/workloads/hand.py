"""ADBench's hand tracking, simple: points that are to be at vertices of the skin."""

from . import _hand

TITLE = "hand: Jacobian of 100 points on the skin of a hand by its 26 pose parameters, 300 x 26"
WORDS = "Jacobian of hand tracking, 100 points"
UNIT = "Jacobian"
FULL = {"n": 100}
TOY = {"n": 3}


def make(n):
    return _hand.make(n, triangles=False)
