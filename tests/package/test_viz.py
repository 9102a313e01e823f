"""Pictures: the nodes that micrograd's notebook draws, the guards, and what notebooks show."""

import math
import random
import re
import shutil
import subprocess
import sys
from collections import Counter
from xml.etree import ElementTree

import numpy as np
import pytest

import micrograd_fast as mg
from micrograd_fast import Value, _core, nn, viz

NODE = re.compile(r'^\t(\w+) \[label="((?:[^"\\]|\\.)*)"(?: shape=(\w+))?', re.M)
EDGE = re.compile(r"^\t(\w+) -> (\w+)", re.M)

needs_dot = pytest.mark.skipif(shutil.which("dot") is None, reason="Graphviz is not installed")


@pytest.fixture
def neuron():
    """The notebook's second example: a neuron of two inputs, after backward()."""
    state = random.getstate()
    random.seed(1337)
    x1, x2 = Value(1.0, label="x1"), Value(-2.0)
    y = nn.Neuron(2)([x1, x2])
    random.setstate(state)
    y.backward()
    return y


def parsed(text):
    """Labels of records and of ops, and the edges as pairs of labels."""
    nodes = {name: (label, shape) for name, label, shape in NODE.findall(text)}
    records = Counter(label for label, shape in nodes.values() if shape == "record")
    others = Counter(label for label, shape in nodes.values() if shape != "record")
    return records, others, Counter((nodes[a][0], nodes[b][0]) for a, b in EDGE.findall(text))


def deep(n):
    v = Value(1.0)
    for _ in range(n):
        v = v + 1.0
    return v


def test_a_graph_is_drawn_as_in_micrograds_notebook(neuron):
    records, ops, edges = parsed(viz.to_dot(neuron))
    assert sum(records.values()) == 10
    assert ops == {"*": 2, "+": 2, "ReLU": 1}
    assert records["{ x1 | data 1.0000 | grad 0.2355 }"] == 1
    assert records["{ data 0.1024 | grad 1.0000 }"] == 2
    assert sum(edges.values()) == 9 + 5
    assert edges["{ x1 | data 1.0000 | grad 0.2355 }", "*"] == 1
    assert edges["ReLU", "{ data 0.1024 | grad 1.0000 }"] == 1


def test_trace_gives_nodes_and_edges_of_a_graph_of_any_depth(neuron):
    nodes, edges = viz.trace(neuron)
    assert len(nodes) == 10
    assert edges == {(x, node) for node in nodes for x in node._prev}
    assert len(viz.trace(deep(20_000))[0]) == 40_001


def test_labels_and_ops_of_any_text_are_shown_as_they_are():
    x = Value(1.0, label='a|b {"c"} <d>\\e')
    text = viz.to_dot(Value(2.0, (x,), 'op "q" \\n'))
    assert '{ a\\|b\\ \\{\\"c\\"\\}\\ \\<d\\>\\\\e | data 1.0000' in text
    assert '[label="op \\"q\\" \\\\n"]' in text


@needs_dot
@pytest.mark.parametrize(
    "label, shown",
    [
        ("a&amp;b", "a&amp;b"),
        ("&lt;x&gt; & y", "&lt;x&gt; & y"),
        ("&#65;", "&#65;"),
        ("nul\0l", "nul\u2400l"),
        ("bell\x07", "bell\u2407"),
        ("surrogate\ud800", "surrogate?"),
        (None, None),
        (5, "5"),
        ("ünïcode \N{SNOWMAN}", "ünïcode \N{SNOWMAN}"),
    ],
)
def test_graphviz_shows_a_label_letter_by_letter(label, shown):
    def texts(root):
        nodes = ElementTree.fromstring(viz.svg(root)).iter()
        return [node.text.replace("\xa0", " ").strip() for node in nodes if node.text]

    x, y = Value(1.0), Value(2.0, label="y")
    x.label = label
    if shown is None:
        assert not any("None" in text for text in texts(x + y))
        return
    assert shown in texts(x + y)
    assert shown in texts(Value(1.0, (x, y), str(label)))


