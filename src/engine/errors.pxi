# What is raised, and its words: what Python's floats raise, and what a trace refuses because a
# number would be frozen.

import warnings

from base.eval cimport MF_BINARY, MF_OVERFLOW, MF_POW, MF_VPOW, MF_ZERODIV, mf_ops
from engine.modes cimport mf_n_modes, mf_tracing_here
from engine.node cimport MF_F_TRACED, mf_node
from engine.node_backward cimport mf_node_backward

cdef extern from "Python.h":
    PyObject *PyDict_GetItemString(object d, const char *word)   # borrowed

cdef str OPS_OR_RULE = ("write the function with the ops of Value, whose derivatives are known, or "
                        "give its derivative too, mg.custom(f, rule)")
cdef dict INSTEAD = {
    "reading .data": "compute with the Value itself, or v.detach() to stop its gradient",
    "comparing by == or !=": "a float argument is a Value here: give an int, which is a constant "
                             "that may be compared, or mg.equal(a, b), a condition for mg.where",
    "bool()": "choose with mg.where(condition, a, b), mg.maximum, mg.minimum or mg.take(values, "
              "index)",
    "deciding by a comparison": "choose with mg.where(condition, a, b), and join conditions by &, "
                                "| and ~; mg.maximum and mg.minimum choose among many",
    "formatting": "print outside: a traced function runs once, not at every call",
    "repr(), str() or print()": "print outside: a traced function runs once, not at every call",
    "backward()": "call backward() on what the compiled function returned",
    "a node's _backward": "call backward() on what the compiled function returned",
    "a custom _backward": OPS_OR_RULE,
    "a custom node": OPS_OR_RULE,
    "a batched function of an array": "call it on one sample, Values or a list of numbers, or "
                                      "outside on all samples",
    "a Batch as argument": "give the Batch to the compiled function as an argument",
    "detect_anomaly": "put it around the call of the compiled function",
    "no_grad": "use v.detach() on what should pass no gradient on",
}


# Top-level modules that stand between the user's line and the engine.
cdef set NOT_THE_USER_S = {"micrograd_fast", "numpy", "copy", "copyreg", "functools"}


class TraceError(RuntimeError):
    """A traced function did what would freeze a number; the message says where and what instead."""


class TraceWarning(UserWarning):
    """A compiled function is traced more often than needed, or may have frozen what it read."""


cdef object user_frame():
    """The frame of the line outside of the engine that led here."""
    frame = sys._getframe()
    while frame.f_back and not is_user_frame(frame):
        frame = frame.f_back
    return frame


cdef bint is_user_frame(object frame) except -1:
    """See is_the_user_s. Runs no Python code, whatever the globals are."""
    cdef PyObject *name = PyDict_GetItemString(frame.f_globals, "__name__")
    if name is NULL or type(<object>name) is not str:
        return True
    return (<str><object>name).partition(".")[0] not in NOT_THE_USER_S


def is_the_user_s(frame) -> bool:
    """Whether a frame is none of those that stand between the user's line and the engine."""
    return is_user_frame(frame)


cdef int raise_trace_error(str what) except -1:
    """Raises TraceError, unless the code that runs is no part of the traced function."""
    if in_aside():
        return 0
    frame = user_frame()
    where = f"{frame.f_code.co_filename}:{frame.f_lineno}"
    instead = INSTEAD.get(what, "do it outside of the compiled function")
    raise TraceError(f"{where}: {what} inside a compiled function, which is traced once and then "
                     f"replayed with other numbers; {instead}")


def warn_of_trace(str text) -> None:
    """A TraceWarning that stands at the user's line."""
    frame = user_frame()
    registry = frame.f_globals.setdefault("__warningregistry__", {})
    warnings.warn_explicit(text, TraceWarning, frame.f_code.co_filename, frame.f_lineno,
                           frame.f_globals.get("__name__"), registry)


cdef int check_readable(int32_t id, str what) except -1:
    """Raises TraceError where the number of a node is not known yet, or never will be."""
    if mf_n_modes and mf_tracing_here():
        raise_trace_error(what)
        give_number_back(id)
    if store.nodes[id].flags & MF_F_TRACED:
        raise TraceError(f"{what}: this Value was made inside a compiled function while it was "
                         "traced and has no number; return it from the function instead")
    return 0


def check_not_tracing(str what) -> None:
    """Raises TraceError where this thread traces a function."""
    if mf_tracing_here():
        raise_trace_error(what)


cdef int raise_error(int error, int op, double x, double y) except -1:
    """The exception that Python's floats raise for this op; none while tracing, which is IEEE."""
    if mf_n_modes and mf_tracing_here():
        return 0
    name = (<bytes>mf_ops[op].name).decode()
    if op == MF_POW or op == MF_VPOW:
        what = f"{x!r} ** {y!r}"
    else:
        what = f"{name}({x!r}, {y!r})" if mf_ops[op].kind == MF_BINARY else f"{name}({x!r})"
    if error == MF_ZERODIV:
        raise ZeroDivisionError(f"{what}: division by zero")
    if error == MF_OVERFLOW:
        raise OverflowError(f"{what}: the result is too large for a float")
    raise ValueError(f"{what}: math domain error, no real result")


cdef int raise_backward(int32_t id) except -1:
    cdef const mf_node *n = &store.nodes[id]
    cdef double x = store.data[n.x], y = store.data[n.y] if n.y >= 0 else 0.0
    cdef int error = mf_node_backward(store.nodes, store.data, store.grad, id)
    try:
        raise_error(error, n.op, x, y)
    except (ArithmeticError, ValueError) as e:
        raise type(e)(f"in the derivative of {e}") from None
