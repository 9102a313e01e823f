"""`f.explain(...)` of a compiled function: in plain words how a call runs and what is slow in it.

The call is run on a clock (src/call/profile.pxi), and the function traced once more to see which
line a step comes from (lines.py).
"""

from __future__ import annotations

from collections import namedtuple

from micrograd_fast import _core, remarks
from micrograd_fast.lines import made_by
from micrograd_fast.remarks import Program, Remark

TYPE_CHECKING = False  # typing's own constant costs an import of 4 ms
if TYPE_CHECKING:
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
    made_at, trouble = made_by(function, found)
    program = _program(found, profile, [line for _, line in made_at])
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


def laid_out(found: _core.Specialization) -> tuple[list[_core.Instruction], list[int], list[int]]:
    """The instructions as they were laid out, the slot of each, and where in them each value of the
    traced program is: below 0 for what is no value of its own any more."""
    program, moved = found.traced, list(range(len(found.traced)))
    for rewrite in _core.PASSES:
        program, values = rewrite.moved(program)
        moved = [values[v] if v >= 0 else v for v in moved]
    program, values, slots = _core.placed_values(found.plan, found.signature.plan_kinds())
    return program.instructions(), slots, [values[v] if v >= 0 else v for v in moved]


def _program(found: _core.Specialization, profile: _core.Profile, lines: list[Any]) -> Program:
    """What the remarks are made from: the program as it was laid out, its steps, and the lines."""
    code, slots, moved = laid_out(found)
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
