# A seal over the numbers of an array (seal.h).
from libc.stdint cimport uint64_t

cdef extern from "base/seal.h" nogil:
    uint64_t mf_seal(const double *data, size_t n)
