"""viz.backprop: the page's numbers are backward()'s, bit by bit; its words; how it folds.

What a browser makes of it is in test_backprop_page.py.
"""

import html
import json
import math
import re

import numpy as np
import pytest
from programs import bits

import micrograd_fast as mg
from micrograd_fast import Value, _core, nn, optim, viz
from micrograd_fast.viz.backprop_page import symbols

EAGER = {"add": lambda x, y: x + y, "mul": lambda x, y: x * y, "vpow": lambda x, y: x**y}


def random_graph(rng, n, custom=False):
    """A graph with operands used many times, and numbers whose sums depend on the order."""
    values = [Value(rng.uniform(-1, 1) * 10 ** rng.randrange(-8, 9)) for _ in range(4)]
    for _ in range(n):
        x, y = rng.choice(values[-6:]), rng.choice(values)
        kind = rng.randrange(6)
        if kind == 0:
            z = (x * 1e-9).tanh()
        elif kind == 1:
            z = x.maximum(y)
        elif kind == 2 and custom:
            z = custom_product(x, y)
        elif kind <= 3:
            z = x * y * 1e-9
        else:
            z = x + y
        values.append(z)
    return sum(values), values


def custom_product(x, y):
    z = Value(x.data * y.data, (x, y), "product")

    def step():
        x.grad += y.data * z.grad
        y.grad += x.data * z.grad

    z._backward = step
    return z


def numbers_of(page):
    return [node["grad"] for node in page.data["nodes"]]


def backward_rows(page):
    return [(s, row) for s in page.data["steps"] if s["phase"] == "backward" for row in s["rows"]]


def under(root):
    """All nodes, root first."""
    found, todo = {root: None}, [root]
    while todo:
        for child in todo.pop()._children:
            if child not in found:
                found[child] = None
                todo.append(child)
    return list(found)


# ---- the numbers are backward()'s ----


@pytest.mark.parametrize("custom", [False, True])
def test_every_gradient_of_the_page_is_that_of_backward(rng, custom):
    for k in range(30):
        root, values = random_graph(rng, 5 + k, custom)
        for place, v in enumerate(values):
            v.label = f"n{place}"
        page = viz.backprop(root, max_nodes=1000)
        root.backward()
        expected = {v.label: v.grad for v in values}
        shown = {n["name"]: n["grad"] for n in page.data["nodes"] if n["name"] in expected}
        assert {n: bits(g) for n, g in shown.items()} == {
            n: bits(g) for n, g in expected.items() if n in shown
        }
        assert len(shown) > 3


def test_sums_are_added_up_in_the_order_of_backward(rng):
    """1e16 + 1 - 1e16 is 0 or 1: with five summands of such sizes the order shows."""
    for _ in range(200):
        x = Value(1.0, label="x")
        factors = [1e16, 1.0, -1e16, 3.0, 1e-3]
        rng.shuffle(factors)
        terms = [x * f for f in factors]
        rng.shuffle(terms)
        root = sum(terms)
        shown = next(n["grad"] for n in viz.backprop(root).data["nodes"] if n["name"] == "x")
        root.backward()
        assert bits(shown) == bits(x.grad)


def test_every_row_is_the_sum_before_and_a_product(rng):
    root, _ = random_graph(rng, 40)
    page = viz.backprop(root, max_nodes=1000)
    grads = [0.0] * len(page.data["nodes"])
    grads[-1] = 1.0
    assert len(backward_rows(page)) > 40
    for step, row in backward_rows(page):
        assert bits(step["grad"]) == bits(row["grad"]) == bits(grads[step["node"]])
        assert bits(row["product"]) == bits(row["local"] * row["grad"])
        assert bits(row["before"]) == bits(grads[row["to"]])
        assert bits(row["after"]) == bits(row["before"] + row["product"])
        grads[row["to"]] = row["after"]
    assert list(map(bits, grads)) == list(map(bits, numbers_of(page)))


