"""Draws docs/images/: the pictures of the docs, but for those that screenshot.py takes of pages.

The tables need Graphviz, the plots and films Matplotlib and scikit-learn. Those of docs/pictures.md
are made by its own code. Usage: pictures.py
"""

import contextlib
import os
import random
import re
import subprocess
import tempfile
from itertools import pairwise
from pathlib import Path

import numpy as np
from matplotlib import pyplot
from sklearn.datasets import make_moons

import micrograd_fast as mg
from micrograd_fast import _core, demo, nn, viz

DOCS = Path(__file__).resolve().parent.parent / "docs"
IMAGES = DOCS / "images"
SEED = 4  # of the networks in docs/pictures.md

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
    return [viz.draw_program(p, graphviz=False) for p in (trace.program([loss])[0], after)]


def derivatives():
    """A formula of three ops, its derivative and that one's."""
    x = mg.Value(1.5, label="x")
    y = x.sin() * x + x
    slope = mg.gradients(y, x)
    curve = mg.gradients(slope, x)
    for v, label in ((y, "y"), (slope, "dy/dx"), (curve, "d2y/dx2")):
        v.label = label
    return [viz.draw_dot(v, graphviz=False) for v in (y, slope, curve)]


def code_of(page):
    """What the code of a page of the docs leaves in its names."""
    text = "\n".join(re.findall(r"^```python\n(.*?)^```", page.read_text("utf-8"), re.M | re.S))
    random.seed(SEED)
    names, programs_at = {}, os.environ["PATH"]
    os.environ["PATH"] = ""  # what it draws is drawn without Graphviz
    try:
        with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
            exec(compile(text, str(page), "exec"), names)
    finally:
        os.environ["PATH"] = programs_at
    return names


def of_pictures_page():
    """The pictures of docs/pictures.md that its text does not write itself."""
    names = code_of(DOCS / "pictures.md")
    names["film"].save(IMAGES / "film.gif")
    names["axes"].figure.set_size_inches(5.6, 4.2)
    names["axes"].figure.savefig(IMAGES / "surface.png", dpi=90, metadata={"Software": None})
    return {
        "named": viz.draw_dot(names["score"], names=names["model"], graphviz=False),
        "folded": names["folded"],
    }


def moons(target):
    """micrograd's demo, as it trains."""
    np.random.seed(1337)
    X, y = make_moons(n_samples=100, noise=0.1)
    y = y * 2 - 1
    random.seed(1337)
    model = nn.MLP(2, [16, 16, 1])
    step = demo.compiled_moons(model, X, y)
    viz.train(lambda k: step(k)[0], model, X, y, steps=100, frames=16).save(target)


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
    os.environ.setdefault("MPLBACKEND", "Agg")
    IMAGES.mkdir(exist_ok=True)
    traced, optimized = programs()
    drawings = {
        "graph": viz.draw_dot(small_graph(), graphviz=False),
        "traced": traced,
        "optimized": optimized,
        **{f"derivative{order}": drawing for order, drawing in enumerate(derivatives())},
        **of_pictures_page(),
    }
    sparsity(IMAGES / "sparsity.svg")
    moons(IMAGES / "moons.gif")
    for name, drawing in drawings.items():
        print(drawing.render(IMAGES / name))
    for name, text in (("records", records()), ("tile", tile())):
        target = IMAGES / f"{name}.svg"
        subprocess.run(["dot", "-Tsvg", "-o", target], input=text, encoding="utf-8", check=True)
        print(target)


if __name__ == "__main__":
    main()
