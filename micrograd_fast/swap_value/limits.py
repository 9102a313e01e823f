"""The program's class runs for the check within a time, and Ctrl-C is told from its own errors."""

from __future__ import annotations

import ctypes
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from types import FrameType

SECONDS = 10.0  # the check takes some 0.1


class TimeUp(BaseException):
    """The time is over. No Exception: an op that catches those does not stop it."""


class CtrlC(KeyboardInterrupt):
    """The user's Ctrl-C, where an op may raise KeyboardInterrupt itself."""


@contextmanager
def limited() -> Iterator[None]:
    """Raise TimeUp in the body after SECONDS, and again until it ends: an op may catch it."""
    done, sent = threading.Event(), threading.Event()
    thread = ctypes.c_ulong(threading.get_ident())

    def watch() -> None:
        wait = SECONDS
        while not done.wait(wait):
            sent.set()
            ctypes.pythonapi.PyThreadState_SetAsyncExc(thread, ctypes.py_object(TimeUp))
            wait = 1.0

    watcher = threading.Thread(target=watch, daemon=True)
    handler = None
    if threading.current_thread() is threading.main_thread():
        handler = signal.getsignal(signal.SIGINT)
        if handler is signal.default_int_handler:
            signal.signal(signal.SIGINT, _interrupted)
    watcher.start()
    try:
        yield
    except CtrlC:
        raise KeyboardInterrupt from None
    finally:
        done.set()
        watcher.join()
        # Taking back what was not sent leaves CPython 3.11 in an endless loop under a tracer.
        if sent.is_set():
            with suppress(TimeUp):  # the last one arrives here, if it has not yet
                for _ in range(10):
                    pass
        if handler is signal.default_int_handler:
            signal.signal(signal.SIGINT, handler)


def _interrupted(number: int, frame: FrameType | None) -> None:
    raise CtrlC
