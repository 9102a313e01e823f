"""A hand of random bones and skin, of the sizes of ADBench's."""

import numpy as np

from ..scalar_hand import BONES, parent_of

VERTICES = 544
NEAR = 4  # bones that a vertex hangs on


def make(n, triangles):
    """n points that are to be on the skin: at vertices, or, with triangles, in them."""
    rng = np.random.default_rng(8)
    relatives = np.stack([transform(rng) for _ in range(BONES)])
    absolutes = []
    for bone, relative in enumerate(relatives):
        up = parent_of(bone)
        absolutes.append(relative if up < 0 else absolutes[up] @ relative)
    weights = np.zeros((VERTICES, BONES))
    for row in weights:
        row[rng.choice(BONES, NEAR, replace=False)] = rng.dirichlet(np.ones(NEAR))
    at_rest = np.append(rng.normal(size=(VERTICES, 3)), np.ones((VERTICES, 1)), axis=1)
    return {
        "theta": rng.normal(0, 0.3, 26),
        "relatives": relatives,
        "inverses": np.linalg.inv(np.stack(absolutes)),
        "weights": weights,
        "at_rest": at_rest,
        "skin": weights[:, :, None] * at_rest[:, None, :],
        "points": rng.normal(size=(n, 3)),
        "at": rng.integers(0, VERTICES, (n, 3) if triangles else n),
        "u": rng.dirichlet(np.ones(3), n)[:, :2],
    }


def transform(rng):
    """A rotation and a step, 4 x 4."""
    q, _ = np.linalg.qr(rng.normal(size=(3, 3)))
    found = np.eye(4)
    found[:3, :3] = q * np.sign(np.linalg.det(q))
    found[:3, 3] = rng.normal(0, 0.3, 3)
    return found
