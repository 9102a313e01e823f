"""The page of viz.backprop in a real browser: keys, texts, numbers, narrow and dark screens."""

import json

import pytest
from pages import chromium, open_pages

from micrograd_fast import Value, nn, optim, viz

browser = pytest.fixture(chromium, scope="module")
opened = pytest.fixture(open_pages)

PHONE = {"width": 320, "height": 640}
HOSTILE = "</script><img src=x onerror='window.hit = 1'><svg onload=hit=1>"


def formula():
    a, b, c = Value(2.0, label="a"), Value(-3.0, label="b"), Value(10.0, label="c")
    e = a * b
    e.label = "e"
    root = (e + c).tanh() * a + a**2
    root.label = "L"
    return root, (a, b, c)


@pytest.fixture
def small():
    return viz.backprop(formula()[0], lr=0.1)


@pytest.fixture
def folded():
    model = nn.MLP(2, [6, 6, 1])
    loss = (1 - model([Value(1.0, label="x0"), Value(-0.5, label="x1")])).relu()
    loss.label = "loss"
    return viz.backprop(loss, names=model, optimizer=optim.Adam(model.parameters()))


def said(tab):
    return tab.locator("#said").text_content()


def no_wider_than_the_screen(tab):
    """innerWidth would not do: on a phone it grows with what is too wide."""
    return tab.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]


def test_keys_go_through_every_step_and_each_is_said(opened, small):
    tab, steps = opened(small), small.data["steps"]
    assert said(tab) == steps[0]["say"]
    for step in steps[1:]:
        tab.keyboard.press("ArrowRight")
        assert said(tab) == step["say"]
        assert tab.locator("#card-title").text_content() == step["title"]
    tab.keyboard.press("ArrowRight")
    assert said(tab) == steps[-1]["say"]
    tab.keyboard.press("ArrowLeft")
    assert said(tab) == steps[-2]["say"]
    tab.keyboard.press("Home")
    assert said(tab) == steps[0]["say"]
    tab.keyboard.press("End")
    assert said(tab) == steps[-1]["say"]
    assert tab.locator("#slider").get_attribute("aria-valuetext").startswith(f"{len(steps)} of ")
    tab.locator("#slider").fill("3")
    assert said(tab) == steps[3]["say"]


def test_the_numbers_on_the_screen_are_those_of_backward(opened, small):
    tab = opened(small)
    root, leaves = formula()
    root.backward()
    tab.get_by_role("button", name="Optimizer").click()
    rows = tab.locator("#list li").all()
    shown = {}
    for row, node in zip(rows, small.data["nodes"], strict=True):
        digits = row.locator(".number").evaluate_all("all => all.map(e => e.title)")
        assert list(map(float, digits)) == [node["data"], node["grad"]]
        shown[node["name"]] = float(digits[1])
    assert [shown[v.label] for v in leaves] == [v.grad for v in leaves]
    new = tab.locator("#table td:last-child .number").evaluate_all("all => all.map(e => e.title)")
    assert list(map(float, new)) == [v.data - 0.1 * v.grad for v in leaves]


def test_a_step_backward_shows_derivative_product_and_sum(opened, small):
    tab = opened(small)
    titles = [step["title"] for step in small.data["steps"]]
    k = titles.index("Backward through a * b")
    tab.locator("#slider").fill(str(k))
    cells = tab.locator("#table tbody tr").first.locator("td").all_inner_texts()
    row = small.data["steps"][k]["rows"][0]
    assert cells[0] == "a"
    assert cells[1].split("\n") == ["\u2202e / \u2202a", "b = -3"]
    assert cells[4] == "4.9993 + (-0.008) = 4.9913"
    assert tab.locator("#table tbody b .number").first.get_attribute("title") == repr(row["after"])
    assert tab.locator(".chip").all_text_contents() == ["\u00d7-3", "\u00d72"]
    assert tab.locator(".box.current").get_attribute("aria-label").startswith("e = a * b, data -6")
    assert tab.locator(".box.target").count() == 2
    assert tab.locator("#list [aria-current]").inner_text().split()[1:5] == ["e", "=", "a", "*"]


