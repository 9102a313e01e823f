"""compile(): trace a function of Values once, replay it in C, one call or a whole batch at a time.

The function is run once per signature on inputs that stand for numbers to come; what it does with
them becomes a program (src/program/program.h), and later calls replay that. Python side effects
happen once, at the trace. See docs/compile.md for what compiles and what does not.
"""

from __future__ import annotations

from collections import namedtuple
from collections.abc import Callable

from micrograd_fast import _core, arguments, batches, observe
from micrograd_fast import _types as t
from micrograd_fast.arguments import Wanted
from micrograd_fast.counted import counted
from micrograd_fast.engine import Value

TYPE_CHECKING = False  # typing's own constant costs an import of 4 ms
if TYPE_CHECKING:
    from typing import overload

__all__ = ["Batch", "CompiledFunction", "TraceError", "TraceWarning", "compile"]


def __dir__() -> list[str]:
    return __all__


Batch = _core.Batch
TraceError = _core.TraceError
TraceWarning = _core.TraceWarning

_core.set_elementwise(batches.elementwise)

TRACES_IN_A_ROW = 16  # from then on somebody should know

if TYPE_CHECKING:

    class CacheInfo(t.NamedTuple):
        """As functools.lru_cache has it."""

        hits: int
        misses: int
        maxsize: int
        currsize: int
else:
    CacheInfo = namedtuple("CacheInfo", ["hits", "misses", "maxsize", "currsize"])


class ProgramText(str):
    """What `f.program(...)` of a compiled function returns: a text, and what it tells as data."""

    def __repr__(self) -> str:
        return str(self)

    _program: _core.Program
    _steps: list[_core.PlanStep]

    def instructions(self) -> list[_core.Instruction]:
        """An Instruction(op, operands, position, number) for each value, after the passes."""
        return self._program.instructions()

    @property
    def outputs(self) -> tuple[int, ...]:
        """The values that are returned, by their places among the instructions."""
        return self._program.outputs

    def steps(self) -> list[_core.PlanStep]:
        """What the program became: a PlanStep(kind, op, results, operands, ...) for each line."""
        return self._steps


def _specialization(
    function: t.Any,
    name: str,
    signature: _core.Signature,
    reason: str = "",
    asked: str | None = None,
) -> _core.Specialization:
    """Traces a function for calls of a signature.

    reason: why, in words, where another trace went before it. asked: see CompiledFunction._asked.
    """
    trace = _core.Trace()
    args, kwargs = signature.placeholders(trace)
    rules, made = _core.rules_given(), []

    def program_of(result: t.Any) -> t.Any:
        values: list[Value] = []
        tree = arguments.flatten(result, values, name)
        if not values:
            raise TypeError(arguments.no_value(name, signature))
        return tree, trace.program(values)

    def finish(result: t.Any) -> None:
        """Rules of custom ops run when the program is made: they are a part of the function."""
        if _core.rules_given() != rules:
            made.append(program_of(result))

    try:
        result, watched = observe.run(
            function, name, trace, args, kwargs, signature.classes(), finish
        )
    except TypeError as error:
        # What a derived function is given is not what the user gave.
        is_the_users = type(error) is TypeError and asked is None
        hint = arguments.hint(signature) if is_the_users else ""
        if hint:
            raise TypeError(f"{error} ({hint})") from error
        raise
    tree, (traced, captured) = made[0] if made else program_of(result)
    plan = _core.Plan(_core.optimized(traced), captured, signature.plan_kinds())
    rebuild = None if tree is Value else lambda values: arguments.unflatten(tree, iter(values))
    asked = name if asked is None else asked
    return _core.Specialization(signature, plan, rebuild, tree, traced, watched, reason, asked)


