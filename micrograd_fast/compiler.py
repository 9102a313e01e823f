"""compile(): trace a function of Values once, replay it in C, one call or a whole batch at a time.

The function is run once per signature on inputs that stand for numbers to come; what it does with
them becomes a program (src/program.pxi), and later calls replay that. Python side effects happen
once, at the trace. See docs/compile.md for what compiles and what does not.
"""

from __future__ import annotations

from micrograd_fast import _core
from micrograd_fast.engine import Value

TYPE_CHECKING = False  # typing's own constant costs an import of 4 ms
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Any

__all__ = ["Batch", "CompiledFunction", "TraceError", "compile"]

TraceError = _core.TraceError


class Batch:
    """The results of a batched call: one row a sample.

    `data` is a float64 array, samples first: shape (B,) where the function returns one Value, else
    (B, k) for its k Values in order. sum() and mean() over the samples, and single samples by
    index, are Values of the eager graph.
    """

    def __init__(self, data: Any, call: Any, hub: Value | None, tree: Any) -> None:
        self.data = data
        self._call = call
        self._hub = hub
        self._tree = tree

    def __len__(self) -> int:
        return len(self.data)

    def __repr__(self) -> str:
        return f"Batch of {len(self)} samples, data of shape {self.data.shape}"

    def _value(self, data: float, add: Any) -> Value:
        return Value(data) if self._hub is None else _core.call_result(data, self._hub, add)

    def _reduced(self, scale: float) -> Any:
        import numpy as np

        call = self._call
        totals = np.atleast_1d(np.asarray(self.data.sum(axis=0)))
        values = [
            self._value(total * scale, lambda g, k=k: call.add_uniform_seed(k, g * scale))
            for k, total in enumerate(totals.tolist())
        ]
        return _unflatten(self._tree, iter(values))

    def sum(self) -> Any:
        """The sum over the samples: a Value, or the function's structure of Values."""
        return self._reduced(1.0)

    def mean(self) -> Any:
        """The mean over the samples: a Value, or the function's structure of Values."""
        return self._reduced(1.0 / len(self))

    def __getitem__(self, sample: int) -> Any:
        """One sample's result. Raises IndexError out of range."""
        import operator

        k = operator.index(sample)
        n = len(self)
        if not -n <= k < n:
            raise IndexError(f"sample {k} is out of range for a batch of {n}")
        k %= n
        call = self._call
        row = self.data[k : k + 1].reshape(-1).tolist()
        values = [
            self._value(number, lambda g, j=j: call.add_seed(k, j, g))
            for j, number in enumerate(row)
        ]
        return _unflatten(self._tree, iter(values))

    def __iter__(self) -> Iterator[Any]:
        return (self[k] for k in range(len(self)))


class _Arguments:
    """The leaves of one call's arguments: what the key says, and what the call feeds."""

    def __init__(self, batch: bool) -> None:
        self.batch = batch
        self.n_samples = -1
        self.n_inputs = 0
        self.kinds: list[str] = []
        self.numbers: list[Any] = []
        self.arrays: list[tuple[int, int, Any]] = []
        self.sinks: list[tuple[int, Any]] = []  # where gradients of columns go
        self.hubs: list[Value] = []
        self.wanted = ""  # whose gradient value_and_grad asks for: "argument 0", "arrays", or ""

    def add(self, arg: Any, name: str) -> Any:
        """The key of an argument, a hashable description of its structure; its numbers are kept."""
        if isinstance(arg, Value):
            return self._number(arg, "uniform grad", "value")
        kind = type(arg)
        if kind is float:
            return self._number(arg, "uniform", "number")
        # A class is what a class method gets since Python 3.13.
        if arg is None or kind in (int, bool, str) or isinstance(arg, type):
            return ("static", kind, arg)
        if kind in (list, tuple):
            return (kind, *[self.add(a, f"{name}[{k}]") for k, a in enumerate(arg)])
        if isinstance(arg, Batch):
            return self._batch(arg, name)
        if hasattr(arg, "dtype") and hasattr(arg, "shape"):
            return self._array(arg, name)
        raise TypeError(
            f"{name} is {kind.__name__!r}: a compiled function takes arrays, numbers, Values, "
            "lists and tuples of them, and int, bool, str, None and classes as constants"
        )

    def _number(self, number: Any, kind: str, key: str) -> Any:
        self.numbers.append(number)
        self.kinds.append(kind)
        self.n_inputs += 1
        return key

    def _rows(self, data: Any, name: str, kind: str) -> None:
        if self.n_samples not in (-1, len(data)):
            raise ValueError(
                f"{name} has {len(data)} samples, the arrays before it have {self.n_samples}"
            )
        self.n_samples = len(data)
        width = 1
        for size in data.shape[1:]:
            width *= size
        self.arrays.append((self.n_inputs, width, data))
        self.kinds += [kind] * width
        self.numbers += [None] * width
        self.n_inputs += width

    def _batch(self, arg: Batch, name: str) -> Any:
        if not self.batch:
            raise TypeError(f"{name} is a Batch, which only a batched function takes")
        first = self.n_inputs
        data = arg.data
        self._rows(data, name, "lane" if arg._hub is None else "lane grad")
        if arg._hub is not None:
            self.sinks.append((first, arg._call))
            self.hubs.append(arg._hub)
        return ("array", data.shape[1:])

    def _array(self, arg: Any, name: str) -> Any:
        import numpy as np

        if arg.dtype.kind not in "fiub":
            raise TypeError(f"{name} has dtype {arg.dtype}, a compiled function takes real numbers")
        array = np.ascontiguousarray(arg, dtype=np.float64).reshape(arg.shape)
        if array.ndim == 0:
            return self._number(float(array), "uniform", "number")
        if self.batch:
            if self.wanted == "arrays":
                self.sinks.append((self.n_inputs, np.zeros_like(array)))
            self._rows(array, name, "lane grad" if self.wanted == "arrays" else "lane")
            return ("array", array.shape[1:])
        flat = array.reshape(-1).tolist()
        self.numbers += flat
        self.kinds += ["uniform grad" if name == self.wanted else "uniform"] * len(flat)
        self.n_inputs += len(flat)
        return ("array", array.shape)


