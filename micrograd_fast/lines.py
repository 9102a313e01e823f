"""Which line of the user's code made which value of a compiled function's program.

The function is traced once more under sys.settrace: explain.py and find_nan.py ask.
"""

from __future__ import annotations

import sys
from bisect import bisect_right
from types import FrameType
from typing import Any, TypeAlias

from micrograd_fast import _core, arguments
from micrograd_fast.compiler import CompiledFunction

Line: TypeAlias = tuple[str, int] | None

__all__ = ["made_by"]


class _Lines:
    """Sees which line of the user makes each node of a trace, while it is entered, by Python's
    tracing hook. A debugger's or a measurement's is set aside meanwhile."""

    def __init__(self, trace: _core.Trace) -> None:
        self.trace = trace
        self.starts: list[int] = []  # nodes made before each place
        self.places: list[tuple[str, int]] = []
        self.hook = self.event
        self.set_aside: Any = None

    def __enter__(self) -> None:
        self.set_aside = sys.gettrace()
        sys.settrace(self.hook)

    def __exit__(self, *exc: object) -> None:
        if sys.gettrace() is self.hook:  # unless the function has set another
            sys.settrace(self.set_aside)

    def event(self, frame: FrameType, event: str, arg: Any) -> Any:
        if event == "return":
            outer = frame.f_back
            while outer is not None and not _core.is_the_user_s(outer):
                outer = outer.f_back
            if outer is not None:
                self.note(outer)
            return None
        if not _core.is_the_user_s(frame):
            return None
        self.note(frame)
        return self.hook

    def note(self, frame: FrameType) -> None:
        place = (frame.f_code.co_filename, frame.f_lineno or 0)
        if not self.places or self.places[-1] != place:
            self.starts.append(self.trace.n_logged)
            self.places.append(place)

    def line_of(self, node: int) -> tuple[str, int] | None:
        """The line that made node number `node` of the trace."""
        k = bisect_right(self.starts, node) - 1 if node >= 0 else -1
        return self.places[k] if k >= 0 else None


def made_by(
    function: CompiledFunction[..., Any], found: _core.Specialization
) -> tuple[list[tuple[int, Line]], str]:
    """By value of the traced program when it was made, as a number, and the file and line that did
    it: (-1, None) of inputs and of what no line made. And why there are none, in words."""
    trace = _core.Trace(True)
    args, kwargs = found.signature.placeholders(trace)
    lines = _Lines(trace)
    try:
        with trace, lines:
            result = function.__wrapped__(*args, **kwargs)
    finally:  # as in observe.run
        trace.close()
        lines.__exit__()
    values: list[Any] = []
    arguments.flatten(result, values, function.__name__)
    program, _ = trace.program(values)
    if program.__reduce__() != found.traced.__reduce__():
        nothing: list[tuple[int, Line]] = [(-1, None)] * len(found.traced)
        return nothing, "the function did something else when it was traced again"
    return [(node, lines.line_of(node)) for node in trace.places], ""
