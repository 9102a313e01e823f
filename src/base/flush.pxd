# Results that are too small to matter (flush.h).

cdef extern from "base/flush.h" nogil:
    unsigned mf_flush_on()
    void mf_flush_off(unsigned before)
    double mf_flushed(double x)
