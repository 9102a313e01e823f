"""Where the boxes and lines of a graph are drawn: a layered layout after Sugiyama, in plain Python.

Each node gets a layer, so that edges go forward; an edge over several layers gets a dummy, a place
for its line, in each of them; the order within layers is sorted for few crossings; then each layer
is moved as near to its neighbours as boxes without overlap can be. Nothing is drawn at random and
nothing recurses: the same graph gives the same picture, whatever its depth.

Inside, layers stand side by side along one axis ("along") and their nodes one below the other on
the other one ("across"); the direction is applied last.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from math import isfinite

SWEEPS = 40  # over all layers, while the crossings become fewer
PATIENCE = 8  # sweeps that may gain nothing
MAX_SWAPPED = 3_000  # nodes and dummies whose neighbours are also tried the other way round
STRAIGHT = 8.0  # how much more a long edge's middle counts than an end
STEEP = 0.15  # of the largest step across that a gap between layers is wide at least
WIDEST = 4.0  # gaps

Point = tuple[float, float]


@dataclass(frozen=True)
class Layout:
    """A picture of width x height; y grows downwards.

    positions: the centre of each node. routes: for each edge the points that its line passes, from
    the border of the first node to that of the second; curve() makes it a path of SVG.
    """

    positions: list[Point]
    routes: list[list[Point]]
    width: float
    height: float
    direction: str = "LR"


@dataclass
class _Graph:
    """Nodes, then dummies, by number: each has a layer, neighbours, a place in its layer."""

    layer: list[int]
    size: list[float]  # across
    real: int  # nodes; what follows is dummies
    before: list[list[int]]
    after: list[list[int]]
    layers: list[list[int]] = field(default_factory=list)
    place: list[int] = field(default_factory=list)

    def set_layer(self, k: int, order: list[int]) -> None:
        self.layers[k] = order
        for place, node in enumerate(order):
            self.place[node] = place


def layout(
    sizes: Sequence[tuple[float, float]],
    edges: Sequence[tuple[int, int]],
    *,
    direction: str = "LR",
    gap: tuple[float, float] = (36.0, 14.0),
) -> Layout:
    """The Layout of a graph.

    sizes: (width, height) of each node's box. edges: (from, to), numbers of nodes. A cycle is drawn
    with an edge that goes back. direction: "LR" draws edges from left to right, "TB" from top to
    bottom. gap: the least room between layers, and between the boxes of a layer.

    Raises ValueError for an edge between a node and itself or with a number that is no node's, for
    sizes and gaps that are below 0 or not finite, and for another direction.
    """
    _check(sizes, edges, direction, gap)
    lengthwise = 0 if direction == "LR" else 1
    across = [size[1 - lengthwise] for size in sizes]
    forward = _without_cycles(len(sizes), edges)
    graph, chains = _layered(across, forward)
    _order(graph)
    middle = _coordinates(graph, chains, gap[1])
    starts, ends = _extents(graph, [size[lengthwise] for size in sizes], middle, gap[0])
    positions = [
        ((starts[graph.layer[v]] + ends[graph.layer[v]]) / 2, middle[v]) for v in range(graph.real)
    ]
    routes = []
    for (a, b), (first, last) in zip(edges, forward, strict=True):
        passed = chains[first][: graph.layer[last] - graph.layer[first] - 1]
        route = [(positions[first][0] + sizes[first][lengthwise] / 2, middle[first])]
        route.append((ends[graph.layer[first]], middle[first]))
        for v in passed:
            route += [(starts[graph.layer[v]], middle[v]), (ends[graph.layer[v]], middle[v])]
        route.append((starts[graph.layer[last]], middle[last]))
        route.append((positions[last][0] - sizes[last][lengthwise] / 2, middle[last]))
        routes.append(_shortened(route if (a, b) == (first, last) else route[::-1]))
    length = ends[-1] if ends else 0.0
    breadth = max((m + s / 2 for m, s in zip(middle, graph.size, strict=True)), default=0.0)
    if direction == "LR":
        return Layout(positions, routes, length, breadth)
    turned = [[(y, x) for x, y in route] for route in routes]
    return Layout([(y, x) for x, y in positions], turned, breadth, length, "TB")


def curve(route: Sequence[Point], direction: str = "LR") -> str:
    """A route as the `d` of an SVG path: straight within a layer, a curve from one to the next."""
    (x, y), *rest = route
    parts = [f"M{x:.1f},{y:.1f}"]
    for to_x, to_y in rest:
        if direction == "LR":
            bend = (x + to_x) / 2
            controls, step = f"{bend:.1f},{y:.1f} {bend:.1f},{to_y:.1f}", abs(y - to_y)
        else:
            bend = (y + to_y) / 2
            controls, step = f"{x:.1f},{bend:.1f} {to_x:.1f},{bend:.1f}", abs(x - to_x)
        end = f"{to_x:.1f},{to_y:.1f}"
        parts.append(f"L{end}" if step < 0.05 else f"C{controls} {end}")
        x, y = to_x, to_y
    return " ".join(parts)


def _check(
    sizes: Sequence[tuple[float, float]],
    edges: Sequence[tuple[int, int]],
    direction: str,
    gap: tuple[float, float],
) -> None:
    if direction not in ("LR", "TB"):
        raise ValueError(f"direction must be one of ('LR', 'TB'), not {direction!r}")
    for name, pair in [("gap", gap), *((f"sizes[{k}]", size) for k, size in enumerate(sizes))]:
        if len(pair) != 2 or not all(isfinite(x) and x >= 0.0 for x in pair):
            raise ValueError(f"{name} must be two finite numbers of at least 0, not {pair!r}")
    for k, (a, b) in enumerate(edges):
        if not (0 <= a < len(sizes) and 0 <= b < len(sizes)) or a == b:
            raise ValueError(
                f"edges[{k}] must join two different nodes of 0 to {len(sizes) - 1}, not {(a, b)!r}"
            )


# ---- layers ----


def _without_cycles(n: int, edges: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """The edges, those turned round that would close a cycle."""
    after: list[list[int]] = [[] for _ in range(n)]
    waiting = [0] * n
    for a, b in edges:
        after[a].append(b)
        waiting[b] += 1
    rank = [-1] * n
    ready = [v for v in range(n - 1, -1, -1) if not waiting[v]]
    following = 0
    for k in range(n):
        if not ready:  # all that is left is in cycles or behind them: the first goes first
            while rank[following] >= 0:
                following += 1
            ready.append(following)
        v = ready.pop()
        rank[v] = k
        for w in after[v]:
            waiting[w] -= 1
            if not waiting[w] and rank[w] < 0:
                ready.append(w)
    return [(a, b) if rank[a] < rank[b] else (b, a) for a, b in edges]


def _layered(across: list[float], edges: list[tuple[int, int]]) -> tuple[_Graph, list[list[int]]]:
    """The graph with its dummies, and for each node the dummies of its outgoing edges by layer.

    A node stands as near as it can to what is made of it: constants and parameters stand where they
    are used. All long edges of a node share their dummies, as one line that branches.
    """
    n = len(across)
    after: list[list[int]] = [[] for _ in range(n)]
    missing = [0] * n
    for a, b in dict.fromkeys(edges):
        after[a].append(b)
        missing[a] += 1
    before: list[list[int]] = [[] for _ in range(n)]
    for a in range(n):
        for b in after[a]:
            before[b].append(a)
    height = [0] * n
    ready = [v for v in range(n) if not missing[v]]
    for v in ready:  # grows meanwhile
        for a in before[v]:
            height[a] = max(height[a], height[v] + 1)
            missing[a] -= 1
            if not missing[a]:
                ready.append(a)
    last = max(height, default=0)
    graph = _Graph([last - h for h in height], list(across), n, [[] for _ in range(n)], [])
    graph.after = [[] for _ in range(n)]
    chains: list[list[int]] = [[] for _ in range(n)]
    for b in range(n):
        for a in before[b]:
            start, chain = a, chains[a]
            for k in range(graph.layer[b] - graph.layer[a] - 1):
                if k == len(chain):
                    chain.append(_add_dummy(graph, start, graph.layer[a] + k + 1))
                start = chain[k]
            graph.after[start].append(b)
            graph.before[b].append(start)
    return graph, chains


def _add_dummy(graph: _Graph, start: int, layer: int) -> int:
    dummy = len(graph.layer)
    graph.layer.append(layer)
    graph.size.append(0.0)
    graph.before.append([start])
    graph.after.append([])
    graph.after[start].append(dummy)
    return dummy


# ---- order within the layers ----


def _order(graph: _Graph) -> None:
    """Puts the layers into the order with the fewest crossings that sorting finds."""
    graph.layers = [[] for _ in range(max(graph.layer, default=-1) + 1)]
    graph.place = [0] * len(graph.layer)
    seen = [False] * len(graph.layer)
    # Depth first from the results: a tree has no crossing from the start.
    for root in (v for v in range(len(graph.layer)) if not graph.after[v]):
        todo = [root]
        while todo:
            v = todo.pop()
            if not seen[v]:
                seen[v] = True
                graph.place[v] = len(graph.layers[graph.layer[v]])
                graph.layers[graph.layer[v]].append(v)
                todo += reversed(graph.before[v])
    best, kept, idle = _crossings(graph), [list(layer) for layer in graph.layers], 0
    for sweep in range(SWEEPS):
        if not best or idle == PATIENCE:
            break
        count = len(graph.layers)
        for k in range(1, count) if sweep % 2 == 0 else range(count - 2, -1, -1):
            # Ties are turned round in every other pair of sweeps: what stands in the way of what is
            # equally near may be the only thing that does.
            _sort_layer(graph, k, graph.before if sweep % 2 == 0 else graph.after, sweep % 4 >= 2)
        if len(graph.layer) <= MAX_SWAPPED:
            _swap_neighbours(graph)
        found = _crossings(graph)
        idle = idle + 1 if found >= best else 0
        if found < best:
            best, kept = found, [list(layer) for layer in graph.layers]
    for k, layer in enumerate(kept):
        graph.set_layer(k, layer)


def _sort_layer(graph: _Graph, k: int, sides: list[list[int]], turned: bool) -> None:
    """Sorts a layer by the mean place of the neighbours on one side; what has none stays.
    turned: those with the same mean change their order."""
    place, old = graph.place, graph.layers[k]
    means = {v: sum(place[w] for w in sides[v]) / len(sides[v]) for v in old if sides[v]}
    ordered = iter(sorted(reversed(means) if turned else means, key=means.__getitem__))
    graph.set_layer(k, [next(ordered) if v in means else v for v in old])


def _crossings(graph: _Graph) -> int:
    place, total = graph.place, 0
    for layer in graph.layers:
        passed: list[int] = []
        for v in layer:
            for w in sorted(place[w] for w in graph.after[v]):
                at = bisect_right(passed, w)
                total += len(passed) - at
                passed.insert(at, w)
    return total


def _swap_neighbours(graph: _Graph) -> None:
    """Swaps neighbours in a layer wherever that alone saves crossings."""
    place = graph.place
    for layer in graph.layers:
        sides = [
            (sorted(place[w] for w in graph.before[v]), sorted(place[w] for w in graph.after[v]))
            for v in layer
        ]
        for k in range(len(layer) - 1):
            first, second = sides[k], sides[k + 1]
            now = _inverted(first[0], second[0]) + _inverted(first[1], second[1])
            if now and _inverted(second[0], first[0]) + _inverted(second[1], first[1]) < now:
                layer[k], layer[k + 1] = layer[k + 1], layer[k]
                sides[k], sides[k + 1] = second, first
        for at, v in enumerate(layer):
            place[v] = at


def _inverted(first: list[int], second: list[int]) -> int:
    """Pairs whose edges cross where `first` belongs to the upper of two nodes. Both sorted."""
    if not first or not second or first[-1] <= second[0]:
        return 0
    return sum(len(first) - bisect_right(first, w) for w in second)


# ---- coordinates ----


def _coordinates(graph: _Graph, chains: list[list[int]], gap: float) -> list[float]:
    """The middle of each node and dummy across, the first box's border at 0."""
    middle = [0.0] * len(graph.layer)
    for layer in graph.layers:
        at = 0.0
        for v, room in zip(layer, _rooms(graph, layer, gap), strict=True):
            at += room
            middle[v] = at
        for v in layer:
            middle[v] -= at / 2
    forward, backward = range(len(graph.layers)), range(len(graph.layers) - 1, -1, -1)
    both = graph.before, graph.after
    for layers, sides in (
        *((forward, both[:1]), (backward, both[1:])) * 3,
        *((forward, both), (backward, both)) * 4,
    ):
        for k in layers:
            _move_layer(graph, k, sides, middle, gap)
    for chain in chains:
        _straighten(graph, chain, middle, gap)
    top = min((m - s / 2 for m, s in zip(middle, graph.size, strict=True)), default=0.0)
    return [m - top for m in middle]


