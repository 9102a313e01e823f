"""`f.find_nan(...)` of a compiled function: the op and line that made the first nan or infinity.

The traced graph is run op by op, every sample forward and backward (src/program/nonfinite.h), and
not by the plan, whose steps are many ops; lines.py says which line made which value.
"""

from __future__ import annotations

from typing import Any

from micrograd_fast import _core
from micrograd_fast.compiler import CompiledFunction
from micrograd_fast.lines import made_by
from micrograd_fast.names import Part, name_of_value, parts
from micrograd_fast.spelling import symbol, written

__all__ = ["Finding"]


def __dir__() -> list[str]:
    return __all__


class Finding(str):
    """What `f.find_nan(...)` of a compiled function returns: a text, and what it tells as data.
    False where results and gradients are finite."""

    direction: str | None = None
    """'forward' or 'backward': what was computed there; None: nothing is wrong."""
    op: str | None = None
    """The op as Python writes it, '+' or 'log'; None where an argument or a parameter itself is
    nan or infinite, and where only the call is, which computes in another order."""
    operands: tuple[float, ...] = ()
    """The numbers that the op was given."""
    value: float | None = None
    """The result of the op, or the argument's number; backward the adjoint that it passed on. None
    where only the call is nan or infinite."""
    sample: int | None = None
    """Of a batch, counted from 0: the first in which this op does so."""
    file: str | None = None
    line: int | None = None
    """The line of your code that made the op, or that uses the argument first."""
    argument: str | None = None
    """The argument that is an operand, or whose gradient is spoiled, such as 'x[2]'."""
    parameter: str | None = None
    """The same of a Value that the function uses: its label, or the way to it in your code."""
    unused: Finding | None = None
    """Where this is False: the first nan or infinity that reaches no result and no gradient."""

    def __bool__(self) -> bool:
        return self.direction is not None


def find_nan(function: CompiledFunction[..., Any], args: Any, kwargs: Any) -> Finding:
    """The Finding of a call. Raises what the call does for bad arguments and indices."""
    found, plain, named = function._read(args, kwargs)
    search = _Search(function, found, parts(function.__wrapped__, found.signature, plain, named))
    fault = search.run()
    if fault.kind == "index":
        _core._numbers(found, tuple(plain), dict(named))  # which says what is wrong with it
        raise IndexError("mg.take: an index is out of range or no whole number")
    if not fault.kind:
        return search.nothing(fault, _is_finite(found, plain, named))
    made = search.finding(fault)
    reaches_results = fault.kind == "forward" and fault.gradient < 0
    if reaches_results and _is_finite(found, plain, named):
        return search.but_finite(made)
    return made


def _is_finite(found: _core.Specialization, plain: Any, named: Any) -> bool:
    """Whether the results of the call itself are."""
    import numpy as np

    try:
        outputs = _core.ProfiledCall(found, tuple(plain), dict(named)).profile(0.0, 1).outputs
    except IndexError:  # an index that is nan: there are no results
        return False
    return bool(np.isfinite(np.frombuffer(outputs)).all())


def _made_apart(code: list[_core.Instruction], lines: list[Any]) -> bytes:
    """By value whether another line used it: `y = x**-1` there is no part of a division here."""
    apart = bytearray(len(code))
    for instruction, line in zip(code, lines, strict=True):
        for k in instruction.operands:
            apart[k] |= lines[k] != line
    return bytes(apart)


