"""What stands out in a compiled program: the remarks of `f.explain(...)`, each with the user's line
that it comes from.

Every remark is about steps that do less at a time than others of their kind: a dot that is no row
of a matrix, an op on one number, a copy. It says why the plan (src/plan/) could do no better.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from typing import Any, NamedTuple

from micrograd_fast import _core

__all__: list[str] = []

LIBM = {"exp", "log", "log1p", "tanh", "sigmoid", "sin", "cos", "pow", "vpow"}
MIN_PRODUCTS = 4  # of a dot that is worth a remark
MIN_STEPS = 4  # of one number each, from one line
MIN_FAMILY = 100  # equal ops that should be few steps
NARROW = 4  # results of a step
SMALLEST_TILE = 8
LARGE_WORKSPACE = 2097152  # bytes: the second cache level of most processors
ALONE = "no other sum is over the same values"
MAX_COMPARED = 200  # sums that one is compared with


class Remark(NamedTuple):
    """Something that stands out in a compiled function.

    file, line: where it comes from, "" and 0 where that is not known.
    seconds: that its steps take in a call."""

    text: str
    file: str
    line: int
    seconds: float


class Program:
    """A program as it is laid out, with what the remarks need to know of it.

    code: the instructions; steps: of the plan; slots: by value; lines: by value (file, line);
    products: by the two factors' values the line of that product; seconds: by step.
    """

    def __init__(
        self,
        code: list[_core.Instruction],
        steps: list[_core.PlanStep],
        slots: list[int],
        lines: dict[int, tuple[str, int]],
        products: dict[frozenset[int], tuple[str, int] | None],
        seconds: list[float],
    ) -> None:
        self.code: list[_core.Instruction] = code
        self.steps: list[_core.PlanStep] = steps
        self.lines: dict[int, tuple[str, int]] = lines
        self.products: dict[frozenset[int], tuple[str, int] | None] = products
        self.seconds = seconds
        self.values: dict[int, int] = {slot: value for value, slot in enumerate(slots)}
        # Of a dot of several kinds of products, which is several dots, one is the bias of the next.
        self.goes_on: dict[int, int] = {
            i.operands[0]: v for v, i in enumerate(code) if _has_bias(i)
        }

    def results(self, step: _core.PlanStep) -> list[int]:
        """The values that a step computes. Copies are none."""
        return [self.values[slot] for slot in step.results if slot in self.values]

    def line(self, step: _core.PlanStep) -> tuple[str, int]:
        """That made the last of a step's results of which that is known."""
        for value in reversed(self.results(step)):
            while value not in self.lines and value in self.goes_on:
                value = self.goes_on[value]
            if value in self.lines:
                return self.lines[value]
        return "", 0

    def pairs(self, value: int) -> list[tuple[int, int]]:
        """The products of a dot, two factors each."""
        operands = self.code[value].operands
        rest = operands[len(operands) % 2 :]
        return list(zip(rest[::2], rest[1::2], strict=True))

    def factors(self, value: int) -> set[int]:
        """All factors of a dot but its numbers, which many sums share."""
        factors = {v for pair in self.pairs(value) for v in pair}
        return {v for v in factors if self.code[v].op != "number"}


def _has_bias(instruction: _core.Instruction) -> bool:
    return instruction.op == "dot" and len(instruction.operands) % 2 == 1


def of_program(program: Program) -> list[Remark]:
    """All that stands out in the steps."""
    found = _missed_sums(program) + _single_ops(program) + _narrow_steps(program)
    return found + _copies(program) + _choices(program) + _chains(program)


def of_tiles(plan: _core.Plan, profile: _core.Profile) -> list[Remark]:
    """What stands out in the memory that a call works in."""
    size = plan.describe()
    if not size["lane steps"]:
        return []
    texts = []
    if size["tile"] == SMALLEST_TILE:
        texts.append(
            f"a tile has {SMALLEST_TILE} lanes, the fewest there are: {size['rows']:,} numbers a "
            "sample leave no room for more, so each step is called for few samples at a time"
        )
    if size["workspace bytes"] > LARGE_WORKSPACE:
        texts.append(
            f"the working memory of {size['workspace bytes']:,} bytes is more than the second "
            "cache level of most processors holds"
        )
    if 0 < profile.n_samples < SMALLEST_TILE:
        texts.append(
            f"{profile.n_samples} of {SMALLEST_TILE} lanes are in use: more samples a call cost "
            "nothing up to there"
        )
    return [Remark(text, "", 0, 0.0) for text in texts]


def matrices(program: Program) -> list[str]:
    """A line that lists the matrices, or nothing."""
    found: Counter[str] = Counter()
    for step in program.steps:
        if step.kind == "matrix":
            vectors = step.sizes["vectors"]
            times = f" times {vectors} vectors" if vectors > 1 else ""
            file, line = program.line(step)
            where = f" ({file}:{line})" if file else ""
            found[f"{step.sizes['rows']} x {step.sizes['columns']}{times}{where}"] += 1
    texts = [text if n == 1 else f"{n} of {text}" for text, n in found.items()]
    more = [f"and {len(texts) - 6} more sizes"] if len(texts) > 6 else []
    return ["matrices: " + ", ".join(texts[:6] + more)] if texts else []