def test_the_order_is_topological_and_backward_is_its_reverse(rng):
    for custom in (False, True):
        root, _ = random_graph(rng, 40, custom)
        page = viz.backprop(root, max_nodes=1000)
        nodes, steps = page.data["nodes"], page.data["steps"]
        assert all(x < k for k, node in enumerate(nodes) for x in node["operands"])
        assert len(nodes) == len(under(root))
        forward = [s["node"] for s in steps if s["phase"] == "forward"]
        backward = [s["node"] for s in steps if s["phase"] == "backward"]
        assert forward == list(range(len(nodes)))
        assert backward == sorted(backward, reverse=True)
        assert set(backward) == {k for k, node in enumerate(nodes) if node["operands"]}


def test_looking_changes_nothing(rng, live_nodes_unchanged):
    root, values = random_graph(rng, 30, custom=True)
    for v in under(root):
        v.grad = rng.uniform(-1, 1)
    before = {v: (v.data, v.grad, v.label, v._op, v._children) for v in under(root)}
    adam = optim.Adam(values[:4], lr=0.1)
    adam.step()
    for v in values[:4]:
        before[v] = (v.data, *before[v][1:])
    state = adam.state_dict()
    page = viz.backprop(root, optimizer=adam, max_nodes=1000)
    page.html()
    assert {v: (v.data, v.grad, v.label, v._op, v._children) for v in under(root)} == before
    assert adam.state_dict() == state
    del page, root, values, before, adam, v


def test_gradients_are_put_back_when_a_step_raises():
    x = Value(0.0)
    root = x.sqrt() + x
    x.grad = 7.0
    with pytest.raises(ZeroDivisionError):
        viz.backprop(root)
    assert (x.grad, root.grad) == (7.0, 0.0)
    y = Value(1.0, (x,), "mine")
    y._backward = lambda: [][0]
    with pytest.raises(IndexError):
        viz.backprop(y * 2)
    assert (x.grad, y.grad) == (7.0, 0.0)


def test_accumulate_begins_with_the_gradients_that_are_there():
    x = Value(3.0, label="x")
    root = (x * x).exp()
    root.backward()
    once = x.grad
    page = viz.backprop(root, accumulate=True)
    assert "added to" in page.data["steps"][-2]["say"]
    assert [n["before"] for n in page.data["nodes"]] != [0.0, 0.0, 0.0]
    root.backward()
    assert page.data["nodes"][0]["grad"] == x.grad
    afresh = viz.backprop(root).data
    assert afresh["nodes"][0]["grad"] == once != x.grad
    assert all(row["local"] for step in afresh["steps"] for row in step.get("rows", ()))


# ---- nodes beside the op table ----


def test_a_custom_step_shows_what_it_added():
    x = Value(2.0, label="x")
    z = custom_product(x, Value(5.0, label="y"))
    (first, second) = [row for _, row in backward_rows(viz.backprop(z * 3.0))][2:]
    assert (first["name"], first["product"], first["local"]) == ("x", 15.0, None)
    assert (second["name"], second["product"]) == ("y", 6.0)
    assert first["symbols"] == "the step of its own _backward()"


def test_a_step_of_the_users_in_place_of_an_ops_is_what_is_shown():
    x = Value(2.0, label="x")
    z = x * 3.0

    def clipped():
        x.grad += 0.5

    z._backward = clipped
    (row,) = (row for _, row in backward_rows(viz.backprop(z)) if row["name"] == "x")
    assert (row["product"], row["local"]) == (0.5, None)


def test_what_a_step_does_elsewhere_in_the_graph_is_seen():
    x, y = Value(2.0, label="x"), Value(5.0, label="y")
    z = x * 3.0

    def step():
        z._local_backward()
        y.grad += 0.25

    z._backward = step
    rows = {row["name"]: row for _, row in backward_rows(viz.backprop(z + y))}
    assert (rows["y"]["product"], rows["y"]["before"]) == (0.25, 1.0)
    w = Value(1.0, label="w")
    w._backward = lambda: setattr(y, "grad", y.grad + 2.0 * w.grad)
    page = viz.backprop(w * 3.0 + y)
    assert [n["grad"] for n in page.data["nodes"] if n["name"] in "wy"] == [3.0, 7.0]
    assert "What its step adds is seen" in page.data["steps"][-2]["lead"]


