"""viz.compiled: which scalars became which step, and the page that shows it, in a real browser."""

import random
from xml.etree import ElementTree

import numpy as np
import pytest
from pages import chromium, open_pages

import micrograd_fast as mg
from micrograd_fast import Value, nn, viz
from micrograd_fast.viz.compiled_page import boxes, steps
from micrograd_fast.viz.compiled_page.page import MAX_BOXES

browser = pytest.fixture(chromium, scope="module")
opened = pytest.fixture(open_pages)

HOSTILE = "</script><img src=x onerror='window.hit = 1'>%%DATA%%"


@pytest.fixture
def hinge():
    state = random.getstate()
    random.seed(1)
    model = nn.MLP(2, [4, 1])
    random.setstate(state)

    @mg.compile(batch=True)
    def hinge(x, t):
        return (1 - t * model(x)).relu()

    return hinge


def call_of(f, *args):
    return steps.of_call(f, args, {}, 500)


def arguments(n=3, width=2):
    return np.ones((n, width)), np.ones(n)


# ---- which scalars became which step ----


def test_a_layer_is_a_step_and_its_products_belong_to_it(hinge):
    call = call_of(hinge, *arguments())
    assert [step.title for step in call.steps] == [
        "matrix 4 x 2",
        "4 relu",
        "sum of 4 products",
        "mul",
        "sub",
        "relu",
    ]
    matrix = call.steps[0]
    ops = [call.traced[v].op for v in matrix.made]
    assert (ops.count("mul"), ops.count("add")) == (8, 8)
    names = {call.names[v] for v in matrix.taken}
    assert {"x[0]", "x[1]", "model.layers[0].neurons[3].b"} < names
    assert len(names) == 2 + 12
    assert matrix.words == (
        "A matrix times a vector, plus a bias: 4 sums of 2 products in one step. "
        "Reads 2 of x, 12 of model.layers[0].neurons."
    )


def test_a_step_has_the_users_line_and_its_time(hinge):
    call = call_of(hinge, *arguments())
    assert all(step.line is not None and step.line[0] == __file__ for step in call.steps)
    assert boxes.line_text(call.steps[0].line).endswith(": return (1 - t * model(x)).relu()")
    assert all(step.forward >= 0.0 and step.backward >= 0.0 for step in call.steps)
    assert call.samples == 3 and call.gradient


def random_function(seed):
    draw = random.Random(seed)
    w = [[Value(draw.uniform(-1, 1)) for _ in range(4)] for _ in range(4)]

    count = draw.randrange(1, 25)
    plan = [(draw.randrange(6), draw.randrange(k), draw.randrange(k)) for k in range(8, 8 + count)]
    last = draw.randrange(8 + count)

    def f(x):
        values = [*x, *(sum(a * b for a, b in zip(row, x, strict=True)) for row in w)]
        for kind, i, j in plan:
            a, b = values[i], values[j]
            values.append([a * b, a + b, a - 1, a.tanh(), a * 1, a * 2 + b][kind])
        return values[-1] + values[last]

    return mg.compile(f, batch=seed % 2 == 0)


@pytest.mark.parametrize("seed", range(20))
def test_what_is_needed_belongs_to_a_step_and_nothing_else_does(seed):
    f = random_function(seed)
    call = call_of(f, np.ones((3, 4)) if seed % 2 == 0 else np.ones(4))
    needed = set(call.outputs)
    for v in range(len(call.traced) - 1, -1, -1):
        if v in needed:
            needed |= set(call.traced[v].operands)
    for v, (op, *_) in enumerate(call.traced):
        given = op in ("input", "captured", "number")
        assert not (given and call.makers[v])
        if not given and v not in needed:
            assert call.makers[v] == set()
    # Every step stands for nodes, and reads only what is given or comes from steps before it.
    for k, step in enumerate(call.steps):
        assert step.taken.isdisjoint(step.made)
        assert all(k in call.makers[v] for v in step.made)
        assert all(k in call.readers[v] for v in step.taken)
        computed = [call.makers[v] for v in step.taken if call.makers[v]]
        assert all(min(makers) < k for makers in computed)


def test_a_large_graph_is_drawn_in_groups(hinge):
    call = call_of(hinge, *arguments())
    single, grouped = boxes.boxes(call, 100), boxes.boxes(call, 10)
    assert len(single.picture.boxes) == len(call.traced)
    headings = [box.heading for box in grouped.picture.boxes]
    assert {"2 of x", "12 of model.layers[0].neurons", "8 mul", "8 add", "4 relu"} < set(headings)
    k = headings.index("8 mul")
    assert k in grouped.made[0] and grouped.says[k] == "computed by step 1"
    assert grouped.says[headings.index("2 of x")] == "read by step 1"


def test_names_are_listed_in_few_words():
    assert steps.listed(["a", "b", "a"]) == "a, b"
    assert steps.listed([f"m.w[{k}]" for k in range(5)]) == "5 of m.w"
    assert steps.listed([*(f"m.w[{k}].b" for k in range(5)), "x"]) == "5 of m.w, x"
    assert steps.stem(["layers[10]", "layers[11]"]) == "layers"
    assert steps.stem(["ab", "ac"]) == "a"
    assert steps.stem(["same", "same"]) == "same"


