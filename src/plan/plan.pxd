# From a program to a plan (plan.h, facts.h, separate.h, reuse.h).
from libc.stdint cimport int32_t, uint8_t

from base.arena cimport mf_arena
from plan.step cimport mf_plan
from program.program cimport mf_program

cdef extern from "plan/plan.h" nogil:
    enum:
        MF_INPUT_IS_ROW
        MF_INPUT_WANTS
    ctypedef struct mf_facts:
        pass
    ctypedef struct mf_plan_result:
        bint no_memory
        const char *fault
        int32_t step
    mf_facts mf_facts_of(const mf_program *p, const uint8_t *inputs, mf_arena *memory)
    bint mf_has_mixed_dots(const mf_facts *f)
    void mf_separate_dots(const mf_facts *f, mf_program *new, int32_t *moved)
    bint mf_slots_of_values(const mf_program *program, const uint8_t *inputs,
                            const int32_t *captured_places, int32_t *slots)
    mf_plan_result mf_plan_program(const mf_program *program, const uint8_t *inputs,
                                   const int32_t *captured_places, mf_plan *plan)
    const char *mf_plan_values(const mf_plan *p, mf_plan *made, int32_t *step)