def test_local_gradients_as_microgpt_gives_them():
    x, y = Value(2.0, label="x"), Value(5.0, label="y")
    z = Value(10.0, (x, y), (5.0, 2.0))
    rows = [row for _, row in backward_rows(viz.backprop(z))]
    assert [(r["local"], r["symbols"]) for r in rows] == [
        (5.0, "as it was given"),
        (2.0, "as it was given"),
    ]


def test_a_compiled_call_passes_gradient_on_to_what_it_read():
    model = nn.MLP(2, [2, 1])
    f = mg.compile(lambda x: (1 - model(x)).relu(), batch=True)
    rows = np.array([[1.0, 2.0], [0.5, -1.0]])
    loss = f(rows).mean() + 0.1 * sum(p * p for p in model.parameters())
    page = viz.backprop(loss, names=model, lr=0.1)
    loss.backward()
    shown = {n["path"]: n["grad"] for n in page.data["nodes"]}
    for name, p in model.named_parameters():
        assert bits(shown[name]) == bits(p.grad)
    rows = [row for _, row in backward_rows(page) if row["local"] is None]
    assert {row["symbols"] for row in rows} == {"the step of the compiled function"}


def test_the_largest_of_many_and_an_op_with_a_rule():
    values = [Value(2.0, label="a"), Value(3.0, label="b"), Value(3.0, label="c")]
    rows = [row for _, row in backward_rows(viz.backprop(mg.maximum(*values)))]
    assert [row["local"] for row in rows] == [0.0, 0.5, 0.5]
    twice = mg.custom(lambda x: 2.0 * x.data, lambda z, x: 2.0)
    (row,) = (row for _, row in backward_rows(viz.backprop(twice(values[0]))))
    assert (row["product"], row["after"]) == (2.0, 2.0)


def test_a_leaf_alone_is_a_page():
    page = viz.backprop(Value(3.0))
    assert numbers_of(page) == [1.0]
    assert [s["phase"] for s in page.data["steps"]] == ["start", "forward", "seed", "end"]


# ---- the words ----


def made(op, x, y):
    """The op on two numbers, as a Value over Values."""
    if op.kind == "param":
        return Value(x) ** y
    if op.name in EAGER:
        return EAGER[op.name](Value(x), Value(y))
    return getattr(Value(x), op.name)(*([Value(y)] if op.arity == 2 else []))


@pytest.mark.parametrize("op", _core.OPS, ids=lambda op: op.name)
def test_the_derivative_that_is_shown_is_the_one_of_the_op(op, rng):
    for _ in range(20):
        x, y = (rng.uniform(op.lo, op.hi) for _ in range(2))
        y = float(rng.randrange(1, 5)) if op.name == "polygamma" else y
        z = made(op, x, y)
        point = {"x": x, "y": y, "z": z.data}
        for k, local in enumerate(z._local_grads):
            tree = symbols.formula(op, k, *point.values())
            assert symbols.evaluated(tree, point) == pytest.approx(local, rel=1e-9, abs=1e-12)
            number = symbols.evaluated(symbols.in_numbers(tree, point), {})
            assert number == pytest.approx(local, rel=1e-9, abs=1e-12)
            assert not re.search(r"mf_|compare|equal|reached|\?", symbols.written(tree))


@pytest.mark.parametrize("op", _core.OPS, ids=lambda op: op.name)
def test_every_op_shows_the_numbers_of_its_step(op, rng):
    x, y = (rng.uniform(op.lo, op.hi) for _ in range(2))
    z = made(op, x, float(rng.randrange(1, 5)) if op.name == "polygamma" else y)
    root = z * z * 0.1
    rows = [row for step, row in backward_rows(viz.backprop(root)) if step["node"] == op.arity]
    root.backward()
    assert [bits(row["local"]) for row in rows] == list(map(bits, z._local_grads))
    assert [bits(row["after"]) for row in rows] == [bits(v.grad) for v in z._children]


