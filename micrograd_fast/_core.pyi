# The compiled module's types: here src/engine/ and src/train/, beside it what is for calls of
# compiled functions and for programs. Docstrings, and the ops, are written by tools/stub.py.

from array import array
from collections.abc import Callable, Iterable
from typing import (
    Any,
    ClassVar,
    Literal,
    SupportsFloat,
    SupportsIndex,
    TypeAlias,
)

import numpy as np
from typing_extensions import Self, disjoint_base

from micrograd_fast._core_calls import *  # noqa: F403
from micrograd_fast._core_calls import Specialization as Specialization
from micrograd_fast._core_programs import *  # noqa: F403

# What can be held: anything that stands for one real number.
_Type: TypeAlias = type  # where a class has a property of that name
_Number: TypeAlias = SupportsFloat | SupportsIndex
# What can be combined with a Value. No arrays: those combine elementwise, as NumPy's types say.
_Operand: TypeAlias = Value | float | np.floating[Any] | np.integer[Any] | np.bool_

class _Open(type):
    # Methods may be added to the class, as the lecture adds tanh: Value.cube = cube.
    def __setattr__(cls, name: str, value: Any, /) -> None: ...

@disjoint_base
class Value(metaclass=_Open):
    """One scalar and its gradient, in micrograd's terms: `data` and `grad` are float64 and writable,
    `_prev` is the set of operands, `_op` names the op, `backward()` fills the gradients.

    `data` is a number: float, int, bool, NumPy scalar or 0-d array. `_children` (Values) and a
    `_backward` assigned afterwards make a custom op, as the micrograd lecture writes them. In place
    of `_op` may stand a tuple of local gradients, a number for each child, as in microgpt:
    backward() multiplies by them and needs no function.

    Raises TypeError for what is no number, OverflowError for an int beyond float64.
    """

    __array_priority__: ClassVar[float]
    label: str
    requires_grad: bool
    # What a program hangs on a Value, or adds to the class.
    def __setattr__(self, name: str, value: Any, /) -> None: ...
    def __getattr__(self, name: str, /) -> Any: ...
    # Not among these: a checker that asks __getattr__ would believe them to be there.
    __array__: ClassVar[None]
    __array_ufunc__: ClassVar[None]
    __buffer__: ClassVar[None]
    __complex__: ClassVar[None]
    __float__: ClassVar[None]
    __getitem__: ClassVar[None]
    __index__: ClassVar[None]  # it is there, and says what to write
    __int__: ClassVar[None]
    __iter__: ClassVar[None]
    __len__: ClassVar[None]
    __trunc__: ClassVar[None]
    def __init__(
        self,
        data: _Number,
        _children: Iterable[Value] = (),
        _op: str | tuple[_Number, ...] | list[_Number] = "",
        label: str = "",
        *,
        _local_grads: tuple[_Number, ...] | list[_Number] | None = None,
    ) -> None: ...
    @property
    def data(self) -> float:
        """The number; assigning rewrites the node, and a later backward() uses the new number."""
    @data.setter
    def data(self, number: _Number) -> None: ...
    @property
    def grad(self) -> float:
        """The gradient, accumulated by backward(); assign 0 to start afresh."""
    @grad.setter
    def grad(self, number: _Number) -> None: ...
    @property
    def _prev(self) -> set[Value]:
        """The set of operands; the same objects each time, as long as somebody holds them."""
    @property
    def _children(self) -> tuple[Value, ...]:
        """The operands in order, as in microgpt; an operand that is used twice is there twice."""
    @property
    def _local_grads(self) -> tuple[float, ...]:
        """The derivatives by the _children, in their order: microgpt's local gradients."""
    @property
    def _op(self) -> str:
        """micrograd's text for the op that made this node; '' for a leaf."""
    @_op.setter
    def _op(self, text: str) -> None: ...
    @property
    def _backward(self) -> Callable[[], object]:
        """This node's local step: adds its share to the grads of its operands when called."""
    @_backward.setter
    def _backward(self, function: Callable[[], object]) -> None: ...
    def _local_backward(self) -> None: ...
    def backward(self) -> None:
        """Sets this node's grad to 1 and adds to the grads of all nodes under it.

        Nothing is zeroed first and nothing is freed: a second call adds again, as in micrograd.
        Raises ZeroDivisionError where a derivative does not exist (x**0.5 at 0).
        """
    def item(self) -> float:
        """The data, as NumPy's and PyTorch's scalars give theirs."""
    def detach(self) -> Value:
        """A new leaf with the same data and no history; in a traced function, a value that
        passes no gradient on.
        """
    def _repr_svg_(self) -> str | None:
        """What a notebook shows for a Value: its graph, drawn, where it is small."""
    def __format__(self, spec: str, /) -> str: ...
    def __hash__(self) -> int: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __lt__(self, other: _Operand, /) -> bool: ...
    def __le__(self, other: _Operand, /) -> bool: ...
    def __gt__(self, other: _Operand, /) -> bool: ...
    def __ge__(self, other: _Operand, /) -> bool: ...
    def __reduce__(self) -> tuple[Any, ...]: ...
    def __reduce_ex__(self, protocol: SupportsIndex, /) -> tuple[Any, ...]: ...
    def __deepcopy__(self, memo: dict[int, Any] | None, /) -> Any: ...
    def __getstate__(self) -> Any: ...
    def __setstate__(self, state: Any, /) -> None: ...
    def __add__(self, other: _Operand, /) -> Value: ...
    def __radd__(self, other: _Operand, /) -> Value: ...
    def __sub__(self, other: _Operand, /) -> Value: ...
    def __rsub__(self, other: _Operand, /) -> Value: ...
    def __mul__(self, other: _Operand, /) -> Value: ...
    def __rmul__(self, other: _Operand, /) -> Value: ...
    def __truediv__(self, other: _Operand, /) -> Value: ...
    def __rtruediv__(self, other: _Operand, /) -> Value: ...
    def __pow__(self, other: _Operand, mod: None = None, /) -> Value: ...
    def __rpow__(self, other: _Operand, mod: None = None, /) -> Value: ...
    def __neg__(self) -> Value: ...
    def __abs__(self) -> Value: ...
    def __floor__(self) -> Value: ...
    def __ceil__(self) -> Value: ...
    def __round__(self) -> Value: ...
    # ---- from src/ops.h, by tools/stub.py ----
    def exp(self) -> Value:
        """e**x. Raises OverflowError beyond float64."""
    def log(self) -> Value:
        """The natural logarithm. Raises ValueError for x <= 0."""
    def log1p(self) -> Value:
        """log(1 + x), exact for small x too. Raises ValueError for x <= -1."""
    def sqrt(self) -> Value:
        """The square root. Raises ValueError for x < 0; its derivative at 0 ZeroDivisionError."""
    def tanh(self) -> Value:
        """The hyperbolic tangent."""
    def sigmoid(self) -> Value:
        """1 / (1 + e**-x), without overflow for any x."""
    def relu(self) -> Value:
        """max(0, x); its derivative at 0 is 0."""
    def sin(self) -> Value:
        """The sine of x radians. Raises ValueError for inf."""
    def cos(self) -> Value:
        """The cosine of x radians. Raises ValueError for inf."""
    def tan(self) -> Value:
        """The tangent of x radians. Raises ValueError for inf."""
    def asin(self) -> Value:
        """The arc sine in radians. Raises ValueError outside [-1, 1]."""
    def acos(self) -> Value:
        """The arc cosine in radians. Raises ValueError outside [-1, 1]."""
    def atan(self) -> Value:
        """The arc tangent in radians."""
    def atan2(self, other: _Operand) -> Value:
        """The angle of the point (other, self), in radians: atan(self / other) in its quadrant."""
    def sinh(self) -> Value:
        """The hyperbolic sine. Raises OverflowError beyond float64."""
    def cosh(self) -> Value:
        """The hyperbolic cosine. Raises OverflowError beyond float64."""
    def asinh(self) -> Value:
        """The inverse of sinh."""
    def acosh(self) -> Value:
        """The inverse of cosh, not negative. Raises ValueError for x < 1."""
    def atanh(self) -> Value:
        """The inverse of tanh. Raises ValueError outside (-1, 1)."""
    def expm1(self) -> Value:
        """e**x - 1, exact for small x too. Raises OverflowError beyond float64."""
    def exp2(self) -> Value:
        """2**x. Raises OverflowError beyond float64."""
    def log2(self) -> Value:
        """The logarithm to the base 2. Raises ValueError for x <= 0."""
    def log10(self) -> Value:
        """The logarithm to the base 10. Raises ValueError for x <= 0."""
    def cbrt(self) -> Value:
        """The cube root; its derivative at 0 raises ZeroDivisionError."""
    def hypot(self, other: _Operand) -> Value:
        """sqrt(self**2 + other**2), without overflow on the way; its derivative at (0, 0) is 0."""
    def erf(self) -> Value:
        """The error function."""
    def erfc(self) -> Value:
        """1 - erf(x), with all its digits where that is small."""
    def erfcx(self) -> Value:
        """e**(x*x) * erfc(x). Raises OverflowError beyond float64."""
    def ndtr(self) -> Value:
        """The normal distribution: how likely a standard normal number is at most x."""
    def log_ndtr(self) -> Value:
        """log(ndtr(x)), where ndtr(x) is nearly 0 or 1 too. Raises OverflowError beyond float64."""
    def lgamma(self) -> Value:
        """log(abs(gamma(x))). Raises ValueError for 0, -1, -2 ..., OverflowError beyond float64."""
    def digamma(self) -> Value:
        """The derivative of lgamma. Raises ValueError for 0, -1, -2 ..."""
    def polygamma(self, other: _Operand) -> Value:
        """digamma's derivative of order other, a whole number to 170, by which it has none: 0."""
    def softplus(self) -> Value:
        """log(1 + e**x), without overflow for any x."""
    def logaddexp(self, other: _Operand) -> Value:
        """log(e**self + e**other), without overflow."""
    def xlogy(self, other: _Operand) -> Value:
        """self * log(other), 0 where self is 0. Raises ValueError for other <= 0 elsewhere."""
    def abs(self) -> Value:
        """The absolute value; its derivative at 0 is 0."""
    def maximum(self, other: _Operand) -> Value:
        """The larger of two, nan if either is nan; equal operands share the gradient evenly."""
    def minimum(self, other: _Operand) -> Value:
        """The smaller of two, nan if either is nan; equal operands share the gradient evenly."""
    def compare(self, other: _Operand) -> Value:
        """1 if self is larger, -1 if smaller, 0 where equal, nan with nan; its derivative is 0."""
    def less(self, other: _Operand) -> Value:
        """1 where self < other, else 0, with nan too; its derivative is 0."""
    def less_equal(self, other: _Operand) -> Value:
        """1 where self <= other, else 0, with nan too; its derivative is 0."""
    def equal(self, other: _Operand) -> Value:
        """1 where self == other as numbers, else 0; its derivative is 0."""
    def floor(self) -> Value:
        """The largest whole number that is not above x; its derivative is 0."""
    def ceil(self) -> Value:
        """The smallest whole number that is not below x; its derivative is 0."""
    def rint(self) -> Value:
        """The nearest whole number, of two the even one; its derivative is 0."""
    def reached(self, other: _Operand) -> Value:
        """x * y, and 0 where y is 0, whatever x is: what backward() adds for a partial x."""
    arcsin = asin
    arccos = acos
    arctan = atan
    arctan2 = atan2
    arcsinh = asinh
    arccosh = acosh
    arctanh = atanh
    # ---- until here ----

