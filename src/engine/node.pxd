# The node record (node.h).
from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t

cdef extern from "engine/node.h" nogil:
    ctypedef struct mf_node:
        int32_t x
        int32_t y
        uint32_t uses
        uint16_t mark
        uint8_t op
        uint8_t flags
    enum:
        MF_NONE
        MF_MAX_NODES
        MF_F_PRESERVED
        MF_F_HOOK
        MF_F_STASHED
        MF_F_INT_EXP
        MF_F_TRACED
        MF_F_UNFILLED
        MF_F_BYPASSED
        MF_F_ABOVE
    int mf_is_number(const mf_node *n)
