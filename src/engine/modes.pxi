# The modes in which ops do not run as usual: no_grad, detect_anomaly, and tracing, which trace.pxi
# enters.

from engine.modes cimport mf_anomaly_depth, mf_n_modes, mf_no_grad_depth, mf_tracing_here
from engine.unwinding cimport mf_look_at_dealloc, mf_unwinds


cdef class Mode:
    """Of the name that it is given, no_grad or detect_anomaly: holds for this thread from __enter__
    to __exit__; nests. In C, so that an interruption comes before or after, and the count is right
    either way."""
    cdef str name
    cdef int entered  # more often than left
    cdef int *depth   # of the thread that entered it last

    def __cinit__(self, str name not None="no_grad"):
        if name not in ("no_grad", "detect_anomaly"):
            raise ValueError(f"there is no mode {name!r}")
        self.name = name

    cdef inline bint watches(self) noexcept:
        return self.name == "detect_anomaly"

    cdef int *depth_here(self) noexcept:
        return &mf_anomaly_depth if self.watches() else &mf_no_grad_depth

    cdef int leave(self, int n) noexcept:
        """So often, in the thread that entered it."""
        global mf_n_modes
        cdef int k
        self.depth_here()[0] -= n
        mf_n_modes -= n
        for k in range(n if self.watches() else 0):
            unwatch_nodes()
        return 0

    def __enter__(self):
        global mf_n_modes
        if mf_tracing_here():
            raise_trace_error(self.name)
        if self.watches():
            watch_nodes()
        self.depth = self.depth_here()
        self.depth[0] += 1
        mf_n_modes += 1
        self.entered += 1
        return self

    def __exit__(self, *exc):
        if self.depth_here()[0] == 0:
            raise RuntimeError(f"{self.name} was left more often than it was entered")
        self.leave(1)
        if self.entered > 0:
            self.entered -= 1

    def __dealloc__(self):
        """Entered by hand, `no_grad().__enter__()`, it stays; interrupted on the way into a with
        statement it ends, see unwinding.h."""
        cdef int n = min(self.entered, self.depth_here()[0])
        if mf_unwinds and n > 0 and self.depth == self.depth_here():
            self.leave(n)


mf_look_at_dealloc(<PyTypeObject *>Mode)


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