def test_numbers_that_four_decimals_do_not_show_have_an_exponent():
    for number, shown in [(0.0, "0.0000"), (-1e-7, "-1.000e-07"), (1e9, "1.000e+09")]:
        assert f"data {shown} |" in viz.to_dot(Value(number))
    assert "data nan |" in viz.to_dot(Value(float("nan")))


def test_a_large_graph_is_refused_with_its_size_and_how_to_draw_a_part():
    with pytest.raises(
        ValueError, match=r"the graph has 1,001 nodes, and max_nodes is 500: .*"
    ) as e:
        viz.to_dot(deep(500))
    depth = int(re.search(r"depth=(\d+)", str(e.value))[1])
    assert 400 < 2 * depth + 1 <= 500
    assert len(parsed(viz.to_dot(deep(500), depth=depth))[1]) == 2  # "+", and "..." where it ends
    assert sum(parsed(viz.to_dot(deep(500), max_nodes=1001))[0].values()) == 1001
    with pytest.raises(ValueError, match=r"the graph has more than 100,000 nodes"):
        viz.to_dot(deep(60_000))


def test_depth_draws_what_is_near_the_root(neuron):
    assert sum(parsed(viz.to_dot(neuron, depth=0))[0].values()) == 1
    records, others, edges = parsed(viz.to_dot(neuron, depth=2))
    assert sum(records.values()) == 4
    assert others["..."] == 2
    assert edges["...", "*"] == edges["...", "+"] == 1


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        (({},), TypeError, "root must be a Value, not 'dict'"),
        ((Value(1), "down"), ValueError, "rankdir must be one of"),
        ((Value(1), "LR", 0), ValueError, "max_nodes must be at least 1, not 0"),
        ((Value(1), "LR", 10, -1), ValueError, "depth must be at least 0, not -1"),
        ((Value(1), "LR", 10, 1.5), TypeError, "depth must be a whole number, not 'float'"),
    ],
)
def test_bad_arguments_are_named(arguments, error, text):
    names = ("root", "rankdir", "max_nodes", "depth")
    with pytest.raises(error, match=text):
        viz.to_dot(**dict(zip(names, arguments, strict=False)))


def test_draw_dot_is_the_same_picture_as_a_digraph(neuron):
    pytest.importorskip("graphviz")
    picture = viz.draw_dot(neuron, format="png", rankdir="TB")
    assert picture.format == "png"
    assert "rankdir=TB" in picture.source
    assert parsed(picture.source) == parsed(viz.to_dot(neuron))


def test_without_the_package_graphviz_the_cure_is_named(monkeypatch, neuron):
    monkeypatch.setitem(sys.modules, "graphviz", None)
    with pytest.raises(ImportError, match=r"pip install 'micrograd-fast\[viz\]'"):
        viz.draw_dot(neuron, format="png")
    with pytest.raises(ImportError, match=r"pip install 'micrograd-fast\[viz\]'"):
        viz.draw_dot(neuron, graphviz=True)


@needs_dot
def test_graphviz_accepts_every_picture(neuron):
    program = mg.compile(lambda x: mg.take([x, x.exp()], x)).program(np.int64(1))
    odd = Value(2.0, (Value(1.0, label='|{}<>" \\'),), '\\"')
    for text in (viz.to_dot(neuron, depth=1), viz.to_dot(odd), viz.program_to_dot(program)):
        done = subprocess.run(["dot", "-Tsvg"], input=text, capture_output=True, encoding="utf-8")
        assert (done.returncode, done.stderr) == (0, "")


@needs_dot
def test_a_notebook_shows_small_graphs_as_pictures_and_the_rest_as_text(neuron):
    assert '<svg style="max-width:100%' in neuron._repr_svg_()
    assert 'class="mg"' not in neuron._repr_svg_()
    assert Value(1.0)._repr_svg_() is None
    assert deep(100)._repr_svg_() is None


