# What backward does not reach contributes nothing (reach.h).

cdef extern from "base/reach.h" nogil:
    bint mf_has_finite_partials(int op)
    bint mf_is_choice(int op)
