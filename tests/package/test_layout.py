"""The layout of graphs: boxes that do not overlap, lines that keep clear of them, at any depth."""

import random
import re
from itertools import pairwise

import pytest

from micrograd_fast.viz.layout import curve, layout


def random_graph(seed):
    """Boxes of several sizes and edges from lower to higher numbers, some of them twice."""
    draw = random.Random(seed)
    n = draw.randrange(1, 60)
    sizes = [(draw.choice((10.0, 60.0, 90.5)), draw.choice((10.0, 24.0, 70.0))) for _ in range(n)]
    edges = []
    for b in range(1, n):
        near = draw.random() < 0.7
        for _ in range(draw.choice((0, 1, 2, 2, 5))):
            edges.append((draw.randrange(max(0, b - 6) if near else 0, b), b))
    names = draw.sample(range(n), n)  # the numbers say nothing of the order
    return [sizes[names.index(k)] for k in range(n)], [(names[a], names[b]) for a, b in edges]


def boxes(sizes, placed):
    for (w, h), (x, y) in zip(sizes, placed.positions, strict=True):
        yield x - w / 2, y - h / 2, x + w / 2, y + h / 2


@pytest.mark.parametrize("direction", ["LR", "TB"])
@pytest.mark.parametrize("seed", range(40))
def test_boxes_do_not_overlap_and_lie_in_the_picture(seed, direction):
    sizes, edges = random_graph(seed)
    placed = layout(sizes, edges, direction=direction, gap=(30.0, 8.0))
    found = list(boxes(sizes, placed))
    slack = 1e-6
    for k, (left, top, right, bottom) in enumerate(found):
        assert -slack <= left and right <= placed.width + slack
        assert -slack <= top and bottom <= placed.height + slack
        for a, b, c, d in found[:k]:
            apart = max(left - c, a - right, top - d, b - bottom)
            assert apart >= 8.0 - slack


@pytest.mark.parametrize("seed", range(40))
def test_edges_go_forward_from_border_to_border_and_through_no_box(seed):
    sizes, edges = random_graph(seed)
    placed = layout(sizes, edges)
    found = list(boxes(sizes, placed))
    for (a, b), route in zip(edges, placed.routes, strict=True):
        assert route[0] == pytest.approx((found[a][2], placed.positions[a][1]))
        assert route[-1] == pytest.approx((found[b][0], placed.positions[b][1]))
        for (x, y), (to_x, to_y) in pairwise(route):
            assert x <= to_x + 1e-6
            low, high = min(y, to_y), max(y, to_y)
            for left, top, right, bottom in found:
                beside = to_x <= left + 1e-6 or right - 1e-6 <= x
                assert beside or high <= top + 1e-6 or bottom - 1e-6 <= low


def test_the_same_graph_gives_the_same_picture():
    sizes, edges = random_graph(3)
    assert layout(sizes, edges) == layout(list(sizes), list(edges))