@disjoint_base
class Op:
    @property
    def name(self) -> str: ...
    @property
    def label(self) -> str: ...
    @property
    def kind(self) -> Literal["unary", "binary", "param"]: ...
    @property
    def arity(self) -> int: ...
    @property
    def lo(self) -> float: ...
    @property
    def hi(self) -> float: ...
    @property
    def rules(self) -> tuple[str, ...]: ...
    @property
    def doc(self) -> str: ...
    @property
    def value(self) -> str: ...
    @property
    def partials(self) -> tuple[str, ...]: ...
    @property
    def finite_partials(self) -> bool: ...
    @property
    def is_choice(self) -> bool: ...
    @property
    def libm_beyond(self) -> float: ...

OPS: tuple[Op, ...]

@disjoint_base
class Parameters:
    def __init__(self, values: Iterable[Value]) -> None: ...
    @property
    def values(self) -> tuple[Value, ...]: ...
    def __len__(self) -> int: ...
    def zero_grad(self, set_to_none: bool = False) -> None: ...
    def leaves_out(self) -> bool: ...
    def sgd_step(
        self,
        velocity: array[float] | None,
        ages: array[float] | None,
        started: bool,
        lr: float,
        momentum: float,
        dampening: float,
        weight_decay: float,
        nesterov: bool,
        maximize: bool,
    ) -> None: ...
    def adam_step(
        self,
        mean: array[float],
        square: array[float],
        largest: array[float] | None,
        ages: array[float] | None,
        step: int,
        lr: float,
        beta1: float,
        beta2: float,
        eps: float,
        weight_decay: float,
        decoupled: bool,
        maximize: bool,
    ) -> None: ...
    def rmsprop_step(
        self,
        square: array[float],
        mean: array[float] | None,
        velocity: array[float] | None,
        lr: float,
        alpha: float,
        eps: float,
        weight_decay: float,
        momentum: float,
        maximize: bool,
    ) -> None: ...
    def adagrad_step(
        self,
        total: array[float],
        ages: array[float] | None,
        step: int,
        lr: float,
        lr_decay: float,
        eps: float,
        weight_decay: float,
        maximize: bool,
    ) -> None: ...

