"""Photographs docs/images/backprop.png, the page of docs/backprop.md at one step.

Needs micrograd-fast[browser] and Chromium. Usage: screenshot.py
"""

import re
import shutil
from pathlib import Path

from playwright.sync_api import sync_playwright

DOCS = Path(__file__).resolve().parent.parent / "docs"
STEP = "Backward through w * x"


def main():
    code = re.search(
        r"^```python\n(.*?)^```", (DOCS / "backprop.md").read_text("utf-8"), re.M | re.S
    )
    made = {}
    exec(code[1], made)
    titles = [step["title"] for step in made["page"].data["steps"]]
    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        tab = browser.new_page(viewport={"width": 1120, "height": 800}, reduced_motion="reduce")
        tab.set_content(made["page"].html())
        for _ in range(titles.index(STEP)):
            tab.keyboard.press("ArrowRight")
        tab.locator("main").screenshot(path=DOCS / "images" / "backprop.png")
        browser.close()


if __name__ == "__main__":
    main()