class _Search:
    """A call, run op by op, and what there is to say of it."""

    def __init__(
        self, function: CompiledFunction[..., Any], found: _core.Specialization, inputs: list[Part]
    ) -> None:
        self.function, self.found, self.inputs = function, found, inputs
        made_at, self.trouble = made_by(function, found)
        apart = _made_apart(found.traced.instructions(), [line for _, line in made_at])
        self.program, moved = _core.spelled_program(found.traced, apart)
        self.code = self.program.instructions()
        self.lines: list[Any] = [None] * len(self.code)
        self.made = [-1] * len(self.code)
        taken: set[int] = set()
        for value, (made, line) in zip(moved, made_at, strict=True):
            if value not in taken:  # what went into another value is said to have moved to 0
                taken.add(value)
                self.made[value], self.lines[value] = made, line
        self.complete()
        self.n_samples = next((len(p.numbers) for p in inputs if p.per_sample), 1)

    def complete(self) -> None:
        """What the rule of a custom op computes has no line of its own: its user's."""
        for value in range(len(self.code) - 1, -1, -1):
            for operand in self.code[value].operands:
                if self.lines[operand] is None and self.code[operand].operands:
                    self.lines[operand] = self.lines[value]
        for value, instruction in enumerate(self.code):
            before = [self.made[k] for k in instruction.operands]
            self.made[value] = max(self.made[value], *before) if before else -1

    def run(self) -> _core.Fault:
        import numpy as np

        order = sorted(range(len(self.code)), key=lambda k: (self.made[k], k))
        self.rank = np.empty(len(order), np.int32)
        self.rank[order] = np.arange(len(order))
        uniforms = np.full(self.program.n_inputs, np.nan)
        lanes = []
        for p in self.inputs:
            if p.per_sample:
                lanes.append((p.first, p.size, np.ascontiguousarray(p.numbers, float).tobytes()))
            else:
                uniforms[p.first : p.first + p.size] = np.ravel(p.numbers)
        captured = np.array([v.data for v in self.found.plan.captured], float)
        return _core.first_fault(
            self.program,
            self.rank.tobytes(),
            captured.tobytes(),
            uniforms.tobytes(),
            lanes,
            self.n_samples,
        )

    def differs(self, value: int) -> bool:
        """Whether a value may differ from sample to sample: no parameter, no number for all."""
        instruction = self.code[value]
        if instruction.op == "input":
            return bool(self.part(instruction.position).per_sample)
        return instruction.op != "captured"

    def part(self, k: int | None) -> Part:
        """The argument that has input k."""
        return next(p for p in self.inputs if k is not None and p.first <= k < p.first + p.size)

    # ---- words ----

    def name(self, value: int) -> tuple[str | None, str | None]:
        """(argument, parameter): of an input or a captured Value its name."""
        instruction = self.code[value] if value >= 0 else None
        if instruction is None or instruction.position is None:
            return None, None
        k = instruction.position
        if instruction.op == "input":
            return self.part(k).name_of(k), None
        v = self.found.plan.captured[k]
        return None, name_of_value(self.function, v) or f"Value(data={v.data})"

    def line_of(self, value: int) -> tuple[str | None, int | None]:
        """Of an input that of its first use."""
        if self.code[value].position is not None:
            users = [k for k, i in enumerate(self.code) if value in i.operands]
            value = min(users, key=lambda k: self.rank[k], default=value)
        return self.lines[value] or (None, None)

    def finding(self, fault: _core.Fault, used: bool = True) -> Finding:
        """What a fault is in words. used: whether it reaches a result or a gradient."""
        instruction = self.code[fault.value]
        involved = [self.name(k) for k in (fault.value, *instruction.operands)]
        argument = next((a for a, _ in involved if a), None)
        parameter = next((p for _, p in involved if p), None)
        spoiled = self.name(fault.gradient)
        op = symbol(instruction.op) if instruction.operands else None
        value = fault.share if fault.kind == "backward" else fault.result
        file, line = self.line_of(fault.value)
        sample = fault.sample if self.found.signature.batch and self.differs(fault.value) else None

        text = f"{file}:{line}: " if file else ""
        if op is None:
            text += f"{_called(argument, parameter) or 'a number of the code'} is {value}"
        elif fault.kind == "backward":
            text += f"on the way back {written(op, fault.operands)} makes an adjoint of {value}"
        else:
            text += f"{written(op, fault.operands)} is {value}"
        text += f" in sample {sample}" if sample is not None else ""
        if op and (argument or parameter):
            text += f"; of {_called(argument, parameter)}"
        if any(spoiled):
            text += f"; it reaches the gradient of {_called(*spoiled)}"
            if not (argument or parameter):
                argument, parameter = spoiled
        if used and sample is not None and fault.n_samples > 1:
            n = f"{fault.n_samples:,} of {self.n_samples:,}"
            text += f"\n{n} samples have a nan or an infinity in results or gradients"
        if self.trouble:
            text += f"\nNo line: {self.trouble}."
        made = Finding(text)
        made.direction = fault.kind or "forward"
        made.op, made.operands, made.value, made.sample = op, fault.operands, value, sample
        made.file, made.line, made.argument, made.parameter = file, line, argument, parameter
        return made

    def but_finite(self, made: Finding) -> Finding:
        """Where a result is not finite op by op, and the call's are."""
        text = (
            "\nThe results of the call are finite all the same: it computes in another order, and "
            "numbers are close to the largest float, 1.8e308"
        )
        again = Finding(made + text)
        vars(again).update(vars(made))
        return again

    def nothing(self, fault: _core.Fault, is_finite: bool) -> Finding:
        """Where results and gradients, op by op, are finite. is_finite: the call's results too."""
        unused = self.finding(fault, used=False) if fault.value >= 0 else None
        text = "no nan or inf"
        if not is_finite:
            text = (
                "op by op all is finite, but the call, which adds up in another order, has a nan "
                "or an infinity: numbers are close to the largest float, 1.8e308"
            )
        elif unused is not None:
            text += f" in results and gradients; left unused: {unused}"
        made = Finding(text)
        made.unused = unused
        if not is_finite:
            made.direction = "forward"
        return made


def _called(argument: str | None, parameter: str | None) -> str:
    words = [f"argument {argument}"] if argument else []
    return " and ".join([*words, f"parameter {parameter}"] if parameter else words)
