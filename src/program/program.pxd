# Programs as plain data, and their verifier (program.h).
from libc.stdint cimport int32_t

from base.array cimport mf_doubles, mf_ints

cdef extern from "program/program.h" nogil:
    enum:
        MF_NO_VALUE
        MF_PROGRAM_OK
        MF_PROGRAM_INSTRUCTION
        MF_PROGRAM_NO_MEMORY
    ctypedef struct mf_instruction:
        int32_t op, x, y, n
    ctypedef struct mf_code:
        mf_instruction *items
        int32_t n, cap
    ctypedef struct mf_program:
        mf_code code
        mf_ints args
        mf_doubles numbers
        mf_ints outputs
        int32_t n_inputs, n_params
        int failed
    void mf_program_free(mf_program *p)
    bint mf_has_y(int32_t op)
    int32_t mf_n_operands(const mf_instruction *i)
    int32_t mf_operand(const mf_program *p, const mf_instruction *i, int32_t j)
    int32_t mf_emit(mf_program *p, int32_t op, int32_t x, int32_t y, int32_t n)
    int32_t mf_emit_number(mf_program *p, double number)
    int32_t mf_add_arg(mf_program *p, int32_t value)
    int mf_program_fault(const mf_program *p, int32_t *where)
