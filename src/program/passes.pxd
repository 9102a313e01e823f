# Programs in, faster programs out (passes.h).
from libc.stdint cimport int32_t

from program.program cimport mf_program

cdef extern from "program/passes.h" nogil:
    enum:
        MF_N_PASSES
    ctypedef void mf_pass(void *)   # of a rewriting, which only C looks into
    ctypedef struct mf_named_pass:
        const char *name
        mf_pass *rewrite
    const mf_named_pass mf_passes[]
    void mf_rewrite(const mf_program *old, mf_pass *rewrite, mf_program *new, int32_t *moved)
    void mf_optimize(const mf_program *old, mf_program *new)