def test_space_plays_and_pauses(opened, small):
    tab, steps = opened(small), small.data["steps"]
    tab.keyboard.press("Space")
    assert tab.get_by_role("button", name="Pause").is_visible()
    tab.clock.run_for(3000)
    assert said(tab) == steps[2]["say"]
    tab.keyboard.press("Space")
    tab.clock.run_for(5000)
    assert said(tab) == steps[2]["say"]
    tab.get_by_role("button", name="Play").click()
    tab.clock.run_for(60_000)
    assert said(tab) == steps[-1]["say"]
    assert tab.get_by_role("button", name="Play").is_visible()


def test_pointing_at_a_node_or_at_its_line_goes_to_its_step(opened, small):
    tab, steps = opened(small), small.data["steps"]
    tab.locator(".box", has_text="tanh").click()
    assert said(tab) == next(s["say"] for s in steps if "= tanh(" in s["title"])
    tab.get_by_role("button", name="Backward", exact=True).click()
    tab.locator("#list button", has_text="tanh").click()
    assert said(tab) == next(s["say"] for s in steps if "through tanh(" in s["title"])


def test_folds_open_by_a_click_and_by_enter_and_close_by_escape(opened, folded):
    tab = opened(folded)
    fold = tab.get_by_role("button", name="Open layers.1: 6 parts")
    assert tab.locator("#graph .box").count() < 12
    fold.click()
    assert tab.get_by_role("button", name="Open layers.1[5]").is_visible()
    tab.get_by_role("button", name="Open layers.1[0]").focus()
    tab.keyboard.press("Enter")
    assert tab.locator("#way [aria-current]").inner_text() == "layers.1[0]"
    assert tab.locator("#graph .box", has_text="relu").count() >= 1
    tab.keyboard.press("Escape")
    tab.keyboard.press("Escape")
    assert fold.is_visible()
    tab.keyboard.press("End")
    tab.keyboard.press("PageUp")
    tab.locator("#follow").check()
    tab.get_by_role("button", name="Forward").click()
    tab.keyboard.press("ArrowRight")
    assert tab.locator("#way [aria-current]").inner_text() == "layers.0[0]"
    assert tab.locator(".box.current:not(.fold)").count() == 1


def test_page_down_goes_to_the_next_part(opened, folded):
    tab = opened(folded)
    for _ in range(3):
        tab.keyboard.press("PageDown")
    first = tab.locator(".box.current").get_attribute("aria-label")
    tab.keyboard.press("PageDown")
    assert tab.locator(".box.current").get_attribute("aria-label") != first


