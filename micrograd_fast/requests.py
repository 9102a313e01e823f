"""A call of one of a compiled function's derivatives, as it was asked for: what it is
differentiated by, the directions or weights, and the compiled function that computes it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from math import prod
from typing import Any, TypeAlias

from micrograd_fast import _core, derivatives
from micrograd_fast.arguments import check_depth, is_array, plain_array, refuse_masked
from micrograd_fast.compiler import CompiledFunction
from micrograd_fast.engine import Value

Path: TypeAlias = tuple[Any, ...]  # from (args, kwargs) down to an argument

MAX_DERIVED = 64  # derivatives of one function that are kept, of other params or arguments


class Request:
    """One call: its arguments as they are computed with, and what is differentiated by.

    Raises TypeError, ValueError or IndexError naming the argument.
    """

    def __init__(self, f: Any, what: str, args: Any, kwargs: Any, argnums: Any, params: Any):
        _core.check_not_tracing(what)
        self.f: Any = f
        self.what: str = what
        self.args: list[Any] = list(args)
        self.kwargs: Any = kwargs
        self.one: bool = not isinstance(argnums, (list, tuple))
        self.params: tuple[Value, ...] | None = None
        self.which: int = -1  # of the lists of params that the function has had
        self.given: tuple[tuple[Path, int], ...] = ()  # arguments that are params, and which
        self.places: tuple[int, ...] = ()
        self.shapes: list[tuple[int, ...]] = []
        if params is not None:
            if argnums is not None:
                raise ValueError(f"{what}: give argnums or params, not both")
            self.which, self.params = self.known(params)
            self.given = self.find_given()
            self.shapes.append((len(self.params),))
            return
        if argnums is None and args:
            self.places = (0,)
        else:
            wanted = derivatives._argnums(0 if argnums is None else argnums)
            self.places = tuple(derivatives._places(wanted, len(args)))
        for k in self.places:
            array = self.floats(self.args[k], f"argument {k}")
            self.args[k] = array if array.ndim else float(array)
            if f._batch and not array.ndim:
                raise TypeError(f"{what}: argument {k} is a number, the same in all samples")
            self.shapes.append(array.shape[1:] if f._batch else array.shape)

    @property
    def n(self) -> int:
        """Numbers that are differentiated by, of one sample."""
        return sum(map(prod, self.shapes))

    @property
    def n_samples(self) -> int:
        """Of a batched call."""
        arrays = [self.args[self.places[0]]] if self.places else [*self.args, *self.kwargs.values()]
        return next((len(a) for a in arrays if is_array(a) or isinstance(a, _core.Batch)), 0)

    # ---- params ----

    def known(self, params: Any) -> tuple[int, tuple[Value, ...]]:
        """The params, and a number for this list of them."""
        before = self.f._traces.derived.setdefault("params", [])
        for k, others in enumerate(before):
            if _core.same_objects(params, others):
                return k, others
        items = self.checked(params)
        for k, others in enumerate(before):
            if _core.same_objects(items, others):
                return k, others
        before.append(items)
        return next(k for k, others in enumerate(before) if others is items), items

    def checked(self, params: Any) -> tuple[Value, ...]:
        if isinstance(params, (Value, set, frozenset)) or not hasattr(params, "__iter__"):
            given = "one Value" if isinstance(params, Value) else repr(type(params).__name__)
            raise TypeError(f"{self.what}: params must be a list of Values, not {given}")
        items = tuple(params)
        for k, p in enumerate(items):
            if not isinstance(p, Value):
                raise TypeError(
                    f"{self.what}: params[{k}] must be a Value, not {type(p).__name__!r}"
                )
            if p._prev:
                raise ValueError(f"{self.what}: params[{k}] is not a leaf but the result of an op")
        if len({id(p) for p in items}) < len(items):
            raise ValueError(f"{self.what}: a Value is among the params twice")
        return items

    def find_given(self) -> tuple[tuple[Path, int], ...]:
        """The params among the arguments. Raises ValueError for an argument that depends on a param
        by ops that ran before, TypeError for a Batch that may: the way there is not known."""
        import numpy as np

        if not self.kwargs and all(type(a) is np.ndarray for a in self.args):
            return ()
        found = []
        numbers: dict[int, int] = {}
        for path, value, name in _values_in((tuple(self.args), self.kwargs)):
            if isinstance(value, _core.Batch):
                if value._has_graph():
                    raise TypeError(
                        f"{self.what}: {name} is a Batch with a graph, which is not followed to "
                        "params: give its data"
                    )
                continue
            numbers = numbers or {id(p): k for k, p in enumerate(self.params or ())}
            if id(value) in numbers:
                found.append((path, numbers[id(value)]))
            elif value._prev and _core.depends_on(value, self.params or ()):
                raise ValueError(
                    f"{self.what}: {name} depends on params by ops that ran before: compute it "
                    "inside the compiled function"
                )
        return tuple(found)

    def make_room(self) -> None:
        """Forgets what was derived of the function where that is much, but for the params of this
        call, which are the first then."""
        kept = self.f._traces.derived
        if len(kept) < MAX_DERIVED and self.which < MAX_DERIVED:
            return
        kept.clear()
        if self.params is not None:
            self.which, kept["params"] = 0, [self.params]

    # ---- arrays ----

    def floats(self, arg: Any, name: str) -> Any:
        """An argument that is differentiated by, as an array of float64."""
        import numpy as np

        if type(arg) is np.ndarray and arg.dtype == np.float64:
            return arg
        if isinstance(arg, _core.Batch):
            arg = arg.data
        if isinstance(arg, (list, tuple)):
            if self.f._batch:
                raise TypeError(
                    f"{self.what}: {name} is a {type(arg).__name__}, the same in all samples: give "
                    "an array of one a sample"
                )
            arg = self.array(arg, name)
        kind = getattr(getattr(arg, "dtype", None), "kind", "f" if isinstance(arg, float) else "")
        if (is_array(arg) and kind == "f") or hasattr(arg, "to_numpy"):
            return plain_array(arg, f"{self.what}: {name}")
        if isinstance(arg, float):
            return np.asarray(float(arg))
        had = f"dtype {arg.dtype}" if kind else f"type {type(arg).__name__!r}"
        raise TypeError(
            f"{self.what}: {name} is of {had}, which has no derivative: give floats, or an array "
            "of floats"
        )

    def array(self, arg: Any, name: str) -> Any:
        """An array of NumPy of what a caller gave as one."""
        import numpy as np

        if hasattr(arg, "to_numpy"):
            arg = arg.to_numpy()
        try:
            return np.asanyarray(arg)
        except ValueError:
            raise ValueError(
                f"{self.what}: {name} must be an array, or lists of one shape"
            ) from None

    def direction(self, given: Any, name: str, shape: tuple[int, ...]) -> Any:
        """A direction or weights of that shape, of float64."""
        import numpy as np

        if type(given) is np.ndarray and given.dtype == np.float64 and given.shape == shape:
            return given
        array = self.array(given, name)
        if array.dtype.kind not in "fiub":
            raise TypeError(f"{self.what}: {name} must be of real numbers, not {array.dtype}")
        refuse_masked(array, f"{self.what}: {name}")
        if array.shape != shape:
            raise ValueError(f"{self.what}: {name} must be of shape {shape}, not {array.shape}")
        return np.asarray(array, np.float64)

    def vector(self, v: Any) -> Any:
        """A direction as one array, what belongs to the arguments side by side."""
        import numpy as np

        n = (self.n_samples,) if self.f._batch and self.params is None else ()
        if self.one:
            shape = self.shapes[0]
            array = self.direction(v, "v", (*n, *shape))
            return array if len(shape) == 1 else array.reshape(*n, prod(shape))
        if not isinstance(v, (list, tuple)) or len(v) != len(self.shapes):
            raise ValueError(f"{self.what}: v must have an array for each of {self.places}")
        columns = []
        for k, (part, shape) in enumerate(zip(v, self.shapes, strict=True)):
            array = self.direction(part, f"v[{k}]", (*n, *shape))
            columns.append(array.reshape(*n, prod(shape)))
        return columns[0] if len(columns) == 1 else np.concatenate(columns, axis=-1)

    def flat(self) -> Any:
        """What is differentiated by, as one array."""
        import numpy as np

        n = (self.n_samples,) if self.f._batch else ()
        parts = [
            np.reshape(self.args[k], (*n, prod(shape)))
            for k, shape in zip(self.places, self.shapes, strict=True)
        ]
        return parts[0] if len(parts) == 1 else np.concatenate(parts, axis=-1)

    def split(self, rows: Any, *before: int) -> Any:
        """The last axis as the arguments' shapes: an array (of a number a float), or a tuple."""
        if self.one and (before or self.shapes[0]):
            return rows.reshape((*before, *self.shapes[0]))
        parts, first = [], 0
        for shape in self.shapes:
            end = first + prod(shape)
            part = rows[..., first:end].reshape((*before, *shape))
            parts.append(part if part.ndim else float(part))
            first = end
        return parts[0] if self.one else tuple(parts)

    # ---- compiled functions ----

    def derived(self, kind: Any, make: Callable[..., Any], **options: Any) -> Any:
        """The compiled function that make(function, ...) gives, bound as self.f is."""
        kept = self.f._traces.derived
        key = (kind, self.places, self.which, self.given)
        found = kept.get(key)
        if found is None:
            self.make_room()
            key = (kind, self.places, self.which, self.given)
            function = self.f.__wrapped__
            is_method = self.f._descriptor is not None
            if is_method:
                function = function.__func__
            name = derivatives._name(function)
            if self.given:
                function = with_params(function, self.given, self.params, is_method)
            made = make(function, self.places, self.params, is_method)
            word = kind if isinstance(kind, str) else kind[0]
            # 'flat' is the function itself, called with its arguments in a row.
            suffix = "" if word == "flat" else f"_{word.replace(' ', '_')}"
            made.__name__ = made.__qualname__ = name + suffix
            found = CompiledFunction(made, options.pop("batch", self.f._batch), self.f._check)
            found._asked = name
            found.__dict__.update(options)
            kept[key] = found
        if self.f._descriptor is None:
            return found
        owner = self.f.__wrapped__.__self__
        return found.__get__(owner, type(owner))


