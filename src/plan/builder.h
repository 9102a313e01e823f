/* A plan while it is built: growing arrays of its steps and slots. */
#ifndef MF_BUILDER_H
#define MF_BUILDER_H

#include "plan/facts.h"
#include "plan/step.h"

MF_ARRAY(mf_steps, mf_step)
MF_ARRAY(mf_ranges, mf_range)
MF_ARRAY(mf_number_slots, mf_number_slot)

typedef struct {
    const mf_program *program; /* its dots are of one kind each */
    const mf_facts *facts;
    mf_arena *memory;          /* its flag is that of all that is built */
    int32_t *slots;            /* by value of the program, once it has one */
    mf_steps steps, lane_steps;
    mf_ints args;
    mf_bytes row_wants, uniform_wants; /* by slot */
    mf_number_slots numbers;
    int32_t *input_slots, *captured_slots; /* as in the plan */
    int32_t n_columns;
} mf_builder;

static inline int mf_builder_failed(const mf_builder *b) { return b->memory->failed; }

/* A slot that nothing else has; MF_NO_SLOT where memory has run out. */
static int32_t mf_new_slot(mf_builder *b, int row, int wants) {
    mf_bytes *flags = row ? &b->row_wants : &b->uniform_wants;
    const int32_t place = mf_bytes_add(flags, !!wants, &b->memory->failed);
    if (place < 0) return MF_NO_SLOT;
    return row ? place : ~place;
}

/* Gives value k its slot. */
static int32_t mf_give_slot(mf_builder *b, int32_t k) {
    return b->slots[k] = mf_new_slot(b, b->facts->row[k], b->facts->wants[k]);
}

static inline int mf_slot_is_wanted(const mf_builder *b, int32_t slot) {
    if (slot == MF_NO_SLOT) return 0;
    return slot >= 0 ? b->row_wants.items[slot] : b->uniform_wants.items[~slot];
}

static inline int32_t mf_add_slot_arg(mf_builder *b, int32_t slot) {
    return mf_ints_add(&b->args, slot, &b->memory->failed);
}

static void mf_add_step(mf_builder *b, mf_step step, int row) {
    mf_steps_add(row ? &b->lane_steps : &b->steps, step, &b->memory->failed);
}

/* Of what no plan has taken. */
static void mf_builder_free(mf_builder *b) {
    free(b->steps.items);
    free(b->lane_steps.items);
    free(b->args.items);
    free(b->row_wants.items);
    free(b->uniform_wants.items);
    free(b->numbers.items);
    free(b->input_slots);
    free(b->captured_slots);
}

#endif
