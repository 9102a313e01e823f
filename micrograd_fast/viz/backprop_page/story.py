"""The steps of the page in words: forward through the values, backward through the gradients, then
what an optimizer would do. Plain data, so that a page and a test read the same."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from micrograd_fast import spelling
from micrograd_fast.engine import Value
from micrograd_fast.viz.backprop_page import symbols
from micrograd_fast.viz.backprop_page.recording import Addition, Node, Recording, Turn
from micrograd_fast.viz.backprop_page.texts import factor, printable, short_path, shown
from micrograd_fast.viz.backprop_page.update import Update
from micrograd_fast.viz.named import Names, own_label

__all__ = ["formula_of", "give_names", "names", "steps"]

LONGEST = 44  # characters of a derivative with names in it; x, y and z are shorter
MANY = 4  # operands that a sentence names one by one


def give_names(recording: Recording, known: Names, params: Sequence[Value]) -> None:
    """Each node's name: its label, that in the model, its place in params, a number's digits, or v
    and its place in the order."""
    places = {id(p): k for k, p in enumerate(params)}
    for k, node in enumerate(recording.nodes, 1):
        number = places.get(id(node.value))
        node.is_parameter = number is not None
        node.path = printable(known.names.get(node.value, ""))
        name = printable(own_label(node.value)) or short_path(node.path)
        if not name and number is not None:
            name = f"params[{number}]"
        node.name = name or (shown(node.data) if node.kind == "number" else f"v{k}")


def formula_of(node: Node, operands: list[str]) -> str:
    """The op on operands as texts: `a * b`, `tanh(v4)`, `x**2`; of a long list the first ones."""
    kind = node.kind
    if kind == "pow":
        text = node.value._op.removeprefix("**")
        base = operands[0]
        return f"{base}**{f'({text})' if text.startswith('-') else text}"
    if len(operands) > MANY:
        operands = [*operands[: MANY - 1], f"... {len(operands) - MANY + 1} more"]
    if kind in ("custom", "call"):
        return f"{printable(node.called or node.value._op) or kind}({', '.join(operands)})"
    symbol = spelling.symbol(kind)
    if symbol.isidentifier() or len(operands) != 2:
        return f"{symbol}({', '.join(operands)})"
    return f"{operands[0]} {symbol} {operands[1]}"


def names(recording: Recording, node: Node) -> list[str]:
    """Of the operands; a negative number in parentheses, as in a formula."""
    operands = (recording.nodes[k] for k in node.operands)
    return [factor(x.data) if x.kind == "number" else x.name for x in operands]


# ---- steps ----


def steps(recording: Recording, update: Update | None) -> list[dict[str, Any]]:
    """Every step of the page: its phase, node, title and sentence, and what the page shows beside.

    phase: start, forward, seed, backward, end or optimizer. A backward step has `rows`, one an
    operand; the optimizer's too, one a parameter."""
    found = [_start(recording)]
    found += [_forward(recording, k) for k in range(len(recording.nodes))]
    found.append(_seed(recording))
    found += [_backward(recording, turn) for turn in recording.turns if turn.additions]
    found.append(_end(recording))
    if update is not None:
        found.append(_optimizer(recording, update))
    return found


def _step(phase: str, node: int | None, title: str, say: str, **more: Any) -> dict[str, Any]:
    return {"phase": phase, "node": node, "title": title, "say": say, **more}


def _start(recording: Recording) -> dict[str, Any]:
    root = recording.nodes[-1]
    n = len(recording.nodes)
    say = (
        f"{root.name} is made of {n} node{'s' * (n != 1)}. In this order every node comes after "
        "its operands: forward goes through the list from the top, backward from the bottom."
    )
    if any(recording.before):
        say += " Some gradients are not 0: backward adds to them."
    return _step("start", None, "Before", say)


def _forward(recording: Recording, k: int) -> dict[str, Any]:
    node = recording.nodes[k]
    if node.is_leaf:
        what = "is a parameter" if node.is_parameter else "is given"
        if node.kind == "number":
            return _step("forward", k, node.name, f"The number {node.name}.")
        return _step("forward", k, node.name, f"{node.name} {what}: {shown(node.data)}.")
    formula = formula_of(node, names(recording, node))
    numbers = formula_of(node, [factor(recording.nodes[j].data) for j in node.operands])
    title = f"{node.name} = {formula}"
    return _step("forward", k, title, f"{title} = {numbers} = {shown(node.data)}.")


def _seed(recording: Recording) -> dict[str, Any]:
    name = recording.nodes[-1].name
    return _step(
        "seed",
        len(recording.nodes) - 1,
        f"The gradient of {name} is 1",
        f"Backward begins at {name}: when {name} changes by something, {name} changes by the same, "
        "so its gradient is 1.",
        grad=1.0,
    )


