"""The types that signatures name: typing's own, and those that several modules speak of.

Imported when a type checker, or typing.get_type_hints(), reads an annotation: see _types.py.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import (
    Any,
    ClassVar,
    Literal,
    NamedTuple,
    ParamSpec,
    Protocol,
    SupportsFloat,
    SupportsIndex,
    TypeAlias,
    TypeVar,
)

import numpy as np
from numpy.typing import ArrayLike, NDArray

from micrograd_fast._core import Batch, Value
from micrograd_fast.compiler import CompiledFunction
from micrograd_fast.explain import Explanation
from micrograd_fast.find_nan import Finding

__all__ = [
    "Any",
    "Argnums",
    "Argument",
    "ArrayLike",
    "ClassVar",
    "CompiledFunction",
    "Compiles",
    "CompilesBatches",
    "Explanation",
    "F",
    "Finding",
    "Floats",
    "Init",
    "Literal",
    "Mode",
    "NamedTuple",
    "P",
    "Params",
    "R",
    "Scalar",
]

F = TypeVar("F", bound=Callable[..., object])
P = ParamSpec("P")
R = TypeVar("R")

Floats: TypeAlias = NDArray[np.float64]
# What an op takes as operand, and what else stands for a Value in functions of them.
Scalar: TypeAlias = Value | float | np.floating[Any] | np.integer[Any] | np.bool_
# What optimizers are given: parameters, or a dict for each group of them.
Params: TypeAlias = Iterable[Value] | Iterable[Mapping[str, Any]]
# How weights start: a name, or a function of the numbers of inputs and outputs.
Init: TypeAlias = str | Callable[[int, int], float]
# Which arguments a derivative is by.
Argnums: TypeAlias = int | Sequence[int] | None
# The way in which a Jacobian is computed.
Mode: TypeAlias = Literal["forward", "reverse"]


class _HasArray(Protocol):
    def __array__(self, *args: Any, **kwargs: Any) -> Any: ...


# What a call of a compiled function takes where the function saw Values.
Argument: TypeAlias = (
    _HasArray
    | Value
    | Batch[Any]
    | SupportsFloat
    | SupportsIndex
    | str
    | type
    | Sequence[Any]
    | Mapping[Any, Any]
    | None
)


class Compiles(Protocol):
    """compile() with options and no function yet."""

    def __call__(self, function: Callable[P, R], /) -> CompiledFunction[P, R]: ...


class CompilesBatches(Protocol):
    """The same with batch=True."""

    def __call__(self, function: Callable[P, R], /) -> CompiledFunction[P, Batch[R]]: ...