def _gathered(program: Program, found: Iterable[tuple[Any, int]], text: Any) -> list[Remark]:
    """A remark for all steps of one key and one line. found: (key, number of a step); text makes
    the words of the key and the numbers."""
    groups: dict[Any, list[int]] = {}
    for key, k in found:
        groups.setdefault((key, program.line(program.steps[k])), []).append(k)
    made = []
    for (key, (file, line)), steps in groups.items():
        words = text(key, steps)
        if words:
            made.append(Remark(words, file, line, sum(program.seconds[k] for k in steps)))
    return made


# ---- sums that are no matrix ----


def _missed_sums(program: Program) -> list[Remark]:
    """Dots that stay single, with what keeps them out of a matrix."""
    found = [
        (_reason(program, k), k)
        for k, step in enumerate(program.steps)
        if step.kind == "dot" and step.sizes["products"] >= MIN_PRODUCTS
    ]
    if not found:
        return []

    def text(key: tuple[int, str], steps: list[int]) -> str:
        n, reason = key
        if reason == ALONE and len(steps) < MIN_STEPS:  # the last neuron of a network is such a sum
            return ""
        if len(steps) == 1:
            return f"a sum of {n} products is a step of its own: {reason}"
        return f"{len(steps)} sums of {n} products each are steps of their own: {reason}"

    return _gathered(program, found, text)


def _reason(program: Program, k: int) -> tuple[int, str]:
    """(products, why a dot is no row of a matrix)"""
    step = program.steps[k]
    n, value = step.sizes["products"], program.results(step)[-1]
    own, step_value = program.factors(value), value
    best, shared, shape = _sibling(program, k, own)
    if best < 0:
        if step.lanes and all(slot >= 0 for slot in step.operands["w"]):
            return n, "both factors of its products depend on the sample, so they are no weights"
        return n, ALONE
    odd = _odd_terms(program, value, best, shared)
    while value not in program.lines and value in program.goes_on:
        value = program.goes_on[value]
        odd += program.pairs(value)
    others = f"sums like it are a matrix of {shape}" if shape else "other sums share its factors"
    if odd and len(odd) <= n // 2:
        term = "a term" if len(odd) == 1 else f"{len(odd)} terms"
        return n, f"{others}, but it has {term} more{_made_at(program, odd[0])}"
    fewer = len(program.pairs(best)) - n
    if fewer > 0:
        return n, f"{others}, but it has {fewer} {'term' if fewer == 1 else 'terms'} fewer"
    depths = _depths(program.code)
    if depths[step_value] != depths[best]:
        return n, f"{others}, but another number of ops lies between it and a result"
    return n, (
        f"{others}, but its weights do not stand at the same distances in memory: parameters of a "
        "layer that are made one after the other do"
    )


def _depths(code: list[_core.Instruction]) -> list[int]:
    """By value how many ops at most lie between it and a result: the steps of a plan are made of
    values of one depth."""
    depths = [0] * len(code)
    for value in range(len(code) - 1, -1, -1):
        for operand in code[value].operands:
            depths[operand] = max(depths[operand], depths[value] + 1)
    return depths