def test_without_graphviz_a_notebook_shows_a_picture_of_our_own(monkeypatch, neuron, tmp_path):
    monkeypatch.setenv("PATH", str(tmp_path))
    assert 'class="mg"' in neuron._repr_svg_()
    assert Value(1.0)._repr_svg_() is None
    assert deep(100)._repr_svg_() is None


def test_where_graphviz_fails_a_notebook_shows_a_picture_of_our_own(monkeypatch, neuron):
    def fail(*_, **__):
        raise subprocess.CalledProcessError(1, "dot")

    monkeypatch.setattr(shutil, "which", lambda name: name)
    monkeypatch.setattr(subprocess, "run", fail)
    assert 'class="mg"' in neuron._repr_svg_()


def test_a_compiled_program_is_drawn_instruction_by_instruction():
    w = Value(2.0)
    f = mg.compile(lambda x: (w * x).tanh() + 3.0)
    text = f.program(1.5)
    picture = viz.program_to_dot(text)
    assert len(NODE.findall(picture)) == len(text.instructions()) > 3
    labels = [label for _, label, _ in NODE.findall(picture)]
    for start in ("input 0\\nv", "captured 0\\nv", "tanh\\nv", "3.0\\nv"):
        assert sum(label.startswith(start) for label in labels) == 1
    assert picture.count("peripheries=2") == 1
    assert parsed(picture)[2][labels[0], next(x for x in labels if "mul" in x)] == 1
    pytest.importorskip("graphviz")
    assert parsed(viz.draw_program(text).source) == parsed(picture)


def test_what_is_no_program_is_refused():
    with pytest.raises(TypeError, match="not 'int'"):
        viz.program_to_dot(3)
    with pytest.raises(ValueError, match="no more than a text"):
        viz.program_to_dot("nothing")
    with pytest.raises(ValueError, match="program is empty"):
        viz.program_to_dot(_core.Program())
    f = mg.compile(lambda x: x.exp() + x.sin())
    with pytest.raises(ValueError, match=r"4 instructions, and max_instructions is 2"):
        viz.program_to_dot(f.program(1.0), max_instructions=2)


def test_decision_boundary_of_a_score_has_a_line_where_it_is_zero():
    figures = pytest.importorskip("matplotlib.figure")
    axes = figures.Figure().subplots()
    X, y = np.array([[-1.0, 0.0], [2.0, 1.0]]), np.array([-1, 1])
    shown = viz.decision_boundary(lambda x: Value(1.0) * x[0] - 0.5, X, y, axes=axes, resolution=9)
    assert shown is axes
    assert axes.get_xlim() == (-2.0, 3.0)
    line = axes.collections[1].get_paths()[0].vertices
    assert np.allclose(line[:, 0], 0.5)
    assert axes.collections[2].get_offsets().tolist() == X.tolist()


def test_decision_boundary_of_scores_colours_by_the_largest():
    figures = pytest.importorskip("matplotlib.figure")
    axes = figures.Figure().subplots()
    model = nn.Layer(2, 3)
    viz.decision_boundary(model, [[0.0, 0.0], [1.0, 1.0]], [0, 2], axes=axes, resolution=4)
    points = np.linspace(-1.0, 2.0, 4)
    expected = [np.argmax([v.data for v in model([a, b])]) for b in points for a in points]
    assert axes.collections[0].get_array().ravel().tolist() == expected


def drawn(model, **options):
    figures = pytest.importorskip("matplotlib.figure")
    axes = figures.Figure().subplots()
    X, y = np.array([[-1.0, -1.0], [1.0, 1.0]]), np.array([0, 1])
    viz.decision_boundary(model, X, y, axes=axes, resolution=9, **options)
    axes.figure.canvas.draw()
    return axes


