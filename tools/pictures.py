"""Draws docs/images/*.svg: the pictures of the docs. Needs Graphviz.

Usage: pictures.py
"""

import subprocess
from itertools import pairwise
from pathlib import Path

import numpy as np
from matplotlib import pyplot

import micrograd_fast as mg
from micrograd_fast import _core, viz

IMAGES = Path(__file__).resolve().parent.parent / "docs" / "images"

COLUMNS = ("id", "op", "x", "y", "uses", "data", "grad")
RECORDS = [
    ("0", "leaf", "", "", "2", "3.0", "-4.0", "a: a Value holds it, node 2 uses it"),
    ("1", "leaf", "", "", "2", "-2.0", "6.0", "b"),
    ("2", "*", "0", "1", "1", "-6.0", "2.0", "a * b: no Python object"),
    ("3", "leaf", "", "", "1", "2.0", "-6.0", "the number 2: no Python object"),
    ("4", "*", "2", "3", "1", "-12.0", "1.0", "y = (a * b) * 2"),
]

TILE = """digraph {
  rankdir=TB; node [shape=plaintext fontname=Helvetica]; edge [fontname=Helvetica]
  tile [label=<<table border="0" cellborder="1" cellspacing="0" cellpadding="6">
    <tr><td border="0"></td>%s</tr>
    %s
  </table>>]
}"""


def small_graph():
    a, b = mg.Value(3.0, label="a"), mg.Value(-2.0, label="b")
    y = (a * b) * 2
    y.label = "y"
    y.backward()
    return y


def records():
    """The same graph as it is stored: a table, a row a record."""
    head = "".join(f'<td bgcolor="#e8eaf6"><b>{name}</b></td>' for name in COLUMNS)
    rows = "".join(
        "<tr>"
        + "".join(f"<td>{cell}</td>" for cell in row[:-1])
        + f'<td border="0" align="left">{row[-1]}</td></tr>'
        for row in RECORDS
    )
    return (
        "digraph { node [shape=plaintext fontname=Helvetica] t [label=<"
        '<table border="0" cellborder="1" cellspacing="0" cellpadding="6">'
        f'<tr>{head}<td border="0"></td></tr>{rows}</table>>] }}'
    )


def programs():
    """A neuron's loss as it was traced, and after the passes."""
    w = [mg.Value(0.5), mg.Value(-1.0)]
    b = mg.Value(0.1)
    f = mg.compile(lambda x, t: (1 - t * (b + w[0] * x[0] + w[1] * x[1])).relu(), batch=True)
    after = f.program(np.ones((2, 2)), np.ones(2))
    with _core.Trace() as trace:
        x, t = [trace.input(), trace.input()], trace.input()
        loss = f.__wrapped__(x, t)
    return viz.program_to_dot(trace.program([loss])[0]), viz.program_to_dot(after)


def derivatives():
    """A formula of three ops, its derivative and that one's."""
    x = mg.Value(1.5, label="x")
    y = x.sin() * x + x
    slope = mg.gradients(y, x)
    curve = mg.gradients(slope, x)
    for v, label in ((y, "y"), (slope, "dy/dx"), (curve, "d2y/dx2")):
        v.label = label
    return [viz.to_dot(v) for v in (y, slope, curve)]


def sparsity(target):
    """The example of docs/pictures.md."""
    chain = mg.compile(lambda x: [x[0], *[b - a * a for a, b in pairwise(x)], sum(x)])
    figure, axes = pyplot.subplots(figsize=(3.2, 3.2), layout="constrained")
    viz.spy(chain.sparsity(np.zeros(20)), axes=axes)
    figure.savefig(target, metadata={"Date": None})


def tile():
    """Slots by lanes: the block of numbers that one core works on."""
    lanes = ["sample 0", "sample 1", "sample 2", "...", "sample 255"]
    rows = ["x[0]", "x[1]", "t", "dot", "loss"]
    head = "".join(f'<td bgcolor="#cfe8ff">{lane}</td>' for lane in lanes)
    body = "\n".join(
        f'<tr><td bgcolor="#ffe7b8">slot {k}: {row}</td>' + "<td> </td>" * len(lanes) + "</tr>"
        for k, row in enumerate(rows)
    )
    return TILE % (head, body)


def main():
    IMAGES.mkdir(exist_ok=True)
    traced, optimized = programs()
    pictures = {
        "graph": viz.to_dot(small_graph()),
        "records": records(),
        "traced": traced,
        "optimized": optimized,
        "tile": tile(),
    }
    for order, text in enumerate(derivatives()):
        pictures[f"derivative{order}"] = text
    sparsity(IMAGES / "sparsity.svg")
    for name, text in pictures.items():
        target = IMAGES / f"{name}.svg"
        subprocess.run(["dot", "-Tsvg", "-o", target], input=text, encoding="utf-8", check=True)
        print(target)


if __name__ == "__main__":
    main()
