"""`f.explain(...)` of a compiled function: in plain words how a call runs and what is slow in it.

The call is run on a clock (src/call/profile.pxi), and the function traced once more under
sys.settrace: which line made which node says which line a step comes from.
"""

from __future__ import annotations

import sys
from bisect import bisect_right
from collections import namedtuple

from micrograd_fast import _core, arguments, remarks
from micrograd_fast.remarks import Program, Remark

TYPE_CHECKING = False  # typing's own constant costs an import of 4 ms
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any

    from micrograd_fast.compiler import CompiledFunction

__all__ = ["Explanation", "Remark", "StepTimes", "explain"]

SECONDS = 0.2  # that the runs on the clock take together, or one run
MAX_RUNS = 200
MAX_ROWS = 10
MAX_REMARKS = 10

StepTimes = namedtuple("StepTimes", ["kind", "steps", "results", "forward", "backward"])
StepTimes.__doc__ = """Seconds that the steps of a kind take in a call, forward and backward."""


class Explanation(str):
    """What `f.explain(...)` of a compiled function returns: a text, and what it tells as data."""

    times: list[StepTimes]
    """A StepTimes(kind, steps, results, forward, backward) for each kind of step, in seconds, the
    slowest first; the last is what is no step."""
    remarks: list[Remark]
    """A Remark(text, file, line, seconds) for all that stands out, the slowest first."""


def explain(function: CompiledFunction, args: Any, kwargs: Any) -> Explanation:
    """The Explanation of a call."""
    found, plain, named = function._read(args, kwargs)
    profile = _core.ProfiledCall(found, tuple(plain), dict(named)).profile(SECONDS, MAX_RUNS)
    lines, trouble = _lines(function, found)
    program = _program(found, profile, lines)
    times = _times(program, profile)
    stands_out = remarks.of_program(program) + remarks.of_tiles(found.plan, profile)
    stands_out.sort(key=lambda remark: -remark.seconds)
    text = [*_sizes(function, found, profile), *remarks.matrices(program), ""]
    text += [*_table(times, profile), "", *_stands_out(stands_out)]
    if trouble:
        text.append(f"No lines: {trouble}.")
    made = Explanation("\n".join(text))
    made.times, made.remarks = times, stands_out
    return made


# ---- which line made which value ----


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


def _lines(function: CompiledFunction, found: _core.Specialization) -> tuple[list[Any], str]:
    """By value of the traced program the line that made it, or None; and why there are none."""
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
        return [None] * len(
            found.traced
        ), "the function did something else when it was traced again"
    return [lines.line_of(node) for node in trace.places], ""


def _program(found: _core.Specialization, profile: _core.Profile, lines: list[Any]) -> Program:
    """What the remarks are made from: the program as it was laid out, its steps, and the lines."""
    program, moved = found.traced, list(range(len(found.traced)))
    for rewrite in _core.PASSES:
        program, values = rewrite.moved(program)
        moved = [values[v] if v >= 0 else v for v in moved]  # below 0: no value of its own any more
    program, values, slots = _core.placed_values(found.plan, found.signature.plan_kinds())
    moved = [values[v] if v >= 0 else v for v in moved]
    code = program.instructions()
    places: dict[int, Any] = {}
    for value, line in zip(moved, lines, strict=True):
        if line is not None and value >= 0 and code[value].position is None:
            places.setdefault(value, line)
    products: dict[frozenset[int], Any] = {}
    for value, instruction in enumerate(found.traced.instructions()):
        if instruction.op == "mul":
            products.setdefault(frozenset(moved[v] for v in instruction.operands), lines[value])
    seconds = [
        f + b for f, b in zip(profile.forward_seconds, profile.backward_seconds, strict=True)
    ]
    return Program(code, found.plan.steps(), slots, places, products, seconds)


# ---- the text ----


