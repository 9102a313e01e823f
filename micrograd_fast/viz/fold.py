"""Large graphs in few boxes: what is equal is drawn once.

A box is first an expression, all that is computed to one result and nowhere else used, such as a
neuron; it ends where a parameter of another part of the model comes in, and at the terms of a sum
that look alike. Expressions of one shape with the same operands are then one box: a layer. Leaves
that are used alike are one box too: a layer's parameters, the samples of a batch. Everything goes
by shape alone, so no model is needed; with one, its parts give the boxes their names.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Any

from micrograd_fast.engine import Value
from micrograd_fast.viz.named import Names, own_label

MIN_TERM = 3  # ops of a term of a sum that may be a box of its own
MAX_OPS_SHOWN = 4


@dataclass
class Fold:
    """Values that are one box. members: the results, or the leaves. ops: of one member, by label.
    nodes: all that the box stands for."""

    members: list[Value]
    operands: set[int]  # numbers of folds
    part: str = ""
    ops: Counter[str] = field(default_factory=Counter)
    nodes: int = 0

    @property
    def is_leaf(self) -> bool:
        return not self.ops


def in_order(root: Value, limit: int) -> dict[Value, list[Value]] | None:
    """The operands of all nodes, each after its operands, in the same order in every run; None
    where there are more than `limit`."""
    operands: dict[Value, list[Value]] = {}
    todo: list[tuple[Value, bool]] = [(root, False)]
    entered: set[Value] = set()
    found: dict[Value, list[Value]] = {}
    while todo:
        node, left = todo.pop()
        if left:
            operands[node] = found.pop(node)
        elif node not in entered:
            entered.add(node)
            if len(entered) > limit:
                return None
            found[node] = sorted(node._prev, key=lambda v: (own_label(v), v._op, v.data, v.grad))
            todo.append((node, True))
            todo += ((x, False) for x in reversed(found[node]))
    return operands


def folded(root: Value, operands: dict[Value, list[Value]], names: Names) -> list[Fold]:
    """The folds of root's graph, operands before what is made of them. operands: of in_order()."""
    heads = _heads(root, operands, names)
    return _classes(operands, heads, names)


# ---- expressions ----


def _heads(root: Value, operands: dict[Value, list[Value]], names: Names) -> dict[Value, Value]:
    """By op's result the result of the expression that it is part of."""
    users: dict[Value, list[Value]] = {node: [] for node in operands}
    for node, children in operands.items():
        for x in children:
            users[x].append(node)
    cut = {node for node in operands if len(users[node]) != 1}
    cut |= _ends_of_parts(operands, users, names, cut)
    cut |= _like_terms(operands, users, cut)
    heads: dict[Value, Value] = {}
    for node in reversed(operands):  # users before operands
        if operands[node]:
            heads[node] = node if node in cut else heads[users[node][0]]
    return heads


def _ends_of_parts(
    operands: dict[Value, list[Value]],
    users: dict[Value, list[Value]],
    names: Names,
    cut: set[Value],
) -> set[Value]:
    """Where an expression has all parameters of a neuron, its activation included, or meets those
    of another part."""
    ends: set[Value] = set()
    if not names.parts:
        return ends
    held: dict[Value, tuple[str, Counter[str]]] = {}  # the part, how many parameters by unit
    for node, children in operands.items():
        leaf = names.parts.get(node)
        if leaf is not None and not children:
            held[node] = leaf, Counter({names.units[node]: 1})
            continue
        if len(children) == 1 and not operands[children[0]]:
            continue  # the square of a parameter, in a penalty
        inner = [x for x in children if x in held and not (operands[x] and (x in cut or x in ends))]
        known = {held[x][0] for x in inner}
        if len(known) > 1:  # two parts meet: the inner expressions are boxes of their own
            ends |= {x for x in inner if operands[x]}
            inner = [x for x in inner if not operands[x]]
            known = {held[x][0] for x in inner}
        if len(known) != 1:
            continue
        units: Counter[str] = Counter()
        for x in inner:
            units.update(held[x][1])
        held[node] = known.pop(), units
        if len(users[node]) == 1 and _is_complete(node, held, operands, users, names):
            ends.add(node)
    return ends


def _is_complete(node: Value, held: Any, operands: Any, users: Any, names: Names) -> bool:
    """Whether a node has all of a row of weights, and what uses it is neither an activation nor
    adds a bias."""
    part, units = held[node]
    (user,) = users[node]
    if len(operands[user]) < 2 or all(n != names.sizes[unit] for unit, n in units.items()):
        return False
    return not any(not operands[x] and names.parts.get(x) == part for x in operands[user])


def _like_terms(
    operands: dict[Value, list[Value]], users: dict[Value, list[Value]], cut: set[Value]
) -> set[Value]:
    """The terms of a sum that have the shape of another term, where they are some ops each."""
    shapes, sizes = _shapes(operands, cut, {})
    top: dict[Value, Value] = {}
    terms: dict[Value, list[Value]] = {}
    for node in reversed(operands):
        if node._op == "+" and operands[node]:
            sum_of = top[users[node][0]] if node not in cut and users[node][0] in top else node
            top[node] = sum_of
            for x in operands[node]:
                if operands[x] and x not in cut and x._op != "+":
                    terms.setdefault(sum_of, []).append(x)
    found: set[Value] = set()
    for group in terms.values():
        counts = Counter(shapes[x] for x in group)
        found |= {x for x in group if counts[shapes[x]] > 1 and sizes[x] >= MIN_TERM}
    return found


