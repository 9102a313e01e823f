"""What `@no_grad` and `@detect_anomaly` make of functions, generators and coroutines; imported by
the first decorated.

A body that is suspended has left the block: whoever resumes it runs as before, and the body
finds the block around it again. contextlib's and PyTorch's decorators do the same.
"""

from __future__ import annotations

import functools
import inspect
import types
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import AbstractContextManager
from typing import Any, TypeAlias, TypeVar, cast

F = TypeVar("F", bound=Callable[..., object])
Block: TypeAlias = Callable[[], AbstractContextManager[object]]

__all__ = ["decorated"]


def decorated(function: F, block: type[AbstractContextManager[object]]) -> F:
    """The function, each run of whose body stands in a block() of its own."""
    if not callable(function):
        raise TypeError(
            f"{block.__name__} decorates functions, not {type(function).__name__!r}: write it "
            "below the other decorator"
        )
    if inspect.isasyncgenfunction(function):
        wrapper: Any = _async_generator(function, block)
    elif inspect.iscoroutinefunction(function):
        wrapper = _coroutine(function, block)
    elif inspect.isgeneratorfunction(function):
        wrapper = _generator(function, block)
    else:
        wrapper = _plain(function, block)
    return cast("F", functools.wraps(function)(wrapper))


def _plain(function: Callable[..., Any], block: Block) -> Callable[..., Any]:
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        with block():
            return function(*args, **kwargs)

    return wrapper


def _generator(function: Callable[..., Any], block: Block) -> Callable[..., Any]:
    def wrapper(*args: Any, **kwargs: Any) -> Generator[Any, Any, Any]:
        return (yield from _resumed(function(*args, **kwargs), block))

    return wrapper


def _coroutine(function: Callable[..., Any], block: Block) -> Callable[..., Any]:
    async def wrapper(*args: Any, **kwargs: Any) -> Any:
        return await _awaited(function(*args, **kwargs), block)

    return wrapper


def _async_generator(function: Callable[..., Any], block: Block) -> Callable[..., Any]:
    async def wrapper(*args: Any, **kwargs: Any) -> AsyncGenerator[Any, Any]:
        body = function(*args, **kwargs)
        step = body.asend(None)
        while True:
            try:
                item = await _awaited(step, block)
            except StopAsyncIteration:
                return
            finally:
                step = None  # it may hold an error, whose traceback holds this frame
            try:
                step = body.asend((yield item))
            except GeneratorExit:
                await _awaited(body.aclose(), block)
                raise
            except BaseException as error:
                step = body.athrow(error)

    return wrapper


def _resumed(body: Any, block: Block) -> Generator[Any, Any, Any]:
    """A generator or coroutine, in a block whenever it runs."""
    sent: Any = None
    thrown: BaseException | None = None
    while True:
        try:
            with block():
                item = body.send(sent) if thrown is None else body.throw(thrown)
        except StopIteration as end:
            return end.value
        finally:
            thrown = None  # its traceback holds this frame
        try:
            sent = yield item
        except GeneratorExit:
            with block():
                body.close()
            raise
        except BaseException as error:
            thrown = error


_awaited = types.coroutine(_resumed)