def _rooms(graph: _Graph, layer: list[int], gap: float) -> list[float]:
    """The least distance of each from the one above it, from middle to middle; 0 of the first."""
    return [0.0, *(_room(graph, a, b, gap) for a, b in pairwise(layer))][: len(layer)]


def _room(graph: _Graph, a: int, b: int, gap: float) -> float:
    lines = a >= graph.real and b >= graph.real
    return (graph.size[a] + graph.size[b]) / 2 + (gap / 2 if lines else gap)


def _straighten(graph: _Graph, chain: list[int], middle: list[float], gap: float) -> None:
    """Makes a long edge straight over as many layers as there is room for that, and then the next:
    at rest each of its dummies lies a little off the last."""
    start = 0
    while start < len(chain):
        low, high, end = float("-inf"), float("inf"), start
        while end < len(chain):
            least, most = _free(graph, chain[end], middle, gap)
            if max(low, least) > min(high, most):
                break
            low, high, end = max(low, least), min(high, most), end + 1
        if end - start > 1:
            mean = sum(middle[v] for v in chain[start:end]) / (end - start)
            for v in chain[start:end]:
                middle[v] = min(max(mean, low), high)
        start = max(end, start + 1)


def _free(graph: _Graph, v: int, middle: list[float], gap: float) -> tuple[float, float]:
    """Between which places a node can be moved without its neighbours."""
    layer, place = graph.layers[graph.layer[v]], graph.place[v]
    least, most = float("-inf"), float("inf")
    if place:
        above = layer[place - 1]
        least = middle[above] + _room(graph, above, v, gap)
    if place + 1 < len(layer):
        below = layer[place + 1]
        most = middle[below] - _room(graph, v, below, gap)
    return least, most