def test_a_tree_is_drawn_without_a_crossing():
    # Leaves in a shuffled order below 31 inner nodes.
    order = random.Random(1).sample(range(63), 63)
    edges = [(order[k], order[(k - 1) // 2]) for k in range(1, 63)]
    random.Random(2).shuffle(edges)
    placed = layout([(20.0, 10.0)] * 63, edges)
    ends = [(placed.positions[a], placed.positions[b]) for a, b in edges]
    for (a, b), (c, d) in ((p, q) for p in ends for q in ends if p[0][0] == q[0][0]):
        assert (a[1] - c[1]) * (b[1] - d[1]) >= 0


def test_crossings_that_sorting_takes_away_are_taken_away():
    # Two rows of five whose edges join each to the mirror image of its place.
    edges = [(k, 9 - k) for k in range(5)]
    placed = layout([(20.0, 10.0)] * 10, edges)
    assert all(placed.positions[a][1] == placed.positions[b][1] for a, b in edges)


def planar_graph(seed):
    """Three rows of eight that can be drawn without a crossing, under shuffled names."""
    draw, n = random.Random(seed), 8
    names, edges = draw.sample(range(3 * n), 3 * n), []
    for row in range(2):
        a = b = 0
        edges.append((row * n, (row + 1) * n))
        while a < n - 1 or b < n - 1:
            on_left = b == n - 1 or (a < n - 1 and draw.random() < 0.5)
            a, b = (a + 1, b) if on_left else (a, b + 1)
            edges.append((row * n + a, (row + 1) * n + b))
    draw.shuffle(edges)
    return [(names[a], names[b]) for a, b in edges]


def crossings(edges):
    placed = layout([(20.0, 10.0)] * 24, edges)
    ends = [(placed.positions[a], placed.positions[b]) for a, b in edges]
    return sum(
        (a[1] - c[1]) * (b[1] - d[1]) < 0
        for k, (a, b) in enumerate(ends)
        for c, d in ends[:k]
        if a[0] == c[0]
    )


def test_most_crossings_of_the_first_order_are_taken_away(monkeypatch):
    graphs = [planar_graph(seed) for seed in range(30)]
    left = sum(map(crossings, graphs))
    monkeypatch.setattr("micrograd_fast.viz.layout.SWEEPS", 0)
    assert 0 < left < 0.12 * sum(map(crossings, graphs))


def test_a_chain_is_a_straight_line_whatever_its_length():
    n = 5_000
    placed = layout([(20.0, 10.0)] * n, [(k, k + 1) for k in range(n - 1)], gap=(30.0, 8.0))
    assert placed.height == 10.0
    assert placed.width == n * 20.0 + (n - 1) * 30.0
    assert placed.positions[1] == (60.0, 5.0)


def test_a_long_edge_is_straight_where_there_is_room():
    # Two ways from node 0 to node 12; the short one, by 9 and 11, begins with a long edge.
    edges = [(0, 2), (1, 2), (2, 4), (3, 4), (4, 5), (5, 7), (6, 7), (7, 8), (8, 12)]
    edges += [(0, 9), (9, 11), (10, 11), (11, 12)]
    placed = layout([(100.0, 58.0)] * 13, edges)
    passed = [y for _, y in placed.routes[edges.index((0, 9))][1:-1]]
    assert len(passed) > 1 and len(set(passed)) == 1


def test_what_is_used_late_stands_where_it_is_used():
    placed = layout([(10.0, 10.0)] * 5, [(0, 1), (1, 2), (2, 3), (4, 3)])
    assert placed.positions[4][0] == placed.positions[2][0]


def test_a_cycle_has_an_edge_that_goes_back():
    placed = layout([(10.0, 10.0)] * 3, [(0, 1), (1, 2), (2, 0)])
    xs = [x for x, _ in placed.positions]
    assert xs == sorted(xs)
    (start, _), (end, _) = placed.routes[2][0], placed.routes[2][-1]
    assert (start, end) == (xs[2] - 5.0, xs[0] + 5.0)


def test_nothing_and_one_node_have_a_layout():
    assert layout([], []).width == 0.0
    alone = layout([(30.0, 20.0)], [])
    assert (alone.positions, alone.width, alone.height) == ([(15.0, 10.0)], 30.0, 20.0)


def test_a_curve_is_straight_within_a_layer_and_bends_between_two():
    assert curve([(0.0, 5.0), (10.0, 5.0)]) == "M0.0,5.0 L10.0,5.0"
    assert curve([(0.0, 5.0), (10.0, 9.0)]) == "M0.0,5.0 C5.0,5.0 5.0,9.0 10.0,9.0"
    assert curve([(5.0, 0.0), (9.0, 10.0)], "TB") == "M5.0,0.0 C5.0,5.0 9.0,5.0 9.0,10.0"


@pytest.mark.parametrize(
    ("arguments", "options", "text"),
    [
        (([(1.0, 1.0)], [(0, 1)]), {}, "edges[0] must join two different nodes of 0 to 0"),
        (([(1.0, 1.0)] * 2, [(0, 1), (1, 1)]), {}, "edges[1] must join two different nodes"),
        (([(1.0, -1.0)], []), {}, "sizes[0] must be two finite numbers"),
        (([(1.0, float("nan"))], []), {}, "sizes[0] must be two finite numbers"),
        (([], []), {"direction": "RL"}, "direction must be one of ('LR', 'TB'), not 'RL'"),
        (([], []), {"gap": (1.0, float("inf"))}, "gap must be two finite numbers"),
    ],
)
def test_bad_arguments_are_named(arguments, options, text):
    with pytest.raises(ValueError, match=re.escape(text)):
        layout(*arguments, **options)
