# A gradient that is not there (absent.h).

cdef extern from "base/absent.h" nogil:
    const double MF_ABSENT
    bint mf_is_absent(double grad)
    double mf_present(double grad)