@pytest.mark.parametrize(
    ("root", "symbol", "numbers"),
    [
        (lambda a, b: a * b, "b", ""),
        (lambda a, b: a + b, "1", ""),
        (lambda a, b: a**2, "2 * a", "2 * 3"),
        (lambda a, b: a**-1, "-a**(-2)", "-3**(-2)"),
        (lambda a, b: a.tanh(), "1 - z**2", "1 - 0.9951**2"),
        (lambda a, b: a.sigmoid(), "z * (1 - z)", "0.9526 * (1 - 0.9526)"),
        (lambda a, b: a.relu(), "1 if z > 0 else 0", "1"),
        (lambda a, b: a.exp(), "z", ""),
        (lambda a, b: a.log(), "1 / a", "1 / 3"),
        (lambda a, b: a.maximum(b), "0 if a < b else 0.5 if a == b else 1", "1"),
    ],
)
def test_derivatives_read_as_in_a_textbook(root, symbol, numbers):
    z = root(Value(3.0, label="a"), Value(-2.0, label="b"))
    z.label = "z"
    row = backward_rows(viz.backprop(z))[0][1]
    assert row["symbols"] == symbol
    assert row["numbers"] in (numbers, "") and (row["numbers"] == numbers or numbers == "1")


def test_sentences():
    a, b = Value(2.0, label="a"), Value(-3.0, label="b")
    e = a * b
    e.label = "e"
    root = e + a
    root.label = "L"
    said = [step["say"] for step in viz.backprop(root, lr=0.5).data["steps"]]
    assert said[1:6] == [
        "a is given: 2.",
        "b is given: -3.",
        "e = a * b = 2 * (-3) = -6.",
        "L = e + a = (-6) + 2 = -4.",
        "Backward begins at L: when L changes by something, L changes by the same, so its gradient "
        "is 1.",
    ]
    assert said[6:] == [
        "L = e + a has the gradient 1. To e goes the local derivative, 1, times 1: 1. To a goes "
        "the local derivative, 1, times 1: 1.",
        "e = a * b has the gradient 1. To a goes the local derivative, b = -3, times 1: -3, added "
        "to 1: -2. To b goes the local derivative, a = 2, times 1: 2.",
        "Backward is done. The gradients of what was given: a -2, b 2.",
        "What p.data -= 0.5 * p.grad would do now: nothing is changed by looking. a would go from "
        "2 to 3, and one more parameter its way.",
    ]


# ---- the optimizer ----


@pytest.mark.parametrize(
    "make",
    [
        lambda ps: optim.SGD(ps, lr=0.1, momentum=0.9),
        lambda ps: optim.Adam(ps, lr=0.1, amsgrad=True),
        lambda ps: optim.AdamW([{"params": ps[:3]}, {"params": ps[3:], "lr": 0.5}]),
        lambda ps: optim.RMSprop(ps, lr=0.1),
        lambda ps: optim.Adagrad(ps, lr=0.1),
    ],
)
def test_what_the_optimizer_would_do_is_what_it_does(make):
    model = nn.MLP(2, [3, 1])
    params = model.parameters()
    params[0].requires_grad = False
    optimizer = make(params)
    for _ in range(3):
        loss = (model([1.0, -0.5]) - 2.0) ** 2
        optimizer.zero_grad()
        page = viz.backprop(loss, optimizer=optimizer, names=model)
        loss.backward()
        optimizer.step()
        rows = page.data["steps"][-1]["rows"]
        nodes = page.data["nodes"]
        shown = {nodes[row["to"]]["path"]: row["new"] for row in rows}
        names = dict(model.named_parameters())
        assert {n: bits(x) for n, x in shown.items()} == {n: bits(names[n].data) for n in shown}
        assert len(shown) == len(params)