def _move_layer(
    graph: _Graph, k: int, sides: Sequence[list[list[int]]], middle: list[float], gap: float
) -> None:
    """Moves a layer's nodes to where the sum of their squared distances from the neighbours is
    least, in their order and without overlap: an isotonic regression, by pooling neighbours."""
    real, layer = graph.real, graph.layers[k]
    rooms = _rooms(graph, layer, gap)
    pools: list[tuple[float, float, int]] = []  # (weighted sum, weight, nodes)
    offset, offsets = 0.0, []
    for v, room in zip(layer, rooms, strict=True):
        offset += room
        offsets.append(offset)
        total = weight = 0.0
        for side in sides:
            for w in side[v]:
                strength = STRAIGHT if v >= real and w >= real else 1.0
                total += strength * middle[w]
                weight += strength
        if not weight:
            weight = 0.01
            total = weight * middle[v]
        pool = (total - weight * offset, weight, 1)
        while pools and pools[-1][0] * pool[1] >= pool[0] * pools[-1][1]:
            above = pools.pop()
            pool = (above[0] + pool[0], above[1] + pool[1], above[2] + pool[2])
        pools.append(pool)
    at = 0
    for total, weight, count in pools:
        for _ in range(count):
            middle[layer[at]] = total / weight + offsets[at]
            at += 1


def _extents(
    graph: _Graph, along: list[float], middle: list[float], gap: float
) -> tuple[list[float], list[float]]:
    """Where each layer starts and ends. Where lines go far across, the gap is wider."""
    starts: list[float] = []
    ends: list[float] = []
    at = 0.0
    for layer in graph.layers:
        starts.append(at)
        at += max((along[v] for v in layer if v < graph.real), default=0.0)
        ends.append(at)
        far = max((abs(middle[v] - middle[w]) for v in layer for w in graph.after[v]), default=0.0)
        at += min(max(gap, STEEP * far), WIDEST * gap)
    return starts, ends


def _shortened(route: list[Point]) -> list[Point]:
    """Without points that are the one before, or that lie on a line across layers."""
    kept: list[Point] = []
    for point in route:
        if kept and point == kept[-1]:
            continue
        if len(kept) > 1 and kept[-2][1] == kept[-1][1] == point[1]:
            kept.pop()
        kept.append(point)
    return kept if len(kept) > 1 else kept * 2
