# What _core has of calls of compiled functions: src/call/. See _core.pyi.

import weakref
from collections.abc import Callable, Iterable, Iterator, Sequence
from types import FrameType
from typing import (
    Any,
    Concatenate,
    Generic,
    NamedTuple,
    ParamSpec,
    SupportsIndex,
    TypeAlias,
    TypeVar,
    final,
    overload,
)

import numpy as np
import numpy.typing as npt
from typing_extensions import Self, disjoint_base

from micrograd_fast._core import Value
from micrograd_fast._core_programs import Plan, Program, Trace
from micrograd_fast.compiler import CompiledFunction
from micrograd_fast.typed import Argument

_Type: TypeAlias = type  # where a class has a property of that name
_BatchOperand: TypeAlias = Batch[Any] | Value | float | np.number[Any] | np.bool_ | npt.NDArray[Any]

_P = ParamSpec("_P")  # a function's parameters
_Q = ParamSpec("_Q")
_R = TypeVar("_R", covariant=True)  # what it returns
_S = TypeVar("_S", contravariant=True)

class TraceError(RuntimeError):
    """A traced function did what would freeze a number; the message says where and what instead."""

class TraceWarning(UserWarning):
    """A compiled function is traced more often than needed, or may have frozen what it read."""

class TooManyEntries(Exception): ...

@disjoint_base
class Kind: ...

@final
class NumberKind(Kind):
    def __new__(cls) -> Self: ...

@final
class ValueKind(Kind):
    @property
    def type(self) -> _Type: ...
    def __new__(cls, kind: _Type = ...) -> Self: ...

@final
class StaticKind(Kind):
    @property
    def value(self) -> Any: ...
    def __new__(cls, value: Any = None) -> Self: ...

@final
class ClassKind(Kind):
    @property
    def value(self) -> _Type: ...
    def __new__(cls, value: _Type = ...) -> Self: ...

@final
class ArrayKind(Kind):
    @property
    def shape(self) -> tuple[int, ...]: ...
    @property
    def wants(self) -> bool: ...
    @property
    def shared(self) -> bool: ...
    def __new__(
        cls, shape: tuple[int, ...] = (), wants: bool = False, shared: bool = False
    ) -> Self: ...

@final
class BatchKind(Kind):
    @property
    def shape(self) -> tuple[int, ...]: ...
    def __new__(cls, shape: tuple[int, ...] = ()) -> Self: ...

@disjoint_base
class NestedKind(Kind):
    @property
    def items(self) -> tuple[Kind, ...]: ...

@final
class ListKind(NestedKind):
    def __new__(cls, items: tuple[Kind, ...] = ()) -> Self: ...

@final
class TupleKind(NestedKind):
    def __new__(cls, items: tuple[Kind, ...] = ()) -> Self: ...

@final
class DictKind(NestedKind):
    @property
    def words(self) -> tuple[str | int, ...]: ...
    def __new__(cls, items: tuple[Kind, ...] = (), words: tuple[str | int, ...] = ()) -> Self: ...

def numbers_only(kind: Kind) -> bool: ...
def nested(shape: tuple[int, ...], next_value: Callable[[], Value]) -> Any: ...

@disjoint_base
class Signature:
    @property
    def args(self) -> tuple[Kind, ...]: ...
    @property
    def kwargs(self) -> tuple[tuple[str, Kind], ...]: ...
    @property
    def batch(self) -> bool: ...
    def __new__(
        cls,
        args: tuple[Kind, ...] = (),
        kwargs: tuple[tuple[str, Kind], ...] = (),
        batch: bool = False,
        lists: bool = False,
    ) -> Self: ...
    def named(self) -> list[tuple[int | str, Kind]]: ...
    def plan_kinds(self) -> list[str]: ...
    def placeholders(self, trace: Trace) -> tuple[list[Any], dict[str, Any]]: ...
    def classes(self) -> tuple[_Type, ...]: ...

@disjoint_base
class Specialization:
    watch: Watched | None
    @property
    def signature(self) -> Signature: ...
    @property
    def plan(self) -> Plan: ...
    @property
    def traced(self) -> Program: ...
    @property
    def tree(self) -> Any: ...
    @property
    def reason(self) -> str: ...
    @property
    def name(self) -> str: ...
    def __init__(
        self,
        signature: Signature,
        plan: Plan,
        rebuild: Callable[[list[Value]], Any] | None = None,
        tree: Any = None,
        traced: Program | None = None,
        watch: Watched | None = None,
        reason: str = "",
        name: str = "f",
    ) -> None: ...
    def change(self) -> str: ...

MAX_TRACES: int