def _sibling(program: Program, k: int, own: set[int]) -> tuple[int, set[int], str]:
    """The dot that shares most factors with those of step k, these factors, and the matrix that it
    is of in words; (-1, ...) where none shares half of them. A matrix goes before a single dot."""
    found: tuple[int, set[int], str] = (-1, set(), "")
    kinds = [s for s in program.steps if s.kind == "matrix"][:MAX_COMPARED]
    kinds += [s for s in program.steps if s.kind == "dot"][:MAX_COMPARED]
    for step in kinds:
        if step is program.steps[k] or step.lanes != program.steps[k].lanes:
            continue
        if found[2] and step.kind == "dot":
            break
        rows = program.results(step)[:2]
        shared = own.intersection(*map(program.factors, rows))  # a matrix's weights are not
        if len(shared) > len(found[1]) and len(shared) >= max(2, len(program.pairs(rows[0])) // 2):
            sizes = step.sizes
            shape = f"{sizes['rows']} x {sizes['columns']}" if step.kind == "matrix" else ""
            found = rows[0], shared, shape
    return found


def _odd_terms(
    program: Program, value: int, sibling: int, shared: set[int]
) -> list[tuple[int, int]]:
    """The products of a dot that have no counterpart, over the same shared factor, in another."""
    theirs = Counter(v for pair in program.pairs(sibling) for v in pair if v in shared)
    odd = []
    for pair in program.pairs(value):
        factor = next((v for v in pair if theirs[v]), None)
        if factor is None:
            odd.append(pair)
        else:
            theirs[factor] -= 1
    return odd


def _made_at(program: Program, pair: tuple[int, int]) -> str:
    """Where a product was made; of what is no product, and has a 1 as factor, the value."""
    where = program.products.get(frozenset(pair))
    for value in pair:
        where = where or program.lines.get(value)
    return f", made at {where[0]}:{where[1]}" if where else ""


# ---- ops on few numbers at a time ----


def _single_ops(program: Program) -> list[Remark]:
    """Functions of the C library on one number after another."""
    found = [
        (step.op, k)
        for k, step in enumerate(program.steps)
        if step.kind == "ops" and not step.lanes and len(step.results) == 1
        if step.op in LIBM and not _is_products(program, step)
    ]

    def text(op: str, steps: list[int]) -> str:
        if len(steps) < MIN_STEPS:
            return ""
        return (
            f"{len(steps)} {op} of one number each, a call of the C library for each: the "
            "vectorised ones need several numbers side by side"
        )

    return _gathered(program, found, text)


def _is_products(program: Program, step: _core.PlanStep) -> bool:
    """Whether a step is a power that takes no function."""
    if step.op not in ("pow", "vpow"):
        return False
    exponent = program.code[program.values[step.operands["y"][0]]].number
    return exponent is not None and _core.is_made_of_products(exponent)


def _is_slow(program: Program, steps: list[int], share: float = 0.1) -> bool:
    return sum(program.seconds[k] for k in steps) > share * sum(program.seconds)


def _narrow_steps(program: Program) -> list[Remark]:
    """Hundreds of equal ops that are many steps of few results."""
    families: dict[tuple[str, bool], list[int]] = {}
    for k, step in enumerate(program.steps):
        if step.kind == "ops":
            families.setdefault((step.op or "", step.lanes), []).append(k)
    levels = _levels(program.code)
    made = []
    for (op, _), steps in families.items():
        results = sum(len(program.steps[k].results) for k in steps)
        if results < MIN_FAMILY or results >= NARROW * len(steps):
            continue
        narrow = [k for k in steps if len(program.steps[k].results) < NARROW]
        depths = {levels[v] for k in narrow for v in program.results(program.steps[k])}
        why = "their operands do not stand side by side"
        if 2 * len(depths) > len(narrow):
            why = "most of them need the results of others before them"
        lines = Counter(program.line(program.steps[k]) for k in narrow)
        (file, line), _ = lines.most_common(1)[0]
        text = f"{results:,} {op} are {len(steps):,} steps, most of one result or a few: {why}"
        made.append(Remark(text, file, line, sum(program.seconds[k] for k in narrow)))
    return made


def _levels(code: list[_core.Instruction]) -> list[int]:
    """By value how many ops at most lie between it and what is given."""
    levels: list[int] = []
    for instruction in code:
        levels.append(1 + max((levels[v] for v in instruction.operands), default=-1))
    return levels


# ---- copies, choices, chains ----


def _copies(program: Program) -> list[Remark]:
    """Values that are copied side by side for a matrix, with the line of its sums."""
    users: dict[int, int] = {}
    for k, step in enumerate(program.steps):
        if step.kind == "matrix":
            first, move = step.operands["w"][0], step.sizes["w_row"]
            users[step.operands["x"][0]] = k
            users.update({first - m * move: k for m in range(step.sizes["rows"])})
    counts: dict[tuple[str, int], list[float]] = {}
    for k, step in enumerate(program.steps):
        if step.kind == "gather":
            user = users.get(step.results[0])
            line = program.line(program.steps[user]) if user is not None else ("", 0)
            sums = counts.setdefault(line, [0, 0.0])
            sums[0] += len(step.results)
            sums[1] += program.seconds[k]
    return [
        Remark(
            f"{n:,} values are copied so that they stand side by side for a matrix: those made one "
            "after the other by one op would",
            *line,
            seconds,
        )
        for line, (n, seconds) in counts.items()
    ]


def _choices(program: Program) -> list[Remark]:
    """Takes of many values, which choose for one sample after another."""
    found = [
        (step.sizes["choices"], k)
        for k, step in enumerate(program.steps)
        if step.kind == "take" and not _core.is_blended(step.sizes["choices"])
    ]

    def text(choices: int, steps: list[int]) -> str:
        if len(steps) < MIN_STEPS and not _is_slow(program, steps):
            return ""
        takes = f"{len(steps)} takes" if len(steps) > 1 else "a take"
        return f"{takes} of {choices} values: a choice is made for one sample after another"

    return _gathered(program, found, text)


def _chains(program: Program) -> list[Remark]:
    """Ops each of which waits for the one before."""
    found = [
        ((step.op, len(step.results)), k)
        for k, step in enumerate(program.steps)
        if step.kind == "chain" and len(step.results) >= MIN_STEPS
    ]

    def text(key: tuple[str, int], steps: list[int]) -> str:
        chains = f"{len(steps)} chains" if len(steps) > 1 else "a chain"
        return f"{chains} of {key[1]} {key[0]}, each of which needs the result of the one before"

    return _gathered(program, found, text)
