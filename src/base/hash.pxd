# Hashing of small records (hash.h).
from libc.stdint cimport uint64_t

cdef extern from "base/hash.h" nogil:
    uint64_t mf_mix(uint64_t op, uint64_t x, uint64_t y, uint64_t bits)
