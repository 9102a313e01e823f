/* A plan, as the executor (run/replay.h) reads it: steps over slots. Plain data.
 *
 * A slot is a row of lanes, one a sample (number >= 0), or a uniform number, the same for all
 * samples (~number, so < 0). Uniform steps run once a call; lane steps run for a tile of samples at
 * a time.
 *
 * A step computes `count` values into adjacent slots. */
#ifndef MF_STEP_H
#define MF_STEP_H

#include <stdint.h>

typedef struct {
    int32_t op;
    int32_t count;            /* results z, z + 1, ...; a matrix: its rows */
    int32_t z, x, y;          /* first slots; y of a dot or matrix is its bias, of a take the index */
    int32_t x_move, y_move;   /* slots from one result's operand to the next's: 0 or 1; the bias of a
                               * matrix any number, x_move of an inner product from term to term */
    int32_t args;             /* first of the step's args, for dot, take and gather */
    int32_t n_rows;           /* dot: products of a uniform and a row; take, largest, smallest: choices */
    int32_t n_pairs;          /* dot: products of two slots of the step's own kind */
    int32_t w, w_row, w_col;  /* matrix: uniform number of W[0][0], strides; inner: its first factors */
    int32_t n;                /* matrix: columns, which are slots x, x + 1, ...; inner: terms */
    int32_t n_vectors;        /* matrix: how many vectors x, x_step slots apart, it is applied to; */
    int32_t x_step;           /* their results z follow one another */
    int32_t link;             /* chain: the op; args are its second operands, x is the first one */
    uint8_t wants_gradient;   /* whether anything wanted depends on z */
    uint8_t wants_w, wants_x; /* matrix: the same for its operands */
    uint8_t sole_user;        /* matrix over lanes: nothing else adds to the adjoints of its w */
    uint8_t puts_off;         /* sole user: a job that defers leaves those to mf_add_weights */
    int32_t w_node;           /* the node of W[0][0] then; those of the rest lie as the slots do */
} mf_step;

#define MF_NO_SLOT INT32_MIN

typedef struct {
    int32_t first, n;
} mf_range;

typedef struct {
    const mf_step *steps; /* uniform steps first */
    int32_t n_uniform_steps, n_steps;
    const int32_t *args;
    int32_t n_args;
    int32_t n_rows, n_uniforms;
    const uint8_t *row_wants, *uniform_wants;
    const mf_range *wanted_rows; /* whose adjoints start at zero */
    int32_t n_wanted_rows;
    const mf_range *summed_uniforms; /* the same: all but those that sole users set */
    int32_t n_summed_uniforms;
    int32_t n_columns;    /* rows 0 .. n_columns - 1 are loaded from the inputs */
    const int32_t *outputs;
    int32_t n_outputs;
    int32_t tile;         /* most lanes a row: a multiple of MF_LANE_BLOCK */
    int32_t scratch;      /* doubles a lane that the matrix steps transpose into */
    int32_t partly_used;  /* whether backward may not reach some steps: several results, or a take */
} mf_plan;

/* Rows are this many lanes, or a multiple. The lanes beyond the last sample repeat it, so that
 * whatever is computed there is as harmless; sums leave them out. */
enum { MF_LANE_BLOCK = 8 };

#endif
