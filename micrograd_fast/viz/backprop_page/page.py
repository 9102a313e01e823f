"""The page itself: its data, and the one file that it is."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from micrograd_fast.engine import Value
from micrograd_fast.nn import Module
from micrograd_fast.optim.optimizer import Optimizer
from micrograd_fast.viz.backprop_page import story, update
from micrograd_fast.viz.backprop_page.drawing import op_of, views
from micrograd_fast.viz.backprop_page.folds import Graph, folded, tags_of
from micrograd_fast.viz.backprop_page.recording import Recording, record
from micrograd_fast.viz.backprop_page.texts import shown
from micrograd_fast.viz.named import Names, own_label
from micrograd_fast.viz.page import Page, as_json
from micrograd_fast.viz.picture import check_count

__all__ = ["BackpropPage", "backprop"]

MAX_NODES = 3000  # the page is about a kilobyte a node
MAX_SHOWN = 40  # of a graph at once


class BackpropPage(Page):
    """What viz.backprop() returns: a notebook shows it, save() writes it as one HTML file.

    data: all that the page shows, as a dict of lists, texts and numbers. `nodes` in topological
    order, the last is the root; `steps` in the order of the slider, those of the phase "backward"
    with a row for each operand: `local`, `grad`, `product`, `before` and `after`.
    """

    folder = "micrograd_fast.viz.backprop_page"

    def __init__(self, data: dict[str, Any]) -> None:
        self.data = data
        super().__init__(data["title"], {"DATA": as_json(_with_texts(data))})

    def __repr__(self) -> str:
        return (
            f"<{len(self.data['steps'])} steps of {self.data['title']} through "
            f"{len(self.data['nodes'])} nodes: .save('page.html') writes the page>"
        )


def backprop(
    root: Value,
    *,
    optimizer: Optimizer | None = None,
    lr: float | None = None,
    params: Module | Iterable[Value] | None = None,
    names: Module | Mapping[str, Any] | None = None,
    accumulate: bool = False,
    max_nodes: int = MAX_NODES,
    max_shown: int = MAX_SHOWN,
) -> BackpropPage:
    """What root.backward() does, one node at a time, as a page with a slider: forward through the
    values, backward through the gradients, then a step of the optimizer.

    Nothing is changed: every data and grad is afterwards as it was, and what the optimizer would do
    is computed on copies. A custom `_backward` is called once, as backward() would.

    optimizer: one of micrograd_fast.optim; the last step shows what its step() would make of each
    parameter. lr: the same for `p.data -= lr * p.grad`. params: which Values these are, a list or a
    Module; by default those of the optimizer or of names, or with lr all leaves. names: a Module,
    whose parameters are called as in named_parameters(), or a dict of Values, or lists of them, by
    name. accumulate: begin with the gradients that are there, as backward() does; by default with
    0, as after zero_grad(). max_shown: the graph is folded where it has more nodes, by layer where
    names tell, else by expression.

    Raises ValueError, with the size, for a graph of more than max_nodes nodes; TypeError or
    ValueError for other arguments; and what root.backward() raises.
    """
    if not isinstance(root, Value):
        raise TypeError(f"root must be a Value, not {type(root).__name__!r}")
    if optimizer is not None and not isinstance(optimizer, Optimizer):
        kind = type(optimizer).__name__
        raise TypeError(f"optimizer must be one of micrograd_fast.optim, not {kind!r}")
    if optimizer is not None and lr is not None:
        raise ValueError("give optimizer or lr, not both: lr is for p.data -= lr * p.grad")
    check_count("max_nodes", max_nodes, 1)
    check_count("max_shown", max_shown, 4)
    known = Names(names)
    stepped = _parameters(params, optimizer, names)
    recording = record(root, max_nodes, accumulate, lambda n: _too_large(n, max_nodes))
    story.give_names(recording, known, stepped)
    step = _update(recording, optimizer, lr, stepped)
    return BackpropPage(_data(recording, step, known, max_shown))


def _too_large(n: int, max_nodes: int) -> str:
    return (
        f"the graph has {n:,} nodes, and max_nodes is {max_nodes:,}: show the loss of one sample "
        "instead of many, or of a smaller model; or begin at an inner node"
    )


def _parameters(params: Any, optimizer: Optimizer | None, names: Any) -> list[Value]:
    """What is stepped; empty for all leaves. Raises TypeError for what are no Values."""
    if params is None:
        if optimizer is not None:
            return optimizer.params
        params = names if isinstance(names, Module) else []
    if hasattr(params, "parameters"):
        params = params.parameters()
    if isinstance(params, (Value, Mapping)) or not isinstance(params, Iterable):
        kind = type(params).__name__
        raise TypeError(f"params must be a list of Values or a Module, not {kind!r}")
    found = list(params)
    for k, p in enumerate(found):
        if not isinstance(p, Value):
            raise TypeError(f"params must hold Values, params[{k}] is {type(p).__name__!r}")
    return found


def _update(
    recording: Recording, optimizer: Optimizer | None, lr: float | None, stepped: list[Value]
) -> update.Update | None:
    leaves = [node for node in recording.nodes if node.kind == "leaf"]
    grads = {id(node.value): node.grad for node in leaves}
    if optimizer is not None:
        return update.of_optimizer(optimizer, grads)
    if lr is None:
        return None
    return update.of_rate(lr, stepped or [node.value for node in leaves], grads)


def _data(
    recording: Recording, step: update.Update | None, known: Names, max_shown: int
) -> dict[str, Any]:
    nodes = recording.nodes
    operands, kinds = [n.operands for n in nodes], [n.kind for n in nodes]
    own = {
        k: (known.parts[n.value], known.units[n.value])
        for k, n in enumerate(nodes)
        if n.kind == "leaf" and n.value in known.parts
    }
    zeros = {k for k, n in enumerate(nodes) if n.kind == "number" and n.data == 0.0}
    graph = Graph(operands, [n.name for n in nodes], kinds, tags_of(operands, kinds, own, zeros))
    return {
        "title": f"{nodes[-1].name}.backward()" if own_label(nodes[-1].value) else "backward()",
        "nodes": [_node(recording, k) for k in range(len(nodes))],
        "steps": story.steps(recording, step),
        "views": views(recording, folded(graph, max_shown)),
    }


def _node(recording: Recording, k: int) -> dict[str, Any]:
    node = recording.nodes[k]
    return {
        "name": node.name,
        "kind": node.kind,
        "path": node.path,
        "parameter": node.is_parameter,
        "op": op_of(node),
        "formula": "" if node.is_leaf else story.formula_of(node, story.names(recording, node)),
        "operands": node.operands,
        "data": node.data,
        "grad": node.grad,
        "before": recording.before[k],
    }


def _with_texts(thing: Any) -> Any:
    """Floats as [all their digits, as the page shows them]: one place says how numbers look, and
    nan and infinity, which JSON has not, are texts too."""
    if isinstance(thing, float):
        return [repr(thing), shown(thing)]
    if isinstance(thing, dict):
        return {
            k: v if k in ("boxes", "lines", "size") else _with_texts(v) for k, v in thing.items()
        }
    return [_with_texts(v) for v in thing] if isinstance(thing, (list, tuple)) else thing
