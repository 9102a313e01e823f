# Growing arrays (array.h).
from libc.stdint cimport int32_t

cdef extern from "base/array.h" nogil:
    ctypedef struct mf_ints:
        int32_t *items
        int32_t n, cap
    ctypedef struct mf_doubles:
        double *items
        int32_t n, cap
    int32_t mf_ints_add(mf_ints *a, int32_t item, int *failed)
