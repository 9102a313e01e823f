# Code that merely happens to run while a function is traced, and is no part of it: finalizers,
# signal handlers, callbacks of the garbage collector. Such code may read any number.
#
# What the collector calls is told by gc.callbacks: the trace rests meanwhile. All else is found
# when it is about to be refused, by the frames between it and the start of the trace.

import gc
import sys

from base.eval cimport MF_INPUT
from engine.modes cimport mf_trace_depth
from engine.node cimport MF_F_TRACED
from engine.store cimport mf_unmark_traced

cdef set tracing_frames = set()   # those that started a trace, of all threads
cdef set handlers_known = None    # the code of signal handlers; not looked up since a trace began


@cython.internal
cdef class Rest:
    """In gc.callbacks during a trace: what a collection calls runs as if there were no trace."""
    cdef int depth   # of the traces that rest now
    cdef object frame

    def __call__(self, phase, info):
        global mf_trace_depth
        if phase == "start":
            self.depth = mf_trace_depth
            mf_trace_depth = 0
        elif self.depth:
            mf_trace_depth = self.depth
            self.depth = 0

    cdef int begin(self) except -1:
        global handlers_known
        handlers_known = None
        self.frame = sys._getframe()
        tracing_frames.add(self.frame)
        gc.callbacks.append(self)
        return 0

    cdef int end(self) except -1:
        tracing_frames.discard(self.frame)
        self.frame = None
        if self in gc.callbacks:   # unless the program has emptied the list
            gc.callbacks.remove(self)
        return 0


cdef object code_called(object function):
    """The code object that runs first in a call of it, or None."""
    function = getattr(function, "func", function)   # of a partial
    function = getattr(function, "__func__", function)
    if not hasattr(function, "__code__"):
        function = getattr(type(function), "__call__", None)
    return getattr(function, "__code__", None)


cdef set signal_handlers():
    """The code objects of what Python calls when a signal comes."""
    if "signal" not in sys.modules:
        return set()
    import signal
    return {code_called(signal.getsignal(n)) for n in signal.valid_signals()}


cdef bint in_aside(bint often=False) except -1:
    """Whether this thread is in a finalizer or a signal handler that began during the trace. often:
    a handler counts that was there at the trace's first question, for asking takes 90 us."""
    global handlers_known
    cdef set handlers = handlers_known if often else None
    if handlers is None:
        handlers = handlers_known = signal_handlers()
    frame = sys._getframe()
    while frame is not None and frame not in tracing_frames:
        if frame.f_code.co_name == "__del__" or frame.f_code in handlers:
            return True
        frame = frame.f_back
    return False


cdef int give_number_back(int32_t id) except -1:
    """Of a node that an aside made: its number is as good as an eager one's, unless it depends on
    an input of the trace."""
    cdef list made = [], todo = [id]
    cdef set seen = set()
    cdef int32_t node
    while todo:
        node = todo.pop()
        if node in seen or not store.nodes[node].flags & MF_F_TRACED:
            continue
        seen.add(node)
        if store.nodes[node].op == MF_INPUT:
            return 0
        made.append(node)
        todo += [k for k in (store.nodes[node].x, store.nodes[node].y) if k >= 0]
    for node in made:
        mf_unmark_traced(&store, node)
    return 0