def _sizes(function: CompiledFunction, found: _core.Specialization, profile: Any) -> list[str]:
    size, info = found.plan.describe(), function.cache_info()
    samples = f"{profile.n_samples:,} samples" if function._batch else "one sample, no batch"
    why = f"; the last was made because of {found.reason}" if found.reason else ""
    lines = [
        f"{function.__name__}: {len(found.traced):,} instructions traced, "
        f"{len(found.plan.program):,} left; {size['uniform steps']:,} steps once a call, "
        f"{size['lane steps']:,} once a tile of samples; {samples}",
        f"traces: {info.currsize} of at most {info.maxsize}, {info.hits:,} hits, "
        f"{info.misses:,} misses{why}",
    ]
    memory = f"{size['workspace bytes']:,} bytes of working memory"
    if size["lane steps"]:
        lines.append(f"tiles: {profile.n_tiles:,} of at most {size['tile']} lanes; {memory}")
    else:
        lines.append(f"no tiles: nothing depends on a sample; {memory}")
    return lines


def _times(program: Program, profile: Any) -> list[StepTimes]:
    """The steps by kind, the slowest kind first; then the rest."""
    kinds: dict[str, Any] = {}
    tiled = any(step.lanes for step in program.steps)
    for k, step in enumerate(program.steps):
        kind = step.op or "" if step.kind in ("ops", "extreme") else step.kind
        kind = f"chain of {step.op}" if step.kind == "chain" else kind
        kind += "" if step.lanes or not tiled else ", once a call"
        sums = kinds.setdefault(kind, [0, 0, 0.0, 0.0])
        sums[0] += 1
        sums[1] += len(step.results)
        sums[2] += profile.forward_seconds[k]
        sums[3] += profile.backward_seconds[k]
    times = [StepTimes(kind, *sums) for kind, sums in kinds.items()]
    times.sort(key=lambda t: -(t.forward + t.backward))
    rest = profile.forward_seconds[-1], profile.backward_seconds[-1]
    return [*times, StepTimes("loading and storing", 0, 0, *rest)]


def _table(times: list[StepTimes], profile: Any) -> list[str]:
    if not profile.n_runs:
        return ["Nothing was run: there are no samples."]
    forward, backward = sum(t.forward for t in times), sum(t.backward for t in times)
    total = forward + backward
    ways = f"{1e6 * forward:,.1f} forward, {1e6 * backward:,.1f} backward"
    if not profile.backward:
        ways = "no gradient is wanted"
    lines = [
        f"A run of the steps takes {1e6 * total:,.1f} us: {ways} (the best of {profile.n_runs} "
        f"runs for each step, one thread, {_core.kernel_variant()} kernels)",
        f"  {'kind of step':<24}{'steps':>8}{'results':>10}{'us forward':>12}{'us backward':>13}"
        f"{'share':>8}",
    ]
    shown, hidden = times[: MAX_ROWS - 2], times[MAX_ROWS - 2 : -1]
    if hidden:
        sums = [sum(t[k] for t in hidden) for k in range(1, 5)]
        shown = [*shown, StepTimes(f"{len(hidden)} other kinds", *sums), times[-1]]
    elif times[-1] not in shown:
        shown = [*shown, times[-1]]
    for t in shown:
        share = (t.forward + t.backward) / total if total else 0.0
        counts = f"{t.steps:>8,}{t.results:>10,}" if t.steps else " " * 18
        seconds = f"{1e6 * t.forward:>12,.2f}{1e6 * t.backward:>13,.2f}"
        lines.append(f"  {t.kind:<24}{counts}{seconds}{share:>8.0%}")
    return lines


def _stands_out(found: list[Remark]) -> list[str]:
    if not found:
        return ["Nothing stands out."]
    lines = ["What stands out, the slowest first:"]
    for text, file, line, _ in found[:MAX_REMARKS]:
        lines.append(f"- {file}:{line}: {text}" if file else f"- {text}")
    if len(found) > MAX_REMARKS:
        lines.append(f"- and {len(found) - MAX_REMARKS} more: see .remarks")
    return lines