def test_with_lr_every_leaf_or_every_parameter_would_go_down():
    a, b = Value(2.0, label="a"), Value(-3.0, label="b")
    rows = viz.backprop(a * b + 1.0, lr=0.1).data["steps"][-1]["rows"]
    assert [(r["name"], r["new"]) for r in rows] == [("a", 2.0 - 0.1 * -3.0), ("b", -3.0 - 0.1 * 2)]
    assert [r["how"] for r in rows] == ["2 - 0.1 * (-3)", "-3 - 0.1 * 2"]
    rows = viz.backprop(a * b + 1.0, lr=0.1, params=[b]).data["steps"][-1]["rows"]
    assert [r["name"] for r in rows] == ["b"]


# ---- folded ----


def opened(data):
    """The views that hold each node as a box of its own, and the sizes of all views."""
    places = {}
    for v, view in enumerate(data["views"]):
        for item in view["items"]:
            if "title" not in item and "outside" not in item:
                places.setdefault(item["nodes"][0], []).append(v)
    return places, [sum("outside" not in i for i in view["items"]) for view in data["views"]]


@pytest.mark.parametrize("most", [4, 10, 40])
def test_every_node_is_in_one_box_of_one_view_and_no_view_has_too_many(rng, most):
    roots = [random_graph(rng, 150)[0], deep(300), sum(Value(float(k)).exp() for k in range(200))]
    roots.append(mg.maximum(*[Value(float(k)).exp() for k in range(200)]))
    for root in roots:
        data = viz.backprop(root, max_shown=most).data
        places, sizes = opened(data)
        assert sorted(places) == list(range(len(data["nodes"])))
        assert {len(found) for found in places.values()} == {1}
        assert max(sizes) <= most
        linked = [i["view"] for view in data["views"] for i in view["items"] if "view" in i]
        assert sorted(linked) == list(range(1, len(data["views"])))
        for view in data["views"]:
            assert is_without_rings(view)


def deep(n):
    v = Value(1.0)
    for _ in range(n):
        v = v + 1.0
    return v


def is_without_rings(view):
    """Whether lines go forward only, in some order of the boxes."""
    waiting = {k: set() for k in range(len(view["items"]))}
    for line in view["lines"]:
        waiting[line["to"]].add(line["from"])
    while waiting:
        free = [k for k, before in waiting.items() if not before & waiting.keys()]
        if not free:
            return False
        for k in free:
            del waiting[k]
    return True


def test_layers_are_folded_by_the_names_of_the_parameters():
    model = nn.MLP(2, [8, 8, 1])
    loss = (1 - model([Value(1.0, label="x0"), 0.5])).relu()
    loss.label = "loss"
    data = viz.backprop(loss, names=model).data
    titles = [i.get("title") for i in data["views"][0]["items"]]
    assert {"layers.0: 8 parts", "layers.1: 8 parts", "layers.2[0]"} <= set(titles)
    assert len(titles) < 12
    assert any(i.get("title") == "layers.1[7]" for i in data["views"][2]["items"])
    squares = sum((model([a, 0.5]) - 1.0) ** 2 for a in (1.0, 2.0, 3.0))
    data = viz.backprop(squares, names=model).data
    last = next(i for i in data["views"][0]["items"] if i.get("title") == "layers.2: 3 parts")
    assert not any(data["nodes"][k]["op"] == "**2" for k in last["nodes"])  # they are of no layer
    names = {n["path"]: n["name"] for n in data["nodes"]}
    assert names["layers.1.neurons.3.w.4"] == "layers.1[3].w[4]"
    small = nn.MLP(2, [1])
    assert len(viz.backprop(small([1.0, 2.0]), names=small).data["views"]) == 1


# ---- what is refused ----


