"""ba with seven times as many observations."""

from .ba import TOY as TOY
from .ba import make as make

TITLE = "ba_large: sparse Jacobian of 225,911 observations by 257 cameras and 65,132 points"
WORDS = "bundle adjustment, 225,911 observations"
UNIT = "Jacobian"
FULL = {"cameras": 257, "points": 65132, "observations": 225911}
