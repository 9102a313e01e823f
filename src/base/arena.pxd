# Memory that goes together (arena.h).

cdef extern from "base/arena.h" nogil:
    ctypedef struct mf_arena:
        int failed
    void mf_arena_free(mf_arena *a)
