"""ADBench's bundle adjustment: cameras and points, each observation of one of either."""

import numpy as np

TITLE = "ba: sparse Jacobian of 31,843 observations by 49 cameras, 7,776 points, and weights"
UNIT = "Jacobian"
FULL = {"cameras": 49, "points": 7776, "observations": 31843}
TOY = {"cameras": 2, "points": 4, "observations": 7}


def make(cameras, points, observations):
    """A camera: rotation (axis and angle), centre, focal length, principal point, distortion."""
    rng = np.random.default_rng(9)
    size = 11 * cameras + 3 * points + observations
    return {
        "cameras": rng.normal(size=(cameras, 11)),
        "points": rng.normal((0.0, 0.0, 10.0), size=(points, 3)),
        "weights": rng.normal(size=observations),
        "seen": rng.normal(size=(observations, 2)),
        "camera_of": rng.integers(0, cameras, observations),
        "point_of": rng.integers(0, points, observations),
        "probe": rng.normal(size=size),
    }
