"""Pictures as SVG, with the layout of layout.py: nothing needs to be installed.

The picture has its own ground, so it can be read on a page of any colour; its colours follow what
the reader has asked the browser for. It shrinks to the width of the cell. Letters are of one width,
as only these can be measured without a font.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from html import escape

from micrograd_fast.viz.layout import Layout, curve, layout
from micrograd_fast.viz.picture import Box, Picture, printable

SIZE = 12  # of letters, in pixels
ADVANCE = 0.61 * SIZE  # the widest of the usual fonts of one width
LINE = 16
PADDING = 8
RADIUS = 12  # of an op's oval
STUB = 10  # of line between an op and its value
MARGIN = 10
LONGEST = 40  # letters of a line; the rest is in the tip

STYLE = """\
.mg{--ground:#fff;--ink:#1b1f24;--soft:#57606a;--line:#8c959f;--box:#fff;--op:#f0f2f5;
--plus:#3b82f6;--minus:#f08326;--input:#cfe8ff;--captured:#ffe7b8;--take:#ead9ff;--dot:#d8f0d0;
--mark:#b3261e;font:12px ui-monospace,SFMono-Regular,Menlo,Consolas,"DejaVu Sans Mono",monospace}
@media (prefers-color-scheme:dark){.mg{--ground:#0d1117;--ink:#e6edf3;--soft:#9aa4af;--line:#6e7681;
--box:#161b22;--op:#262c36;--plus:#2f6fdd;--minus:#c2600c;--input:#173a5e;--captured:#4d3800;
--take:#3b2a5c;--dot:#1f4220;--mark:#ff8a80}}
.mg .ground{fill:var(--ground)}.mg text{fill:var(--ink);white-space:pre}
.mg .what{fill:var(--soft)}.mg .head{font-weight:bold}.mg .middle{text-anchor:middle}
.mg .edge{fill:none;stroke:var(--line);stroke-width:1.2}
.mg .arrow{fill:var(--line)}.mg .cut{stroke-dasharray:3 3}
.mg .box{fill:var(--box);stroke:var(--line)}.mg .op{fill:var(--op);stroke:var(--line)}
.mg .input{fill:var(--input)}.mg .captured{fill:var(--captured)}.mg .take{fill:var(--take)}
.mg .dot{fill:var(--dot)}.mg .twice{fill:none;stroke:var(--line)}
.mg .plus{fill:var(--plus)}.mg .minus{fill:var(--minus)}"""


def document(picture: Picture) -> str:
    """The picture as an SVG that stands alone."""
    return _svg(
        picture,
        'xmlns="http://www.w3.org/2000/svg" role="img" style="max-width:100%;height:auto"',
        [f"<style>{STYLE}</style>"],
        "",
    )


def inline(picture: Picture, identity: str) -> str:
    """The picture as part of a page that has STYLE among its styles. Each box is a group with the
    id "identity-name"."""
    return _svg(picture, 'role="group"', [], identity)


def _svg(picture: Picture, attributes: str, style: list[str], identity: str) -> str:
    sizes = [_size(box) for box in picture.boxes]
    gap = (30.0, 12.0) if picture.rankdir == "LR" else (30.0, 16.0)
    placed = layout(sizes, picture.edges, direction=picture.rankdir, gap=gap)
    width, height = placed.width + 2 * MARGIN, placed.height + 2 * MARGIN
    parts = [
        f'<svg class="mg" {attributes} width="{width:.0f}" height="{height:.0f}" '
        f'viewBox="{-MARGIN} {-MARGIN} {width:.1f} {height:.1f}">',
        f"<title>{_text(picture.title)}</title>",
        f"<desc>{_text(picture.description)}</desc>",
        *style,
        f'<rect class="ground" x="{-MARGIN}" y="{-MARGIN}" width="{width:.1f}" '
        f'height="{height:.1f}" rx="6"/>',
        *_edges(picture, placed),
    ]
    for box, size, (x, y) in zip(picture.boxes, sizes, placed.positions, strict=True):
        name = f' id="{escape(f"{identity}-{box.name}")}"' if identity else ""
        parts += [f"<g{name}>", *_box(box, size, x, y), "</g>"]
    return "\n".join([*parts, "</svg>"])


def _edges(picture: Picture, placed: Layout) -> list[str]:
    parts = []
    for route in placed.routes:
        path = curve(route, picture.rankdir)
        parts.append(f'<path class="edge" d="{path}"/>')
        x, y = route[-1]
        tip = f"{x - 6:.1f},{y - 3:.1f} {x:.1f},{y:.1f} {x - 6:.1f},{y + 3:.1f}"
        if picture.rankdir == "TB":
            tip = f"{x - 3:.1f},{y - 6:.1f} {x:.1f},{y:.1f} {x + 3:.1f},{y - 6:.1f}"
        parts.append(f'<polygon class="arrow" points="{tip}"/>')
    return parts


def _size(box: Box) -> tuple[float, float]:
    """Of the box with its op in front. The op stands on the left, whatever the direction."""
    width, height = _record_size(box)
    return width + 2 * _op_half(box) + STUB * bool(box.op) + STUB * box.cut, height


def _record_size(box: Box) -> tuple[float, float]:
    rows = [_width(f"{what} {text}" if what else text) for what, text in _rows(box)]
    width = max([_width(_cut(box.heading)) * 1.02, *rows, 3 * ADVANCE])
    lines = len(box.rows) + bool(box.heading)
    return width + 2 * PADDING, max(lines * LINE + PADDING, 2 * RADIUS)


def _op_half(box: Box) -> float:
    return max(RADIUS, _width(_cut(box.op)) / 2 + 5) if box.op else 0.0


def _box(box: Box, size: tuple[float, float], x: float, y: float) -> list[str]:
    left, (width, height) = x - size[0] / 2, _record_size(box)
    parts = [f"<title>{_text(_tip(box))}</title>"]
    if box.cut:
        parts.append(f'<path class="edge cut" d="M{left:.1f},{y:.1f}h{STUB}"/>')
        left += STUB
    if box.op:
        half = _op_half(box)
        parts += [
            f'<path class="edge" d="M{left + 2 * half:.1f},{y:.1f}h{STUB}"/>',
            f'<ellipse class="op" cx="{left + half:.1f}" cy="{y:.1f}" rx="{half:.1f}" '
            f'ry="{RADIUS}"/>',
            f'<text class="middle" x="{left + half:.1f}" y="{y + 4:.1f}">{_text(_cut(box.op))}'
            "</text>",
        ]
        left += 2 * half + STUB
    top = y - height / 2
    frame = f'x="{left:.1f}" y="{top:.1f}" width="{width:.1f}" height="{height:.1f}" rx="4"'
    kind = box.kind if box.kind in ("input", "captured", "take", "dot") else ""
    parts.append(f'<rect class="box {kind}" {frame}/>')
    if box.tint:
        sign = "plus" if box.tint > 0.0 else "minus"
        parts.append(f'<rect class="{sign}" fill-opacity="{0.55 * abs(box.tint):.2f}" {frame}/>')
    if box.result:
        parts.append(
            f'<rect class="twice" x="{left - 3:.1f}" y="{top - 3:.1f}" width="{width + 6:.1f}" '
            f'height="{height + 6:.1f}" rx="6"/>'
        )
    return parts + _lines(box, left, top, width, height)


def _lines(box: Box, left: float, top: float, width: float, height: float) -> list[str]:
    lines = len(box.rows) + bool(box.heading)
    y = top + (height - lines * LINE) / 2 + 12
    parts = []
    if box.heading:
        parts.append(
            f'<text class="head middle" x="{left + width / 2:.1f}" y="{y:.1f}">'
            f"{_text(_cut(box.heading))}</text>"
        )
        y += LINE
    for what, text in _rows(box):
        if what:
            parts.append(
                f'<text x="{left + PADDING:.1f}" y="{y:.1f}"><tspan class="what">{_text(what)} '
                f"</tspan>{_text(text)}</text>"
            )
        else:
            parts.append(
                f'<text class="what middle" x="{left + width / 2:.1f}" y="{y:.1f}">{_text(text)}'
                "</text>"
            )
        y += LINE
    return parts


def _rows(box: Box) -> Sequence[tuple[str, str]]:
    return [(what, _cut(text)) for what, text in box.rows]


def _tip(box: Box) -> str:
    words = [box.heading, f"made by {box.op}" if box.op else "", box.tip]
    rows = [] if box.tip else [f"{what} {text}".strip() for what, text in box.rows]
    return "\n".join(text for text in [*words, *rows] if text)


def _cut(text: str) -> str:
    text = printable(text).replace("\n", "\u240a")
    return text if len(text) <= LONGEST else text[: LONGEST - 3] + "..."


def _width(text: str) -> float:
    return ADVANCE * sum(2 if unicodedata.east_asian_width(c) in "WF" else 1 for c in text)


def _text(text: str) -> str:
    return escape(printable(text))
