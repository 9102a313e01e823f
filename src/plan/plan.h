/* From a program to a plan: all stages, in order. No Python, no nodes: memory that runs out is a flag,
 * and what a mistake of these files would be is found by the verifier. */
#ifndef MF_PLAN_H
#define MF_PLAN_H

#include "plan/finish.h"
#include "plan/layout.h"
#include "plan/reuse.h"
#include "plan/separate.h"
#include "plan/verify.h"

typedef struct {
    int no_memory;
    const char *fault; /* of the plan that was made, a mistake of the compiler; NULL: none */
    int32_t step;      /* with which step that is, or -1 */
} mf_plan_result;

/* n slots for what is given, none of them used so far. */
static int32_t *mf_unused_slots(int32_t n, int *failed) {
    int32_t *slots = (int32_t *)mf_resized(NULL, (uint64_t)n + 1, sizeof *slots);
    if (slots == NULL) *failed = 1;
    for (int32_t k = 0; slots != NULL && k < n; k++) slots[k] = MF_NO_SLOT;
    return slots;
}

/* A program whose dots are of one kind each, laid out in slots; to be freed. */
static mf_builder mf_laid_out(const mf_facts *f, const int32_t *captured_places, mf_arena *memory) {
    mf_builder b = {.program = f->program, .facts = f, .memory = memory};
    b.slots = (int32_t *)mf_taken(memory, (uint64_t)f->program->code.n, sizeof *b.slots);
    b.input_slots = mf_unused_slots(f->program->n_inputs, &memory->failed);
    b.captured_slots = mf_unused_slots(f->program->n_params, &memory->failed);
    if (!memory->failed) mf_lay_out(&b, captured_places);
    return b;
}

static void mf_build_plan(const mf_facts *f, const int32_t *captured_places, mf_arena *memory,
                          mf_plan *plan) {
    mf_builder b = mf_laid_out(f, captured_places, memory);
    if (!memory->failed) mf_finish_plan(&b, plan);
    mf_builder_free(&b);
}

/* Fills slots with the one of each value of such a program, as its plan has them; false where memory
 * has run out. */
static int mf_slots_of_values(const mf_program *program, const uint8_t *inputs,
                              const int32_t *captured_places, int32_t *slots) {
    mf_arena memory = {0};
    const mf_facts facts = mf_facts_of(program, inputs, &memory);
    mf_builder b = {0};
    if (!memory.failed) b = mf_laid_out(&facts, captured_places, &memory);
    const int is_done = !memory.failed;
    if (is_done) memcpy(slots, b.slots, (size_t)program->code.n * sizeof *slots);
    mf_builder_free(&b);
    mf_arena_free(&memory);
    return is_done;
}

/* Fills *plan, all zeros before. inputs: MF_INPUT_IS_ROW and MF_INPUT_WANTS for each input;
 * captured_places: where each captured number lies in memory, so that neighbours become neighbours.
 * The program has been verified. Where the result tells of a failure, the plan is empty, or as far as
 * the verifier got. */
static mf_plan_result mf_plan_program(const mf_program *program, const uint8_t *inputs,
                                      const int32_t *captured_places, mf_plan *plan) {
    mf_plan_result result = {0, NULL, -1};
    mf_arena memory = {0};
    mf_program separated = {0};
    mf_facts facts = mf_facts_of(program, inputs, &memory);
    if (!memory.failed && mf_has_mixed_dots(&facts)) {
        mf_separate_dots(&facts, &separated, NULL);
        memory.failed |= separated.failed;
        if (!memory.failed) facts = mf_facts_of(&separated, inputs, &memory);
    }
    if (!memory.failed) mf_build_plan(&facts, captured_places, &memory, plan);
    if (!memory.failed) result.fault = mf_verify_plan(plan, &memory, &result.step);
    result.no_memory = memory.failed;
    if (result.no_memory) mf_plan_free(plan);
    mf_program_free(&separated);
    mf_arena_free(&memory);
    return result;
}

#endif
