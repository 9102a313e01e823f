"""The page: the traced graph and the steps side by side."""

from __future__ import annotations

from collections.abc import Callable
from html import escape
from typing import Any

from micrograd_fast.compiler import CompiledFunction
from micrograd_fast.viz.compiled_page.boxes import Boxes, boxes, line_text
from micrograd_fast.viz.compiled_page.steps import Call, Step, of_call
from micrograd_fast.viz.page import Page, as_json
from micrograd_fast.viz.picture import check_count
from micrograd_fast.viz.svg import STYLE, inline

__all__ = ["CompiledPage", "compiled"]

MAX_BOXES = 150  # of single instructions; more are drawn as groups
MAX_GROUPS = 1000
MAX_STEPS = 500


class CompiledPage(Page):
    """What viz.compiled() returns: a notebook shows it, save() writes it as one HTML file.

    data: for each step the numbers of the boxes that it computes ("made") and reads ("taken"), and
    for each box what became of it ("says").
    """

    folder = "micrograd_fast.viz.compiled_page"
    style_after = STYLE

    def __init__(self, name: str, call: Call, drawn: Boxes) -> None:
        self.data: dict[str, Any] = {"made": drawn.made, "taken": drawn.taken, "says": drawn.says}
        self._summary = f"{len(call.traced):,} traced instructions, {len(call.steps):,} steps"
        heading = f"How <code>{escape(name)}</code> runs"
        super().__init__(
            f"How {name} runs",
            {
                "HEADING": heading,
                "LEAD": escape(_lead(call)),
                "GRAPH": escape(f"{drawn.picture.title}: {drawn.picture.description}"),
                "SVG": inline(drawn.picture, "n"),
                "TOTAL": escape(_total(call)),
                "STEPS": "".join(_step(k, step, call) for k, step in enumerate(call.steps)),
                "REST": escape(_rest(call)),
                "DATA": as_json(self.data),
            },
        )

    def __repr__(self) -> str:
        return f"<{self.title}: {self._summary}; .save('page.html') writes the page>"


def compiled(
    f: CompiledFunction[..., Any] | Callable[..., Any],
    *args: Any,
    max_boxes: int = MAX_BOXES,
    **kwargs: Any,
) -> CompiledPage:
    """How scalars became matrices: the graph that was traced of a compiled function, and beside it
    the steps that it became, each with what it computes and the time it takes.

    f: what compile() returned. args, kwargs: as f is called; the call is run on a clock for some
    0.2 s, and f traced once more, as f.explain(...) does. max_boxes: a graph of more instructions
    is drawn with a box for all that are alike and went into the same steps.

    Raises TypeError where f is no compiled function, ValueError where the call has more than 500
    steps, and what f itself raises for these arguments.
    """
    if not isinstance(f, CompiledFunction):
        raise TypeError(
            f"f must be a compiled function, what compile() returned, not {type(f).__name__!r}"
        )
    check_count("max_boxes", max_boxes, 1)
    call = of_call(f, args, kwargs, MAX_STEPS)
    drawn = boxes(call, max_boxes)
    if len(drawn.picture.boxes) > MAX_GROUPS:
        raise ValueError(
            f"the graph has {len(drawn.picture.boxes):,} boxes, too many to look at "
            f"({MAX_GROUPS:,} at most): set max_boxes lower, or show a smaller model"
        )
    return CompiledPage(f.__name__, call, drawn)


def _lead(call: Call) -> str:
    samples = for_one = ""
    if call.samples is not None:
        for_one = " for one sample"
        samples = f" Timed with {call.samples:,} sample{'s' * (call.samples != 1)}."
    trouble = f" No lines: {call.trouble}." if call.trouble else ""
    return (
        f"The function was called once with symbols, which gave {len(call.traced):,} scalar "
        f"instructions{for_one}. Equal ones were joined and products became part of their sums: "
        f"{call.left:,} are left, and they run as {len(call.steps):,} "
        f"step{'s' * (len(call.steps) != 1)}.{samples}{trouble}"
    )


def _total(call: Call) -> str:
    forward = sum(step.forward for step in call.steps) + call.rest[0]
    backward = sum(step.backward for step in call.steps) + call.rest[1]
    if not call.gradient:
        return f"{_time(forward)} a call, no gradient"
    return f"{_time(forward)} forward, {_time(backward)} backward a call"


def _rest(call: Call) -> str:
    both = sum(call.rest)
    return (
        f"Loading and storing takes another {_time(both)}. The bars: forward and backward, of the "
        "slowest step. Times are the best of many runs on one thread, without what Python takes."
    )


def _step(k: int, step: Step, call: Call) -> str:
    slowest = max(s.forward + s.backward for s in call.steps) or 1.0
    there, back = 100 * step.forward / slowest, 100 * step.backward / slowest
    seconds = _time(step.forward)
    if call.gradient:
        seconds += f" + {_time(step.backward)}"
    once = " Once a call, not for each sample." if step.once and call.samples is not None else ""
    line = f'<code class="words">{escape(line_text(step.line))}</code>' if step.line else ""
    return (
        f'<li><button type="button" aria-pressed="false"><span class="number">{k + 1}</span>'
        f'<span class="title">{escape(step.title)}</span><span class="time">{seconds}</span>'
        f'<span class="words">{escape(step.words + once)}</span>{line}'
        '<svg class="bar" viewBox="0 0 100 5" preserveAspectRatio="none" aria-hidden="true">'
        f'<rect class="all" width="100" height="5"/><rect class="forward" width="{there:.1f}" '
        f'height="5"/><rect class="backward" x="{there:.1f}" width="{back:.1f}" height="5"/></svg>'
        "</button></li>"
    )


def _time(seconds: float) -> str:
    if seconds < 1e-6:
        return f"{1e9 * seconds:.0f} ns"
    return f"{1e6 * seconds:,.2f} us" if seconds < 1e-3 else f"{1e3 * seconds:,.2f} ms"