def test_functions_without_arguments_or_batch_have_a_page():
    w = [Value(0.5), Value(2.0)]
    page = viz.compiled(mg.compile(lambda: sum(p * p for p in w)))
    assert "sum of 2 products" in page.html()
    assert "sample" not in page.html()
    assert repr(page).startswith("<How <lambda> runs: ")


def test_bad_arguments_are_named(hinge, monkeypatch):
    with pytest.raises(TypeError, match=r"f must be a compiled function.*not 'function'"):
        viz.compiled(lambda x: x, 1.0)
    with pytest.raises(ValueError, match="max_boxes must be at least 1, not 0"):
        viz.compiled(hinge, *arguments(), max_boxes=0)
    monkeypatch.setattr("micrograd_fast.viz.compiled_page.page.MAX_STEPS", 5)
    with pytest.raises(ValueError, match=r"a call of hinge is 6 steps, too many .*f\.explain"):
        viz.compiled(hinge, *arguments())
    monkeypatch.setattr("micrograd_fast.viz.compiled_page.page.MAX_STEPS", 50)
    monkeypatch.setattr("micrograd_fast.viz.compiled_page.page.MAX_GROUPS", 5)
    with pytest.raises(ValueError, match="the graph has 54 boxes, too many to look at"):
        viz.compiled(hinge, *arguments(), max_boxes=MAX_BOXES)


def test_a_notebook_shows_the_page_in_a_frame_of_its_own(hinge):
    shown = viz.compiled(hinge, *arguments())._repr_html_()
    frame = ElementTree.fromstring(shown)
    assert frame.tag == "iframe" and frame.get("sandbox") == "allow-scripts"
    assert frame.get("srcdoc").startswith("<!doctype html>")


# ---- in a browser ----


def marked(tab, name):
    return tab.locator(f"#graph .node.{name}").count()


def test_a_step_marks_its_nodes_and_a_node_its_step(opened, hinge):
    page = viz.compiled(hinge, *arguments())
    tab = opened(page)
    step = tab.locator("#steps button").first
    assert step.locator(".title").text_content() == "matrix 4 x 2"
    step.hover()
    assert (marked(tab, "made"), marked(tab, "taken")) == (16, 14)
    tab.mouse.move(0, 0)
    assert marked(tab, "made") == 0
    node = page.data["made"][1][0]
    tab.locator(f"#n-n{node}").hover()
    classes = [b.get_attribute("class") or "" for b in tab.locator("#steps button").all()]
    assert classes == ["", "on", "reads", "", "", ""]


def test_a_click_keeps_a_step_until_the_next_or_escape(opened, hinge):
    tab = opened(viz.compiled(hinge, *arguments()))
    buttons = tab.locator("#steps button")
    buttons.nth(1).click()
    tab.mouse.move(0, 0)
    assert marked(tab, "made") == 4
    assert buttons.nth(1).get_attribute("aria-pressed") == "true"
    buttons.nth(0).click()
    assert marked(tab, "made") == 16
    assert buttons.nth(1).get_attribute("aria-pressed") == "false"
    tab.keyboard.press("Escape")
    assert marked(tab, "made") == 0


def test_keys_go_through_the_steps_and_through_the_graph(opened, hinge):
    tab = opened(viz.compiled(hinge, *arguments()))
    tab.locator("#steps button").first.focus()
    tab.keyboard.press("ArrowDown")
    assert tab.evaluate("document.activeElement.querySelector('.title').textContent") == "4 relu"
    assert marked(tab, "made") == 4
    assert tab.locator("#said").text_content() == "Computes 4 of the graph's boxes, reads 4."
    tab.keyboard.press("End")
    assert tab.evaluate("document.activeElement.querySelector('.title').textContent") == "relu"
    tab.locator("#n-n0").focus()
    tab.keyboard.press("ArrowRight")
    assert tab.evaluate("document.activeElement.id") == "n-n1"
    assert tab.locator("#said").text_content() == "x[1], read by step 1."
    assert "reads" in tab.locator("#steps button").first.get_attribute("class")
    tab.keyboard.press("Enter")
    tab.keyboard.press("Tab")
    assert "reads" in tab.locator("#steps button").first.get_attribute("class")


def test_it_fits_a_phone_and_can_be_read_in_the_dark(opened, hinge):
    page = viz.compiled(hinge, *arguments())
    tab = opened(page, viewport={"width": 320, "height": 640})
    assert tab.evaluate("document.documentElement.scrollWidth") <= 320
    tab = opened(page, color_scheme="dark")
    colours = [
        tab.evaluate(f"getComputedStyle(document.querySelector('{what}')).{name}")
        for what, name in (("body", "backgroundColor"), ("#graph .box", "fill"))
    ]
    for colour in colours:
        assert sum(map(int, colour[4:-1].split(", "))) < 200, colour


def test_without_javascript_graph_and_steps_can_be_read(opened, hinge):
    tab = opened(viz.compiled(hinge, *arguments()), java_script_enabled=False)
    assert tab.locator("#steps li").count() == 6
    assert tab.locator("#graph svg g").count() == 54


def test_names_cannot_bring_markup_into_the_page(opened):
    w = Value(1.0, label=HOSTILE)

    def f(x):
        return w * x

    f.__name__ = HOSTILE
    tab = opened(viz.compiled(mg.compile(f), 2.0))
    assert tab.locator("h1 code").text_content() == HOSTILE
    assert tab.evaluate("window.hit") is None
