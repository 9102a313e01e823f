# Growing arrays (array.h).
from libc.stdint cimport int32_t, int64_t

cdef extern from "base/array.h" nogil:
    ctypedef struct mf_ints:
        int32_t *items
        int32_t n, cap
    ctypedef struct mf_doubles:
        double *items
        int32_t n, cap
    void *mf_with_room(void *items, int32_t *cap, int64_t n, size_t size, int *failed)
    void mf_sort(void *items, int32_t n, size_t size,
                 int (*compare)(const void *, const void *) noexcept nogil)
    int32_t mf_ints_add(mf_ints *a, int32_t item, int *failed)