def affine(
    w: Iterable[Value], x: Iterable[_Operand], b: Value, activation: str | None = None
) -> Value: ...
def dot(w: Iterable[_Operand], x: Iterable[_Operand]) -> Value: ...
def total(values: Iterable[_Operand]) -> Value: ...
def watched_nodes(
    root: Value, most: int
) -> tuple[int, list[tuple[Value, str, str | None, list[Value], bool]]]: ...
def grads_kept(values: list[Value]) -> list[float]: ...
def write_grads(values: list[Value], grads: list[float]) -> None: ...
def watched_backward(root: Value, seen: Callable[[Value], object]) -> None: ...
def live_nodes() -> int: ...
def store_bytes() -> int: ...

@disjoint_base
class Mode:
    def __new__(cls, name: str = "no_grad") -> Self: ...
    def __enter__(self) -> Self: ...
    def __exit__(self, *exc: object) -> None: ...

def _collection_phase(phase: str, info: dict[str, Any], /) -> None: ...
def _set_limits(*, max_nodes_to: int | None = None, fail_after: int | None = None) -> None: ...
def _numbers(
    specialization: Specialization,
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    params: Iterable[Value] | None = None,
    gradient: bool = False,
) -> Any: ...
def tracing() -> bool: ...
def grad_enabled() -> bool: ...
def recorded(function: Callable[..., Any], args: Iterable[Any], kwargs: dict[str, Any]) -> Any: ...
def set_rules(table: Iterable[Iterable[list[tuple[str, int, int, float]]]]) -> None: ...
def pullback(ys: list[Value], seeds: list[Any], xs: list[Value]) -> list[Value]: ...
def gradient_rows(
    xs: list[Value], ys: list[Value], few: int = -1, share: int = -1
) -> tuple[list[Value], list[int], list[int]]: ...
def custom_result(
    z: Value | float, children: list[Value], rule: Callable[..., Any], name: str
) -> Value: ...
def rules_asked() -> int: ...
def rules_given() -> int: ...
def depends_on(value: Value, leaves: tuple[Value, ...]) -> bool: ...
def same_objects(items: Any, others: tuple[Any, ...]) -> bool: ...
def stand_in(v: Value) -> Value: ...
def jacobian_rows(
    xs: list[Value], ys: list[Value], lower: bool = False, few: int = -1, share: int = -1
) -> tuple[list[Value], list[int], list[int]]: ...
def pushforward(xs: list[Value], seeds: list[Any], ys: list[Value]) -> list[Value]: ...
def largest(values: Iterable[Value], detached: bool = False) -> Value: ...
def smallest(values: Iterable[Value]) -> Value: ...