def _values_in(thing: Any, path: Path = (), name: str = "") -> Iterator[tuple[Path, Any, str]]:
    """(Where it is, it, its name) of every Value and Batch in lists, tuples and dicts."""
    if isinstance(thing, (Value, _core.Batch)):
        yield path, thing, name
    elif type(thing) in (list, tuple, dict):
        check_depth(len(path), name)
        for k, part in thing.items() if type(thing) is dict else enumerate(thing):
            inner = f"{name}[{k!r}]" if name else f"argument {k!r}" if path else ""
            yield from _values_in(part, (*path, k), inner)


def with_params(function: Any, given: Any, params: Any, bound: bool) -> Any:
    """The function, to which the params themselves are given where they are arguments: derivatives
    by them count both ways."""

    def with_given(*args: Any, **kwargs: Any) -> Any:
        whole: Any = (args, kwargs)
        for (side, first, *rest), k in given:
            at = first + bound if side == 0 else first
            whole = _replaced(whole, (side, at, *rest), params[k])
        return function(*whole[0], **whole[1])

    with_given.__name__ = derivatives._name(function)
    return with_given


def _replaced(thing: Any, path: Path, value: Any) -> Any:
    """The same lists, tuples and dicts but for what stands at the end of a path."""
    if not path:
        return value
    k, *rest = path
    if type(thing) is dict:
        return {**thing, k: _replaced(thing[k], tuple(rest), value)}
    items = list(thing)
    items[k] = _replaced(items[k], tuple(rest), value)
    return type(thing)(items)
