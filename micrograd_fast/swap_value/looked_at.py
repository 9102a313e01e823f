"""The attributes of a graph that what stays of the program names, on both classes."""

from __future__ import annotations

from typing import Any

from micrograd_fast.swap_value.both import Both, outcome
from micrograd_fast.swap_value.named_methods import UNARY, method
from micrograd_fast.swap_value.operators import OPERATORS
from micrograd_fast.swap_value.own_class import Refused


def check_looked_at(both: Both) -> None:
    """The graph's attributes, where what stays of the program names them."""
    looked_at = both.own.mentions
    a, b = both.theirs(0.7), both.theirs(-1.3)
    c: Any = both.mul(a, b)
    both.add(c, a).backward()  # which may take the graph apart
    for name, kind in (("_prev", set), ("_children", tuple), ("_local_grads", tuple)):
        there = getattr(c, name, None)
        if name in looked_at and hasattr(c, name) and type(there) is not kind:
            text = f".{name} is a {type(there).__name__} in the program"
            text += f" and a {kind.__name__} in micrograd_fast"
            if name in both.own.indexed or name == "_local_grads":
                raise Refused(f"{text}; {looked_at[name]} uses it", both.own.node.lineno)
            both.report.notes.append(text)
    for name in ("_prev", "_children"):
        if name in looked_at and set(getattr(c, name, {a, b})) != {a, b}:
            raise Refused(f".{name} does not hold the operands", both.own.node.lineno)
    local = (b.data, a.data) if "a * b" in both.agreed else (1, 1)
    if hasattr(c, "_local_grads") and c._local_grads != local:
        raise Refused("._local_grads are not the derivatives", both.own.node.lineno)
    if "_backward" in looked_at and hasattr(c, "_backward"):
        code = getattr(c._backward, "__code__", None)
        if code is None or code.co_argcount > 0:
            text = f"_backward takes arguments; {looked_at['_backward']} uses it"
            raise Refused(text, both.own.node.lineno)
    for name, v in (("label", a), ("label", c), ("_op", a)):
        if name in looked_at and getattr(v, name, "") not in ("", None):
            text = f".{name} is {getattr(v, name)!r} in the program and empty in micrograd_fast"
            raise Refused(f"{text}; {looked_at[name]} uses it", both.own.node.lineno)
    if "_op" in looked_at or "_backward" in both.own.called:
        _check_graphs(both)
    if hasattr(c, "_local_grads"):
        both.report.notes.append(
            "data that is written between an op and backward() counts in the gradient"
        )


def _check_graphs(both: Both) -> None:
    """Other nodes and labels make other pictures; nodes that are stepped through are the same."""
    named = [(n, f"a.{n}()", method(n)) for n in both.own.methods if n in UNARY]
    powers = [("__pow__", "a ** 2", lambda a, b: a**2)]
    for needed, text, f in (*OPERATORS, *powers, *named):
        theirs, ours = (outcome(cls, f, (0.7, 0.9)) for cls in (both.theirs, both.ours))
        if theirs.root is None:
            continue
        told = f"{text} is {_drawn(ours.root)}, {_drawn(theirs.root)} in the program"
        if "_backward" in both.own.called and _shape(theirs.root) != _shape(ours.root):
            where = both.own.mentions["_backward"]
            raise Refused(f"{told}; {where} calls _backward", both.own.line(needed))
        if "_op" in both.own.mentions and _drawn(theirs.root) != _drawn(ours.root):
            both.report.notes.append(f"graphs are drawn as micrograd's: {told}")
            return


def _operands(node: Any) -> Any:
    return getattr(node, "_prev", getattr(node, "_children", ()))


def _drawn(node: Any) -> str:
    """A graph's ops as nested text, its operands in the order of their texts."""
    inner = ", ".join(sorted(map(_drawn, _operands(node))))
    return f"{getattr(node, '_op', '')}({inner})" if inner else "leaf"


def _shape(node: Any) -> list[Any]:
    return sorted(map(_shape, _operands(node)))