@disjoint_base
class Condition:
    @property
    def value(self) -> Value: ...
    def __new__(cls, value: Value) -> Self: ...
    def __and__(self, other: object) -> Condition: ...
    def __rand__(self, other: object) -> Condition: ...
    def __or__(self, other: object) -> Condition: ...
    def __ror__(self, other: object) -> Condition: ...
    def __xor__(self, other: object) -> Condition: ...
    def __rxor__(self, other: object) -> Condition: ...
    def __invert__(self) -> Condition: ...
    def __bool__(self) -> bool: ...
    def __eq__(self, other: object, /) -> bool: ...
    def __hash__(self) -> int: ...
    def __neg__(self) -> Value: ...
    def __add__(self, other: _Operand) -> Value: ...
    def __radd__(self, other: _Operand) -> Value: ...
    def __sub__(self, other: _Operand) -> Value: ...
    def __rsub__(self, other: _Operand) -> Value: ...
    def __mul__(self, other: _Operand) -> Value: ...
    def __rmul__(self, other: _Operand) -> Value: ...
    def __truediv__(self, other: _Operand) -> Value: ...
    def __rtruediv__(self, other: _Operand) -> Value: ...

def truth(thing: object) -> bool | Value | None: ...
def take_traced(values: Iterable[_Operand], index: Value) -> Value: ...
def copy_numbers(
    values: list[Value], buffer: Any, what: Literal["data", "grad", "write"]
) -> None: ...
def clear_grads(parameters: Iterable[Any], set_to_none: bool) -> None: ...
def data_of(parameters: list[Any]) -> list[float]: ...
def write_data(parameters: list[Any], numbers: list[Any]) -> None: ...
def is_leaf_value(value: Value) -> bool: ...
def add_leaves(found: list[Any], items: Iterable[Any]) -> bool: ...
def without_repeats(parameters: list[Any]) -> list[Any]: ...
def grad_norm(parameters: list[Any], order: float) -> float: ...
def scale_grads(parameters: list[Any], factor: float) -> None: ...
def clamp_grads(parameters: list[Any], limit: float) -> None: ...
def kernel_variant() -> str: ...
def set_num_threads(n: int) -> None:
    """How many threads compiled functions split large batches over; 1 unless set.

    Gradients are bit-identical from run to run for a given number; another number adds them up in
    another order. Raises TypeError for what is no int, ValueError out of 1 to 1024.
    """

def get_num_threads() -> int:
    """What set_num_threads() set."""

def forget_workers() -> None: ...
def _set_thread_starts(n: int | None = None) -> None: ...
def _num_workers() -> tuple[int, int]: ...
def _seal(numbers: Any) -> int: ...
def _multiply_add_rate() -> float: ...
def _plan_fault(parts: dict[str, Any]) -> tuple[int, str] | None: ...
def _set_least_put_off(n: int | None = None) -> None: ...
def _set_kernel_variant(name: str | None) -> bool: ...