def test_what_is_no_graph_is_refused():
    x = Value(1.0)
    with pytest.raises(TypeError, match="root must be a Value, not 'float'"):
        viz.backprop(1.0)
    with pytest.raises(
        TypeError, match=r"optimizer must be one of micrograd_fast\.optim, not 'str'"
    ):
        viz.backprop(x, optimizer="adam")
    with pytest.raises(ValueError, match="give optimizer or lr, not both"):
        viz.backprop(x, optimizer=optim.SGD([x]), lr=0.1)
    with pytest.raises(TypeError, match="lr must be a number, not 'str'"):
        viz.backprop(x, lr="fast")
    with pytest.raises(ValueError, match="lr must be in"):
        viz.backprop(x, lr=-1.0)
    with pytest.raises(TypeError, match="params must be a list of Values or a Module, not 'int'"):
        viz.backprop(x, params=3)
    with pytest.raises(TypeError, match=r"params must hold Values, params\[0\] is 'float'"):
        viz.backprop(x, params=[1.0])
    with pytest.raises(TypeError, match="names must be a Module"):
        viz.backprop(x, names=[x])
    with pytest.raises(ValueError, match="max_shown must be at least 4, not 1"):
        viz.backprop(x, max_shown=1)
    with pytest.raises(TypeError, match="max_nodes must be a whole number, not 'float'"):
        viz.backprop(x, max_nodes=2.5)


def test_a_graph_that_is_too_large_is_refused_with_what_to_do():
    with pytest.raises(
        ValueError, match=r"has 20,001 nodes, and max_nodes is 3,000: show the loss"
    ):
        viz.backprop(deep(10_000))
    x = Value(1.0)
    assert x.grad == 0.0
    model = nn.MLP(8, [8, 1])
    f = mg.compile(lambda row: model(row), batch=True)
    with pytest.raises(ValueError, match=r"has 8\d nodes, and max_nodes is 20"):
        viz.backprop(f(np.ones((1, 8))).sum(), max_nodes=20)


def test_in_a_trace_it_says_so():
    def f(x):
        viz.backprop(x * 2)
        return x

    with pytest.raises(mg.TraceError, match=r"viz\.backprop"):
        mg.compile(f)(Value(1.0))


# ---- the file ----


HOSTILE = "</script><img src=x onerror=alert(1)><!--<script>&amp;\u2028\x00\ud800'\""


def page_data(text):
    return json.loads(re.search(r'id="data">(.*?)</script>', text, re.S)[1])


def test_no_text_of_a_program_becomes_markup():
    x = Value(1.0, label=HOSTILE)
    y = Value(2.0, (x,), HOSTILE)
    y.label = HOSTILE
    page = viz.backprop(y, names={HOSTILE: x}, lr=0.1)
    text = page.html()
    assert "<img" not in text
    assert text.count("<script") == text.count("</script>") == 2
    assert page_data(text)["nodes"][0]["name"].startswith("</script><img src=x onerror=alert(1)>")
    assert "&lt;/script&gt;&lt;img" in text
    assert page._repr_html_().count("<") == 2


def test_the_page_needs_nothing_else(tmp_path):
    root = Value(2.0, label="a") * Value(math.inf, label="b")
    page = viz.backprop(root)
    page.save(tmp_path / "page.html")
    text = (tmp_path / "page.html").read_text("utf-8")
    assert text == page.html()
    links = set(re.findall(r"https?://[^\"' ]+", text))
    assert links == {"http://www.w3.org/2000/svg"}  # the name of SVG, nothing that is fetched
    assert not re.search(r"@import|url\(|<link|src=", text)
    assert "default-src 'none'" in text
    numbers = [node["data"] for node in page_data(text)["nodes"]]
    assert numbers == [["2.0", "2"], ["inf", "inf"], ["inf", "inf"]]


def test_a_notebook_shows_the_page_in_a_frame():
    page = viz.backprop(Value(2.0) * 3.0)
    shown = page._repr_html_()
    source = re.search(r'srcdoc="([^"]*)"', shown)[1]
    assert html.unescape(source) == page.html()
    assert 'sandbox="allow-scripts"' in shown
    assert repr(page).startswith("<7 steps of backward() through 3 nodes: .save('page.html')")
