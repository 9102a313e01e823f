"""A graph as deep as it is long, v * a + b again and again: how cost grows with its size."""

TITLE = "chain: a graph of N nodes, each using the one before it"
WORDS = "a deep graph of N nodes"
UNIT = "graph"
SERIES = {
    "full": [10**3, 10**4, 10**5, 10**6, 10**7],
    "quick": [10**3, 10**5],
    "toy": [50],
}


def make(nodes):
    return {"nodes": nodes, "leaves": [0.5, 1 - 1e-7, 1e-7]}
