"""The site builds, every link in it leads somewhere, its search finds what people ask for."""

import html.parser
import json
import os
import re
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture(scope="module")
def site(tmp_path_factory):
    pytest.importorskip("zensical", reason="the site's builder is not installed")
    pytest.importorskip("nbconvert", reason="what reads notebooks is not installed")
    folder = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, ROOT / "tools" / "build_site.py", "--folder", folder],
        capture_output=True,
        encoding="utf-8",
        env={**os.environ, "PYTHONIOENCODING": "utf-8"},
        timeout=300,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return folder / "html"


class Page(html.parser.HTMLParser):
    """What a page links to and shows, and what in it can be linked to."""

    def __init__(self, text):
        super().__init__()
        self.targets, self.anchors = set(), set()
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        attrs = dict(attrs)
        self.targets.add(attrs.get("href") if tag == "a" else attrs.get("src"))
        self.anchors |= {attrs.get("id"), attrs.get("name")}


def broken_links(site):
    """(page, link) for each that leads nowhere, of links to files of the site."""
    pages = {path: Page(path.read_text("utf-8")) for path in site.rglob("*.html")}
    del pages[site / "404.html"]  # its links are those of the place where the site will be
    for path, page in pages.items():
        for target in page.targets - {None}:
            parts = urlsplit(target)
            if parts.scheme or parts.netloc or target.startswith("data:"):
                continue
            found = (path.parent / unquote(parts.path)).resolve() if parts.path else path
            if found.is_dir():
                found /= "index.html"
            anchor = unquote(parts.fragment)
            if not found.exists() or (anchor and anchor not in pages[found].anchors):
                yield path.relative_to(site).as_posix(), target


def test_every_link_leads_somewhere(site):
    assert sorted(broken_links(site)) == []


def test_what_leads_nowhere_is_noticed(tmp_path):
    (tmp_path / "404.html").write_text("")
    page = "<a id='top'></a><a href='#top'></a><a href='#end'></a><img src='no.png'>"
    (tmp_path / "index.html").write_text(page + "<a href='https://example.org'></a>")
    assert sorted(broken_links(tmp_path)) == [("index.html", "#end"), ("index.html", "no.png")]


def test_every_page_of_the_docs_is_in_the_navigation():
    text = (ROOT / "mkdocs.yml").read_text("utf-8")
    docs = ROOT / "docs"
    for page in docs.rglob("*.md"):
        assert text.count(f": {page.relative_to(docs).as_posix()}\n") == 1, (
            f"{page}: a line in mkdocs.yml"
        )


WORDS = ["Jacobian", "Hessian", "regression", "LSTM", "classifier", "nan", "slow", "ODE"]


@pytest.mark.parametrize("word", WORDS)
def test_the_search_finds(site, word):
    """In a page that shows how something is done, not in the reference of names alone."""
    entries = json.loads((site / "search.json").read_text("utf-8"))["items"]
    found = {
        entry["path"][0]
        for entry in entries
        if entry["path"] and re.search(rf"\b{word}\b", f"{entry['title']} {entry['text']}", re.I)
    }
    assert "Do" in found


def test_notebooks_are_pages_with_their_output(site):
    for notebook in (ROOT / "examples").glob("*.ipynb"):
        page = site / "examples" / notebook.stem / "index.html"
        cells = json.loads(notebook.read_text("utf-8"))["cells"]
        text = Page(page.read_text("utf-8"))
        pictures = [o for cell in cells for o in cell.get("outputs", []) if "image/png" in str(o)]
        shown = [t for t in text.targets - {None} if t.endswith(".png")]
        assert len(shown) == len(pictures)
