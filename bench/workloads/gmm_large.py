"""A size of gmm with more parameters than points."""

from .gmm import TOY, UNIT, make

__all__ = ["FULL", "TITLE", "TOY", "UNIT", "make"]

TITLE = "gmm_large: 25 Gaussians of dimension 64, 1,000 points"
WORDS = "mixture of 25 Gaussians in 64 dimensions, 1,000 points"
FULL = {"dimension": 64, "components": 25, "count": 1000}
