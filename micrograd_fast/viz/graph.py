"""Graphs of Values in the look of micrograd's trace_graph notebook.

A node is a record of label, data and grad; an op is an oval in front of the node that it made. The
walk is iterative, so a graph of any depth can be measured, and drawn where it is small enough.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

from micrograd_fast import _types as t
from micrograd_fast.engine import Value
from micrograd_fast.nn import Module
from micrograd_fast.viz import dot as dot_language
from micrograd_fast.viz import fold as folding
from micrograd_fast.viz.drawing import Drawing, drawing
from micrograd_fast.viz.named import Names, own_label
from micrograd_fast.viz.picture import Box, Picture, check_count

MAX_NODES = 500  # Graphviz takes about a second for these
MAX_SHOWN = 100  # of pictures that a notebook shows unasked
MAX_COUNTED = 100_000  # a message says "more than" from there on
MAX_FOLDED = 1_000_000  # about 15 seconds


@dataclass
class _Part:
    """What is drawn of a graph: nodes, root first, operands after what is made of them."""

    nodes: list[Value]
    operands: dict[Value, list[Value]]
    cut: set[Value]  # drawn without their operands
    depth: int  # the distance from root to which the walk is complete


def trace(root: Value) -> tuple[set[Value], set[tuple[Value, Value]]]:
    """All nodes of root's graph, and its edges (operand, result): as micrograd's notebook does."""
    part = _walk(root, None, None)
    edges = {(x, node) for node, operands in part.operands.items() for x in operands}
    return set(part.nodes), edges


def to_dot(
    root: Value,
    *,
    rankdir: str = "LR",
    max_nodes: int = MAX_NODES,
    depth: int | None = None,
    names: Module | Mapping[str, Any] | None = None,
    fold: bool = False,
    colours: bool = True,
) -> str:
    """root's graph in Graphviz's language; nothing needs to be installed.

    rankdir: "LR" draws from left to right, "TB" from top to bottom. depth: draw only what is at
    most so many ops from root; "..." stands for the rest. names: a Module, whose parameters are
    called as in named_parameters(), or a dict of Values, or lists of them, by name. fold: draw
    equal expressions as one box, so that a network is a box a layer. colours: blue for gradients
    above 0, orange below, the stronger the larger.

    Raises ValueError, with the size, where more than max_nodes would be drawn.
    """
    return dot_language.document(_picture(root, rankdir, max_nodes, depth, names, fold, colours))


def draw_dot(
    root: Value,
    format: str = "svg",
    rankdir: str = "LR",
    *,
    max_nodes: int = MAX_NODES,
    depth: int | None = None,
    names: Module | Mapping[str, Any] | None = None,
    fold: bool = False,
    colours: bool = True,
    graphviz: bool | None = None,
) -> t.Digraph | Drawing:
    """root's graph as a picture that a notebook shows; `.render("name")` writes a file.

    graphviz: True draws with Graphviz, a graphviz.Digraph; False without it, a Drawing, which is
    SVG; None uses Graphviz where the program and the package are installed. The other options are
    those of to_dot(); format is any of Graphviz's: "svg", "png", "pdf", ...

    Raises ValueError, with the size, where more than max_nodes would be drawn, and ImportError
    where the package graphviz is missing and another format than "svg" is wanted.
    """
    picture = _picture(root, rankdir, max_nodes, depth, names, fold, colours)
    return drawing(picture, format, graphviz)


def svg(root: Value) -> str | None:
    """What a notebook shows for root: a picture, or None, which makes it show the text.

    None for a leaf and for more than 100 nodes.
    """
    if not root._prev or len(_walk(root, MAX_SHOWN + 1, None).nodes) > MAX_SHOWN:
        return None
    picture = _picture(root, "LR", MAX_SHOWN, None, None, False, True)
    return dot_language.rendered(dot_language.document(picture)) or Drawing(picture).svg


def _picture(
    root: Value,
    rankdir: str,
    max_nodes: int,
    depth: int | None,
    names: Module | Mapping[str, Any] | None,
    fold: bool,
    colours: bool,
) -> Picture:
    if not isinstance(root, Value):
        raise TypeError(
            f"root must be a Value, not {type(root).__name__!r}; "
            "draw_program(f.program(...)) draws a compiled function"
        )
    check_count("max_nodes", max_nodes, 1)
    known = Names(names)
    if fold:
        if depth is not None:
            raise ValueError("depth and fold=True exclude each other: a fold has no single depth")
        return _folded_picture(root, rankdir, max_nodes, known, colours)
    if depth is not None:
        check_count("depth", depth, 0)
    part = _walk(root, max_nodes + 1, depth)
    if len(part.nodes) > max_nodes:
        raise ValueError(_too_large(root, part, max_nodes, depth))
    return _whole_picture(part, rankdir, known, colours)


def _walk(root: Value, limit: int | None, depth: int | None) -> _Part:
    """The nodes by their distance from root, at most `limit` of them."""
    nodes, operands, cut = [root], {}, set()
    level, distance = [root], 0
    seen = {root}
    while level and (limit is None or len(nodes) < limit):
        following: list[Value] = []
        for node in level:
            # A set's order changes from run to run; pictures should not.
            children = sorted(node._prev, key=lambda v: (own_label(v), v._op, v.data, v.grad))
            if depth is not None and distance >= depth:
                if children:
                    cut.add(node)
                children = []
            operands[node] = children
            for child in children:
                if child not in seen:
                    seen.add(child)
                    following.append(child)
            if limit is not None and len(nodes) + len(following) >= limit:
                break
        nodes += following
        level, distance = following, distance + 1
    return _Part(nodes, operands, cut, distance - 1)


def _too_large(root: Value, part: _Part, max_nodes: int, depth: int | None) -> str:
    count = len(_walk(root, MAX_COUNTED + 1, depth).nodes)
    size = f"{count:,}" if count <= MAX_COUNTED else f"more than {MAX_COUNTED:,}"
    what = "the graph has" if depth is None else f"to depth {depth} the graph has"
    return (
        f"{what} {size} nodes, and max_nodes is {max_nodes:,}: draw equal parts as one box with "
        f"fold=True, draw what is near the root with depth={part.depth}, draw from an inner node, "
        "or set max_nodes higher"
    )


def _whole_picture(part: _Part, rankdir: str, names: Names, colours: bool) -> Picture:
    """A box a node, numbered in the order of the walk."""
    number = {node: k for k, node in enumerate(part.nodes)}
    tints = _tints([node.grad for node in part.nodes], colours)
    boxes = [
        Box(
            f"n{k}",
            names.of(node),
            (("data", shown(node.data)), ("grad", shown(node.grad))),
            node._op,
            node in part.cut,
            tints[k],
            tip=f"data {node.data!r}\ngrad {node.grad!r}",
        )
        for node, k in number.items()
    ]
    edges = [(number[x], number[n]) for n, operands in part.operands.items() for x in operands]
    root = part.nodes[0]
    what = f"{names.of(root)} = {shown(root.data)}" if names.of(root) else shown(root.data)
    ops = Counter(node._op for node in part.nodes if node._op)
    words = f"{len(boxes):,} values"
    words += f", made by {folding.ops_text(ops)}" if ops else ""
    return Picture(boxes, edges, f"The graph of {what}", f"{words}.", rankdir)


def _folded_picture(
    root: Value, rankdir: str, max_nodes: int, names: Names, colours: bool
) -> Picture:
    operands = folding.in_order(root, MAX_FOLDED)
    if operands is None:
        raise ValueError(
            f"the graph has more than {MAX_FOLDED:,} nodes, too many to fold: "
            "draw what is near the root with depth=, or from an inner node"
        )
    folds = folding.folded(root, operands, names)
    if len(folds) > max_nodes:
        raise ValueError(
            f"folded, the graph has {len(folds):,} boxes, and max_nodes is {max_nodes:,}: "
            "draw what is near the root with depth=, or set max_nodes higher"
        )
    strongest = [max((v.grad for v in f.members), key=abs) for f in folds]
    tints = _tints(strongest, colours)
    boxes = []
    for k, f in enumerate(folds):
        rows = (
            []
            if f.is_leaf
            else [("each" if len(f.members) > 1 else "ops", folding.ops_text(f.ops))]
        )
        rows.append(("data", folding.span((v.data for v in f.members), shown)))
        rows.append(("grad", folding.span((v.grad for v in f.members), shown)))
        title = folding.heading(f, names)
        tip = f"{f.nodes:,} nodes of the graph"
        boxes.append(Box(f"n{k}", title, tuple(rows), "", False, tints[k], "fold", tip=tip))
    edges = [(x, k) for k, f in enumerate(folds) for x in sorted(f.operands)]
    words = f"{len(operands):,} nodes in {len(boxes):,} boxes: what is equal is drawn once."
    return Picture(boxes, edges, f"The graph of {shown(root.data)}, folded", words, rankdir)


def _tints(grads: list[float], colours: bool) -> list[float]:
    """By sign and size beside the largest; the root's 1 is often a hundred times the others."""
    largest = max((abs(g) for g in grads if isfinite(g)), default=0.0)
    if not colours or not largest:
        return [0.0] * len(grads)
    tints = []
    for g in grads:
        strength = min(abs(g) / largest, 1.0) ** 0.5 if g == g else 0.0
        tints.append(0.0 if not strength else max(strength, 0.12) * (1.0 if g > 0.0 else -1.0))
    return tints


def shown(number: float) -> str:
    """Four decimals, as micrograd's notebook; an exponent where these would say nothing."""
    if number == 0.0 or 1e-4 <= abs(number) < 1e6 or number != number:
        return f"{number:.4f}"
    return f"{number:.3e}"
