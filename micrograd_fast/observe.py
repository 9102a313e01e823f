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
    function: Callable[..., Any],
    name: str,
    trace: Any,
    args: list[Any],
    kwargs: dict[str, Any],
    kinds: tuple[type, ...] = (),
    finish: Callable[[Any], None] | None = None,
) -> tuple[Any, _core.Watch]:
    """The result of a call that is traced, and what there is to watch from now on.

    kinds: classes of Values that the arguments are of. finish: called with the result, where it may
    run more of the user's code.
    """
    watched = _core.Watch(function, None, kinds)
    sources = watched.sources
    calls = _Calls(sources)
    before = _random_states(sources)
    try:
        with trace, calls if sources else _NOTHING:
            result = function(*args, **kwargs)
            if finish is not None:
                finish(result)
    finally:  # no more than a rest, see close()
        trace.close()
        calls.__exit__()
    if not calls.found and _random_states(sources) != before:
        places = watch.lines_that_draw(watched.codes) or [_place(function)]
        calls.found = dict.fromkeys(places, "random numbers")
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
        watched = _core.Watch(function, watched, kinds)
        watched.settle()
    if watched.full:
        _warn(
            f"{name} can reach more than {len(watched)} objects and lists: a change in the others "
            "is not noticed. Give it what it needs as arguments",
            *_place(function),
        )
    return result, watched


def check_same(name: str, first: Any, second: Any) -> None:
    """Raises TraceError where two traces of one function for one signature differ."""
    what = _difference(first, second)
    if what:
        raise _core.TraceError(
            f"{name} was traced twice, and {what}. Something in it changes from run to run, such "
            "as a random number, the time, a counter, a file or the order of a set: give it as an "
            "argument"
        )


def _difference(first: Any, second: Any) -> str:
    """In words, or nothing."""
    forms = [_form(trace.tree) for trace in (first, second)]
    if forms[0] != forms[1]:
        return f"the results were {forms[0]} and {forms[1]}"
    one, other = (trace.traced.listing().splitlines() for trace in (first, second))
    for a, b in zip(one, other, strict=False):
        if a != b:
            return f"an instruction was '{a.strip()}' and '{b.strip()}'"
    if len(one) != len(other):
        return f"there were {len(one)} and {len(other)} instructions"
    for k, (p, q) in enumerate(zip(first.plan.captured, second.plan.captured, strict=True)):
        if p is not q:
            return f"Value {k} of those that it uses was another one"
    return ""


def _form(tree: Any) -> str:
    """The structure of results, or a constant among them."""
    if isinstance(tree, type):
        return tree.__name__
    kind, inside = tree
    if kind == "static":
        return repr(inside)
    return f"{kind.__name__} of {len(inside)}: {', '.join(map(_form, inside))}"


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


def _random_states(sources: list[Any]) -> list[Any]:
    """Of the generators that the modules random and numpy.random share among all, and of those of
    NumPy among the sources."""
    import random

    states: list[Any] = [random.getstate()]
    numpy = sys.modules.get("numpy.random")
    if numpy is not None:
        generators = [s for s in sources if isinstance(s, (numpy.Generator, numpy.RandomState))]
        for state in [numpy.get_state(legacy=False), *map(_state_of, generators)]:
            inner = state["state"]
            parts = inner.values() if isinstance(inner, dict) else [inner]
            states.append([p.tobytes() if hasattr(p, "tobytes") else p for p in parts])
    return states


def _state_of(generator: Any) -> Any:
    """Of a Generator or a RandomState of NumPy."""
    if hasattr(generator, "bit_generator"):
        return generator.bit_generator.state
    return generator.get_state(legacy=False)


class _Nothing:
    def __enter__(self) -> None:
        pass

    def __exit__(self, *exc: object) -> None:
        pass


_NOTHING = _Nothing()


class _Calls:
    """Sees calls of random generators and clocks while it is entered, by Python's profiling hook.
    Where a program has set that hook itself it is left alone.

    sources: the generators that were there before. One that the function makes itself starts from
    its seed at every run."""

    def __init__(self, sources: list[Any]) -> None:
        import random

        shared = getattr(random.random, "__self__", None)
        self.generators = [shared, *sources]
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
            what = watch.kind_of_source(arg)
            if watch.is_generator(arg) and not any(
                arg.__self__ is generator for generator in self.generators
            ):
                what = ""
            if what:
                self.called(frame, what)

    def called(self, frame: FrameType | None, what: str) -> None:
        """Notes the user's line, if it was one that called."""
        while frame is not None:
            module = frame.f_globals.get("__name__", "")
            if not watch.is_opaque(module):
                self.found[frame.f_code.co_filename, frame.f_lineno] = what
                return
            if module.startswith("importlib") or (what == "the time" and module != "datetime"):
                return  # the library's own use of it
            frame = frame.f_back