def _nested(shape: tuple[int, ...], trace: Any) -> Any:
    """Inputs of a trace in the shape of an array: nested lists."""
    if not shape:
        return trace.input()
    return [_nested(shape[1:], trace) for _ in range(shape[0])]


def _placeholders(key: Any, trace: Any) -> Any:
    """What the traced function sees for an argument of this key."""
    if isinstance(key, str):
        return trace.input()
    if key[0] == "static":
        return key[2]
    if key[0] == "array":
        return _nested(key[1], trace)
    return key[0](_placeholders(k, trace) for k in key[1:])


def _flatten(result: Any, values: list[Value], name: str) -> Any:
    """The structure of what the function returned; its Values are collected."""
    if isinstance(result, Value):
        values.append(result)
        return Value
    if isinstance(result, (list, tuple)):
        return (type(result), [_flatten(r, values, name) for r in result])
    if result is None or isinstance(result, (int, float, str)):
        return ("static", result)
    raise TypeError(
        f"{name} returned {type(result).__name__!r}: a compiled function returns "
        "Values and lists or tuples of them"
    )


def _unflatten(tree: Any, values: Iterator[Any]) -> Any:
    if tree is Value:
        return next(values)
    if tree[0] == "static":
        return tree[1]
    return tree[0](_unflatten(t, values) for t in tree[1])


class _Specialization:
    """A trace for one signature: its plan and the structure of its results."""

    def __init__(self, function: Any, name: str, key: Any, kinds: list[str], batch: bool) -> None:
        trace = _core.Trace()
        with trace:
            args, kwargs = key
            result = function(
                *[_placeholders(k, trace) for k in args],
                **{word: _placeholders(k, trace) for word, k in kwargs},
            )
        values: list[Value] = []
        self.tree = _flatten(result, values, name)
        if not values:
            raise TypeError(f"{name} returned no Value, there is nothing to compile")
        self.traced, captured = trace.program(values)
        self.plan = _core.Plan(_core.optimized(self.traced), captured, kinds)
        self.n_outputs = len(values)
        self.batch = batch