# Texts, which type checkers read: the names themselves would cost an import of typing.
class CompiledFunction(_core.Dispatcher["t.P", "t.R"]):
    """What compile() returns: call it like the function it was made from.

    For type checkers CompiledFunction[P, R] has the function's parameters, takes arrays and
    numbers in their places too, and returns R: what the function does, or a Batch of that.
    """

    # Of a derivative: whether the rows of the arrays of argument k of n are samples, or shared.
    _per_sample: Callable[[int, int], bool] | None = None
    # The function whose find_nan() explains a nan, if it is not this one; "": there is none.
    _asked: str | None = None
    _first_alone = False  # and whether value_and_grad is of the first argument in a batch too

    def __init__(self, function: Callable[..., t.Any], batch: bool, check: bool = False) -> None:
        if not callable(function) and not isinstance(function, classmethod):
            raise TypeError(f"compile() takes a function, not {type(function).__name__!r}")
        self._take(function)
        self.__name__: str = getattr(function, "__name__", type(function).__name__)
        self.__doc__ = function.__doc__
        self._batch = batch
        self._check = check

    def __repr__(self) -> str:
        kind = "batched " if self._batch else ""
        signatures = counted(len(self._traces.by_signature), "signature")
        return f"<{kind}compiled function {self.__name__}, {signatures}>"

    def __reduce__(self) -> t.Any:
        from copyreg import __newobj__  # type: ignore[attr-defined]

        name = _name_of(self)
        if isinstance(name, str) or self._descriptor is None:
            # The state comes last: the function may be a method of an object that has this one.
            return name or (__newobj__, (type(self),), (self.__wrapped__, self.__dict__))
        owner = self.__wrapped__.__self__
        return name or (_bound, (self._descriptor, owner))

    def __setstate__(self, state: tuple[Callable[..., t.Any], dict[str, t.Any]]) -> None:
        function, attributes = state
        self._take(function)
        self.__dict__.update(attributes)

    def cache_info(self) -> CacheInfo:
        """Hits, misses, and how many traces there are of how many that are kept: as functools."""
        traces = self._traces
        return CacheInfo(traces.hits, traces.misses, _core.MAX_TRACES, len(traces.by_signature))

    def cache_clear(self) -> None:
        """Forgets all traces: the next call of each kind traces anew. Of a method: those of the
        object that it was taken from."""
        self._traces.clear()

    def _read(
        self, args: t.Any, kwargs: t.Any, wanted: int = Wanted.RESULTS
    ) -> tuple[_core.Specialization, t.Any, t.Any]:
        """The trace for a call, traced now if it is the first of its kind, and plain arguments."""
        first = args[0] if args else None
        if wanted == Wanted.ARRAYS and not self._batch and not getattr(first, "shape", ()):
            raise TypeError("value_and_grad needs params=, or an array as first argument")
        reader = arguments.Reader(self._batch, wanted, self._per_sample, self._first_alone)
        signature, plain, named = reader.read_all(args, kwargs, self.__name__)
        found = self._traces.get(signature)
        reason = "" if found is None else found.change()
        if found is None or reason:
            if found is not None:
                self._traces.forget(found)
            found = _specialization(self.__wrapped__, self.__name__, signature, reason, self._asked)
            if self._check:
                again = _specialization(self.__wrapped__, self.__name__, signature, reason)
                observe.check_same(self.__name__, found, again)
            self._keep(found)
        return found, plain, named

    def _keep(self, specialization: _core.Specialization) -> None:
        """Warns where traces are made at every call, or go before they are used again."""
        traces = self._traces
        full = traces.add(specialization)
        if (full or len(traces.in_a_row) >= TRACES_IN_A_ROW) and not traces.warned:
            traces.warned = True
            what = (
                f"has more than {_core.MAX_TRACES} traces, of which the least recently used go"
                if full
                else f"was traced at each of {TRACES_IN_A_ROW} calls in a row"
            )
            reason = specialization.reason
            why = (
                f"{reason}; what changes at every call is best given as an argument"
                if reason
                else arguments.changing(list(traces.by_signature)[-TRACES_IN_A_ROW:])
            )
            _core.warn_of_trace(f"{self.__name__} {what}: {why}")

    def _inline(self, args: t.Any, kwargs: t.Any) -> t.Any:
        """A call while another function is traced: what it does becomes a part of that trace."""
        function = self.__wrapped__
        args = [arguments.inlined(a, self._batch, f"argument {k}") for k, a in enumerate(args)]
        named = {w: arguments.inlined(a, self._batch, f"argument {w!r}") for w, a in kwargs.items()}
        return function(*args, **named)

    if not TYPE_CHECKING:
        # Named here too for the reference, which shows what a class has of its own.
        values = _core.Dispatcher.values
        value_and_grad = _core.Dispatcher.value_and_grad

    def grad(
        self, *args: t.Any, argnums: t.Argnums = None, params: t.Any = None, **kwargs: t.Any
    ) -> t.Any:
        """The gradient that value_and_grad() gives beside the value."""
        from micrograd_fast import directions

        return directions.grad(self, args, kwargs, argnums, params)

    def jacobian(
        self,
        *args: t.Any,
        argnums: t.Argnums = None,
        params: t.Any = None,
        mode: t.Mode | None = None,
        sparse: bool = False,
        index: t.Any = None,
        out: t.Any = None,
        **kwargs: t.Any,
    ) -> t.Any:
        """The derivatives of all results by an argument, the first one unless argnums says which,
        or by params, leaf Values: an array of the shape of the results and that of the argument,
        [results] + [argument]; with several argnums a tuple of these. Of a batched function one a
        sample, samples first.

        mode: 'forward' or 'reverse'; by default the one with fewer directions. sparse=True: a
        csr_array of SciPy, shape (results, numbers of the argument), whose structure is that of
        what is not 0 for good, and the same object from call to call; out: one that an earlier call
        returned, which is filled and returned. Of a batched function it has the rows of sample
        after sample, over the columns of all samples of the argument. index: an array of ints, for
        each sample which row of the argument it reads, where samples share them; with several
        argnums a tuple of such arrays or None.

        Raises TypeError for an argument that has no floats and, but for sparse ones, for results
        that are no lists of Values of one shape, IndexError for an argnums that there is no
        argument for.
        """
        if sparse:
            from micrograd_fast import sparse as sparse_

            return sparse_.jacobian(self, args, kwargs, argnums, params, mode, index, out)
        from micrograd_fast import directions

        directions.check_dense("jacobian", index=index, out=out)
        return directions.jacobian(self, args, kwargs, argnums, params, mode)

    def hessian(
        self,
        *args: t.Any,
        argnums: t.Argnums = None,
        params: t.Any = None,
        sparse: bool = False,
        out: t.Any = None,
        **kwargs: t.Any,
    ) -> t.Any:
        """The second derivatives of the one result: an array of shape [argument] + [argument]; with
        several argnums a tuple of tuples of these. Of a batched function one a sample. sparse, out:
        as for jacobian(), not batched. Raises as that, and ValueError for a function of several
        results."""
        if sparse:
            from micrograd_fast import sparse as sparse_

            return sparse_.hessian(self, args, kwargs, argnums, params, out)
        from micrograd_fast import directions

        directions.check_dense("hessian", out=out)
        return directions.hessian(self, args, kwargs, argnums, params)

    def sparsity(
        self,
        *args: t.Any,
        argnums: t.Argnums = None,
        params: t.Any = None,
        index: t.Any = None,
        **kwargs: t.Any,
    ) -> t.Any:
        """Where the Jacobian is not 0 for good, whatever the numbers are: a csr_array of True."""
        from micrograd_fast import sparse

        return sparse.sparsity(self, args, kwargs, argnums, params, index)

    def jvp(
        self, *args: t.Any, argnums: t.Argnums = None, params: t.Any = None, **kwargs: t.Any
    ) -> t.Any:
        """jvp(x, v, ...): the derivative of the results in the direction v, the Jacobian times v;
        v has the shape of x. With several argnums it is a tuple; with params there is no x to come
        before it: jvp(v, ..., params=params)."""
        from micrograd_fast import directions

        return directions.jvp(self, args, kwargs, argnums, params)

    def vjp(
        self, *args: t.Any, argnums: t.Argnums = None, params: t.Any = None, **kwargs: t.Any
    ) -> t.Any:
        """vjp(x, w, ...): the gradient of the sum of w times the results, the transposed Jacobian
        times w; w has the shape of the results. vjp(w, ..., params=params)."""
        from micrograd_fast import directions

        return directions.vjp(self, args, kwargs, argnums, params)

    def hvp(
        self, *args: t.Any, argnums: t.Argnums = None, params: t.Any = None, **kwargs: t.Any
    ) -> t.Any:
        """hvp(x, v, ...): the Hessian times v, without the Hessian; v has the shape of x. With
        params hvp(v, ..., params=params); of a batched function it is that of the mean then."""
        from micrograd_fast import directions

        return directions.hvp(self, args, kwargs, argnums, params)

    def _by_arguments(self, args: t.Any, kwargs: t.Any, argnums: t.Any, params: t.Any) -> t.Any:
        from micrograd_fast import directions

        return directions.value_and_grad(self, args, kwargs, argnums, params)

    def program(self, *args: t.Any, **kwargs: t.Any) -> ProgramText:
        """How a call with these arguments is computed: sizes, counts per op and the listing. The
        text has `instructions()`, `outputs` and `steps()`, which are the same as data."""
        found, _, _ = self._read(args, kwargs)
        traced, plan, program = found.traced, found.plan, found.plan.program
        lines = [
            f"{self.__name__}: {counted(len(traced), 'instruction')} traced, {len(program):,} left"
        ]
        if found.reason:
            lines.append(f"traced again: {found.reason}")
        lines.append(f"traced: {traced.counts()}")
        lines.append(f"after passes: {program.counts()}")
        lines.append(f"layout: {plan.describe()}")
        lines += [program.listing(), "steps:", plan.listing()]
        text = ProgramText("\n".join(lines))
        text._program, text._steps = program, plan.steps()
        return text

    def explain(self, *args: t.Any, **kwargs: t.Any) -> t.Explanation:
        """How a call with these arguments runs and what is slow in it, in about a page: sizes, the
        time of each kind of step, and what stands out, with the lines of your code that it comes
        from. The text has `times` and `remarks`, which are the same as data.

        The function is traced once more for that, and the call is run for some tenths of a second.
        """
        _core.check_not_tracing("explain")
        from micrograd_fast.explain import explain

        return explain(self, args, kwargs)

    def find_nan(self, *args: t.Any, **kwargs: t.Any) -> t.Finding:
        """Where the first nan or infinity of a call with these arguments comes from: the op with
        its numbers, the sample, the argument or parameter, and the line of your code. A text, which
        has all that as attributes, and is False where results and gradients are finite.

        Every sample is run op by op, forward and, from the sum of the results, backward to all
        arguments and parameters. The function is traced once more for the lines. Raises what a call
        does.
        """
        _core.check_not_tracing("find_nan")
        from micrograd_fast.find_nan import find_nan

        return find_nan(self, args, kwargs)


