"""ADBench's hand tracking, complicated: where on its triangle a point is, is a parameter too."""

from . import _hand

TITLE = "hand_complicated: Jacobian of 800 points by 26 pose parameters, and by two of each point"
WORDS = "Jacobian of hand tracking, 800 points on triangles"
UNIT = "Jacobian"
FULL = {"n": 800}
TOY = {"n": 3}


def make(n):
    return _hand.make(n, triangles=True)
