# The modes in which ops do not record as usual: no_grad, and tracing, which trace.pxi enters.

from engine.modes cimport mf_n_modes, mf_no_grad_depth, mf_tracing_here
from engine.unwinding cimport mf_look_at_dealloc, mf_unwinds


cdef class NoGrad:
    """From __enter__ to __exit__ ops of this thread record nothing; nests. In C, so that an
    interruption comes before or after, and the count is right either way."""
    cdef int entered  # more often than left
    cdef int *depth   # of the thread that entered it last

    def __enter__(self):
        global mf_n_modes, mf_no_grad_depth
        if mf_tracing_here():
            raise_trace_error("no_grad")
        mf_no_grad_depth += 1
        mf_n_modes += 1
        self.entered += 1
        self.depth = &mf_no_grad_depth
        return self

    def __exit__(self, *exc):
        global mf_n_modes, mf_no_grad_depth
        if mf_no_grad_depth == 0:
            raise RuntimeError("no_grad was left more often than it was entered")
        mf_no_grad_depth -= 1
        mf_n_modes -= 1
        if self.entered > 0:
            self.entered -= 1

    def __dealloc__(self):
        """Entered by hand, `no_grad().__enter__()`, it stays; interrupted on the way into a with
        statement it ends, see unwinding.h."""
        global mf_n_modes, mf_no_grad_depth
        cdef int n = min(self.entered, mf_no_grad_depth)
        if mf_unwinds and n > 0 and self.depth == &mf_no_grad_depth:
            mf_no_grad_depth -= n
            mf_n_modes -= n


mf_look_at_dealloc(<PyTypeObject *>NoGrad)


def recorded(function, args, dict kwargs not None):
    """function(*args, **kwargs), whose ops record whether or not this thread is in no_grad. In C:
    an interruption cannot leave it half done."""
    global mf_n_modes, mf_no_grad_depth
    cdef int depth = mf_no_grad_depth
    mf_no_grad_depth = 0
    mf_n_modes -= depth
    try:
        return function(*args, **kwargs)
    finally:
        mf_no_grad_depth += depth
        mf_n_modes += depth


def tracing() -> bool:
    """True while this thread traces a function."""
    return mf_tracing_here()
