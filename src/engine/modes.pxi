# The modes in which ops do not record as usual: no_grad, and tracing, which trace.pxi enters.

from engine.modes cimport mf_n_modes, mf_no_grad_depth, mf_tracing_here


cdef class NoGrad:
    """From __enter__ to __exit__ ops of this thread record nothing; nests. In C, so that an
    interruption comes before or after, and the count is right either way."""

    def __enter__(self):
        global mf_n_modes, mf_no_grad_depth
        if mf_tracing_here():
            raise_trace_error("no_grad")
        mf_no_grad_depth += 1
        mf_n_modes += 1
        return self

    def __exit__(self, *exc):
        global mf_n_modes, mf_no_grad_depth
        if mf_no_grad_depth == 0:
            raise RuntimeError("no_grad was left more often than it was entered")
        mf_no_grad_depth -= 1
        mf_n_modes -= 1


def tracing() -> bool:
    """True while this thread traces a function."""
    return mf_tracing_here()
