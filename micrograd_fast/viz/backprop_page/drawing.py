"""Each part of the graph that the page can show, laid out: boxes, lines between them, who is in
which box."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from typing import Any

from micrograd_fast import spelling
from micrograd_fast.viz.backprop_page.folds import Fold, users_of
from micrograd_fast.viz.backprop_page.recording import Node, Recording
from micrograd_fast.viz.backprop_page.texts import printable, shown
from micrograd_fast.viz.layout import curve, layout

__all__ = ["op_of", "views"]

LETTER = 7.3  # pixels, of the page's monospaced font
LINE = 17.0
GAP = (64.0, 16.0)  # between layers there is room for a derivative on its line
MARGIN = 14.0
LONGEST_NAME = 22  # letters of a name in a box, as in page.js; the whole is beside the graph
LONGEST_TITLE = 30  # of a fold
MOST_OUTSIDE = 8  # nodes next to a fold that are drawn one by one, on either side


def op_of(node: Node) -> str:
    """What stands in a node's box for its op; '' for a leaf."""
    if node.is_leaf:
        return ""
    if node.kind in ("custom", "call"):
        return printable(node.called or node.value._op) or node.kind
    return node.value._op if node.kind == "pow" else spelling.symbol(node.kind)


def views(recording: Recording, whole: Fold) -> list[dict[str, Any]]:
    """The whole graph first, then each fold in it: title, the view that it is opened from, items,
    boxes (left, top, width, height), lines."""
    uses = users_of([node.operands for node in recording.nodes])
    found: list[dict[str, Any]] = []
    todo: list[tuple[Fold, int | None, dict[str, Any] | None]] = [(whole, None, None)]
    while todo:
        fold, parent, shown_as = todo.pop(0)
        if shown_as is not None:
            shown_as["view"] = len(found)
        here = len(found)
        items = [_item(recording, item) for item in fold.items]
        todo += [(f, here, i) for f, i in zip(fold.items, items, strict=True) if not f.is_node]
        items += _outside(recording, fold, uses)
        found.append({"title": fold.title, "parent": parent, **_laid_out(recording, items)})
    return found


def _item(recording: Recording, fold: Fold) -> dict[str, Any]:
    if fold.is_node:
        return {"nodes": fold.nodes}
    item: dict[str, Any] = {"nodes": fold.nodes, "title": fold.title}
    if fold.head is not None:
        item["head"] = fold.head
    return item


def _outside(recording: Recording, fold: Fold, uses: list[list[int]]) -> list[dict[str, Any]]:
    """What a fold's nodes use, and what uses them, beyond the fold."""
    inside = set(fold.nodes)
    used = dict.fromkeys(x for k in fold.nodes for x in recording.nodes[k].operands)
    users = sorted({user for k in fold.nodes for user in uses[k]} - inside)
    found: list[dict[str, Any]] = []
    for title, nodes in (
        ("comes from", [x for x in used if x not in inside]),
        ("goes on to", users),
    ):
        if len(nodes) <= MOST_OUTSIDE:
            found += [{"nodes": [k], "outside": True} for k in nodes]
        else:
            found.append({"nodes": nodes, "outside": True, "title": title})
    return found


def _laid_out(recording: Recording, items: Sequence[dict[str, Any]]) -> dict[str, Any]:
    place: dict[int, list[int]] = {}
    for n, item in enumerate(items):
        for k in item["nodes"]:
            place.setdefault(k, []).append(n)
    edges = {
        (a, b): None
        for b, item in enumerate(items)
        for k in item["nodes"]
        for x in recording.nodes[k].operands
        for a in place.get(x, ())
        if a != b and not ("outside" in item and "outside" in items[a])
    }
    sizes = [_size(recording, item) for item in items]
    picture = layout(sizes, list(edges), gap=GAP)
    lines = zip(edges, picture.routes, strict=True)
    return {
        "items": items,
        "size": [picture.width + 2 * MARGIN, picture.height + 2 * MARGIN],
        "boxes": [
            [x - w / 2 + MARGIN, y - h / 2 + MARGIN, w, h]
            for (x, y), (w, h) in zip(picture.positions, sizes, strict=True)
        ],
        "lines": [
            _line(a, b, [(x + MARGIN, y + MARGIN) for x, y in route]) for (a, b), route in lines
        ],
    }


def _line(a: int, b: int, route: list[tuple[float, float]]) -> dict[str, Any]:
    """d: its path; tip: where it ends; at: where there is room for a derivative on it."""
    pieces = list(pairwise(route))
    between_layers = [piece for piece in pieces if piece[1][0] - piece[0][0] >= 0.9 * GAP[0]]
    (x, y), (u, v) = (between_layers or pieces)[0]
    at = [round((x + u) / 2, 1), round((y + v) / 2, 1)]
    tip = [round(z, 1) for z in route[-1]]
    return {"from": a, "to": b, "d": curve(route), "tip": tip, "at": at}


def _size(recording: Recording, item: dict[str, Any]) -> tuple[float, float]:
    if "title" in item:
        texts = [_cut(item["title"], LONGEST_TITLE), f"{len(item['nodes'])} nodes ..."]
        return max(map(len, texts)) * LETTER + 26.0, 2 * LINE + 14.0
    node = recording.nodes[item["nodes"][0]]
    grads = [node.grad, recording.before[item["nodes"][0]]]
    texts = [f"{_cut(node.name)}  {op_of(node)}", f"data {shown(node.data)}"]
    texts += [f"grad {shown(g)}" for g in grads]
    return max(map(len, texts)) * LETTER + 20.0, 3 * LINE + 11.0


def _cut(text: str, most: int = LONGEST_NAME) -> str:
    return text if len(text) <= most else text[: most - 1] + "\u2026"
