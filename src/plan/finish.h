/* The last touches to a plan whose steps are there: who alone uses which weights, what starts from
 * zero, how many lanes a tile has. */
#ifndef MF_FINISH_H
#define MF_FINISH_H

#include "plan/builder.h"

enum {
    MF_TILE_BYTES = 65536,         /* a tile's rows and adjoints: about the first cache level */
    MF_LARGE_TILE_BYTES = 2097152, /* the second one, for programs with large matrices */
    MF_LAST_TILE_BYTES = 33554432, /* the last one, for programs of many steps */
    MF_FAIR_TILE = 64,             /* lanes for which calling kernels is not most of the time */
    MF_MAX_TILE = 256
};

/* Of element m, j of a matrix, the uniform number. */
static inline int32_t mf_weight_of(const mf_matrix_step *matrix, int32_t m, int32_t j) {
    return matrix->w + m * matrix->w_row + j * matrix->w_col;
}

/* How often each uniform slot is an operand or a result of the program; 0 for what only a copy fills. */
static const int32_t *mf_slot_uses(const mf_builder *b) {
    const int32_t *value_uses = mf_use_counts(b->program, b->memory);
    int32_t *uses = (int32_t *)mf_taken(b->memory, (uint64_t)b->uniform_wants.n, sizeof *uses);
    if (value_uses == NULL || uses == NULL) return NULL;
    for (int32_t k = 0; k < b->program->code.n; k++)
        if (b->slots[k] < 0 && b->slots[k] != MF_NO_SLOT) uses[~b->slots[k]] += value_uses[k];
    return uses;
}

/* Which matrix steps over lanes may set the adjoints of their weights. summed: of each uniform slot
 * whether adjoints are summed up there: of all others. */
static void mf_find_sole_users(mf_builder *b, uint8_t *summed) {
    const int32_t *uses = mf_slot_uses(b);
    if (mf_builder_failed(b)) return;
    memset(summed, 1, (size_t)b->uniform_wants.n);
    for (int32_t k = 0; k < b->lane_steps.n; k++) {
        mf_step *s = &b->lane_steps.items[k];
        mf_matrix_step *matrix = &s->matrix;
        if (s->kind != MF_STEP_MATRIX || !matrix->wants_w || !s->wants_gradient) continue;
        matrix->sole_user = 1;
        for (int32_t m = 0; m < s->count; m++)
            for (int32_t j = 0; j < matrix->n; j++)
                matrix->sole_user &= uses[mf_weight_of(matrix, m, j)] == 1;
        for (int32_t m = 0; matrix->sole_user && m < s->count; m++)
            for (int32_t j = 0; j < matrix->n; j++) summed[mf_weight_of(matrix, m, j)] = 0;
    }
}

/* The runs of n bytes that are not zero. */
static mf_ranges mf_runs_of(const uint8_t *flags, int32_t n, int *failed) {
    mf_ranges runs = {0};
    for (int32_t k = 0; k < n && !*failed; k++) {
        const int32_t first = k;
        while (k < n && flags[k]) k++;
        if (k > first) mf_ranges_add(&runs, (mf_range){first, k - first}, failed);
    }
    return runs;
}

static int64_t mf_smaller(int64_t a, int64_t b) { return a < b ? a : b; }
static int64_t mf_larger(int64_t a, int64_t b) { return a > b ? a : b; }

/* Lanes a row; and the room that matrix steps need for a transposed operand. A matrix is read once a
 * tile: a tile has as many lanes as make that as cheap as reading the rows.
 *
 * A call of a kernel takes as long as some 50 lanes of an op do. Rows that are short for the sake of the
 * first cache level are so at no price only down to there: of 21,362 rows, tiles of 8 lanes took 3.6
 * times as long as tiles of 64, which the last level holds, and those as long as tiles of 128. */
static void mf_find_tile(mf_plan *p, int64_t bytes_per_lane) {
    int64_t n_weights = 0, tile;
    for (int32_t k = p->n_uniform_steps; k < p->n_steps; k++) {
        const mf_step *s = &p->steps[k];
        if (s->kind != MF_STEP_MATRIX) continue;
        n_weights += (int64_t)s->matrix.n * s->count;
        const int64_t wider = mf_larger(s->matrix.n, s->count);
        p->scratch = (int32_t)mf_larger(p->scratch, wider + MF_LANE_BLOCK);
    }
    tile = mf_larger(MF_TILE_BYTES / bytes_per_lane,
                     mf_smaller(64 * n_weights, MF_LARGE_TILE_BYTES) / bytes_per_lane);
    tile = mf_larger(tile, mf_smaller(MF_FAIR_TILE, MF_LAST_TILE_BYTES / bytes_per_lane));
    tile = mf_smaller(tile, MF_MAX_TILE) / MF_LANE_BLOCK * MF_LANE_BLOCK;
    p->tile = (int32_t)mf_larger(tile, MF_LANE_BLOCK);
}

static int mf_has_take(const mf_plan *p) {
    for (int32_t k = 0; k < p->n_steps; k++)
        if (p->steps[k].kind == MF_STEP_TAKE) return 1;
    return 0;
}

/* The plan takes over an array of the builder. */
#define MF_HAND_OVER(array, to, n_to) \
    do {                              \
        (to) = (array).items;         \
        (n_to) = (array).n;           \
        (array).items = NULL;         \
    } while (0)

/* Fills *p, which the builder's arrays belong to from then on. */
static void mf_finish_plan(mf_builder *b, mf_plan *p) {
    int *failed = &b->memory->failed;
    uint8_t *summed = (uint8_t *)mf_taken(b->memory, (uint64_t)b->uniform_wants.n, 1);
    mf_ints outputs = {0};
    if (*failed) return;
    mf_find_sole_users(b, summed);
    mf_ranges wanted_rows = mf_runs_of(b->row_wants.items, b->row_wants.n, failed);
    mf_ranges summed_uniforms = mf_runs_of(summed, b->uniform_wants.n, failed);
    for (int32_t k = 0; k < b->program->outputs.n; k++)
        mf_ints_add(&outputs, b->slots[b->program->outputs.items[k]], failed);
    p->n_uniform_steps = b->steps.n;
    for (int32_t k = 0; k < b->lane_steps.n; k++)
        mf_steps_add(&b->steps, b->lane_steps.items[k], failed);
    MF_HAND_OVER(b->steps, p->steps, p->n_steps);
    MF_HAND_OVER(b->args, p->args, p->n_args);
    MF_HAND_OVER(b->row_wants, p->row_wants, p->n_rows);
    MF_HAND_OVER(b->uniform_wants, p->uniform_wants, p->n_uniforms);
    MF_HAND_OVER(b->numbers, p->numbers, p->n_numbers);
    MF_HAND_OVER(wanted_rows, p->wanted_rows, p->n_wanted_rows);
    MF_HAND_OVER(summed_uniforms, p->summed_uniforms, p->n_summed_uniforms);
    MF_HAND_OVER(outputs, p->outputs, p->n_outputs);
    p->input_slots = b->input_slots;
    p->captured_slots = b->captured_slots;
    b->input_slots = b->captured_slots = NULL;
    p->n_inputs = b->program->n_inputs;
    p->n_captured = b->program->n_params;
    p->n_columns = b->n_columns;
    mf_find_tile(p, 2 * sizeof(double) * mf_larger(p->n_rows, 1)); /* and adjoints */
    p->partly_reached = p->n_outputs > 1 || mf_has_take(p);
}

#undef MF_HAND_OVER

#endif
