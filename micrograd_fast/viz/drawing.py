"""A picture for a notebook or a file: Graphviz's where it is installed, else our own SVG."""

from __future__ import annotations

import importlib.util
from os import PathLike, fspath
from pathlib import Path

from micrograd_fast import _types as t
from micrograd_fast.viz import dot
from micrograd_fast.viz.picture import Picture
from micrograd_fast.viz.svg import document


class Drawing:
    """A picture in SVG, made without Graphviz. It has what programs use of a graphviz.Digraph."""

    format = "svg"

    def __init__(self, picture: Picture) -> None:
        self._picture = picture

    @property
    def svg(self) -> str:
        """The picture as text."""
        return document(self._picture)

    @property
    def source(self) -> str:
        """The same graph in Graphviz's language."""
        return dot.document(self._picture)

    def render(self, filename: str | PathLike[str]) -> str:
        """Writes the picture to a file, with ".svg" after its name where that is missing; where it
        is."""
        path = Path(fspath(filename))
        if path.suffix.lower() != ".svg":
            path = path.with_name(path.name + ".svg")
        path.write_text(self.svg, encoding="utf-8")
        return str(path)

    def _repr_svg_(self) -> str:
        return self.svg

    def __repr__(self) -> str:
        boxes, edges = len(self._picture.boxes), len(self._picture.edges)
        return f'<Drawing of {boxes} boxes and {edges} edges: .render("name") writes name.svg>'


def drawing(picture: Picture, format: str, graphviz: bool | None) -> t.Digraph | Drawing:
    """Drawn by Graphviz (True), without it (False), or as it is installed (None).

    Raises ImportError where the package graphviz is needed and missing, ValueError where another
    format than "svg" is wanted without it, TypeError for a format that is no text.
    """
    if not isinstance(format, str):
        raise TypeError(f"format must be a str, 'svg', not {type(format).__name__!r}")
    if graphviz is None:
        here = importlib.util.find_spec("graphviz") is not None and dot.is_installed()
        graphviz = here or format != "svg"
    if graphviz:
        return dot.digraph(picture, format)
    if format != "svg":
        raise ValueError(f"without Graphviz the format must be 'svg', not {format!r}")
    return Drawing(picture)
