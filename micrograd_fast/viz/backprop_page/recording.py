"""What backward() does to one graph, seen step by step: the engine itself runs, on gradients that
are put back afterwards, and each addition is taken down."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from math import isnan

from micrograd_fast import _core
from micrograd_fast.engine import Value

__all__ = ["Addition", "Node", "Recording", "Turn", "record"]


@dataclass
class Node:
    """One node. kind: a name of the op table, or leaf, number, custom, call, largest, smallest."""

    value: Value
    kind: str
    operands: list[int]  # places in Recording.nodes, in the op's order
    called: str | None = None  # the compiled function that it is a result of
    name: str = ""
    path: str = ""  # its name in the model
    is_parameter: bool = False
    data: float = 0.0
    grad: float = 0.0  # after backward()

    @property
    def is_leaf(self) -> bool:
        return self.kind in ("leaf", "number")


@dataclass
class Addition:
    """A node's share to one operand: after = before + product, product = local * gradient."""

    to: int
    local: float | None  # None: what a step in Python or of a call added, as it was seen
    product: float
    before: float
    after: float


@dataclass
class Turn:
    """A node's turn in backward()."""

    node: int
    grad: float
    additions: list[Addition]


@dataclass
class Recording:
    """Nodes, operands before users, the last is root; turns in backward()'s order."""

    nodes: list[Node]
    turns: list[Turn] = field(default_factory=list)
    before: list[float] = field(default_factory=list)  # the gradients at the beginning


def record(root: Value, most: int, accumulate: bool, too_large: Callable[[int], str]) -> Recording:
    """backward() of root, watched; each grad of the graph is put back, whatever happens.

    accumulate: begin with the gradients that are there, else with 0. Raises what backward() raises,
    and ValueError(too_large(n)) for a graph of n nodes, more than `most`.
    """
    n, found = _core.watched_nodes(root, most)
    if n > most:
        raise ValueError(too_large(n))
    read = {v: None for _, _, _, beside, _ in found for v in beside}
    own = {value for value, *_ in found}
    found = [(v, "leaf", None, [], False) for v in read if v not in own] + found
    if len(found) > most:
        raise ValueError(too_large(len(found)))
    place = {value: k for k, (value, *_) in enumerate(found)}
    nodes = []
    for value, kind, called, beside, is_number in found:
        operands = [place[v] for v in (*value._children, *beside) if v in place]
        if kind == "leaf":
            kind, operands = "number" if is_number and not value.label else "leaf", []
        nodes.append(Node(value, kind, operands, called, data=value.data))
    watch = _Watch(nodes, place, accumulate)
    watch.run(root)
    return _ordered(nodes, watch)


class _Watch:
    def __init__(self, nodes: list[Node], place: Mapping[Value, int], accumulate: bool) -> None:
        self.nodes, self.place = nodes, place
        self.kept = _core.grads_kept([node.value for node in nodes])
        self.grads = [node.value.grad if accumulate else 0.0 for node in nodes]
        self.before = list(self.grads)
        self.turns: list[Turn] = []

    def run(self, root: Value) -> None:
        values = [node.value for node in self.nodes]
        try:
            for value, grad in zip(values, self.grads, strict=True):
                value.grad = grad
            self.grads[self.place[root]] = 1.0
            _core.watched_backward(root, self.seen)
        finally:
            _core.write_grads(values, self.kept)

    def seen(self, value: Value) -> None:
        """After a node's step."""
        k = self.place.get(value)
        if k is None:  # a leaf that a step of the user's brought in meanwhile
            return
        node = self.nodes[k]
        additions = self.by_the_table(node, self.grads[k])
        if additions is None:
            additions = self.as_it_was_seen(node)
        self.turns.append(Turn(k, self.grads[k], additions))
        for a in additions:
            self.grads[a.to] = a.after

    def by_the_table(self, node: Node, g: float) -> list[Addition] | None:
        """Local derivatives times the gradient from above; None where the engine did otherwise."""
        local: Sequence[float] | None
        try:
            local = node.value._local_grads
        except AttributeError:  # they are in its step alone
            local = self.shares(node) if node.kind in ("largest", "smallest") else None
        if local is None or len(local) != len(node.operands):
            return None
        now = {k: self.grads[k] for k in node.operands}
        additions = []
        for k, partial in zip(node.operands, local, strict=True):
            product = partial * g
            additions.append(Addition(k, partial, product, now[k], now[k] + product))
            now[k] += product
        # A step in Python may do other things, and elsewhere.
        seen = now if node.value._backward == node.value._local_backward else range(len(self.nodes))
        expected = ((now.get(k, self.grads[k]), self.nodes[k].value.grad) for k in seen)
        return additions if all(_same(x, y) for x, y in expected) else None

    def shares(self, node: Node) -> list[float]:
        """Of the largest of many: equal ones share evenly."""
        data = [self.nodes[k].data for k in node.operands]
        n = data.count(node.data)
        return [1.0 / n if n and x == node.data else 0.0 for x in data]

    def as_it_was_seen(self, node: Node) -> list[Addition]:
        """What has changed in the graph, operands first; they are listed in any case."""
        others = (k for k in range(len(self.nodes)) if k not in node.operands)
        additions = []
        for k in dict.fromkeys([*node.operands, *others]):
            before, after = self.grads[k], self.nodes[k].value.grad
            if k in node.operands or not _same(before, after):
                additions.append(Addition(k, None, after - before, before, after))
        return additions


def _same(x: float, y: float) -> bool:
    return x == y or (isnan(x) and isnan(y))


def _ordered(nodes: list[Node], watch: _Watch) -> Recording:
    """The nodes in the order that backward() goes through from the end: what has no turn, leaves,
    comes before the first that uses it."""
    order: dict[int, None] = {}
    for k in (turn.node for turn in reversed(watch.turns)):
        order.update(dict.fromkeys(nodes[k].operands))
        order[k] = None
    place = {k: new for new, k in enumerate(order)}
    for k in order:
        nodes[k].operands = [place[x] for x in nodes[k].operands]
        nodes[k].grad = watch.grads[k]
    for turn in watch.turns:
        turn.node = place[turn.node]
        turn.additions = [a for a in turn.additions if a.to in place]
        for a in turn.additions:
            a.to = place[a.to]
    return Recording([nodes[k] for k in order], watch.turns, [watch.before[k] for k in order])
