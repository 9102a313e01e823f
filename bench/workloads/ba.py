"""ADBench's bundle adjustment: cameras and points, each observation of one of either."""

import numpy as np

TITLE = "ba: sparse Jacobian of 31,843 observations by 49 cameras, 7,776 points, and weights"
WORDS = "bundle adjustment, 31,843 observations"
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


def block_numbers(data, by_camera, by_point, by_weight, last):
    """The entries of the sparse Jacobian that the blocks make, and its product with the probe."""
    cameras, points, weights = np.split(
        data["probe"], np.cumsum([data["cameras"].size, data["points"].size])
    )
    product = np.einsum("nij,nj->ni", by_camera, cameras.reshape(-1, 11)[data["camera_of"]])
    product += np.einsum("nij,nj->ni", by_point, points.reshape(-1, 3)[data["point_of"]])
    product += by_weight * weights[:, None]
    product = np.column_stack([product, last * weights])
    entries = sum(map(np.count_nonzero, (by_camera, by_point, by_weight, last)))
    return {"entries": [entries], "product": product.ravel()}
