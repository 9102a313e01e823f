"""One HTML file that needs no network and no other file: what pages of this package share."""

from __future__ import annotations

import base64
import hashlib
import html
import json
import os
from importlib.resources import files
from pathlib import Path
from typing import Any

HEIGHT = 760  # pixels, in a notebook


class Page:
    """A notebook shows it, save() writes it.

    folder: the package that holds page.html, page.css and page.js. parts: what takes the place of
    %%NAME%% in page.html, HTML already. style_after: more of style than page.css.
    """

    folder: str
    style_after = ""

    def __init__(self, title: str, parts: dict[str, str]) -> None:
        self.title = title
        self._parts = parts

    def html(self) -> str:
        """The page: one document."""
        text, style, script = (
            (files(self.folder) / name).read_text("utf-8")
            for name in ("page.html", "page.css", "page.js")
        )
        style += self.style_after
        parts = {
            "TITLE": html.escape(self.title),
            "STYLE": style,
            "STYLE_HASH": _hash(style),
            "SCRIPT": script,
            "SCRIPT_HASH": _hash(script),
            **self._parts,
        }
        # Between the marks of the template alone: what is put in is not looked at again.
        pieces = text.split("%%")
        return "".join(parts[p] if k % 2 else p for k, p in enumerate(pieces))

    def save(self, path: str | os.PathLike[str]) -> None:
        """Writes the page as one HTML file, which replaces one that is there."""
        Path(path).write_text(self.html(), "utf-8", newline="\n")

    def _repr_html_(self) -> str:
        """In a frame of its own: neither its styles nor its keys reach the notebook."""
        return (
            f'<iframe title="{html.escape(self.title)}" sandbox="allow-scripts" '
            f'style="width: 100%; height: {HEIGHT}px; border: 0" '
            f'srcdoc="{html.escape(self.html())}"></iframe>'
        )


def as_json(data: Any) -> str:
    """JSON with nothing in it that ends a script element."""
    text = json.dumps(data, ensure_ascii=True, allow_nan=False)
    for c in "<>&":
        text = text.replace(c, f"\\u{ord(c):04x}")
    return text


def _hash(text: str) -> str:
    """By which the page's policy knows its own script and style, and runs no other."""
    return base64.b64encode(hashlib.sha256(text.encode("utf-8")).digest()).decode()
