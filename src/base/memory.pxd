# Where all memory of the core comes from (memory.h).
from libc.stdint cimport int64_t, uint64_t

cdef extern from "base/memory.h" nogil:
    int64_t mf_n_allocs_left
    void *mf_resized(void *block, uint64_t n, size_t size)
