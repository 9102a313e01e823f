"""Large graphs folded: into layers where parameters have names, into expressions elsewhere.

A part of the graph is shown as items: nodes, and folds that hold further items. Folding never makes
a ring. An expression is a node with all that is used under it alone; a bundle holds items that are
equally far from the leaves, so that none of them uses another; a stretch those between two such
distances.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import groupby
from typing import TypeVar

from micrograd_fast.viz.backprop_page.texts import short_path

__all__ = ["Fold", "Graph", "folded", "tags_of", "users_of"]

K = TypeVar("K")


@dataclass
class Graph:
    """By node, operands before users: operands, names, kinds of op, and the tag, (layer, neuron) or
    other part of the model that it belongs to, or None."""

    operands: Sequence[Sequence[int]]
    names: Sequence[str]
    kinds: Sequence[str]
    tags: Sequence[tuple[str, str] | None]


@dataclass
class Fold:
    """An item: one node, or several under a title. items: what it shows when it is opened."""

    nodes: list[int]
    title: str = ""
    head: int | None = None  # the node of an expression that the others are under
    tag: tuple[str, str] | None = None
    items: list[Fold] = field(default_factory=list)

    @property
    def is_node(self) -> bool:
        return len(self.nodes) == 1


def folded(graph: Graph, most: int) -> Fold:
    """The graph as one fold, whose items are at most `most`, as are those of every fold in it."""
    single = [Fold([k], head=k, tag=graph.tags[k]) for k in range(len(graph.operands))]
    whole = Fold([k for item in single for k in item.nodes])
    if len(single) > most and any(graph.tags):
        single = _with_room(graph, _layers(graph, _neurons(graph, single)), most)
    _fill(graph, whole, single, most)
    return whole


def _fill(graph: Graph, fold: Fold, items: list[Fold], most: int) -> None:
    """Gives a fold its items: as they are where they are few enough, folded further elsewhere."""
    fold.items = items if len(items) <= most else _fewer(graph, items, most)
    for item in fold.items:
        if not item.is_node:
            _fill(graph, item, _opened(item), most)


def _opened(item: Fold) -> list[Fold]:
    return item.items or [Fold([k], head=k, tag=item.tag) for k in item.nodes]


# ---- layers ----


def _neurons(graph: Graph, items: list[Fold]) -> list[Fold]:
    """What is tagged alike and hangs together as one item, a number with the one that uses it."""
    users = users_of(graph.operands)
    owner = list(range(len(items)))  # by node: the node at the head of its item
    tags = list(graph.tags)
    for k in reversed(range(len(items))):
        if len(users[k]) == 1:
            (user,) = users[k]
            if graph.kinds[k] == "number" or (tags[k] and tags[user] == tags[k]):
                owner[k] = owner[user]
    parts: dict[int, list[int]] = {}
    for k, head in enumerate(owner):
        parts.setdefault(head, []).append(k)
    return [
        Fold(nodes, _title(graph, head) if len(nodes) > 1 else "", head, tags[head])
        for head, nodes in parts.items()
    ]


def _with_room(graph: Graph, items: list[Fold], most: int) -> list[Fold]:
    """What is in no layer is opened, small things first, as long as there is room."""
    room = most - len(items)
    found = []
    for item in sorted(items, key=lambda item: len(item.nodes)):
        if item.tag is None and item.items == [] and len(item.nodes) - 1 <= room:
            room -= len(item.nodes) - 1
            found += _opened(item)
        else:
            found.append(item)
    return _in_order(graph, found)


def _title(graph: Graph, head: int) -> str:
    tag = graph.tags[head]
    return graph.names[head] if tag is None else short_path(tag[1])


def _layers(graph: Graph, items: list[Fold]) -> list[Fold]:
    """Items of one layer that are equally far from the leaves as one."""
    found = []

    def layer_of(item: Fold) -> tuple[str, str]:
        kind = graph.kinds[item.head] if item.is_node and item.head is not None else ""
        return ("", "") if item.tag is None else (item.tag[0], kind)

    for (layer, kind), group in _grouped(graph, items, layer_of):
        if not layer or len(group) == 1:
            found += group
            continue
        what = "parts" if not kind else "parameters" if kind == "leaf" else f"x {kind}"
        found.append(_bundle(group, f"{layer}: {len(group)} {what}"))
    return _in_order(graph, found)


def _bundle(items: list[Fold], title: str) -> Fold:
    nodes = sorted(k for item in items for k in item.nodes)
    tag = items[0].tag if len({item.tag for item in items}) == 1 else None
    return Fold(nodes, title, None, tag, items)


def _grouped(
    graph: Graph, items: list[Fold], key: Callable[[Fold], K]
) -> Iterator[tuple[K, list[Fold]]]:
    """Items of one key and one level, with the key."""
    groups: dict[tuple[K, int], list[Fold]] = {}
    for item, level in zip(items, _levels(graph, items), strict=True):
        groups.setdefault((key(item), level), []).append(item)
    for (shared, _), group in groups.items():
        yield shared, group


def _in_order(graph: Graph, items: list[Fold]) -> list[Fold]:
    """What an item uses before it."""
    pairs = zip(_levels(graph, items), items, strict=True)
    return [item for _, item in sorted(pairs, key=lambda pair: (pair[0], pair[1].nodes[0]))]


# ---- expressions ----


def _fewer(graph: Graph, items: list[Fold], most: int) -> list[Fold]:
    """At most `most` items in place of more."""
    trees = _expressions(graph, items, most)
    if len(trees) > most:
        trees = _bundles(graph, trees)
    if len(trees) > most:
        trees = _stretches(graph, trees, most)
    if len(trees) == 1:  # nothing that hangs together by itself: by numbers
        trees = _in_rows(graph, trees[0].items or items, most)
    return trees


def _expressions(graph: Graph, items: list[Fold], most: int) -> list[Fold]:
    """Each item that others are under alone, with those; the largest opened while there is room."""
    above, under = _dominators(graph, items)
    size = [1] * len(items)
    for k in range(len(items)):
        if above[k] < len(items):
            size[above[k]] += size[k]
    shown = list(under[len(items)])  # by the number of its item; folded where size > 1
    opened: set[int] = set()
    while True:
        # What is all that is shown is opened in any case.
        least = most if len(shown) - len(opened) > 1 else len(items)
        fits = [k for k in shown if k not in opened and 0 < len(under[k]) <= least - len(shown)]
        if not fits:
            break
        largest = max(fits, key=lambda k: size[k])
        opened.add(largest)
        shown += under[largest]
    found = []
    for k in sorted(shown):
        if k in opened or size[k] == 1:
            found.append(items[k])
        else:
            found.append(_expression(graph, items, k, under))
    return found


def _expression(graph: Graph, items: list[Fold], k: int, under: list[list[int]]) -> Fold:
    parts, todo = [], [k]
    while todo:
        parts.append(todo.pop())
        todo += under[parts[-1]]
    inside = [items[j] for j in sorted(parts)]
    nodes = sorted(j for item in inside for j in item.nodes)
    head = items[k].head
    title = items[k].title or ("" if head is None else graph.names[head])
    return Fold(nodes, title, head, items[k].tag, inside)


def _dominators(graph: Graph, items: list[Fold]) -> tuple[list[int], list[list[int]]]:
    """By item the next one through which all ways to the end lead; and the items under each. The
    number beyond the last stands for the end."""
    n = len(items)
    users = users_of(_operands(graph, items))
    above, depth = [n] * (n + 1), [0] * (n + 1)
    under: list[list[int]] = [[] for _ in range(n + 1)]
    for k in reversed(range(n)):
        common = users[k][0] if users[k] else n
        for other in users[k][1:]:
            while common != other:
                if depth[common] >= depth[other]:
                    common = above[common]
                else:
                    other = above[other]
        above[k], depth[k] = common, depth[common] + 1
        under[common].append(k)
    return above, under


def _bundles(graph: Graph, items: list[Fold]) -> list[Fold]:
    """Alike items that are equally far from the leaves as one."""
    found = []

    def alike(item: Fold) -> tuple[str, int]:
        kind = item.title if item.head is None else graph.kinds[item.head]
        return kind, len(item.nodes)

    for (kind, _), group in _grouped(graph, items, alike):
        found += group if len(group) < 3 else [_bundle(group, f"{len(group)} x {kind}")]
    return _in_order(graph, found)


def _stretches(graph: Graph, items: list[Fold], most: int) -> list[Fold]:
    """Items of neighbouring levels as one, in as many stretches as there is room for."""
    levels = _levels(graph, items)
    height = max(levels) + 1
    pairs = sorted(zip(levels, range(len(items)), strict=True))
    found = []
    for _, group in groupby(pairs, key=lambda pair: pair[0] * min(most, height) // height):
        part = [items[k] for _, k in group]
        found += part if len(part) == 1 else [_bundle(part, _ends(graph, part))]
    return _in_order(graph, found)


def _in_rows(graph: Graph, items: list[Fold], most: int) -> list[Fold]:
    """Items in their order, some in each bundle."""
    n = -(-len(items) // most)
    parts = [items[k : k + n] for k in range(0, len(items), n)]
    return [part[0] if len(part) == 1 else _bundle(part, _ends(graph, part)) for part in parts]


def _ends(graph: Graph, items: list[Fold]) -> str:
    """The first and the last of what is bundled."""
    first, *_, last = sorted(k for item in items for k in item.nodes)
    return f"{graph.names[first]} ... {graph.names[last]}"


# ---- the graph that items make ----


def _operands(graph: Graph, items: list[Fold]) -> list[list[int]]:
    """By item those that it uses, each once; of others than these nothing."""
    place = {k: n for n, item in enumerate(items) for k in item.nodes}
    return [
        sorted({place[x] for k in item.nodes for x in graph.operands[k] if x in place} - {n})
        for n, item in enumerate(items)
    ]


def users_of(operands: Sequence[Sequence[int]]) -> list[list[int]]:
    """Those that use each, each once."""
    users: list[list[int]] = [[] for _ in operands]
    for k, used in enumerate(operands):
        for x in dict.fromkeys(used):
            users[x].append(k)
    return users


def _levels(graph: Graph, items: list[Fold]) -> list[int]:
    """How far each is from the leaves, by the longest way."""
    operands = _operands(graph, items)
    levels: dict[int, int] = {}
    for k in range(len(items)):
        todo = [k]
        while todo:
            at = todo[-1]
            missing = [x for x in operands[at] if x not in levels]
            if missing:
                todo += missing
                continue
            levels[todo.pop()] = 1 + max((levels[x] for x in operands[at]), default=-1)
    return [levels[k] for k in range(len(items))]


def tags_of(
    operands: Sequence[Sequence[int]],
    kinds: Sequence[str],
    own: Mapping[int, tuple[str, str]],
    zeros: Container[int],
) -> list[tuple[str, str] | None]:
    """The tag of each node, where `own` has those of the parameters: of a product that of the
    parameter in it, of a sum or of a function of one that of what goes in. zeros: the numbers that
    sums begin with; with another number, or as a power, it is no neuron any more."""
    tags: list[tuple[str, str] | None] = []
    for k, (used, kind) in enumerate(zip(operands, kinds, strict=True)):
        tag = own.get(k)
        if used:
            inside = {tags[x] for x in used if x not in zeros}
            if kind == "mul":
                inside = {own[x] for x in used if x in own}
            tag = inside.pop() if len(inside) == 1 and kind != "pow" else None
        tags.append(tag)
    return tags
