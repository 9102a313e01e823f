"""The run of a function that becomes a trace, and what is worth a warning about it: random numbers
and times, which the replay would repeat for ever, and what the function itself changes of all that
it reads."""

from __future__ import annotations

import sys

from micrograd_fast import _core, watch

TYPE_CHECKING = False  # typing's own constant costs an import of 4 ms
if TYPE_CHECKING:
    from collections.abc import Callable
    from types import FrameType
    from typing import Any

__all__: list[str] = []


def run(
    function: Callable[..., Any], name: str, trace: Any, args: list[Any], kwargs: dict[str, Any]
) -> tuple[Any, _core.Watch]:
    """The result of a call that is traced, and what there is to watch from now on."""
    watched = _core.Watch(function)
    calls = _Calls()
    before = _random_states()
    with trace, calls if watched.has_sources else _NOTHING:
        result = function(*args, **kwargs)
    if not calls.found and _random_states() != before:
        calls.found[_place(function)] = "random numbers"
    for (file, line), what in calls.found.items():
        _warn(
            f"{what} in a function that is compiled: it runs once, and every call repeats what it "
            "got then. Give it as an argument",
            file,
            line,
        )
    changes = watched.settle()
    for text in filter(None, changes):
        _warn(
            f"{name} changes what it reads: {text}. It does so once, when it is traced, and not at "
            "every call",
            *_place(function),
        )
    if changes:
        watched = _core.Watch(function, watched)
        watched.settle()
    if watched.full:
        _warn(
            f"{name} can reach more than {len(watched)} objects and lists: a change in the others "
            "is not noticed. Give it what it needs as arguments",
            *_place(function),
        )
    return result, watched


def _warn(text: str, file: str, line: int) -> None:
    import warnings

    warnings.warn_explicit(text, _core.TraceWarning, file, line)


def _place(function: Any) -> tuple[str, int]:
    """Where a function is written."""
    function = getattr(function, "func", function)  # of a partial
    function = getattr(function, "__func__", function)
    if not hasattr(function, "__code__"):
        function = type(function).__dict__.get("__call__")
    code = getattr(function, "__code__", None)
    return (code.co_filename, code.co_firstlineno) if code is not None else ("<unknown>", 0)


def _random_states() -> list[Any]:
    """Of the generators that the modules random and numpy.random share among all."""
    import random

    states: list[Any] = [random.getstate()]
    numpy = sys.modules.get("numpy.random")
    if numpy is not None:
        state = numpy.get_state(legacy=False)
        states.append((state["state"]["pos"], state["state"]["key"].tobytes()))
    return states


class _Nothing:
    def __enter__(self) -> None:
        pass

    def __exit__(self, *exc: object) -> None:
        pass


_NOTHING = _Nothing()


class _Calls:
    """Sees calls of random generators and clocks while it is entered, by Python's profiling hook.
    Where a program has set that hook itself it is left alone."""

    def __init__(self) -> None:
        self.found: dict[tuple[str, int], str] = {}
        self.hook: Callable[..., Any] | None = None

    def __enter__(self) -> None:
        if sys.getprofile() is None:
            self.hook = self.event
            sys.setprofile(self.hook)

    def __exit__(self, *exc: object) -> None:
        if self.hook is not None and sys.getprofile() is self.hook:
            sys.setprofile(None)

    def event(self, frame: FrameType, event: str, arg: Any) -> None:
        if event == "c_call":
            self.called(frame, watch.kind_of_source(arg))

    def called(self, frame: FrameType | None, what: str) -> None:
        """Notes the user's line, if it was one that called."""
        while what and frame is not None:
            module = frame.f_globals.get("__name__", "")
            if module in watch.DRAWING:
                frame = frame.f_back
            else:
                if what == "random numbers" or not watch.is_opaque(module):
                    self.found[frame.f_code.co_filename, frame.f_lineno] = what
                return