if TYPE_CHECKING:
    # A compiled function has the parameters and the results of the function that it is of.
    @overload
    def compile(
        function: Callable[t.P, t.R], *, batch: t.Literal[False] = False, check: bool = False
    ) -> CompiledFunction[t.P, t.R]: ...
    @overload
    def compile(
        function: Callable[t.P, t.R], *, batch: t.Literal[True], check: bool = False
    ) -> CompiledFunction[t.P, Batch[t.R]]: ...
    @overload
    def compile(
        function: None = None, *, batch: t.Literal[False] = False, check: bool = False
    ) -> t.Compiles: ...
    @overload
    def compile(
        function: None = None, *, batch: t.Literal[True], check: bool = False
    ) -> t.CompilesBatches: ...
    @overload
    def compile(
        function: Callable[..., t.Any] | classmethod[t.Any, t.Any, t.Any] | None = None,
        *,
        batch: bool = False,
        check: bool = False,
    ) -> t.Any: ...


def compile(function: t.Any = None, *, batch: bool = False, check: bool = False) -> t.Any:
    """Compiles a function of Values; use it as a decorator or call it.

    batch=True: every array argument holds one sample a row, the function sees one sample, and the
    call returns a Batch. Without it a call returns what the function returns, as Values of the
    eager graph.

    check=True: every trace is made twice and the two are compared, to find what Python decides in
    the function and no watching sees.

    Raises TraceError at the first call where the function does what would freeze a number, and
    with check=True where two traces differ.
    """
    if function is None:
        return lambda f: CompiledFunction(f, batch, check)
    return CompiledFunction(function, batch, check)


def _name_of(compiled: CompiledFunction[..., t.Any]) -> t.Any:
    """What pickle takes for an object that a module or a class has under a name: the name, or for
    a bound method (getattr, (object, name)). None where it has none."""
    import sys
    from operator import attrgetter

    function = compiled.__wrapped__
    if compiled._descriptor is not None:
        owner = function.__self__
        kinds = [*(owner.__mro__ if isinstance(owner, type) else ()), *type(owner).__mro__]
        for name in [name for kind in kinds for name in vars(kind)]:
            thing = next(vars(kind)[name] for kind in kinds if name in vars(kind))
            if getattr(thing, "__func__", thing) is compiled._descriptor:
                return getattr, (owner, name)
        return None
    name = getattr(function, "__qualname__", "<lambda>")
    module = sys.modules.get(getattr(function, "__module__", None) or "")
    try:
        if module is not None and attrgetter(name)(module) is compiled:
            compiled.__module__ = module.__name__
            return name
    except AttributeError:
        pass
    return None


def _bound(descriptor: CompiledFunction[..., t.Any], owner: t.Any) -> t.Any:
    """A compiled method that its class does not show: overridden, or taken from elsewhere."""
    return descriptor.__get__(owner, type(owner))
