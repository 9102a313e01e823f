"""The steps that a compiled call is: what each computes, what it costs, and of which nodes of the
traced graph it is made."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

from micrograd_fast import _core, explain, names
from micrograd_fast.lines import made_by

MAX_LISTED = 3  # names in a list

Line = tuple[str, int] | None


@dataclass
class Step:
    """title and words: what it computes. line: of the user, that made most of it. made, taken:
    values of the traced program that it stands for, and that it reads. forward, backward:
    seconds."""

    title: str
    words: str
    once: bool
    forward: float
    backward: float
    made: set[int] = field(default_factory=set)
    taken: set[int] = field(default_factory=set)
    line: Line = None


@dataclass
class Call:
    """A call of a compiled function, as it was traced and as it runs. By traced value: the
    instruction, its name where it is given, the user's line, the steps that compute it and the
    steps that read it."""

    traced: list[_core.Instruction]
    outputs: tuple[int, ...]
    names: list[str]
    lines: list[Line]
    steps: list[Step]
    makers: list[set[int]]
    readers: list[set[int]]
    left: int  # instructions after the passes
    rest: tuple[float, float]  # seconds that are of no step
    samples: int | None  # None without batch
    gradient: bool
    trouble: str


def of_call(function: Any, args: tuple[Any, ...], kwargs: dict[str, Any], most: int) -> Call:
    """Runs the call on a clock, and traces the function once more for the lines.

    Raises ValueError for more than `most` steps, before their times are taken."""
    found, plain, named = function._read(args, kwargs)
    clock = _core.ProfiledCall(found, tuple(plain), dict(named))
    n_steps = len(found.plan.steps())
    if n_steps > most:
        raise ValueError(
            f"a call of {function.__name__} is {n_steps:,} steps, too many to look at ({most} at "
            "most): show a smaller model, or print f.explain(...)"
        )
    profile = clock.profile(explain.SECONDS, explain.MAX_RUNS)
    made_at, trouble = made_by(function, found)
    code, slots, moved = explain.laid_out(found)
    traced = found.traced.instructions()
    steps, makers, readers = _steps(found.plan, profile, traced, code, slots, moved)
    call_names = _names(function, found, traced, plain, named)
    lines = [line for _, line in made_at]
    for step, data in zip(steps, found.plan.steps(), strict=True):
        made = Counter(lines[v] for v in sorted(step.made) if lines[v] is not None)
        step.line = made.most_common(1)[0][0] if made else None
        step.words = _words(data, [call_names[v] for v in sorted(step.taken) if call_names[v]])
    return Call(
        traced,
        found.traced.outputs,
        call_names,
        lines,
        steps,
        makers,
        readers,
        len(found.plan.program),
        (profile.forward_seconds[-1], profile.backward_seconds[-1]),
        profile.n_samples if function._batch else None,
        profile.backward,
        trouble,
    )


def _steps(
    plan: _core.Plan,
    profile: _core.Profile,
    traced: list[_core.Instruction],
    code: list[_core.Instruction],
    slots: list[int],
    moved: list[int],
) -> tuple[list[Step], list[set[int]], list[set[int]]]:
    """The steps; by traced value those that compute it, and those that read it."""
    value_at = {slot: value for value, slot in enumerate(slots)}
    steps: list[Step] = []
    maker: dict[int, int] = {}  # by value of the code
    reads: list[set[int]] = []  # values of the code, by step
    for k, data in enumerate(plan.steps()):
        results = [value_at[slot] for slot in data.results if slot in value_at]
        maker.update(dict.fromkeys(results, k))
        taken = {x for v in results for x in code[v].operands} - set(results)
        if data.kind == "gather":
            taken = {value_at[slot] for slot in data.operands["x"] if slot in value_at}
        reads.append(taken)
        seconds = profile.forward_seconds[k], profile.backward_seconds[k]
        steps.append(Step(_title(data), "", not data.lanes, *seconds))
    makers = _makers(traced, moved, maker)
    readers: list[set[int]] = [set() for _ in traced]
    for v, ks in enumerate(makers):
        for k in ks:
            steps[k].made.add(v)
    at: dict[int, list[int]] = {}
    for v, value in enumerate(moved):
        # 0 is also what is gone: what is no longer there must be what it was.
        if value >= 0 and (value in maker or traced[v][2:] == code[value][2:] != (None, None)):
            at.setdefault(value, []).append(v)
    for k, values in enumerate(reads):
        for v in (v for value in values for v in at.get(value, ())):
            if v not in steps[k].made:
                steps[k].taken.add(v)
                readers[v].add(k)
    return steps, makers, readers


def _makers(
    traced: list[_core.Instruction], moved: list[int], maker: dict[int, int]
) -> list[set[int]]:
    """A product or a sum that is no value any more is part of the steps that compute what was made
    of it. What is given, or became a number, is computed by none."""
    makers: list[set[int]] = [set() for _ in traced]
    inherited: list[set[int]] = [set() for _ in traced]
    for v in range(len(traced) - 1, -1, -1):
        if traced[v].position is None and traced[v].op != "number":
            makers[v] = {maker[moved[v]]} if moved[v] in maker else inherited[v]
        for x in traced[v].operands:
            inherited[x] |= makers[v]
    return makers


def _names(
    function: Any,
    found: _core.Specialization,
    traced: list[_core.Instruction],
    args: Any,
    kwargs: Any,
) -> list[str]:
    """What the inputs and the captured Values are called; '' of all else."""
    parts = names.parts(function.__wrapped__, found.signature, tuple(args), dict(kwargs))
    inputs = {part.first + k: part.name_of(part.first + k) for part in parts for k in _range(part)}
    captured = names.names_of_values(function, list(found.plan.captured))
    called = []
    for op, _, position, _ in traced:
        if op == "input" and position is not None:
            called.append(inputs.get(position, f"input {position}"))
        elif op == "captured" and position is not None:
            called.append(captured[position] or f"captured {position}")
        else:
            called.append("")
    return called


def _range(part: names.Part) -> range:
    return range(part.size)


# ---- words ----


def _title(step: _core.PlanStep) -> str:
    sizes, count = step.sizes, step.sizes["count"]
    if step.kind == "matrix":
        return f"matrix {sizes['rows']} x {sizes['columns']}"
    if step.kind in ("dot", "inner"):
        return f"sum of {sizes['products']} product{'s' * (sizes['products'] != 1)}"
    if step.kind == "take":
        return f"choice of {sizes['choices']}"
    if step.kind == "gather":
        return f"{count} copied"
    if step.kind == "chain":
        return f"chain of {count} {step.op}"
    if step.kind == "extreme":
        return f"{step.op} of {sizes['choices']}"
    op = step.op or step.kind
    return op if count == 1 else f"{count} {op}"


def _words(step: _core.PlanStep, given: list[str]) -> str:
    """What a step computes, in a sentence, and from what of which the user knows the names."""
    sizes, count = step.sizes, step.sizes["count"]
    bias = ", plus a bias" if "bias" in step.operands else ""
    if step.kind == "matrix":
        vectors = "a vector" if sizes["vectors"] == 1 else f"{sizes['vectors']} vectors"
        sums = f"{sizes['rows'] * sizes['vectors']:,} sums of {sizes['columns']} products"
        text = f"A matrix times {vectors}{bias}: {sums} in one step"
    elif step.kind in ("dot", "inner"):
        text = f"One sum of products{bias}"
    elif step.kind == "take":
        text = "One of the values, which an index chooses"
    elif step.kind == "gather":
        text = "Numbers are copied so that they stand side by side"
    elif step.kind == "chain":
        text = "One after the other: each needs the result of the one before"
    elif step.kind == "extreme":
        text = "One of the values: the largest or the smallest"
    elif step.kind == "detach":
        text = "The same number, through which no gradient goes"
    elif count == 1:
        text = "One op on one number"
    else:
        text = "Equal ops on numbers that stand side by side, in one step"
    return f"{text}. Reads {listed(given)}." if given else f"{text}."


def listed(given: list[str]) -> str:
    """Names in few words: w[0], w[1] or 48 of model.layers[0]."""
    given = list(dict.fromkeys(given))
    if len(given) <= MAX_LISTED:
        return ", ".join(given)
    groups: dict[str, list[str]] = {}
    for name in given:
        groups.setdefault(name.split("[")[0].split(".")[0], []).append(name)
    parts = []
    for names_of_one in list(groups.values())[: MAX_LISTED + 1]:
        if len(names_of_one) == 1:
            parts.append(names_of_one[0])
        else:
            parts.append(f"{len(names_of_one):,} of {stem(names_of_one)}")
    return ", ".join(parts) + (", ..." if len(groups) > MAX_LISTED + 1 else "")


def stem(given: list[str]) -> str:
    """What several names begin with, up to where a place begins: of the first and last in order
    what all begin with."""
    first, last = min(given), max(given)
    n = next((k for k, (a, b) in enumerate(zip(first, last, strict=False)) if a != b), len(first))
    if all(name[n : n + 1] in ("", "[", ".") for name in given):
        return first[:n].rstrip(".") or first
    cut = max(first.rfind("[", 0, n), first.rfind(".", 0, n))
    return first[:cut] if cut > 0 else first[:n] or first
