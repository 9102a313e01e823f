"""compile(): trace a function of Values once, replay it in C, one call or a whole batch at a time.

The function is run once per signature on inputs that stand for numbers to come; what it does with
them becomes a program (src/program.pxi), and later calls replay that. Python side effects happen
once, at the trace. See docs/compile.md for what compiles and what does not.
"""

from __future__ import annotations

from micrograd_fast import _core, arguments
from micrograd_fast.engine import Value

TYPE_CHECKING = False  # typing's own constant costs an import of 4 ms
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

__all__ = ["Batch", "CompiledFunction", "TraceError", "TraceWarning", "compile"]

Batch = _core.Batch
TraceError = _core.TraceError
TraceWarning = _core.TraceWarning


def _floats(numbers: bytearray | memoryview | list[float]) -> Any:
    """A float64 array of a block of memory or a list."""
    import numpy as np

    if isinstance(numbers, (bytearray, memoryview)):
        return np.ndarray(len(numbers) // 8, np.float64, numbers)
    return np.array(numbers, dtype=np.float64)


class _Trace:
    """A trace for one signature: what was traced, and what serves the calls."""

    def __init__(self, function: Any, name: str, key: Any, batch: bool) -> None:
        trace = _core.Trace()
        args, kwargs = key
        with trace:
            result = function(
                *[arguments.placeholders(k, trace) for k in args],
                **{word: arguments.placeholders(k, trace) for word, k in kwargs},
            )
        values: list[Value] = []
        tree = arguments.flatten(result, values, name)
        if not values:
            raise TypeError(f"{name} returned no Value, there is nothing to compile")
        self.traced, captured = trace.program(values)
        keys = [*args, *[k for _, k in kwargs]]
        kinds = [kind for k in keys for kind in arguments.input_kinds(k, batch)]
        self.plan = _core.Plan(_core.optimized(self.traced), captured, kinds)
        rebuild = None if tree is Value else lambda values: arguments.unflatten(tree, iter(values))
        self.special = _core.Specialization(self.plan, args, kwargs, batch, rebuild)


class CompiledFunction(_core.Dispatcher):
    """What compile() returns: call it like the function it was made from."""

    def __init__(self, function: Callable[..., Any], batch: bool) -> None:
        if not callable(function):
            raise TypeError(f"compile() takes a function, not {type(function).__name__!r}")
        self.__wrapped__ = function
        self.__name__ = getattr(function, "__name__", type(function).__name__)
        self.__doc__ = function.__doc__
        self._batch = batch
        self._attribute, self._owner = self.__name__, ""
        self._cache: dict[Any, _Trace] = {}
        self._latest: dict[str, _Trace] = {}  # by whose gradient value_and_grad was asked for

    def __repr__(self) -> str:
        kind = "batched " if self._batch else ""
        return f"<{kind}compiled function {self.__name__}, {len(self._cache)} signatures>"

    def __get__(self, owner: Any, kind: Any = None) -> Any:
        """As a method: the compiled function of the bound method, one for each object.

        What is not a plain function (a Module, a partial) is no method: it stays as it is.
        """
        import functools

        function = self.__wrapped__
        # Python 3.14 makes a method of a partial, 3.13 warns of it.
        partial = isinstance(function, functools.partial)
        if owner is None or partial or not hasattr(function, "__get__"):
            return self
        kept = getattr(owner, "__dict__", {})
        key = f"_compiled_{self._owner}{self._attribute}"
        bound = kept.get(key)
        # A copy of an object brings the original's along.
        if bound is None or bound.__wrapped__.__self__ is not owner:
            bound = CompiledFunction(function.__get__(owner, kind), self._batch)
            bound._attribute, bound._owner = self._attribute, self._owner
            if hasattr(owner, "__dict__") and not isinstance(owner, type):
                kept[key] = bound
        return bound

    def __set_name__(self, owner: Any, name: str) -> None:
        self._attribute = name
        self._owner = f"{owner.__qualname__}."  # one that overrides it is another

    def __reduce__(self) -> Any:
        import sys
        from operator import attrgetter

        function = self.__wrapped__
        if hasattr(function, "__self__"):
            return getattr, (function.__self__, self._attribute)
        # A decorated function of a module is pickled by its name, as functions are.
        name = getattr(function, "__qualname__", "<lambda>")
        module = sys.modules.get(getattr(function, "__module__", None) or "")
        try:
            if module is not None and attrgetter(name)(module) is self:
                self.__module__ = module.__name__
                return name
        except AttributeError:
            pass
        return CompiledFunction, (function, self._batch)

    def _read(self, args: Any, kwargs: Any, wanted: str = "") -> tuple[_Trace, Any, Any]:
        """The trace for a call, traced now if it is the first of its kind, and plain arguments."""
        reader = arguments.Reader(self._batch, wanted)
        read = [reader.read(a, f"argument {k}") for k, a in enumerate(args)]
        named = {w: reader.read(kwargs[w], f"argument {w!r}") for w in sorted(kwargs)}
        if self._batch and reader.n_samples < 0:
            raise ValueError(f"{self.__name__} is batched: at least one argument must be an array")
        key = (tuple([k for k, _ in read]), tuple([(w, k) for w, (k, _) in named.items()]))
        trace = self._cache.get(key)
        if trace is None:
            trace = _Trace(self.__wrapped__, self.__name__, key, self._batch)
            self._cache[key] = trace
        return trace, tuple([a for _, a in read]), {w: a for w, (_, a) in named.items()}

    def _prepared(self, args: Any, kwargs: Any) -> tuple[Any, Any, Any]:
        trace, args, kwargs = self._read(args, kwargs)
        return trace.special, args, kwargs

    def value_and_grad(
        self, *args: Any, params: list[Value] | None = None, **kwargs: Any
    ) -> tuple[Any, Any]:
        """Value and gradient as plain NumPy results; no graph is built, no grad is changed.

        Of a function that is not batched: its one result, a float, and the gradient of the first
        argument, an array, in its shape: what scipy.optimize.minimize(f.value_and_grad, x0,
        jac=True) wants. Of a batched one: the results, shape (B,), and sample by sample the
        gradient of each array argument in its shape: one array, or a tuple where there are several.

        With params, leaf Values: the result (batched: its mean over the samples), a float, and its
        gradient, shape (len(params),), 0 where the function does not use one. A param may be an
        argument too.

        Raises TypeError where there is no such argument, a param is no Value, or the function has
        several results; ValueError for a param that is the result of an op, or that the function
        uses through one: value_and_grad does not follow the eager graph.
        """
        _core.check_not_tracing("value_and_grad")
        leaves = None if params is None else _core.checked_leaves(params, "value_and_grad: params")
        wanted = "params" if leaves is not None else "arrays" if self._batch else "argument 0"
        if wanted == "argument 0" and not (args and getattr(args[0], "shape", ())):
            raise TypeError("value_and_grad needs params=, or an array as first argument")
        trace = self._latest.get(wanted)
        ran = trace.special.run(args, kwargs, leaves) if trace else None
        if trace is None or ran is None:
            trace, args, kwargs = self._read(args, kwargs, wanted)
            if len(trace.plan.program.outputs) != 1:
                raise TypeError(f"value_and_grad: {self.__name__} must return one Value")
            ran = trace.special.run(args, kwargs, leaves)
            if ran is None:
                raise TypeError("an argument changed while it was read")
            self._latest[wanted] = trace
        block, gradients = ran
        values = _floats(block)
        if leaves is not None:
            n_samples = len(values)
            if n_samples == 0:
                return float("nan"), _floats(gradients)
            return values.mean().item(), _floats(gradients) / n_samples
        inputs, columns = gradients
        if not self._batch:
            return values.item(), _floats(inputs[: args[0].size]).reshape(args[0].shape)
        arrays = arguments.arrays_in([*args, *[kwargs[word] for word, _ in trace.special.kwargs]])
        shaped = [_floats(c).reshape(a.shape) for c, a in zip(columns, arrays, strict=True)]
        return values, shaped[0] if len(shaped) == 1 else tuple(shaped)

    def program(self, *args: Any, **kwargs: Any) -> str:
        """How a call with these arguments is computed: sizes, counts per op and the listing."""
        trace, _, _ = self._read(args, kwargs)
        program = trace.plan.program
        lines = [f"{self.__name__}: {len(trace.traced)} instructions traced, {len(program)} left"]
        lines.append(f"traced: {trace.traced.counts()}")
        lines.append(f"after passes: {program.counts()}")
        lines.append(f"layout: {trace.plan.describe()}")
        lines += [program.listing(), "steps:", trace.plan.listing()]
        return "\n".join(lines)


def compile(function: Any = None, *, batch: bool = False) -> Any:
    """Compiles a function of Values; use it as a decorator or call it.

    batch=True: every array argument holds one sample a row, the function sees one sample, and the
    call returns a Batch. Without it a call returns what the function returns, as Values of the
    eager graph.

    Raises TraceError at the first call where the function does what would freeze a number.
    """
    if function is None:
        return lambda f: CompiledFunction(f, batch)
    return CompiledFunction(function, batch)
