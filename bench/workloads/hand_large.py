"""hand with more points than vertices."""

from .hand import TOY as TOY
from .hand import make as make

TITLE = "hand_large: Jacobian of 800 points on the skin of a hand by its 26 pose parameters"
WORDS = "Jacobian of hand tracking, 800 points"
UNIT = "Jacobian"
FULL = {"n": 800}
