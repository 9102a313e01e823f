"""A wide, flat graph: N/2 uses of one leaf, added up in pairs: how cost grows with its size."""

TITLE = "fan: a graph of N nodes, half of them using one leaf, summed in pairs"
WORDS = "a wide graph of N nodes"
UNIT = "graph"
SERIES = {
    "full": [10**3, 10**4, 10**5, 10**6, 10**7],
    "quick": [10**3, 10**5],
    "toy": [50],
}


def make(nodes):
    return {"nodes": nodes, "leaves": [0.5, *(1.0 + i / 8 for i in range(8))]}
