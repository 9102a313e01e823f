"""Pictures without Graphviz: what is in the SVG, what is escaped, what is written where."""

import re
import sys
from xml.etree import ElementTree

import numpy as np
import pytest

import micrograd_fast as mg
from micrograd_fast import Value, viz
from micrograd_fast.viz.drawing import Drawing

SVG = "{http://www.w3.org/2000/svg}"


def small():
    a, b = Value(3.0, label="a"), Value(-2.0, label="b")
    y = a * b
    y.backward()
    return y


def parsed(picture):
    return ElementTree.fromstring(picture.svg)


def texts(picture):
    return ["".join(text.itertext()) for text in parsed(picture).iter(SVG + "text")]


def own(root, **options):
    return viz.draw_dot(root, graphviz=False, **options)


def test_a_picture_shows_labels_numbers_and_ops():
    shown = texts(own(small()))
    records = ["a", "data 3.0000", "grad -2.0000", "b", "data -2.0000", "grad 3.0000"]
    assert sorted(shown) == sorted([*records, "*", "data -6.0000", "grad 1.0000"])
    assert len(parsed(own(small())).findall(f".//{SVG}path[@class='edge']")) == 2 + 1


def test_a_picture_fits_its_cell_and_is_told_to_who_does_not_see_it():
    root = parsed(own(small()))
    assert root.get("style") == "max-width:100%;height:auto"
    box = [float(x) for x in root.get("viewBox").split()]
    assert (root.get("width"), root.get("height")) == (f"{box[2]:.0f}", f"{box[3]:.0f}")
    assert root.get("role") == "img"
    assert root.find(SVG + "title").text == "The graph of -6.0000"
    assert root.find(SVG + "desc").text == "3 values, made by *."
    assert "prefers-color-scheme:dark" in root.find(SVG + "style").text


def test_no_box_reaches_over_the_border():
    odd = Value(1.0, (Value(1.0, label="a label of many letters, more than forty of them"),), "op")
    for picture in (own(odd), own(odd, rankdir="TB")):
        root = parsed(picture)
        left, top, width, height = (float(x) for x in root.get("viewBox").split())
        rects = [r for r in root.iter(SVG + "rect") if r.get("class") != "ground"]
        assert len(rects) >= 2
        for rect in rects:
            x, y, w, h = (float(rect.get(k)) for k in ("x", "y", "width", "height"))
            assert left <= x and x + w <= left + width and top <= y and y + h <= top + height


@pytest.mark.parametrize(
    ("label", "shown"),
    [
        ("<b>&amp;\"'</b>", "<b>&amp;\"'</b>"),
        ("</text><script>alert(1)</script>", "</text><script>alert(1)</script>"),
        ("nul\0l", "nul\u2400l"),
        ("delete\x7f\uffff", "delete??"),
        ("two\nlines", "two\u240alines"),
        ("surrogate\ud800", "surrogate?"),
        ("ünïcode \N{SNOWMAN}", "ünïcode \N{SNOWMAN}"),
        ("x" * 41, "x" * 37 + "..."),
    ],
)
def test_text_is_shown_letter_by_letter(label, shown):
    assert shown in texts(own(Value(1.0, label=label)))
    assert shown in texts(own(Value(1.0, (Value(2.0),), label)))


def test_colours_say_sign_and_size_of_the_gradient():
    a, b, c = Value(1.0, label="a"), Value(2.0, label="b"), Value(1.0, label="c")
    y = a * 4 - b + 0 * c
    y.backward()
    boxes = {}
    for group in parsed(own(y)).iter(SVG + "g"):
        texts_inside = ["".join(t.itertext()) for t in group.iter(SVG + "text")]
        tints = [r for r in group.iter(SVG + "rect") if r.get("class") in ("plus", "minus")]
        boxes.update({t: tints for t in texts_inside if t in "abc"})
    assert [r.get("class") for r in boxes["a"]] == ["plus"]
    assert [r.get("class") for r in boxes["b"]] == ["minus"]
    assert boxes["c"] == []
    assert float(boxes["a"][0].get("fill-opacity")) > float(boxes["b"][0].get("fill-opacity"))
    assert not re.search('class="(plus|minus)"', own(y, colours=False).svg)
    assert "fillcolor" in viz.to_dot(y) and "fillcolor" not in viz.to_dot(y, colours=False)


@pytest.mark.parametrize("odd", [float("nan"), float("inf"), float("-inf")])
def test_gradients_that_are_no_numbers_do_not_stop_a_picture(odd):
    y = small()
    next(iter(y._prev)).grad = odd
    assert f"grad {odd:.4f}" in texts(own(y)) or f"grad {odd:.3e}" in texts(own(y))


def test_a_part_shows_where_it_ends():
    y = small() + 1
    assert 'class="edge cut"' in own(y, depth=0).svg
    assert 'class="edge cut"' not in own(y).svg


def test_render_writes_a_file_and_says_where(tmp_path):
    picture = own(small())
    assert picture.render(tmp_path / "graph") == str(tmp_path / "graph.svg")
    assert (tmp_path / "graph.svg").read_text("utf-8") == picture.svg == picture._repr_svg_()
    assert picture.render(str(tmp_path / "b.SVG")) == str(tmp_path / "b.SVG")
    assert picture.source == viz.to_dot(small())
    assert repr(picture).startswith("<Drawing of 3 boxes and 2 edges")


def test_graphviz_is_used_where_program_and_package_are_there(monkeypatch, tmp_path):
    pytest.importorskip("graphviz")
    monkeypatch.setattr("shutil.which", lambda name: name)
    assert type(viz.draw_dot(small())).__name__ == "Digraph"
    monkeypatch.setattr("shutil.which", lambda name: None)
    assert isinstance(viz.draw_dot(small()), Drawing)
    assert type(viz.draw_dot(small(), graphviz=True)).__name__ == "Digraph"


def test_without_the_package_the_picture_is_our_own(monkeypatch):
    monkeypatch.setitem(sys.modules, "graphviz", None)
    monkeypatch.setattr("shutil.which", lambda name: name)
    assert isinstance(viz.draw_dot(small()), Drawing)
    with pytest.raises(ValueError, match="without Graphviz the format must be 'svg', not 'png'"):
        viz.draw_dot(small(), "png", graphviz=False)


def test_a_program_is_drawn_with_inputs_parameters_and_results():
    w = Value(2.0)
    f = mg.compile(lambda x: (w * x[0] + x[1]).tanh())
    picture = viz.draw_program(f.program(np.ones(2)), graphviz=False)
    shown = texts(picture)
    assert {"input 0", "input 1", "captured 0", "tanh"} <= set(shown)
    classes = [r.get("class").strip() for r in parsed(picture).iter(SVG + "rect")]
    assert classes.count("box input") == 2 and classes.count("box captured") == 1
    assert classes.count("twice") == 1


def test_the_same_graph_is_the_same_text():
    assert own(small()).svg == own(small()).svg


def test_a_format_that_is_no_text_is_refused():
    with pytest.raises(TypeError, match="format must be a str, 'svg', not 'int'"):
        viz.draw_dot(Value(1.0), format=3)