@pytest.mark.parametrize("odd", [math.nan, math.inf, -math.inf])
def test_a_boundary_with_one_odd_score_is_drawn_round_it(odd):
    def score(x):
        return Value(odd if x == [0.0, 0.0] else x[0] - 0.25)

    line = drawn(score).collections[1].get_paths()[0].vertices
    far = line[np.abs(line).max(axis=1) > 1.0]
    assert len(far) and np.allclose(far[:, 0], 0.25)
    # The colours are those of the other scores.
    assert drawn(score).collections[0].get_clim() == pytest.approx((-2.25, 2.25))


def test_a_class_with_a_nan_score_is_left_white():
    def scores(x):
        return [Value(x[0]), Value(math.nan if x == [0.0, 0.0] else -x[0])]

    classes = drawn(scores).collections[0].get_array()
    assert classes.mask.sum() == 1
    assert classes.compressed().tolist().count(1) == 36


def test_answers_that_are_all_nan_and_points_that_are_not_finite_are_refused():
    with pytest.raises(ValueError, match="answer is nan on the whole plane"):
        drawn(lambda x: Value(math.nan))
    with pytest.raises(ValueError, match="X must be finite"):
        viz.decision_boundary(lambda x: Value(1.0), [[math.nan, 1.0]], [1])


def test_training_curve_plots_every_series_from_step_1():
    figures = pytest.importorskip("matplotlib.figure")
    axes = viz.training_curve([3.0, 2.0], axes=figures.Figure().subplots(), accuracy=[0.5])
    assert [line.get_label() for line in axes.lines] == ["loss", "accuracy"]
    assert axes.lines[0].get_xydata().tolist() == [[1.0, 3.0], [2.0, 2.0]]
    assert axes.get_ylim()[0] == 0.0


def test_spy_marks_the_entries_of_a_jacobian():
    figures = pytest.importorskip("matplotlib.figure")
    sparse = pytest.importorskip("scipy.sparse")
    f = mg.compile(lambda x: [x[0] * x[1], 3 * x[1], x[2].relu() + x[0]])
    pattern = f.sparsity(np.zeros(3))
    axes = viz.spy(pattern, axes=figures.Figure().subplots())
    (line,) = axes.lines
    assert sorted(map(tuple, line.get_xydata())) == [(0, 0), (0, 2), (1, 0), (1, 1), (2, 2)]
    assert (axes.get_xlabel(), axes.get_title()) == ("number of x", "5 of 3 x 3")
    assert axes.get_ylim() == (2.5, -0.5)
    axes = viz.spy([[0.0, 2.0]], axes=figures.Figure().subplots())
    assert axes.lines[0].get_xydata().tolist() == [[1.0, 0.0]]
    kept = sparse.csr_array(([0.0], ([0], [1])), shape=(1, 2))  # an entry that happens to be 0
    assert len(viz.spy(kept, axes=figures.Figure().subplots()).lines[0].get_xydata()) == 1


def test_without_axes_a_figure_is_made():
    pyplot = pytest.importorskip("matplotlib.pyplot")
    axes = viz.training_curve([3.0, 2.0])
    assert axes in pyplot.gcf().axes
    pyplot.close(axes.figure)


def test_plots_of_wrong_shapes_are_refused():
    pytest.importorskip("matplotlib")
    with pytest.raises(ValueError, match=r"X must have the shape \(n, 2\), not \(3,\)"):
        viz.decision_boundary(None, [1, 2, 3], [1, 2, 3])
    with pytest.raises(ValueError, match=r"y must have the shape \(1,\), not \(2,\)"):
        viz.decision_boundary(None, [[1, 2]], [1, 2])
    with pytest.raises(ValueError, match="losses must have at least one entry"):
        viz.training_curve([])
    for shape in ((2,), (0, 3)):
        with pytest.raises(ValueError, match=re.escape(f"not the shape {shape}")):
            viz.spy(np.ones(shape))


def test_without_matplotlib_the_cure_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    monkeypatch.setitem(sys.modules, "matplotlib.pyplot", None)
    with pytest.raises(ImportError, match=r"pip install 'micrograd-fast\[viz\]'"):
        viz.training_curve([1.0])
