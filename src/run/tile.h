/* What one run of the interpreter works on: the job, the memory that the caller lends, and the tile of
 * samples that is in it at the moment. */
#ifndef MF_TILE_H
#define MF_TILE_H

#include <stddef.h>

#include "plan/step.h"
#include "run/executor.h"
#include "run/kernels.h"

typedef struct {
    const mf_plan *plan;
    const mf_kernels *kernels;
    const mf_job *job;
    mf_workspace ws;
    ptrdiff_t n;      /* samples of this tile */
    ptrdiff_t stride; /* lanes a row: n and what fills the last block */
    ptrdiff_t from;   /* the tile's first sample */
    int is_first;     /* tile of these uniform_grads */
    int met_subnormals; /* among the operands of this tile's forward steps */
} mf_run;

/* Value and adjoint of slot number `slot` + `j`. */
static inline double *mf_at(const mf_run *r, int32_t slot, int32_t j) {
    return slot >= 0 ? r->ws.rows + (size_t)(slot + j) * r->stride : r->ws.uniforms + ~slot + j;
}
static inline double *mf_grad_at(const mf_run *r, int32_t slot, int32_t j) {
    return slot >= 0 ? r->ws.row_grads + (size_t)(slot + j) * r->stride
                     : r->ws.uniform_grads + ~slot + j;
}
static inline int mf_wants(const mf_run *r, int32_t slot) {
    return slot >= 0 ? r->plan->row_wants[slot] : r->plan->uniform_wants[~slot];
}
static inline int mf_is_whole(double index, int32_t n) {
    return index >= 0.0 && index < n && index == floor(index);
}

static inline ptrdiff_t mf_whole_blocks(ptrdiff_t lanes) {
    return (lanes + MF_LANE_BLOCK - 1) / MF_LANE_BLOCK * MF_LANE_BLOCK;
}

static int mf_all_zero(ptrdiff_t n, const double *g) {
    for (ptrdiff_t l = 0; l < n; l++)
        if (g[l] != 0.0) return 0;
    return 1;
}

#endif