class CompiledFunction:
    """What compile() returns: call it like the function it was made from."""

    def __init__(self, function: Callable[..., Any], batch: bool) -> None:
        if not callable(function):
            raise TypeError(f"compile() takes a function, not {type(function).__name__!r}")
        self.__wrapped__ = function
        self.__name__ = getattr(function, "__name__", type(function).__name__)
        self.__doc__ = function.__doc__
        self._batch = batch
        self._attribute = self.__name__
        self._cache: dict[Any, _Specialization] = {}

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
        key = f"_compiled_{self._attribute}"
        bound = kept.get(key)
        # A copy of an object brings the original's along.
        if bound is None or bound.__wrapped__.__self__ is not owner:
            bound = CompiledFunction(function.__get__(owner, kind), self._batch)
            bound._attribute = self._attribute
            if hasattr(owner, "__dict__") and not isinstance(owner, type):
                kept[key] = bound
        return bound

    def __set_name__(self, owner: Any, name: str) -> None:
        self._attribute = name

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

    def _prepared(
        self, args: Any, kwargs: Any, wanted: str = ""
    ) -> tuple[_Specialization, _Arguments]:
        feed = _Arguments(self._batch)
        feed.wanted = wanted
        key = (
            tuple(feed.add(a, f"argument {k}") for k, a in enumerate(args)),
            tuple((w, feed.add(kwargs[w], f"argument {w!r}")) for w in sorted(kwargs)),
        )
        if self._batch and feed.n_samples < 0:
            raise ValueError(f"{self.__name__} is batched: at least one argument must be an array")
        cache_key = (key, tuple(feed.kinds)) if feed.sinks or wanted else key
        special = self._cache.get(cache_key)
        if special is None:
            special = _Specialization(self.__wrapped__, self.__name__, key, feed.kinds, self._batch)
            self._cache[cache_key] = special
        return special, feed

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if _core.tracing():
            return self.__wrapped__(*args, **kwargs)
        special, feed = self._prepared(args, kwargs)
        n_samples = feed.n_samples if self._batch else 1
        call = _core.Call(special.plan, feed.arrays, feed.numbers, n_samples, feed.sinks)
        grad = _core.grad_enabled()
        fused = grad and special.n_outputs == 1 and not feed.sinks
        if self._batch:
            import numpy as np

            single = special.tree is Value
            data = np.empty(n_samples if single else (n_samples, special.n_outputs))
            call.run(data, fused)
            return Batch(data, call, call.hub(feed.hubs) if grad else None, special.tree)
        outputs = bytearray(8 * special.n_outputs)
        call.run(outputs, fused)
        numbers = memoryview(outputs).cast("d").tolist()
        if not grad:
            return _unflatten(special.tree, map(Value, numbers))
        hub = call.hub(())

        def result(k: int, number: float) -> Value:
            return _core.call_result(number, hub, lambda g: call.add_uniform_seed(k, g))

        results = [result(k, number) for k, number in enumerate(numbers)]
        return _unflatten(special.tree, iter(results))

    def value_and_grad(
        self, *args: Any, params: list[Value] | None = None, **kwargs: Any
    ) -> tuple[Any, Any]:
        """Value and gradient as plain NumPy results; no graph is built, no grad is changed.

        Of a function that is not batched: its one result, a float, and the gradient of the first
        argument, a float array, in its shape: what scipy.optimize.minimize(f.value_and_grad, x0,
        jac=True) wants. Of a batched one: the results, shape (B,), and sample by sample the
        gradient of each array argument in its shape: one array, or a tuple where there are several.

        With params, leaf Values: the result (batched: its mean over the samples), a float, and its
        gradient, shape (len(params),), 0 where the function does not use one.

        Raises TypeError where there is no such argument or the function has several results.
        """
        wanted = "" if params is not None else "arrays" if self._batch else "argument 0"
        special, feed = self._prepared(args, kwargs, wanted)
        if special.n_outputs != 1:
            raise TypeError(f"value_and_grad: {self.__name__} must return one Value")
        gradless = "uniform grad" not in feed.kinds or not hasattr(args[0], "shape")
        if params is None and not self._batch and gradless:
            raise TypeError("value_and_grad needs params=, or a float array as first argument")
        return self._plain_results(special, feed, args, params)

    def _plain_results(
        self, special: _Specialization, feed: _Arguments, args: Any, params: Any
    ) -> tuple[Any, Any]:
        import numpy as np

        n_samples = feed.n_samples if self._batch else 1
        call = _core.Call(special.plan, feed.arrays, feed.numbers, n_samples, feed.sinks)
        outputs = np.empty(n_samples)
        call.run(outputs, True, params is None)
        if params is None and self._batch:
            gradients = tuple(sink for _, sink in feed.sinks)
            return outputs, gradients if len(gradients) > 1 else gradients[0]
        captured, inputs = call.gradients()
        if params is None:
            return outputs.item(), np.array(inputs[: args[0].size]).reshape(args[0].shape)
        by_id = {id(v): g for v, g in zip(special.plan.captured, captured, strict=True)}
        gradient = np.array([by_id.get(id(p), 0.0) for p in params])
        return float(outputs.mean()), gradient / n_samples

    def program(self, *args: Any, **kwargs: Any) -> str:
        """How a call with these arguments is computed: sizes, counts per op and the listing."""
        special, _ = self._prepared(args, kwargs)
        program = special.plan.program
        lines = [f"{self.__name__}: {len(special.traced)} instructions traced, {len(program)} left"]
        lines.append(f"traced: {special.traced.counts()}")
        lines.append(f"after passes: {program.counts()}")
        lines.append(f"layout: {special.plan.describe()}")
        lines.append(program.listing())
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
