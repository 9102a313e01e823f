"""Pictures in Graphviz's language, and Graphviz itself, where it is installed."""

from __future__ import annotations

import shutil
import subprocess
from typing import TYPE_CHECKING

from micrograd_fast.viz.picture import Box, Picture, printable

if TYPE_CHECKING:
    from graphviz import Digraph

SECONDS = 20  # that Graphviz may take for a picture that nobody asked for

COLOURS = {"input": "#cfe8ff", "captured": "#ffe7b8", "take": "#ead9ff", "dot": "#d8f0d0"}
POSITIVE, NEGATIVE = (0x6B, 0xAE, 0xF5), (0xF5, 0xA2, 0x5D)


def document(picture: Picture) -> str:
    lines = [f"graph [rankdir={picture.rankdir}]", *_statements(picture)]
    return "\n".join(["digraph {", *("\t" + line for line in lines), "}", ""])


def is_installed() -> bool:
    """Whether the program is: the package alone draws nothing."""
    return shutil.which("dot") is not None


def digraph(picture: Picture, format: str) -> Digraph:
    try:
        from graphviz import Digraph
    except ImportError as error:
        raise ImportError(
            f"the format {format!r} needs the package graphviz: pip install 'micrograd-fast[viz]'; "
            "format='svg' is drawn without it",
            name="graphviz",
        ) from error
    return Digraph(
        format=format,
        graph_attr={"rankdir": picture.rankdir},
        body=[f"\t{line}\n" for line in _statements(picture)],
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
    # Its sizes are those of paper; a cell may be narrower.
    fitted = '<svg style="max-width:100%;height:auto" '
    return done.stdout.replace("<svg ", fitted, 1)


def _statements(picture: Picture) -> list[str]:
    lines: list[str] = []
    for box in picture.boxes:
        lines += _record(box) if box.kind in ("value", "fold") else [_instruction(box)]
    for a, b in picture.edges:
        to = picture.boxes[b]
        into = f"op_{to.name}" if to.op else to.name
        lines.append(f"{picture.boxes[a].name} -> {into}")
    return lines


def _record(box: Box) -> list[str]:
    fields = [f"{what} {_in_record(text)}" for what, text in box.rows]
    if box.heading:
        fields.insert(0, _in_record(box.heading))
    attributes = {"shape": "record"}
    if box.tint:
        attributes |= {"style": "filled", "fillcolor": f'"{_tinted(box.tint)}"'}
    lines = [_node(box.name, "{ " + " | ".join(fields) + " }", **attributes)]
    if box.op:
        lines.append(_node(f"op_{box.name}", _plain(box.op)))
        lines.append(f"op_{box.name} -> {box.name}")
    if box.cut:
        lines.append(_node(f"cut_{box.name}", "...", shape="plaintext"))
        lines.append(f"cut_{box.name} -> {'op_' if box.op else ''}{box.name} [style=dashed]")
    return lines


def _instruction(box: Box) -> str:
    attributes = {"shape": "box", "style": '"rounded,filled"'}
    attributes["fillcolor"] = f'"{COLOURS.get(box.kind, "white")}"'
    if box.result:
        attributes["peripheries"] = "2"
    text = "\n".join([box.heading, *(row[1] for row in box.rows)])
    return _node(box.name, _plain(text), **attributes)


def _tinted(tint: float) -> str:
    """White, the more coloured the stronger."""
    target = POSITIVE if tint > 0.0 else NEGATIVE
    return "#" + "".join(f"{round(255 + (c - 255) * abs(tint)):02x}" for c in target)


def _plain(text: str) -> str:
    """Text as a label shows it: a backslash is a backslash, an ampersand starts no entity."""
    return _escaped(text).replace("\\", "\\\\")


def _in_record(text: str) -> str:
    """Text as a field of a record shows it, where some characters draw lines."""
    return "".join("\\" + c if c in "\\{}|<> " else c for c in _escaped(text))


def _escaped(text: str) -> str:
    return printable(text).replace("&", "&amp;")


def _node(name: str, label: str, **attributes: str) -> str:
    """A node statement; the label is escaped already, but for quotes and line ends."""
    quoted = label.replace('"', '\\"').replace("\n", "\\n")
    more = "".join(f" {key}={value}" for key, value in attributes.items())
    return f'{name} [label="{quoted}"{more}]'