@disjoint_base
class Traces:
    warned: bool
    @property
    def by_signature(self) -> dict[Signature, Specialization]: ...
    @property
    def derived(self) -> dict[Any, Any]: ...
    @property
    def in_a_row(self) -> list[Signature]: ...
    @property
    def hits(self) -> int: ...
    @property
    def misses(self) -> int: ...
    def __new__(cls) -> Self: ...
    def clear(self) -> None: ...
    def get(self, signature: Signature) -> Specialization | None: ...
    def add(self, specialization: Specialization) -> bool: ...
    def forget(self, specialization: Specialization) -> None: ...

@disjoint_base
class MethodTraces: ...

class OwnerRef(weakref.ref[Any]):
    __slots__ = ("descriptor", "key")
    descriptor: Any
    key: int

def forget_owner(ref: OwnerRef) -> None: ...

@disjoint_base
class Watched:
    def __len__(self) -> int: ...
    def change(self) -> str | None: ...

@disjoint_base
class Watch(Watched):
    @property
    def sources(self) -> list[Any]: ...
    @property
    def codes(self) -> list[Any]: ...
    @property
    def full(self) -> bool: ...
    def __init__(
        self,
        function: Callable[..., Any],
        before: Watch | None = None,
        kinds: tuple[type, ...] = (),
    ) -> None: ...
    def settle(self) -> list[str]: ...

# A number that a function returns is a Value among a call's results: sum([]) is the number 0.
_One: TypeAlias = Value | float

