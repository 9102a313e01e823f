"""A GPT on first names, the network of Karpathy's microgpt, one name a step.

The names come from the PyPI package `names`; four of them, of different lengths, go round in a
cycle, so that a step means the same work in every turn.
"""

import random

import numpy as np

TITLE = "names: training step of a GPT on first names (1 layer, 16-dim, 4 heads, Adam, one name)"
WORDS = "training step of a small GPT on one name, Adam"
UNIT = "step"
REQUIRES = ("names",)
INSTALL = "pip install names"
FULL = {"width": 16, "heads": 4, "block": 16, "count": 4}
TOY = {"width": 4, "heads": 2, "block": 4, "count": 2}
ADAM = {"lr": 0.01, "betas": (0.85, 0.99), "eps": 1e-8}
BOS = 26


def first_names():
    """All first names of the package, lower case, most frequent first."""
    import names

    found = {}
    for sex in ("male", "female"):
        with open(names.FILES[f"first:{sex}"]) as lines:
            for line in lines:
                name, _, _, rank = line.split()
                found.setdefault(name.lower(), int(rank))
    return sorted(found, key=lambda name: (found[name], name))


def draw_weights(rng, width, block):
    """Every matrix as (outputs, inputs), in the order in which parameters are compared."""
    vocabulary = BOS + 1
    shapes = {
        "wte": (vocabulary, width),
        "wpe": (block, width),
        "wq": (width, width),
        "wk": (width, width),
        "wv": (width, width),
        "wo": (width, width),
        "fc1": (4 * width, width),
        "fc2": (width, 4 * width),
        "head": (vocabulary, width),
    }
    return {name: rng.normal(scale=0.08, size=shape) for name, shape in shapes.items()}


def make(width, heads, block, count):
    documents = first_names()
    random.Random(42).shuffle(documents)
    tokens = [[BOS, *(ord(c) - ord("a") for c in name), BOS] for name in documents[:count]]
    return {
        "documents": [t[: block + 1] for t in tokens],
        "weights": draw_weights(np.random.default_rng(3), width, block),
        "heads": heads,
        "block": block,
        "vocabulary": BOS + 1,
    }