def _shapes(
    operands: dict[Value, list[Value]], cut: set[Value], parts: dict[Value, str]
) -> tuple[dict[Value, int], dict[Value, int]]:
    """By node a number that is equal for equal expressions, and how many ops it has."""
    known: dict[Any, int] = {}
    shapes: dict[Value, int] = {}
    sizes: dict[Value, int] = {}
    for node, children in operands.items():
        inside = [x for x in children if operands[x] and x not in cut]
        outside = [parts.get(x, "") for x in children if not operands[x]]
        key = (
            node._op,
            tuple(sorted(shapes[x] for x in inside)),
            tuple(sorted(outside)),
            len(children),
        )
        shapes[node] = known.setdefault(key, len(known))
        sizes[node] = 1 + sum(sizes[x] for x in inside)
    return shapes, sizes


# ---- what is equal ----


def _classes(
    operands: dict[Value, list[Value]], heads: dict[Value, Value], names: Names
) -> list[Fold]:
    tops = list(dict.fromkeys(heads[node] for node in operands if node in heads))
    inner: dict[Value, list[Value]] = {head: [] for head in tops}
    for node, head in heads.items():
        inner[head].append(node)
    shapes, _ = _shapes(operands, set(tops), names.parts)
    levels: dict[Value, int] = {}
    outer: dict[Value, dict[Value, None]] = {}  # what an expression takes from outside
    for node in operands:
        if heads.get(node) is node:
            taken = (x for n in inner[node] for x in operands[n] if heads.get(x) is not node)
            outer[node] = dict.fromkeys(taken)
            levels[node] = 1 + max((levels.get(x, 0) for x in outer[node]), default=0)
    signs = {node: (shapes[node], levels[node]) for node in outer}
    private = _private_leaves(outer, names)
    folds: list[Fold] = []
    number = _leaf_folds(folds, outer, signs, private, names)
    known: dict[Any, int] = {}
    for node in outer:
        over = {number[x] for x in outer[node] if x in number}
        at = known.setdefault((signs[node], frozenset(over)), len(folds))
        if at == len(folds):
            parts = {names.parts[x] for x in outer[node] if x in names.parts}
            part = parts.pop() if len(parts) == 1 else ""
            folds.append(Fold([], over, part, Counter(n._op for n in inner[node])))
        folds[at].members.append(node)
        folds[at].nodes += len(inner[node]) + sum(x in private for x in outer[node])
        number[node] = at
    if not folds:  # a leaf alone
        folds.append(Fold(list(operands), set(), nodes=1))
    return folds


def _private_leaves(outer: dict[Value, dict[Value, None]], names: Names) -> set[Value]:
    """Leaves without a name that one expression uses: numbers, the weights of one neuron."""
    uses = Counter(x for taken in outer.values() for x in taken)
    return {x for x, n in uses.items() if n == 1 and x not in outer and not names.of(x)}


def _leaf_folds(
    folds: list[Fold],
    outer: dict[Value, dict[Value, None]],
    signs: dict[Value, tuple[int, int]],
    private: set[Value],
    names: Names,
) -> dict[Value, int]:
    """Appends a fold for all leaves that belong to one part, or are used alike; by leaf which."""
    used: dict[Value, Counter[Any]] = {}
    for node, taken in outer.items():
        for x in taken:
            if x not in outer and x not in private:
                used.setdefault(x, Counter())[signs[node]] += 1
    known: dict[Any, int] = {}
    number: dict[Value, int] = {}
    for x, counts in used.items():
        part = names.parts.get(x, "")
        stem = part or re.sub(r"[\d\[\], .]+$", "", own_label(x))
        key = part or (stem, tuple(sorted(counts.items())))
        at = known.setdefault(key, len(folds))
        if at == len(folds):
            folds.append(Fold([], set(), stem))
        folds[at].members.append(x)
        folds[at].nodes += 1
        number[x] = at
    return number


# ---- words ----


def heading(fold: Fold, names: Names) -> str:
    count = len(fold.members)
    if count == 1:
        return names.of(fold.members[0]) or fold.part
    if fold.is_leaf:
        what = "parameters" if fold.members[0] in names.parts else "leaves"
        return f"{fold.part}: {count:,} {what}" if fold.part else f"{count:,} {what}"
    return f"{fold.part}, {count:,} times" if fold.part else f"{count:,} times"


def ops_text(ops: Counter[str]) -> str:
    """The ops of an expression, the most frequent first."""
    ordered = sorted(ops.items(), key=lambda item: (-item[1], item[0]))
    shown = [f"{n:,} {op}" if n > 1 else op for op, n in ordered[:MAX_OPS_SHOWN]]
    return ", ".join(shown) + (", ..." if len(ops) > MAX_OPS_SHOWN else "")


def span(numbers: Iterable[float], shown: Any) -> str:
    found = list(numbers)
    low, high = min(found), max(found)
    return str(shown(low)) if low == high else f"{shown(low)} to {shown(high)}"