@pytest.mark.parametrize("name", ["small", "folded"])
def test_a_phone_scrolls_no_step_sideways(opened, request, name):
    page = request.getfixturevalue(name)
    tab = opened(page, viewport=PHONE, has_touch=True, is_mobile=True)
    n = len(page.data["steps"])
    for k in sorted({*range(0, n, max(1, n // 12)), n - 1}):
        tab.locator("#slider").fill(str(k))
        assert no_wider_than_the_screen(tab), page.data["steps"][k]
    button = tab.locator("#next").bounding_box()
    assert button["width"] >= 36 and button["height"] >= 36
    tab.locator("#previous").tap()
    assert said(tab) == page.data["steps"][-2]["say"]


CONTRASTS = """() => {
  const channels = (c) => c.match(/[\\d.]+/g).map(Number);
  const light = (c) => channels(c).slice(0, 3).map((v) => v / 255)
    .map((v) => v <= 0.04045 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, k) => sum + v * [0.2126, 0.7152, 0.0722][k], 0);
  const behind = (e) => {
    while (e) {
      const c = getComputedStyle(e).backgroundColor;
      if (channels(c)[3] !== 0) return c;
      e = e.parentElement;
    }
  };
  const found = {};
  for (const e of document.querySelectorAll("h1, h2, p, th, td, button, .of, .number, #count")) {
    if (!e.textContent.trim() || e.closest(".unseen") || e.disabled) continue;
    const [a, b] = [light(getComputedStyle(e).color), light(behind(e))].sort((x, y) => y - x);
    found[e.id || e.className || e.tagName] = (a + 0.05) / (b + 0.05);
  }
  return found;
}"""


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_texts_stand_out_in_light_and_in_dark(opened, small, scheme):
    tab = opened(small, color_scheme=scheme, reduced_motion="reduce")
    paper = tab.evaluate("getComputedStyle(document.body).backgroundColor")
    assert (paper == "rgb(255, 255, 255)") == (scheme == "light")
    for key in ("Home", "End"):
        tab.keyboard.press(key)
        for _ in range(2):
            contrasts = tab.evaluate(CONTRASTS)
            assert len(contrasts) > 6
            assert {k: c for k, c in contrasts.items() if c < 4.5} == {}
            tab.keyboard.press("ArrowLeft")


def test_who_wants_little_motion_gets_none(opened, small):
    duration = "getComputedStyle(document.querySelector('.box rect')).transitionDuration"
    still = opened(small, reduced_motion="reduce")
    assert still.evaluate(duration) in ("0s", "")
    assert opened(small, reduced_motion="no-preference").evaluate(duration) != "0s"


def test_no_text_of_a_program_becomes_markup_or_runs(opened):
    x = Value(1.0, label=HOSTILE)
    y = Value(2.0, (x,), HOSTILE)
    y.label = HOSTILE
    tab = opened(viz.backprop(y + 1.0, names={HOSTILE: x}, lr=0.1))
    for _ in range(8):
        tab.keyboard.press("ArrowRight")
    assert tab.evaluate("window.hit") is None
    assert tab.locator("img").count() == 0
    assert HOSTILE in tab.locator("#list").inner_text()
    # What should get in all the same is stopped by the page's policy: no other script runs.
    assert "script-src 'sha256-" in tab.content()


def test_a_screen_reader_finds_every_part_named(opened, folded):
    tab = opened(folded)
    tab.keyboard.press("ArrowRight")
    tree = tab.locator("body").aria_snapshot()
    assert 'slider "Step"' in tree
    assert tab.locator("#said").bounding_box()["width"] <= 1  # said, not shown
    assert "Topological order" in tree and "status" in tree
    unnamed = tab.evaluate(
        """[...document.querySelectorAll("button, [role=button], [role=img], input")].filter(
             (e) => !(e.ariaLabel || e.textContent.trim() || e.labels?.length)).length"""
    )
    assert unnamed == 0
    assert "Enter opens one" in tab.locator("#graph-text").text_content()
    assert tab.evaluate("document.documentElement.lang") == "en"


def test_a_notebook_has_the_page_in_a_frame_with_its_own_styles(opened, small):
    host = "<!doctype html><meta charset=utf-8><title>n</title><h1>Notebook</h1>"
    tab = opened(host + small._repr_html_(), viewport={"width": 900, "height": 900})
    frame = tab.frame_locator("iframe")
    frame.locator("#next").click()
    assert frame.locator("#said").text_content() == small.data["steps"][1]["say"]
    frame.locator("#next").press("End")
    assert frame.locator("#said").text_content() == small.data["steps"][-1]["say"]
    size = tab.locator("h1").first.evaluate("e => getComputedStyle(e).fontSize")
    assert size == "32px"  # the browser's own


def test_the_data_in_the_file_is_that_of_the_page(opened, small):
    tab = opened(small)
    nodes = json.loads(tab.locator("#data").text_content())["nodes"]
    assert [float(n["grad"][0]) for n in nodes] == [n["grad"] for n in small.data["nodes"]]
