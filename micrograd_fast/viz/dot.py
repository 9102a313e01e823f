"""Graphviz's language, and Graphviz itself: what pictures of graphs and of programs share."""

from __future__ import annotations

import operator
import shutil
import subprocess

from micrograd_fast import _types as t

DIRECTIONS = ("LR", "TB")
SECONDS = 20  # that Graphviz may take for a picture that nobody asked for


def check_count(name: str, count: int, least: int) -> None:
    """Raises TypeError or ValueError, with the argument's name, for what is no such number."""
    try:
        number = operator.index(count)
    except TypeError:
        raise TypeError(f"{name} must be a whole number, not {type(count).__name__!r}") from None
    if number < least:
        raise ValueError(f"{name} must be at least {least}, not {number}")


def check_direction(rankdir: str) -> None:
    if rankdir not in DIRECTIONS:
        raise ValueError(f"rankdir must be one of {DIRECTIONS}, not {rankdir!r}")


def plain(text: str) -> str:
    """Text as a label shows it: a backslash is a backslash, an ampersand starts no entity."""
    return _printable(text).replace("\\", "\\\\")


def in_record(text: str) -> str:
    """Text as a field of a record shows it, where some characters draw lines."""
    return "".join("\\" + c if c in "\\{}|<> " else c for c in _printable(text))


def _printable(text: str) -> str:
    """Control characters as the pictures that Unicode has of them, what is no text as '?'."""
    text = "".join(chr(0x2400 + ord(c)) if c < " " and c != "\n" else c for c in text)
    return text.replace("&", "&amp;").encode("utf-8", "replace").decode("utf-8")


def node(name: str, label: str, **attributes: str) -> str:
    """A node statement; the label is escaped already, but for quotes and line ends."""
    quoted = label.replace('"', '\\"').replace("\n", "\\n")
    more = "".join(f" {key}={value}" for key, value in attributes.items())
    return f'{name} [label="{quoted}"{more}]'


def document(lines: list[str], rankdir: str) -> str:
    check_direction(rankdir)
    return "\n".join(["digraph {", f"\tgraph [rankdir={rankdir}]", *_indented(lines), "}", ""])


def digraph(lines: list[str], format: str, rankdir: str) -> t.Digraph:
    check_direction(rankdir)
    try:
        from graphviz import Digraph
    except ImportError as error:
        raise ImportError(
            "drawing needs the package graphviz: pip install 'micrograd-fast[viz]'; "
            "to_dot() and program_to_dot() give the text for Graphviz without it",
            name="graphviz",
        ) from error
    return Digraph(
        format=format,
        graph_attr={"rankdir": rankdir},
        body=[line + "\n" for line in _indented(lines)],
    )


def rendered(text: str) -> str | None:
    """The document as SVG; None where Graphviz is not installed or does not manage it."""
    program = shutil.which("dot")
    if program is None:
        return None
    try:
        done = subprocess.run(
            [program, "-Tsvg"],
            input=text,
            capture_output=True,
            encoding="utf-8",
            timeout=SECONDS,
            check=True,
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return done.stdout


def _indented(lines: list[str]) -> list[str]:
    return ["\t" + line for line in lines]
