# Where a nan came from (nonfinite.h), in a program that is spelled as the code was (spelled.h).
from libc.stdint cimport int32_t, int64_t, uint8_t

from program.passes cimport mf_pass
from program.program cimport mf_program

cdef extern from "program/spelled.h" nogil:
    const uint8_t *mf_spelled_apart
    mf_pass mf_spell

cdef extern from "program/nonfinite.h" nogil:
    enum:
        MF_BACKWARD
        MF_FORWARD
        MF_BAD_INDEX
    ctypedef struct mf_nonfinite:
        int kind
        int32_t value, operand, gradient, n_samples
        int64_t sample
    ctypedef struct mf_probe:
        const int32_t *rank
        const double *captured
        double *inputs
        double *value
        double *adjoint
    bint mf_probe_make(mf_probe *t, const mf_program *p)
    void mf_probe_free(mf_probe *t)
    mf_nonfinite mf_probe_run(mf_probe *t)
    void mf_probe_take(const mf_probe *t, mf_nonfinite *first, mf_nonfinite found, int64_t sample)
