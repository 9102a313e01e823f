/* A plan, as an executor (run/replay.h) reads it: steps over slots. Plain data: no Python, no nodes.
 *
 * A slot is a row of lanes, one a sample (number >= 0), or a uniform number, the same for all
 * samples (~number, so < 0). Uniform steps run once a call; lane steps run for a tile of samples at
 * a time.
 *
 * A step computes `count` values into adjacent slots z, z + 1, ...; what else there is to say of it
 * depends on its kind. A move is how many slots lie between one result's operand and the next one's. */
#ifndef MF_STEP_H
#define MF_STEP_H

#include <stdint.h>
#include <stdlib.h>

#define MF_NO_SLOT INT32_MIN

typedef enum {
    MF_STEP_OPS,   /* an op of the table */
    MF_STEP_DETACH,  /* copies of x, which gets no gradient; laid out as ops */
    MF_STEP_DOT,     /* bias + w0*x0 + w1*x1 + ... */
    MF_STEP_MATRIX,  /* dots that share their inputs */
    MF_STEP_INNER,   /* a uniform dot over adjacent slots */
    MF_STEP_GATHER,  /* copies of slots that lie anywhere */
    MF_STEP_CHAIN,   /* ops each of which takes the result of the one before */
    MF_STEP_TAKE,    /* one of several slots, by an index */
    MF_STEP_EXTREME, /* the largest or smallest of several slots */
    MF_N_STEP_KINDS
} mf_step_kind;
/* A new kind is also: its struct below, in step.pxd too; mf_row_fields; who makes it (layout.h,
 * grouping.h); four switches in run/replay.h; mf_cut in run/reached.h; mf_visit_operands and
 * mf_step_fits in verify.h; its text and data in call/plan.pxi, in this order; what it reads in
 * tests/helpers/plan_model.py. */

typedef struct {
    int32_t op;
    int32_t x, y;           /* y: MF_NO_SLOT of a unary op */
    int32_t x_move, y_move; /* 0 or 1 */
} mf_ops_step;

typedef struct {
    int32_t bias;    /* or MF_NO_SLOT, here and below */
    int32_t args;    /* first of the plan's args */
    int32_t n_rows;  /* products of a uniform and a row; */
    int32_t n_pairs; /* then those of two slots of the step's own kind */
} mf_dot_step;

typedef struct {
    int32_t n;               /* columns; count: rows */
    int32_t w, w_row, w_col; /* uniform number of W[0][0], distances of rows and of columns */
    int32_t x;               /* first of n slots side by side */
    int32_t bias, bias_move;
    int32_t n_vectors, vector_move; /* it is applied to so many, vector_move slots apart; their results
                                     * follow one another */
    uint8_t wants_w, wants_x;  /* whether gradient goes to them */
    uint8_t sole_user;         /* over lanes: nothing else adds to the adjoints of its w */
} mf_matrix_step;

typedef struct {
    int32_t n;         /* products */
    int32_t w, w_move; /* uniform number of the first w; 0: one number for all, 1 */
    int32_t x;         /* first of n slots side by side */
    int32_t bias;
    uint8_t wants_w, wants_x;
} mf_inner_step;

typedef struct {
    int32_t args;
} mf_gather_step;

typedef struct {
    int32_t op;
    int32_t x;    /* first operand of the first link */
    int32_t args; /* second operands */
} mf_chain_step;

typedef struct {
    int32_t index;
    int32_t args, n;
} mf_take_step;

typedef struct {
    int32_t op; /* MF_LARGEST or MF_SMALLEST */
    int32_t args, n;
} mf_extreme_step;

typedef struct {
    int32_t kind;
    int32_t count;
    int32_t z;
    uint8_t wants_gradient; /* whether anything wanted depends on z */
    union {
        mf_ops_step ops;
        mf_dot_step dot;
        mf_matrix_step matrix;
        mf_inner_step inner;
        mf_gather_step gather;
        mf_chain_step chain;
        mf_take_step take;
        mf_extreme_step extreme;
    };
} mf_step;

typedef struct {
    int32_t first, n;
} mf_range;

typedef struct {
    int32_t slot;
    double number;
} mf_number_slot;

typedef struct {
    mf_step *steps; /* uniform steps first */
    int32_t n_uniform_steps, n_steps;
    int32_t *args;
    int32_t n_args;
    int32_t n_rows, n_uniforms;
    uint8_t *row_wants, *uniform_wants;
    mf_range *wanted_rows;     /* whose adjoints start at zero */
    int32_t n_wanted_rows;
    mf_range *summed_uniforms; /* whose adjoints do: all but those that sole users set */
    int32_t n_summed_uniforms;
    /* What a call fills in: slots by input and by captured number, MF_NO_SLOT where the program does
     * not use it; and the program's own numbers. */
    int32_t *input_slots, *captured_slots;
    int32_t n_inputs, n_captured;
    mf_number_slot *numbers;
    int32_t n_numbers;
    int32_t n_columns; /* rows 0 .. n_columns - 1 are loaded from the inputs */
    int32_t *outputs;
    int32_t n_outputs;
    int32_t tile;           /* most lanes a row: a multiple of MF_LANE_BLOCK */
    int32_t scratch;        /* doubles a lane that the matrix steps transpose into */
    int32_t partly_reached; /* whether backward may not reach some steps: several results, or a take */
} mf_plan;

static inline void mf_plan_free(mf_plan *p) {
    free(p->steps);
    free(p->args);
    free(p->row_wants);
    free(p->uniform_wants);
    free(p->wanted_rows);
    free(p->summed_uniforms);
    free(p->input_slots);
    free(p->captured_slots);
    free(p->numbers);
    free(p->outputs);
    *p = (mf_plan){0};
}

/* Where a slot is among those of its kind. */
static inline int32_t mf_position(int32_t slot) { return slot >= 0 ? slot : ~slot; }

/* How many slots a step fills. */
static inline int64_t mf_n_results(const mf_step *s) {
    return (int64_t)s->count * (s->kind == MF_STEP_MATRIX ? s->matrix.n_vectors : 1);
}

/* The fields of a step over lanes that may name rows; how many. Its args may, too. */
static inline int mf_row_fields(mf_step *s, int32_t *fields[3]) {
    int n = 0;
    fields[n++] = &s->z;
    switch (s->kind) {
    case MF_STEP_OPS:
    case MF_STEP_DETACH:
        fields[n++] = &s->ops.x;
        fields[n++] = &s->ops.y;
        break;
    case MF_STEP_DOT: fields[n++] = &s->dot.bias; break;
    case MF_STEP_MATRIX:
        fields[n++] = &s->matrix.x;
        fields[n++] = &s->matrix.bias;
        break;
    case MF_STEP_CHAIN: fields[n++] = &s->chain.x; break;
    case MF_STEP_TAKE: fields[n++] = &s->take.index; break;
    default: break;
    }
    return n;
}

/* Rows are this many lanes, or a multiple. The lanes beyond the last sample repeat it, so that
 * nothing overflows or fails there that does not in a sample; sums leave them out. */
enum { MF_LANE_BLOCK = 8 };

#endif
