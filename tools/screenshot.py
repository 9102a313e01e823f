"""Photographs the pages of docs/backprop.md and docs/pictures.md, at a step each.

Needs micrograd-fast[browser,viz] and Chromium. Usage: screenshot.py
"""

import contextlib
import random
import re
import shutil
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

DOCS = Path(__file__).resolve().parent.parent / "docs"
STEP = "Backward through w * x"
SEED = 4


def page_of(name, blocks=None):
    """The page that the code of docs/NAME.md makes, in its first blocks."""
    text = (DOCS / f"{name}.md").read_text("utf-8")
    code = re.findall(r"^```python\n(.*?)^```", text, re.M | re.S)
    random.seed(SEED)
    made = {"__name__": name}
    with tempfile.TemporaryDirectory() as folder, contextlib.chdir(folder):
        file = Path(folder) / f"{name}.py"
        file.write_text("\n".join(code[:blocks]), "utf-8")
        exec(compile(file.read_text("utf-8"), str(file), "exec"), made)
        return made["page"], made["page"].html()


def backprop(tab):
    page, html = page_of("backprop", 1)
    titles = [step["title"] for step in page.data["steps"]]
    tab.set_content(html)
    for _ in range(titles.index(STEP)):
        tab.keyboard.press("ArrowRight")


def compiled(tab):
    tab.set_content(page_of("pictures", 6)[1])
    tab.locator("#steps button").filter(has_text="matrix 16 x 16").click()


def main():
    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        for show in (backprop, compiled):
            tab = browser.new_page(viewport={"width": 1120, "height": 800}, reduced_motion="reduce")
            show(tab)
            tab.locator("main").screenshot(path=DOCS / "images" / f"{show.__name__}.png")
        browser.close()


if __name__ == "__main__":
    main()
