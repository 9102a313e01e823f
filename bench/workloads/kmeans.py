"""The step of Newton's method for k-means clustering: its Hessian is diagonal."""

import numpy as np

TITLE = "kmeans: gradient and diagonal Hessian by 10 centres of 1,000 points in 8 dimensions"
WORDS = "Newton step of k-means, 1,000 points"
UNIT = "step"
FULL = {"clusters": 10, "n": 1000, "dimensions": 8}
TOY = {"clusters": 3, "n": 7, "dimensions": 2}


def make(clusters, n, dimensions):
    rng = np.random.default_rng(10)
    points = rng.normal(size=(n, dimensions))
    return {"points": points, "centres": points[:clusters] + 0.1}