@disjoint_base
class Dispatcher(Generic[_P, _R]):
    """What a compiled function does at a call: finds the trace that fits, and runs it.

    A subclass gives _read(args, kwargs, wanted), which returns (specialization, args, kwargs): the
    trace for the arguments, and these made plain; _inline(args, kwargs), the call while another
    function is traced; and _batch, whether the rows of arrays are samples.
    """

    __name__: str
    @property
    def __wrapped__(self) -> Any: ...
    @property
    def _traces(self) -> Traces: ...
    @property
    def _descriptor(self) -> Any: ...
    def __new__(cls, *args: Any, **kwargs: Any) -> Self: ...
    def _take(self, function: Any) -> None:
        """What this is the compiled form of: said once, for objects keep traces of it."""
    @overload
    def __get__(self, owner: None, kind: type[Any], /) -> Self: ...
    @overload
    def __get__(
        self: Dispatcher[Concatenate[_S, _Q], _R], owner: _S, kind: type[Any] | None = None, /
    ) -> CompiledFunction[_Q, _R]: ...
    # Arrays and numbers are given where the function sees lists of Values and Values.
    @overload
    def __call__(self: Dispatcher[_Q, _One], *args: _Q.args, **kwargs: _Q.kwargs) -> Value: ...
    @overload
    def __call__(self, *args: _P.args, **kwargs: _P.kwargs) -> _R: ...
    @overload
    def __call__(self: Dispatcher[..., _One], *args: Argument, **kwargs: Argument) -> Value: ...
    @overload
    def __call__(self, *args: Argument, **kwargs: Argument) -> _R: ...
    @overload
    def values(self: Dispatcher[..., _One], *args: Argument, **kwargs: Argument) -> float:
        """The results as plain NumPy numbers; no graph is built, so nothing has a gradient.

        Of a function that is not batched: its structure with a float for each Value. Lists of
        Values are arrays, lists of such lists too where these are alike. Of a batched one: what
        the Batch has as its data, shape (B,), or (B, k) for k Values in order.
        """
    @overload
    def values(
        self: Dispatcher[..., Batch[Any]], *args: Argument, **kwargs: Argument
    ) -> npt.NDArray[np.float64]: ...
    @overload
    def values(self, *args: Argument, **kwargs: Argument) -> Any: ...
    def _fill(self, out: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        """values() of a batched function into a contiguous array of float64."""
    def value_and_grad(
        self,
        *args: Any,
        argnums: int | Sequence[int] | None = None,
        params: Iterable[Value] | None = None,
        **kwargs: Any,
    ) -> tuple[Any, Any]:
        """Value and gradient as plain NumPy results; no graph is built, no grad is changed.

        Of a function that is not batched: its one result, a float, and the gradient of the first
        argument, an array, in its shape, or a float: what scipy.optimize.minimize(
        f.value_and_grad, x0, jac=True) wants. Of a batched one: the results, shape (B,), and sample
        by sample the gradient of each array argument in its shape: one array, or a tuple where
        there are several. With argnums, an int or ints: the gradient of those arguments.

        With params, leaf Values: the result (batched: its mean over the samples), a float, and its
        gradient, shape (len(params),), 0 where the function does not use one. A param may be an
        argument too.

        Raises TypeError where there is no such argument, a param is no Value, or the function has
        several results; ValueError for a param that is the result of an op, or that the function
        uses through one: value_and_grad does not follow the eager graph.
        """

@disjoint_base
class Batch(Generic[_R]):
    """The results of a batched call: one row a sample.

    `data` is a float64 array, samples first: shape (B,) where the function returns one Value, else
    (B, k) for its k Values in order. sum() and mean() over the samples, and single samples by
    index, are Values of the eager graph. A slice, a list of samples or a mask gives a Batch of
    these samples; arithmetic goes sample by sample, with Batches, numbers, Values and arrays.
    """
    def __init__(self, *args: object, **kwargs: object) -> None: ...
    @property
    def data(self) -> npt.NDArray[np.float64]:
        """The numbers, float64: shape (B,), or (B, k) for k Values in order. Read-only: gradients
        are those of the call, whatever were written here.
        """
    @overload
    def sum(
        self: Batch[_One], axis: int | None = None, dtype: None = None, out: None = None
    ) -> Value:
        """The sum over the samples: a Value, or the function's structure of Values.

        The arguments are those that numpy.sum gives; only axis, 0 or None, is taken.
        """
    @overload
    def sum(self, axis: int | None = None, dtype: None = None, out: None = None) -> _R: ...
    @overload
    def mean(
        self: Batch[_One], axis: int | None = None, dtype: None = None, out: None = None
    ) -> Value:
        """The mean over the samples: a Value, or the function's structure of Values.

        nan for an empty batch, as NumPy's. The arguments are those that numpy.mean gives; only
        axis, 0 or None, is taken.
        """
    @overload
    def mean(self, axis: int | None = None, dtype: None = None, out: None = None) -> _R: ...
    def item(self) -> float:
        """The number of a Batch of one, as NumPy's and PyTorch's arrays give it.

        Raises ValueError for a Batch of none or of several numbers.
        """
    def __array__(self, dtype: Any = None, copy: bool | None = None) -> npt.NDArray[Any]: ...
    def __array_ufunc__(
        self, function: np.ufunc, method: str, *operands: Any, **options: Any
    ) -> Batch[_R]: ...
    def __array_function__(
        self, function: Any, types: Any, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any: ...
    def __len__(self) -> int: ...
    @overload  # an array of one int is an index too, says NumPy
    def __getitem__(  # type: ignore[overload-overlap]
        self, index: slice | list[int] | npt.NDArray[Any], /
    ) -> Batch[_R]: ...
    @overload
    def __getitem__(self: Batch[_One], index: SupportsIndex, /) -> Value: ...
    @overload
    def __getitem__(self, index: SupportsIndex, /) -> _R: ...
    @overload
    def __iter__(self: Batch[_One]) -> Iterator[Value]: ...
    @overload
    def __iter__(self) -> Iterator[_R]: ...
    def __neg__(self) -> Batch[_R]: ...
    def __pos__(self) -> Batch[_R]: ...
    def __abs__(self) -> Batch[_R]: ...
    def __add__(self, other: _BatchOperand, /) -> Batch[_R]: ...
    def __radd__(self, other: _BatchOperand, /) -> Batch[_R]: ...
    def __sub__(self, other: _BatchOperand, /) -> Batch[_R]: ...
    def __rsub__(self, other: _BatchOperand, /) -> Batch[_R]: ...
    def __mul__(self, other: _BatchOperand, /) -> Batch[_R]: ...
    def __rmul__(self, other: _BatchOperand, /) -> Batch[_R]: ...
    def __truediv__(self, other: _BatchOperand, /) -> Batch[_R]: ...
    def __rtruediv__(self, other: _BatchOperand, /) -> Batch[_R]: ...
    def __pow__(self, other: _BatchOperand, modulus: None = None, /) -> Batch[_R]: ...
    def __rpow__(self, other: _BatchOperand, modulus: None = None, /) -> Batch[_R]: ...
    def _has_graph(self) -> bool:
        """Whether gradient flows back through it."""

def set_elementwise(function: Callable[..., Batch[Any]]) -> None: ...
def know_numpy() -> None: ...

class Profile(NamedTuple):
    n_samples: int
    n_tiles: int
    n_runs: int
    outputs: bytearray
    backward: bool
    forward_seconds: list[float]
    backward_seconds: list[float]

@disjoint_base
class ProfiledCall:
    def __init__(
        self, specialization: Specialization, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> None: ...
    def profile(self, seconds: float, max_runs: int) -> Profile: ...

def is_the_user_s(frame: FrameType) -> bool: ...
def check_not_tracing(what: str) -> None: ...
def warn_of_trace(text: str) -> None: ...
