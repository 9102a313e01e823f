"""What the tests of pages share: a real browser. They make fixtures of it:

browser = pytest.fixture(chromium, scope="module")
opened = pytest.fixture(open_pages)
"""

import shutil

import pytest

PROGRAMS = ("chromium", "chromium-browser", "google-chrome")


def chromium():
    """For one file at a time: while it is there, its event loop runs, and no other can."""
    playwright = pytest.importorskip("playwright.sync_api", reason="the extra `browser` is missing")
    program = next(filter(None, map(shutil.which, PROGRAMS)), None)
    if program is None:
        pytest.skip(f"no browser: none of {', '.join(PROGRAMS)} is installed")
    with playwright.sync_playwright() as p:
        # No sandbox of its own: as root, where CI runs, it cannot have one.
        browser = p.chromium.launch(executable_path=program, args=["--no-sandbox"])
        yield browser
        browser.close()


def open_pages(browser, tmp_path):
    """opened(page) is the saved page in the browser. No request but for the file itself may be
    made, nothing may be said on the console, and no dialog come up."""
    contexts, problems = [], []

    def open_page(page, **options):
        context = browser.new_context(offline=True, **options)
        contexts.append(context)
        tab = context.new_page()
        path = tmp_path / f"page{len(contexts)}.html"
        path.write_text(page, "utf-8") if isinstance(page, str) else page.save(path)
        tab.on("console", lambda message: problems.append(message.text))
        tab.on("pageerror", lambda error: problems.append(str(error)))
        tab.on("dialog", lambda dialog: problems.append(dialog.message))
        tab.on("request", lambda r: r.url == path.as_uri() or problems.append(r.url))
        tab.clock.install()
        tab.goto(path.as_uri())
        return tab

    yield open_page
    for context in contexts:
        context.close()
    assert problems == []
