# The memory that a run of a plan borrows.

from base.memory cimport mf_resized
from plan.step cimport mf_plan
from run.executor cimport mf_workspace, mf_workspace_doubles


cdef bint make_workspace(const mf_plan *p, mf_workspace *ws) noexcept nogil:
    """Room for rows; uniforms and their gradients are the call's. False when memory has run out."""
    cdef size_t rows = <size_t>p.n_rows * p.tile
    cdef double *block = <double *>mf_resized(NULL, mf_workspace_doubles(p), sizeof(double))
    if block is NULL:
        return False
    ws.block = block
    ws.rows = <double *>((<uintptr_t>block + 63) & ~<uintptr_t>63)   # from a cache line's start
    ws.row_grads = ws.rows + rows
    ws.scratch = ws.row_grads + rows
    ws.uniforms = ws.uniform_grads = NULL
    return True


cdef void free_workspace(mf_workspace *ws) noexcept nogil:
    free(ws.block)
