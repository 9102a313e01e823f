"""detect_anomaly: eager code stops at the op that makes the first nan or infinity.

What looks at the ops is src/engine/anomaly.pxi; here are the words.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, overload

from micrograd_fast._core import Mode
from micrograd_fast.spelling import symbol, written

if TYPE_CHECKING:
    from typing_extensions import Self

F = TypeVar("F", bound=Callable[..., object])

__all__ = ["AnomalyError", "detect_anomaly"]


def __dir__() -> list[str]:
    return __all__


class AnomalyError(FloatingPointError):
    """In detect_anomaly an op made a nan or an infinity; the message says which, and where."""

    op: str
    """As Python writes it, '+' or 'exp'; of a compiled function its name."""
    operands: tuple[float, ...]
    """The numbers that it was given; of a compiled function ()."""
    value: float
    """The result; backward the adjoint that was passed on, or nan where it does not exist."""
    direction: str
    """'forward' or 'backward'."""
    file: str | None
    line: int | None
    """The line of your code that made the op; None: it ran before the block was entered."""


class detect_anomaly(Mode):
    """Context manager and decorator: the first nan or infinity raises AnomalyError, a
    FloatingPointError, that names op, operands and line.

    An op raises where its result is infinite and its operands are not, or nan and none of them is.
    backward() raises where it makes a gradient nan or infinite of finite ones, and names the line
    on which the op was built; what Python's floats raise, such as ZeroDivisionError for the
    derivative of the square root at 0, gets that line. The step at fault adds nothing; what was
    added before it stays, as after every exception in backward(). The results and gradients of
    compiled functions are looked at as a whole: f.find_nan() says more.

    It nests, holds for the thread that entered it, and ends with the block however the block ends.
    Lines are known of what was built since the outermost block began. Inside an op takes some ten
    times as long, a layer of nn with its backward() tens of times. Raises TypeError for what cannot
    be decorated, TraceError inside a compiled function.
    """

    if TYPE_CHECKING:

        @overload
        def __new__(cls, function: None = None) -> Self: ...
        @overload
        def __new__(cls, function: F) -> F: ...  # type: ignore[misc]

    def __new__(cls, function: F | None = None) -> Any:
        block = super().__new__(cls, "detect_anomaly")
        return block if function is None else block(function)

    def __call__(self, function: F) -> F:
        from micrograd_fast._decorate import decorated

        return decorated(function, detect_anomaly)


def anomaly(
    direction: str,
    op: str,
    operands: tuple[float, ...],
    value: float,
    file: str | None,
    line: int | None,
) -> AnomalyError:
    """The error for an op, by its name in the op table."""
    op = symbol(op)
    text = f"{written(op, operands)} is {value}"
    if direction == "backward":
        text = f"on the way back {written(op, operands)} makes an adjoint of {value}"
    return _error(text, direction, op, operands, value, file, line)


def anomaly_of_call(
    direction: str, name: str, value: float, sample: int, file: str | None, line: int | None
) -> AnomalyError:
    """The error for a call of a compiled function; name: '' is arithmetic on Batches. sample: of a
    batch, else below 0."""
    text = f"{name}()" if name else "arithmetic on a Batch"
    text += f" has a {'result' if direction == 'forward' else 'gradient'} that is {value}"
    text += f" in sample {sample}" if sample >= 0 else ""
    if name:
        function = name if name.isidentifier() else "f"
        text += f": {function}.find_nan(...) of the same arguments says where it comes from"
    return _error(text, direction, name or "Batch", (), value, file, line)


def _error(
    text: str,
    direction: str,
    op: str,
    operands: tuple[float, ...],
    value: float,
    file: str | None,
    line: int | None,
) -> AnomalyError:
    if file:
        text = f"{file}:{line}: {text}"
    elif direction == "backward":
        text += " (built outside of detect_anomaly, so its line is not known)"
    error = AnomalyError(text)
    error.direction, error.op, error.operands, error.value = direction, op, operands, value
    error.file, error.line = file, line
    return error


def with_line(
    error: Exception, op: str, operands: tuple[float, ...], file: str | None, line: int | None
) -> Exception:
    """What backward() raises where a derivative does not exist, chained to what is known of it."""
    op = symbol(op)
    text = f"{written(op, operands)} has no derivative"
    cause = _error(text, "backward", op, operands, float("nan"), file, line)
    more = type(error)(f"{error}, built at {file}:{line}") if file else error
    more.__cause__ = cause
    return more
