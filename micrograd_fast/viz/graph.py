"""Graphs of Values in the look of micrograd's trace_graph notebook.

A node is a record of label, data and grad; an op is an oval in front of the node that it made. The
walk is iterative, so a graph of any depth can be measured, and drawn where it is small enough.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from micrograd_fast import _types as t
from micrograd_fast.engine import Value
from micrograd_fast.viz import dot as dot_language

MAX_NODES = 500  # Graphviz takes about a second for these
MAX_SHOWN = 100  # of pictures that a notebook shows unasked
MAX_COUNTED = 100_000  # a message says "more than" from there on


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
    root: Value, *, rankdir: str = "LR", max_nodes: int = MAX_NODES, depth: int | None = None
) -> str:
    """root's graph in Graphviz's language; nothing needs to be installed.

    rankdir: "LR" draws from left to right, "TB" from top to bottom. depth: draw only what is at
    most so many ops from root; "..." stands for the rest.

    Raises ValueError, with the size, where more than max_nodes would be drawn.
    """
    lines = _body(root, max_nodes, depth)
    return dot_language.document(lines, rankdir)


def draw_dot(
    root: Value,
    format: str = "svg",
    rankdir: str = "LR",
    *,
    max_nodes: int = MAX_NODES,
    depth: int | None = None,
) -> t.Digraph:
    """root's graph as a graphviz.Digraph: a notebook shows it, `.render("name")` writes a file.

    The options are those of to_dot(); format is any of Graphviz's: "svg", "png", "pdf", ...

    Raises ValueError, with the size, where more than max_nodes would be drawn, and ImportError
    where the package graphviz is missing.
    """
    return dot_language.digraph(_body(root, max_nodes, depth), format, rankdir)


def svg(root: Value) -> str | None:
    """What a notebook shows for root: a picture, or None, which makes it show the text.

    None for a leaf, for more than 100 nodes, and where Graphviz is not installed.
    """
    if not root._prev or len(_walk(root, MAX_SHOWN + 1, None).nodes) > MAX_SHOWN:
        return None
    return dot_language.rendered(to_dot(root))


def _body(root: Value, max_nodes: int, depth: int | None) -> list[str]:
    if not isinstance(root, Value):
        raise TypeError(
            f"root must be a Value, not {type(root).__name__!r}; "
            "draw_program(f.program(...)) draws a compiled function"
        )
    dot_language.check_count("max_nodes", max_nodes, 1)
    if depth is not None:
        dot_language.check_count("depth", depth, 0)
    part = _walk(root, max_nodes + 1, depth)
    if len(part.nodes) > max_nodes:
        raise ValueError(_too_large(root, part, max_nodes, depth))
    return list(_lines(part))


def _walk(root: Value, limit: int | None, depth: int | None) -> _Part:
    """The nodes by their distance from root, at most `limit` of them."""
    nodes, operands, cut = [root], {}, set()
    level, distance = [root], 0
    seen = {root}
    while level and (limit is None or len(nodes) < limit):
        following: list[Value] = []
        for node in level:
            # A set's order changes from run to run; pictures should not.
            children = sorted(node._prev, key=lambda v: (_label(v), v._op, v.data, v.grad))
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
    size = len(_walk(root, MAX_COUNTED + 1, depth).nodes)
    shown = f"{size:,}" if size <= MAX_COUNTED else f"more than {MAX_COUNTED:,}"
    what = "the graph has" if depth is None else f"to depth {depth} the graph has"
    return (
        f"{what} {shown} nodes, and max_nodes is {max_nodes:,}: draw what is near the root "
        f"with depth={part.depth}, draw from an inner node, or set max_nodes higher"
    )


def _lines(part: _Part) -> Iterator[str]:
    """The statements of the picture, numbered in the order of the walk."""
    number = {node: k for k, node in enumerate(part.nodes)}
    for node, k in number.items():
        fields = [f"data {_shown(node.data)}", f"grad {_shown(node.grad)}"]
        if _label(node):
            fields.insert(0, dot_language.in_record(_label(node)))
        yield dot_language.node(f"n{k}", "{ " + " | ".join(fields) + " }", shape="record")
        if not node._op:
            continue
        yield dot_language.node(f"op{k}", dot_language.plain(node._op))
        yield f"op{k} -> n{k}"
        if node in part.cut:
            yield dot_language.node(f"cut{k}", "...", shape="plaintext")
            yield f"cut{k} -> op{k} [style=dashed]"
    for node, operands in part.operands.items():
        for x in operands:
            yield f"n{number[x]} -> {'op' if node._op else 'n'}{number[node]}"


def _label(node: Value) -> str:
    """Labels are anything that a program hangs on a node; None is none."""
    return "" if node.label is None else str(node.label)


def _shown(number: float) -> str:
    """Four decimals, as micrograd's notebook; an exponent where these would say nothing."""
    if number == 0.0 or 1e-4 <= abs(number) < 1e6 or number != number:
        return f"{number:.4f}"
    return f"{number:.3e}"