def _backward(recording: Recording, turn: Turn) -> dict[str, Any]:
    node = recording.nodes[turn.node]
    rows = [_row(recording, turn, k, a) for k, a in enumerate(turn.additions)]
    formula = formula_of(node, names(recording, node))
    lead = f"{node.name} = {formula} has the gradient {shown(turn.grad)}."
    how = "Each operand gets its local derivative times that, added to what it has."
    if any(row["local"] is None for row in rows):
        how = "What its step adds is seen in the gradients."
    say = " ".join([lead, *(_spoken(row, recording.nodes[row["to"]]) for row in rows[:MANY])])
    if len(rows) > MANY:
        say += f" And so on to {len(rows) - MANY} more."
    return _step(
        "backward",
        turn.node,
        f"Backward through {formula}",
        say,
        lead=f"{lead} {how}",
        grad=turn.grad,
        rows=rows,
    )


def _row(recording: Recording, turn: Turn, k: int, addition: Addition) -> dict[str, Any]:
    """One operand's share, in symbols and in numbers."""
    node, to = recording.nodes[turn.node], recording.nodes[addition.to]
    symbol, numbers = _derivative(recording, node, k, addition)
    return {
        "to": addition.to,
        "name": to.name,
        "of": f"\u2202{node.name} / \u2202{to.name}",
        "symbols": symbol,
        "numbers": numbers,
        "local": addition.local,
        "grad": turn.grad,
        "product": addition.product,
        "before": addition.before,
        "after": addition.after,
    }


def _derivative(recording: Recording, node: Node, k: int, addition: Addition) -> tuple[str, str]:
    """Of operand k: the formula with names, and with numbers where that says more."""
    if addition.local is None:
        what = "of the compiled function" if node.called else "of its own _backward()"
        return f"the step {what}", ""
    if node.kind in ("largest", "smallest"):
        return "shared by those that are equal, 0 for others", ""
    op = symbols.OPS.get(node.kind)
    if op is None:
        return "as it was given", ""
    data = [recording.nodes[j].data for j in node.operands]
    y = _exponent(node) if op.kind == "param" else data[-1]
    point = {"x": data[0], "y": y, "z": node.data}
    tree = symbols.formula(op, k, *point.values())
    if tree is None:
        return op.partials[k], ""
    known = dict(zip("xy", names(recording, node), strict=False)) | {"z": node.name}
    text = symbols.written(tree, known)
    if len(text) > LONGEST:
        text = symbols.written(tree)
    numbers = symbols.written(symbols.in_numbers(tree, point))
    return text, "" if numbers in (text, shown(addition.local or 0.0)) else numbers


def _exponent(node: Node) -> float:
    """The exponent of `**2`; nan where a program has put another text there."""
    try:
        return float(node.value._op.removeprefix("**"))
    except ValueError:
        return math.nan


def _spoken(row: Mapping[str, Any], to: Node) -> str:
    name = f"the number {to.name}" if to.kind == "number" else to.name
    if row["local"] is None:
        share = f"Its step adds {shown(row['product'])} to {name}"
    else:
        symbol = "" if row["symbols"] == shown(row["local"]) else f"{row['symbols']} = "
        share = (
            f"To {name} goes the local derivative, {symbol}{shown(row['local'])}, times "
            f"{shown(row['grad'])}: {shown(row['product'])}"
        )
    if row["before"] == 0.0:
        return f"{share}."
    return f"{share}, added to {shown(row['before'])}: {shown(row['after'])}."


def _end(recording: Recording) -> dict[str, Any]:
    leaves = [node for node in recording.nodes if node.kind == "leaf"]
    listed = [f"{node.name} {shown(node.grad)}" for node in leaves[: 2 * MANY]]
    more = f" and {len(leaves) - len(listed)} more" if len(leaves) > len(listed) else ""
    say = f"Backward is done. The gradients of what was given: {', '.join(listed)}{more}."
    if not leaves:
        say = "Backward is done."
    return _step("end", None, "All gradients are there", say)


def _optimizer(recording: Recording, update: Update) -> dict[str, Any]:
    rows = list(_update_rows(recording, update))
    first = rows[0] if rows else None
    say = f"What {update.name} would do now: nothing is changed by looking."
    if first is not None:
        say += (
            f" {first['name']} would go from {shown(first['data'])} to {shown(first['new'])}"
            f"{_others(len(rows) - 1)}."
        )
    lead = f"{say} {update.rule}".strip()
    return _step("optimizer", None, f"A step of {update.name}", say, lead=lead, rows=rows)


def _others(n: int) -> str:
    return ", and one more parameter its way" if n == 1 else f", and {n} more theirs" if n else ""


def _update_rows(recording: Recording, update: Update) -> Iterator[dict[str, Any]]:
    for k, node in enumerate(recording.nodes):
        new = update.new.get(id(node.value))
        if new is not None:
            how = "" if update.lr is None else _update_in_numbers(node, update.lr)
            numbers = {"data": node.data, "grad": node.grad, "new": new}
            yield {"to": k, "name": node.name, "how": how, **numbers}


def _update_in_numbers(node: Node, lr: float) -> str:
    return f"{shown(node.data)} - {shown(lr)} * {factor(node.grad)}"
